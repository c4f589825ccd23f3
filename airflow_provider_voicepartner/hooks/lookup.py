"""Looking a connection up, in tasks and in one's own processes, and telling a missing one from one out of reach."""

from __future__ import annotations

import os
import sys
from typing import Any

from airflow_provider_voicepartner.compat import AirflowException, BaseHook, Connection, conf
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError

_BACKENDS = (("secrets", "backend"), ("workers", "secrets_backend"))


def look_up(conn_id: str) -> Connection:
    """
    Return a connection from wherever Airflow finds it, in one's own process also from the metadata database.

    Airflow 3 looks into its database only for its own processes, so that a script or a command would not find what
    ``airflow connections add`` or the UI made.

    :param conn_id: the connection.
    :raises ConfigurationError: there is no such connection.
    :raises RetryableNotSentError: it was not found, and not everywhere where it may be could be asked.
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowException as error:
        if type(error).__name__ != "AirflowNotFoundException":
            raise
    supervisor = _supervisor()
    found, missing = None, False
    if supervisor is None:
        found, missing = _in_metadata(conn_id)
    else:
        missing = _supervisor_has_none(supervisor, conn_id)
    if found is not None:
        return found
    raise not_found(conn_id, certain=missing)


def not_found(conn_id: str, *, certain: bool) -> ConfigurationError | RetryableNotSentError:
    """
    Return the error for a connection that was not found.

    :param certain: False where a place that could not be asked may have it.
    """
    if certain and not any(conf.get(section, key, fallback="") for section, key in _BACKENDS):
        return ConfigurationError(
            f"connection {conn_id!r} does not exist; add it in the UI (Admin, Connections), with airflow connections "
            "add, or as the environment's variable AIRFLOW_CONN_" + conn_id.upper()
        )
    # A secrets backend that fails and one that has no such connection look the same from here.
    return RetryableNotSentError(
        f"connection {conn_id!r} was not found, or what holds it could not be asked; nothing was sent"
    )


def _supervisor() -> Any:
    """Return what a task asks for connections, or None outside of tasks."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None)


def _supervisor_has_none(supervisor: Any, conn_id: str) -> bool:
    """Ask again and hear why: a look-up says of an outage, too, that there is no such connection."""
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import GetConnection

    try:
        told = getattr(supervisor.send(GetConnection(conn_id=conn_id)), "error", None)
    except Exception as error:
        told = getattr(getattr(error, "error", None), "error", None)
    return told is ErrorType.CONNECTION_NOT_FOUND


def _in_metadata(conn_id: str) -> tuple[Connection | None, bool]:
    """Look into Airflow's database; say also whether it surely holds no such connection."""
    if os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "client":
        return None, False
    try:
        from airflow.secrets.metastore import MetastoreBackend

        found = MetastoreBackend().get_connection(conn_id)
    except Exception:  # of any driver, and Airflow's own where the database is not for this process
        return None, False
    return found, found is None
