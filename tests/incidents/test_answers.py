"""Answers to pages: what people write at night is understood, and nothing else acknowledges."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.incidents.answers import (
    NOT_UNDERSTOOD,
    AskedAbout,
    ReadAnswer,
    Verdict,
    choose,
    read_keys,
    read_text,
)
from airflow_provider_voicepartner.incidents.escalation import Action, Phase
from tests.support.tasks import CALM

ACK, PASS, CLOSE = Action.ACKNOWLEDGE, Action.ESCALATE, Action.CLOSE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", ReadAnswer(ACK)), (" 1 ", ReadAnswer(ACK)), ("1.", ReadAnswer(ACK)), ("1️⃣", ReadAnswer(ACK)),
        ("ok", ReadAnswer(ACK)), ("OK!", ReadAnswer(ACK)), ("Oui", ReadAnswer(ACK)), ("1 pris", ReadAnswer(ACK)),
        ("je prends", ReadAnswer(ACK)), ("J'ai pris, merci", ReadAnswer(ACK)), ("Reçu", ReadAnswer(ACK)),
        ("ok 👍", ReadAnswer(ACK)), ("I've got it", ReadAnswer(ACK)), ("taken, thanks", ReadAnswer(ACK)),
        ("1a", ReadAnswer(ACK)), ("１", ReadAnswer(ACK)), ("1\n", ReadAnswer(ACK)),
        ("12", ReadAnswer(ACK, 12)), ("12 ok", ReadAnswer(ACK, 12)), ("ok 12", ReadAnswer(ACK, 12)),
        ("12 1", ReadAnswer(ACK, 12)), ("#12", ReadAnswer(ACK, 12)), ("4711", ReadAnswer(ACK, 4711)),
        ("2", ReadAnswer(PASS)), ("non", ReadAnswer(PASS)), ("12 2", ReadAnswer(PASS, 12)),
        ("12e", ReadAnswer(PASS, 12)),
        ("Suivant svp", ReadAnswer(PASS)), ("non merci", ReadAnswer(PASS)),
        ("3", ReadAnswer(CLOSE)), ("résolu", ReadAnswer(CLOSE)), ("12c", ReadAnswer(CLOSE, 12)),
        ("12 3", ReadAnswer(CLOSE, 12)),
        ("fixed it, thanks", ReadAnswer(CLOSE)), ("C'est réglé", ReadAnswer(CLOSE)),
        ("c", ReadAnswer(CLOSE)), ("c 12", ReadAnswer(CLOSE, 12)), ("3 c", ReadAnswer(CLOSE)),
        ("C'est pris", ReadAnswer(ACK)), ("c ok", ReadAnswer(ACK)), ("Ok, c'est ça", ReadAnswer(ACK)),
        ("c'est moi 12", ReadAnswer(ACK, 12)), ("c'est non", ReadAnswer(PASS)),
        ("ok 👍🏽", ReadAnswer(ACK)), ("\u200e1\u200b", ReadAnswer(ACK)), ("١٢", ReadAnswer(ACK, 12)),
        ("١", ReadAnswer(ACK)), ("१२ १", ReadAnswer(ACK, 12)),
    ],
)  # fmt: skip
def test_what_people_write(text: str, expected: ReadAnswer) -> None:
    assert read_text(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "?", "pas ok", "ok mais non", "1 2", "12 13", "not ok", "who is this", "0", "4", "01", "1,5", "1-2",
     "stop", "merci", "1" * 30, "1 " * 60, "Je suis absent jusqu'au 1", "<b>1</b>", "1\x00", "ок", "Ⅰ am not here",
     "call me at 0612345601", "ne prends pas", "1st", "1€",
     "c'est moi", "C’est bien", "c est en compte", "l'a", "il l'a", "a moi", "👍", "e-mail", "c'est pas 1", "٠١"],
)  # fmt: skip
def test_nothing_else_acknowledges(text: str) -> None:
    assert read_text(text) == NOT_UNDERSTOOD


@given(st.text())
@CALM
def test_any_text_is_read(text: str) -> None:
    found = read_text(text)
    assert (found.action is None) == (found == NOT_UNDERSTOOD)
    assert found.code is None or 10 <= found.code < 10**9
    assert read_keys(text).code is None


@given(st.text(alphabet="0123456789*# "))
@CALM
def test_any_keys_are_read(keys: str) -> None:
    digits = {key for key in keys if key.isdigit()}
    assert (read_keys(keys).action is None) == (len(digits) != 1 or not digits <= set("123"))


@pytest.mark.parametrize(
    ("keys", "action"), [("1", ACK), ("11", ACK), ("1#", ACK), ("2", PASS), ("3", CLOSE)]
)
def test_keys(keys: str, action: Action) -> None:
    assert read_keys(keys) == ReadAnswer(action)


def asked(incident: int, phase: Phase = Phase.RUNNING, *, at: float = 0.0, named: bool = False) -> AskedAbout:
    code = None if phase is Phase.CLOSED else 10 + incident
    return AskedAbout(incident=incident, code=code, phase=phase, person="anne", paged_at=at, is_named=named)


OWNED, CLOSED, SPENT = Phase.ACKNOWLEDGED, Phase.CLOSED, Phase.EXHAUSTED


@pytest.mark.parametrize(
    ("text", "about", "expected"),
    [
        ("1", [asked(1)], 1),
        ("1", [asked(1, SPENT)], 1),
        ("1", [asked(1), asked(2)], Verdict.AMBIGUOUS),
        ("1", [asked(1), asked(2, named=True)], Verdict.AMBIGUOUS),
        ("1", [asked(1), asked(2, OWNED)], 1),
        ("1", [asked(1), asked(2, OWNED, named=True)], 2),
        ("1", [asked(1), asked(2, CLOSED, named=True)], Verdict.AMBIGUOUS),
        ("1", [asked(1, OWNED, at=1.0), asked(2, OWNED)], 1),
        ("1", [asked(1, CLOSED), asked(2, CLOSED, at=1.0)], 2),
        ("12", [asked(1), asked(2)], 2),
        ("12", [asked(2, OWNED), asked(1)], 2),
        ("13", [asked(1), asked(2)], Verdict.UNKNOWN_CODE),
        ("13", [asked(1)], Verdict.UNKNOWN_CODE),
        ("13", [asked(1, CLOSED)], 1),
        ("2", [asked(1), asked(2, OWNED)], Verdict.AMBIGUOUS),
        ("3", [asked(1), asked(2, CLOSED)], 1),
        ("3", [asked(1, CLOSED)], 1),
        ("hello", [asked(1)], Verdict.NOT_UNDERSTOOD),
    ],
)
def test_which_incident_is_meant(text: str, about: list[AskedAbout], expected: Any) -> None:
    found = choose(read_text(text), about)
    assert (found.incident if isinstance(found, AskedAbout) else found) == expected


def test_a_key_is_about_the_call_in_which_it_was_pressed() -> None:
    found = choose(read_keys("1"), [asked(1), asked(2, named=True)], by_call=True)
    assert isinstance(found, AskedAbout)
    assert found.incident == 2
