"""A vendor's own client passes, what is odd in its requests is remarked, and the setting ``strict`` refuses it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_voicepartner.sandbox import running_sandbox

from .conftest import KEY, Api
from .vendor_requests import REQUESTS, VendorRequest

ODD = [request for request in REQUESTS if request.strict is not None]


@pytest.fixture
def default(api: Api) -> Api:
    """The sandbox as it is without a setting."""
    api.settings(strict=False)
    return api


def _post(api: Api, request: VendorRequest) -> requests.Response:
    url = api.sandbox.gateway_url(request.gateway) + request.path
    return requests.post(url, data=request.data(), headers=request.all_headers(), timeout=10)


def _codes(answer: requests.Response) -> list[object]:
    value = answer.json()
    return [value["code"], *(entry.get("code") for entry in value.get("errors", []))]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_it_is_sent_and_what_is_odd_is_remarked(default: Api, request_: VendorRequest) -> None:
    answer = _post(default, request_)
    assert answer.status_code in (200, 201), answer.text
    assert answer.json().get("success", True) is True, answer.text
    for number in request_.numbers:
        assert default.sent_to(request_.gateway, number) == 1
    [campaign] = default.control("GET", "/campaigns")["campaigns"]
    [seen] = default.control("GET", "/requests")["requests"]
    assert campaign["warnings"] == seen["warnings"]
    if request_.oddity is None:
        assert seen["warnings"] == []
    else:
        assert request_.oddity in " ".join(seen["warnings"])


@pytest.mark.parametrize("request_", ODD, ids=str)
def test_strict_refuses_what_is_odd(api: Api, request_: VendorRequest) -> None:
    assert request_.strict in _codes(_post(api, request_))
    assert api.control("GET", "/counts")[request_.gateway]["campaigns"] == 0


@pytest.mark.parametrize("request_", [r for r in REQUESTS if r not in ODD], ids=str)
def test_strict_takes_what_is_documented_or_ignored(api: Api, request_: VendorRequest) -> None:
    answer = _post(api, request_)
    assert answer.json().get("success", answer.status_code == 201) is True, answer.text


def test_a_sandbox_is_not_strict_unless_told() -> None:
    with running_sandbox(speed=0) as sandbox:
        assert sandbox.world.settings.strict is False


def test_a_date_without_an_offset_is_paris_time(default: Api) -> None:
    for send_at in ("2031-01-06T14:15:00", "2031-01-06T14:15:00+01:00"):
        default.octopush_sms(send_at=send_at)
    first, second = default.sandbox.world.campaigns["octopush"].values()
    assert first.due == pytest.approx(second.due)


def test_requests_that_are_no_send_are_remarked_too(default: Api) -> None:
    message_id = default.send().json()["message_id"]
    pairs = b'{"apiKey": "%s", "SMSStatut_List": [{"phoneNumber": "+33600000001", "messageId": %d}]}'
    default.call("smspartner", "POST", "/multi-status", data=pairs % (KEY.encode(), message_id))
    default.octopush("PATCH", "/user/campaign-parameters/edit", json={"surprise": {}})
    default.octopush("DELETE", "/sms-campaign/cancel", json={"ticket_number": "sms_1", "type": "sms"})
    seen = default.control("GET", "/requests", params={"limit": 3})["requests"]
    assert [bool(request["warnings"]) for request in seen] == [True, True, True]


SIX = {
    "phoneNumbers": "922264", "message": None, "sender": "longer than 11", "scheduledDeliveryDate": "21/11/2014",
}  # fmt: skip


def test_the_error_example_of_the_send_page(default: Api) -> None:
    """Six fields are wrong at once: one code 9, with an entry for each in the page's order."""
    value = default.send(**SIX).json()
    assert (value["success"], value["code"]) == (False, 9)
    assert [(entry["elementId"], entry["message"]) for entry in value["errors"]] == [
        ("children[message].data", "The message is required"),
        ("children[phoneNumbers].data", "This phone number is not valid (922264)"),
        ("children[sender].data", "The sender cannot be longer than 11 characters"),
        ("children[scheduledDeliveryDate].data", "The date (21/11/2014 at :) is earlier than the current date."),
        ("children[minute].data", "The minute is required"),
        ("children[time].data", "The time is required"),
    ]  # fmt: skip
    assert default.sent_to("smspartner", "922264") == 0


def test_the_error_example_of_the_bulk_page(default: Api) -> None:
    default.settings(smspartner={"errors_key": "error"})  # as that page spells it
    fields = {name: SIX[name] for name in ("sender", "scheduledDeliveryDate")}
    value = default.sms("/bulk-send", SMSList=[{"phoneNumber": "922264"}], **fields).json()
    assert value["code"] == 9
    assert [entry["elementId"] for entry in value["error"]] == [
        f"children[{name}].data"
        for name in ("message", "phoneNumbers", "sender", "scheduledDeliveryDate", "minute", "time")
    ]


@pytest.mark.parametrize(
    ("fields", "elements"),
    [
        ({"sender": "ab-cd", "tag": "two words"}, {"sender", "tag"}),
        ({"message": "", "sender": "x" * 12}, {"message", "sender"}),
        ({"scheduledDeliveryDate": "21/11/2031"}, {"minute", "time"}),
        ({"time": 9, "minute": 7}, {"scheduledDeliveryDate", "minute"}),
        ({"phoneNumbers": "922264,+33600000001", "sender": "x" * 12, "gamme": 3}, {"sender", "gamme"}),
    ],
)
def test_what_is_wrong_together_is_one_code_9(
    default: Api, fields: dict[str, Any], elements: set[str]
) -> None:
    value = default.send(**fields).json()
    assert value["code"] == 9
    assert {entry["elementId"] for entry in value["errors"]} == {
        f"children[{name}].data" for name in elements
    }


def test_a_day_that_is_not_over_is_not_past(default: Api) -> None:
    from airflow_provider_voicepartner.sandbox.clock import paris

    today = paris(default.sandbox.world.clock.calendar()).strftime("%d/%m/%Y")
    value = default.send(scheduledDeliveryDate=today).json()
    assert {entry["elementId"] for entry in value["errors"]} == {
        "children[minute].data",
        "children[time].data",
    }
