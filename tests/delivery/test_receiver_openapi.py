"""The OpenAPI page is valid and describes what the routes do: schemathesis calls them in every way that it allows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.receiver import RunningReceiver

# Schemathesis is installed beside the newest Airflow only; the application is the same on all of them.
pytestmark = pytest.mark.airflow3

GATEWAYS = ("smspartner", "voicepartner", "octopush")


def page_of(receiver: RunningReceiver) -> Any:
    import schemathesis

    return schemathesis.openapi.from_url(f"{receiver.url}/voicepartner/openapi.json")


def test_the_page_describes_what_the_routes_do(receiver: RunningReceiver) -> None:
    """Schemathesis calls every route in every way that its page allows, and in some that it does not."""
    schema = page_of(receiver)
    before = receiver.stored()
    seen: set[tuple[str, int]] = set()

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def call(case: Any) -> None:
            response = case.call_and_validate()
            seen.add((case.operation.path.rpartition("/")[2], response.status_code))

        call()
    assert {status for _, status in seen} <= {200, 404, 405}
    assert ("health", 200) in seen
    assert ("metrics", 200) in seen
    assert receiver.stored() == before  # nobody guessed a token


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_page_describes_calls_with_a_good_token(gateway: str, receiver: RunningReceiver) -> None:
    schema = page_of(receiver)
    operation = schema["/voicepartner/callbacks/{gateway}/{token}"]["POST"]
    token = receiver.batch_path(gateway).rpartition("/")[2]
    statuses = set()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        case.path_parameters = {"gateway": gateway, "token": token}
        response = case.call()
        case.validate_response(response)
        statuses.add(response.status_code)

    call()
    assert statuses == {200}
