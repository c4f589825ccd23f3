"""Answers and callbacks are read tolerantly; what cannot be read becomes one of our own errors."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import (
    Codes,
    ErrorKind,
    GatewayError,
    InvalidCallbackError,
    RecipientProblem,
)
from airflow_provider_voicepartner.gateways.model import Receipt, Recipient, RefusedRecipient
from airflow_provider_voicepartner.gateways.parsing import (
    as_bool,
    as_count,
    as_currency,
    as_decimal,
    as_int,
    as_object,
    as_objects,
    as_price,
    as_text,
    as_verdict,
    decode,
    flaw_of_receipt,
    is_presentable_code,
    loads,
    pick,
    presentable_words,
    read_callback,
    read_callback_number,
    refusal,
    transport_kind,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse, CallbackRequest
from tests.support.examples import examples

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


class TestLoads:
    def test_money_is_exact(self):
        assert loads('{"cost": 0.1}') == {"cost": Decimal("0.1")}

    def test_bytes_with_a_byte_order_mark(self):
        assert loads(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}

    @pytest.mark.parametrize(
        "text",
        [
            "", "{", "NaN", "Infinity", '{"a": -Infinity}', "[" * 200_000, b"\xff\xff", "1" * 5000,
            "1e99999999999999999999", "0e99999999999999999999", "<html>",
        ],
    )  # fmt: skip
    def test_everything_else_is_a_value_error(self, text):
        with pytest.raises(ValueError):  # noqa: PT011 - its words are the decoder's
            loads(text)

    @settings(deadline=None, max_examples=examples(60))
    @given(st.binary() | st.text())
    def test_nothing_but_a_value_error(self, text):
        with suppress(ValueError):
            loads(text)


def test_pick_takes_the_first_spelling_that_is_there():
    data = {"a": None, "b": 0, "c": 1}
    assert pick(data, "a", "b", "c") == 0
    assert pick(data, "x", "c") == 1
    assert pick(data, "x", "a") is None


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (" a ", "a"), (7, "7"), (0, "0"), (Decimal("1.50"), "1.50"), ("", None), ("  ", None),
     (True, None), (None, None), ([], None), ({}, None), (1.5, None)],
)  # fmt: skip
def test_as_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7), ("7", 7), (" 7 ", 7), (Decimal("7.0"), 7), ("7,0", 7), (-1, -1), ("0", 0), (Decimal("7.5"), None),
     ("", None), ("x", None), (True, None), (None, None), ([], None), (10**30, None), ("1e999999999", None),
     ("NaN", None), ("1e-30", None)],
)  # fmt: skip
def test_as_int(value, number):
    assert as_int(value) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, "7"), ("0.045", "0.045"), ("0,045", "0.045"), (Decimal("54.120"), "54.120"), (0.5, "0.5"), ("-1", "-1"),
     (True, None), (None, None), ("", None), ("1.2.3", None), ("NaN", None), ("Infinity", None), ("9" * 41, None),
     (float("nan"), None), ("1e999999", None), (Decimal("1E+999999999"), None), ([], None)],
)  # fmt: skip
def test_as_decimal(value, number):
    read = as_decimal(value)
    assert read == (None if number is None else Decimal(number))
    assert read is None or str(read) == number


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (1, True), ("1", True), ("true", True), (" TRUE ", True), ("yes", True), (False, False), (0, False),
     ("0", False), ("false", False), ("no", False), ("", False), (Decimal("1"), True), (None, None), ("maybe", None),
     (2, None), ([], None), ({}, None)],
)  # fmt: skip
def test_as_bool(value, flag):
    assert as_bool(value) is flag


def test_objects():
    assert as_object({"a": 1}) == {"a": 1}
    assert as_object([1]) == as_object(None) == {}
    assert as_objects([{"a": 1}, None, "x", {}]) == [{"a": 1}, {}]
    assert as_objects({"a": 1}) == as_objects(None) == []


@settings(deadline=None, max_examples=examples(75))
@given(json_values)
def test_readers_never_fail_and_sums_of_what_they_read_do_not_either(value):
    for read in (as_text, as_int, as_bool, as_object, as_objects):
        read(value)
    number = as_decimal(value)
    assert number is None or (number + 1).is_finite()


@pytest.mark.parametrize(
    ("status", "of_a_send", "of_a_read"),
    [
        (200, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (204, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (301, ErrorKind.CONFIGURATION, ErrorKind.CONFIGURATION),
        (302, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (303, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (307, ErrorKind.CONFIGURATION, ErrorKind.CONFIGURATION),
        (308, ErrorKind.CONFIGURATION, ErrorKind.CONFIGURATION),
        (400, ErrorKind.REJECTED, ErrorKind.REJECTED),
        (401, ErrorKind.CONFIGURATION, ErrorKind.CONFIGURATION),
        (403, ErrorKind.CONFIGURATION, ErrorKind.CONFIGURATION),
        (404, ErrorKind.REJECTED, ErrorKind.NOT_FOUND),
        (408, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (422, ErrorKind.REJECTED, ErrorKind.REJECTED),
        (429, ErrorKind.RETRYABLE, ErrorKind.RETRYABLE),
        (500, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (502, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (503, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
        (504, ErrorKind.UNKNOWN, ErrorKind.RETRYABLE),
    ],
)
def test_what_an_http_status_proves(status, of_a_send, of_a_read):
    assert transport_kind(status, safe_to_repeat=False) is of_a_send
    assert transport_kind(status, safe_to_repeat=True) is of_a_read


class TestDecode:
    def decode(self, body: bytes, status: int = 200, *, safe_to_repeat: bool = False, private=()):
        response = ApiResponse(status=status, body=body, private=private)
        return decode("acme", "send", response, safe_to_repeat=safe_to_repeat)

    def failure(self, *args, **kwargs) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            self.decode(*args, **kwargs)
        return caught.value

    def test_an_object_is_returned_whatever_the_status(self):
        assert self.decode(b'{"a": 1}', 500) == {"a": 1}

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "empty"),
            (b" \n", "empty"),
            (b"<html>Oops</html>", "not JSON: '<html>Oops</html>'"),
            (b'{"a": ', "not JSON"),
            (b"[1]", "not an object: '[1]'"),
            (b"null", "not an object"),
            (b"\xff\xfe\x00", "not JSON"),
        ],
    )
    def test_everything_else_is_an_error_with_an_excerpt(self, body, said):
        error = self.failure(body, 502)
        assert said in error.summary
        assert (error.gateway, error.endpoint, error.status, error.code) == ("acme", "send", 502, None)
        assert error.kind is ErrorKind.UNKNOWN

    def test_the_excerpt_is_scrubbed_and_short(self):
        error = self.failure(b"<p>s3cret 0612345678 " + b"x" * 1000, private=("s3cret",))
        assert "s3cret" not in str(error)
        assert "0612345678" not in str(error)
        assert len(str(error)) < 300

    def test_a_redirect_is_named(self):
        error = self.failure(b"<html>moved", 301)
        assert "redirect" in error.summary
        assert "host" in error.summary
        assert error.kind is ErrorKind.CONFIGURATION

    def test_a_read_is_never_in_doubt(self):
        assert self.failure(b"", 500, safe_to_repeat=True).kind is ErrorKind.RETRYABLE


class TestRefusal:
    CODES = Codes.of({10: (ErrorKind.CONFIGURATION, "the key is wrong")})

    def refusal(self, status=200, private=(), **changes) -> GatewayError:
        given = {"code": "10", "message": "clé", "default": ErrorKind.REJECTED} | changes
        return refusal(
            "acme", "send", ApiResponse(status=status, body=b"", private=private), self.CODES, **given
        )

    def test_says_what_the_code_means_and_what_the_gateway_said(self):
        error = self.refusal()
        assert error.summary == "the key is wrong; the gateway said 'clé'"
        assert (error.kind, error.code, error.status) == (ErrorKind.CONFIGURATION, "10", 200)

    @pytest.mark.parametrize(
        ("code", "message", "summary"),
        [
            ("10", None, "the key is wrong"),
            ("11", "non", "the gateway said 'non'"),
            (None, " ", "refused without a reason"),
        ],
    )
    def test_says_what_it_can(self, code, message, summary):
        assert self.refusal(code=code, message=message).summary == summary

    def test_a_code_that_is_not_documented_takes_the_default(self):
        assert self.refusal(code="11", default=ErrorKind.UNKNOWN).kind is ErrorKind.UNKNOWN
        assert self.refusal(code=None).kind is ErrorKind.REJECTED

    def test_429_was_refused_before_it_was_processed(self):
        assert self.refusal(status=429).kind is ErrorKind.RETRYABLE

    def test_the_gateways_words_are_scrubbed_and_cut(self):
        error = self.refusal(message="s3cret\n0612345678 " + "x" * 900, private=("s3cret",))
        assert "s3cret" not in str(error)
        assert "0612345678" not in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 300

    @pytest.mark.parametrize("code", ["s3cret", "0612345678", "+33612345678", "two words", "x" * 41, ""])
    def test_a_code_that_may_hide_something_is_not_shown(self, code):
        error = self.refusal(code=code, message=None, private=("s3cret",))
        assert error.code is None
        assert error.summary == "refused without a reason"

    def test_a_documented_code_is_shown_whatever_it_looks_like(self):
        assert self.refusal(private=("10",)).code == "10"
        assert self.refusal(code="E_11").code == "E_11"

    def test_refused_recipients_travel_along(self):
        problem = RecipientProblem("+33612345678", "9", "bad")
        assert self.refusal(recipients=(problem,)).recipients == (problem,)


class TestReadCallback:
    def read(self, body: bytes = b"", query: str = "", content_type: str = "") -> dict[str, object]:
        method = "POST" if body else "GET"
        return read_callback(
            CallbackRequest(method=method, query=query, body=body, content_type=content_type)
        )

    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/x-www-form-urlencoded", "", "text/plain"]
    )
    def test_json_and_forms_whatever_the_content_type_says(self, content_type):
        assert self.read(b'{"a": "1"}', content_type=content_type) == {"a": "1"}
        assert self.read(b"a=1&b=%2B33+6&c=", content_type=content_type) == {"a": "1", "b": "+33 6", "c": ""}

    def test_a_query(self):
        assert self.read(query="a=1&b=%C3%A9") == {"a": "1", "b": "é"}

    def test_the_query_fills_in_what_the_body_does_not_name(self):
        assert self.read(b'{"a": 1}', "a=2&b=3") == {"a": 1, "b": "3"}

    @pytest.mark.parametrize(
        "body", [b"", b" ", b"[]", b"null", b"1", b"hello", b"\xff", b'{"a": "b', b"&".join([b"a=1"] * 500)]
    )
    def test_nothing_to_read(self, body):
        with pytest.raises(InvalidCallbackError):
            self.read(body)

    @settings(deadline=None, max_examples=examples(75))
    @given(st.binary(), st.text(), st.text(max_size=10))
    def test_nothing_but_its_own_error(self, body, query, content_type):
        try:
            fields = self.read(body, query, content_type)
        except InvalidCallbackError:
            return
        assert fields

    @settings(deadline=None, max_examples=examples(50))
    @given(
        st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.none(), min_size=1, max_size=5)
    )
    def test_what_was_sent_as_json_is_read(self, fields):
        assert self.read(json.dumps(fields).encode()) == fields


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), ("7", 7), (Decimal("7.0"), 7), (-1, None), ("-1", None), (7.5, None), ("", None)],
)
def test_as_count(value, count):
    assert as_count(value) == count


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(True, True), ("1", True), (False, False), (0, False), ("no", False), ("", None), (" ", None), (None, None),
     ("maybe", None), ([], None)],
)  # fmt: skip
def test_as_verdict(value, verdict):
    assert as_verdict(value) is verdict


@pytest.mark.parametrize(
    ("value", "unit"),
    [("€", "EUR"), ("eur", "EUR"), (" Euros ", "EUR"), ("EUR", "EUR"), ("USD", "USD"), ("sms", "sms"), ("", None),
     (None, None), ({}, None)],
)  # fmt: skip
def test_as_currency(value, unit):
    assert as_currency(value) == unit


@pytest.mark.parametrize(
    ("code", "shown"),
    [("NOT_CREDIT", True), ("-1", True), ("e.12", True), ("", False), ("a b", False), ("x" * 41, False),
     ("33612345678", False), ("s3cret", False)],
)  # fmt: skip
def test_what_may_be_shown_as_a_code(code, shown):
    assert is_presentable_code(code, ApiResponse(status=400, body=b"", private=("s3cret",))) is shown


def test_words_are_shown_scrubbed_short_and_on_one_line():
    response = ApiResponse(status=400, body=b"", private=("s3cret",))
    words = presentable_words("s3cret\n 0612345678\t" + "x" * 300, response)
    assert words.startswith("*** 0612••••78 xx")
    assert len(words) == 200
    assert presentable_words(None, response) == ""


@pytest.mark.parametrize("value", ["+33 6 12 34 56 78", "0612345678", 33612345678])
def test_the_number_of_a_callback(value):
    assert read_callback_number(value) == "+33612345678"


@pytest.mark.parametrize("value", [None, "", "06123", "anna", [], True])
def test_a_callback_about_nobody(value):
    with pytest.raises(InvalidCallbackError, match="names no phone number"):
        read_callback_number(value)


@pytest.mark.parametrize(
    ("value", "price"),
    [
        (0.045, "0.045"), ("0,045", "0.045"), ("0.0000001", "0.0000001"), (0, None), ("0", None), ("0.000", None),
        (-1, None), ("-0.045", None), ("-0", None), (None, None), ("free", None), (True, None), ("1e-50", None),
    ],
)  # fmt: skip
def test_a_price_is_above_zero_or_not_told(value, price):
    assert as_price(value) == (None if price is None else Decimal(price))


@pytest.mark.parametrize("gateway_id", [None, "m-1"])
def test_a_receipt_that_refuses_one_recipient_twice_loses_another(gateway_id):
    people = [Recipient("+33612345678"), Recipient("+33612345679")]
    twice = (RefusedRecipient(phone_number="+33612345678"),) * 2
    assert "twice" in flaw_of_receipt(Receipt(gateway_id=gateway_id, accepted=0, refused=twice), people)
    each = tuple(RefusedRecipient(phone_number=person.phone_number) for person in people)
    assert flaw_of_receipt(Receipt(gateway_id=gateway_id, accepted=0, refused=each), people) is None
