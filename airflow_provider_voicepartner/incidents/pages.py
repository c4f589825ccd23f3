"""
Pages of escalations in the store: each is claimed before it is sent, by whoever first stores the next state.

A claim without a result is in doubt: that page is never sent again, and the next step goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from airflow_provider_voicepartner.constants import PAGE_LEASE
from airflow_provider_voicepartner.contacts.policy import By, Policy
from airflow_provider_voicepartner.contacts.targets import Target
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.incidents.escalation import (
    Became,
    Escalation,
    Page,
    Phase,
    Purpose,
    Turn,
    advance,
    begin,
    record,
    urge,
    ways_of_next,
)
from airflow_provider_voicepartner.incidents.model import LOW, State
from airflow_provider_voicepartner.incidents.page_statements import CLAIMED, page_statements
from airflow_provider_voicepartner.incidents.statements import statements
from airflow_provider_voicepartner.incidents.titles import Words

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store


_ROUTE: Final = "pages"

Resolver = Callable[[Sequence[str], By, bool, float], Sequence[Target]]
"""Whom names mean by which way, whether they are the last resort, and when, in Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedIncident:
    """
    What a page says of its incident.

    :param code: for answers by phone; None where there is none.
    :param alerts: all so far.
    :param last_owner: whose acknowledgement ended.
    :param others: how many other incidents with a code are open.
    """

    id: int
    title: str = field(repr=False)
    link: str = field(repr=False)
    code: int | None
    alerts: int
    last_owner: str = ""
    others: int = 0
    words: Words = field(default_factory=Words, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedPage:
    """
    A message that this process has to send, and nobody else.

    :param claim: to be given back with the result.
    :param reference: of the batch; answers carry it, so it is stored before the page leaves.
    :param claimed_at: Unix seconds, of the store.
    :param result: what an answer changed, for a message that answers one.
    :param choices: codes and titles of the incidents among which an answer has to choose.
    """

    incident: PagedIncident
    page: Page
    claim: str
    reference: str
    claimed_at: float
    result: str = ""
    choices: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownIncident:
    """
    What whoever was paged may see of an incident.

    :param person: who was paged.
    :param phase: of its escalation.
    :param owner: who has it, or closed it; empty for nobody.
    """

    id: int
    person: str
    title: str = field(repr=False)
    link: str = field(repr=False)
    phase: Phase
    owner: str
    alerts: int
    words: Words = field(default_factory=Words, repr=False)


class Unstarted(NamedTuple):
    """
    An escalation that has yet to begin.

    :param policy: its name.
    :param is_urgent: False waits for the end of quiet hours.
    """

    incident: int
    policy: str
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class Locked:
    """
    The row of an incident, which nobody else changes before the transaction ends.

    :param state: of its escalation; None where none has begun.
    """

    row: Any
    state: Escalation | None


class PageStore:
    """
    The escalations of a store. May be used by many threads.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`. Its clock counts.
    :param new_reference: makes the reference of a batch.
    :param new_token: names a claim; injected by tests.
    """

    def __init__(
        self,
        store: Store,
        *,
        new_reference: Callable[[], str],
        new_token: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._store = store
        self._new_reference, self._new_token = new_reference, new_token

    def start(self, incident: int, policy: Policy, *, is_urgent: bool = True) -> bool:
        """
        Begin the escalation of an open incident; again where nobody answered the last one.

        One that had begun is urgent from now on if this is.

        :returns: False where it had begun, or the incident is not open.
        """
        with self._store.write() as connection:
            now = self._store.now(connection)
            locked = lock(connection, incident)
            if locked is None or locked.row.state != State.OPEN:
                return False
            if locked.state is not None and locked.state.phase is not Phase.EXHAUSTED:
                if is_urgent and not locked.state.is_urgent:
                    save(connection, locked, urge(locked.state, now), now)
                return False
            # An urgent alert may have been first, whose sender died.
            fresh = begin(policy, now, is_urgent=is_urgent or locked.row.urgency != LOW)
            if locked.state is not None:
                fresh = replace(fresh, numbered=locked.state.numbered, asked=locked.state.asked)
            save(connection, locked, fresh, now)
            return True

    def unstarted(self) -> list[Unstarted]:
        """Return what a notifier has yet to begin, or died before it could: open incidents with a policy."""
        with self._store.read() as connection:
            found = connection.execute(page_statements().unstarted)
            return [Unstarted(int(number), str(policy), urgency != LOW) for number, policy, urgency in found]

    def due(self) -> list[int]:
        """Return the ids of incidents whose escalation has something to do now, the longest due first."""
        with self._store.read() as connection:
            now = self._store.now(connection)
            return [int(one) for one in connection.execute(page_statements().due, {"now": now}).scalars()]

    def under_way(self) -> dict[int, bool]:
        """Return incidents whose escalation is not over, and whether what they have to do is late, by id."""
        with self._store.read() as connection:
            now = self._store.now(connection)
            return {
                int(number): float(due_at) <= now
                for number, due_at in connection.execute(page_statements().under_way)
            }

    def next_due(self) -> float | None:
        """Return in how many seconds the next escalation has something to do, below 0 if late; None for never."""
        with self._store.read() as connection:
            found = connection.execute(page_statements().next_due).scalar()
            return None if found is None else float(found) - self._store.now(connection)

    def late_by(self) -> float:
        """Return for how many seconds a step is due that no runner has done; 0 where none is."""
        with self._store.read() as connection:
            found = [connection.execute(one).scalar() for one in page_statements().waiting_since]
            since = min((float(one) for one in found if one is not None), default=None)
            return 0.0 if since is None else max(0.0, self._store.now(connection) - since)

    def next_ways(self, incident: int) -> tuple[frozenset[tuple[str, By]], float]:
        """Return the connections of the step that is due, with how they page, and for how many seconds it is due."""
        with self._store.read() as connection:
            row = connection.execute(page_statements().escalation, {"id": incident}).one_or_none()
            now = self._store.now(connection)
        if row is None or row.escalation is None or row.due_at is None:
            return frozenset(), 0.0
        return ways_of_next(Escalation.from_json(json.loads(row.escalation)), now), now - float(row.due_at)

    def take_turn(self, incident: int, resolver: Resolver) -> tuple[ClaimedPage, ...]:
        """
        Do what is due for an incident, and claim the pages.

        :returns: those that this process has to send; none where nothing is due, or somebody else was first.
        """
        with self._store.write() as connection:
            locked = lock(connection, incident)
            if locked is None or locked.state is None:
                return ()
            # Behind the lock: who waited for it must see what is due now.
            now = self._store.now(connection)
            turn = advance(locked.state, now, lambda names, by, is_last: resolver(names, by, is_last, now))
            if turn.state == locked.state:
                return ()
            return self.store_turn(connection, locked, turn, now)

    def store_turn(
        self,
        connection: Connection,
        locked: Locked,
        turn: Turn,
        now: float,
        *,
        result: str = "",
        choices: tuple[tuple[int, str], ...] = (),
    ) -> tuple[ClaimedPage, ...]:
        """Store the next state and claim its pages, within the transaction that locked the incident."""
        save(connection, locked, turn.state, now)
        if not turn.pages:
            return ()
        others = int(connection.execute(page_statements().count_open, {"id": locked.row.id}).scalar_one())
        incident = PagedIncident(
            id=int(locked.row.id),
            title=locked.row.title,
            link=locked.row.link,
            code=locked.row.code,
            alerts=int(locked.row.alerts),
            last_owner=turn.state.last_owner,
            others=others,
            words=Words.from_text(locked.row.words),
        )
        claim = self._new_token()
        claimed = tuple(
            ClaimedPage(
                incident=incident,
                page=page,
                claim=claim,
                reference=self._new_reference(),
                claimed_at=now,
                result=result,
                choices=choices,
            )
            for page in turn.pages
        )
        connection.execute(page_statements().add_page, list(map(_row_of, claimed)))
        return claimed

    def still_wanted(self, claimed: ClaimedPage) -> bool:
        """Say whether a page may still leave: nobody has the incident, and nobody closed it."""
        if claimed.page.purpose is not Purpose.PAGE:
            return True
        with self._store.read() as connection:
            state = connection.execute(page_statements().state, {"id": claimed.incident.id}).scalar()
        return state == State.OPEN

    def shown(self, incident: int, number: int) -> ShownIncident | None:
        """
        Return what whoever was paged may see of an incident.

        :param number: of the page.
        :returns: None where there is no such page.
        """
        with self._store.read() as connection:
            row = connection.execute(
                page_statements().shown, {"incident": incident, "number": number}
            ).one_or_none()
        if row is None or row.escalation is None:
            return None
        of_incident = {State.CLOSED: Phase.CLOSED, State.ACKNOWLEDGED: Phase.ACKNOWLEDGED}
        return ShownIncident(
            id=incident,
            person=row.person,
            title=row.title,
            link=row.link,
            phase=of_incident.get(State(row.state), Phase.RUNNING),
            owner=row.owner or "",
            alerts=int(row.alerts),
            words=Words.from_text(row.words),
        )

    def record(
        self,
        claimed: ClaimedPage,
        became: Became,
        *,
        gateway: str | None = None,
        gateway_id: str | None = None,
    ) -> None:
        """
        Store what became of a page; one that certainly reached nobody may bring the next step forward.

        :param gateway: that accepted it.
        :param gateway_id: its id of the batch.
        """
        with self._store.write() as connection:
            locked = lock(connection, claimed.incident.id)
            now = self._store.now(connection)
            values = {
                "incident": claimed.incident.id,
                "number": claimed.page.number,
                "claim": claimed.claim,
                "phase": became.value,
                "gateway": gateway,
                "gateway_id": gateway_id,
                "at": now,
            }
            changed = connection.execute(page_statements().end_page, values).rowcount
            if changed and became is not Became.NOT_SENT and claimed.page.purpose is Purpose.PAGE:
                # Whoever was paged is told all clear, as everybody who was told of it.
                told = {
                    "incident": claimed.incident.id,
                    "route": _ROUTE,
                    "conn_id": claimed.page.conn_id,
                    "kind": claimed.page.by.kind,
                    "person": claimed.page.person,
                    "phone_number": "",
                    "at": now,
                }
                connection.execute(statements().put_told, told)
            if locked is not None and locked.state is not None and changed:
                state = record(locked.state, claimed.page.number, became, now)
                if state != locked.state:
                    save(connection, locked, state, now)

    def expire(self) -> list[tuple[int, int, str]]:
        """
        Turn claims whose sender must have died into doubts.

        :returns: incident, number and person of each, for the log.
        """
        with self._store.read() as connection:
            before = self._store.now(connection) - PAGE_LEASE
            if not connection.execute(page_statements().stale, {"before": before}).first():
                return []
        with self._store.write() as connection:
            stale = connection.execute(page_statements().stale, {"before": before}).all()
            for incident, number, _ in stale:
                connection.execute(page_statements().expire, {"incident": incident, "number": number})
            return [(int(incident), int(number), str(person)) for incident, number, person in stale]


def lock(connection: Connection, incident: int) -> Locked | None:
    """Return the locked row of an incident and the state of its escalation; None where there is no such incident."""
    row = connection.execute(page_statements().lock, {"id": incident}).one_or_none()
    if row is None:
        return None
    state = None if row.escalation is None else Escalation.from_json(json.loads(row.escalation))
    if state is not None and row.state == State.CLOSED and state.phase is not Phase.CLOSED:
        # Closed by a success, which knows nothing of escalations.
        state = replace(state, phase=Phase.CLOSED, due_at=None, owner="", awaited=())
    return Locked(row, state)


def save(connection: Connection, locked: Locked, state: Escalation, now: float) -> None:
    """Store the state of an escalation, and what follows from it for its incident."""
    is_owned = state.phase is Phase.ACKNOWLEDGED
    of_incident = {Phase.ACKNOWLEDGED: State.ACKNOWLEDGED, Phase.CLOSED: State.CLOSED}
    values: dict[str, Any] = {
        "number": locked.row.id,
        "escalation": json.dumps(state.to_json()),
        "state": of_incident.get(state.phase, State.OPEN).value,
        "due_at": state.due_at,
        "owner": state.owner or None,
        "now": now,
        "version": locked.row.version,
    }
    if not is_owned:
        values["acknowledged_at"] = None
    elif locked.row.state == State.ACKNOWLEDGED and locked.row.owner == state.owner:
        values["acknowledged_at"] = locked.row.acknowledged_at
    else:
        values["acknowledged_at"] = now
    if state.phase is Phase.CLOSED:
        values["acknowledged_at"] = locked.row.acknowledged_at
    statement = page_statements().close if state.phase is Phase.CLOSED else page_statements().save
    if connection.execute(statement, values).rowcount != 1:
        raise StoreUnavailableError("the row of an incident changed while it was locked; nothing was stored")


def _row_of(claimed: ClaimedPage) -> dict[str, Any]:
    page = claimed.page
    return {
        "incident": claimed.incident.id,
        "number": page.number,
        "round": page.round,
        "step": page.step,
        "purpose": page.purpose.value,
        "said": page.said,
        "person": page.person,
        "kind": page.by.kind,
        "conn_id": page.conn_id,
        "phase": CLAIMED,
        "phone_number": page.phone_number,
        "reference": claimed.reference,
        "claim": claimed.claim,
        "claimed_at": claimed.claimed_at,
        "at": claimed.claimed_at,
    }
