"""
The ledger that a task gets: in our store, and in Airflow's task state where there is one.

Instances of a mapped task also compare their lists in the store before one of them sends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_voicepartner.compat import Context, conf
from airflow_provider_voicepartner.constants import BATCHES_IN_A_REPORT
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.db.transactions import Store, StoreRetry
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.sending.fingerprint import account_key
from airflow_provider_voicepartner.sending.ledger import Ledger, Try
from airflow_provider_voicepartner.sending.mapped import (
    ALONE,
    MappedList,
    list_name,
    mark_key,
    mark_recipients,
    task_name,
)
from airflow_provider_voicepartner.sending.records import Memory
from airflow_provider_voicepartner.sending.report import CampaignReport, find_batches
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from airflow_provider_voicepartner.sending.task_state import StateStore, TaskStateMemory
from airflow_provider_voicepartner.settings import store_wait, unshared_store_problem

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.plan import CampaignPlan


log = logging.getLogger(__name__)


def is_mapped(context: Context) -> bool:
    """Say whether the task is an instance of a mapped one."""
    map_index = getattr(context["ti"], "map_index", None)
    return map_index is not None and map_index >= 0


@contextmanager
def comparing_lists(
    ledger: Ledger, plan: CampaignPlan, *, context: Context, store: Store, hook: GatewayHook
) -> Iterator[None]:
    """
    Let the ledger of a mapped instance compare its recipients with those of the others; other tasks have none.

    If the block fails before anything was sent, the list is released, so that any instance may send it.

    :param ledger: of this instance, registered.
    :param plan: what is to be sent.
    :param context: Airflow's.
    :param store: ours, where instances know of each other.
    :param hook: the account.
    """
    if not is_mapped(context):
        yield
        return
    mine = _list_of(ledger, plan, context=context, store=store, hook=hook)
    registered: list[MappedList] = []

    def register() -> None:
        mine.claim()
        registered.append(mine)

    ledger.ask_others = register
    try:
        yield
    except BaseException:
        if registered and not ledger.may_have_sent:
            _release_list(mine)
        raise


def _list_of(
    ledger: Ledger, plan: CampaignPlan, *, context: Context, store: Store, hook: GatewayHook
) -> MappedList:
    ti: Any = context["ti"]
    # Keyed with the account's secret, so that others cannot test numbers against the hashes.
    key = account_key(hook.conn_type, hook.credentials)
    task = task_name(ti.dag_id, ti.run_id, ti.task_id)
    return MappedList(
        store=store,
        task=task,
        map_index=ti.map_index,
        fingerprint=list_name(task, plan.fingerprint),
        key=mark_key(key),
        marks=mark_recipients(key, (batch.recipients for batch in plan.batches())),
        expansion=expansion_of(context),
        attempt=ledger.attempt,
    )


def _release_list(mine: MappedList) -> None:
    try:
        mine.release()
    except Exception as error:
        log.warning(
            "The recipients of this mapped instance could not be released for other instances: %s",
            type(error).__name__,
        )


def expansion_of(context: Context) -> str:
    """
    Return a value that instances share whose lists were made together.

    It is how often the run was cleared, and when it began: a run that was deleted and recreated counts from 0 again.
    Airflow 2 does not count the clearings of a run that is still at work, so there it is also when the tasks ran that
    make the lists.
    """
    dag_run = cast(Mapping[str, Any], context).get("dag_run")
    cleared = getattr(dag_run, "clear_number", None)
    if cleared is None:
        return ALONE
    made = [str(cleared), str(getattr(dag_run, "start_date", None))]
    if hasattr(dag_run, "get_task_instances"):  # the database's own object, as Airflow 2 gives it
        made += _when_made(context["ti"])
    return task_name(*made)


def _when_made(ti: Any) -> list[str]:
    """Return when the tasks began that make the lists of a mapped task, or of its mapped group."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    node = ti.task.get_closest_mapped_task_group() or ti.task
    makers = sorted(node.upstream_task_ids)
    if not makers:
        return []
    row: Any = TaskInstance
    with create_session() as session:
        found = session.query(row.task_id, row.map_index, row.start_date).filter(
            row.dag_id == ti.dag_id, row.run_id == ti.run_id, row.task_id.in_(makers)
        )
        return sorted(f"{task_id} {map_index} {began}" for task_id, map_index, began in found)


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
    """Return Airflow's state store of the task; None before Airflow 3.3."""
    # The context is read as a plain mapping, whose type knows no keys.
    store = cast(Mapping[str, Any], context).get("task_state_store")
    return None if store is None else _TaskState(store)


def state_survives_clearing() -> bool:
    """
    Say whether Airflow always keeps a task's state.

    From 3.4 on, clearing the task discards it; with ``clear_on_success``, success does.
    """
    from airflow import __version__

    major, minor = (int(part) for part in __version__.split(".")[:2])
    return (major, minor) < (3, 4) and not conf.getboolean("state_store", "clear_on_success", fallback=False)


def repeated_transactions(sleep: Callable[[float], None]) -> Callable[[Callable[[], Any]], Any]:
    """
    Return what runs a transaction, and runs it again while the store cannot be reached, as ``store_wait`` says.

    Once one has failed, later ones are not waited for: the attempt is at its end.

    :param sleep: waits; what it raises ends the wait.
    :returns: it raises ``RetryableNotSentError`` when the time is over, and ``ConfigurationError`` where none helps.
    """
    waiting = StoreRetry(seconds=store_wait(), sleep=sleep)

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
            f"the ledger: {problem}. What was sent is recorded there; retry when the store is back"
        )

    return run


def refuse_unshared_lists(context: Context, ledger: Ledger) -> None:
    """
    Warn where several machines share no store; a mapped task sends nothing there.

    Its instances compare their recipients in the store. With separate stores, they could send to a recipient twice when
    the mapped list changes.

    :raises ConfigurationError: for an instance of a mapped task.
    """
    problem = unshared_store_problem()
    if ledger.other_stores:
        problem = (
            "[voicepartner] store_url: an earlier attempt of this task wrote to another store: the machines do not "
            "share one, or its file was removed. Set it to one PostgreSQL database for all of them; until then they "
            "exceed rate limits together"
        )
        log.warning("%s", problem)
    if problem is None and not ledger.has_store:
        problem = "[voicepartner] store_url: the store is in memory and ends with this process"
    if problem is not None and is_mapped(context):
        stays = "; a campaign that began with another store cannot resume in this run, and a new run sends everything"
        raise ConfigurationError(
            f"{problem}. The instances of this mapped task cannot compare their recipients, so nothing was sent"
            f"{stays if ledger.other_stores else ''}"
        )


def _task_instance(context: Context) -> TaskInstanceKey:
    ti: Any = context["ti"]
    map_index = getattr(ti, "map_index", None)
    return TaskInstanceKey(ti.dag_id, ti.run_id, ti.task_id, -1 if map_index is None else map_index)


def without_stored_batches(report: CampaignReport, context: Context, store: Store) -> CampaignReport:
    """
    Return the report as XCom is to hold it: of more than 500 batches it only says where they are stored.

    If no store holds all of them for other tasks, the report lists them, however large XCom gets: a wait for the
    campaign needs them. Those of a dry run are left out, since they were not sent.
    """
    if len(report.batches) <= BATCHES_IN_A_REPORT:
        return report
    if report.dry_run:
        return replace(report, batches=())
    problem = unshared_store_problem()
    if problem is None:
        place = (
            find_batches(store, _task_instance(context), len(report.batches))
            if store.outlives_process
            else None
        )
        if place is not None:
            return replace(report, batches=(), stored=(place,))
        problem = "the ledger's store does not hold them, or cannot be asked"
    log.warning(
        "The report lists all of %d batches, which makes a large XCom: %s", len(report.batches), problem
    )
    return report


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
    :param patiently: see :func:`repeated_transactions`.
    """
    ti: Any = context["ti"]
    state, memories = task_state(context), list[Memory]()
    if store.outlives_process:
        memories.append(StoreMemory(store, _task_instance(context), patiently=patiently))
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
