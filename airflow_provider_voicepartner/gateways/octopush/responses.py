"""What Octopush answers to sends, cancels and the balance, read tolerantly and judged strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import pendulum

from airflow_provider_voicepartner.gateways.contradictions import (
    in_doubt_if_named,
    names_id,
    read_opaque_id,
    warn_of_counts,
)
from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import Codes
from airflow_provider_voicepartner.gateways.model import (
    Balance,
    Cancellation,
    Message,
    Receipt,
    Recipient,
    RefusedRecipient,
    SmsMessage,
)
from airflow_provider_voicepartner.gateways.octopush import INFO, codes
from airflow_provider_voicepartner.gateways.octopush.refusals import build_refusal, decode_answer
from airflow_provider_voicepartner.gateways.reading import (
    as_count,
    as_currency,
    as_decimal,
    as_int,
    as_objects,
    as_price,
    as_text,
    as_verdict,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse

# The vendor's pages and clients disagree on the key; drafts, parameters and calls say ticket_number.
_TICKET_KEYS: Final = ("ticket_number", "sms_ticket", "voice_ticket", "vocal_ticket")
_LEFT_OUT: Final = RefusedRecipient(phone_number="", reason="left out; the answer counts and does not name")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletPack:
    """
    Credit that was bought together.

    :param pack_id: the vendor's id.
    :param credit: what is left, in the balance's unit.
    :param expires_at: aware, None where the answer does not tell.
    """

    pack_id: str | None
    credit: Decimal | None
    expires_at: pendulum.DateTime | None


def names_a_send(response: ApiResponse) -> bool:
    """Say whether the answer to a send names a ticket, whatever its status and whatever else it says."""
    return names_id(response, (*_TICKET_KEYS, "ticket"))


@in_doubt_if_named(names_a_send)
def parse_batch(response: ApiResponse, message: Message, recipients: Sequence[Recipient]) -> Receipt:
    """
    Read the answer to ``sms-campaign/send`` or ``voice-campaign/send``: HTTP 201 (200 is taken too) with a ticket.

    ``segments`` is the vendor's ``number_of_sms_needed`` as told; whether it counts one recipient or all is not
    documented. ``accepted`` may be smaller than what was asked for, as documented: the others were left out, and are
    refused; which numbers these are is never told. A ticket for nobody at all contradicts itself, and leaves everybody
    in doubt.

    :raises GatewayError: for anything else. ``DUPLICATE`` when the refusal says that our ``request_id`` was used
        before, which proves that the batch was taken; its ticket is not told then. A 2xx without a ticket is in
        doubt.
    """
    sms = isinstance(message, SmsMessage)
    endpoint = "sms-campaign/send" if sms else "voice-campaign/send"
    data = decode_answer(endpoint, response, safe_to_repeat=False)
    known = codes.SMS_SEND if sms else codes.VOICE_SEND
    ticket = _ticket(data)
    if ticket is None or response.status not in (200, 201) or _says_no(data, known):
        raise build_refusal(
            endpoint,
            response,
            known,
            data,
            safe_to_repeat=False,
            problem="the answer holds no ticket",
            ticket=ticket,
            may_be_duplicate=True,
        )
    count = as_count(data.get("number_of_contacts"))
    accepted = len(recipients) if count is None else min(count, len(recipients))
    left_out = len(recipients) - accepted
    cost = as_price(data.get("total_cost"))
    receipt = Receipt(
        gateway_id=ticket,
        accepted=accepted,
        refused=(_LEFT_OUT,) * left_out if accepted else (),
        in_doubt=0 if accepted else left_out,
        cost=cost,
        currency=None if cost is None else "EUR",
        segments=as_int(data.get("number_of_sms_needed")),
        duration=as_decimal(data.get("estimated_duration")),
        remaining_credit=as_decimal(data.get("residual_credit")),
        raw=data,
    )
    warn_of_counts(INFO.name, endpoint, receipt)
    return receipt


def _ticket(data: Mapping[str, Any]) -> str | None:
    found = (read_opaque_id(data.get(key)) for key in _TICKET_KEYS)
    return next(filter(None, found), None)


def _says_no(data: Mapping[str, Any], known: Codes) -> bool:
    """Say whether an answer with a ticket speaks of a failure, too: a flag, or the code of a documented error."""
    return as_verdict(data.get("success")) is False or as_text(data.get("code")) in known.kinds


def parse_balance(response: ApiResponse) -> Balance:
    """
    Read the balance: money (``unit`` is ``EUR``), or units of a product (``unit`` is its name).

    ``details["wallet_packs"]`` is a tuple of ``WalletPack`` where they were asked for.

    :raises GatewayError: for anything but an amount with a unit.
    """
    endpoint = "wallet/check-balance"
    data = decode_answer(endpoint, response, safe_to_repeat=True)
    amount, unit = as_decimal(data.get("amount")), as_currency(data.get("unit"))
    if amount is None or unit is None or not 200 <= response.status < 300:
        raise build_refusal(
            endpoint,
            response,
            codes.CHECK_BALANCE,
            data,
            safe_to_repeat=True,
            problem="the answer holds no amount with a unit",
        )
    packs = tuple(_wallet_pack(pack) for pack in as_objects(data.get("wallet_packs")))
    return Balance(
        amount=amount,
        unit=unit,
        details={"wallet_packs": packs} if packs else {},
        raw=data,
    )


def _wallet_pack(pack: Mapping[str, Any]) -> WalletPack:
    return WalletPack(
        pack_id=as_text(pack.get("id")),
        credit=as_decimal(pack.get("credit")),
        expires_at=read_date(as_text(pack.get("expiration_date"))),
    )


def parse_cancel(response: ApiResponse, gateway_id: str) -> Cancellation:
    """
    Read the answer to a cancel: 204 without a body, and nothing else, is a success.

    :param gateway_id: the ticket, as it was asked.
    :raises GatewayError: ``REJECTED`` for a 400, which the vendor gives for every reason alike (too late, three or
        more recipients, more than 1000 cancels this month, cancelled before, unknown ticket).
    """
    if response.status == 204:
        return Cancellation(gateway_id=gateway_id)
    endpoint = "cancel"
    data = decode_answer(endpoint, response, safe_to_repeat=False)
    raise build_refusal(
        endpoint,
        response,
        codes.CANCEL,
        data,
        safe_to_repeat=False,
        problem="the answer is not the empty one that confirms a cancel",
    )
