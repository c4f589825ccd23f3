from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from .conftest import Api, Receiver

ONE, TWO = "+33600000001", "+33600000002"


def _rule(api: Api, number: str, **rule: Any) -> None:
    api.control("POST", "/outcomes", json={"number": number, **rule})


def _posted(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(got.body) for got in receiver.got]


def _octopush_url(api: Api, receiver: Receiver, **callbacks: Any) -> None:
    urls = {
        f"callback_url_for_{what}": f"{receiver.url}/{what}"
        for what in ("deliveries", "inbounds", "blacklisted_numbers")
    }
    answer = api.octopush(
        "PATCH", "/user/campaign-parameters/edit", json={"callbacks": {**urls, **callbacks}}
    )
    assert answer.status_code == 200


def test_smspartner_posts_a_report_per_number(api: Api, receiver: Receiver) -> None:
    _rule(api, TWO, outcome="not_delivered", after=30)
    sent = api.send(phoneNumbers=f"{ONE},{TWO}", urlDlr=f"{receiver.url}/dlr", tag="rdv").json()
    api.later(20)
    assert receiver.got[0].content_type == "application/json"
    [first] = _posted(receiver)
    assert first | {"date": 0} == {
        "status": "delivered", "msgId": str(sent["message_id"]), "date": 0, "phone": ONE, "cost": "0.045",
        "currency": "EUR", "tag": "rdv",
    }  # fmt: skip
    assert isinstance(first["date"], int)
    api.later(20)
    assert _posted(receiver)[1]["status"] == "not delivered"


@pytest.mark.parametrize(
    ("outcome", "word"),
    [("ko", "ko"), ("busy", "Not delivered"), ("refused", "Not delivered"), ("late", "Delivered")],
)
def test_smspartner_outcomes(api: Api, outcome: str, word: str) -> None:
    _rule(api, ONE, outcome=outcome)
    message_id = api.send().json()["message_id"]
    api.later(60)
    status = api.sms_get("/bulk-status", messageId=message_id).json()["StatutResponse_List"][0]["status"]
    assert status == ("Waiting" if outcome == "late" else word)
    api.later(3600)
    assert (
        api.sms_get("/bulk-status", messageId=message_id).json()["StatutResponse_List"][0]["status"] == word
    )


def test_a_silent_number_never_reports(api: Api, receiver: Receiver) -> None:
    _rule(api, ONE, outcome="silent")
    message_id = api.send(urlDlr=receiver.url).json()["message_id"]
    api.later(10 * 24 * 3600)
    assert receiver.got == []
    assert api.sms_get("/message-status", messageId=message_id, phoneNumber=ONE).json()["statut"] == "Waiting"


def test_an_opted_out_number_and_a_vendor_word(api: Api) -> None:
    _rule(api, ONE, outcome="opted_out")
    _rule(api, TWO, status="EXPIRED", gateway="smspartner")
    assert api.send().json()["code"] == 55
    message_id = api.send(phoneNumbers=f"{ONE},{TWO}").json()["message_id"]
    api.later(60)
    [entry] = api.sms_get("/bulk-status", messageId=message_id).json()["StatutResponse_List"]
    assert entry["status"] == "EXPIRED"


def test_a_reply_and_a_stop_come_in(api: Api, receiver: Receiver) -> None:
    _rule(api, ONE, reply="OK merci")
    _rule(api, TWO, stop=True)
    message_id = api.send(phoneNumbers=f"{ONE},{TWO}", urlResponse=receiver.url).json()["message_id"]
    api.later(120)
    reply, stop = sorted(_posted(receiver), key=lambda value: value["type"])
    assert reply == {"type": "response", "phone_number": ONE, "text": "OK merci", "message_id": message_id}
    assert stop == {"type": "stop", "phone_number": TWO, "text": "STOP", "message_id": message_id}
    status = api.sms_get("/message-status", messageId=message_id, phoneNumber=TWO).json()
    assert status["stopSms"] is True
    assert api.send(phoneNumbers=TWO).json()["code"] == 55


def test_a_reply_can_be_sent_by_hand(api: Api, receiver: Receiver) -> None:
    api.send(urlResponse=receiver.url)
    api.control("POST", "/inbound", json={"gateway": "smspartner", "number": ONE, "text": "?"})
    api.later(0)
    assert _posted(receiver)[0]["text"] == "?"
    unknown = {"gateway": "smspartner", "number": TWO}
    assert api.session.post(f"{api.sandbox.url}/_sandbox/inbound", json=unknown).status_code == 404


def test_a_long_reply_to_a_long_number_comes_in_parts(api: Api, receiver: Receiver) -> None:
    api.sms("/vn/send", **{"to": ONE, "from": "33644630000", "message": "Hello", "urlResponse": receiver.url})
    text = "Hello " + "x" * 200
    api.control("POST", "/inbound", json={"gateway": "smspartner", "number": ONE, "text": text})
    api.later(0)
    parts = _posted(receiver)
    assert "".join(part["text"] for part in parts) == text
    assert [(part["concat"], part["concat-part"], part["concat-total"]) for part in parts] == [
        ("true", "1", "2"), ("true", "2", "2"),
    ]  # fmt: skip
    assert (parts[0]["msisdn"], parts[0]["to"], parts[0]["keyword"]) == (
        "33600000001",
        "33644630000",
        "HELLO",
    )


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ("0033", "0033600000001"),
        ("+33", ONE),
        ("33", "33600000001"),
        ("06", "0600000001"),
        ("006", "00600000001"),
    ],
)
def test_voicepartner_posts_each_call(api: Api, receiver: Receiver, form: str, number: str) -> None:
    api.settings(voicepartner={"callback_number": form})
    campaign = api.tts(notifyUrl=receiver.url).json()["campaignId"]
    api.later(60)
    [value] = _posted(receiver)
    assert (value["campaignId"], value["status"], value["additionnal_status"]) == (
        campaign,
        "delivered",
        "VOICE_ANSWERED",
    )
    assert value["phoneNumber"] == number
    assert len(value["sendAt"]) == len(value["doneAt"]) == 19
    assert "audioFileComplementaire" not in value


def test_voicepartner_says_who_did_not_answer(api: Api, receiver: Receiver) -> None:
    _rule(api, ONE, outcome="busy")
    api.tts(notifyUrl=receiver.url, tokenAudio="a1b2c3d4")
    api.later(60)
    [value] = _posted(receiver)
    assert (value["status"], value["additionnal_status"], value["duration"]) == (
        "undelivered",
        "VOICE_NOT_ANSWERED",
        0,
    )
    assert value["audioFileComplementaire"] == {"status": "Deposit"}


def test_voicemail_is_told_once_by_get(api: Api, receiver: Receiver) -> None:
    _rule(api, TWO, outcome="not_delivered")
    campaign = api.drop(phoneNumbers=f"{ONE},{TWO}", notifyUrl=f"{receiver.url}/vp?ref=1").json()[
        "campaignId"
    ]
    api.later(60)
    [got] = receiver.got
    assert (got.method, got.body) == ("GET", b"")
    query = dict(parse_qsl(urlsplit(got.path).query))
    assert query.pop("campaign_id").startswith("NDA_20")
    assert query == {"ref": "1", "campaign_token": campaign, "delivered_quantity": "1", "total_quantity": "2"}


def test_voicemail_may_join_its_query_badly(api: Api, receiver: Receiver) -> None:
    api.settings(voicepartner={"notify_joiner": "?"})
    api.drop(notifyUrl=f"{receiver.url}/vp?ref=1")
    api.later(60)
    assert receiver.got[0].path.startswith("/vp?ref=1?campaign_token=")


def test_octopush_newest_shape(api: Api, receiver: Receiver) -> None:
    _octopush_url(api, receiver)
    _rule(api, ONE, pressed_keys="1")
    _rule(api, TWO, outcome="refused")
    ticket = api.octopush_call(ONE, TWO, get_back_pressed_keys=True).json()["ticket_number"]
    api.later(60)
    first, second = sorted(_posted(receiver), key=lambda value: value["number"])
    assert first | {"delivery_date": ""} == {
        "channel": "voice_sms", "message_id": ticket, "list_name": "", "number": ONE, "status": "DELIVERED",
        "unit_price": 0.05, "delivery_date": "",
        "meta_data": {"pressed_keys_code": "1", "call_duration": 1, "charged_duration": 30},
    }  # fmt: skip
    assert (second["status"], second["meta_data"]) == ("REFUSED", {"call_duration": 0, "charged_duration": 0})


def test_octopush_older_shapes_and_form(api: Api, receiver: Receiver) -> None:
    _octopush_url(api, receiver)
    api.settings(octopush={"delivery_shape": "older"})
    api.octopush_call()
    api.later(60)
    assert _posted(receiver)[0].keys() == {
        "message_id", "number", "status", "delivery_date", "call_duration", "charged_duration",
    }  # fmt: skip
    api.settings(octopush={"delivery_shape": "newest", "delivery_encoding": "form"})
    api.octopush_call()
    api.later(60)
    got = receiver.got[1]
    assert got.content_type == "application/x-www-form-urlencoded"
    assert parse_qs(got.body.decode())["meta_data[charged_duration]"] == ["30"]
    api.settings(octopush={"delivery_shape": "unified", "delivery_encoding": "json"})
    api.octopush_sms()
    api.later(60)
    assert json.loads(receiver.got[2].body).keys() == {
        "channel", "message_id", "number", "status", "delivery_date", "meta_data",
    }  # fmt: skip


def test_octopush_replies_and_stops(api: Api, receiver: Receiver) -> None:
    _octopush_url(api, receiver)
    ticket = api.octopush_sms().json()["sms_ticket"]
    api.later(60)
    receiver.got.clear()
    api.control("POST", "/inbound", json={"gateway": "octopush", "number": ONE, "text": "ok"})
    api.control("POST", "/inbound", json={"gateway": "octopush", "number": ONE, "stop": True})
    api.later(0)
    assert [got.path for got in receiver.got] == ["/inbounds", "/blacklisted_numbers"]
    reply, stop = _posted(receiver)
    assert (reply["message_id"], reply["number"], reply["sim_card_number"]) == (ticket, ONE, "36180")
    assert stop.keys() == {"message_id", "number", "text", "stop_date"}


def test_octopush_nested_reply(api: Api, receiver: Receiver) -> None:
    _octopush_url(api, receiver, use_metadata_node_for_inbound=True)
    api.control("POST", "/inbound", json={"gateway": "octopush", "number": ONE, "text": "ok"})
    api.later(0)
    [value] = _posted(receiver)
    assert value["metadata"] == {"number": ONE, "message_id": ""}
    assert value.keys() == {"text", "reception_date", "metadata"}


def test_octopush_dislikes_slow_and_talkative_receivers(api: Api, receiver: Receiver) -> None:
    _octopush_url(api, receiver)
    receiver.answer, receiver.delay = b"<html>", 1.01
    api.octopush_sms()
    api.later(60)
    [made] = api.control("GET", "/callbacks")["callbacks"]
    assert made["flags"] == ["slower_than_1_second", "answer_not_empty"]
    assert (made["status"], made["answer"]) == (200, "<html>")
    assert made["seconds"] > 1


def test_duplicates_losses_and_silence(api: Api, receiver: Receiver) -> None:
    api.settings(callbacks={"duplicates": 1})
    api.send(urlDlr=receiver.url)
    api.later(60)
    assert len(receiver.got) == 2
    assert receiver.got[0].body == receiver.got[1].body
    api.settings(callbacks={"duplicates": 0, "loss": 1})
    api.send(urlDlr=receiver.url)
    api.later(60)
    assert len(receiver.got) == 2


def test_disorder_and_delay(api: Api, receiver: Receiver) -> None:
    numbers = [f"+336{n:08d}" for n in range(20)]
    for place, number in enumerate(numbers):
        _rule(api, number, after=place)
    api.send(phoneNumbers=",".join(numbers), urlDlr=receiver.url)
    api.later(100)
    assert [value["phone"] for value in _posted(receiver)] == numbers
    receiver.got.clear()
    api.settings(callbacks={"disorder": 1, "extra_delay": 50})
    api.send(phoneNumbers=",".join(numbers), urlDlr=receiver.url)
    api.later(49)
    assert receiver.got == []
    api.later(100)
    phones = [value["phone"] for value in _posted(receiver)]
    assert phones != numbers
    assert sorted(phones) == numbers


def test_a_first_report_that_is_not_final(api: Api, receiver: Receiver) -> None:
    api.settings(callbacks={"send_pending": True})
    _octopush_url(api, receiver)
    api.send(urlDlr=receiver.url)
    api.tts(notifyUrl=receiver.url)
    api.octopush_call()
    api.later(0)
    assert [value["status"] for value in _posted(receiver)] == ["waiting", "pending", "ACK"]
    api.later(60)
    assert len(receiver.got) == 6


def test_a_cancelled_send_reports_nothing(api: Api, receiver: Receiver) -> None:
    _octopush_url(api, receiver)
    ticket = api.octopush_sms(send_at="2040-01-01T00:00:00Z").json()["sms_ticket"]
    assert api.octopush("DELETE", "/sms-campaign/cancel", json={"ticket_number": ticket}).status_code == 204
    api.later(20 * 365 * 24 * 3600)
    assert receiver.got == []


def test_only_this_machine_is_called(api: Api) -> None:
    api.send(urlDlr="http://receiver.example/dlr")
    api.later(60)
    assert "not this machine" in api.control("GET", "/callbacks")["callbacks"][0]["error"]


def test_redirects_are_not_followed(api: Api, receiver: Receiver) -> None:
    receiver.status, receiver.location = 302, f"{receiver.url}/elsewhere"
    api.send(urlDlr=f"{receiver.url}/dlr")
    api.later(60)
    assert [got.path for got in receiver.got] == ["/dlr"]
    assert api.control("GET", "/callbacks")["callbacks"][0]["flags"] == ["not_2xx"]


def test_a_receiver_that_is_down_is_noted(api: Api) -> None:
    api.send(urlDlr="http://127.0.0.1:9/dlr")
    api.later(60)
    [made] = api.control("GET", "/callbacks")["callbacks"]
    assert (made["status"], made["error"]) == (None, "ConnectionRefusedError")


def test_simulated_sends_report_nothing(api: Api, receiver: Receiver) -> None:
    _octopush_url(api, receiver)
    api.send(sandbox=1, urlDlr=receiver.url)
    api.octopush_call(simulation_mode=True)
    api.later(3600)
    assert receiver.got == []
