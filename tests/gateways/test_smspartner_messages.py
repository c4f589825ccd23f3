"""How long a text is to the gateway, and what it makes of characters it does not send."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.smspartner import (
    replaced_text,
    segments,
    text_length,
    wire_text,
)
from airflow_provider_voicepartner.gateways.smspartner.messages import longest_text
from tests.support.examples import examples


@pytest.mark.parametrize(
    ("length", "parts"), [(0, 1), (1, 1), (160, 1), (161, 2), (306, 2), (307, 3), (1530, 10), (1531, 11)]
)
def test_an_sms_is_160_characters_and_each_linked_part_153(length, parts):
    assert segments("x" * length) == parts


@pytest.mark.parametrize(("length", "parts"), [(70, 1), (71, 2), (134, 2), (135, 3), (670, 10), (671, 11)])
def test_a_unicode_sms_is_70_characters_and_each_linked_part_67(length, parts):
    assert segments("я" * length, is_unicode=True) == parts


def test_a_line_break_counts_two():
    assert text_length("a\nb") == text_length("a:br:b") == 4
    assert segments("x" * 158 + "\n") == 1
    assert segments("x" * 159 + "\n") == 2


def test_a_windows_line_break_is_one_line_break():
    assert wire_text("a\r\nb") == "a:br:b"
    assert text_length("a\r\nb") == 4


def test_a_euro_sign_counts_two_and_in_unicode_one():
    assert wire_text("5 €") == "5 :euro:"
    assert text_length("€") == text_length(":euro:") == 2
    assert text_length("€", is_unicode=True) == 1


def test_an_emoji_takes_two_in_unicode():
    assert text_length("😀", is_unicode=True) == 2


def test_length_is_counted_after_replacement():
    assert text_length("œuf") == 4
    assert text_length("a^~|b") == 2
    assert segments("œ" * 81) == 2
    assert segments("^" * 500 + "x") == 1


def test_unicode_texts_are_not_replaced():
    assert text_length("œ^", is_unicode=True) == 2


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("ą", "à"), ("’`", "''"), ("ÿ", "y"), ("ç", "Ç"), ("ûü", "uu"), ("ïî", "ii"), ("ôöó", "ooo"), ("ëê", "ee"),
        ("[{", "(("), ("]}", "))"), ("µ", "u"), ("ñÑ", "nN"), ("ÄÀÁÂÃ", "AAAAA"), ("ÈÊË", "EEE"), ("Î", "I"),
        ("ÜÙÚÛ", "UUUU"), ("Ý", "Y"), ("äáâã", "aaaa"), ("ÖÔ", "OO"), ("œ", "oe"), ("°", "."), ("“", "'"),
        ("«»", '""'), ("^~|\\¨§", ""),
    ],
)  # fmt: skip
def test_the_vendors_table(given, shown):
    assert replaced_text(given) == shown


@pytest.mark.parametrize("kept", ["à", "é", "è", "ù", "ì", "ò", "É", "Ç", "@", "#", "plain text, 100%"])
def test_what_the_table_does_not_name_is_kept(kept):
    assert replaced_text(kept) == kept


def test_how_much_fits():
    assert longest_text() == 1530
    assert longest_text(segments=1) == 160
    assert longest_text(is_unicode=True) == 670


@settings(deadline=None, max_examples=examples(60))
@given(st.text(max_size=400), st.booleans())
def test_length_does_not_depend_on_the_spelling_of_breaks_and_euros(text, is_unicode):
    assert text_length(text, is_unicode=is_unicode) == text_length(wire_text(text), is_unicode=is_unicode)
    assert segments(text + "x", is_unicode=is_unicode) >= segments(text, is_unicode=is_unicode) >= 1


@settings(deadline=None, max_examples=examples(50))
@given(st.text())
def test_what_was_replaced_stays_as_it_is(text):
    once = replaced_text(text).replace("Ç", "")
    assert replaced_text(once) == once
