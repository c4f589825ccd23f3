"""One request per endpoint: method, path, parameters, and whether it may be repeated."""

from __future__ import annotations

import json

import pendulum
import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.smspartner import Gamme, SendSettings

NOW = pendulum.datetime(2031, 5, 6, 12, 0, tz="Europe/Paris")
NUMBER = "+33600000001"

REQUESTS = [
    (
        smspartner.build_send(phone_numbers=[NUMBER], text="Hi", now=NOW),
        ("POST", "send", False, {}, {"phoneNumbers": NUMBER, "message": "Hi"}),
    ),
    (
        smspartner.build_bulk_send(texts=[(NUMBER, "Hi")], now=NOW),
        ("POST", "bulk-send", False, {}, {"SMSList": [{"phoneNumber": NUMBER, "message": "Hi"}]}),
    ),
    (
        smspartner.build_vn_send(phone_number=NUMBER, virtual_number="33644000000", text="Hi"),
        ("POST", "vn/send", False, {}, {"to": NUMBER, "from": "33644000000", "message": "Hi"}),
    ),
    (
        smspartner.build_message_status(message_id="8123456", phone_number=NUMBER),
        ("GET", "message-status", True, {"messageId": "8123456", "phoneNumber": NUMBER}, None),
    ),
    (
        smspartner.build_multi_status(messages=[("8123456", NUMBER), ("uuid-1", "+33600000002")]),
        (
            "POST",
            "multi-status",
            True,
            {},
            {
                "SMSStatut_List": [
                    {"phoneNumber": NUMBER, "messageId": 8123456},
                    {"phoneNumber": "+33600000002", "messageId": "uuid-1"},
                ]
            },
        ),
    ),
    (
        smspartner.build_bulk_status(message_id="8123456"),
        ("GET", "bulk-status", True, {"messageId": "8123456"}, None),
    ),
    (
        smspartner.build_bulk_status_by_tag(tag="rdv-2031"),
        ("GET", "bulk-status-by-tag", True, {"tag": "rdv-2031"}, None),
    ),
    (
        smspartner.build_bulk_status_by_tag(tag="rdv-2031", page=2),
        ("GET", "bulk-status-by-tag", True, {"tag": "rdv-2031", "page": "2"}, None),
    ),
    (
        smspartner.build_bulk_status_by_tag(tag="rdv-2031", page=2, page_parameter="currentPage"),
        ("GET", "bulk-status-by-tag", True, {"tag": "rdv-2031", "currentPage": "2"}, None),
    ),
    (
        smspartner.build_message_cancel(message_id="8123456"),
        ("GET", "message-cancel", True, {"messageId": "8123456"}, None),
    ),
    (smspartner.build_me(), ("GET", "me", True, {}, None)),
    (smspartner.build_stop_list(), ("GET", "stop-sms/list", True, {}, None)),
    (
        smspartner.build_stop_add(phone_number=NUMBER),
        ("POST", "stop-sms/add", True, {}, {"phoneNumber": NUMBER}),
    ),
    (
        # A GET with an effect: never to be repeated.
        smspartner.build_stop_delete(stop_id="77"),
        ("GET", "stop-sms/delete", False, {"id": "77"}, None),
    ),
]


@pytest.mark.parametrize(("request_", "wanted"), REQUESTS, ids=[r.endpoint for r, _ in REQUESTS])
def test_requests(request_, wanted):
    method, path, safe, params, body = wanted
    assert request_.endpoint == path
    assert (request_.method, request_.path, request_.safe_to_repeat) == (method, path, safe)
    assert dict(request_.params) == params
    assert request_.body == body
    json.dumps(request_.body)


def test_a_send_with_everything():
    request = smspartner.build_send(
        phone_numbers=[NUMBER, "+590690000001"],
        text="Hi",
        now=NOW,
        tag="any_tag.with-20chars",
        send_at=pendulum.datetime(2031, 5, 6, 12, 11),
        settings=SendSettings(
            sender="ACME",
            gamme=Gamme.PREMIUM,
            is_stop_sms=True,
            is_unicode=True,
            sandbox=True,
            url_dlr="https://a.example/d",
            url_response="https://a.example/r",
        ),
    )
    assert request.body == {
        "phoneNumbers": f"{NUMBER},+590690000001",
        "message": "Hi",
        "sender": "ACME",
        "gamme": 1,
        "tag": "any_tag.with-20chars",
        "scheduledDeliveryDate": "06/05/2031",
        "time": 14,
        "minute": 15,
        "isStopSms": 1,
        "isUnicode": 1,
        "sandbox": 1,
        "urlDlr": "https://a.example/d",
        "urlResponse": "https://a.example/r",
    }
    assert all(type(request.body[key]) is int for key in ("gamme", "time", "minute", "isStopSms", "sandbox"))


def test_a_virtual_send_with_everything():
    request = smspartner.build_vn_send(
        phone_number=NUMBER,
        virtual_number="+33644000000",
        text="a\nb",
        tag="t",
        settings=SendSettings(
            is_stop_sms=True,
            sandbox=True,
            url_dlr="https://a.example/d",
            url_response="https://a.example/r",
        ),
    )
    assert request.body == {
        "to": NUMBER,
        "from": "33644000000",
        "message": "a:br:b",
        "tag": "t",
        "isStopSms": 1,
        "sandbox": 1,
        "urlDlr": "https://a.example/d",
        "urlResponse": "https://a.example/r",
    }
    assert request.private == ("a\nb", "a:br:b")


SEND = {"phone_numbers": [NUMBER], "text": "Hi", "now": NOW}


@pytest.mark.parametrize(
    ("argument", "build", "given"),
    [
        ("to", smspartner.build_send, SEND | {"phone_numbers": []}),
        ("to", smspartner.build_send, SEND | {"phone_numbers": [NUMBER] * 501}),
        ("to", smspartner.build_send, SEND | {"phone_numbers": ["0600000001"]}),
        ("message", smspartner.build_send, SEND | {"text": ""}),
        (
            "message",
            smspartner.build_send,
            SEND | {"text": "x" * 161, "settings": SendSettings(gamme=Gamme.LOW_COST)},
        ),
        ("sender", SendSettings, {"sender": "ABCDEFGHIJKL"}),
        ("tag", smspartner.build_send, SEND | {"tag": "x" * 21}),
        ("tag", smspartner.build_send, SEND | {"tag": "a b"}),
        ("tag", smspartner.build_send, SEND | {"tag": "Tag"}),
        ("tag", smspartner.build_send, SEND | {"tag": ""}),
        ("url_dlr", SendSettings, {"url_dlr": "http://a.example"}),
        ("url_response", SendSettings, {"url_response": "http://a.example"}),
        ("is_stop_sms", SendSettings, {"is_stop_sms": True, "gamme": Gamme.LOW_COST}),
        ("send_at", smspartner.build_send, SEND | {"send_at": NOW}),
        ("to", smspartner.build_bulk_send, {"texts": [], "now": NOW}),
        ("to", smspartner.build_bulk_send, {"texts": [(NUMBER, "x")] * 501, "now": NOW}),
        ("message", smspartner.build_bulk_send, {"texts": [(NUMBER, "x"), (NUMBER, "")], "now": NOW}),
        (
            "to",
            smspartner.build_vn_send,
            {"phone_number": "06", "virtual_number": "33644000000", "text": "x"},
        ),
        (
            "options['virtual_number']",
            smspartner.build_vn_send,
            {"phone_number": NUMBER, "virtual_number": "0644000000", "text": "x"},
        ),
        (
            "message",
            smspartner.build_vn_send,
            {"phone_number": NUMBER, "virtual_number": "33644000000", "text": ""},
        ),
        ("message_id", smspartner.build_message_status, {"message_id": "", "phone_number": NUMBER}),
        ("phone_number", smspartner.build_message_status, {"message_id": "1", "phone_number": "06"}),
        ("messages", smspartner.build_multi_status, {"messages": []}),
        ("messages", smspartner.build_multi_status, {"messages": [("1", NUMBER)] * 501}),
        ("messages", smspartner.build_multi_status, {"messages": [("1", "06")]}),
        ("messages", smspartner.build_multi_status, {"messages": [("a b", NUMBER)]}),
        ("message_id", smspartner.build_bulk_status, {"message_id": "0"}),
        ("message_id", smspartner.build_bulk_status, {"message_id": "1&apiKey=x"}),
        ("tag", smspartner.build_bulk_status_by_tag, {"tag": "a b"}),
        ("page", smspartner.build_bulk_status_by_tag, {"tag": "a", "page": 0}),
        ("message_id", smspartner.build_message_cancel, {"message_id": "-1"}),
        ("phone_number", smspartner.build_stop_add, {"phone_number": "0600000001"}),
        ("stop_id", smspartner.build_stop_delete, {"stop_id": ""}),
    ],
)
def test_bad_arguments_are_named(argument, build, given):
    with pytest.raises(InvalidArgumentError) as caught:
        build(**given)
    assert caught.value.argument == argument
    assert NUMBER not in str(caught.value)


def test_500_are_taken():
    assert len(smspartner.build_multi_status(messages=[("1", NUMBER)] * 500).body["SMSStatut_List"]) == 500
    assert len(smspartner.build_bulk_send(texts=[(NUMBER, "x")] * 500, now=NOW).body["SMSList"]) == 500
