"""Requests, answers and callbacks as values: nothing secret is shown, whatever the spelling."""

from __future__ import annotations

import html
import json
import time
import unicodedata
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.constants import EXCERPT_LENGTH
from airflow_provider_voicepartner.gateways.wire import (
    ApiRequest,
    ApiResponse,
    CallbackRequest,
    Credentials,
    mask_number,
    scrub,
)
from tests.support.examples import examples


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


TEXT_SENT = 'Bonjour Zoé, votre "rendez-vous" est à 14 h. 50 % de rabais + cadeau'


def _in_json(text: str) -> str:
    return json.dumps(text)


@pytest.mark.parametrize(
    "disguise",
    [
        str.upper,
        str.title,
        str.swapcase,
        lambda text: _in_json(text).upper(),
        lambda text: _in_json(_in_json({"echo": text})),
        lambda text: _in_json(_in_json(_in_json([text]))),
        lambda text: quote(_in_json(text)),
        lambda text: quote(quote(text, safe=""), safe=""),
        lambda text: quote_plus(text).lower(),
        lambda text: quote_plus(text.upper()),
        lambda text: _in_json(quote(text)),
        lambda text: html.escape(_in_json(text)),
        lambda text: html.escape(html.escape(text)),
        lambda text: "".join(f"&#{ord(character)};" for character in text),
        lambda text: "".join(f"&#x{ord(character):x};" for character in text),
        lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
        lambda text: "".join(f"\\u{ord(character):04X}" for character in text),
        lambda text: text.replace(" ", "\n  "),
        lambda text: text.replace("é", "e").replace("à", "a"),
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text.replace('"', "").replace("%", ""),
        lambda text: text.replace(" ", "_"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "error: <{}> at line 4", '{{"message": "{}"}}'])
def test_a_text_that_a_gateway_echoes_in_disguise_is_not_shown(disguise, around):
    shown = scrub(around.format(disguise(TEXT_SENT)), [TEXT_SENT])
    for word in ("bonjour", "rendez", "cadeau", "zo"):
        assert word not in shown.casefold()


def test_words_beside_a_disguised_text_stay():
    assert scrub(f"refused: {TEXT_SENT.upper()} is too long", [TEXT_SENT]) == "refused: *** is too long"


@pytest.mark.parametrize("secret", ["planted-key-4711", "pl+nt/ed=key&x%41"])
def test_a_key_in_capitals_is_not_shown(secret):
    assert secret.upper() not in scrub(f"no such key: {secret.upper()}", [secret])


def test_what_only_shares_words_with_a_text_is_shown():
    said = "Ce numéro n'est pas valide; le rendez-vous est à 15 h"
    assert scrub(said, [TEXT_SENT]) == said


def test_a_long_answer_and_many_texts_are_scrubbed_in_time():
    texts = [f"{TEXT_SENT} numéro {number}" for number in range(500)]
    page = "x y\\n%20 " * 20_000 + quote(texts[-1].upper())
    started = time.monotonic()
    assert "cadeau" not in scrub(page, texts).casefold()
    assert time.monotonic() - started < 10


def test_a_secret_within_another_leaves_nothing_of_the_longer():
    assert scrub("abcdef abc", ["abc", "abcdef"]) == "*** ***"


def test_empty_secrets_change_nothing():
    assert scrub("text", ["", ""]) == "text"


def test_half_of_a_character_pair_does_not_make_an_error_message_fail():
    assert scrub("x", ["\ud800"]) == "x"


@settings(deadline=None, max_examples=examples(50))
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
