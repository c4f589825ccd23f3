"""Whatever comes in, parsers raise nothing but their own errors, and no receipt counts more than was sent."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import GatewayError, InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import ApiResponse, CallbackRequest
from tests.support.examples import examples

NUMBERS = ["+33600000001", "+33600000002", "+33600000003"]
RECIPIENTS = [Recipient(number, {"name": "Anna"}) for number in NUMBERS]
MESSAGES = [
    SmsMessage(text="secret words"),
    SmsMessage(text="secret {name}"),
    SmsMessage(text="x", options={"virtual_number": "33644000000", "nonsense": object()}),
]
KEY = "s3cret-k3y"
PRIVATE = (KEY, "secret words")

PARSERS = [
    *(lambda response, m=message: smspartner.parse_batch(response, m, RECIPIENTS) for message in MESSAGES),
    lambda response: smspartner.parse_batch(response, MESSAGES[2], RECIPIENTS[:1]),
    lambda response: smspartner.parse_cancel(response, "8123456"),
    smspartner.parse_balance,
    smspartner.parse_message_status,
    smspartner.parse_multi_status,
    smspartner.parse_bulk_status,
    lambda response: smspartner.parse_bulk_status_by_tag(response, tag="rdv-k3v9x0q2w7ha"),
    smspartner.parse_stop_list,
    smspartner.parse_stop_add,
    smspartner.parse_stop_delete,
]

GOOD: list[dict[str, Any]] = [
    {"success": True, "code": 200, "message_id": 8123456, "nb_sms": 2, "cost": 0.09, "currency": "EUR"},
    {
        "success": True, "code": 200, "message_id": 8123457, "cost": 0.09, "nbSMS": 2,
        "SMSResponse_List": [{"success": True, "code": 200, "nbSms": 1, "phoneNumber": "+33600000001"}] * 3,
    },
    {
        "success": False, "code": 55, "message": "no",
        "errors": [{"success": False, "code": "9", "message": "m", "phoneNumber": "+33600000001"}],
        "error": [{"elementId": "children[sender].data", "message": "m"}],
    },
    {
        "success": True, "code": 200, "message_id": "8123456", "currentPage": 1, "total": 2,
        "StatutResponse_List": [
            {"phoneNumber": "+33600000001", "status": "Delivered", "stopSMS": False, "date": "1935836171"},
            {"success": False, "code": 4, "phoneNumber": "+33600000009", "status": "Numéro introuvable"},
        ],
    },
    {"success": True, "number": "0600000001", "messageId": "8", "date": "2031-05-06 14:16:11", "statut": "ko"},
    {"success": True, "credits": {"creditSms": 1, "balance": "54.120"}, "user": {"username": "a"}},
    {"success": True, "nbData": 1, "data": [{"id": 1, "phoneNumber": "+336", "createdAt": "2031-05-06 14:16:11"}]},
    {"success": True, "stopId": 77},
]  # fmt: skip
CALLBACKS: list[dict[str, Any]] = [
    {"status": "delivered", "msgId": "8", "date": 1935836171, "phone": "+33600000001", "cost": "0.045", "tag": "t"},
    {"type": "response", "phone_number": "+33600000001", "text": "OK", "message_id": 8123456},
    {
        "msisdn": "33600000001", "to": "33644000000", "text": "Hi", "message-timestamp": "2031-05-06 14:16:11",
        "concat": "true", "concat-ref": "1", "concat-total": "2", "concat-part": "1",
    },
]  # fmt: skip

odd = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 10**30, 1e300, "", " ", "0", "1", "true", "\ud800", "x" * 300, "1e999999999",
        "9999-12-31 23:59:59", "0001-01-01T00:00:00+14:00", "²", "٣", "NaN", [], {}, [[]], [{}], {"a": {}},
        "+33600000001", KEY, "secret words", 5, "5", 429, "500", "children[sender].data",
    ]
)  # fmt: skip
json_values = st.recursive(
    odd | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
statuses = st.sampled_from([200, 201, 302, 400, 401, 403, 404, 408, 429, 500, 502, 503])


@st.composite
def mutated(draw: st.DrawFn, samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Take a good answer, and drop, replace or exchange a few of its values, at any depth."""
    value = json.loads(json.dumps(draw(st.sampled_from(samples))))
    names = sorted({name for sample in samples for name in _names(sample)})
    for _ in range(draw(st.integers(0, 3))):
        spots = list(_spots(value))
        holder, key = draw(st.sampled_from(spots)) if spots else (value, "success")
        if draw(st.booleans()):
            holder[key] = deepcopy(draw(odd | json_values))
        elif isinstance(holder, dict):
            holder.pop(key, None)
            holder[draw(st.sampled_from(names))] = deepcopy(draw(odd))
    return value


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for inner in value.values() for name in _names(inner)}
    return {name for inner in value for name in _names(inner)} if isinstance(value, list) else set()


def _spots(value: Any):
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        yield value, key
        yield from _spots(value[key])


def outcomes(response: ApiResponse) -> list[tuple[Any, GatewayError | None]]:
    """Let every parser read it; anything but a ``GatewayError`` ends the test."""
    found: list[tuple[Any, GatewayError | None]] = []
    for parse in PARSERS:
        try:
            found.append((parse(response), None))
        except GatewayError as error:
            found.append((None, error))
    return found


def check(response: ApiResponse) -> None:
    for answer, error in outcomes(response):
        if error is None:
            assert 0 <= getattr(answer, "accepted", 0) <= len(NUMBERS)
            continue
        assert error.gateway == "smspartner"
        shown = f"{error} {error!r} {error.code} {error.summary} {error.recipients!r}"
        hidden = ["33600000001", "0600000001", *response.private]
        assert not [text for text in hidden if text in shown]


@settings(deadline=None, max_examples=examples(60))
@given(st.binary(max_size=200), statuses)
def test_any_bytes(body, status):
    check(ApiResponse(status=status, body=body, private=PRIVATE))


@settings(deadline=None, max_examples=examples(60))
@given(json_values, statuses)
def test_any_json(value, status):
    response = ApiResponse(status=status, body=json.dumps(value).encode(), private=PRIVATE)
    check(response)


@settings(deadline=None, max_examples=examples(100))
@given(mutated(GOOD), statuses)
def test_good_answers_gone_wrong(value, status):
    response = ApiResponse(status=status, body=json.dumps(value).encode(), private=PRIVATE)
    check(response)


@settings(deadline=None, max_examples=examples(50))
@given(mutated(GOOD), st.integers(0, 400), statuses)
def test_truncated_answers(value, length, status):
    check(ApiResponse(status=status, body=json.dumps(value).encode()[:length], private=PRIVATE))


@settings(deadline=None, max_examples=examples(150))
@given(mutated(GOOD), statuses)
def test_only_a_literal_success_with_an_id_is_a_receipt(value, status):
    response = ApiResponse(status=status, body=json.dumps(value).encode())
    try:
        receipt = smspartner.parse_batch(response, MESSAGES[0], RECIPIENTS)
    except GatewayError:
        return
    assert value["success"] is True
    assert receipt.gateway_id.strip("0")


@settings(deadline=None, max_examples=examples(60))
@given(
    st.binary(max_size=100),
    st.text(max_size=100),
    st.sampled_from(["GET", "POST", "PUT", ""]),
    st.text(max_size=10),
)
def test_any_callback(body, query, method, content_type):
    callback = CallbackRequest(method=method, query=query, body=body, content_type=content_type)
    try:
        events = smspartner.parse_callback(callback)
    except InvalidCallbackError:
        return
    assert len(events) == 1


@settings(deadline=None, max_examples=examples(100))
@given(mutated(CALLBACKS))
def test_good_callbacks_gone_wrong(fields):
    refusal = ""
    try:
        events = smspartner.parse_callback(CallbackRequest(method="POST", body=json.dumps(fields).encode()))
    except InvalidCallbackError as error:
        events, refusal = (), str(error)
    assert bool(events) is not bool(refusal)
    assert "33600000001" not in refusal


def test_json_nested_too_deep_to_follow():
    for depth in (500, 900, 990, 1500, 200_000):
        nested = b"[" * depth + b"]" * depth
        for name in (b"success", b"message_id", b"errors", b"StatutResponse_List", b"date", b"credits"):
            check(ApiResponse(status=200, body=b'{"success": true, "' + name + b'": ' + nested + b"}"))
        callback = CallbackRequest(
            method="POST", body=b'{"status": "ko", "phone": "06", "date": ' + nested + b"}"
        )
        try:
            smspartner.parse_callback(callback)
        except InvalidCallbackError:
            continue
