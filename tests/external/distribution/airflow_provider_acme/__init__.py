"""Acme SMS for Apache Airflow: a gateway outside the package, as somebody else would write one."""
