"""
The watchdog itself: look at Airflow, tell people, remember; again and again, whatever is down.

What it remembers is written after people were told. A process that dies in between does not tell them twice: the store
knows the occurrence.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from airflow_provider_voicepartner.constants import (
    ALERT_TIMEOUT,
    AT_MOST_SECONDS,
    RUNNER_SILENCE,
    WATCH_LOOK,
    WATCH_MESSAGES,
    WATCH_STORE_TIMEOUT,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.hooks.all_clears import AllClears
from airflow_provider_voicepartner.incidents.clearing import ClearText
from airflow_provider_voicepartner.incidents.keys import fit
from airflow_provider_voicepartner.incidents.model import Alert, Decision, DueMessage, Outcome, Resolved, Told
from airflow_provider_voicepartner.incidents.pages import PageStore
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.watchdog.airflow_api import AirflowApi
from airflow_provider_voicepartner.watchdog.checks import check, unsettled
from airflow_provider_voicepartner.watchdog.config import WatchdogConfig
from airflow_provider_voicepartner.watchdog.escalating import EscalationRunner
from airflow_provider_voicepartner.watchdog.findings import Finding, Kind, Recovery
from airflow_provider_voicepartner.watchdog.memory import WatchMemory
from airflow_provider_voicepartner.watchdog.messages import (
    Message,
    all_clear_of,
    of_finding,
    of_many,
    of_recoveries,
    of_title,
    words_of,
)
from airflow_provider_voicepartner.watchdog.observing import Observation, observe
from airflow_provider_voicepartner.watchdog.signs import DeadManSwitch
from airflow_provider_voicepartner.watchdog.state import WatchState
from airflow_provider_voicepartner.watchdog.telling import Teller, Telling, audience_of, within

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_STORE: Final = "The store cannot be asked, and people are told without it: %s"


class StoreDownError(Exception):
    """The store did not do what it was asked for; its text says why, without values."""


class Watchdog:
    """
    One watchdog.

    :param config: of the file.
    :param make_api: connects to Airflow; called again after an answer that did not come.
    :param open_store: opens the store; called until it succeeds.
    :param teller: tells people.
    :param switch: a dead man's switch; None for none.
    :param clock: Unix seconds.
    """

    def __init__(
        self,
        config: WatchdogConfig,
        *,
        make_api: Callable[[], AirflowApi],
        open_store: Callable[[], Store],
        teller: Teller,
        switch: DeadManSwitch | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._make_api, self._open_store = config, make_api, open_store
        self._teller, self._switch, self._clock = teller, switch, clock
        self._api = make_api()
        self._store: Store | None = None
        self._is_store_down = False
        self._state = WatchState()
        self._version: int | None = None
        self._unsent: list[Finding] = []
        self._unclosed: list[Recovery] = []
        self._told_at: dict[str, float] = {}
        self._told_alone: set[str] = set()
        self._has_failed = False
        self._noted: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """
        Look until ``stop`` is set, and run escalations meanwhile.

        What goes wrong in a look is logged, and leaves no sign of life.
        """
        runner = self._run_escalations(stop)
        while not stop.is_set():
            begun = time.monotonic()
            if begun - runner.looked_at > RUNNER_SILENCE:
                log.error("Escalations hang since %.0f s; another runner begins", begun - runner.looked_at)
                runner = self._run_escalations(stop)
            try:
                self.look()
            except Exception as error:
                # Not its text: a driver's may hold values.
                last = traceback.extract_tb(error.__traceback__)[-1]
                log.error("The look failed: %s in %s:%d", type(error).__name__, last.name, last.lineno or 0)
            stop.wait(max(0.0, self._config.times.interval - (time.monotonic() - begun)))

    def _run_escalations(self, stop: threading.Event) -> EscalationRunner:
        runner = EscalationRunner(self._open_store, make_hook=self._teller.hook_of_way)
        threading.Thread(target=runner.run, args=(stop,), name="escalations", daemon=True).start()
        return runner

    def look(self) -> None:
        """Look once, and tell what has to be told."""
        now = self._clock()
        self._is_store_down = self._has_failed = False
        self._load()
        seen = self._observe(now)
        known = self._ask(
            lambda store: IncidentStore(store).known(unsettled(self._state, seen, self._config))
        )
        beats = self._ask(lambda store: WatchMemory(store).beats(self._config.heartbeat.peers))
        late_by = self._ask(lambda store: PageStore(store, new_reference=new_reference).late_by())
        checked = check(
            self._state,
            seen,
            known or (),
            self._config,
            beats=None if beats is None else {name: beat.mark for name, beat in beats.items()},
            is_store_down=self._is_store_down,
            late_by=late_by,
        )
        unsent, self._unsent = self._unsent, []
        self._tell_all([*unsent, *checked.findings])
        again = {alert.key for finding in checked.findings for alert in finding.alerts}
        self._unclosed = [one for one in self._unclosed if one.key not in again]
        self._tell_recoveries(checked.recoveries)
        self._tell_due()
        self._state = checked.state
        self._save()
        self._give_signs()
        if not self._is_store_down:
            self._note(_STORE, "")

    # Airflow

    def _observe(self, now: float) -> Observation:
        api = self._api
        try:
            seen = within(WATCH_LOOK, lambda: observe(api, self._config, self._state, now))
        except TimeoutError:
            # The thread that was left behind goes on with its own connection.
            self._api = self._make_api()
            seen = Observation(at=now, problem=f"no answers within {WATCH_LOOK:g} s")
        self._note("Airflow cannot be asked: %s", seen.problem)
        return seen

    # People

    def _tell_all(self, findings: Sequence[Finding]) -> None:
        for finding in findings[:WATCH_MESSAGES]:
            self._tell((finding,))
            self._beat()
        if findings[WATCH_MESSAGES:]:
            self._tell(findings[WATCH_MESSAGES:])

    def _tell(self, findings: Sequence[Finding]) -> None:
        """Tell of findings with one message, unless others do, or nobody wants to hear of them."""
        alerts = [self._addressed(finding, alert) for finding in findings for alert in finding.alerts]
        for alert in alerts:
            log.warning("Found: %s", alert.title)
        decisions = [self._report(alert) for alert in alerts]
        if any(decision is None for decision in decisions) and self._is_held_back(alerts):
            decisions = [decision for decision in decisions if decision is not None]
        claimed = [one for one in decisions if one is None or one.outcome is Outcome.CLAIMED]
        for alert, decision in zip(alerts, decisions, strict=False):
            if decision is not None and decision.outcome is not Outcome.CLAIMED:
                log.info("Not told again: %s (%s, %s)", alert.title, decision.outcome.value, decision.by)
        if not claimed:
            return
        of_store = [one for one in claimed if one is not None]
        more = sum(one.more for one in of_store)
        message = of_finding(findings[0], more) if len(findings) == 1 else of_many(findings, more)
        telling = self._send(message, may_be_repeat=any(one.may_be_repeat for one in of_store))
        given_back = [self._give_back(one, telling) for one in of_store]
        if not telling.has_reached and not (given_back and all(given_back)):
            # Otherwise the store has it for the next look, or for another watchdog.
            self._unsent += findings
        if telling.has_reached:
            self._told_at |= {alert.key: self._clock() for alert in alerts}
            if len(of_store) < len(claimed):
                self._told_alone |= {alert.key for alert in alerts}

    def _addressed(self, finding: Finding, alert: Alert) -> Alert:
        tell = self._config.tell
        return replace(
            alert,
            route=f"watchdog {tell.kind} {tell.conn_id} {','.join(audience_of(tell))}",
            audience=audience_of(tell),
            # Of pages that are late nobody can be paged.
            policy=None if alert.occurrence.what == Kind.PAGES_LATE.value else tell.policy,
            words=words_of(finding, alert),
        )

    def _report(self, alert: Alert) -> Decision | None:
        """Ask the store what to do; None where it does not say."""
        lease = (len(self._config.tell.channels) + 1) * ALERT_TIMEOUT
        return self._ask(lambda store: IncidentStore(store).report(alert, lease=lease))

    def _is_held_back(self, alerts: Sequence[Alert]) -> bool:
        """Without a store: say whether this process told of the same a short time ago."""
        since = self._clock() - AT_MOST_SECONDS
        return all(self._told_at.get(alert.key, since) > since for alert in alerts)

    def _give_back(self, decision: Decision, telling: Telling) -> bool:
        def give_back(store: Store) -> bool:
            incidents = IncidentStore(store)
            if telling.has_reached:
                incidents.told(decision, telling.told)
            else:
                incidents.not_told(decision)
            return True

        return bool(self._ask(give_back))

    def _send(
        self, message: Message, told: Sequence[Told] | None = None, *, may_be_repeat: bool = False
    ) -> Telling:
        """
        Send a message, unless one of this look reached nobody: the next look tries again.

        :param told: those who were told before; None for the usual ways.
        """
        if self._has_failed:
            return Telling()
        if told is None:
            telling = self._teller.tell(message, may_be_repeat=may_be_repeat)
        else:
            telling = self._teller.tell_again(message, told, may_be_repeat=may_be_repeat)
        self._has_failed = not telling.has_reached
        return telling

    def _tell_recoveries(self, recoveries: Sequence[Recovery]) -> None:
        """Tell those who were told that it is over, one message for each kind; what cannot be told now, later."""
        recoveries, self._unclosed = [*self._unclosed, *recoveries], []
        for kind in dict.fromkeys(one.kind for one in recoveries):
            over = [one for one in recoveries if one.kind is kind]
            closed = self._close(over)
            # The store does not know of what was told without it.
            alone = [one for one in over if one.key in self._told_alone]
            if closed is None:
                self._unclosed += [one for one in over if one not in alone]
            is_told = any(one.told for one in closed or ())
            if is_told or not alone or self._send(of_recoveries(alone)).has_reached:
                self._told_alone -= {one.key for one in alone}
            else:
                self._unclosed += alone
        self._send_all_clears()

    def _close(self, over: Sequence[Recovery]) -> list[Resolved] | None:
        """Close incidents, and owe those who were told of them the all clear; None where the store does not answer."""

        def text_of(closed: Sequence[Resolved]) -> ClearText:
            told = {one.incident.key for one in closed if one.told}
            message = of_recoveries([one for one in over if fit(one.key) in told])
            return all_clear_of(message, self._config.tell.language)

        keys = [one.key for one in over]
        return self._ask(lambda store: IncidentStore(store).close(*keys, text_of=text_of))

    def _send_all_clears(self) -> None:
        """Send the all clears that are owed: these, and what notifiers could not send."""
        if self._store is None or self._is_store_down or self._has_failed:
            return
        clears = AllClears(IncidentStore(self._store).all_clears, make_hook=self._teller.hook_of_way)
        try:
            # What is left behind has claimed what it sends.
            self._has_failed = within(2 * ALERT_TIMEOUT, clears.send_due) is False
        except (StoreUnavailableError, TimeoutError) as error:
            self._is_store_down = isinstance(error, StoreUnavailableError)
            self._note("All clears cannot be sent now: %s", str(error))
        else:
            self._note("All clears cannot be sent now: %s", "")

    def _tell_due(self) -> None:
        """Tell what others could not: counted alerts, those of a sender who died, and those that reached nobody."""
        for due in self._ask(lambda store: IncidentStore(store).due_messages()) or ():
            decision = None if self._has_failed else self._claim_due(due)
            if decision is None:
                continue
            more = decision.more if due.told else decision.more - 1
            incident = due.incident
            message = of_title(incident.title, incident.words, more, incident.link)
            telling = self._send(message, due.told, may_be_repeat=decision.may_be_repeat)
            self._give_back(decision, telling)
            self._beat()

    def _claim_due(self, due: DueMessage) -> Decision | None:
        lease = (len(self._config.tell.channels) + 2) * ALERT_TIMEOUT
        return self._ask(lambda store: IncidentStore(store).claim_due(due, lease=lease))

    # The store

    def _ask(self, question: Callable[[Store], Result]) -> Result | None:
        """Ask the store in bounded time; None where it does not answer, and then not again in this look."""
        if self._is_store_down:
            return None

        def asked() -> Result:
            if self._store is None:
                self._store = self._open_store()
            return question(self._store)

        try:
            return within(WATCH_STORE_TIMEOUT, asked)
        except TimeoutError as error:
            problem = str(error)
        except Exception as error:
            is_ours = type(error).__module__.startswith("airflow_provider_voicepartner.")
            problem = str(error) if is_ours else type(error).__name__
        self._is_store_down = True
        self._note(_STORE, problem)
        return None

    def _note(self, what: str, problem: str) -> None:
        """Log a problem when it begins, or becomes another one, and not with each look."""
        if problem and self._noted.get(what) != problem:
            log.error(what, problem)
        self._noted[what] = problem

    def _load(self) -> None:
        if self._version is not None:
            return
        found = self._ask(lambda store: WatchMemory(store).load(self._config.name))
        if found is not None:
            text, self._version = found
            if self._state.looked_at is None:
                self._state = WatchState.from_json(text)

    def _save(self) -> None:
        version = self._version
        if version is None:
            return
        text = self._state.to_json()
        is_saved = self._ask(lambda store: WatchMemory(store).save(self._config.name, text, version))
        if is_saved:
            self._version = version + 1
        elif is_saved is False:
            log.error(
                "Another watchdog of the name %s writes to the store; give each a name of its own",
                self._config.name,
            )
            self._version, self._state = None, WatchState()
            self._load()

    # Signs of life

    def _give_signs(self) -> None:
        self._beat()
        if self._switch is not None and not self._has_failed:
            self._switch.press()

    def _beat(self) -> None:
        """Leave a heartbeat; one who can tell nobody leaves none, so that others tell."""
        if self._has_failed:
            return
        told = {
            "interval": self._config.times.interval,
            "include": list(self._config.dags.include),
            "exclude": list(self._config.dags.exclude),
            "airflow": self._config.airflow.url,
        }
        self._ask(lambda store: WatchMemory(store).beat(self._config.name, told))
