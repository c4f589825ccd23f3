"""Requests, answers and callbacks as values: nothing secret is shown, whatever the spelling."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.wire import (
    EXCERPT_LENGTH,
    ApiRequest,
    ApiResponse,
    CallbackRequest,
    Credentials,
    mask_number,
    scrub,
)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+33612345642", "+336••••••42"),
        ("0612345642", "0612••••42"),
        ("12345678", "1234••78"),
        ("1234567", "•••••••"),
        ("36111", "•••••"),
        ("", ""),
    ],
)
def test_a_masked_number_can_be_told_from_another_but_not_called(number, shown):
    assert mask_number(number) == shown


@pytest.mark.parametrize(
    "number",
    ["+33612345678", "0612345678", "06 12 34 56 78", "06.12.34.56.78", "+33 6-12-34-56-78", "12345678"],
)
def test_numbers_are_masked_in_any_text(number):
    shown = scrub(f"the number {number} is wrong")
    assert number not in shown
    assert shown.startswith("the number ")
    assert shown.endswith(" is wrong")


@pytest.mark.parametrize("text", ["code 1234567", "2031-05", "14:16:11", "HTTP 500", "1, 2, 3"])
def test_short_numbers_are_left(text):
    assert scrub(text) == text


SECRETS = ["s3cret key/+é", 'say "hi" & <go>', "a\nb\tc", "ключ"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "spell",
    [
        str,
        quote,
        lambda text: quote(text, safe=""),
        quote_plus,
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
        html.escape,
    ],
    ids=["plain", "path", "query", "form", "json", "json-utf8", "json-php", "html"],
)
def test_secrets_are_taken_out_in_every_spelling(secret, spell):
    assert scrub(f"<{spell(secret)}>", [secret]) == "<***>"


def test_a_secret_within_another_leaves_nothing_of_the_longer():
    assert scrub("abcdef abc", ["abc", "abcdef"]) == "*** ***"


def test_empty_secrets_change_nothing():
    assert scrub("text", ["", ""]) == "text"


def test_half_of_a_character_pair_does_not_make_an_error_message_fail():
    assert scrub("x", ["\ud800"]) == "x"


@settings(deadline=None, max_examples=50)
@given(st.text(), st.lists(st.text(min_size=3), max_size=3))
def test_scrubbing_never_fails_and_leaves_no_secret(text, secrets):
    # "***" is what stands in a secret's place.
    secrets = [secret for secret in secrets if "*" not in secret and "•" not in secret]
    shown = scrub(text + "".join(secrets), secrets)
    assert not [secret for secret in secrets if secret in shown]


def test_nothing_secret_is_shown_of_values():
    values = [
        Credentials(api_key="s3cret", login="s3cret"),
        ApiRequest(
            endpoint="send",
            method="POST",
            path="send",
            safe_to_repeat=False,
            params={"k": "s3cret"},
            headers={"k": "s3cret"},
            body={"k": "s3cret"},
            private=("s3cret",),
        ),
        ApiResponse(status=200, body=b"s3cret", headers={"k": "s3cret"}, private=("s3cret",)),
        CallbackRequest(method="POST", query="s3cret", body=b"s3cret"),
    ]
    assert "s3cret" not in repr(values)


def test_values_are_made_without_their_optional_parts():
    request = ApiRequest(endpoint="me", method="GET", path="me", safe_to_repeat=True)
    assert (dict(request.params), dict(request.headers), request.body, request.private) == ({}, {}, None, ())
    assert dict(ApiResponse(status=200, body=b"").headers) == {}


class TestExcerpt:
    def excerpt(self, body: bytes, *private: str) -> str:
        return ApiResponse(status=500, body=body, private=private).excerpt()

    def test_is_one_line_of_at_most_200_characters(self):
        assert self.excerpt(b"<html>\n  <p>Bad\tgateway") == "<html> <p>Bad gateway"
        assert len(self.excerpt(b"x" * 5000)) == EXCERPT_LENGTH == 200

    def test_is_scrubbed(self):
        shown = self.excerpt(b"key s3cret of +33612345678", "s3cret")
        assert "s3cret" not in shown
        assert "612345678" not in shown

    def test_a_cut_leaves_no_half_key(self):
        assert "s3c" not in self.excerpt(b"x" * 197 + b"s3cret", "s3cret")

    def test_takes_any_bytes(self):
        assert self.excerpt(b"\xff\xfeab") == "��ab"


def test_an_excerpt_cannot_show_half_a_secret_at_a_cut() -> None:
    for blanks in (0, 150, 16_374, 65_530, 999_000):
        response = ApiResponse(
            status=500, body=b" " * blanks + b"planted-key-4711 " * 20, private=("planted-key-4711",)
        )
        assert "planted" not in response.excerpt()
    huge = ApiResponse(status=500, body=b"planted-key-4711" * 100_000, private=("planted-key-4711",))
    assert huge.excerpt() == "(1600000 bytes)"


@pytest.mark.parametrize("spelling", ["pl%2Bnt%2Fed", "pl%2bnt%2fed"])
def test_escapes_in_either_case_are_scrubbed(spelling: str) -> None:
    assert scrub(f"GET /me/{spelling}", ("pl+nt/ed",)) == "GET /me/***"


def test_an_apostrophe_written_by_number_is_scrubbed() -> None:
    assert scrub("<p>l&#39;heure</p> l&#x27;heure", ("l'heure",)) == "<p>***</p> ***"
