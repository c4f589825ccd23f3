"""
Opt-outs: the list of all numbers that said STOP, and the recognition of one STOP that is reported twice.

The list holds keyed hashes, which stay when a purge deletes everything else about a person. A hash answers "did this
number say STOP?"; without the key, nobody can read the numbers from the list. The key is configured, or the store makes
its own; in that case whoever has the whole store can try out numbers.

A gateway may report one STOP twice: as the text that the person wrote, and in the delivery report of the message. Both
name the person and the campaign, and the first event of either kind has a digest of these two. A person who writes STOP
again later makes another event, with the digest that every message has.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from airflow_provider_voicepartner.constants import HASHES_A_PURGE, SHORTEST_SECRET
from airflow_provider_voicepartner.delivery.statements import Statements, rows_as_json
from airflow_provider_voicepartner.delivery.store_rows import Row, time_key
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


_OWN: Final = "opt_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOptOut:
    """
    An entry of the list.

    :param said_at: when the person said STOP, in Unix seconds; the earliest time that is known.
    :param gateway: that reported it.
    """

    said_at: float
    gateway: str


class _Key(NamedTuple):
    """
    A key of the list's hashes.

    :param mark: identifies it without showing it.
    """

    mark: str
    secret: bytes

    @classmethod
    def of(cls, text: str) -> _Key:
        secret = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32, person=b"opt-out key")
        mark = hashlib.blake2b(digest_size=8, key=secret.digest(), person=b"which key").hexdigest()
        return cls(mark, secret.digest())

    def person(self, phone_number: str) -> str:
        return hashlib.blake2b(
            phone_number.encode("utf-8", "replace"), digest_size=16, key=self.secret
        ).hexdigest()


class OptOutList:
    """
    The list in an open store; used within its transactions.

    :param statements: of the store.
    :param keys: newest first; the first one hashes new entries, all are looked up. If empty, the store makes its own.
    :raises InvalidArgumentError: a key has fewer than 16 characters.
    """

    def __init__(self, statements: Statements, keys: Sequence[str] = ()) -> None:
        if any(len(key) < SHORTEST_SECRET for key in keys):
            raise InvalidArgumentError("opt_out_key", f"must have at least {SHORTEST_SECRET} characters")
        self._sql = statements
        self._given = tuple(map(_Key.of, keys))

    def add_expiring(self, connection: Connection, *, before: float, phone_number: str | None = None) -> None:
        """
        Add the numbers to the list whose STOPs are about to be deleted; within a write transaction.

        :param before: STOPs that were received before this moment, in Unix seconds.
        :param phone_number: only of this number, in E.164; None for all.
        """
        statement = self._sql.stops if phone_number is None else self._sql.stops_of
        found = connection.execute(statement, {"before": before, "number": phone_number}).all()
        if not found:
            return
        key = (self._given or (self._own_key(connection),))[0]
        rows: dict[str, dict[str, object]] = {}
        for number, gateway, at, received_at in found:
            row = {
                "key": key.mark,
                "person": key.person(number),
                "said_at": received_at if at is None else at,
                "gateway": gateway,
            }
            known = rows.setdefault(key.person(number), row)
            if row["said_at"] < known["said_at"]:
                rows[key.person(number)] = row
        self._sql.put_opt_out(connection, list(rows.values()))

    def find(self, connection: Connection, phone_numbers: Iterable[str]) -> dict[str, KnownOptOut]:
        """
        Return which of these numbers are on the list.

        :param phone_numbers: in E.164.
        :raises InvalidArgumentError: a part of the list was made with a key that is not given.
        """
        keys = self._keys(connection)
        numbers = list(dict.fromkeys(phone_numbers))
        found: dict[str, KnownOptOut] = {}
        for start in range(0, len(numbers) if keys else 0, HASHES_A_PURGE):
            places = {
                (key.mark, key.person(number)): number
                for number in numbers[start : start + HASHES_A_PURGE]
                for key in keys
            }
            rows = connection.execute(self._sql.opt_outs_by_hash, {"keys": rows_as_json(list(places))})
            for mark, person, said_at, gateway in rows:
                number = places[mark, person]
                if number not in found or said_at < found[number].said_at:
                    found[number] = KnownOptOut(said_at=said_at, gateway=gateway)
        return found

    def _keys(self, connection: Connection) -> list[_Key]:
        """Return the available keys that were used for the list."""
        used = set(connection.execute(self._sql.keys_of_opt_outs).scalars())
        own = connection.execute(self._sql.own_key, {"name": _OWN}).scalar()
        available = [*self._given, *([_Key.of(own)] if own else [])]
        if used - {key.mark for key in available}:
            raise InvalidArgumentError(
                "opt_out_key",
                "lacks a key that a part of the list of opt-outs was made with; write that key after the new one, "
                "separated by a space: without it, opt-outs in that part would not be recognised",
            )
        return [key for key in available if key.mark in used]

    def _own_key(self, connection: Connection) -> _Key:
        """Return the store's own key; it is made when it is first needed, within a write transaction."""
        connection.execute(self._sql.make_own_key, {"name": _OWN, "value": secrets.token_hex(32)})
        return _Key.of(connection.execute(self._sql.own_key, {"name": _OWN}).scalar_one())


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedEvents:
    """
    The events of a group, with STOPs that are reported twice resolved.

    :param events: to be added unless their digest is known.
    :param texts: STOPs that a person wrote and of which a delivery report is stored already: they complete that event.
    """

    events: Sequence[Row]
    texts: Sequence[Row]


def digests_to_look_up(events: Iterable[Row]) -> list[str]:
    """Return the digests under which the STOPs that persons wrote may be stored already."""
    return sorted({row["digest"] for row in events if "digest_of_text" in row})


def resolve_opt_outs(events: Iterable[Row], known: Mapping[str, Row]) -> ResolvedEvents:
    """
    Give each STOP that a person wrote the digest under which it is stored as one event.

    :param events: of one group, in their order.
    :param known: the events that have one of :func:`digests_to_look_up`, with ``text``, ``at`` and ``received_at``.
    """
    seen: dict[str, Row] = dict(known)
    resolved, texts = [], []
    for row in events:
        first = seen.setdefault(row["digest"], row)
        if first is not row and "digest_of_text" in row and not _is_repeat(first, row):
            if row["text"] and not first["text"]:
                texts.append(row)
                seen[row["digest"]] = row
            else:
                row = {**row, "digest": row["digest_of_text"]}
        resolved.append(row)
    return ResolvedEvents(events=resolved, texts=texts)


def _is_repeat(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one["text"] == other["text"] and (
        time_key(one["at"], one["received_at"]) == time_key(other["at"], other["received_at"])
    )
