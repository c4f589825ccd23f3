"""An operator that sends and then waits: what it may be told about the wait, and how it waits in a worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import MOST_STORE_FAILURES, POKE_INTERVAL
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.completion import CompletionCheck
from airflow_provider_voicepartner.hooks.completion_options import (
    CompletionOptions,
    check_options,
    check_that_anybody_tells,
)
from airflow_provider_voicepartner.sending.report import CampaignReport, read_report

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.transport import CancellationToken

log = logging.getLogger(__name__)

REPORT_KEY: Final = "campaign"
"""Under which XCom key the report so far is kept: while the operator waits, and when a campaign ends early."""
_NAMES: Final = tuple(field.name for field in fields(CompletionOptions) if field.name != "conn_id")


def read_completion(given: Any) -> tuple[CompletionOptions, float]:
    """
    Read the argument ``completion``.

    :returns: the options, and the seconds between two looks.
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
    Refuse to send what could never be waited for.

    :param given: the argument ``completion``.
    :raises ConfigurationError: naming what is wrong with it.
    :raises DeliveryUnconfirmedError: the gateway only calls a URL, and there is none.
    """
    options, _ = read_completion(given)
    check_that_anybody_tells(type(hook))
    check_options(options)


def with_delivery(report: CampaignReport, delivery: dict[str, Any]) -> dict[str, Any]:
    """Return the report with the counts of what became of it."""
    return {**report.to_json(), "delivery": delivery}


def wait_here(watch: CompletionCheck, interval: float, stop: CancellationToken) -> dict[str, Any]:
    """
    Look again and again until the campaign is complete, and return the counts.

    :raises CampaignInterruptedError: ``stop`` was raised.
    :raises StoreUnavailableError: the store failed ``MOST_STORE_FAILURES`` times, one after another.
    """
    sleep = stop.sleeper(time.sleep)
    failures = 0
    while True:
        try:
            result = watch.judge(watch.look())
            failures = 0
        except StoreUnavailableError as error:
            failures += 1
            if failures == MOST_STORE_FAILURES:
                raise
            log.warning("Could not look now, will look again: %s", error)
            result = None
        if result is not None:
            return result
        sleep(interval)


def pushed_report(ti: Any) -> CampaignReport:
    """
    Return what the task sent before it began to wait.

    :raises ConfigurationError: nobody knows; a retry finds it in the ledger.
    """
    return read_report(ti.xcom_pull(task_ids=ti.task_id, key=REPORT_KEY, map_indexes=ti.map_index))
