from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.sandbox.clock import paris

from .conftest import OCTOPUSH_HEADERS, Api


def _ahead(api: Api, minutes: float) -> str:
    return (paris(api.sandbox.world.clock.calendar()) + timedelta(minutes=minutes)).isoformat(
        timespec="seconds"
    )


def _codes(answer: Any) -> set[int]:
    assert (answer.status_code, answer.json()["code"]) == (400, 400), answer.text
    return {error["code"] for error in answer.json()["errors"]}


def test_a_call_answers_201_with_ticket_number(api: Api) -> None:
    answer = api.octopush_call("+33600000001", "+33600000002", text="x" * 500)
    value = answer.json()
    assert answer.status_code == 201
    assert value.pop("ticket_number").startswith("voice_")
    assert value == {
        "number_of_contacts": 2, "total_cost": 0.2, "estimated_duration": 60, "residual_credit": 999.8,
    }  # fmt: skip
    assert api.sent_to("octopush", "+33600000001") == 1


def test_an_sms_answers_201_with_sms_ticket(api: Api) -> None:
    answer = api.octopush_sms("+33600000001", "+33600000002", text="x" * 161)
    value = answer.json()
    assert answer.status_code == 201
    assert value.pop("sms_ticket").startswith("sms_")
    assert value == {
        "number_of_contacts": 2, "total_cost": 0.198, "number_of_sms_needed": 4, "residual_credit": 999.802,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"text": None}, 902),
        ({"text": ""}, 902),
        ({"text": "x" * 1225}, 902),
        ({"text": 5}, 902),
        ({"recipients": None}, 903),
        ({"recipients": []}, 903),
        ({"recipients": ["+33600000001"]}, 903),
        ({"recipients": [{"phone_number": f"+336{n:08d}"} for n in range(501)]}, 903),
        ({"recipients": [{"phone_number": "0600000001"}]}, 904),
        ({"recipients": [{}]}, 904),
        ({"recipients": [{"phone_number": "+33600000001", "param9": "x"}]}, 910),
        ({"recipients": [{"phone_number": "+33600000001", "param1": "x" * 51}]}, 916),
        ({"voice_gender": "other"}, 905),
        ({"voice_gender": None}, 905),
        ({"voice_language": "xx-XX"}, 442),
        ({"voice_language": None}, 442),
        ({"voice_language": "sv-SE", "voice_gender": "male"}, 915),
        ({"purpose": "transactional"}, 906),
        ({"sender": "ab"}, 907),
        ({"sender": "+12345"}, 907),
        ({"sender": "x" * 12}, 907),
        ({"send_at": "2031-05-06T14:15:00"}, 908),
        ({"send_at": "2031-05-06"}, 908),
        ({"send_at": "2031-13-06T14:15:00+02:00"}, 908),
        ({"simulation_mode": "true"}, 909),
        ({"get_back_pressed_keys": 1}, 909),
        ({"request_id": ""}, 909),
        ({"phone_number": "+33600000001"}, 910),
        ({"type": "vocal_sms"}, 910),
        ({"text": "Hello 😀"}, 902),
    ],
)
def test_a_call_is_refused(api: Api, fields: dict[str, Any], code: int) -> None:
    assert _codes(api.octopush_call(**fields)) == {code}
    assert api.control("GET", "/counts")["octopush"]["campaigns"] == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "sms_vocal"}, 917),
        ({"with_replies": 1}, 909),
        ({"auto_optimize_text": "no"}, 909),
        ({"list_name": "x" * 31}, 916),
        ({"voice_gender": "male"}, 910),
    ],
)
def test_an_sms_is_refused(api: Api, fields: dict[str, Any], code: int) -> None:
    assert _codes(api.octopush_sms(**fields)) == {code}


def test_everything_wrong_is_named_at_once(api: Api) -> None:
    assert _codes(api.octopush_call(text="", purpose="x", sender="!")) == {902, 906, 907}


def test_credentials_come_before_the_body(api: Api) -> None:
    for headers in ({}, {**OCTOPUSH_HEADERS, "api-key": "x"}, {**OCTOPUSH_HEADERS, "api-login": "x"}):
        answer = api.call("octopush", "POST", "/sms-campaign/send", data=b"{", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, 401)
    assert _codes(api.octopush("POST", "/sms-campaign/send", data=b"{")) == {901}
    json_headers = {**OCTOPUSH_HEADERS, "Content-Type": "application/json"}
    assert _codes(api.call("octopush", "POST", "/sms-campaign/send", data=b"[]", headers=json_headers)) == {
        901
    }


def test_the_old_path_is_gone(api: Api) -> None:
    answer = api.octopush("POST", "/vocal-campaign/send", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, 404)
    assert api.octopush("GET", "/voice-campaign/voice_1").status_code == 404


def test_a_request_id_is_refused_for_24_hours(api: Api) -> None:
    assert api.octopush_sms(request_id="r", simulation_mode=True).status_code == 201
    assert api.octopush_sms(request_id="r", text="").status_code == 400
    assert api.octopush_sms(request_id="r").status_code == 201
    assert _codes(api.octopush_sms(request_id="r")) == {911}
    assert _codes(api.octopush_call(request_id="r")) == {911}
    api.later(24 * 3600)
    assert api.octopush_sms(request_id="r").status_code == 201
    counts = api.control("GET", "/counts")["octopush"]
    assert counts["references"] == {"r": {"campaigns": 2, "messages": 2}}


def test_simulation_costs_and_sends_nothing(api: Api) -> None:
    assert api.octopush_sms(simulation_mode=True).json()["residual_credit"] == 1000
    assert api.sent_to("octopush", "+33600000001") == 0


def test_no_credit(api: Api) -> None:
    api.control("POST", "/credit", json={"gateway": "octopush", "amount": "0.01", "set": True})
    assert _codes(api.octopush_call()) == {912}


def test_personal_fields_are_put_into_the_text(api: Api) -> None:
    recipients = [{"phone_number": "+33600000001", "first_name": "Alex", "param1": "noon", "param2": None}]
    api.octopush_sms(text="Hello {first_name}, at {param1}{param2}", recipients=recipients)
    assert api.control("GET", "/messages")["messages"][0]["text"] == "Hello Alex, at noon"


def test_opted_out_numbers_are_removed_on_request(api: Api) -> None:
    api.control("POST", "/inbound", json={"gateway": "octopush", "number": "+33600000001", "stop": True})
    kept = api.octopush_sms("+33600000001", "+33600000002", auto_remove_blacklisted_numbers=True).json()
    assert (kept["number_of_contacts"], kept["total_cost"]) == (1, 0.0595)
    assert _codes(api.octopush_sms("+33600000001", auto_remove_blacklisted_numbers=True)) == {920}
    api.octopush_sms("+33600000001")
    api.later(60)
    message = api.control("GET", "/messages", params={"number": "+33600000001"})["messages"][0]
    assert message["status"] == "BLACKLISTED_NUMBER"


def test_french_marketing_needs_an_opt_out_mention(api: Api) -> None:
    assert api.octopush_sms(text="x" * 150, purpose="wholesale").json()["number_of_sms_needed"] == 2
    assert (
        api.octopush_sms(text="x" * 140 + " STOP au XXXXX", purpose="wholesale").json()[
            "number_of_sms_needed"
        ]
        == 1
    )
    assert (
        api.octopush_sms("+447911123456", text="x" * 150, purpose="wholesale").json()["number_of_sms_needed"]
        == 1
    )
    api.settings(octopush={"stop_mention": "refuse"})
    assert _codes(api.octopush_sms(purpose="wholesale")) == {918}


def test_cancel(api: Api) -> None:
    tickets = {
        "ok": api.octopush_call(send_at=_ahead(api, 30)).json()["ticket_number"],
        "three": api.octopush_call(*[f"+3360000000{n}" for n in range(3)], send_at=_ahead(api, 30)).json()[
            "ticket_number"
        ],
        "soon": api.octopush_call(send_at=_ahead(api, 10)).json()["ticket_number"],
        "gone": api.octopush_call(send_at=_ahead(api, -10)).json()["ticket_number"],
        "sms": api.octopush_sms(send_at=_ahead(api, 30)).json()["sms_ticket"],
    }

    def cancel(ticket: str, kind: str = "voice") -> Any:
        return api.octopush("DELETE", f"/{kind}-campaign/cancel", json={"ticket_number": ticket})

    assert (cancel(tickets["ok"]).status_code, cancel(tickets["sms"], "sms").content) == (204, b"")
    assert _codes(cancel(tickets["ok"])) == {914}
    assert _codes(cancel(tickets["three"])) == {914}
    assert _codes(cancel(tickets["soon"])) == {923}
    assert _codes(cancel(tickets["gone"])) == {914}
    assert _codes(cancel(tickets["sms"])) == {913}
    assert _codes(cancel("voice_nothing")) == {913}
    assert _codes(api.octopush("DELETE", "/sms-campaign/cancel", json={})) == {913}
    assert _codes(api.octopush("DELETE", "/sms-campaign/cancel", json={"ticket": 1})) == {910}
    assert api.call("octopush", "DELETE", "/sms-campaign/cancel", json={}).status_code == 401


def test_a_thousand_cancels_a_month(api: Api) -> None:
    api.settings(octopush={"cancels_per_month": 1, "refund_on_cancel": True})
    tickets = [api.octopush_sms(send_at=_ahead(api, 30)).json()["sms_ticket"] for _ in range(2)]
    first, second = (
        api.octopush("DELETE", "/sms-campaign/cancel", json={"ticket_number": t}) for t in tickets
    )
    assert first.status_code == 204
    assert _codes(second) == {919}
    assert api.octopush("GET", "/wallet/check-balance").json()["amount"] == 999.9505


def test_balance(api: Api) -> None:
    path = "/wallet/check-balance"
    assert api.octopush("GET", path).json() == {"amount": 1000.0, "unit": "euros"}
    value = api.octopush(
        "GET", path, params={"country_code": "FR", "product_name": "vocal_sms", "with_details": 1}
    ).json()
    assert (value["amount"], value["unit"], len(value["wallet_packs"])) == (20000, "vocal_sms", 1)
    assert _codes(api.octopush("GET", path, params={"country_code": "FR"})) == {921}
    assert _codes(api.octopush("GET", path, params={"country_code": "FR", "product_name": "x"})) == {921}
    assert _codes(api.octopush("GET", path, params={"with_details": "maybe"})) == {921}
    assert api.call("octopush", "GET", path).status_code == 401


def test_parameters(api: Api) -> None:
    edit = "/user/campaign-parameters/edit"
    assert (
        api.octopush("GET", "/user/campaign-parameters").json()["callbacks"]["callback_url_for_deliveries"]
        is None
    )
    url = "http://127.0.0.1:9/x"
    changed = api.octopush(
        "PATCH", edit, json={"callbacks": {"callback_url_for_vocal_sms_deliveries": url}}
    ).json()
    assert changed["callbacks"]["callback_url_for_deliveries"] == url
    assert api.octopush("GET", "/user/campaign-parameters").json() == changed
    assert _codes(api.octopush("PATCH", edit, json={"callbacks": {"callback_url_for_inbounds": "x"}})) == {
        922
    }
    assert _codes(api.octopush("PATCH", edit, json={"callbacks": {"surprise": "x"}})) == {910}
    assert _codes(api.octopush("PATCH", edit, json={"surprise": {}})) == {910}
    assert _codes(api.octopush("PATCH", edit, json={"callbacks": 1})) == {909}
    assert _codes(api.octopush("PATCH", edit, json={"callbacks": {"use_metadata_node_for_inbound": 1}})) == {
        909
    }
    assert api.call("octopush", "GET", "/user/campaign-parameters").status_code == 401
