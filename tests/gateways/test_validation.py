"""What no gateway takes is refused before anything is sent; errors name the argument and the fix, and no value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, TypeAdapter, ValidationError

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.validation import (
    E164,
    EMAIL,
    CallbackUrl,
    GatewayOptions,
    check_callback_url,
    check_count,
    check_encodable,
    check_language,
    check_number,
    check_numbers,
    check_said,
    check_secret,
    check_sender,
    is_callback_url,
    is_loopback,
    read_options,
)
from tests.support.tasks import CALM

NUMBER = "+33612345678"


def refused(argument: str, check: Callable[[], object]) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        check()
    assert caught.value.argument == argument
    return caught.value.problem


class TestRecipients:
    def test_1_to_500(self) -> None:
        for count in (1, 500):
            check_count(count)
        assert refused("to", lambda: check_numbers([])) == "is empty; give at least one recipient"
        assert "holds 501 recipients" in refused("to", lambda: check_numbers([NUMBER] * 501))
        assert "holds 501" in refused("messages", lambda: check_count(501, argument="messages"))

    @pytest.mark.parametrize("number", ["+3361234", "+" + "1" * 15, NUMBER])
    def test_numbers_in_e164(self, number: str) -> None:
        check_numbers([number])
        check_number(number, argument="phone_number")

    @pytest.mark.parametrize(
        "number",
        [
            "",
            "+",
            "33612345678",
            "+0612345678",
            "+33 612345678",
            "+33612345678\n",
            "+" + "1" * 16,
            "+٣٣٦١٢٣٤٥",
        ],
    )
    def test_other_numbers_are_named_by_their_position_only(self, number: str) -> None:
        problem = refused("to", lambda: check_numbers([NUMBER, number]))
        assert problem.startswith("recipient 2 is not in E.164")
        problem = refused("phone_number", lambda: check_number(number, argument="phone_number"))
        assert problem.startswith("the number is not in E.164")


class TestSender:
    @pytest.mark.parametrize("sender", [None, "ACM", "Acme2031abc", "36111"])
    def test_taken(self, sender: str | None) -> None:
        for blanks in (True, False):
            check_sender(sender, gateway="X", takes_blanks=blanks)

    @pytest.mark.parametrize("sender", ["MA BOUTIQUE", "A B", "A  B", "A B C D E F", "MA 12"])
    def test_blanks_inside_are_taken_where_the_vendor_shows_them(self, sender: str) -> None:
        check_sender(sender, gateway="X", takes_blanks=True, is_marketing=True)
        assert "without blanks" in refused("sender", lambda: check_sender(sender, gateway="X"))

    @pytest.mark.parametrize(
        ("sender", "said"),
        [
            ("", "has 0 characters"), ("AC", "has 2 characters"), ("ABCDEFGHIJKL", "has 12 characters"),
            ("Acmé", "has other characters"), (" ACME", "has other characters"), ("AC ", "has other characters"),
            ("   ", "has other characters"), ("A\tB", "has other characters"), ("ACME\n", "has other characters"),
        ],
    )  # fmt: skip
    def test_refused(self, sender: str, said: str) -> None:
        for blanks in (True, False):
            problem = refused("sender", lambda b=blanks: check_sender(sender, gateway="X", takes_blanks=b))
            assert problem.startswith(said)
            assert "3 to 11 letters" in problem
            assert "documentation of X" in problem

    @pytest.mark.parametrize("sender", ["36111", "0612345678", "36 111"])
    def test_digits_alone_are_refused_for_marketing_only(self, sender: str) -> None:
        check_sender(sender, gateway="X", takes_blanks=True)
        problem = refused(
            "sender", lambda: check_sender(sender, gateway="X", takes_blanks=True, is_marketing=True)
        )
        assert "charter of the French operators" in problem


class TestNothing:
    @pytest.mark.parametrize("text", [
        "", " ", "\n\t", "\u00a0", "\u200b", "\ufeff \u200e", "\x00", None,
        "\ufe0f", "\u3164", "\u2800 \u2800", "\u034f", "\u115f\u1160", "\uffa0", "\u180b", "\U000e0100",
    ])  # fmt: skip
    def test_a_text_in_which_nothing_can_be_seen(self, text: object) -> None:
        problem = refused("message", lambda: check_said(text, argument="message", fix="write something"))
        assert problem == "is empty; write something"

    def test_what_is_no_text_is_called_that(self) -> None:
        problem = refused("message", lambda: check_said(3, argument="message", fix="write something"))
        assert problem == "is of type int, not text; write something"

    @pytest.mark.parametrize("text", ["None", " None\n"])
    def test_the_word_that_a_template_makes_of_nothing(self, text: str) -> None:
        problem = refused("text", lambda: check_said(text, argument="text", fix="write something"))
        assert "what a template makes of a value that is missing" in problem

    @pytest.mark.parametrize("text", ["none", "None.", "NONE", "-", "\ud83d", "\u0301", "0", "Non", "👍"])
    def test_something(self, text: str) -> None:
        check_said(text, argument="text", fix="")


class TestSecret:
    def test_is_given_back(self) -> None:
        assert check_secret("k/e+%y", argument="password", what="the API key") == "k/e+%y"

    @pytest.mark.parametrize("secret", [None, ""])
    def test_missing(self, secret: str | None) -> None:
        problem = refused("login", lambda: check_secret(secret, argument="login", what="the e-mail address"))
        assert problem == "is missing; put the e-mail address into the connection's login"

    @pytest.mark.parametrize("secret", ["planted key", "planted\n", "plantéd", "planted\x00"])
    def test_what_no_header_carries_is_refused_without_showing_it(self, secret: str) -> None:
        problem = refused("password", lambda: check_secret(secret, argument="password", what="the API key"))
        assert "copy it again" in problem
        assert "plant" not in problem


def test_half_of_a_surrogate_pair() -> None:
    check_encodable("👍 é", argument="text")
    problem = refused("to", lambda: check_encodable("\ud83d", argument="to", what="recipient 2: "))
    assert problem.startswith("recipient 2: holds half of a character pair")


@pytest.mark.parametrize(
    ("written", "code"),
    [("fr", "fr"), (" fr-FR ", "fr-FR"), ("en_GB", "en-GB"), ("zh-Hant_HK", "zh-Hant-HK")],
)
def test_languages(written: str, code: str) -> None:
    assert check_language(written) == code


@pytest.mark.parametrize("written", ["", "f", "french", "fr-", "fr-F", "fr FR", "fr-FR\nx"])
def test_what_is_no_language(written: str) -> None:
    assert "'fr-FR'" in refused("language", lambda: check_language(written))


@pytest.mark.parametrize(
    ("address", "taken"),
    [("ops@example.org", True), ("a@b", False), ("a@b.c,d@e.f", False), ("a b@c.de", False), ("", False)],
)
def test_email_addresses(address: str, taken: bool) -> None:
    assert bool(re.fullmatch(EMAIL, address)) is taken


@CALM
@given(
    st.lists(
        st.one_of(
            st.from_regex(E164, fullmatch=True),
            st.text(alphabet="+,0123456789 ٠", max_size=18),
            st.just("+33612345678,+33612345679"),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_numbers_are_checked_together_as_they_are_one_by_one(numbers: list[str]) -> None:
    """They are checked in one go, which must let no two of them pass as one, and none as two."""
    bad = [place for place, number in enumerate(numbers, start=1) if not E164.fullmatch(number)]
    if bad:
        with pytest.raises(InvalidArgumentError, match=rf"^to: recipient {bad[0]} is not in E\.164"):
            check_numbers(numbers)
    else:
        check_numbers(numbers)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org", "https://example.org:8443/a/b?c=d", "https://192.0.2.1/a", "http://localhost:8080/a",
        "http://127.0.0.1:8080/a", "http://[::1]:8080/a", "HTTPS://EXAMPLE.ORG",
    ],
)  # fmt: skip
def test_taken(url: str) -> None:
    assert is_callback_url(url)
    check_callback_url(url, argument="url")
    assert TypeAdapter(CallbackUrl).validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org/a", "ftp://example.org", "http://example.org/a", "https://", "https:///a", "https://[::1",
        "https://example.org:port/", "https://example.org/ a", "https://example.org/\x7f", "https://example.org/\u200b",
        "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://0.0.0.0:8080/", "//example.org",
    ],
)  # fmt: skip
def test_refused(url: str) -> None:
    assert not is_callback_url(url)
    with pytest.raises(InvalidArgumentError, match=r"^callbacks\.replies: must be an https:// URL") as caught:
        check_callback_url(url, argument="callbacks.replies")
    assert "evil" not in str(caught.value)
    with pytest.raises(ValidationError, match="must be an https:// URL"):
        TypeAdapter(CallbackUrl).validate_python(url)


def test_none_leaves_the_gateways_own() -> None:
    check_callback_url(None, argument="url")


def refuse(value: str) -> str:
    raise ValueError("must be better")


class Settings(GatewayOptions):
    speed: int = 1
    mode: Literal["slow", "fast"] = "slow"
    secret: Annotated[str, AfterValidator(refuse)] = ""


def problem(options) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        read_options(Settings, options)
    return caught.value


def test_settings_are_read_and_texts_of_templates_too():
    assert read_options(Settings, {}) == Settings()
    assert read_options(Settings, {"speed": "3", "mode": "fast"}).speed == 3


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed():
    error = problem({"sped": 3})
    assert error.argument == "options['sped']"
    assert error.problem == "is not a setting of this call; the settings are: mode, secret, speed"


def test_a_bad_value_is_named_and_not_shown():
    error = problem({"speed": "s3cret"})
    assert error.argument == "options['speed']"
    assert "integer" in error.problem
    assert "s3cret" not in str(error)


def test_a_settings_own_words_come_without_decoration():
    error = problem({"secret": "s3cret"})
    assert error.problem.startswith("must be better; ")
    assert "s3cret" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None, "a traceback would show the value"


@pytest.mark.parametrize("options", [{1: 2}, {None: 1}])
def test_a_name_that_is_no_text(options):
    assert problem(options).argument.startswith("options[")


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        read_options(Settings, {}).speed = 2


def test_loopback() -> None:
    assert [is_loopback(name) for name in ("localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "::1")] == [
        True
    ] * 5
    assert [is_loopback(n) for n in ("", "127.1", "localhost.", "127.evil.com", "128.0.0.1", "::2")] == [
        False
    ] * 6
