"""A DAG that somebody only tries out sends all the same: said where it can be known."""

from __future__ import annotations

import logging
import sys
from types import FrameType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_provider_voicepartner.hooks.connection import is_loopback

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook

log = logging.getLogger(__name__)

_TRIALS: Final = frozenset(
    {
        ("airflow.sdk.definitions.dag", "test"),
        ("airflow.models.dag", "test"),
        ("airflow.cli.commands.task_command", "task_test"),
    }
)
"""Module and function that run a task in their own process: ``dag.test()`` and ``airflow tasks test``."""


def is_trial() -> bool:
    """Say whether ``dag.test()`` or ``airflow tasks test`` runs this task: its stack tells, no Airflow does."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in _TRIALS:
            return True
        frame = frame.f_back
    return False


def warn_of_a_trial(hook: GatewayHook) -> None:
    """Log a warning before a trial sends to real people; the sandbox, on this machine, is not worth one."""
    if is_loopback(urlsplit(hook.sender.base_url).hostname or "") or not is_trial():
        return
    log.warning(
        "dag.test() and 'airflow tasks test' really send: this goes to real people and is billed. To "
        "try a DAG out, give the connection %r the sandbox's host, or set dry_run=True",
        hook.conn_id,
    )
