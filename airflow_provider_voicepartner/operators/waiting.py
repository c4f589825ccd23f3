"""How a sending operator waits for its campaign's end in a worker, and how much time its waits have left."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.compat import AirflowTaskTimeout
from airflow_provider_voicepartner.constants import MOST_STORE_FAILURES, POKE_INTERVAL
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.completion import CompletionCheck
from airflow_provider_voicepartner.hooks.completion_options import (
    CompletionOptions,
    check_options,
    check_reports_can_come,
)
from airflow_provider_voicepartner.sending.report import CampaignReport, read_report

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.cancellation import CancellationToken

log = logging.getLogger(__name__)

REPORT_KEY: Final = "campaign"
"""The XCom key of the report so far: while the operator waits, and when a campaign ends early."""
_NAMES: Final = tuple(field.name for field in fields(CompletionOptions) if field.name != "conn_id")


def read_completion(given: Any) -> tuple[CompletionOptions, float]:
    """
    Read the argument ``completion``.

    :returns: the options, and the seconds between two checks.
    :raises ConfigurationError: naming the key and the fix.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise ConfigurationError("completion: must be a dict, such as {'min_delivery_rate': 0.9}")
    chosen = dict(given)
    interval = chosen.pop("poke_interval", POKE_INTERVAL)
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 < interval < float("inf"):
        raise ConfigurationError(
            f"completion: poke_interval {interval!r} is not a number of seconds above zero"
        )
    for name in chosen:
        if name not in _NAMES:
            raise ConfigurationError(
                f"completion: has no {name!r}; it has poke_interval, {', '.join(_NAMES)}"
            )
    return CompletionOptions.read(**chosen), float(interval)


def check_that_results_can_come(hook: GatewayHook, given: Any) -> None:
    """
    Refuse to send a campaign whose delivery reports could never come.

    :param given: the argument ``completion``.
    :raises ConfigurationError: naming what is wrong with it.
    :raises DeliveryUnconfirmedError: the gateway only calls a URL, and there is none.
    """
    options, _ = read_completion(given)
    check_reports_can_come(type(hook))
    check_options(options)


def with_delivery(report: CampaignReport, delivery: dict[str, Any]) -> dict[str, Any]:
    """Return the report with the counts by delivery status."""
    return {**report.to_json(), "delivery": delivery}


def wait_here(completion: CompletionCheck, interval: float, stop: CancellationToken) -> dict[str, Any]:
    """
    Check repeatedly until the campaign is complete, and return the counts.

    :raises CampaignInterruptedError: ``stop`` was cancelled.
    :raises StoreUnavailableError: the store failed ``MOST_STORE_FAILURES`` times, one after another.
    """
    sleep = stop.sleeper(time.sleep)
    failures = 0
    while True:
        try:
            result = completion.judge(completion.check())
            failures = 0
        except StoreUnavailableError as error:
            failures += 1
            if failures == MOST_STORE_FAILURES:
                raise
            log.warning("The store could not be read, will try again: %s", error)
            result = None
        if result is not None:
            return result
        sleep(interval)


def pushed_report(ti: Any) -> CampaignReport:
    """
    Return what the task sent before it began to wait.

    :raises ConfigurationError: XCom has no report; a retry finds what was sent in the ledger.
    """
    return read_report(ti.xcom_pull(task_ids=ti.task_id, key=REPORT_KEY, map_indexes=ti.map_index))


class TimeLimit:
    """
    The time limit of one try, across its waits in the triggerer.

    Airflow gives each part of a try all of ``execution_timeout``, and counts nothing of the waits in between.

    :param allowed: for the whole try; None has no end.
    :param began: when its first part began, aware; None where Airflow does not say, and then there is no end.
    """

    def __init__(self, allowed: timedelta | None, began: datetime | None) -> None:
        self._end = None if allowed is None or began is None else began.timestamp() + allowed.total_seconds()

    @classmethod
    def of(cls, allowed: timedelta | None, context: Context) -> TimeLimit:
        """Read when this try began; Airflow keeps that across waits."""
        return cls(allowed, getattr(context["ti"], "start_date", None))

    @property
    def is_over(self) -> bool:
        """True when nothing is left."""
        return self._end is not None and time.time() >= self._end

    @property
    def left(self) -> timedelta | None:
        """What is left; None where there is no end."""
        return None if self._end is None else timedelta(seconds=max(0.0, self._end - time.time()))

    def check(self) -> None:
        """
        Go on only if something is left.

        :raises AirflowTaskTimeout: nothing is; as Airflow does at the end of ``execution_timeout``.
        """
        if self.is_over:
            raise AirflowTaskTimeout(
                "execution_timeout is over, including the waits for the rate limit; what was sent is recorded, and a "
                "retry sends the rest"
            )
