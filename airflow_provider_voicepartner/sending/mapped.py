"""
Instances of one mapped task compare their lists, so that none sends what another one has sent.

Airflow tells instances apart by position alone. When upstream is made anew, in another order or with one recipient more
at its front, recipients move to another instance, whose own ledger knows nothing of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.gateways.model import Recipient, phone_numbers_of
from airflow_provider_voicepartner.sending.records import hash_slowly

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store


ALONE: Final = ""
"""The expansion of a list of which nobody can say that another one was made together with it."""

_MARK: Final = 8


def task_name(*parts: str) -> str:
    """Return the name that all instances of a mapped task share, 32 hexadecimal digits; the parts are not in it."""
    lengths = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(lengths.encode(errors="surrogatepass")).hexdigest()[:32]


def list_name(task: str, fingerprint: str) -> str:
    """
    Return the name of a list in the store, 32 hexadecimal digits, from which nobody finds out who is in it.

    No key of an account is in it, so that an instance knows its own list again under a rotated one.

    :param task: see :func:`task_name`.
    :param fingerprint: of what is sent.
    """
    return hash_slowly(fingerprint, salt=task)[:32]


def mark_key(key: bytes) -> bytes:
    """Return 8 bytes that tell one key from another."""
    return hashlib.blake2b(digest_size=_MARK, key=key, person=b"mapped key").digest()


def mark_recipients(key: bytes, batches: Iterable[Sequence[Recipient]]) -> bytes:
    """
    Return 8 bytes for each recipient, which show that it is the same one and not who it is.

    :param key: of the account, so that nobody else can try out numbers.
    :param batches: whose recipients to mark.
    """
    marks = bytearray()
    for batch in batches:
        for number in phone_numbers_of(batch):
            marks += hashlib.blake2b(
                number.encode(), digest_size=_MARK, key=key, person=b"mapped list"
            ).digest()
    return bytes(marks)


def _split(marks: bytes) -> Iterable[bytes]:
    return (marks[at : at + _MARK] for at in range(0, len(marks), _MARK))


@dataclass(frozen=True, kw_only=True)
class MappedList:
    """
    The list of one instance of a mapped task, among those that the others had.

    :param store: where all instances look.
    :param task: see :func:`task_name`.
    :param map_index: which instance.
    :param fingerprint: of what it would send.
    :param marks: of its recipients, see :func:`mark_recipients`.
    :param key: with which they were marked, see :func:`mark_key`; marks of different keys cannot be compared.
    :param expansion: the same for lists that were made together, at most 32 characters; :data:`ALONE` where unknown.
    :param attempt: of this instance, from 1, as its ledger counts them.
    """

    store: Store
    task: str
    map_index: int
    fingerprint: str
    marks: bytes
    expansion: str
    attempt: int
    key: bytes = b""

    def claim(self) -> None:
        """
        Record that this list is about to be sent, unless another instance may have sent to somebody in it.

        Lists that were made together may name the same recipients: that is what the user wanted. A list that this
        instance claimed before needs no second check.

        :raises ConfigurationError: a recipient was in a list that another instance had before all were made anew.
        :raises RetryableNotSentError: the store cannot be reached now.
        """
        problem: StoreUnavailableError
        try:
            with self.store.write() as connection:
                self._claim(connection)
            return
        except StoreUnavailableError as error:
            problem = error
        raise RetryableNotSentError(
            f"it is unknown whether another mapped instance had these recipients: {problem}. Nothing was sent"
        )

    def release(self) -> None:
        """Record that nothing of this list was sent, so any instance may send it; a later attempt's claim stays."""
        from sqlalchemy import update

        from airflow_provider_voicepartner.db.schema import mapped_list

        table = mapped_list.c
        with self.store.write() as connection:
            connection.execute(
                update(mapped_list)
                .where(self._is_mine(), table.fingerprint == self.fingerprint, table.attempt == self.attempt)
                .values(people=None)
            )

    def _claim(self, connection: Connection) -> None:
        from sqlalchemy import insert, select, update

        from airflow_provider_voicepartner.db.schema import mapped_list

        self._wait_for_the_others(connection)
        table = mapped_list.c
        columns = table.fingerprint, table.expansion, table.attempt, table.people.is_not(None)
        rows = connection.execute(select(*columns).where(self._is_mine())).all()
        known = {
            fingerprint: (expansion, attempt, is_claimed)
            for fingerprint, expansion, attempt, is_claimed in rows
        }
        expansion, attempt, is_claimed = known.get(
            self.fingerprint, (self._new_expansion(known.values()), 0, False)
        )
        if not is_claimed:
            self._refuse_moved_recipients(connection, expansion)
        values = {
            "attempt": max(attempt, self.attempt),
            "people": self.key + self.marks,
            "at": self.store.now(connection),
        }
        if self.fingerprint in known:
            same = self._is_mine(), table.fingerprint == self.fingerprint
            connection.execute(update(mapped_list).where(*same).values(**values))
            return
        place = {"task": self.task, "map_index": self.map_index, "fingerprint": self.fingerprint}
        connection.execute(insert(mapped_list).values(**place, expansion=expansion, **values))

    def _wait_for_the_others(self, connection: Connection) -> None:
        """Let instances check and record one after the other; on SQLite a write transaction is alone anyhow."""
        from sqlalchemy import text

        if self.store.is_postgres:
            number = int.from_bytes(bytes.fromhex(self.task)[:8], signed=True)
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})

    def _new_expansion(self, known: Iterable[tuple[str, int, bool]]) -> str:
        """Return what a list that is new here was made with: nothing known, if this instance had one of the same."""
        had = {expansion for expansion, _, _ in known}
        return ALONE if self.expansion in had else self.expansion

    def _refuse_moved_recipients(self, connection: Connection, expansion: str) -> None:
        from sqlalchemy import select

        from airflow_provider_voicepartner.db.schema import mapped_list

        table = mapped_list.c
        others = select(table.map_index, table.people).where(
            table.task == self.task, table.map_index != self.map_index, table.people.is_not(None)
        )
        if expansion != ALONE:
            others = others.where(table.expansion != expansion)
        mine: set[bytes] = set()
        for map_index, marks in connection.execute(others.order_by(table.map_index)):
            if not marks.startswith(self.key):
                raise ConfigurationError(
                    f"the list of map_index {map_index} was sent with another key of the account, before what the task "
                    f"is mapped over was made anew, so it is unknown whether map_index {self.map_index} shares "
                    "recipients with it. Nothing was sent now. Use that key to continue, or start a new run to send "
                    "everything"
                )
            mine = mine or set(_split(self.marks))
            moved = mine.intersection(_split(marks[len(self.key) :]))
            if moved:
                raise ConfigurationError(
                    f"{len(moved)} of the {len(mine)} recipients of map_index {self.map_index} were in the list of "
                    f"map_index {map_index} before what the task is mapped over was made anew, and may have got the "
                    "message from there. Nothing was sent now. Restore the earlier lists in their order and clear the "
                    "task to continue, or start a new run to send everything"
                )

    def _is_mine(self) -> Any:
        from sqlalchemy import and_

        from airflow_provider_voicepartner.db.schema import mapped_list

        return and_(mapped_list.c.task == self.task, mapped_list.c.map_index == self.map_index)
