"""What a failed request proves, and what an error says."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import pytest

from airflow_provider_voicepartner.gateways.errors import (
    Codes,
    ErrorKind,
    GatewayError,
    InvalidArgumentError,
    InvalidCallbackError,
    RecipientProblem,
)


def test_an_argument_error_names_the_argument_first():
    error = InvalidArgumentError("sender", "has 12 characters; shorten it")
    assert str(error) == "sender: has 12 characters; shorten it"
    assert (error.argument, error.problem) == ("sender", "has 12 characters; shorten it")
    assert isinstance(error, ValueError)
    assert issubclass(InvalidCallbackError, ValueError)


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({}, "octopush me: no"),
        ({"code": "10"}, "octopush me: no (code 10)"),
        ({"status": 401}, "octopush me: no (HTTP 401)"),
        ({"code": "10", "status": 401}, "octopush me: no (code 10, HTTP 401)"),
    ],
)
def test_a_gateway_error_says_who_where_what_and_the_codes(marks, said):
    error = GatewayError("octopush", "me", ErrorKind.CONFIGURATION, "no", **marks)
    assert str(error) == said
    assert error.kind is ErrorKind.CONFIGURATION
    assert (error.gateway, error.endpoint, error.summary) == ("octopush", "me", "no")
    assert (error.code, error.status, error.recipients) == (marks.get("code"), marks.get("status"), ())


def test_a_refused_number_is_not_shown():
    problem = RecipientProblem("+33612345678", "9", "bad")
    error = GatewayError("octopush", "send", ErrorKind.REJECTED, "no", recipients=(problem,))
    assert "612345678" not in f"{error} {error!r} {error.recipients!r}"
    assert error.recipients[0].phone_number == "+33612345678"


ERRORS = [
    InvalidArgumentError("sender", "has 12 characters; shorten it"),
    InvalidCallbackError("the callback is empty"),
    GatewayError("octopush", "me", ErrorKind.CONFIGURATION, "no"),
    GatewayError(
        "smspartner", "send", ErrorKind.REJECTED, "no", code="14", status=400,
        recipients=(RecipientProblem("+33612345678", "14", "on the STOP list"),),
    ),
]  # fmt: skip
WAYS = {
    **{f"pickle {protocol}": partial(pickle.dumps, protocol=protocol) for protocol in range(2, 6)},
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ERRORS)
def test_errors_survive_a_way_into_another_process(error, way):
    error.add_note("seen by the worker")
    made = WAYS[way](error)
    again = pickle.loads(made) if isinstance(made, bytes) else made
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


class TestCodes:
    CODES = Codes.of({1: (ErrorKind.CONFIGURATION, "no key"), "E2": (ErrorKind.CREDIT, "no money")})

    def test_numbers_and_words_are_looked_up_as_text(self):
        assert self.CODES.kind("1", ErrorKind.REJECTED) is ErrorKind.CONFIGURATION
        assert self.CODES.kind("E2", ErrorKind.REJECTED) is ErrorKind.CREDIT
        assert self.CODES.meaning("1") == "no key"

    @pytest.mark.parametrize("code", [None, "3", ""])
    def test_what_is_not_documented_takes_the_default(self, code):
        assert self.CODES.kind(code, ErrorKind.UNKNOWN) is ErrorKind.UNKNOWN
        assert self.CODES.meaning(code) is None

    def test_a_table_may_have_no_meanings(self):
        assert Codes({"1": ErrorKind.CREDIT}).meaning("1") is None
