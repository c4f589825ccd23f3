"""Hooks of every gateway with a clock of their own, and how often the sandbox was sent to."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.registry import gateway_names, hook_class
from tests.support.sends import IDS, NUMBER, SENDS
from tests.support.servers import FakeTime

REFERENCE = "k3v9x0q2w7ha"
each_send = pytest.mark.parametrize("send", SENDS, ids=IDS)
each_hook = pytest.mark.parametrize("conn_type", gateway_names())


def hook_of(conn_type: str) -> GatewayHook:
    hook = hook_class(conn_type)()
    hook.sender.sleep = FakeTime().sleep
    return hook


def times_sent(sandbox: Any, conn_type: str, number: str = NUMBER) -> int:
    return int(sandbox.world.tallies[conn_type].numbers[number])
