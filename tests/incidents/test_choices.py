"""What a text or a key chooses of a question's options; in doubt nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.incidents.choices import (
    ReadReply,
    are_for_phones,
    choose_options,
    read_pressed,
    read_reply,
)

APPROVAL = ("Approve", "Reject")
STEPS = ("Go on", "Stop here", "À vérifier")


@pytest.mark.parametrize(
    ("text", "options", "chosen"),
    [
        ("1", APPROVAL, "Approve"),
        (" 2. ", APPROVAL, "Reject"),
        ("oui", APPROVAL, "Approve"),
        ("Yes!", APPROVAL, "Approve"),
        ("ok merci", APPROVAL, "Approve"),
        ("d'accord", APPROVAL, "Approve"),
        ("non", APPROVAL, "Reject"),
        ("NO", APPROVAL, "Reject"),
        ("approve", APPROVAL, "Approve"),
        ("J'approuve", APPROVAL, "Approve"),
        ("1 ok", APPROVAL, "Approve"),
        ("go on", STEPS, "Go on"),
        ("a verifier", STEPS, "À vérifier"),
        ("3", STEPS, "À vérifier"),
        ("oui", ("Oui", "Non"), "Oui"),
        ("ok", ("OK",), "OK"),
    ],
)
def test_an_answer_that_is_clear(text: str, options: tuple[str, ...], chosen: str) -> None:
    assert choose_options(read_reply(text), options) == (chosen,)
    assert choose_options(read_reply(f"47 {text}"), options) == (chosen,)
    assert read_reply(f"47 {text}").code == 47


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", APPROVAL),
        ("3", APPROVAL),
        ("0", APPROVAL),
        ("1 2", APPROVAL),
        ("1 non", APPROVAL),
        ("oui non", APPROVAL),
        ("pas approve", APPROVAL),
        ("do not approve", APPROVAL),
        ("ne rejette pas", APPROVAL),
        ("approve?? 💣", APPROVAL),
        ("who is this", APPROVAL),
        ("47", APPROVAL),
        ("47 48 1", APPROVAL),
        ("-1.5%", APPROVAL),
        ("oui", STEPS),
        ("non", STEPS),
        ("yes", ("Yes today", "Yes tomorrow")),
        ("1" * 81, APPROVAL),
        ("merci", APPROVAL),
        ("①x", APPROVAL),
    ],
)
def test_an_answer_in_doubt_chooses_nothing(text: str, options: tuple[str, ...]) -> None:
    assert choose_options(read_reply(text), options) == ()


def test_several_options_where_several_may_be_chosen() -> None:
    assert choose_options(read_reply("47 3 1"), STEPS, most=3) == ("Go on", "À vérifier")
    assert choose_options(read_reply("1, 2"), STEPS, most=3) == ("Go on", "Stop here")
    assert choose_options(read_reply("1, 2"), STEPS, most=1) == ()


@pytest.mark.parametrize(("keys", "chosen"), [("2", "Reject"), ("2222#", "Reject"), ("*1", "Approve")])
def test_a_pressed_key(keys: str, chosen: str) -> None:
    assert choose_options(read_pressed(keys), APPROVAL) == (chosen,)


@pytest.mark.parametrize("keys", ["", "12", "9", "#", "0"])
def test_keys_in_doubt_choose_nothing(keys: str) -> None:
    assert choose_options(read_pressed(keys), APPROVAL) == ()


@pytest.mark.parametrize(
    ("options", "for_phones"),
    [
        (APPROVAL, True),
        (("OK",), True),
        (("1", "2", "3"), True),
        (("2", "1"), False),
        (("10", "20"), False),
        (tuple("abcdefghi"), True),
        (tuple("abcdefghij"), False),
        ((), False),
    ],
)
def test_options_that_digits_cannot_tell_apart_are_not_for_phones(
    options: tuple[str, ...], for_phones: bool
) -> None:
    assert are_for_phones(options) is for_phones


@given(st.text(max_size=90), st.lists(st.text(max_size=12), min_size=1, max_size=9, unique=True))
def test_nothing_but_an_option_is_ever_chosen(text: str, options: list[str]) -> None:
    for reply in (read_reply(text), read_pressed(text)):
        assert isinstance(reply, ReadReply)
        assert set(choose_options(reply, options)) <= set(options)


@given(st.integers(10, 9_999), st.integers(1, 9))
def test_a_code_and_a_number_are_never_taken_for_each_other(code: int, number: int) -> None:
    options = tuple(f"option {letter}" for letter in "abcdefghi")
    assert read_reply(f"{code} {number}") == read_reply(f"{number} - {code}.")
    assert choose_options(read_reply(f"{code} {number}"), options) == (options[number - 1],)
    assert choose_options(read_reply(f"{code}{number}"), options) == ()
