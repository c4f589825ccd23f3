"""What an error of Voice Partner says: which call, which code, and why nobody can tell where answers contradict."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways import voicepartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Message, Recipient, Voicemail, VoiceMessage
from airflow_provider_voicepartner.gateways.wire import ApiResponse

TWO = (Recipient("+33612345678"), Recipient("+33690123456"))
CALL, DROP = VoiceMessage(text="Bonjour"), Voicemail(audio_token="a1")
ENDPOINTS = [(CALL, "tts/send"), (DROP, "campaign/send")]


def refusal(
    data: Any, status: int = 200, message: Message = CALL, recipients: tuple[Recipient, ...] = TWO
) -> GatewayError:
    response = ApiResponse(status=status, body=json.dumps(data).encode())
    with pytest.raises(GatewayError) as caught:
        voicepartner.parse_batch(response, message, recipients)
    return caught.value


@pytest.mark.parametrize(("message", "endpoint"), ENDPOINTS)
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ({"success": False, "campaignId": "a"}, 200, None),
        ({"success": False, "campaignId": "a", "code": "NOT_CREDIT"}, 200, "NOT_CREDIT"),
        ({"success": True, "campaignId": "a", "code": "BRAND_NEW"}, 400, "BRAND_NEW"),
        ({"success": True}, 500, None),
        ({"success": True, "code": 429}, 429, "429"),
        ({"success": True, "campaignId": "a"}, 300, None),
        ({"success": True, "campaignId": "a"}, 199, None),
        # The vendor writes some names in two ways.
        ({"success": False, "campaign_id": "a"}, 200, None),
    ],
)
def test_an_answer_that_contradicts_itself_is_in_doubt_and_says_where(
    data: Any, status: int, code: str | None, message: Message, endpoint: str
) -> None:
    error = refusal(data, status, message)
    assert (error.gateway, error.endpoint, error.kind) == ("voicepartner", endpoint, ErrorKind.UNKNOWN)
    assert (error.code, error.status) == (code, status)
    assert "contradicts itself: it names a campaign or a success, and a failure too" in str(error)
    assert str(error).startswith(f"voicepartner {endpoint}: ")


@pytest.mark.parametrize(("message", "endpoint"), ENDPOINTS)
@pytest.mark.parametrize("code", [None, "BRAND_NEW"])
def test_a_campaign_without_the_promised_flag_is_in_doubt_and_says_so(
    message: Message, endpoint: str, code: str | None
) -> None:
    error = refusal({"campaignId": "a", "code": code}, 200, message)
    assert (error.gateway, error.endpoint, error.kind) == ("voicepartner", endpoint, ErrorKind.UNKNOWN)
    assert (error.code, error.status) == (code, 200)
    assert "names a campaign, but the success flag that is promised is missing" in str(error)


@pytest.mark.parametrize(("message", "endpoint"), ENDPOINTS)
@pytest.mark.parametrize(("status", "kind"), [(200, ErrorKind.UNKNOWN), (500, ErrorKind.UNKNOWN)])
@pytest.mark.parametrize("data", [{}, {"code": 0}, {"code": "200"}])
def test_an_answer_with_neither_a_flag_nor_a_reason_is_in_doubt(
    data: Any, status: int, kind: ErrorKind, message: Message, endpoint: str
) -> None:
    error = refusal(data, status, message)
    assert (error.endpoint, error.kind, error.code, error.status) == (endpoint, kind, None, status)
    assert str(error) == (
        f"voicepartner {endpoint}: the success flag that is promised is missing (HTTP {status})"
    )


@pytest.mark.parametrize(("count", "named"), [(1, True), (2, False)])
def test_a_number_that_is_not_allowed_is_named_where_it_can_only_be_that_one(count: int, named: bool) -> None:
    error = refusal({"success": False, "code": "DESTINATION_INVALID"}, recipients=TWO[:count])
    assert [(problem.phone_number, problem.code, problem.reason) for problem in error.recipients] == (
        [("+33612345678", "DESTINATION_INVALID", "a number is not allowed as a destination")] if named else []
    )
    assert refusal({"success": False, "code": "NOT_CREDIT"}, recipients=TWO[:1]).recipients == ()


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        ({"error": "NOT_CREDIT"}, "NOT_CREDIT", "NOT_CREDIT"),
        ({"error": {"code": "NOT_CREDIT", "message": "Pas de crédit"}}, "NOT_CREDIT", "Pas de crédit"),
        ({"error": [{"code": "NOT_CREDIT", "message": "Pas de crédit"}]}, "NOT_CREDIT", "Pas de crédit"),
        ({"errors": [{"code": "NOT_CREDIT", "message": "Pas de crédit"}]}, "NOT_CREDIT", "Pas de crédit"),
        ({"code": 400, "errors": [{"code": "NOT_CREDIT"}]}, "NOT_CREDIT", None),
        ({"errors": ["NOT_CREDIT"]}, "NOT_CREDIT", "NOT_CREDIT"),
        ({"error": ["NOT_CREDIT"]}, "NOT_CREDIT", "NOT_CREDIT"),
        ({"message": ["NOT_CREDIT"]}, "NOT_CREDIT", "NOT_CREDIT"),
        ({"code": ["NOT_CREDIT"]}, "NOT_CREDIT", "NOT_CREDIT"),
        ({"errors": [["NOT_CREDIT"]]}, "NOT_CREDIT", "NOT_CREDIT"),
        ({"errors": [{"codes": ["NOT_CREDIT"]}]}, "NOT_CREDIT", "codes; NOT_CREDIT"),
        ({"errors": {"NOT_CREDIT": "Pas de crédit"}}, "NOT_CREDIT", "NOT_CREDIT; Pas de crédit"),
        ({"errors": {"account": ["NOT_CREDIT"]}}, "NOT_CREDIT", "account; NOT_CREDIT"),
        ({"code": 400, "errors": ["Refusé", "NOT_CREDIT"]}, "NOT_CREDIT", "Refusé; NOT_CREDIT"),
        ({"errors": ["BRAND_NEW"]}, "BRAND_NEW", "BRAND_NEW"),
        ({"errors": ["Pas de crédit"]}, None, "Pas de crédit"),
        ({"errors": {"text": ["trop long"]}, "code": 12}, "12", "text; trop long"),
        ({"errors": {"DESTINATION_INVALID": False, "x": "Non"}}, None, "x; Non"),
        ({"code": "BRAND_NEW", "error": "NOT_CREDIT"}, "NOT_CREDIT", "NOT_CREDIT"),
        ({"code": "BRAND_NEW", "message": "Non"}, "BRAND_NEW", "Non"),
        ({"message": "Non", "error": {"message": "Pas de crédit"}}, None, "Non"),
    ],
)
def test_a_reason_is_found_wherever_it_stands(data: Any, code: str | None, words: str | None) -> None:
    error = refusal({"success": False, **data}, 400)
    assert (error.code, error.status) == (code, 400)
    said = f"the gateway said {words!r}" if words else "the account has too little credit (code"
    assert said in str(error)


@pytest.mark.parametrize("data", [{"errors": ["NOT_CREDIT"]}, {"errors": {"NOT_CREDIT": "Pas de crédit"}}])
@pytest.mark.parametrize("status", [200, 400])
def test_a_reason_in_a_list_keeps_its_kind(data: Any, status: int) -> None:
    assert refusal({"success": False, **data}, status).kind is ErrorKind.CREDIT


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"x": inner}], ids=["list", "object"])
def test_a_reason_is_not_looked_for_however_deep_an_answer_is(wrap: Callable[[Any], Any]) -> None:
    """A hostile answer, or a wrong one, may be nested a thousand times."""
    deep: Any = "NOT_CREDIT"
    for _ in range(3):
        deep = wrap(deep)
    assert refusal({"success": False, "errors": deep}, 400).code == "NOT_CREDIT"
    for _ in range(300):
        deep = wrap(deep)
    error = refusal({"success": False, "errors": deep}, 400)
    assert error.code != "NOT_CREDIT"
    assert "NOT_CREDIT" not in str(error)


def test_a_list_of_reasons_is_scrubbed_and_cut() -> None:
    error = refusal(
        {"success": False, "errors": ["+33612345678 est refusé", *("x" * 90 for _ in range(200))]}, 400
    )
    assert "612345678" not in str(error)
    assert len(str(error)) < 400
    deep: Any = "NOT_CREDIT"
    for _ in range(50):
        deep = [deep]
    assert refusal({"success": False, "errors": deep}, 400).code is None
