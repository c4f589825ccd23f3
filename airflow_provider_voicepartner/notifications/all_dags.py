"""
A cluster policy that alerts for all DAGs, if ``[voicepartner] alert_to`` is set.

Airflow imports this in every process: nothing of ours is imported before a DAG is parsed, and nothing is raised.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import pluggy

if TYPE_CHECKING:
    from airflow_provider_voicepartner.notifications.base import GatewayNotifier

log = logging.getLogger(__name__)

hookimpl: Final = pluggy.HookimplMarker("airflow.policy")

_PACKAGE: Final = "airflow_provider_voicepartner.notifications"
_OURS: Final = {f"{_PACKAGE}.base": "GatewayNotifier", f"{_PACKAGE}.page": "PageNotifier"}
"""The notifiers that tell of a failure, by the module of each."""

_INDEX: Final = re.compile(r"_\d+$")
_logged: set[str] = set()


@hookimpl
def dag_policy(dag: Any) -> None:
    """Add the alert of ``alert_to`` to a DAG that has no notifier of this provider on its failure."""
    try:
        _add_alert(dag)
    except Exception as error:
        # A DAG whose policy fails is not loaded at all.
        _log_once(f"The alert for all DAGs could not be added: {_said(error)}")


def _add_alert(dag: Any) -> None:
    from airflow_provider_voicepartner import settings

    if not settings.alert_to() or not is_meant(dag.dag_id, settings.alert_dags()):
        return
    given = _as_list(dag.on_failure_callback)
    if any(isinstance(callback, AlertForAllDags) for callback in given) or _has_ours(given):
        return
    # A list of its own: the one that was given may be shared by other DAGs.
    told_of = _tasks_with_ours(dag)
    dag.on_failure_callback = [*given, AlertForAllDags(told_of, frozenset(dag.task_ids) - told_of)]
    dag.has_on_failure_callback = True
    _check_settings()


def is_meant(dag_id: str, globs: Sequence[str]) -> bool:
    """
    Say whether a DAG is one of ``alert_dags``.

    :param globs: such as ``etl_*``; one that begins with ``!`` takes DAGs out again. Empty, or nothing but such ones,
        begins with all DAGs.
    """
    wanted = [glob for glob in globs if not glob.startswith("!")] or ["*"]
    unwanted = [glob[1:] for glob in globs if glob.startswith("!")]
    return any(fnmatchcase(dag_id, glob) for glob in wanted) and not any(
        fnmatchcase(dag_id, glob) for glob in unwanted
    )


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]


def _has_ours(callbacks: Iterable[Any]) -> bool:
    """Say whether one is a notifier of this provider; where its module was never imported, none is."""
    found = [getattr(sys.modules.get(module), name, None) for module, name in _OURS.items()]
    kinds = tuple(kind for kind in found if kind is not None)
    return any(isinstance(callback, kinds) for callback in callbacks)


def _tasks_with_ours(dag: Any) -> frozenset[str]:
    return frozenset(task.task_id for task in dag.tasks if _has_ours(_as_list(task.on_failure_callback)))


def _check_settings() -> None:
    """Log what is wrong with the options while DAGs are parsed: an alert that is due is sent all the same."""
    from airflow_provider_voicepartner import settings
    from airflow_provider_voicepartner.hooks.contacts import check_contact_names

    for check in (settings.alert_fallback, _grouping, lambda: check_contact_names(settings.alert_to())):
        try:
            check()
        except Exception as error:
            _log_once(f"[{settings.SECTION}] alert_to: {_said(error)}")


def _grouping() -> dict[str, Any]:
    """Return the arguments of a notifier that say which alerts belong together; errors as of the notifier."""
    from airflow_provider_voicepartner import settings
    from airflow_provider_voicepartner.notifications.grouping import read_grouping

    group_by, at_most = settings.alert_group_by(), settings.alert_at_most()
    read_grouping(None, group_by, at_most, on_problem=None)
    return {"group_by": group_by, "at_most": at_most}


def _log_once(problem: str) -> None:
    if problem not in _logged:
        _logged.add(problem)
        log.error("%s", problem)


def _said(error: Exception) -> str:
    is_ours = type(error).__module__.startswith("airflow_provider_voicepartner.")
    return " ".join(str(error).split()) if is_ours else type(error).__name__


class AlertForAllDags:
    """
    The callback that the policy adds; the notifier is made when the alert is due, from what the options say then.

    :param told_of: tasks that have a notifier of this provider themselves: where a run fails by these alone, and the
        store says that they told, nothing is sent.
    :param others: all other tasks: one may be named as an instance of a mapped task is.
    """

    def __init__(self, told_of: frozenset[str] = frozenset(), others: frozenset[str] = frozenset()) -> None:
        self.told_of, self.others = told_of, others
        self.__name__ = type(self).__name__

    def __call__(self, context: Any) -> None:
        """Send the alert. Nothing is raised."""
        try:
            if self._is_told(context):
                log.info("No alert for all DAGs: the notifiers of the tasks that failed have told")
                return
            default_notifier()(context)
        except Exception as error:
            log.error("The alert for all DAGs was not sent: %s", _said(error))

    def _is_told(self, context: Any) -> bool:
        """
        Say whether the notifiers of the tasks that failed have told.

        Nothing calls that of a task whose process was killed, and one may reach nobody.
        """
        from airflow_provider_voicepartner.constants import TASK_ALERT_INTERVAL, TASK_ALERTS_WAIT
        from airflow_provider_voicepartner.hooks.incidents import tasks_told
        from airflow_provider_voicepartner.notifications.event import answered_failures, read_event

        if not self.told_of or not isinstance(context, Mapping) or context.get("reason") != "task_failure":
            return False
        failed = answered_failures(context)  # without an answer an alert too many beats none
        if not failed or any(
            name in self.others or not {name, _INDEX.sub("", name)} & self.told_of for name in failed
        ):
            return False
        event, end = read_event(context, asks_for_tasks=False), monotonic() + TASK_ALERTS_WAIT
        while not tasks_told(event.dag_id, event.run_id, event.run_began_at or 0.0).issuperset(failed):
            if monotonic() >= end:
                return False
            sleep(TASK_ALERT_INTERVAL)
        return True


def default_notifier(
    to: Any = None, *, sms: type[GatewayNotifier] | None = None, **arguments: Any
) -> GatewayNotifier:
    """
    Return a notifier as the options describe it; one that is wrong is logged and left out.

    :param to: in place of ``alert_to``.
    :param sms: the first notifier's class; None for that of text messages.
    :param arguments: further ones of :class:`~airflow_provider_voicepartner.notifications.sms.SmsNotifier`.
    """
    from airflow_provider_voicepartner import settings
    from airflow_provider_voicepartner.notifications.sms import SmsNotifier
    from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier

    try:
        arguments = {**_grouping(), **arguments}
    except Exception as error:
        log.error(
            "[%s] alert_at_most, alert_group_by: %s. The defaults are taken", settings.SECTION, _said(error)
        )
    to = settings.alert_to() if to is None else to
    kinds: Mapping[str, type[GatewayNotifier]] = {"sms": SmsNotifier, "call": TtsCallNotifier}
    try:
        others = settings.alert_fallback()
    except Exception as error:
        log.error("%s. The alert has no fallback", _said(error))
        others = ()
    fallback = [kinds[kind](to="", conn_id=conn_id) for kind, conn_id in others]
    notifier = (sms or SmsNotifier)(to="", conn_id=settings.alert_conn_id(), fallback=fallback, **arguments)
    # Set afterwards: names are refused when a notifier is made, and an alert that is due must reach somebody.
    for each in (notifier, *fallback):
        each.to = to
    return notifier
