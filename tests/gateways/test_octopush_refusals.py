"""Which of the reasons that Octopush gives ends up in the error: where they stand, and what stands beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways import octopush
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import ApiResponse

TWO = (Recipient("+33612345678"), Recipient("+33690123456"))


def refusal(data: Any, status: int = 400) -> GatewayError:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(GatewayError) as caught:
        octopush.parse_batch(ApiResponse(status=status, body=body), SmsMessage(text="Bonjour"), TWO)
    return caught.value


@pytest.mark.parametrize("data", [{}, {"errors": []}, {"code": None, "message": ""}])
@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refusal_without_a_code_or_words_names_endpoint_and_status(data: Any, status: int) -> None:
    error = refusal(data, status)
    assert (error.kind, error.code, error.status) == (ErrorKind.REJECTED, None, status)
    assert (error.gateway, error.endpoint) == ("octopush", "sms-campaign/send")
    assert str(error).startswith("octopush sms-campaign/send: ")
    assert str(error).endswith(f" (HTTP {status})")


def test_a_code_that_nobody_documents_is_shown_and_nothing_is_made_up_about_it() -> None:
    plain = str(refusal({}))
    assert str(refusal({"code": 999})) == plain.replace("(HTTP 400)", "(code 999, HTTP 400)")


def test_words_without_a_code_are_repeated() -> None:
    error = refusal({"message": "The sender is odd."})
    assert (error.kind, error.code) == (ErrorKind.REJECTED, None)
    assert str(error) == "octopush sms-campaign/send: the gateway said 'The sender is odd.' (HTTP 400)"


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]"])
def test_too_little_credit_is_known_by_the_status_alone(body: bytes) -> None:
    error = refusal(body, 402)
    assert (error.kind, error.code, error.status) == (ErrorKind.CREDIT, None, 402)
    assert (error.gateway, error.endpoint) == ("octopush", "sms-campaign/send")


@pytest.mark.parametrize(
    ("data", "code", "kind"),
    [
        # A documented code says more than one that nobody documents, whichever comes first.
        ({"code": 104, "errors": [{"code": 999, "message": "x"}]}, "104", ErrorKind.CREDIT),
        ({"code": 999, "errors": [{"code": 104, "message": "x"}]}, "104", ErrorKind.CREDIT),
        ({"errors": [{"code": 999}, {"code": 104}]}, "104", ErrorKind.CREDIT),
        # One that merely repeats the HTTP status says less than any other.
        ({"code": 999, "errors": [{"code": 400}]}, "999", ErrorKind.REJECTED),
        ({"code": 400, "errors": [{"code": 999}]}, "999", ErrorKind.REJECTED),
        ({"code": 104, "errors": [{"code": 400}]}, "104", ErrorKind.CREDIT),
        ({"code": 400}, "400", ErrorKind.REJECTED),
        ({"code": 400, "errors": [{"code": "a sentence"}]}, "400", ErrorKind.REJECTED),
        # Of several the nested one, and of those the first.
        ({"code": 106, "errors": [{"code": 104}, {"code": 127}]}, "104", ErrorKind.CREDIT),
        ({"code": 998, "errors": [{"code": 999}]}, "999", ErrorKind.REJECTED),
    ],
)
def test_the_most_telling_code_decides(data: Any, code: str, kind: ErrorKind) -> None:
    error = refusal(data)
    assert (error.code, error.kind, error.status) == (code, kind, 400)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("code", [999, 104])
def test_a_code_that_repeats_a_documented_status_says_less_than_one_beside_it(status: int, code: int) -> None:
    error = refusal({"code": code, "errors": [{"code": status}]}, status)
    assert (error.code, error.kind) == (str(code), ErrorKind.CONFIGURATION)


def nested(levels: int) -> dict[str, Any]:
    reason: dict[str, Any] = {"code": 104}
    for _ in range(levels - 1):
        reason = {"inner": reason}
    return {"errors": reason}


def listed(levels: int) -> dict[str, Any]:
    reason: Any = {"code": 104}
    for _ in range(levels - 1):
        reason = [reason]
    return {"errors": reason}


@pytest.mark.parametrize("data_of", [nested, listed])
@pytest.mark.parametrize(
    ("levels", "code"), [(1, "104"), (2, "104"), (3, "104"), (4, "104"), (5, None), (40, None)]
)
def test_reasons_are_looked_for_four_levels_deep(data_of: Any, levels: int, code: str | None) -> None:
    assert refusal(data_of(levels)).code == code


def test_all_words_are_there_once_with_the_name_of_what_they_are_about() -> None:
    error = refusal(
        {
            "code": 400,
            "message": "Refused.",
            "errors": [
                {"code": 117, "message": "Wrong.", "field": "phone", "again": 3, "flag": True, "none": None},
                {"message": "Wrong."},
            ],
            "violations": {"sender": ["Too long."]},
        }
    )
    assert error.code == "117"
    assert "'Wrong.; field phone; Wrong.; sender Too long.; Refused.'" in str(error)


@pytest.mark.parametrize("ticket", ["sms_ticket", "ticket_number"])
def test_a_ticket_beside_a_failure_says_that_the_answer_contradicts_itself(ticket: str) -> None:
    error = refusal({ticket: "sms_6543aa10c9d21", "code": 104, "message": "no"})
    assert (error.kind, error.code, error.status) == (ErrorKind.UNKNOWN, "104", 400)
    assert str(error) == (
        "octopush sms-campaign/send: the answer contradicts itself: it names a ticket, and a failure too "
        "(code 104, HTTP 400)"
    )


@pytest.mark.parametrize("key", ["ticket_number", "sms_ticket", "voice_ticket", "vocal_ticket", "ticket"])
@pytest.mark.parametrize("status", [200, 400, 429, 503])
def test_an_answer_with_a_ticket_names_a_send_whatever_its_status(key: str, status: int) -> None:
    body = json.dumps({key: "sms_6543aa10c9d21", "code": 104}).encode()
    assert octopush.names_a_send(ApiResponse(status=status, body=body))
    assert not octopush.names_a_send(ApiResponse(status=status, body=b'{"code": 104}'))


def test_a_code_of_success_beside_a_refusal_says_that_the_answer_contradicts_itself() -> None:
    error = refusal({"code": "200", "message": "ok"})
    assert (error.kind, error.code, error.status) == (ErrorKind.UNKNOWN, "200", 400)
    assert str(error) == (
        "octopush sms-campaign/send: the answer contradicts itself: its status is a refusal, and its code is that of "
        "a success (code 200, HTTP 400)"
    )


def balance_error(data: Any, status: int) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        octopush.parse_balance(ApiResponse(status=status, body=json.dumps(data).encode()))
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, ErrorKind.CONFIGURATION),
        (400, ErrorKind.CONFIGURATION),
        # A server's failure passes, whatever it says.
        (500, ErrorKind.RETRYABLE),
        (503, ErrorKind.RETRYABLE),
        (429, ErrorKind.RETRYABLE),
    ],
)
def test_a_code_refines_what_a_read_may_conclude_below_500(status: int, kind: ErrorKind) -> None:
    assert balance_error({"code": 101, "message": "x"}, status).kind is kind
