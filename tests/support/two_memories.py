"""A task instance that is remembered by our store, by Airflow's task state, or by both, for tests of the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.sending.ledger import Ledger, Try
from airflow_provider_voicepartner.sending.records import BatchRecord, Memory, Phase
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from airflow_provider_voicepartner.sending.task_state import TaskStateMemory
from tests.support.tasks import FakeStore

KEY = TaskInstanceKey("dag", "run", "send")
CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=3, at="2031-05-06T12:00:00+00:00")
SENT = replace(CLAIM, phase=Phase.SENT, accepted=3, gateway_id="8123456")
REFUSED = replace(CLAIM, phase=Phase.REFUSED)


@dataclass
class Task:
    """
    A task instance, and what it has to remember by; ``state`` and ``store`` are emptied by taking another one.

    :param uses: which memories an attempt gets.
    :param is_complete: the task state outlives everything, as on Airflow 3.3.
    """

    uses: tuple[str, ...] = ("store", "state")
    is_complete: bool = False
    state: FakeStore = field(default_factory=FakeStore)
    store: Store = field(default_factory=lambda: open_store("sqlite://"))

    def memories(self) -> list[Memory]:
        made: dict[str, Memory] = {
            "store": StoreMemory(self.store, KEY), "state": TaskStateMemory(self.state)
        }  # fmt: skip
        return [made[name] for name in self.uses]

    def registered(self, try_number: int = 1, *, is_resumed: bool = False, **more: Any) -> Ledger:
        """Begin an attempt."""
        ledger = Ledger(
            self.memories(), Try(try_number, is_resumed), **{"is_complete": self.is_complete, **more}
        )
        ledger.register()
        return ledger

    def opened(
        self,
        try_number: int = 1,
        *,
        fingerprint: str = "f1",
        batches: int = 2,
        send_again: str | None = None,
        **more: Any,
    ) -> Ledger:
        """Begin an attempt that has planned."""
        ledger = self.registered(try_number, **more)
        ledger.open(fingerprint, batches, send_again=send_again)
        return ledger

    def empty_store(self) -> None:
        self.store = open_store("sqlite://")

    def clear(self) -> None:
        """Clear the task, as Airflow 3.4 does it: its state is discarded."""
        self.state = FakeStore()

    def content(self) -> Any:
        """Return all that is kept of what was sent."""
        with self.store.read() as connection:
            rows = connection.exec_driver_sql("SELECT * FROM voicepartner_batch").all()
            plans = connection.exec_driver_sql(
                "SELECT generation, fingerprint, salt, send_again FROM voicepartner_campaign"
            ).all()
        log = {key: value for key, value in self.state.values.items() if "/log/" in key}
        return json.dumps([list(map(list, rows)), list(map(list, plans)), log])


def found(ledger: Ledger, batches: int = 2) -> list[Phase | None]:
    """Return what an attempt finds of each batch."""
    records = [ledger.find(index, 3) for index in range(batches)]
    return [None if record is None else record.phase for record in records]
