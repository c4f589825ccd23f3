"""The ledger that a task gets: in our store, and in Airflow's task state where there is one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_voicepartner.compat import conf
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.operators.mapping import is_mapped
from airflow_provider_voicepartner.sending.ledger import Ledger, Try
from airflow_provider_voicepartner.sending.memory import Memory
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from airflow_provider_voicepartner.sending.task_state import StateStore, TaskStateMemory
from airflow_provider_voicepartner.settings import store_wait, unshared_store_problem
from airflow_provider_voicepartner.store.engine import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.store.patience import Patience

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.store.engine import Store

log = logging.getLogger(__name__)


class _TaskState:
    """Airflow's task state store, with keys that last as long as the run of the task."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default."""
        return self._store.get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Write durably. By default Airflow's clean-up drops each key 30 days after its own last write."""
        self._store.set(
            key, value, retention=timedelta.max
        )  # airflow.sdk's NEVER_EXPIRE, compared by identity


def task_state(context: Context) -> StateStore | None:
    """Return what Airflow keeps for the attempts of a task; None before Airflow 3.3."""
    # The context is read as a plain mapping, whose type knows no keys.
    store = cast(Mapping[str, Any], context).get("task_state_store")
    return None if store is None else _TaskState(store)


def state_survives_clearing() -> bool:
    """
    Say whether Airflow keeps a task's state whatever happens.

    From 3.4 on, to clear the task discards it; with ``clear_on_success`` its success does.
    """
    from airflow import __version__

    major, minor = (int(part) for part in __version__.split(".")[:2])
    return (major, minor) < (3, 4) and not conf.getboolean("state_store", "clear_on_success", fallback=False)


def patience(sleep: Callable[[float], None]) -> Callable[[Callable[[], Any]], Any]:
    """
    Return what runs a transaction, and runs it again while the store cannot be reached, as ``store_wait`` says.

    Once one has failed, later ones are not waited for: the attempt is at its end.

    :param sleep: waits; what it raises ends the wait.
    :returns: it raises ``RetryableNotSentError`` when the time is over, and ``ConfigurationError`` where none helps.
    """
    waiting = Patience(seconds=store_wait(), sleep=sleep)

    def run(transaction: Callable[[], Any]) -> Any:
        nonlocal waiting
        problem: StoreUnavailableError
        patient, waiting = waiting, replace(waiting, seconds=0)
        try:
            result = patient.run(transaction)
        except StoreUnavailableError as error:
            problem = error
        else:
            # What fails ends the attempt, and its last words are not to be waited for all over again.
            waiting = patient
            return result
        # Outside the except block: a chained driver's error would carry what it was given.
        if isinstance(problem, StoreUrlError):
            raise ConfigurationError(f"[voicepartner] store_url: {problem}")
        raise RetryableNotSentError(
            f"the ledger: {problem}. What was sent is known again when the store is back"
        )

    return run


def refuse_unshared_lists(context: Context, ledger: Ledger) -> None:
    """
    Notice several machines that share no store; a mapped task sends nothing there.

    Its instances learn in the store whom the others have sent to. Two that have a store each would send to somebody
    twice when what they are mapped over is made anew.

    :raises ConfigurationError: for an instance of a mapped task.
    """
    problem = unshared_store_problem()
    if ledger.other_stores:
        problem = (
            "[voicepartner] store_url: an earlier attempt of this task wrote to another store: not all machines share "
            "one, or its file was removed. Set it to one PostgreSQL database for all of them; until then they pass "
            "rate limits together"
        )
        log.warning("%s", problem)
    if problem is None and not ledger.has_store:
        problem = "[voicepartner] store_url: the store is in memory, and gone with this process"
    if problem is not None and is_mapped(context):
        stays = "; what began with another store cannot go on in this run, and a new run sends everything"
        raise ConfigurationError(
            f"{problem}. The instances of this mapped task cannot know of each other's recipients, so nothing was sent"
            f"{stays if ledger.other_stores else ''}"
        )


def task_ledger(
    context: Context,
    store: Store,
    *,
    is_resumed: bool = False,
    patiently: Callable[[Callable[[], Any]], Any],
) -> Ledger:
    """
    Give a task its ledger for one attempt, which is then registered in every memory that there is.

    :param context: Airflow's.
    :param store: ours.
    :param is_resumed: the attempt goes on after a wait in the triggerer.
    :param patiently: see :func:`patience`.
    """
    ti: Any = context["ti"]
    state, memories = task_state(context), list[Memory]()
    if store.outlives_process:
        map_index = getattr(ti, "map_index", None)
        key = TaskInstanceKey(ti.dag_id, ti.run_id, ti.task_id, -1 if map_index is None else map_index)
        memories.append(StoreMemory(store, key, patiently=patiently))
    if state is not None:
        memories.append(TaskStateMemory(state))
    ledger = Ledger(
        memories,
        Try(ti.try_number, is_resumed),
        is_complete=state is not None and state_survives_clearing(),
        store=patiently(lambda: store.identity) if store.outlives_process else None,
    )
    ledger.register()
    return ledger
