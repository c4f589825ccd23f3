"""SMS Partner behind an Airflow connection."""
