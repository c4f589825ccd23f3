"""What the instances of a mapped task ask each other before one sends."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_voicepartner.sending.fingerprint import account_key
from airflow_provider_voicepartner.sending.mapped import (
    ALONE,
    MappedList,
    list_name,
    mark_key,
    mark_people,
    task_name,
)

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.ledger import Ledger
    from airflow_provider_voicepartner.sending.planning import CampaignPlan
    from airflow_provider_voicepartner.store.engine import Store

log = logging.getLogger(__name__)


def is_mapped(context: Context) -> bool:
    """Say whether the task is an instance of a mapped one."""
    map_index = getattr(context["ti"], "map_index", None)
    return map_index is not None and map_index >= 0


@contextmanager
def asking_others(
    ledger: Ledger, context: Context, store: Store, plan: CampaignPlan, hook: GatewayHook
) -> Iterator[None]:
    """
    Let the ledger of a mapped instance ask what the others were given; any other task has nobody to ask.

    A list of which nobody was sent anything is given back when the block fails, so that any instance may send it.

    :param ledger: of this instance, registered.
    :param context: Airflow's.
    :param store: ours, where instances know of each other.
    :param plan: what is to be sent.
    :param hook: the account.
    """
    if not is_mapped(context):
        yield
        return
    mine = _list_of(ledger, context, store, plan, hook)
    taken = []

    def take() -> None:
        mine.take()
        taken.append(mine)

    ledger.ask_others = take
    try:
        yield
    except BaseException:
        if taken and not ledger.may_have_sent:
            _give_back(mine)
        raise


def _list_of(
    ledger: Ledger, context: Context, store: Store, plan: CampaignPlan, hook: GatewayHook
) -> MappedList:
    ti: Any = context["ti"]
    # With the account's own key, nobody else can try out numbers.
    key = account_key(hook.conn_type, hook.credentials)
    task = task_name(ti.dag_id, ti.run_id, ti.task_id)
    return MappedList(
        store=store,
        task=task,
        map_index=ti.map_index,
        fingerprint=list_name(task, plan.fingerprint),
        key=mark_key(key),
        people=mark_people(key, (batch.recipients for batch in plan.batches())),
        expansion=expansion_of(context),
        attempt=ledger.attempt,
    )


def _give_back(mine: MappedList) -> None:
    try:
        mine.give_back()
    except Exception as error:
        log.warning("The list of this mapped instance stays its own: %s", type(error).__name__)


def expansion_of(context: Context) -> str:
    """
    Return what instances have in common whose lists were made together.

    That is how often the run was cleared, and when it began: a run that was deleted and made anew counts from 0 again.
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
    """Return when the tasks began from which a mapped task, or the mapped group that it is in, has its lists."""
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
