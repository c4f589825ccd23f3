"""An alert by a call: spoken, in English when the words are ours, in the user's language when they are not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier, send_tts_call_notification
from tests.conftest import KEYS, LOGIN
from tests.support.gateways import bodies, fault, last_body, requests, sent
from tests.support.tasks import Logs

ANNA, BRUNO, LANDLINE = "+33612345678", "+33612345679", "+33198765432"
TEXT = "Texte planté: la charge échoue"
GATEWAYS = ["voicepartner", "octopush"]


def failed(**more: Any) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="daily_sales", task_id="load", run_id="r1", try_number=1, map_index=-1, state="failed"
    )
    return {"ti": ti, "run_id": "r1", "exception": ValueError("no {rows}"), **more}


def notifier(gateway: str = "voicepartner", **arguments: Any) -> TtsCallNotifier:
    return TtsCallNotifier(**{"to": [ANNA, LANDLINE], "conn_id": f"{gateway}_default", **arguments})


def language(sandbox: Any) -> str:
    body = last_body(sandbox)
    return str(body.get("lang") or body["voice_language"])


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_without_a_text_it_says_in_english_what_failed(sandbox: Any, gateway: str) -> None:
    notifier(gateway)(failed())
    assert sent(sandbox, gateway) == {ANNA: 1, LANDLINE: 1}
    said = "Airflow. Task load of DAG daily sales failed. Value Error: no (rows)."
    assert last_body(sandbox)["text"] == f"{said} I repeat. {said}"
    assert language(sandbox).startswith("en")


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_text_of_ones_own_is_rendered_and_spoken_in_its_language(sandbox: Any, gateway: str) -> None:
    notifier(gateway, text="{{ ti.task_id }} a échoué", language="fr-FR")(failed())
    assert last_body(sandbox)["text"] == "load a échoué"
    assert language(sandbox).startswith("fr")


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("text", [None, "{{ exception }}"])
def test_nobody_has_to_listen_for_ever(sandbox: Any, gateway: str, text: str | None) -> None:
    notifier(gateway, text=text)(failed(exception=ValueError("trace " * 2000)))
    length = len(last_body(sandbox)["text"])
    assert 250 < length <= 300 if text is None else length == 1224


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("own", [True, False])
def test_neither_braces_nor_emoji_keep_an_alert_from_leaving(sandbox: Any, gateway: str, own: bool) -> None:
    notifier(gateway, text="{{ exception }}" if own else None)(
        failed(exception=ValueError("{param1} 🚨 日… é"))
    )
    written = "(param1) 🚨 日… é" if gateway == "voicepartner" else "(param1) ? ?... é"
    assert last_body(sandbox)["text"].endswith(written if own else f"{written}.")


def test_a_text_that_cannot_be_rendered_gives_way_to_the_english_one(sandbox: Any, logs: Logs) -> None:
    notifier(text=TEXT + "{{ ti.nothing.x }}", language="fr-FR")(failed())
    assert last_body(sandbox)["text"].startswith("Airflow. Task load of DAG daily sales failed")
    assert language(sandbox) == "en"
    shown = logs.text
    assert "text cannot be rendered" in shown
    assert "planté" not in shown


def test_async_notify_calls_too(sandbox: Any) -> None:
    asyncio.run(notifier(text="Alarme").async_notify(failed()))
    assert sent(sandbox, "voicepartner") == {ANNA: 1, LANDLINE: 1}


@pytest.mark.parametrize("trouble", [None, "500", "drop_after", "html"])
@pytest.mark.parametrize("gateway", GATEWAYS)
def test_whatever_happens_nothing_is_raised_and_no_secret_is_logged(
    sandbox: Any, logs: Logs, gateway: str, trouble: str | None
) -> None:
    if trouble:
        fault(sandbox, trouble)
    notifier(gateway, text=TEXT)(failed())
    shown = logs.text
    assert ("accepted for 2 recipients" in shown) is (trouble is None)
    assert ("it is unknown whether the alert was sent: " in shown) is (trouble is not None)
    for secret in (*KEYS.values(), LOGIN, ANNA[3:], LANDLINE[3:], "planté"):
        assert secret not in shown
    assert requests(sandbox) == 1


def test_a_connection_that_cannot_call_is_named(sandbox: Any, logs: Logs) -> None:
    notifier("smspartner")(failed())
    assert "TtsCallNotifier sends text-to-speech calls, which SMS Partner" in logs.text
    assert requests(sandbox) == 0


def test_the_alias_is_the_class() -> None:
    assert send_tts_call_notification is TtsCallNotifier


@pytest.mark.parametrize(
    ("languages", "heard"),
    [
        (("fr", "fr"), ["fr"]),
        (("fr", "en"), ["fr", "en"]),
        (("fr", None), ["fr", "en"]),
        (("en", None), ["en"]),
    ],
)
@pytest.mark.parametrize("more", [[], [LANDLINE]], ids=["contacts", "and a number"])
def test_everybody_is_told_in_their_language_and_those_who_hear_the_same_in_one_request(
    sandbox: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    languages: Any,
    heard: list[str],
    more: list[str],
) -> None:
    people = {
        name: {"phone": number, **({"language": language} if language else {})}
        for name, number, language in zip(("anne", "bruno"), (ANNA, BRUNO), languages, strict=True)
    }
    (tmp_path / "contacts.json").write_text(json.dumps({"people": people}))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "contacts.json"))
    if more:
        heard = [*heard, *({"en"} - {*heard})]  # of a number that is no contact's nothing is known
    notifier("octopush", to=["@anne", "@bruno", *more])(failed())
    calls = [body for body in bodies(sandbox) if "voice_language" in body]
    assert sorted(str(body["voice_language"])[:2] for body in calls) == sorted(heard)
    for body in calls:
        assert ("Je répète." in body["text"]) is str(body["voice_language"]).startswith("fr")
    told = {
        one["phone_number"]: str(body["voice_language"])[:2] for body in calls for one in body["recipients"]
    }
    expected = {ANNA: languages[0], BRUNO: languages[1] or "en", **dict.fromkeys(more, "en")}
    assert told == expected
    SmsNotifier(to=["@anne", "@bruno", *(more and ["+33612345670"])])(failed())
    texts = [str(body["message"]) for body in bodies(sandbox) if "message" in body]
    assert sorted("a échoué" in text for text in texts) == sorted(language == "fr" for language in heard)
    assert set(sent(sandbox, "smspartner").values()) == {1}


def test_a_text_of_ones_own_is_one_request_whatever_their_languages(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {"anne": {"phone": ANNA, "language": "fr"}, "bruno": {"phone": BRUNO, "language": "en"}}
    (tmp_path / "contacts.json").write_text(json.dumps({"people": people}))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "contacts.json"))
    SmsNotifier(to=["@anne", "@bruno"], message="sales failed")(failed())
    assert len([body for body in bodies(sandbox) if "message" in body]) == 1
    assert sent(sandbox, "smspartner") == {ANNA: 1, BRUNO: 1}
