"""The names of endpoints, which limits are written for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_voicepartner.gateways as package
from airflow_provider_voicepartner.gateways.info import own_gateways

NAMED = re.compile(r'endpoint="([^"]+)"|_(?:sending|read)\(\s*"([^"]+)"')


@pytest.mark.parametrize("gateway", sorted(own_gateways()))
def test_every_endpoint_that_a_gateway_module_names_may_have_a_limit(gateway: str) -> None:
    sources = Path(str(package.__file__)).parent / gateway
    named = {
        one or other for path in sources.glob("*.py") for one, other in NAMED.findall(path.read_text("utf-8"))
    }
    assert named
    assert named <= own_gateways()[gateway].endpoints.keys()


def test_every_documented_limit_can_be_read_and_every_send_is_of_an_endpoint_that_exists() -> None:
    for info in own_gateways().values():
        assert all(info.limits_of(endpoint) or text == "none" for endpoint, text in info.endpoints.items())
        assert set(info.sends.values()) <= info.endpoints.keys()
