"""What Voice Partner sends to a callback URL."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import voicepartner
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import CampaignDeliveryReport, DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import CallbackRequest
from tests.support.examples import examples

CALL = {
    "campaignId": "Qa7x2kd9vbLm3n8R5tyW1", "status": "delivered", "additionnal_status": "VOICE_ANSWERED",
    "phoneNumber": "0033600000001", "sendAt": "2031-05-06 14:15:02", "doneAt": "2031-05-06 14:15:31", "duration": 6,
}  # fmt: skip
DROP = {
    "campaign_token": "vm4T81",
    "campaign_id": "NDA_20310506_00042",
    "delivered_quantity": "1",
    "total_quantity": "2",
}


def post(data: Any, query: str = "") -> CallbackRequest:
    return CallbackRequest(
        method="POST", body=json.dumps(data).encode(), query=query, content_type="application/json"
    )


def read_call(**changes: Any) -> DeliveryReport:
    (event,) = voicepartner.parse_callback(post({**CALL, **changes}))
    assert isinstance(event, DeliveryReport)
    return event


class TestCall:
    def test_picked_up(self) -> None:
        report = read_call()
        assert (report.gateway, report.campaign_id) == ("voicepartner", "Qa7x2kd9vbLm3n8R5tyW1")
        assert (report.phone_number, report.status) == ("+33600000001", DeliveryStatus.DELIVERED)
        assert (report.gateway_status, report.detail, report.duration) == ("delivered", "VOICE_ANSWERED", 6)
        assert report.at == pendulum.datetime(2031, 5, 6, 14, 15, 31, tz="Europe/Paris")
        assert report.raw["sendAt"] == "2031-05-06 14:15:02"
        assert "600000001" not in repr(report)

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("pending", DeliveryStatus.PENDING),
            ("delivered", DeliveryStatus.DELIVERED),
            ("undelivered", DeliveryStatus.FAILED),
            ("UNDELIVERED ", DeliveryStatus.FAILED),
            ("ringing", DeliveryStatus.PENDING),
        ],
    )
    def test_words(self, word: str, status: DeliveryStatus) -> None:
        assert read_call(status=word).status is status

    @pytest.mark.parametrize(
        "number", ["0033612345678", "+33612345678", "33612345678", "0612345678", "00612345678"]
    )
    def test_a_number_in_every_spelling(self, number: str) -> None:
        assert read_call(phoneNumber=number).phone_number == "+33612345678"

    def test_a_message_left_beside_the_call(self) -> None:
        report = read_call(
            additionnal_status="VOICE_NOT_ANSWERED", audioFileComplementaire={"status": "Deposit"}
        )
        assert report.detail == "VOICE_NOT_ANSWERED"
        assert report.raw["audioFileComplementaire"] == {"status": "Deposit"}
        assert (
            read_call(additionnal_status=None, audioFileComplementaire={"status": "Deposit"}).detail
            == "Deposit"
        )

    def test_the_right_spelling_too(self) -> None:
        assert (
            read_call(additionnal_status=None, additional_status="VOICE_ANSWERED").detail == "VOICE_ANSWERED"
        )

    def test_little_is_enough(self) -> None:
        event = voicepartner.parse_callback(
            post({"phoneNumber": "0612345678", "status": "pending", "duration": "x"})
        )[0]
        assert isinstance(event, DeliveryReport)
        assert (event.campaign_id, event.at, event.duration, event.detail) == (None, None, None, None)

    def test_sent_when_it_is_not_done(self) -> None:
        assert read_call(doneAt=None).at == pendulum.datetime(2031, 5, 6, 14, 15, 2, tz="Europe/Paris")

    def test_as_a_form_without_a_content_type(self) -> None:
        form = {**CALL, "audioFileComplementaire[status]": "Deposit", "additionnal_status": ""}
        (event,) = voicepartner.parse_callback(CallbackRequest(method="POST", body=urlencode(form).encode()))
        assert isinstance(event, DeliveryReport)
        assert (event.phone_number, event.duration, event.detail) == ("+33600000001", 6, "Deposit")


class TestVoicemail:
    def test_counts_of_a_campaign(self) -> None:
        (event,) = voicepartner.parse_callback(CallbackRequest(method="GET", query=urlencode(DROP)))
        assert isinstance(event, CampaignDeliveryReport)
        assert event.campaign_ids == ("vm4T81", "NDA_20310506_00042")
        assert (event.delivered, event.total) == (1, 2)

    def test_beside_our_own_query(self) -> None:
        (event,) = voicepartner.parse_callback(
            CallbackRequest(method="GET", query="ref=k3v9&" + urlencode(DROP))
        )
        assert isinstance(event, CampaignDeliveryReport)
        assert event.raw["ref"] == "k3v9"

    def test_posted_as_json(self) -> None:
        (event,) = voicepartner.parse_callback(post({**DROP, "total_quantity": 2, "campaign_id": "vm4T81"}))
        assert isinstance(event, CampaignDeliveryReport)
        assert event.campaign_ids == ("vm4T81",)

    @pytest.mark.parametrize(
        "changes",
        [
            {"delivered_quantity": ""}, {"total_quantity": "many"}, {"delivered_quantity": "3"},
            {"delivered_quantity": "-1"}, {"campaign_token": "", "campaign_id": " "},
        ],
    )  # fmt: skip
    def test_counts_that_cannot_be(self, changes: dict[str, str]) -> None:
        with pytest.raises(InvalidCallbackError):
            voicepartner.parse_callback(CallbackRequest(method="GET", query=urlencode({**DROP, **changes})))


@pytest.mark.parametrize(
    "callback",
    [
        CallbackRequest(method="GET"),
        CallbackRequest(method="POST", body=b"[]"),
        CallbackRequest(method="POST", body=b"<html>"),
        post({}),
        post({**CALL, "phoneNumber": None}),
        post({**CALL, "phoneNumber": "anonymous"}),
        post({**CALL, "phoneNumber": {"a": 1}}),
        post({**CALL, "status": ""}),
        post({**CALL, "status": ["delivered"]}),
    ],
)
def test_what_is_no_report(callback: CallbackRequest) -> None:
    with pytest.raises(InvalidCallbackError) as caught:
        voicepartner.parse_callback(callback)
    assert "6000" not in str(caught.value)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.lists(st.text(), max_size=2)
)
KEYS = st.sampled_from([*CALL, *DROP, "audioFileComplementaire", "other"])


@settings(max_examples=examples(100), deadline=None)
@given(
    query=st.text(max_size=60) | st.dictionaries(KEYS, st.text(max_size=20)).map(urlencode),
    body=st.binary(max_size=200)
    | st.dictionaries(KEYS, VALUES).map(lambda changes: json.dumps({**CALL, **changes}).encode())
    | st.dictionaries(KEYS, st.text(max_size=20)).map(lambda form: urlencode({**CALL, **form}).encode()),
)
def test_anything_gives_events_or_the_one_error(query: str, body: bytes) -> None:
    try:
        events = voicepartner.parse_callback(CallbackRequest(method="POST", query=query, body=body))
    except InvalidCallbackError:
        return
    assert len(events) == 1
