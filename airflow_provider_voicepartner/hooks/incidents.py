"""
Asks the store whether an alert is to be sent, within seconds; one that gets no answer is sent.

The store is asked in a thread that is left behind: no time-out of a database bounds the sum of what may hang there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Final

from airflow_provider_voicepartner.constants import (
    ALERT_RECORD_TIMEOUT,
    ALERT_STORE_TIMEOUT,
    BUSY_STORE_TIMEOUT,
    FIRST_STORE_TIMEOUT,
    INCIDENT_LEASE,
    LONGEST_STORE_QUESTION,
    STORE_QUESTION_PAUSE,
)
from airflow_provider_voicepartner.db.engine import load_driver
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.incidents.model import Alert, AtMost, Decision, Outcome, Told
from airflow_provider_voicepartner.incidents.process_memory import ProcessMemory
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.settings import ALERTING, default_store_url, open_store, store_url

log = logging.getLogger(__name__)

_memory: Final = ProcessMemory()
_opened: Final[dict[str, IncidentStore]] = {}
_one_opens: Final = threading.Lock()
_slow_or_dead: Final[set[str]] = set()
"""Addresses of stores that could not be opened by this process when it tried last."""


def incident_store() -> IncidentStore:
    """
    Return the store's incidents; one process opens each store once.

    :raises StoreUnavailableError: it cannot be reached, or its address or tables have to change.
    """
    url = store_url() or default_store_url()
    with _one_opens:
        if url not in _opened:
            _opened[url] = IncidentStore(open_store(ALERTING))
            _slow_or_dead.discard(url)
        return _opened[url]


def tasks_told(dag_id: str, run_id: str, since: float) -> frozenset[str]:
    """Return of which tasks of a run people were told; none where the store does not say so in time."""
    found: list[frozenset[str]] = []

    def ask() -> None:
        try:
            found.append(incident_store().tasks_told(dag_id, run_id, since))
        except Exception as error:
            reason = str(error) if isinstance(error, StoreUnavailableError) else type(error).__name__
            log.warning("The store could not say of which tasks people were told: %s", reason)

    Aside(ask, name="incident").is_over(ALERT_STORE_TIMEOUT)
    return found[0] if found else frozenset()


class AskedAlert:
    """
    An alert, and what was decided about it.

    :param alert: None is never held back, and nothing is recorded.
    :param lease: the seconds within which its sender calls :meth:`told` or :meth:`not_told`.
    :param at_most: how often people are told where no store can be asked; None is that of the alert.
    :param patience: the seconds that a store may take to be opened, once its driver is imported; longer where this
        process has not tried yet.
    """

    def __init__(
        self,
        alert: Alert | None,
        *,
        lease: float = INCIDENT_LEASE,
        at_most: AtMost | None = None,
        patience: float = ALERT_STORE_TIMEOUT,
    ) -> None:
        self._patience = patience
        self._alert, self._lease, self._memory = alert, lease, _memory
        self._alone = alert if alert is None or at_most is None else replace(alert, at_most=at_most)
        self._store: IncidentStore | None = None
        self._answer: Decision | None = None
        self._problem: str | None = None
        self._asking: Aside | None = None
        self._is_by_memory = False
        self._loaded_at: float | None = None
        self._opened_at: float | None = None
        self._url = ""
        self.decision = Decision(outcome=Outcome.CLAIMED)
        """What to do; ``CLAIMED``: send."""
        if alert is not None:
            self._ask(alert)

    @property
    def is_held(self) -> bool:
        """True where nobody is to be told now."""
        return self.decision.outcome is not Outcome.CLAIMED

    @property
    def is_of_store(self) -> bool:
        """False where the store said nothing, and knows nothing of this alert yet."""
        return self._answer is not None and not self._is_by_memory

    def _ask(self, alert: Alert) -> None:
        begun = monotonic()
        self._asking = Aside(lambda: self._report(alert), name="incident")
        while not self._asking.is_over(STORE_QUESTION_PAUSE) and self._may_wait(begun):
            pass
        if self._loaded_at is not None and self._opened_at is None:
            _slow_or_dead.add(self._url)
        if self._answer is not None:
            self.decision = self._answer
            return
        self._is_by_memory = True
        self.decision = self._memory.report(self._alone or alert, lease=self._lease)
        log.warning(
            "The store could not say whether people were told of this already: %s. %s",
            self._problem or "no answer in time",
            "This process told them, or is telling them, so nothing is sent"
            if self.is_held
            else "The alert is sent",
        )
        if self.is_held:
            # A claim that the store still gives is nobody's: whoever comes next tells.
            self._record(lambda store, claim: store.not_told(claim))

    def _may_wait(self, begun: float) -> bool:
        """
        Say whether the store may still answer.

        In a crowd it takes a process seconds to import the driver, and seconds to open the store for the first time.
        """
        now = monotonic()
        if now - begun >= LONGEST_STORE_QUESTION:
            return False
        if self._opened_at is not None:
            return now - self._opened_at < BUSY_STORE_TIMEOUT
        if self._loaded_at is None:
            return now - begun < BUSY_STORE_TIMEOUT
        is_first = self._url not in _slow_or_dead
        patience = max(self._patience, FIRST_STORE_TIMEOUT) if is_first else self._patience
        return now - self._loaded_at < patience

    def _report(self, alert: Alert) -> None:
        try:
            self._url = store_url() or default_store_url()
            if self._url not in _opened:
                load_driver(self._url)
            self._loaded_at = monotonic()
            self._store = incident_store()
            self._opened_at = monotonic()
            self._answer = self._store.report(alert, lease=self._lease)
        except StoreUnavailableError as error:
            self._problem = str(error)
        except BaseException as error:  # ended by anything, the alert goes out
            self._problem = type(error).__name__

    def told(self, recipients: Sequence[Told]) -> None:
        """Say that people were told, or may have been. Never raises, and waits two seconds at most."""
        if self._alert is None or self.is_held:
            return
        if self._is_by_memory:
            self._memory.told(self.decision)
        else:
            self._memory.learn(self._alone or self._alert)
        self._record(lambda store, claim: store.told(claim, recipients))

    def not_told(self) -> None:
        """Say that certainly nobody was told. Never raises, and waits two seconds at most."""
        if self._alert is None or self.is_held:
            return
        if self._is_by_memory:
            self._memory.not_told(self.decision)
        self._record(lambda store, claim: store.not_told(claim))

    def _record(self, give_back: Callable[[IncidentStore, Decision], None]) -> None:
        """Give the store's claim back, also one that it gave too late."""

        def work() -> None:
            if self._asking is not None:
                self._asking.is_over(self._lease)
            if self._store is None or self._answer is None or self._answer.outcome is not Outcome.CLAIMED:
                return
            try:
                give_back(self._store, self._answer)
            except Exception as error:
                reason = str(error) if isinstance(error, StoreUnavailableError) else type(error).__name__
                log.warning(
                    "The store does not know what became of an alert (incident %d), so it may be repeated: %s",
                    self._answer.incident,
                    reason,
                )

        seconds = 0 if self._is_by_memory and self._answer is None else ALERT_RECORD_TIMEOUT
        Aside(work, name="incident").is_over(seconds)
