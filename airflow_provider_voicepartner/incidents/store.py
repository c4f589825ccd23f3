"""
Incidents in the store: an alert opens or joins one, and one of all senders is told to tell people.

Everything that is decided about an incident is decided in one transaction that holds the lock of its row.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import (
    CLOCKS_APART,
    DUE_MESSAGES,
    INCIDENT_LEASE,
    INCIDENTS_LISTED,
    LONGEST_INCIDENT_LINK,
    LONGEST_INCIDENT_TITLE,
    OPENING_ATTEMPTS,
    SAME_ALERT_WITHIN,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.incidents.clearing import AllClearStore, TextOf
from airflow_provider_voicepartner.incidents.codes import free_code
from airflow_provider_voicepartner.incidents.inhibition import inhibit_counted, inhibitor_of
from airflow_provider_voicepartner.incidents.keys import at_most_text, fit
from airflow_provider_voicepartner.incidents.marks import Marks
from airflow_provider_voicepartner.incidents.model import (
    Alert,
    Decision,
    DueMessage,
    Incident,
    Occurrence,
    Outcome,
    Resolved,
    State,
    Success,
    Told,
)
from airflow_provider_voicepartner.incidents.raising import is_raised_by, raise_urgency
from airflow_provider_voicepartner.incidents.recovery import close, close_keys, lock_open, resolve
from airflow_provider_voicepartner.incidents.routes import Route
from airflow_provider_voicepartner.incidents.rows import (
    chunks,
    incident_of,
    occurrence_columns,
    put_route,
    read_route,
    route_of,
    told_columns,
    told_of,
)
from airflow_provider_voicepartner.incidents.silences import silence_of
from airflow_provider_voicepartner.incidents.statements import statements

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

_OPEN: Final = (State.OPEN, State.ACKNOWLEDGED)


def _new_token() -> str:
    """Return a name that no other claim has."""
    return secrets.token_hex(16)


def _may_be_another(alert: Alert, at: float, now: float) -> bool:
    """Say whether an alert may be of a later failure: a run that is cleared, or made again, has the same name."""
    happened, began = alert.occurrence, alert.run_began_at
    if began is not None and at < began - CLOCKS_APART:
        return True
    return not happened.task_id and not happened.moment and now - at > SAME_ALERT_WITHIN


class IncidentStore:
    """
    The incidents of a store. May be used by many threads.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`. Its clock is that of incidents.
    :param new_token: makes the name of a claim; injected by tests.
    :param choose: picks one of several codes; injected by tests.
    """

    def __init__(
        self,
        store: Store,
        *,
        new_token: Callable[[], str] = _new_token,
        choose: Callable[[Sequence[int]], int] = random.choice,
    ) -> None:
        self._store = store
        self._new_token = new_token
        self._choose = choose
        self._marks = Marks()
        self.all_clears = AllClearStore(store)
        """Of the same store."""

    # Alerts

    def report(self, alert: Alert, *, lease: float = INCIDENT_LEASE) -> Decision:
        """
        Decide what an alert's sender is to do: one transaction.

        :param lease: the seconds within which a sender says :meth:`told` or :meth:`not_told`; after them it counts as
            dead, and the next one tells, saying that it may be a repeat.
        :returns: ``CLAIMED``: send, and say what became of it. Anything else: send nothing.
        :raises StoreUnavailableError: the store cannot be asked; then send.
        """
        with self._store.in_turn(), self._store.write() as connection:
            now = self._store.now(connection)
            audience = self._marks.audience(connection, alert.audience)
            route = self._marks.route(connection, alert.route)
            row = {**occurrence_columns(alert.occurrence), "route": route, "claim": "", "at": now}
            silence = silence_of(connection, alert, now)
            if silence is not None:
                return self._held(connection, alert, row, Outcome.SILENCED, str(silence))
            inhibitor = inhibitor_of(connection, alert, audience)
            if inhibitor:
                return self._held(connection, alert, row, Outcome.INHIBITED, inhibitor)
            incident, is_new = self._join(connection, alert, now)
            if is_raised_by(incident, alert):
                raise_urgency(connection, int(incident.id), now)
            decision = self._decide(connection, alert, row, audience, (incident, is_new), now, lease)
        if alert.policy and incident.policy is None:
            self._adopt(decision.incident, alert)
        return decision

    def _adopt(self, incident: int, alert: Alert) -> None:
        """Let people be paged of an incident that an alert without a policy opened; its claim is not lost by this."""
        with suppress(StoreUnavailableError), self._store.write() as connection:
            # Before the row, as whoever opens an incident: else two of them would wait for each other.
            code = free_code(connection, self._choose)
            values = {"incident": incident, "policy": alert.policy, "urgency": alert.urgency, "code": code}
            connection.execute(statements().adopt, values)

    def _held(
        self, connection: Connection, alert: Alert, row: dict[str, Any], outcome: Outcome, by: str
    ) -> Decision:
        sql, now = statements(), row["at"]
        found = lock_open(connection, alert.key, now)
        incident = 0 if found is None else int(found.id)
        added = connection.execute(sql.add_alert, {**row, "incident": incident, "outcome": outcome.value})
        if incident and added.rowcount > 0:
            connection.execute(sql.count, {"incident": incident, "now": now})
        return Decision(outcome=outcome, incident=incident, route=row["route"], by=by)

    def _join(self, connection: Connection, alert: Alert, now: float) -> tuple[Any, bool]:
        """Return the locked row of the open incident with the alert's key, and whether it was made now."""
        sql, is_new = statements(), False
        for _ in range(OPENING_ATTEMPTS):
            found = lock_open(connection, alert.key, now)
            if found is not None:
                return found, is_new
            code = free_code(connection, self._choose) if alert.policy else None
            values = {
                **occurrence_columns(alert.occurrence),
                "key": fit(alert.key),
                "title": fit(alert.title, LONGEST_INCIDENT_TITLE),
                "words": alert.words.to_text(),
                "link": fit(alert.link, LONGEST_INCIDENT_LINK),
                "policy": alert.policy,
                "urgency": alert.urgency,
                "code": code,
                "now": now,
            }
            is_new = connection.execute(sql.open, values).rowcount > 0
        raise StoreUnavailableError("the incident is opened and closed all the time by others; tell people")

    def _decide(
        self,
        connection: Connection,
        alert: Alert,
        row: dict[str, Any],
        audience: str,
        joined: tuple[Any, bool],
        now: float,
        lease: float,
    ) -> Decision:
        sql, (incident, is_new) = statements(), joined
        found, _ = read_route(connection, incident.id, row["route"])
        route = replace(found, at_most=alert.at_most)
        decision: dict[str, Any] = {
            "incident": int(incident.id),
            "route": row["route"],
            "code": incident.code,
        }
        known = connection.execute(sql.alert, row).one_or_none()
        if known is not None and (known.incident != incident.id or _may_be_another(alert, known.at, now)):
            known = None
        if known is not None and known.outcome not in (Outcome.SILENCED, Outcome.INHIBITED):
            # Airflow called the same callback twice, or its sender died, or nobody could be told.
            is_dead = known.outcome == Outcome.CLAIMED and known.claim in route.dead(now)
            if not (is_dead or known.outcome == Outcome.LOST) or not route.may_tell(now):
                return Decision(outcome=Outcome.COUNTED, by="the same alert before", **decision)
            new = 0
        else:
            new = 1
            connection.execute(sql.count, {"incident": incident.id, "now": now})
        if not route.may_tell(now):
            put_route(connection, incident.id, row["route"], route.counted(now), audience=audience, now=now)
            connection.execute(
                sql.put_alert, {**row, "incident": incident.id, "outcome": Outcome.COUNTED.value}
            )
            by = f"at most {at_most_text(alert.at_most)}"
            return Decision(outcome=Outcome.COUNTED, by=by, is_new=is_new, **decision)
        token, in_doubt = self._claim(connection, incident.id, row["route"], route, audience, now, lease, new)
        connection.execute(
            sql.put_alert,
            {**row, "incident": incident.id, "outcome": Outcome.CLAIMED.value, "claim": token},
        )
        more = route.pending(now) + new - 1
        return Decision(
            outcome=Outcome.CLAIMED,
            claim=token,
            more=max(0, more),
            is_new=is_new,
            may_be_repeat=in_doubt,
            **decision,
        )

    def _claim(
        self,
        connection: Connection,
        incident: int,
        mark: str,
        route: Route,
        audience: str,
        now: float,
        lease: float,
        new: int,
    ) -> tuple[str, bool]:
        """Claim what is pending; return the claim's token, and whether a sender died over some of it."""
        sql, token, dead = statements(), self._new_token(), route.dead(now)
        claimed = route.claimed(token, now, seconds=lease, new=new)
        put_route(connection, incident, mark, claimed, audience=audience, now=now)
        connection.execute(sql.take_over, {"incident": incident, "route": mark})
        for one in dead:
            connection.execute(sql.take_claim_over, {"claim": one})
        return token, bool(dead)

    def told(self, decision: Decision, recipients: Iterable[Told]) -> None:
        """
        Give a claim back: people were told, or may have been.

        Of a claim that ended meanwhile it does no harm, and is not lost either.

        :param decision: that was ``CLAIMED``.
        :param recipients: those for whom the message was accepted, or may have been.
        :raises StoreUnavailableError: the claim then ends by itself.
        """
        self._give_back(decision, Outcome.TOLD, [told_columns(one) for one in recipients])

    def not_told(self, decision: Decision) -> None:
        """
        Give a claim back: certainly nobody was told. The next alert tells at once, and the watchdog does.

        :raises StoreUnavailableError: the claim then ends by itself.
        """
        self._give_back(decision, Outcome.LOST, [])

    def _give_back(self, decision: Decision, outcome: Outcome, recipients: list[dict[str, Any]]) -> None:
        if not decision.claim:
            return
        sql, place = statements(), {"incident": decision.incident, "route": decision.route}
        with self._store.write() as connection:
            if connection.execute(sql.lock, {"incident": decision.incident}).one_or_none() is None:
                return  # it was purged
            now = self._store.now(connection)
            route, audience = read_route(connection, decision.incident, decision.route)
            change = route.told if outcome is Outcome.TOLD else route.not_told
            put_route(
                connection,
                decision.incident,
                decision.route,
                change(decision.claim, now),
                audience=audience,
                now=now,
            )
            connection.execute(sql.end_claim, {"claim": decision.claim, "outcome": outcome.value})
            connection.execute(sql.touch, {"incident": decision.incident, "now": now})
            for one in recipients:
                connection.execute(sql.put_told, {**place, **one, "at": now})
        if outcome is Outcome.TOLD:
            with self._store.write() as connection:
                inhibit_counted(connection, decision.claim, audience, now)

    # What nobody was told of yet

    def due_messages(self, most: int = DUE_MESSAGES) -> list[DueMessage]:
        """
        Return what may be told now and is not: alerts that were counted, of a sender who died, or told to nobody.

        What it returns is still nobody's; see :meth:`claim_due`.

        :param most: how many, those due longest first.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        sql, due = statements(), []
        with self._store.read() as connection:
            now = self._store.now(connection)
            for row in connection.execute(sql.due, {"now": now, "most": most}).mappings():
                route = route_of(row)
                incident = self._get(connection, row["incident"])
                if incident is None or not route.pending(now) or not route.may_tell(now):
                    continue
                told = told_of(connection, incident.id, route=row["route"])
                due.append(
                    DueMessage(
                        incident=incident,
                        route=row["route"],
                        alerts=route.pending(now),
                        told=told,
                        may_be_repeat=bool(route.dead(now)),
                    )
                )
        return due

    def claim_due(self, due: DueMessage, *, lease: float = INCIDENT_LEASE) -> Decision | None:
        """
        Claim a due message; give it back with :meth:`told` or :meth:`not_told`.

        :returns: None where somebody else told meanwhile. ``more`` is all that the message is about.
        :raises StoreUnavailableError: the store cannot be asked; whoever asks later is given it.
        """
        sql = statements()
        with self._store.write() as connection:
            found = connection.execute(sql.lock, {"incident": due.incident.id}).one_or_none()
            if found is None or found.state == State.CLOSED:
                return None
            now = self._store.now(connection)
            route, audience = read_route(connection, due.incident.id, due.route)
            more = route.pending(now)
            if not more or not route.may_tell(now):
                return None
            token, in_doubt = self._claim(
                connection, due.incident.id, due.route, route, audience, now, lease, 0
            )
            return Decision(
                outcome=Outcome.CLAIMED,
                incident=due.incident.id,
                route=due.route,
                claim=token,
                more=more,
                code=found.code,
                may_be_repeat=in_doubt,
            )

    def known(self, occurrences: Iterable[Occurrence]) -> set[Occurrence]:
        """
        Return which of these an alert was about, on any route.

        All of them are somebody's business: told, held back on purpose, or a due message sooner or later.

        :raises StoreUnavailableError: the store cannot be asked.
        """
        wanted = {tuple(occurrence_columns(one).values()): one for one in occurrences}
        runs: dict[str, set[str]] = {}
        for dag_id, run_id, *_ in wanted:
            runs.setdefault(dag_id, set()).add(run_id)
        found = set()
        with self._store.read() as connection:
            for dag_id, of_dag in runs.items():
                for some in chunks(sorted(of_dag)):
                    values = {"dag_id": dag_id, "runs": some}
                    found |= {(dag_id, *row) for row in connection.execute(statements().known, values)}
        return {one for key, one in wanted.items() if key in found}

    def tasks_told(self, dag_id: str, run_id: str, since: float) -> frozenset[str]:
        """
        Return the tasks of a run of whose failure people were told, or on purpose were not.

        :param since: Unix seconds; when the run began.
        :returns: names; of a mapped instance with its index after ``_`` too, as Airflow 3 writes it.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        values = {"dag_id": fit(dag_id), "run_id": fit(run_id), "since": since - CLOCKS_APART}
        with self._store.read() as connection:
            rows = connection.execute(statements().of_tasks, values).all()
        told = [row for row in rows if row.outcome not in (Outcome.CLAIMED, Outcome.LOST)]
        instances = {f"{row.task_id}_{row.map_index}" for row in told if row.map_index >= 0}
        return frozenset(instances | {row.task_id for row in told})

    # When it works again

    def resolve(self, success: Success, text_of: TextOf | None = None) -> list[Resolved]:
        """
        Clear what failed before a success, and close the incidents of which all has succeeded since.

        An incident of a mapped task stays open until each instance that failed has succeeded, or its DAG has.

        :param text_of: the all clear that everybody who was told is owed from now on; None owes nobody one.
        :returns: those that were closed, to one caller only.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        with self._store.write() as connection:
            return resolve(connection, success, self._store.now(connection), text_of)

    def close(self, *keys: str, text_of: TextOf | None = None) -> list[Resolved]:
        """Close the open incidents with keys, of whatever else than a DAG or a task; else as :meth:`resolve`."""
        with self._store.write() as connection:
            return close_keys(connection, keys, self._store.now(connection), text_of)

    def close_by_hand(self, incident: int) -> bool | None:
        """
        Close an incident that pages nobody; nobody is told of it.

        :returns: False where it was closed already, None where there is none with this id.
        :raises StoreUnavailableError: the store cannot be asked.
        """
        with self._store.write() as connection:
            if connection.execute(statements().lock, {"incident": incident}).one_or_none() is None:
                return None
            return close(connection, incident, self._store.now(connection)) is not None

    # Reading

    def get(self, incident: int) -> Incident | None:
        """Return one incident; None where there is none with this id."""
        with self._store.read() as connection:
            return self._get(connection, incident)

    def find(self, states: Sequence[State] = _OPEN, *, most: int = INCIDENTS_LISTED) -> list[Incident]:
        """Return incidents in these states, the newest first."""
        values = {"states": [state.value for state in states], "most": most}
        with self._store.read() as connection:
            return [incident_of(row) for row in connection.execute(statements().incidents, values).mappings()]

    def told_of(self, incident: int) -> tuple[Told, ...]:
        """Return who was told of an incident, on any route, in the order in which they were told last."""
        with self._store.read() as connection:
            return told_of(connection, incident)

    @staticmethod
    def _get(connection: Connection, incident: int) -> Incident | None:
        row = connection.execute(statements().incident, {"incident": incident}).mappings().one_or_none()
        return None if row is None else incident_of(row)
