"""The kit takes gateways of every documented shape, and names a mistake in their facts or in their hook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_provider_voicepartner.gateways import octopush, smspartner
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.wire import CallbackRequest
from airflow_provider_voicepartner.testing.gateway_cases import (
    SMS,
    GatewayCases,
    Sample,
    value_at,
    with_value,
    without,
)

SENT = {"id": "m-1", "price": {"amount": "0.045", "currency": "EUR"}, "a.b": 1}


def refuse_callback(callback: CallbackRequest) -> None:
    raise InvalidCallbackError("no callbacks are made")


def cases(*, members: dict[str, Any] | None = None, **facts: Any) -> GatewayCases:
    """Return the cases of a gateway that is Octopush but for some facts and members."""
    offered = {name: getattr(octopush, name) for name in octopush.__all__}
    gateway = SimpleNamespace(**{**offered, "INFO": replace(octopush.INFO, **facts), **(members or {})})

    samples = [Sample(cast("Gateway", gateway), SMS, SENT, id_key="id", cost_key="price.amount")]
    return cast("GatewayCases", type("Cases", (GatewayCases,), {"gateway": gateway, "samples": samples})())


class TestKeysThatLeadIntoObjects:
    def test_a_value(self) -> None:
        assert value_at(SENT, "id") == "m-1"
        assert value_at(SENT, "price.amount") == "0.045"
        assert value_at(SENT, "a.b") == 1

    def test_another_value_leaves_the_rest(self) -> None:
        assert with_value(SENT, "id", 7) == {**SENT, "id": 7}
        assert with_value(SENT, "price.amount", 0)["price"] == {"amount": 0, "currency": "EUR"}
        assert with_value(SENT, "a.b", 2) == {**SENT, "a.b": 2}
        assert with_value({}, "price.amount", 0) == {"price": {"amount": 0}}
        assert value_at(SENT, "price.amount") == "0.045"

    def test_without_one(self) -> None:
        assert "id" not in without(SENT, "id")
        assert without(SENT, "price.amount")["price"] == {"currency": "EUR"}
        assert without(SENT, "a.b").keys() == {"id", "price"}


class TestAGatewayWithoutCallbacks:
    def test_needs_no_report(self) -> None:
        these = cases(reports="never", members={"parse_callback": refuse_callback})
        these.test_a_delivery_report(these.gateway, "json")
        these.test_an_unknown_word_is_pending(these.gateway)
        these.test_callbacks()

    def test_others_are_asked_for_one(self) -> None:
        these = cases()
        with pytest.raises(AssertionError, match="report: give the fields of a callback"):
            these.test_a_delivery_report(these.gateway, "json")


class TestWrongFacts:
    @pytest.mark.parametrize(
        ("facts", "case", "said"),
        [
            (
                {
                    "endpoints": {"sms-campaign/send": "none", "voice-campaign/send": "none"},
                    "limits_example": "{}",
                },
                GatewayCases.test_every_request_is_to_an_endpoint_of_the_list,
                "INFO.endpoints",
            ),
            ({"credentials": ("body",)}, GatewayCases.test_the_key_travels_where_it_may, "INFO.credentials"),
            (
                {"options": {"sms": f"{__name__}.Sample"}},
                GatewayCases.test_settings_can_be_loaded,
                "INFO.options",
            ),
            ({}, GatewayCases.test_is_this_gateway_s, "another gateway"),
            ({"fields": {}}, GatewayCases.test_reads_the_fields_of_the_form, "INFO.fields"),
            ({"polls": True}, GatewayCases.test_has_the_methods_that_are_promised, "poll_delivery"),
            ({"listed_by_tag": True}, GatewayCases.test_has_the_methods_that_are_promised, "tag_of"),
        ],
    )
    def test_are_named(self, facts: dict[str, Any], case: Callable[..., None], said: str) -> None:
        these = cases(**facts)
        with pytest.raises(AssertionError, match=said):
            case(these, these.gateway)

    def test_a_poll_at_an_endpoint_that_is_not_named(self) -> None:
        unnamed = {name: limit for name, limit in smspartner.INFO.endpoints.items() if name != "multi-status"}
        offered = {name: getattr(smspartner, name) for name in smspartner.__all__}
        gateway = SimpleNamespace(**{**offered, "INFO": replace(smspartner.INFO, endpoints=unnamed)})
        these = cast("GatewayCases", type("Cases", (GatewayCases,), {"gateway": gateway, "samples": ()})())
        with pytest.raises(AssertionError, match=r"poll_recipients: INFO\.endpoints"):
            these.test_polls_as_its_facts_say(these.gateway)

    def test_a_dry_run_that_would_send(self) -> None:
        these = cases(simulates=False, simulation_tells_price=False)
        with pytest.raises(pytest.fail.Exception):
            these.test_a_check_without_sending_that_there_is_not(these.samples[0])

    def test_any_word_as_a_status(self) -> None:
        these = cases(reports="never", members={"knows_status": bool})
        with pytest.raises(AssertionError, match="'no such message' is none"):
            these.test_knows_its_status_words(these.gateway)

    @pytest.mark.parametrize(
        ("facts", "error"),
        [
            ({"hook": "airflow_provider_voicepartner.hooks.octopush.Hok"}, AttributeError),
            ({"hook": "airflow_provider_voicepartner.hooks.octpush.OctopushHook"}, ModuleNotFoundError),
        ],
    )
    def test_a_hook_that_is_not_there(self, facts: dict[str, Any], error: type[Exception]) -> None:
        these = cases(**facts)
        with pytest.raises(error):
            these.test_is_this_gateway_s(these.gateway)
