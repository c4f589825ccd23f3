"""Acme's answers."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_acme.gateway.codes import BY_NAME, CANCEL, READ, SEND, STATUS_WORDS
from airflow_provider_acme.gateway.refusals import NAME, build_refusal, names_a_send, says_no
from airflow_provider_voicepartner.gateway_api import (
    ApiResponse,
    Balance,
    Cancellation,
    DeliveryReport,
    ErrorKind,
    GatewayError,
    Message,
    Receipt,
    Recipient,
    RefusedRecipient,
    as_currency,
    as_decimal,
    as_text,
    decode,
    in_doubt_if_named,
    read_opaque_id,
)


@in_doubt_if_named(names_a_send)
def parse_batch(response: ApiResponse, message: Message, recipients: Sequence[Recipient]) -> Receipt:
    """Read the answer to a message: an id, or an error; one about the recipient refuses that recipient by name."""
    data = decode(NAME, "messages", response, safe_to_repeat=False)
    gateway_id, error = read_opaque_id(data.get("id")), as_text(data.get("error"))
    if names_a_send(response) and (gateway_id is None or error or says_no(data) or response.status >= 300):
        problem = "the answer names a message, and a failure too"
        raise GatewayError(NAME, "messages", ErrorKind.UNKNOWN, problem, status=response.status)
    if response.status == 422 and error in BY_NAME and len(recipients) == 1:
        refused = RefusedRecipient(
            phone_number=recipients[0].phone_number,
            code=error,
            reason=BY_NAME[error],
            opted_out=error == "stopped",
        )
        return Receipt(gateway_id=None, accepted=0, refused=(refused,), raw=data)
    if gateway_id is None:
        raise build_refusal("messages", response, data, SEND, safe_to_repeat=False)
    if len(recipients) != 1:
        raise GatewayError(
            NAME, "messages", ErrorKind.UNKNOWN, "one id for several recipients", status=response.status
        )
    return Receipt(gateway_id=gateway_id, accepted=1, raw=data)


def parse_balance(response: ApiResponse) -> Balance:
    """Read the credit."""
    data = decode(NAME, "account", response, safe_to_repeat=True)
    amount, unit = as_decimal(data.get("credit")), as_currency(data.get("currency"))
    if response.status != 200 or amount is None or unit is None:
        raise build_refusal("account", response, data, READ, safe_to_repeat=True)
    return Balance(amount=amount, unit=unit, raw=data)


def parse_status(response: ApiResponse, gateway_id: str) -> tuple[DeliveryReport, ...]:
    """Read what became of one message."""
    data = decode(NAME, "messages/status", response, safe_to_repeat=True)
    number, word = as_text(data.get("to")), as_text(data.get("state"))
    if response.status != 200 or number is None or word is None:
        raise build_refusal("messages/status", response, data, READ, safe_to_repeat=True)
    return (
        DeliveryReport(
            gateway=NAME,
            campaign_id=gateway_id,
            phone_number=number,
            status=STATUS_WORDS.read(word),
            gateway_status=word,
            raw=data,
        ),
    )


def parse_cancel(response: ApiResponse, gateway_id: str) -> Cancellation:
    """Read the answer to a cancel."""
    data = decode(NAME, "messages/cancel", response, safe_to_repeat=False)
    if response.status != 200 or as_text(data.get("state")) != "cancelled":
        raise build_refusal("messages/cancel", response, data, CANCEL, safe_to_repeat=False)
    return Cancellation(gateway_id=gateway_id, raw=data)
