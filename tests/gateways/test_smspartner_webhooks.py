"""Callbacks: delivery reports, replies and STOPs, in JSON and as forms."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import urlencode

import pendulum
import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import DeliveryReport, OptOut, Reply
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

AT = pendulum.datetime(2031, 5, 6, 14, 16, 11, tz="Europe/Paris")
REPORT = {
    "status": "delivered", "msgId": "8123456", "date": int(AT.timestamp()), "phone": "+33600000001",
    "cost": "0.045", "currency": "EUR", "tag": "rdv-k3v9x0q2w7ha",
}  # fmt: skip
REPLY = {"type": "response", "phone_number": "+33600000001", "text": "OK merci", "message_id": 8123456}
LONG_REPLY = {
    "msisdn": "33600000001", "to": "33644000000", "messageId": "0B0000005A1B2C3D", "text": "Bonjour tout le",
    "type": "text", "keyword": "BONJOUR", "message-timestamp": "2031-05-06 14:16:11",
    "concat": "true", "concat-ref": "108", "concat-total": "2", "concat-part": "1",
}  # fmt: skip
HLR = {
    "phone": "+33600000001", "messageId": "abc", "mccMnc": "20801", "ported": 0, "errorGrpId": 0,
    "errorName": "NO_ERROR ", "errorDesc": "No error", "date": "2031-05-06T12:16:11.000+0000",
}  # fmt: skip


def as_json(fields) -> CallbackRequest:
    return CallbackRequest(method="POST", body=json.dumps(fields).encode(), content_type="application/json")


def as_form(fields) -> CallbackRequest:
    return CallbackRequest(
        method="POST", body=urlencode(fields).encode(), content_type="application/x-www-form-urlencoded"
    )


def as_query(fields) -> CallbackRequest:
    return CallbackRequest(method="GET", query=urlencode(fields))


EVERY_WAY = pytest.mark.parametrize("encode", [as_json, as_form, as_query])


def parse(fields, encode=as_json):
    (event,) = smspartner.parse_callback(encode(fields))
    return event


@EVERY_WAY
def test_delivery_report(encode):
    report = parse(REPORT, encode)
    assert isinstance(report, DeliveryReport)
    assert (report.gateway, report.campaign_id, report.phone_number) == (
        "smspartner",
        "8123456",
        "+33600000001",
    )
    assert (report.status, report.gateway_status) == (DeliveryStatus.DELIVERED, "delivered")
    assert (report.at, report.cost) == (AT, Decimal("0.045"))
    assert report.reference == "k3v9x0q2w7ha"
    assert report.raw["tag"] == "rdv-k3v9x0q2w7ha"
    assert "600000001" not in repr(report)


@pytest.mark.parametrize("id_name", ["msgId", "messageId", "message_id"])
@pytest.mark.parametrize("number_name", ["phone", "number", "phone_number", "phoneNumber"])
@pytest.mark.parametrize("id_", [8123456, "8123456"])
def test_spellings_of_a_delivery_report(id_name, number_name, id_):
    report = parse({"status": "ko", id_name: id_, number_name: "0600000001"})
    assert (report.campaign_id, report.phone_number) == ("8123456", "+33600000001")
    assert report.status is DeliveryStatus.FAILED
    assert (report.at, report.cost, report.reference) == (None, None, None)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("delivered", DeliveryStatus.DELIVERED),
        ("not delivered", DeliveryStatus.FAILED),
        ("waiting", DeliveryStatus.PENDING),
        ("ko", DeliveryStatus.FAILED),
    ],
)
def test_words_of_delivery_reports(word, status):
    assert parse(REPORT | {"status": word}).status is status


def test_a_tag_that_is_not_ours_is_kept():
    assert parse(REPORT | {"tag": "rdv2031"}).reference == "rdv2031"
    assert parse(REPORT | {"tag": "k3v9x0q2w7ha"}).reference == "k3v9x0q2w7ha"
    assert parse(REPORT | {"tag": ""}).reference is None


def test_a_report_about_someone_who_opted_out():
    assert parse(REPORT | {"stopSms": "1"}).opted_out is True


@pytest.mark.parametrize("name", ["stopSms", "stopSMS"])
@pytest.mark.parametrize(
    ("value", "said_stop"),
    [
        ("1", True), ("true", True), (True, True), (1, True), ("", False), (" ", False), ("0", False), ("false", False),
        (None, False), (0, False), ("non", False), ("null", False), ([], False), ({}, False),
    ],
)  # fmt: skip
def test_only_a_clear_yes_puts_somebody_on_the_stop_list(name: str, value: object, said_stop: bool) -> None:
    """A blank field comes with every report of a form; read as a yes, it would opt everybody out."""
    assert parse(REPORT | {name: value}).opted_out is said_stop
    if isinstance(value, str):
        assert smspartner.parse_callback(as_form(REPORT | {name: value}))[0].opted_out is said_stop


@EVERY_WAY
@pytest.mark.parametrize("id_", [8123456, "8123456"])
def test_reply(encode, id_):
    reply = parse(REPLY | {"message_id": id_}, encode)
    assert isinstance(reply, Reply)
    assert (reply.campaign_id, reply.phone_number, reply.text) == ("8123456", "+33600000001", "OK merci")
    assert (reply.part, reply.parts, reply.parts_reference) == (1, 1, None)
    assert "merci" not in repr(reply)


@EVERY_WAY
def test_stop(encode):
    stop = parse(REPLY | {"type": "stop", "text": "STOP au 36111"}, encode)
    assert isinstance(stop, OptOut)
    assert (stop.campaign_id, stop.phone_number, stop.text) == ("8123456", "+33600000001", "STOP au 36111")


def test_a_stop_without_a_text():
    assert isinstance(parse({"type": "STOP", "phone_number": "+33600000001"}), OptOut)


@pytest.mark.parametrize("text", ["STOP", "stop", " Stop. "])
def test_an_answer_that_is_nothing_but_stop_is_an_opt_out_whatever_its_type(text):
    assert isinstance(parse(REPLY | {"text": text}), OptOut)
    assert isinstance(parse(LONG_REPLY | {"text": text}), OptOut)


@pytest.mark.parametrize("text", ["Stop by at noon", "non-stop", "stopped"])
def test_an_answer_with_the_word_in_it_is_a_reply(text):
    assert isinstance(parse(REPLY | {"text": text}), Reply)


def test_a_reply_without_a_type():
    assert isinstance(parse({"phone_number": "+33600000001", "text": "OK"}), Reply)


def test_a_reply_that_also_has_a_status_is_a_reply():
    assert isinstance(parse(REPLY | {"status": "received"}), Reply)


@EVERY_WAY
def test_reply_on_a_long_number(encode):
    reply = parse(LONG_REPLY, encode)
    assert isinstance(reply, Reply)
    assert (reply.phone_number, reply.to, reply.text) == ("+33600000001", "+33644000000", "Bonjour tout le")
    assert (reply.part, reply.parts, reply.parts_reference) == (1, 2, "108")
    assert reply.at == AT
    assert reply.campaign_id is None, "its messageId is the answer's own"
    assert reply.raw["messageId"] == "0B0000005A1B2C3D"


def test_a_short_reply_on_a_long_number():
    fields = {key: value for key, value in LONG_REPLY.items() if not key.startswith("concat")}
    reply = parse(fields)
    assert (reply.part, reply.parts, reply.parts_reference) == (1, 1, None)


@pytest.mark.parametrize(
    "parts",
    [
        {"concat-part": "3"},
        {"concat-total": "x"},
        {"concat-part": "0"},
        {"concat": "false"},
        {"concat-total": "256"},
    ],
)
def test_parts_that_cannot_be_are_one_whole(parts):
    reply = parse(LONG_REPLY | parts)
    assert (reply.part, reply.parts, reply.parts_reference) == (1, 1, None)


@EVERY_WAY
def test_a_number_check_is_refused_by_name(encode):
    with pytest.raises(InvalidCallbackError, match="HLR"):
        smspartner.parse_callback(encode(HLR))


@pytest.mark.parametrize(
    "callback",
    [
        CallbackRequest(method="POST"),
        CallbackRequest(method="POST", body=b"\xff\xfe"),
        CallbackRequest(method="POST", body=b"[]"),
        CallbackRequest(method="POST", body=b"null"),
        as_json({"hello": "world"}),
        as_json({"status": "delivered"}),
        as_json({"status": "", "phone": "+33600000001"}),
        as_json({"type": "response", "text": "x"}),
        as_json({"type": "stop"}),
        as_json({"text": "x"}),
        as_json({"status": ["delivered"], "phone": "+33600000001"}),
    ],
)
def test_what_is_no_callback(callback):
    with pytest.raises(InvalidCallbackError) as caught:
        smspartner.parse_callback(callback)
    assert "600000001" not in str(caught.value)


@pytest.mark.parametrize("word", ["unknown", "", "0", "12345", None, ["+33600000001"]])
@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (REPORT, "phone"),
        (REPLY, "phone_number"),
        (REPLY | {"type": "stop"}, "phone_number"),
        (LONG_REPLY, "msisdn"),
    ],
    ids=["report", "reply", "STOP", "long number"],
)
def test_a_word_in_place_of_the_number_is_nobody(fields, name, word):
    """It would fill the place of a recipient of whom nothing is known."""
    with pytest.raises(InvalidCallbackError):
        parse(fields | {name: word})
