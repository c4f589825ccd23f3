"""A ledger's memory in our store: one row a batch, which is only ever replaced by one that is further."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_voicepartner.constants import ROWS_A_STATEMENT
from airflow_provider_voicepartner.exceptions import CampaignInterruptedError, RetryableNotSentError
from airflow_provider_voicepartner.sending.records import (
    Attempt,
    BatchRecord,
    Phase,
    Plan,
    Recollection,
    unreadable,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TaskInstanceKey:
    """
    Which task instance a campaign belongs to; its attempts share it.

    :param map_index: -1 for a task that is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    def as_row(self) -> dict[str, Any]:
        """Return it as the columns of a table."""
        return {name: getattr(self, name) for name in self.__slots__}


class StoreMemory:
    """
    The rows of one task instance.

    :param store: an open store that outlives this process.
    :param task: whose.
    :param patiently: runs a transaction, and runs it again while the store cannot be reached, for as long as that is
        waited for. A transaction that was committed although it was said to have failed may so run twice.
    """

    name = "the store"

    def __init__(
        self,
        store: Store,
        task: TaskInstanceKey,
        *,
        patiently: Callable[[Callable[[], Any]], Any] = lambda transaction: transaction(),
    ) -> None:
        self._store = store
        self._task = task
        self._patiently = patiently
        self._number = 0
        self._numbers: list[int] = []
        self._plan: Plan | None = None

    @property
    def _sql(self) -> _Statements:
        return _statements()

    @property
    def identity(self) -> str:
        """The store's."""
        return self._store.identity

    def register(self, attempt: Attempt) -> int:
        """Write down that an attempt begins; from now on, claims of every earlier one are refused."""
        self._number = self._run(lambda connection: self._register(connection, attempt))
        return self._number

    def _register(self, connection: Connection, attempt: Attempt) -> int:
        now = self._store.now(connection)
        connection.execute(self._sql.create, {**self._task.as_row(), "at": now})
        campaign, attempts = connection.execute(self._sql.lock, self._task.as_row()).one()
        number = max(int(attempts) + 1, attempt.number)
        connection.execute(self._sql.count, {"campaign": campaign, "number": number, "now": now})
        values = {"campaign": campaign, "number": number, "try_number": attempt.try_number, "at": now}
        connection.execute(self._sql.register, values)
        self._numbers.append(number)
        return number

    def recall(self) -> Recollection:
        """
        Read the rows of the newest generation.

        :raises ConfigurationError: for what somebody changed by hand into something unreadable.
        """
        recalled: Recollection = self._patiently(self._recall)
        return recalled

    def _recall(self) -> Recollection:
        with self._store.read() as connection:
            row = connection.execute(self._sql.look, self._task.as_row()).one_or_none()
            if row is None:
                return Recollection()
            mine = {"campaign": row.id, "generation": row.generation, "number": self._number}
            attempts = connection.execute(self._sql.tries, mine).all()
            rows = connection.execute(self._sql.batches, mine).all()
        self._plan = _plan_of(row)
        if self._plan is None and rows:
            raise unreadable("batch records without their plan")
        records = {int(position): _record_of(text) for position, text in rows}
        # A registration that was committed and said to have failed is this attempt's own, and no trace of another.
        tries = frozenset(try_number for number, try_number in attempts if number not in self._numbers)
        return Recollection(tries=tries, plan=self._plan, records=records)

    def write(self, records: Mapping[int, BatchRecord], plan: Plan) -> None:
        """
        Write records in one transaction.

        :raises CampaignInterruptedError: there is a claim among them, and a later attempt has taken over.
        :raises RetryableNotSentError: the rows of this task instance are gone.
        """
        self._run(lambda connection: self._write(connection, records, plan))
        self._plan = plan

    def _write(self, connection: Connection, records: Mapping[int, BatchRecord], plan: Plan) -> None:
        row = connection.execute(self._sql.lock, self._task.as_row()).one_or_none()
        if row is None:
            raise RetryableNotSentError(
                "the store does not know this campaign any more, as if it had been emptied or replaced meanwhile; "
                "nothing more is sent"
            )
        campaign, attempts = row
        is_new = plan != self._plan
        claims = any(record.phase is Phase.CLAIMED for record in records.values())
        # What became of a batch that has left is true whoever else sends now; to claim another one is not his any more.
        if (is_new or claims) and attempts != self._number:
            raise CampaignInterruptedError(
                "a later attempt of this task has taken over, so this one sends nothing more; what it sent is recorded"
            )
        if is_new:
            values = {
                **plan.to_json(),
                "send_again": plan.send_again,
                "account": plan.account,
                "names": plan.names,
                "campaign": campaign,
            }
            connection.execute(self._sql.plan, {**values, "now": self._store.now(connection)})
        rows = [
            {
                "campaign": campaign,
                "generation": plan.generation,
                "position": position,
                "rank": record.rank,
                "phase": record.phase.value,
                "record": json.dumps(record.to_json()),
            }
            for position, record in records.items()
        ]
        for start in range(0, len(rows), ROWS_A_STATEMENT):
            connection.execute(self._sql.write, rows[start : start + ROWS_A_STATEMENT])

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        def transaction() -> Result:
            with self._store.write() as connection:
                return work(connection)

        done: Result = self._patiently(transaction)
        return done


def _plan_of(row: Any) -> Plan | None:
    if not row.generation:
        return None
    names = ("generation", "fingerprint", "salt", "batches", "send_again", "account", "since", "names")
    values = {name: getattr(row, name) for name in names}
    return Plan.from_json({name: value for name, value in values.items() if value is not None})


def _record_of(text: str) -> BatchRecord:
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    return BatchRecord.from_json(data)


@cache
def _statements() -> _Statements:
    return _Statements()


class _Statements:
    """The statements, built once; SQLAlchemy is imported here, when there is something to send."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, insert, select, text

        from airflow_provider_voicepartner.db.schema import attempt, batch, campaign

        row = campaign.c
        is_mine = and_(
            row.dag_id == bindparam("dag_id"),
            row.run_id == bindparam("run_id"),
            row.task_id == bindparam("task_id"),
            row.map_index == bindparam("map_index"),
        )
        self.create = text(
            f"INSERT INTO {campaign.name} (dag_id, run_id, task_id, map_index, attempts, generation, at) "
            "VALUES (:dag_id, :run_id, :task_id, :map_index, 0, 0, :at) "
            "ON CONFLICT (dag_id, run_id, task_id, map_index) DO NOTHING"
        )
        # FOR UPDATE is for PostgreSQL; on SQLite a write transaction is alone in the database.
        self.lock = select(row.id, row.attempts).where(is_mine).with_for_update()
        self.look = select(campaign).where(is_mine)
        self.count = text(f"UPDATE {campaign.name} SET attempts = :number, at = :now WHERE id = :campaign")
        self.register = insert(attempt)
        self.tries = select(attempt.c.number, attempt.c.try_number).where(
            attempt.c.campaign == bindparam("campaign"), attempt.c.number < bindparam("number")
        )
        self.plan = text(
            f"UPDATE {campaign.name} SET generation = :generation, fingerprint = :fingerprint, salt = :salt, "
            "batches = :batches, send_again = :send_again, account = :account, since = :since, "
            "names = :names, at = :now "
            "WHERE id = :campaign AND generation <= :generation"
        )
        self.batches = select(batch.c.position, batch.c.record).where(
            batch.c.campaign == bindparam("campaign"), batch.c.generation == bindparam("generation")
        )
        self.write = text(
            f"INSERT INTO {batch.name} (campaign, generation, position, rank, phase, record) "
            "VALUES (:campaign, :generation, :position, :rank, :phase, :record) "
            "ON CONFLICT (campaign, generation, position) DO UPDATE "
            "SET rank = excluded.rank, phase = excluded.phase, record = excluded.record "
            f"WHERE {batch.name}.rank < excluded.rank"
        )
