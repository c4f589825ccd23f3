"""
Who is owed an all clear: written with the end of an incident, claimed before it is sent, and sent once at most.

Right before a message leaves it is marked as in doubt, and is then never sent again unless it certainly was not sent.
So a sender that dies before that is followed by another one, and one that is late is stopped by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from airflow_provider_voicepartner.constants import (
    ALL_CLEAR_WITHIN,
    ALL_CLEARS_CLAIMED,
    FIRST_ALL_CLEAR_PAUSE,
    LONGEST_ALERT,
)
from airflow_provider_voicepartner.incidents.model import Resolved, Told
from airflow_provider_voicepartner.incidents.rows import told_columns, told_in

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store


class ClearPhase(StrEnum):
    """What became of an all clear to one recipient."""

    OWED = "owed"
    CLAIMED = "claimed"
    """Its sender is at work, or died before it left."""
    NOT_SENT = "not_sent"
    IN_DOUBT = "in_doubt"
    TOLD = "told"
    DROPPED = "dropped"
    """It is not so any more, or too late, or the person is no contact any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearText:
    """
    What an all clear says.

    :param english: as it is written.
    :param french: likewise.
    :param spoken: sentences to be heard.
    :param spoken_french: likewise.
    :param language: ``fr`` or ``en`` for everybody; None for the language of each person.
    """

    english: str = field(repr=False)
    french: str = field(repr=False)
    spoken: str = field(repr=False)
    spoken_french: str = field(repr=False)
    language: str | None = None

    def to_text(self) -> str:
        """Return it as the store holds it."""
        # Bounded, and without what is no character: the end of an incident must not fail because of it.
        found = {
            name: text[:LONGEST_ALERT].encode("utf-8", "replace").decode().replace("\0", "")
            for name, text in asdict(self).items()
            if text is not None
        }
        return json.dumps(found, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> ClearText:
        """Read what :meth:`to_text` wrote."""
        return cls(**json.loads(text))


TextOf = Callable[[Sequence[Resolved]], ClearText]
"""Returns the all clear of incidents; called within their transaction, so without I/O."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedClear:
    """
    An all clear that this process has to send, and nobody else.

    :param incidents: ids of those that it is about, in order.
    :param told: who is told, and how.
    :param tries: with this one.
    """

    incidents: tuple[int, ...]
    told: Told
    text: ClearText
    claim: str
    tries: int = 1

    @property
    def names(self) -> str:
        """Return its incidents and its recipient in words that may be logged."""
        ids = ", ".join(map(str, self.incidents))
        return f"the all clear of incident {ids} to {self.told.person or 'a number'}"


@dataclass(frozen=True, slots=True)
class DueClears:
    """
    What :meth:`AllClearStore.claim_due` found.

    :param claimed: to be sent by this process.
    :param late: people or numbers that were given up, since the time is over.
    """

    claimed: tuple[ClaimedClear, ...] = ()
    late: int = 0


def owe(connection: Connection, resolved: Sequence[Resolved], text_of: TextOf, now: float) -> int:
    """
    Write who is owed the all clear of incidents that are closed in the same transaction.

    :returns: how many people and numbers are told.
    """
    if not any(one.told for one in resolved):
        return 0
    said = text_of(resolved).to_text()
    rows = [
        {**told_columns(told), "incident": one.incident.id, "said": said, "now": now}
        for one in resolved
        for told in one_each(one.told)
    ]
    for row in rows:
        connection.execute(_statements()["owe"], row)
    return len({(row["person"], row["phone_number"]) for row in rows})


def one_each(told: Iterable[Told]) -> Sequence[Told]:
    """Return each person and each number once: by SMS where they were told by SMS too."""
    found: dict[str, Told] = {}
    for one in sorted(told, key=lambda one: one.kind != "sms"):
        found.setdefault(one.person or one.phone_number, one)
    return list(found.values())


class AllClearStore:
    """
    The all clears of a store. May be used by many threads.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`. Its clock counts.
    :param new_token: names a claim; injected by tests.
    """

    def __init__(self, store: Store, *, new_token: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._store, self._new_token = store, new_token

    def claim_due(self) -> DueClears:
        """
        Claim some of what is due: what nobody has sent, what certainly was not sent, what its sender died over.

        What is about an incident that is open again is dropped, and so is what is too old, and what the same people
        are told of a later incident of the same.

        :raises StoreUnavailableError: the store cannot be asked; whoever asks later is given it.
        """
        sql = _statements()
        with self._store.read() as connection:
            if not connection.execute(sql["due"], {"now": self._store.now(connection)}).first():
                return DueClears()
        claimed, late = list[ClaimedClear](), 0
        with self._store.write() as connection:
            now = self._store.now(connection)
            messages = _messages(connection.execute(sql["due"], {"now": now}).mappings())
            for rows in messages[:ALL_CLEARS_CLAIMED]:
                is_late = rows[0]["since"] < now - ALL_CLEAR_WITHIN
                is_over = is_late or any(row["is_open_again"] for row in rows)
                is_over |= all(row["is_said_later"] for row in rows)
                token = self._new_token()
                # All rows of a message are written, claimed and given back together.
                taken = [_take(connection, row, None if is_over else token, now) for row in rows]
                if not all(taken):
                    continue  # another process was first
                late += is_late
                if not is_over:
                    claimed.append(_claimed(rows, token))
        return DueClears(tuple(claimed), late)

    def leave(self, claimed: ClaimedClear) -> bool:
        """
        Mark a message as in doubt, right before it leaves.

        :returns: False where it must not leave: another process claimed it since, or an incident is open again.
        :raises StoreUnavailableError: it must not leave either.
        """
        try:
            with self._store.write() as connection:
                found = connection.execute(_statements()["leave"], {"claim": claimed.claim})
                if found.rowcount != len(claimed.incidents):
                    raise _MayNotLeaveError
        except _MayNotLeaveError:
            return False
        return True

    def record(self, claimed: ClaimedClear, phase: ClearPhase) -> None:
        """
        Store what became of a message. One that was not sent is due again after a pause, twice as long each time.

        Of one that another process has by now it says nothing.

        :raises StoreUnavailableError: what left stays in doubt, and what did not is claimed again.
        """
        with self._store.write() as connection:
            place = {"claim": claimed.claim, "phase": phase.value}
            if phase is ClearPhase.NOT_SENT:
                next_at = self._store.now(connection) + _pause(claimed.tries)
                connection.execute(_statements()["not_sent"], {**place, "next_at": next_at})
            else:
                connection.execute(_statements()["end"], place)


class _MayNotLeaveError(Exception):
    """Undoes a transaction."""


def _messages(rows: Iterable[Any]) -> list[list[Mapping[str, Any]]]:
    """Return rows by message: what says the same of the same success to the same recipient."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["since"], row["said"], row["person"], row["phone_number"]), []).append(row)
    return list(found.values())


def _take(connection: Connection, row: Mapping[str, Any], token: str | None, now: float) -> bool:
    """Claim a row as it was read; drop it without a token."""
    values = {name: row[name] for name in ("incident", "person", "phone_number", "tries", "said")}
    if token is None:
        values |= {"phase": ClearPhase.DROPPED.value, "claim": "", "said": "", "next_at": None}
    else:
        values |= {
            "phase": ClearPhase.CLAIMED.value, "claim": token, "next_at": now + _pause(row["tries"] + 1),
        }  # fmt: skip
    return bool(connection.execute(_statements()["take"], values).rowcount)


def _pause(tries: int) -> float:
    return cast(float, FIRST_ALL_CLEAR_PAUSE * 2 ** (tries - 1))


def _claimed(rows: Sequence[Mapping[str, Any]], token: str) -> ClaimedClear:
    return ClaimedClear(
        incidents=tuple(sorted(int(row["incident"]) for row in rows)),
        told=one_each(map(told_in, rows))[0],
        text=ClearText.from_text(rows[0]["said"]),
        claim=token,
        tries=int(rows[0]["tries"]) + 1,
    )


@cache
def _statements() -> dict[str, Any]:
    from sqlalchemy import text

    from airflow_provider_voicepartner.db.schema import all_clear, incident

    name = all_clear.name
    is_open_again = (
        f"EXISTS (SELECT 1 FROM {incident.name} again JOIN {incident.name} ended ON again.open_key = ended.key "
        f"WHERE ended.id = {name}.incident)"
    )
    is_said_later = (
        f"EXISTS (SELECT 1 FROM {name} later JOIN {incident.name} newer ON newer.id = later.incident "
        f"JOIN {incident.name} ended ON newer.key = ended.key WHERE ended.id = {name}.incident "
        f"AND newer.id > ended.id AND later.person = {name}.person AND later.phone_number = {name}.phone_number)"
    )
    return {
        # An incident is closed once, so a row that is there already says the same.
        "owe": text(
            f"INSERT INTO {name} (incident, person, phone_number, conn_id, kind, said, phase, claim, tries, since, "
            "next_at) VALUES (:incident, :person, :phone_number, :conn_id, :kind, :said, 'owed', '', 0, :now, :now) "
            "ON CONFLICT DO NOTHING"
        ),
        "due": text(
            f"SELECT {name}.*, {is_open_again} AS is_open_again, {is_said_later} AS is_said_later "
            f"FROM {name} WHERE next_at <= :now ORDER BY since, incident, person, phone_number"
        ),
        "take": text(
            f"UPDATE {name} SET phase = :phase, claim = :claim, said = :said, tries = tries + 1, next_at = :next_at "
            "WHERE incident = :incident AND person = :person AND phone_number = :phone_number "
            "AND tries = :tries AND next_at IS NOT NULL"
        ),
        "leave": text(
            f"UPDATE {name} SET phase = 'in_doubt', next_at = NULL WHERE claim = :claim AND phase = 'claimed' "
            f"AND NOT {is_open_again}"
        ),
        "not_sent": text(
            f"UPDATE {name} SET phase = :phase, next_at = :next_at "
            "WHERE claim = :claim AND phase IN ('claimed', 'in_doubt')"
        ),
        "end": text(
            f"UPDATE {name} SET phase = :phase, next_at = NULL, said = '' "
            "WHERE claim = :claim AND phase IN ('claimed', 'in_doubt')"
        ),
    }
