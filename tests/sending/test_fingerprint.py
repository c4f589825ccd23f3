"""Two attempts that would send the same thing have one fingerprint; anything else that is sent, another."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.model import (
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.sending.fingerprint import (
    REFERENCE_LENGTH,
    new_reference,
    pack_columns,
    pack_recipients,
)
from tests.support.fingerprints import fingerprint
from tests.support.tasks import CALM

PROJECT = Path(__file__).resolve().parents[2]
ACCOUNT = Credentials(api_key="planted-key", login="me@example.org")
SMS = SmsMessage(text="Bonjour", sender="ACME", options={"gamme": 1, "is_stop_sms": True})
ANNA, BEN = Recipient("+33612345678", {"name": "Anna"}), Recipient("+33612345679")
WHEN = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
BASE = fingerprint("octopush", ACCOUNT, SMS, [ANNA, BEN], WHEN)


def test_the_same_input_gives_the_same_fingerprint_in_another_process() -> None:
    code = (
        "from tests.sending.test_fingerprint import *\n"
        "print(fingerprint('octopush', ACCOUNT, SMS, [ANNA, BEN], WHEN))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=PROJECT
    )
    assert shown.stdout.split()[-1] == BASE


def test_the_order_of_options_and_fields_and_the_spelling_of_a_moment_do_not_matter() -> None:
    sms = replace(SMS, options={"is_stop_sms": True, "gamme": 1})
    paris = WHEN.astimezone(timezone(timedelta(hours=2)))
    assert fingerprint("octopush", ACCOUNT, sms, iter([ANNA, BEN]), paris) == BASE


OTHERS = {
    "gateway": fingerprint("smspartner", ACCOUNT, SMS, [ANNA, BEN], WHEN),
    "login": fingerprint("octopush", replace(ACCOUNT, login=None), SMS, [ANNA, BEN], WHEN),
    "text": fingerprint("octopush", ACCOUNT, replace(SMS, text="Bonsoir"), [ANNA, BEN], WHEN),
    "sender": fingerprint("octopush", ACCOUNT, replace(SMS, sender=None), [ANNA, BEN], WHEN),
    "purpose": fingerprint("octopush", ACCOUNT, replace(SMS, purpose="marketing"), [ANNA, BEN], WHEN),
    "option": fingerprint("octopush", ACCOUNT, replace(SMS, options={"gamme": 2}), [ANNA, BEN], WHEN),
    "order": fingerprint("octopush", ACCOUNT, SMS, [BEN, ANNA], WHEN),
    "one fewer": fingerprint("octopush", ACCOUNT, SMS, [ANNA], WHEN),
    "field": fingerprint("octopush", ACCOUNT, SMS, [Recipient(ANNA.phone_number), BEN], WHEN),
    "later": fingerprint("octopush", ACCOUNT, SMS, [ANNA, BEN], WHEN + timedelta(minutes=1)),
    "at once": fingerprint("octopush", ACCOUNT, SMS, [ANNA, BEN], None),
    "a call": fingerprint(
        "octopush", ACCOUNT, VoiceMessage(text="Bonjour", sender="ACME"), [ANNA, BEN], WHEN
    ),
    "a file": fingerprint("octopush", ACCOUNT, Voicemail(audio_token="Bonjour"), [ANNA, BEN], WHEN),
}


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_changes_what_is_sent_changes_the_fingerprint(what: str) -> None:
    assert OTHERS[what] != BASE
    assert list(OTHERS.values()).count(OTHERS[what]) == 1


def test_a_rotated_key_goes_on_with_the_rest() -> None:
    assert fingerprint("octopush", replace(ACCOUNT, api_key="another"), SMS, [ANNA, BEN], WHEN) == BASE


MESSAGES: st.SearchStrategy[Message] = st.builds(
    SmsMessage,
    text=st.text(max_size=5),
    options=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
PEOPLE = st.lists(
    st.builds(
        Recipient,
        st.from_regex(r"\+[1-9][0-9]{0,16}", fullmatch=True),
        st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    ),
    max_size=3,
)


@CALM
@given(MESSAGES, PEOPLE, MESSAGES, PEOPLE)
def test_no_two_inputs_run_into_one(
    a: Message, some: list[Recipient], b: Message, others: list[Recipient]
) -> None:
    """Not even with line breaks and quotes in every place: texts cannot pose as recipients."""
    same = a == b and some == others
    assert (
        fingerprint("smspartner", ACCOUNT, a, some, None)
        == fingerprint("smspartner", ACCOUNT, b, others, None)
    ) is same


def test_it_is_short_and_tells_nothing() -> None:
    assert len(BASE) == 32
    assert set(BASE) <= set("0123456789abcdef")


def test_references_fit_every_gateway_and_do_not_repeat() -> None:
    made = {new_reference() for _ in range(2000)}
    assert len(made) == 2000
    for reference in made:
        assert len(reference) == REFERENCE_LENGTH <= 20
        assert reference.isascii()
        assert reference.isalnum()
        assert reference == reference.lower()


odd_texts = st.text(st.sampled_from("aé0:;%s\u00ff\ud800😀\n"), max_size=6)


@given(
    st.lists(st.integers(1, 10**15), min_size=1, max_size=5),
    st.lists(odd_texts, min_size=1, max_size=3, unique=True),
    st.data(),
)
def test_columns_are_packed_as_the_rows_they_are(
    numbers: list[int], names: list[str], data: st.DataObject
) -> None:
    rows = [{name: data.draw(odd_texts) for name in names} for _ in numbers]
    columns = {name: [row[name] for row in rows] for name in names}
    assert pack_columns(numbers, columns) == pack_recipients(numbers, rows)


@pytest.mark.parametrize("columns", [{"a": ["x", "y"], "b": ["z"]}, {"a": ["x"], "b": ["y", "z"]}])
def test_columns_of_different_lengths_are_a_mistake_of_ours(columns: dict[str, list[str]]) -> None:
    """Cut to the shortest, two different lists would have one fingerprint."""
    with pytest.raises(ValueError, match=r"shorter|longer"):
        pack_columns([33612345601, 33612345602], columns)
