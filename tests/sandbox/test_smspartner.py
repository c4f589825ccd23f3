from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.sandbox.clock import paris

from .conftest import Api


def _date(api: Api, **ahead: float) -> dict[str, Any]:
    """Return the three fields of a date ahead, on a minute the gateway takes."""
    moment = paris(api.sandbox.world.clock.calendar()) + timedelta(**ahead)
    moment += timedelta(minutes=-moment.minute % 5)
    day = moment.strftime("%d/%m/%Y")
    return {"scheduledDeliveryDate": day, "time": moment.hour, "minute": moment.minute}


def test_send_answers_with_an_int_id_and_charges(api: Api) -> None:
    answer = api.send(phoneNumbers="0600000001,+33600000002,0033600000003,+447911123456", tag="rdv2031")
    value = answer.json()
    assert answer.status_code == 200
    assert value | {"message_id": 0} == {
        "success": True, "code": 200, "message_id": 0, "nb_sms": 4, "cost": 0.18, "currency": "EUR",
    }  # fmt: skip
    assert isinstance(value["message_id"], int)
    assert api.sms_get("/me").json()["credits"]["balance"] == "999.820"
    assert api.sent_to("smspartner", "+33600000003") == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"apiKey": None}, 1),
        ({"apiKey": "other"}, 10),
        ({"phoneNumbers": None}, 2),
        ({"phoneNumbers": ["+33600000001"]}, 9),
        ({"message": ""}, 43),
        ({"message": 5}, 9),
        ({"phoneNumbers": ",".join(f"+336{n:08d}" for n in range(501))}, 50),
        ({"sender": "ab"}, 9),
        ({"sender": "abcdefghijkl"}, 9),
        ({"sender": "ab-cd"}, 44),
        ({"tag": "x" * 21}, 9),
        ({"tag": "two words"}, 9),
        ({"gamme": 3}, 9),
        ({"gamme": 2, "message": "x" * 161}, 42),
        ({"message": "x" * 1531}, 52),
        ({"isUnicode": 1, "message": "é" * 671}, 52),
        ({"isStopSms": "yes"}, 9),
        ({"urlDlr": "ftp://127.0.0.1/x"}, 9),
        ({"urlResponse": "http://"}, 9),
        ({"time": 12, "minute": 0}, 45),
        ({"scheduledDeliveryDate": "06/05/2031", "minute": 0}, 46),
        ({"scheduledDeliveryDate": "06/05/2031", "time": 12}, 47),
        ({"scheduledDeliveryDate": "06/05/2031", "time": 12, "minute": "x"}, 47),
        ({"scheduledDeliveryDate": "06/05/2031", "time": 12, "minute": 7}, 48),
        ({"scheduledDeliveryDate": "06/05/2031", "time": 12, "minute": 60}, 48),
        ({"scheduledDeliveryDate": "2031-05-06", "time": 12, "minute": 0}, 49),
        ({"scheduledDeliveryDate": "31/02/2031", "time": 12, "minute": 0}, 49),
        ({"scheduledDeliveryDate": "06/05/2031", "time": 24, "minute": 0}, 9),
        ({"scheduledDeliveryDate": "06/05/2011", "time": 12, "minute": 0}, 9),
        ({"surprise": 1}, 9),
        ({"_format": "xml"}, 9),
        ({"phoneNumbers": "+33123456789"}, 55),
    ],
)
def test_send_refuses(api: Api, fields: dict[str, Any], code: int) -> None:
    answer = api.send(**fields)
    assert answer.status_code == 200
    assert answer.json()["success"] is False
    assert answer.json()["code"] == code
    assert "message_id" not in answer.json()
    assert api.control("GET", "/counts")["smspartner"]["campaigns"] == 0


def test_a_constraint_names_each_wrong_field(api: Api) -> None:
    value = api.send(sender="ab", tag="two words").json()
    assert {error["elementId"] for error in value["errors"]} == {
        "children[sender].data",
        "children[tag].data",
    }
    api.settings(smspartner={"errors_key": "error"})
    assert len(api.send(sender="ab").json()["error"]) == 1


@pytest.mark.parametrize("body", [b'{"apiKey": "sandbox-key", "message": "a"b"}', b"[]", b"", b"\xff"])
def test_malformed_json_is_a_400_with_code_90(api: Api, body: bytes) -> None:
    answer = api.call("smspartner", "POST", "/send", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, 90)


def test_a_form_is_not_json(api: Api) -> None:
    assert api.call("smspartner", "POST", "/send", data={"apiKey": "sandbox-key"}).status_code == 400


def test_refusals_can_come_with_an_http_error(api: Api) -> None:
    api.settings(smspartner={"error_status": "400"})
    assert api.send(sender="ab").status_code == 400
    assert api.send(apiKey="other").status_code == 401


def test_numbers_that_cannot_be_sent_to_are_left_out(api: Api) -> None:
    api.sms("/stop-sms/add", phoneNumber="+33600000002")
    api.settings(smspartner={"closed_prefixes": ["+41"]})
    numbers = "+33600000001,+33600000002,0600000001,nonsense,+41791234567"
    sent = api.send(phoneNumbers=numbers).json()
    assert sent["nb_sms"] == 1
    left_out = api.control("GET", "/campaigns")["campaigns"][0]["refused"]
    assert [entry["code"] for entry in left_out] == ["14", "15", "9", "13"]
    refused = api.send(phoneNumbers="+33600000002,nonsense").json()
    assert refused["code"] == 55
    assert [entry["code"] for entry in refused["errors"]] == ["14", "9"]


def test_no_credit(api: Api) -> None:
    api.control("POST", "/credit", json={"gateway": "smspartner", "amount": "0.04", "set": True})
    assert api.send().json()["code"] == 11
    api.control("POST", "/credit", json={"gateway": "smspartner", "amount": "0.005"})
    assert api.send().json()["success"] is True
    assert api.sms_get("/me").json()["credits"]["balance"] == "0.000"


def test_sandbox_mode_costs_and_sends_nothing(api: Api) -> None:
    sent = api.send(sandbox=1).json()
    assert sent["message_id"]
    assert api.sms_get("/me").json()["credits"]["balance"] == "1000.000"
    assert api.sent_to("smspartner", "+33600000001") == 0
    assert api.sms_get("/bulk-status", messageId=sent["message_id"]).json()["success"] is True


def test_bulk_send_answers_per_number(api: Api) -> None:
    listed = [
        {"phoneNumber": "+33600000001", "message": "A"},
        {"phoneNumber": "0600000002", "message": "x" * 161},
        {"phoneNumber": "nonsense", "message": "C"},
    ]
    value = api.sms("/bulk-send", SMSList=listed, tag="t").json()
    assert (value["nbSMS"], value["cost"]) == (3, 0.135)
    assert [entry.get("nbSms") for entry in value["SMSResponse_List"]] == [1, 2, None]
    assert value["SMSResponse_List"][2]["success"] is False
    assert api.sms("/send", SMSList=listed[:1]).json()["nbSMS"] == 1


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ([], 2),
        ("x", 2),
        ([{"phoneNumbers": "+33600000001", "message": "A"}], 9),
        ([{"phoneNumber": "+33600000001"}], 43),
        ([{"phoneNumber": "x", "message": "A"}], 55),
        ([{"phoneNumber": "+33600000001", "message": "A"}] * 501, 50),
    ],
)
def test_bulk_send_refuses(api: Api, listed: Any, code: int) -> None:
    assert api.sms("/bulk-send", SMSList=listed).json()["code"] == code


def test_send_from_a_long_number(api: Api) -> None:
    fields = {"to": "+33600000001", "from": "33644630000", "message": "Hello"}
    assert api.sms("/vn/send", **fields).json()["nb_sms"] == 1
    assert api.sms("/vn/send", **{**fields, "from": "+33644630000"}).json()["code"] == 9
    assert api.sms("/vn/send", **{**fields, "to": ""}).json()["code"] == 2
    assert api.sms("/vn/send", **{**fields, "to": "+33100000000"}).json()["code"] == 55
    assert api.sms("/vn/send", **{**fields, "sender": "MyApp"}).json()["code"] == 9


def test_statuses_keep_each_calls_own_names(api: Api) -> None:
    message_id = api.send(phoneNumbers="+33600000001,+33600000002").json()["message_id"]
    api.later(60)
    one = api.sms_get("/message-status", messageId=message_id, phoneNumber="+33600000001").json()
    assert (one["statut"], one["number"], one["messageId"]) == ("Delivered", "0600000001", str(message_id))
    assert (one["stopSms"], one["countryCode"], one["cost"]) == (False, "FR", 0.045)
    assert len(one["date"]) == 19
    bulk = api.sms_get("/bulk-status", messageId=message_id).json()
    assert bulk["message_id"] == str(message_id)
    assert bulk["StatutResponse_List"][1] | {"date": ""} == {
        "phoneNumber": "+33600000002", "status": "Delivered", "stopSMS": False, "date": "",
    }  # fmt: skip
    assert bulk["StatutResponse_List"][0]["date"].isdigit()
    pairs = [{"phoneNumber": number, "messageId": message_id} for number in ("+33600000001", "+33600000009")]
    for name in ("SMSStatut_List", "SMSStatus_List"):
        found, missing = api.sms("/multi-status", **{name: pairs}).json()["StatutResponse_List"]
        assert (found["messageId"], found["stopSms"], found["isSpam"]) == (message_id, "0", "0")
        assert (missing["success"], missing["code"], missing["status"]) == (False, 4, "Numéro introuvable")


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/message-status", {"apiKey": None}, 1),
        ("/message-status", {"apiKey": "other"}, 10),
        ("/message-status", {"messageId": 1}, 2),
        ("/message-status", {"phoneNumber": "+33600000001"}, 3),
        ("/message-status", {"messageId": 1, "phoneNumber": "+33600000001"}, 4),
        ("/bulk-status", {}, 3),
        ("/bulk-status", {"messageId": "1"}, 4),
        ("/bulk-status-by-tag", {}, 3),
        ("/bulk-status-by-tag", {"tag": "none"}, 4),
        ("/message-cancel", {}, 3),
        ("/message-cancel", {"messageId": "1"}, 4),
        ("/me", {"apiKey": "other"}, 10),
        ("/stop-sms/delete", {}, 3),
        ("/stop-sms/delete", {"id": "9"}, 4),
    ],
)
def test_reads_refuse(api: Api, path: str, query: dict[str, Any], code: int) -> None:
    value = api.sms_get(path, **query).json()
    assert (value["success"], value["code"]) == (False, code)


def test_multi_status_refuses(api: Api) -> None:
    assert api.sms("/multi-status", SMSStatut_List=[]).json()["code"] == 5
    assert api.sms("/multi-status", SMSStatut_List=["x"]).json()["code"] == 6
    assert api.sms("/multi-status", SMSStatut_List=[{}] * 501).json()["code"] == 50


def test_by_tag_is_paged(api: Api) -> None:
    api.send(phoneNumbers=",".join(f"+336{n:08d}" for n in range(15)), tag="t")
    api.send(phoneNumbers=",".join(f"+336{n:08d}" for n in range(15)), tag="t")
    pages = [api.sms_get("/bulk-status-by-tag", tag="t", page=page).json() for page in (1, 2, 3)]
    assert [len(page["StatutResponse_List"]) for page in pages] == [20, 10, 0]
    assert {page["total"] for page in pages} == {30}
    assert [page["currentPage"] for page in pages] == [1, 2, 3]
    assert api.sms_get("/bulk-status-by-tag", tag="t", page=0).json()["code"] == 6


def test_a_send_may_not_be_found_at_once(api: Api) -> None:
    api.settings(smspartner={"visible_after": 10})
    message_id = api.send(tag="t").json()["message_id"]
    assert api.sms_get("/bulk-status", messageId=message_id).json()["code"] == 4
    assert api.sms_get("/bulk-status-by-tag", tag="t").json()["code"] == 4
    api.later(10)
    assert api.sms_get("/bulk-status", messageId=message_id).json()["success"] is True


def test_a_deferred_send_waits_for_its_date(api: Api) -> None:
    sent = api.send(**_date(api, hours=1)).json()
    assert len(sent["scheduledDeliveryDate"]) == 19
    assert api.sms_get("/me").json()["credits"]["toSend"] == 1
    api.later(1800)
    entry = api.sms_get("/bulk-status", messageId=sent["message_id"]).json()["StatutResponse_List"][0]
    assert entry["status"] == "Waiting"
    api.later(2400)
    entry = api.sms_get("/bulk-status", messageId=sent["message_id"]).json()["StatutResponse_List"][0]
    assert entry["status"] == "Delivered"


def test_cancel(api: Api) -> None:
    later, sooner = (api.send(**_date(api, minutes=m)).json()["message_id"] for m in (30, 10))
    now = api.send().json()["message_id"]
    assert api.sms_get("/message-cancel", messageId=now).json()["code"] == 7
    assert api.sms_get("/message-cancel", messageId=later).json()["code"] == 200
    assert api.sms_get("/message-cancel", messageId=later).json()["code"] == 5
    assert api.sms_get("/bulk-status", messageId=later).json()["code"] == 4
    api.later(9.9 * 60)
    assert api.sms_get("/message-cancel", messageId=sooner).json()["code"] in (6, 7)
    assert api.sent_to("smspartner", "+33600000001") == 2


def test_five_minutes_before_it_leaves_is_too_late_to_cancel(api: Api) -> None:
    message_id = api.send(**_date(api, minutes=30)).json()["message_id"]
    campaign = api.sandbox.world.campaigns["smspartner"][str(message_id)]
    api.later(campaign.leaves_at() - api.sandbox.world.now() - 299)
    assert api.sms_get("/message-cancel", messageId=message_id).json()["code"] == 6


def test_stop_list(api: Api) -> None:
    assert api.sms_get("/stop-sms/list").json() == {"success": True, "code": 200, "nbData": 0, "data": []}
    stop_id = api.sms("/stop-sms/add", phoneNumber="0600000001").json()["stopId"]
    assert api.sms("/stop-sms/add", phoneNumber="+33600000001").json()["code"] == 3
    assert api.sms("/stop-sms/add", phoneNumber="+33100000001").json()["code"] == 9
    assert api.sms("/stop-sms/add").json()["code"] == 2
    [entry] = api.sms_get("/stop-sms/list").json()["data"]
    assert (entry["id"], entry["phoneNumber"], len(entry["createdAt"])) == (stop_id, "+33600000001", 19)
    assert api.send().json()["code"] == 55
    assert api.sms_get("/stop-sms/delete", id=stop_id).json() == {"success": True, "code": 200}
    assert api.sms_get("/stop-sms/delete", id=stop_id).json()["code"] == 4
    assert api.send().json()["success"] is True


@pytest.mark.parametrize(
    ("settings", "fields", "code"),
    [
        ({"account_code": 30}, {}, 30),
        ({"senders": ["Known"]}, {"sender": "Unknown"}, 992),
        ({"low_cost_enabled": False}, {"gamme": 2}, 51),
        ({"unicode_enabled": False}, {"isUnicode": 1}, 9),
    ],
)
def test_accounts_can_be_restricted(
    api: Api, settings: dict[str, Any], fields: dict[str, Any], code: int
) -> None:
    api.settings(smspartner=settings)
    assert api.send(**fields).json()["code"] == code


def test_marketing_hours_hold_or_refuse(api: Api) -> None:
    sunday = {"scheduledDeliveryDate": "04/05/2031", "time": 12, "minute": 0}
    api.settings(smspartner={"commercial_hours": "hold"})
    assert api.send(**sunday).json()["scheduledDeliveryDate"] == "2031-05-05 08:00:00"
    api.settings(smspartner={"commercial_hours": "refuse"})
    assert api.send(**sunday).json()["code"] == 23
    assert api.send(scheduledDeliveryDate="06/05/2031", time=21, minute=0).json()["code"] == 22


def test_me_and_unknown_pages(api: Api) -> None:
    credit = api.sms_get("/me").json()["credits"]
    assert credit | {"creditHlr": 0} == {
        "creditSms": 22222, "creditSmsECO": 33333, "creditHlr": 0, "toSend": 0, "balance": "1000.000",
        "currency": "EUR",
    }  # fmt: skip
    assert api.sms_get("/sms/list").status_code == 404
    assert api.call("smspartner", "DELETE", "/message-cancel").status_code == 405


def test_ignored_fields_are_remarked(api: Api) -> None:
    api.send(range=1, webhookUrl="http://127.0.0.1/", tag="UP", message="Ж")
    assert len(api.control("GET", "/campaigns")["campaigns"][0]["warnings"]) == 4
