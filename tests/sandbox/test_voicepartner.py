from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.sandbox.clock import paris

from .conftest import KEY, Api


def _ahead(api: Api, minutes: float) -> str:
    moment = paris(api.sandbox.world.clock.calendar()) + timedelta(minutes=minutes)
    return moment.strftime("%Y-%m-%d %H:%M:00")


def test_a_call_answers_with_its_costs_by_country(api: Api) -> None:
    value = api.tts(phoneNumbers="0600000001,+33600000002,+447911123456", text="Hello, you", lang="en").json()
    assert (value["success"], value["nbSms"], value["cost"], value["lang"]) == (True, 3, 0.18, "en")
    assert value["detail"]["33"] == {
        "nbSms": 2, "cost_unity": 0.06, "cost": 0.12, "country_code": "fr", "duration": value["duration"],
    }  # fmt: skip
    assert value["detail"]["44"]["country_code"] == "gb"
    assert isinstance(value["campaignId"], str)
    assert api.sent_to("voicepartner", "+33600000001") == 1


def test_a_voicemail_answers_with_its_file(api: Api) -> None:
    value = api.drop(phoneNumbers="0600000001,0100000002", emailForNotification="ops@example.org").json()
    assert value["audioFile"] == {"filename": "rappel-rdv.wav", "size": "88.2Ko"}
    assert value["detail"] == {"33": {"nbSms": 2, "cost_unity": 0.15, "cost": 0.3}}


def test_speech_rate_is_drawn_into_its_range(api: Api) -> None:
    fast, fastest = (api.tts(text="x" * 280, speechRate=rate).json()["duration"] for rate in (2, 9))
    slow, slowest = (api.tts(text="x" * 280, speechRate=rate).json()["duration"] for rate in (0.5, 0))
    assert (fast, slow) == (fastest, slowest) == (10.0, 40.0)
    assert api.tts(text="x" * 280 + ",,").json()["duration"] == 21.1


def test_an_audio_file_goes_before_a_text(api: Api) -> None:
    assert api.tts(tokenAudio="a1b2c3d4", speed="1").json()["duration"] == 12.0
    [campaign] = api.control("GET", "/campaigns")["campaigns"]
    assert len(campaign["warnings"]) == 2


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"phoneNumbers": ""}, "PHONE_NUMBER_REQUIRED"),
        ({"phoneNumbers": ",".join(f"06{n:08d}" for n in range(501))}, "PHONE_NUMBER_SIZE_ERROR"),
        ({"phoneNumbers": "0600000001,nonsense"}, "DESTINATION_INVALID"),
        ({"text": ""}, "TOKEN_AUDIO_REQUIRED"),
        ({"tokenAudio": "unknown"}, "AUDIO_FILE_NOT_FOUND"),
        ({"notifyUrl": "nonsense"}, "NOTIFY_URL_INVALID"),
        ({"scheduledDate": "2031-05-06T14:15:00"}, 901),
        ({"scheduledDate": "2031-05-06 14:15:30"}, 901),
        ({"scheduledDate": "2031-02-31 14:15:00"}, 901),
        ({"scheduledDate": "2011-05-06 14:15:00"}, 902),
        ({"lang": "French"}, 903),
        ({"surprise": 1}, 906),
        ({"speechRate": "1"}, 907),
        ({"text": 5}, 907),
    ],
)
def test_a_call_is_refused(api: Api, fields: dict[str, Any], code: str | int) -> None:
    answer = api.tts(**fields)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert api.control("GET", "/counts")["voicepartner"]["campaigns"] == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"tokenAudio": ""}, "TOKEN_AUDIO_REQUIRED"),
        ({"tokenAudio": "unknown"}, "AUDIO_FILE_NOT_FOUND"),
        ({"phoneNumbers": ",".join(f"06{n:08d}" for n in range(501))}, "PHONE_NUMBER_SIZE_ERROR"),
        ({"sender": "MyApp"}, "SENDER_INVALID"),
        ({"sender": "0100000000"}, "SENDER_INVALID"),
        ({"sender": "0600000009"}, "SENDER_NOT_AUTHORIZED"),
        ({"emailForNotification": "nobody"}, 904),
        ({"text": "Hello"}, 906),
    ],
)
def test_a_voicemail_is_refused(api: Api, fields: dict[str, Any], code: str | int) -> None:
    assert api.drop(**fields).json()["code"] == code


def test_an_allowed_sender_and_a_required_address(api: Api) -> None:
    assert api.drop(sender="+33600000000").json()["success"] is True
    api.settings(voicepartner={"email_required": True})
    assert api.drop().json()["code"] == 904


def test_keys(api: Api) -> None:
    assert (api.tts(apiKey=None).status_code, api.tts(apiKey="x").json()["code"]) == (401, 10)
    for method, path in (
        ("GET", "/me/x"),
        ("GET", "/me"),
        ("GET", "/audios/x"),
        ("DELETE", "/campaign/cancel/x/y"),
    ):
        answer = api.call("voicepartner", method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, 10)


def test_malformed_json_and_the_mode_that_never_fails_by_status(api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.call("voicepartner", "POST", "/tts/send", data=b"{", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    api.settings(voicepartner={"error_status": "200"})
    assert (api.tts(apiKey="x").status_code, api.tts(text="").status_code) == (200, 200)


def test_no_credit(api: Api) -> None:
    api.control("POST", "/credit", json={"gateway": "voicepartner", "amount": "0.05", "set": True})
    assert api.tts().json()["code"] == "NOT_CREDIT"


def test_me_and_audios_by_path_and_by_query(api: Api) -> None:
    for path, query in ((f"/me/{KEY}", {}), ("/me", {"apiKey": KEY})):
        value = api.call("voicepartner", "GET", path, params=query).json()
        assert (value["credit"], value["currency"]) == ("1000", "€")
        assert value["details"]["voice"] == {"message": 6666}
    for path, query in ((f"/audios/{KEY}", {}), ("/audios", {"apiKey": KEY})):
        value = api.call("voicepartner", "GET", path, params=query).json()
        assert "success" not in value
        assert value["nb_datas"] == len(value["datas"]) == 2
        assert (value["datas"][0]["duration"], value["datas"][0]["created_at"]["timezone_type"]) == (
            "0:12",
            3,
        )


def test_an_audio_file_is_added_and_renamed(api: Api) -> None:
    api.control("POST", "/audios", json={"token": "new", "name": "annonce", "duration": 61})
    assert api.voice("/audio-file/rename", tokenAudio="new", filename="autre").json() == {
        "success": True, "filename": "autre", "tokenAudio": "new",
    }  # fmt: skip
    listed = api.call("voicepartner", "GET", f"/audios/{KEY}").json()["datas"][-1]
    assert (listed["name"], listed["duration"]) == ("autre", "1:01")
    assert api.voice("/audio-file/rename", tokenAudio="new", filename="ab").json()["code"] == 905
    assert (
        api.voice("/audio-file/rename", tokenAudio="none", filename="abc").json()["code"]
        == "AUDIO_FILE_NOT_FOUND"
    )


def test_cancel_gives_the_price_back_as_text(api: Api) -> None:
    campaign = api.drop(phoneNumbers="0600000001,0600000002", scheduledDate=_ahead(api, 30)).json()[
        "campaignId"
    ]
    path = f"/campaign/cancel/{KEY}/{campaign}"
    assert api.call("voicepartner", "DELETE", path).json() == {
        "success": True, "campaignId": campaign, "assignedCredit": "0.3", "currency": "EUR",
    }  # fmt: skip
    assert api.call("voicepartner", "DELETE", path).status_code == 404
    assert api.call("voicepartner", "GET", f"/me/{KEY}").json()["credit"] == "1000"
    assert api.sent_to("voicepartner", "+33600000001") == 0


def test_what_has_left_cannot_be_cancelled(api: Api) -> None:
    now, later = api.tts().json()["campaignId"], api.tts(scheduledDate=_ahead(api, 30)).json()["campaignId"]
    api.later(1800)
    for campaign in (now, later):
        assert api.call("voicepartner", "DELETE", f"/campaign/cancel/{KEY}/{campaign}").status_code == 400


def test_five_voicemail_drops_a_minute(api: Api) -> None:
    remaining = [api.drop().headers["X-RateLimit-Remaining"] for _ in range(5)]
    assert remaining == ["4", "3", "2", "1", "0"]
    answer = api.drop()
    assert (answer.status_code, answer.json()["code"]) == (429, 429)
    assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("5", "0")
    assert 59 <= int(answer.headers["X-RateLimit-Reset"]) - api.sandbox.world.clock.calendar() <= 61
    assert api.sent_to("voicepartner", "+33600000001") == 5
    api.later(60)
    assert api.drop().status_code == 200


def test_limits_can_be_changed_and_switched_off(api: Api) -> None:
    api.settings(voicepartner={"limits": {"tts/send": [{"requests": 1, "seconds": 10}]}})
    assert [api.tts().status_code for _ in range(2)] == [200, 429]
    api.settings(voicepartner={"rate_limits": False})
    assert [api.call("voicepartner", "GET", f"/me/{KEY}").status_code for _ in range(7)] == [200] * 7


def test_the_undocumented_status_page_is_off(api: Api) -> None:
    campaign = api.tts().json()["campaignId"]
    path = f"/campaign/{KEY}/{campaign}"
    assert api.call("voicepartner", "GET", path).status_code == 404
    api.settings(voicepartner={"campaign_status_route": True})
    assert api.call("voicepartner", "GET", path).json()["status"] == "pending"
    api.later(60)
    assert api.call("voicepartner", "GET", path).json()["status"] == "finished"
