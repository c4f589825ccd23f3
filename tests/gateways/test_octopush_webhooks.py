"""What Octopush sends to the account's callback URLs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import octopush
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import CallbackEvent, DeliveryReport, OptOut, Reply
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import CallbackRequest
from tests.support.examples import examples

NEWEST = {
    "channel": "voice_sms", "message_id": "voice_6543aa10c9d21", "list_name": "", "number": "+33600112233",
    "status": "DELIVERED", "unit_price": 0.05, "delivery_date": "2030-05-04 09:00:41",
    "meta_data": {"pressed_keys_code": "1", "call_duration": 21, "charged_duration": 30},
}  # fmt: skip
UNIFIED = {
    "channel": "sms", "message_id": "sms_6543aa10c9d21", "number": "+33600112233", "status": "NOT_DELIVERED",
    "delivery_date": "2030-05-04 09:00:41", "meta_data": {},
}  # fmt: skip
OLD = {
    "message_id": "voice_6543aa10c9d21", "number": "+33600112233", "status": "BUSY",
    "delivery_date": "2030-05-04 09:00:41", "call_duration": "0", "charged_duration": "0", "pressed_keys_code": "",
}  # fmt: skip
REPLY = {
    "message_id": "sms_6543aa10c9d21", "number": "+33600112233", "text": " ok ", "sim_card_number": "36180",
    "reception_date": "2030-05-04 09:05:10",
}  # fmt: skip
NESTED_REPLY = {
    "text": "ok", "reception_date": "2030-05-04 09:05:10",
    "metadata": {"number": "+33600112233", "message_id": "sms_6543aa10c9d21"},
}  # fmt: skip
STOP = {
    "message_id": "sms_6543aa10c9d21",
    "number": "+33600112233",
    "text": "STOP",
    "stop_date": "2030-05-04 09:05:10",
}

MOMENT = pendulum.datetime(2030, 5, 4, 9, 5, 10, tz="Europe/Paris")


def read(data: Any) -> CallbackEvent:
    (event,) = octopush.parse_callback(CallbackRequest(method="POST", body=json.dumps(data).encode()))
    return event


def delivery(data: Any) -> DeliveryReport:
    event = read(data)
    assert isinstance(event, DeliveryReport)
    return event


class TestDelivery:
    def test_newest_shape(self) -> None:
        report = delivery(NEWEST)
        assert (report.gateway, report.campaign_id) == ("octopush", "voice_6543aa10c9d21")
        assert (report.phone_number, report.status) == ("+33600112233", DeliveryStatus.DELIVERED)
        assert (report.gateway_status, report.pressed_keys, report.duration) == ("DELIVERED", "1", 21)
        assert report.cost == Decimal("0.05")
        assert report.at == pendulum.datetime(2030, 5, 4, 9, 0, 41, tz="Europe/Paris")
        assert report.raw["meta_data"]["charged_duration"] == 30
        assert "600112233" not in repr(report)

    def test_unified_shape(self) -> None:
        report = delivery(UNIFIED)
        assert (report.status, report.duration, report.pressed_keys, report.cost) == (
            DeliveryStatus.FAILED,
            None,
            None,
            None,
        )

    def test_old_shape(self) -> None:
        report = delivery(OLD)
        assert (report.status, report.duration, report.pressed_keys) == (DeliveryStatus.FAILED, 0, None)

    @pytest.mark.parametrize("data", [NEWEST, UNIFIED, OLD])
    @pytest.mark.parametrize("content_type", ["", "application/json", "application/x-www-form-urlencoded"])
    def test_as_a_form_whatever_it_is_called(self, data: dict[str, Any], content_type: str) -> None:
        nested = data.get("meta_data", {})
        flat = {name: value for name, value in data.items() if name != "meta_data"}
        for form in (
            {**flat, **{f"meta_data[{name}]": value for name, value in nested.items()}},
            {**flat, "meta_data": json.dumps(nested)},
            {**flat, "meta_data": "not json"},
        ):
            callback = CallbackRequest(
                method="POST", body=urlencode(form).encode(), content_type=content_type
            )
            (event,) = octopush.parse_callback(callback)
            assert isinstance(event, DeliveryReport)
            expected = delivery(data)
            assert (event.status, event.phone_number, event.at) == (
                expected.status,
                expected.phone_number,
                expected.at,
            )
            if form.get("meta_data") != "not json":
                assert (event.duration, event.pressed_keys) == (expected.duration, expected.pressed_keys)

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("DELIVERED", "delivered"), ("READ", "delivered"), ("OPENED", "delivered"), ("CLICKED", "delivered"),
            ("NOT_DELIVERED", "failed"), ("BUSY", "failed"), ("REFUSED", "failed"), ("not delivered", "failed"),
            ("NOT_DELIVERABLE", "undeliverable"), ("BAD_DESTINATION", "undeliverable"),
            ("NOT_ALLOWED", "undeliverable"), ("BLACKLISTED_NUMBER", "opted_out"), ("ACK", "pending"),
            ("UNKNOWN_DELIVERY", "pending"), ("UNDEFINED", "pending"), ("PROCESSED", "pending"),
            ("TRANSMITTED", "pending"), ("ISP_SEND", "pending"), ("SPAM_PRESUMPTION", "pending"),
            ("BRAND_NEW", "pending"),
        ],
    )  # fmt: skip
    def test_words(self, word: str, status: str) -> None:
        report = delivery({**NEWEST, "status": word})
        assert (report.status, report.gateway_status) == (DeliveryStatus(status), word)
        assert report.opted_out is (word == "BLACKLISTED_NUMBER")

    def test_a_number_in_every_spelling(self) -> None:
        for number in ("+33612345678", "33612345678", "0033612345678", "0612345678", 33612345678):
            assert delivery({**NEWEST, "number": number}).phone_number == "+33612345678"

    def test_little_is_enough(self) -> None:
        report = delivery({"number": "+33600112233", "status": "ACK", "delivery_date": ""})
        assert (report.campaign_id, report.at) == (None, None)


class TestReply:
    def test_at_the_root(self) -> None:
        event = read(REPLY)
        assert isinstance(event, Reply)
        assert (event.campaign_id, event.phone_number, event.to) == (
            "sms_6543aa10c9d21",
            "+33600112233",
            "36180",
        )
        assert (event.text, event.at) == (" ok ", MOMENT)
        assert "ok" not in repr(event)

    def test_nested(self) -> None:
        event = read(NESTED_REPLY)
        assert isinstance(event, Reply)
        assert (event.campaign_id, event.phone_number, event.at) == (
            "sms_6543aa10c9d21",
            "+33600112233",
            MOMENT,
        )

    def test_with_the_other_name_of_its_date(self) -> None:
        data = {**REPLY, "answer_date": REPLY["reception_date"]}
        del data["reception_date"]
        event = read(data)
        assert isinstance(event, Reply)
        assert event.at == MOMENT

    def test_of_digits_or_of_nothing(self) -> None:
        for text, written in ((1, "1"), ("", ""), (None, "")):
            event = read({**REPLY, "text": text})
            assert isinstance(event, Reply)
            assert event.text == written

    def test_as_a_form(self) -> None:
        (event,) = octopush.parse_callback(CallbackRequest(method="POST", body=urlencode(REPLY).encode()))
        assert isinstance(event, Reply)
        assert (event.text, event.at) == (" ok ", MOMENT)


def test_stop() -> None:
    event = read(STOP)
    assert isinstance(event, OptOut)
    assert (event.campaign_id, event.phone_number, event.text) == (
        "sms_6543aa10c9d21",
        "+33600112233",
        "STOP",
    )
    assert event.at == MOMENT


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        {"message_id": "sms_1", "number": "+33600112233", "visit_date": "2030-05-04 09:05:10"},
        {**NEWEST, "number": None},
        {**NEWEST, "number": "unknown"},
        {**NEWEST, "number": ["+33600112233"]},
        {**NEWEST, "status": None},
        {**NEWEST, "status": {"a": 1}},
        {**NEWEST, "stop_date": "2030-05-04 09:05:10"},
        {"text": "ok", "reception_date": "2030-05-04 09:05:10", "metadata": None},
    ],
)
def test_what_is_none_of_the_three(data: object) -> None:
    with pytest.raises(InvalidCallbackError) as caught:
        read(data)
    assert "600112233" not in str(caught.value)


def test_an_empty_date_of_another_kind_does_not_count() -> None:
    assert isinstance(read({**NEWEST, "stop_date": "", "reception_date": None}), DeliveryReport)


SHAPES = [NEWEST, UNIFIED, OLD, REPLY, NESTED_REPLY, STOP]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.lists(st.text(), max_size=2)
)
KEYS = st.sampled_from(
    sorted({name for shape in SHAPES for name in shape} | {"metadata[number]", "meta_data[x]", "other"})
)


@settings(max_examples=examples(100), deadline=None)
@given(
    query=st.text(max_size=40),
    body=st.binary(max_size=200)
    | st.builds(
        lambda shape, changes: json.dumps({**shape, **changes}).encode(),
        st.sampled_from(SHAPES),
        st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=3), max_size=4),
    )
    | st.builds(
        lambda shape, changes: urlencode({**shape, **changes}).encode(),
        st.sampled_from(SHAPES),
        st.dictionaries(KEYS, st.text(max_size=20), max_size=4),
    ),
)
def test_anything_gives_an_event_or_the_one_error(query: str, body: bytes) -> None:
    try:
        events = octopush.parse_callback(CallbackRequest(method="POST", query=query, body=body))
    except InvalidCallbackError:
        return
    assert len(events) == 1
