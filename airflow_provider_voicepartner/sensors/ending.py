"""How a wait ends: as Airflow's own loop of pokes would end it, whichever Airflow resumes the sensor."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from airflow_provider_voicepartner.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from airflow_provider_voicepartner.exceptions import WaitGivenUpError

FAIL_METHOD: Final = "__fail__"
"""What Airflow resumes instead of a method, when the triggerer failed or a deferral took too long."""


def ending(error: BaseException, *, soft_fail: bool, never_fail: bool) -> BaseException:
    """
    Return what a sensor raises for an error.

    Airflow's loop: a time-out is skipped for ``soft_fail`` only; what fails a task at once for both; any other error
    for ``never_fail`` only. A wait that was given up has no counterpart there, and is skipped for both.
    """
    if isinstance(error, AirflowSkipException):
        return error
    if isinstance(error, AirflowSensorTimeout):
        skips = soft_fail
    elif isinstance(error, AirflowFailException | AirflowTaskTimeout | WaitGivenUpError):
        skips = soft_fail or never_fail
    else:
        skips = never_fail
    if not skips:
        return error
    return AirflowSkipException(f"{'soft_fail' if soft_fail else 'never_fail'}: {type(error).__name__}")


def why_deferral_failed(
    next_kwargs: Mapping[str, Any] | None, *, timeout: float, execution_timeout: timedelta | None
) -> BaseException:
    """
    Return the error that a poke would have met where Airflow ends a deferral by itself.

    :param next_kwargs: as Airflow gives them with ``__fail__``: ``error`` and perhaps ``traceback``.
    :param timeout: of the sensor, in seconds.
    """
    said = str((next_kwargs or {}).get("error") or "unknown reason")
    if "timeout" not in said.lower():
        return WaitGivenUpError(f"the triggerer could not wait: {said}")
    if execution_timeout is not None and execution_timeout.total_seconds() <= timeout:
        return AirflowTaskTimeout(f"execution_timeout: the wait took longer than {execution_timeout}")
    return timed_out(timeout)


def timed_out(timeout: float, progress: object = None) -> Exception:
    """Return the error of a sensor whose ``timeout`` is over; Airflow never retries it."""
    far = "" if progress is None else f": {progress}"
    return AirflowSensorTimeout(f"timeout: the campaign is not complete after {timeout:g} s{far}")
