"""The ledger that a task gets: that of a mapped one also knows what the task's other instances were given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_voicepartner.sending.fingerprint import account_key
from airflow_provider_voicepartner.sending.ledger import Ledger, StateStore
from airflow_provider_voicepartner.sending.mapped import (
    ALONE,
    MappedLedger,
    MappedList,
    mark_people,
    task_name,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.planning import CampaignPlan
    from airflow_provider_voicepartner.store.engine import Store


@contextmanager
def task_ledger(
    context: Context,
    state: StateStore | None,
    store: Store,
    plan: CampaignPlan,
    hook: GatewayHook,
    *,
    is_resumed: bool = False,
) -> Iterator[Ledger]:
    """
    Give a task its ledger for one attempt.

    :param context: Airflow's.
    :param state: the task's state; None before Airflow 3.3.
    :param store: ours, where mapped instances know of each other; any other task does not touch it.
    :param plan: what is to be sent.
    :param hook: the account.
    :param is_resumed: the attempt goes on after a wait in the triggerer.
    """
    ti: Any = context["ti"]
    map_index = getattr(ti, "map_index", None)
    if map_index is None or map_index < 0:
        yield Ledger(state, fingerprint=plan.fingerprint, try_number=ti.try_number, is_resumed=is_resumed)
        return
    mapped = MappedList(
        store=store,
        task=task_name(ti.dag_id, ti.run_id, ti.task_id),
        map_index=map_index,
        fingerprint=plan.fingerprint,
        people=mark_people(
            account_key(hook.conn_type, hook.credentials), (batch.recipients for batch in plan.batches())
        ),
        expansion=expansion_of(context),
        attempt=ti.try_number,
    )
    ledger = MappedLedger(state, mapped, is_resumed=is_resumed)
    try:
        yield ledger
    except BaseException:
        ledger.give_up()
        raise


def expansion_of(context: Context) -> str:
    """Return what instances have in common whose lists were made together: how often the run's tasks were cleared."""
    dag_run = cast(Mapping[str, Any], context).get("dag_run")
    cleared = getattr(dag_run, "clear_number", None)
    return ALONE if cleared is None else str(cleared)
