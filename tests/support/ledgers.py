"""Ledgers for tests: what one attempt at a campaign is given, and what its memories hold afterwards."""

from __future__ import annotations

from typing import Any

from airflow_provider_voicepartner.sending.ledger import Ledger, Try
from airflow_provider_voicepartner.sending.records import Attempt, BatchRecord, Recollection
from airflow_provider_voicepartner.sending.task_state import TaskStateMemory
from tests.support.tasks import FakeStore


def registered(
    state: Any,
    *more: Any,
    try_number: int = 1,
    is_resumed: bool = False,
    is_complete: bool = True,
) -> Ledger:
    """
    Return the ledger of a new attempt, as an operator gets it before it plans.

    :param state: Airflow's task state store; None before Airflow 3.3.
    :param more: other memories, which are written first.
    """
    memories = [*more, *([] if state is None else [TaskStateMemory(state)])]
    ledger = Ledger(memories, Try(try_number, is_resumed), is_complete=is_complete and state is not None)
    ledger.register()
    return ledger


def recalled(state: Any) -> Recollection:
    """Return what an attempt after this moment would find in a task state store, which is left as it is."""
    memory = TaskStateMemory(FakeStore(dict(state.values)))
    memory.register(Attempt(1, 1))
    return memory.recall()


def known(state: Any) -> dict[int, BatchRecord]:
    """Return the records of a task state store, by position."""
    return dict(sorted(recalled(state).records.items()))


def phases(state: Any) -> dict[int, str]:
    """Return what a task state store knows of each batch."""
    return {position: record.phase.value for position, record in known(state).items()}


def is_summary(value: Any) -> bool:
    """Say whether a value in a task state store is an entry of the log that sums up those before it."""
    return "from" in value
