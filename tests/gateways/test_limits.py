"""The names of endpoints, which limits are written for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_voicepartner.gateways as package
from airflow_provider_voicepartner.gateways.limits import ENDPOINTS, LIMITS
from airflow_provider_voicepartner.hooks.registry import HOOKS, hook_class

NAMED = re.compile(r'endpoint="([^"]+)"|_(?:sending|read)\(\s*"([^"]+)"')


@pytest.mark.parametrize("gateway", sorted(ENDPOINTS))
def test_every_endpoint_that_a_gateway_module_names_may_have_a_limit(gateway: str) -> None:
    sources = Path(str(package.__file__)).parent / gateway
    named = {
        one or other for path in sources.glob("*.py") for one, other in NAMED.findall(path.read_text("utf-8"))
    }
    assert named
    assert named <= ENDPOINTS[gateway]


def test_every_documented_limit_and_every_send_is_of_an_endpoint_that_exists() -> None:
    for gateway, limits in LIMITS.items():
        assert set(limits) <= ENDPOINTS[gateway]
    for name in HOOKS:
        assert set(hook_class(name).send_endpoints.values()) <= ENDPOINTS[name]
