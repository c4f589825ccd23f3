"""Which notifiers a DAG has, wherever they stand: in callbacks, in deadline alerts, and beside questions to people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
from airflow_provider_voicepartner.notifications.base import GatewayNotifier
from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.notifications.question import QuestionNotifier
from airflow_provider_voicepartner.watchdog.hearing import each, look

_CALLBACKS = ("on_failure_callback", "on_success_callback", "on_retry_callback", "on_skipped_callback")
_OURS = (GatewayNotifier, PageNotifier)


@dataclass(frozen=True, slots=True)
class Asking:
    """
    A question to people that is to be answered by phone.

    :param task: the HITL operator.
    """

    task: Any
    notifier: QuestionNotifier


@dataclass(frozen=True, slots=True)
class Notifiers:
    """
    The notifiers of a DAG.

    :param sending: those that send through a connection, fallbacks too.
    :param paging: those that begin an escalation.
    :param asking: questions that are to be answered by phone.
    :param problems: deadline alerts of which none can be made.
    """

    sending: tuple[GatewayNotifier, ...]
    paging: tuple[PageNotifier, ...]
    asking: tuple[Asking, ...]
    problems: tuple[str, ...]


def notifiers_of(dag: Any) -> Notifiers:
    """Return the notifiers of a DAG, as its file defines it, and of its tasks."""
    found: list[Any] = [
        one for owner in (dag, *dag.tasks) for name in _CALLBACKS for one in each(look(owner, name))
    ]
    problems: list[str] = []
    for alert in each(look(dag, "deadline")):
        try:
            found += _of_deadline(alert)
        except (VoicePartnerProviderError, TypeError) as error:
            problems.append(f"a deadline alert: {error}")
    asking = []
    for task in dag.tasks:
        for one in each(look(task, "notifiers")):
            found.append(one)
            if isinstance(one, QuestionNotifier):
                asking.append(Asking(task, one))
    sending = [one for one in found if isinstance(one, GatewayNotifier)]
    return Notifiers(
        sending=tuple(way for one in sending for way in (one, *one.fallback)),
        paging=tuple(one for one in found if isinstance(one, PageNotifier)),
        asking=tuple(asking),
        problems=tuple(problems),
    )


def _of_deadline(alert: Any) -> Iterator[Any]:
    """Give the notifier of a deadline alert, which Airflow makes only when it is due; none of others."""
    callback = look(alert, "callback")
    module, _, name = str(look(callback, "path") or "").rpartition(".")
    # The DAG file has imported it; nothing of a stranger is imported here.
    kind = getattr(sys.modules.get(module), name, None)
    if isinstance(kind, type) and issubclass(kind, _OURS):
        yield kind(**(look(callback, "kwargs") or {}))
