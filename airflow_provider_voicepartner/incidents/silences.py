"""Silences: which alerts nobody is told of, by matchers and for a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_provider_voicepartner.constants import (
    LONGEST_MATCHER,
    LONGEST_SILENCE_COMMENT,
    MOST_SILENCE_SECONDS,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.incidents.keys import fit
from airflow_provider_voicepartner.incidents.model import Alert

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

FIELDS: Final = ("dag_id", "task_id", "run_id", "what", "key")
"""What a matcher may name."""

_PERSON_LENGTH: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """
    One silence, as the store has it.

    :param matchers: a pattern for each field, all of which must match; ``*``, ``?`` and ``[seq]`` are wildcards.
    :param begins_at: Unix seconds, like all times here.
    :param ends_at: from this moment on it has ended.
    """

    id: int
    matchers: Mapping[str, str]
    begins_at: float
    ends_at: float
    author: str
    comment: str
    created_at: float

    def matches(self, alert: Alert) -> bool:
        """Say whether nobody is to be told of an alert, at a time when the silence is in force."""
        fields = {name: getattr(alert.occurrence, name) for name in FIELDS if name != "key"}
        fields["key"] = alert.key
        return bool(self.matchers) and all(
            name in fields and fnmatchcase(fields[name], pattern) for name, pattern in self.matchers.items()
        )

    def __str__(self) -> str:
        """Name it for logs."""
        return f"silence {self.id} ({matchers_text(self.matchers)})"


def read_matchers(given: Iterable[str]) -> dict[str, str]:
    """
    Read matchers such as ``dag_id=etl_*``.

    :raises InvalidArgumentError: none at all, one without a known field or a pattern, or a field that comes twice.
    """
    matchers: dict[str, str] = {}
    for text in given:
        name, mark, pattern = (part.strip() for part in text.partition("="))
        if not mark or name not in FIELDS:
            raise InvalidArgumentError(
                "match",
                f"is {text!r}; write a field and a pattern, such as dag_id=etl_*: {', '.join(FIELDS)}",
            )
        if not pattern or len(pattern) > LONGEST_MATCHER or fit(pattern, 4 * LONGEST_MATCHER) != pattern:
            raise InvalidArgumentError(
                "match", f"{name} needs a pattern of 1 to {LONGEST_MATCHER} printable characters"
            )
        if name in matchers:
            raise InvalidArgumentError("match", f"names {name} twice; all matchers of a silence must match")
        matchers[name] = pattern
    if not matchers:
        raise InvalidArgumentError("match", "is missing; a silence needs at least one, such as dag_id=etl_*")
    return matchers


def matchers_text(matchers: Mapping[str, str]) -> str:
    """Return matchers as they are written."""
    return " ".join(f"{name}={pattern}" for name, pattern in matchers.items())


class Silences:
    """
    The silences of a store.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        matchers: Mapping[str, str],
        *,
        seconds: float,
        begins_at: float | None = None,
        author: str = "",
        comment: str = "",
    ) -> Silence:
        """
        Add a silence.

        :param matchers: of :func:`read_matchers`.
        :param seconds: how long it lasts.
        :param begins_at: Unix seconds; None for now.
        :raises InvalidArgumentError: a time or a text is not possible.
        """
        read_matchers(f"{name}={pattern}" for name, pattern in matchers.items())
        if not 0 < seconds <= MOST_SILENCE_SECONDS:
            raise InvalidArgumentError(
                "for", f"must be above zero and at most {MOST_SILENCE_SECONDS // 86_400} days"
            )
        if len(comment) > LONGEST_SILENCE_COMMENT:
            raise InvalidArgumentError("comment", f"has more than {LONGEST_SILENCE_COMMENT} characters")
        with self._store.write() as connection:
            now = self._store.now(connection)
            begin = now if begins_at is None else begins_at
            if begin + seconds <= now:
                raise InvalidArgumentError("from", "is so long ago that the silence has ended already")
            values: dict[str, Any] = {
                "matchers": json.dumps(dict(matchers)),
                "begins_at": begin,
                "ends_at": begin + seconds,
                "author": fit(author, _PERSON_LENGTH),
                "comment": fit(comment, 4 * LONGEST_SILENCE_COMMENT + 32),
                "created_at": now,
            }
            added = connection.execute(_statements().add, values)
            number = int(cast(Any, added.inserted_primary_key)[0])
        return Silence(**{**values, "id": number, "matchers": dict(matchers)})

    def find(self, *, ended: bool = False) -> list[Silence]:
        """
        Return the silences that have not ended, in the order in which they begin.

        :param ended: True gives those too that have.
        """
        with self._store.read() as connection:
            now = 0.0 if ended else self._store.now(connection)
            return _silences(connection.execute(_statements().all, {"now": now}))

    def end(self, silence: int) -> bool:
        """End a silence now; return False where none with this id is in force or to come."""
        with self._store.write() as connection:
            values = {"silence": silence, "now": self._store.now(connection)}
            return connection.execute(_statements().end, values).rowcount > 0


def silence_of(connection: Connection, alert: Alert, now: float) -> Silence | None:
    """Return a silence in force that matches an alert, within a transaction."""
    found = _silences(connection.execute(_statements().active, {"now": now}))
    return next((silence for silence in found if silence.matches(alert)), None)


def _silences(rows: Any) -> list[Silence]:
    read = []
    for row in rows.mappings():
        try:
            matchers = json.loads(row["matchers"])
        except ValueError:
            matchers = {}
        # One that somebody changed by hand into something unreadable silences nothing.
        if isinstance(matchers, dict) and all(isinstance(one, str) for one in matchers.values()):
            read.append(Silence(**{**row, "matchers": matchers}))
    return read


@cache
def _statements() -> _Statements:
    return _Statements()


class _Statements:
    """The statements, built once; SQLAlchemy is imported here."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, insert, select, update

        from airflow_provider_voicepartner.db.schema import silence

        column = silence.c
        now: Any = bindparam("now")
        self.add = insert(silence)
        self.all = select(silence).where(column.ends_at > now).order_by(column.begins_at, column.id)
        self.active = (
            select(silence).where(and_(column.begins_at <= now, column.ends_at > now)).order_by(column.id)
        )
        self.end = (
            update(silence)
            .where(and_(column.id == bindparam("silence"), column.ends_at > now))
            .values(ends_at=now)
        )
