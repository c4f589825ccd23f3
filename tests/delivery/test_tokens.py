"""A token opens what it was made for, until it ends, and nothing else; whatever else is given is refused alike."""

from __future__ import annotations

import random
import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.encoding import base64_decode

from airflow_provider_voicepartner.constants import CALLBACK_LIFETIME
from airflow_provider_voicepartner.delivery.tokens import (
    BatchToken,
    CallbackTokens,
    ConnectionToken,
    InvalidTokenError,
    WeakSecretError,
    expiry,
)
from airflow_provider_voicepartner.gateways import GATEWAYS

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
SECRET = "a-secret-for-the-tests"
TOKENS = CallbackTokens([SECRET])

references = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=12)
gateways = st.sampled_from(GATEWAYS)
later = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=400))


def batch_token(gateway: str = "smspartner", reference: str = "k3v9x0q2w7ha") -> str:
    return TOKENS.for_batch(gateway, reference, expires=NOW + CALLBACK_LIFETIME)


def is_refused(token: str, gateway: str = "smspartner", *, tokens: CallbackTokens = TOKENS) -> bool:
    try:
        tokens.read(gateway, token, now=NOW)
    except InvalidTokenError as error:
        words = str(error)
    else:
        return False
    assert words == "the token is not valid"  # the same, whatever is wrong
    return True


@given(gateways, references, later)
def test_a_token_says_which_batch_it_was_made_for(gateway: str, reference: str, ahead: timedelta) -> None:
    token = TOKENS.for_batch(gateway, reference, expires=NOW + ahead)
    assert TOKENS.read(gateway, token, now=NOW) == BatchToken(reference)


@given(st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable()))
def test_a_connection_may_be_called_anything_and_its_token_does_not_end(conn_id: str) -> None:
    token = TOKENS.for_connection("octopush", conn_id)
    assert TOKENS.read("octopush", token, now=NOW + timedelta(days=10_000)) == ConnectionToken(conn_id)


@given(gateways, references)
def test_a_token_fits_into_a_url_as_it_is(gateway: str, reference: str) -> None:
    token = TOKENS.for_batch(gateway, reference, expires=NOW + CALLBACK_LIFETIME)
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in token)
    assert len(token) < 100


def test_every_flipped_bit_is_noticed() -> None:
    token = batch_token()
    for place, letter in enumerate(token):
        for bit in range(7):
            flipped = chr(ord(letter) ^ (1 << bit))
            assert is_refused(token[:place] + flipped + token[place + 1 :]), (place, bit)


def test_every_other_letter_is_noticed() -> None:
    """Base64 ignores some bits of its last letter, and letters that it does not know."""
    token = batch_token()
    for place in range(len(token) + 1):
        for letter in "AQgwz09-_=.!% \n":
            assert is_refused(token[:place] + letter + token[place:]), (place, letter)
            if token[place : place + 1] not in ("", letter):
                assert is_refused(token[:place] + letter + token[place + 1 :]), (place, letter)


def test_every_truncation_is_noticed() -> None:
    token = batch_token()
    for place in range(len(token)):
        assert is_refused(token[:place])
        assert is_refused(token[place + 1 :])


@given(gateways, gateways, references)
def test_a_token_of_another_gateway_is_foreign(own: str, other: str, reference: str) -> None:
    token = batch_token(own, reference)
    assert is_refused(token, other) == (own != other)


@given(references, references)
def test_halves_of_two_tokens_make_none(one: str, other: str) -> None:
    payload, _, _ = batch_token(reference=one).rpartition(".")
    _, _, signature = batch_token(reference=other).rpartition(".")
    assert is_refused(f"{payload}.{signature}") == (one != other)


@given(st.text() | st.text("ab.=-_"))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    assert is_refused(text)
    assert is_refused(text, gateway=text)


@pytest.mark.parametrize(
    "text", ["", ".", "\ud800", "a" * 100_000, "\0.\0", "b:9999999999:abc.", "=.=", "é.ü"]
)
def test_odd_texts_are_refused(text: str) -> None:
    assert is_refused(text)
    assert is_refused(text, gateway=text)


def test_a_token_ends_with_the_second_that_is_signed_into_it() -> None:
    token = TOKENS.for_batch("smspartner", "k3v9x0q2w7ha", expires=NOW)
    assert TOKENS.read("smspartner", token, now=NOW - timedelta(seconds=1))
    with pytest.raises(InvalidTokenError):
        TOKENS.read("smspartner", token, now=NOW)


def test_a_token_lives_for_a_month_from_when_the_batch_is_due() -> None:
    assert expiry(now=NOW) == NOW + timedelta(days=30)
    assert expiry(now=NOW, send_at=NOW + timedelta(days=90)) == NOW + timedelta(days=120)
    assert expiry(now=NOW, send_at=NOW - timedelta(days=1)) == NOW + timedelta(days=30)
    assert expiry(now=NOW, lifetime=timedelta(hours=1)) == NOW + timedelta(hours=1)


def test_secrets_can_be_changed_while_gateways_hold_urls_of_the_last_one() -> None:
    old, new = "the-secret-of-last-year", "the-secret-of-this-year"
    before, during, after = CallbackTokens([old]), CallbackTokens([new, old]), CallbackTokens([new])
    issued = before.for_batch("smspartner", "k3v9x0q2w7ha", expires=NOW + CALLBACK_LIFETIME)
    fresh = during.for_batch("smspartner", "k3v9x0q2w7ha", expires=NOW + CALLBACK_LIFETIME)
    assert not is_refused(issued, tokens=during)
    assert not is_refused(fresh, tokens=during)
    assert not is_refused(fresh, tokens=after)  # the newest one signs
    assert is_refused(issued, tokens=after)
    assert is_refused(fresh, tokens=before)


@pytest.mark.parametrize("given_secrets", [[], [""], ["short"], ["long-enough-to-be-one", "fifteen-letters"]])
def test_a_weak_secret_is_refused_and_not_shown(given_secrets: list[str]) -> None:
    with pytest.raises(WeakSecretError) as caught:
        CallbackTokens(given_secrets)
    assert not any(secret and secret in str(caught.value) for secret in given_secrets)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("a-long-random-text", "an example"), ("another-long-random-text", "an example"),
        ("a" * 16, "repeats"), ("ab" * 20, "repeats"), ("abcdefg-" * 3, "repeats"), ("password" * 2, "repeats"),
        ("aaaaaaaaaaaaaaab", "variety"), ("aaaabbbbccccdddd", "variety"), ("4711471147112", "fewer than 16"),
        ("47114711471147114", "variety"), ("abcdefghijklmnop", "variety"), ("1234567890123456", "variety"),
        ("zyxwvutsrqponmlk", "variety"), ("aAaAaAaAaAaAaAaAb", "variety"), ("................x", "variety"),
    ],
)  # fmt: skip
def test_a_secret_that_is_long_and_easy_to_guess_is_refused(secret: str, problem: str) -> None:
    with pytest.raises(WeakSecretError, match=problem) as caught:
        CallbackTokens(["planted-callback-secret-4714", secret])
    assert secret not in str(caught.value)


def test_random_secrets_of_any_alphabet_are_accepted() -> None:
    draw = random.Random(4714)
    for alphabet in ("0123456789abcdef", string.ascii_letters, string.printable.strip(), "0123456789"):
        for _ in range(300):
            CallbackTokens(["".join(draw.choices(alphabet, k=24))])
    for _ in range(300):
        CallbackTokens([secrets.token_urlsafe(32), secrets.token_hex(16), secrets.token_hex(8)])


def test_a_token_of_a_few_recipients_does_not_reveal_them() -> None:
    token = TOKENS.for_batch(
        "smspartner", "k3v9", expires=NOW + CALLBACK_LIFETIME, recipients=[f"+336{n:08d}" for n in range(16)]
    )
    assert len(token) < 200
    read = TOKENS.read("smspartner", token, now=NOW)
    assert read == BatchToken("k3v9")
    assert isinstance(read, BatchToken)
    assert read.recipients is not None
    assert read.recipients.includes("+33600000015", None)
    assert read.recipients.includes("+33600000016", None) is False
    payload = base64_decode(token.partition(".")[0])
    assert b"336" not in payload
    more = TOKENS.for_batch(
        "smspartner", "k3v9", expires=NOW + CALLBACK_LIFETIME, recipients=[f"+336{n:08d}" for n in range(17)]
    )
    assert len(more) < 100
    read_again: Any = TOKENS.read("smspartner", more, now=NOW)
    assert read_again.recipients.includes("+33600000016", None) is None


def test_secrets_are_not_shown_with_the_object() -> None:
    assert SECRET not in repr(TOKENS)
