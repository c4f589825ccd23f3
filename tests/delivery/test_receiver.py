"""Every documented shape of a callback, over a real socket: answered with an empty 200, and found in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.receiver import RunningReceiver

NUMBER = "+33600000001"
REFERENCE = "k3v9x0q2w7ha"
VOICE = "voice_6543aa10c9d21"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One documented callback, and the row that it becomes."""

    name: str
    gateway: str
    fields: dict[str, Any]
    table: str
    row: dict[str, Any]
    method: str = "POST"


SMSPARTNER_REPORT = {
    "status": "delivered", "msgId": "8123456", "date": 1935836171, "phone": NUMBER, "cost": "0.045",
    "currency": "EUR", "tag": "rdv2031",
}  # fmt: skip
SMSPARTNER_REPLY = {"type": "response", "phone_number": NUMBER, "text": "OK merci", "message_id": 8123456}
CALL = {
    "campaignId": "Qa7x2kd9vbLm3n8R5tyW1", "status": "delivered", "additionnal_status": "VOICE_ANSWERED",
    "phoneNumber": "0033600000001", "sendAt": "2031-05-06 14:15:02", "doneAt": "2031-05-06 14:15:31", "duration": 6,
}  # fmt: skip
VOICEMAIL = {
    "campaign_token": "vm4T81", "campaign_id": "NDA_20310506_00042", "delivered_quantity": "1", "total_quantity": "2",
}  # fmt: skip
OLD_CALL = {
    "message_id": VOICE, "number": NUMBER, "status": "BUSY", "delivery_date": "2030-05-04 09:00:41",
    "call_duration": "0", "charged_duration": "0",
}  # fmt: skip
NEW_CALL = {
    "channel": "voice_sms", "message_id": VOICE, "list_name": "", "number": NUMBER, "status": "DELIVERED",
    "unit_price": 0.05, "delivery_date": "2030-05-04 09:00:41",
    "meta_data": {"pressed_keys_code": "1", "call_duration": 21, "charged_duration": 30},
}  # fmt: skip
FORM_CALL = {
    **{name: value for name, value in NEW_CALL.items() if name != "meta_data"},
    "meta_data[pressed_keys_code]": "1", "meta_data[call_duration]": "21",
}  # fmt: skip
OCTOPUSH_REPLY = {
    "message_id": "sms_6543aa10c9d21", "number": NUMBER, "text": "ok", "sim_card_number": "36180",
    "reception_date": "2030-05-04 09:05:10",
}  # fmt: skip

BATCH, ACCOUNT = f"ref:{REFERENCE}", f"id:{VOICE}"
SHAPES = [
    Shape(
        name="SMS Partner: delivery report", gateway="smspartner", fields=SMSPARTNER_REPORT, table="delivery_report",
        row={"campaign": BATCH, "phone_number": NUMBER, "status": "delivered", "cost": "0.045",
             "gateway_campaign": "8123456"},
    ),
    Shape(
        name="SMS Partner: reply", gateway="smspartner", fields=SMSPARTNER_REPLY, table="event",
        row={"kind": "reply", "campaign": BATCH, "phone_number": NUMBER, "text": "OK merci"},
    ),
    Shape(
        name="SMS Partner: STOP", gateway="smspartner", fields=SMSPARTNER_REPLY | {"type": "stop", "text": "STOP"},
        table="event", row={"kind": "opt_out", "campaign": BATCH, "phone_number": NUMBER},
    ),
    Shape(
        name="SMS Partner: part of a reply to a long number", gateway="smspartner", table="event",
        fields={"msisdn": "33600000001", "to": "33644630000", "messageId": "02000000A1", "text": "bonjour",
                "type": "text", "keyword": "BONJOUR", "message-timestamp": "2031-05-06 14:15:02", "concat": "true",
                "concat-ref": "17", "concat-total": "2", "concat-part": "1"},
        row={"kind": "reply", "campaign": BATCH, "phone_number": NUMBER, "sent_to": "+33644630000", "parts": 2},
    ),
    Shape(
        name="Voice Partner: call", gateway="voicepartner", fields=CALL, table="delivery_report",
        row={"campaign": BATCH, "phone_number": NUMBER, "status": "delivered", "duration": 6,
             "detail": "VOICE_ANSWERED"},
    ),
    Shape(
        name="Voice Partner: voicemail", gateway="voicepartner", method="GET", fields=VOICEMAIL,
        table="campaign_report", row={"campaign": BATCH, "delivered": 1, "total": 2},
    ),
    Shape(
        name="Octopush: call, newest", gateway="octopush", fields=NEW_CALL, table="delivery_report",
        row={"campaign": ACCOUNT, "phone_number": NUMBER, "status": "delivered", "duration": 21, "cost": "0.05",
             "pressed_keys": "1"},
    ),
    Shape(
        name="Octopush: call, flat as in a form", gateway="octopush", fields=FORM_CALL, table="delivery_report",
        row={"campaign": ACCOUNT, "status": "delivered", "pressed_keys": "1", "duration": 21},
    ),
    Shape(
        name="Octopush: call, older", gateway="octopush", fields=OLD_CALL, table="delivery_report",
        row={"campaign": ACCOUNT, "phone_number": NUMBER, "gateway_status": "BUSY"},
    ),
    Shape(
        name="Octopush: SMS", gateway="octopush", table="delivery_report",
        fields=NEW_CALL | {"channel": "sms", "message_id": "sms_6543aa10c9d21", "meta_data": {}},
        row={"campaign": "id:sms_6543aa10c9d21", "status": "delivered"},
    ),
    Shape(
        name="Octopush: reply", gateway="octopush", fields=OCTOPUSH_REPLY, table="event",
        row={"kind": "reply", "campaign": "id:sms_6543aa10c9d21", "phone_number": NUMBER, "text": "ok",
             "sent_to": "36180"},
    ),
    Shape(
        name="Octopush: reply, nested", gateway="octopush", table="event",
        fields={"text": "ok", "reception_date": "2030-05-04 09:05:10",
                "metadata": {"number": NUMBER, "message_id": "sms_6543aa10c9d21"}},
        row={"kind": "reply", "campaign": "id:sms_6543aa10c9d21", "phone_number": NUMBER},
    ),
    Shape(
        name="Octopush: opt-out", gateway="octopush", table="event",
        fields={"message_id": "", "number": NUMBER, "text": "STOP", "stop_date": "2030-05-04 09:05:10"},
        row={"kind": "opt_out", "campaign": None, "phone_number": NUMBER},
    ),
]  # fmt: skip


def path_of(receiver: RunningReceiver, gateway: str) -> str:
    """Return the URL that a gateway would have been given."""
    return receiver.account_path() if gateway == "octopush" else receiver.batch_path(gateway, REFERENCE)


@pytest.mark.sampled(13)
@pytest.mark.parametrize("encoding", ["json", "form", "unsaid"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_documented_shape_is_kept(shape: Shape, encoding: str, receiver: RunningReceiver) -> None:
    path = path_of(receiver, shape.gateway)
    nested = any(isinstance(value, dict) and value for value in shape.fields.values())
    if shape.method == "GET":
        answer = receiver.send("GET", f"{path}?{urlencode(shape.fields)}")
    elif encoding == "unsaid" and not nested:
        answer = receiver.send("POST", path, urlencode(shape.fields).encode())
    else:
        answer = receiver.post(path, shape.fields, form=encoding == "form" and not nested)
    assert (answer.status, answer.body) == (200, b"")
    (row,) = receiver.rows(shape.table)
    assert shape.row.items() <= row.items()
    assert row["gateway"] == shape.gateway
    assert not receiver.rows("dead_letter")


@pytest.mark.parametrize(
    "written", ["+33600000001", "0033600000001", "33600000001", "0600000001", "00600000001"]
)
def test_a_number_is_the_same_however_it_is_written(written: str, receiver: RunningReceiver) -> None:
    path = receiver.batch_path("voicepartner")
    receiver.post(path, CALL | {"status": "pending"})
    assert receiver.post(path, CALL | {"phoneNumber": written}).status == 200
    (row,) = receiver.rows("delivery_report")
    assert (row["phone_number"], row["status"]) == (NUMBER, "delivered")


def test_a_repeat_changes_nothing_and_a_late_pending_does_not_undo_the_end(receiver: RunningReceiver) -> None:
    path = receiver.batch_path("voicepartner")
    for status in ("delivered", "delivered", "pending", "undelivered", "delivered"):
        assert receiver.post(path, CALL | {"status": status}).status == 200
    (row,) = receiver.rows("delivery_report")
    assert row["status"] == "delivered"


def test_a_repeated_reply_is_one_reply(receiver: RunningReceiver) -> None:
    for _ in range(3):
        assert receiver.post(receiver.account_path(), OCTOPUSH_REPLY).status == 200
    assert len(receiver.rows("event")) == 1


def test_the_same_number_in_two_batches_is_two_reports(receiver: RunningReceiver) -> None:
    for reference in ("k3v9x0q2w7ha", "aaaaaaaaaaaa"):
        receiver.post(receiver.batch_path("smspartner", reference), SMSPARTNER_REPORT)
    assert {row["campaign"] for row in receiver.rows("delivery_report")} == {
        "ref:k3v9x0q2w7ha",
        "ref:aaaaaaaaaaaa",
    }


UNREADABLE = [
    (b"", "application/json"), (b"not json, not a form", "text/plain"), (b"[1, 2]", "application/json"),
    (b'{"status": "delivered"}', "application/json"), (b"\xff\xfe\x00", ""), (b'{"a": ' * 5_000, "application/json"),
    (b'{"number": "+33600000001"}', "application/json"), (b"null", "application/json"),
]  # fmt: skip


@pytest.mark.parametrize("gateway", ["smspartner", "voicepartner", "octopush"])
@pytest.mark.parametrize(("body", "content_type"), UNREADABLE)
def test_what_nobody_understands_is_kept_as_it_came(
    body: bytes, content_type: str, gateway: str, receiver: RunningReceiver
) -> None:
    answer = receiver.send("POST", path_of(receiver, gateway), body, content_type)
    assert (answer.status, answer.body) == (200, b"")
    (letter,) = receiver.rows("dead_letter")
    assert letter["gateway"] == gateway
    assert (letter["body"], letter["method"], letter["query"]) == (body, "POST", "")
    assert letter["content_type"] == content_type
    assert letter["why"]
    assert receiver.receiver.counts.of("dead_letters", gateway) == 1
    assert receiver.stored() == 1


def test_a_report_without_a_campaign_is_kept_as_a_dead_letter_which_is_counted_and_told(
    receiver: RunningReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert receiver.post(receiver.account_path(), NEW_CALL | {"message_id": ""}).status == 200
    assert not receiver.rows("delivery_report")
    assert len(receiver.rows("dead_letter")) == 3
    assert receiver.receiver.counts.of("dead_letters", "octopush") == 3
    assert receiver.receiver.counts.of("kept", "octopush") == 3
    assert caplog.text.count("calls of octopush name no campaign and are stored as dead letters") == 1
    assert NUMBER not in caplog.text


def test_a_stop_without_a_campaign_is_no_dead_letter(receiver: RunningReceiver) -> None:
    receiver.post(
        receiver.account_path(), {"message_id": "", "number": NUMBER, "text": "STOP", "stop_date": ""}
    )
    assert len(receiver.rows("event")) == 1
    assert receiver.receiver.counts.of("dead_letters") == 0


def test_health_and_counters_have_paths_of_their_own(receiver: RunningReceiver) -> None:
    receiver.post(receiver.batch_path("smspartner"), SMSPARTNER_REPORT)
    receiver.send("POST", "/voicepartner/callbacks/smspartner/wrong", b"{}")
    assert receiver.send("GET", "/voicepartner/health").body == b'{"status":"ok"}'
    page = receiver.send("GET", "/voicepartner/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = page.body.decode().splitlines()
    assert 'voicepartner_callbacks_kept_total{gateway="smspartner"} 1' in lines
    assert 'voicepartner_callbacks_kept_total{gateway="octopush"} 0' in lines
    assert "voicepartner_callbacks_refused_total 1" in lines
    assert "voicepartner_written_total 1" in lines
    assert "# TYPE voicepartner_waiting gauge" in lines
