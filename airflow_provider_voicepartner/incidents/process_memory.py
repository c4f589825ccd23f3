"""What one process remembers of its alerts, so that it keeps to ``at_most`` while no store can be asked."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from airflow_provider_voicepartner.constants import ALERTS_REMEMBERED, INCIDENT_LEASE
from airflow_provider_voicepartner.incidents.model import Alert, Decision, Occurrence, Outcome
from airflow_provider_voicepartner.incidents.routes import Route

_TOLD = "told"
_COUNTED = "counted"


class ProcessMemory:
    """
    The alerts of this process; nothing outlives it, and no other process knows of it.

    May be used by many threads.

    :param clock: seconds that only go forward; injected by tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._routes: OrderedDict[str, Route] = OrderedDict()
        self._known: OrderedDict[tuple[str, Occurrence], str] = OrderedDict()

    def report(self, alert: Alert, *, lease: float = INCIDENT_LEASE) -> Decision:
        """
        Decide as :meth:`~airflow_provider_voicepartner.incidents.store.IncidentStore.report` does.

        Silences and inhibition are not known here.
        """
        mark = _mark(alert)
        with self._lock:
            now = self._clock()
            route = replace(self._routes.get(mark, Route()), at_most=alert.at_most)
            before = self._known.get((mark, alert.occurrence))
            if before in (_TOLD, _COUNTED) or (before is not None and route.is_live(before, now)):
                return Decision(outcome=Outcome.COUNTED, route=mark, by="the same alert before")
            if not route.may_tell(now):
                self._keep(mark, route.counted(now), alert.occurrence, _COUNTED)
                return Decision(outcome=Outcome.COUNTED, route=mark, by="at_most, in this process")
            token, in_doubt = uuid.uuid4().hex, bool(route.dead(now))
            claimed = route.claimed(token, now, seconds=lease, new=1)
            self._keep(mark, claimed, alert.occurrence, token)
            return Decision(
                outcome=Outcome.CLAIMED,
                route=mark,
                claim=token,
                more=route.pending(now),
                may_be_repeat=in_doubt,
            )

    def told(self, decision: Decision) -> None:
        """Give a claim of this memory back: people were told, or may have been."""
        self._give_back(decision, was_told=True)

    def not_told(self, decision: Decision) -> None:
        """Give a claim of this memory back: certainly nobody was told."""
        self._give_back(decision, was_told=False)

    def learn(self, alert: Alert) -> None:
        """Remember an alert that the store let this process send: it may be gone when the next one comes."""
        mark = _mark(alert)
        with self._lock:
            route = replace(self._routes.get(mark, Route()), at_most=alert.at_most, untold=0)
            self._keep(mark, route.told("", self._clock()), alert.occurrence, _TOLD)

    def _give_back(self, decision: Decision, *, was_told: bool) -> None:
        with self._lock:
            route = self._routes.get(decision.route)
            if route is None:
                return
            change = route.told if was_told else route.not_told
            self._routes[decision.route] = change(decision.claim, self._clock())
            for place, claim in list(self._known.items()):
                if claim == decision.claim:
                    if was_told:
                        self._known[place] = _TOLD
                    else:
                        # It is among the untold ones; if it comes again, it counts again.
                        del self._known[place]
                    return

    def _keep(self, mark: str, route: Route, occurrence: Occurrence, became: str) -> None:
        self._routes[mark] = route
        self._routes.move_to_end(mark)
        self._known[mark, occurrence] = became
        for memory in (self._routes, self._known):
            while len(memory) > ALERTS_REMEMBERED:
                memory.popitem(last=False)


def _mark(alert: Alert) -> str:
    """Return what identifies the incident and the route, without the numbers in it."""
    text = f"{alert.key}\0{alert.route}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text).hexdigest()
