"""What Octopush answers to sends, cancels, the balance and the account's settings: read tolerantly, judged strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import pendulum

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
from airflow_provider_voicepartner.gateways.octopush.refusals import (
    TICKET_KEYS,
    build_refusal,
    decode_answer,
    names_a_send,
)
from airflow_provider_voicepartner.gateways.octopush.requests import (
    EDIT_PARAMETERS,
    PARAMETER_GROUPS,
    READ_PARAMETERS,
)
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
    in_doubt_if_named,
    pick,
    read_opaque_id,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_LEFT_OUT: Final = RefusedRecipient(phone_number="", reason="left out; the answer counts and does not name")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletPack:
    """
    Credit that was bought together.

    :param pack_id: the vendor's id.
    :param credit: what is left, in the balance's unit.
    :param expires_at: aware, None where the answer does not say.
    """

    pack_id: str | None
    credit: Decimal | None
    expires_at: pendulum.DateTime | None


@in_doubt_if_named(names_a_send)
def parse_batch(response: ApiResponse, message: Message, recipients: Sequence[Recipient]) -> Receipt:
    """
    Read the answer to ``sms-campaign/send`` or ``voice-campaign/send``: HTTP 201 (200 is taken too) with a ticket.

    ``segments`` is the vendor's ``number_of_sms_needed`` as reported; whether it counts one recipient or all is not
    documented. ``accepted`` may be smaller than what was asked for, as documented: the others were left out, and are
    refused; which numbers these are is never reported. A ticket for nobody at all contradicts itself, and leaves
    everybody in doubt.

    :raises GatewayError: for anything else. ``DUPLICATE`` when the refusal says that our ``request_id`` was used
        before, which proves that the batch was accepted; its ticket is not reported then. A 2xx without a ticket is in
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
    return Receipt(
        gateway_id=ticket,
        accepted=accepted,
        refused=(_LEFT_OUT,) * left_out if accepted else (),
        in_doubt=0 if accepted else left_out,
        cost=cost,
        currency=None if cost is None else INFO.currency,
        segments=as_int(data.get("number_of_sms_needed")),
        duration=as_decimal(data.get("estimated_duration")),
        remaining_credit=as_decimal(data.get("residual_credit")),
        raw=data,
    )


def _ticket(data: Mapping[str, Any]) -> str | None:
    found = (read_opaque_id(data.get(key)) for key in TICKET_KEYS)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignParameters:
    """
    An account's defaults; None where the answer does not say.

    :param alert_type: product whose low balance raises an alert, such as ``sms_premium``.
    :param alert_bound: units below which it does.
    :param alert_emails_to: who is notified by mail.
    :param alert_phone_number_to: who is notified by SMS, in E.164.
    :param sender_for_sms_premium: default sender of SMS.
    :param sender_for_voice_sms: default sender of calls, described as 3 to 11 digits.
    :param phone_number_for_test_sms: where test messages go.
    :param callback_url_for_deliveries: for delivery reports of every channel; None also where an older answer
        names two different URLs.
    :param callback_url_for_sms_deliveries: for delivery reports of SMS.
    :param callback_url_for_voice_deliveries: for delivery reports of calls.
    :param callback_url_for_inbounds: for replies.
    :param callback_url_for_blacklisted_numbers: for opt-outs.
    :param callback_url_for_visits: for opened links.
    :param email_for_inbounds: who gets replies by mail.
    :param api_version: of the callbacks.
    :param use_metadata_node_for_inbound: True when replies come nested.
    """

    alert_type: str | None = None
    alert_bound: int | None = None
    alert_emails_to: tuple[str, ...] = ()
    alert_phone_number_to: str | None = field(default=None, repr=False)
    sender_for_sms_premium: str | None = None
    sender_for_voice_sms: str | None = None
    phone_number_for_test_sms: str | None = field(default=None, repr=False)
    callback_url_for_deliveries: str | None = field(default=None, repr=False)
    callback_url_for_sms_deliveries: str | None = field(default=None, repr=False)
    callback_url_for_voice_deliveries: str | None = field(default=None, repr=False)
    callback_url_for_inbounds: str | None = field(default=None, repr=False)
    callback_url_for_blacklisted_numbers: str | None = field(default=None, repr=False)
    callback_url_for_visits: str | None = field(default=None, repr=False)
    email_for_inbounds: str | None = field(default=None, repr=False)
    api_version: str | None = None
    use_metadata_node_for_inbound: bool | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def parse_parameters(response: ApiResponse) -> CampaignParameters:
    """
    Read the account's defaults; older names of a setting are read as the present ones.

    :raises GatewayError: for anything but an answer with at least one of the three groups of settings.
    """
    data = decode_answer(READ_PARAMETERS, response, safe_to_repeat=True)
    if not 200 <= response.status < 300 or not any(
        isinstance(data.get(group), dict) for group in PARAMETER_GROUPS
    ):
        raise build_refusal(
            READ_PARAMETERS,
            response,
            codes.PARAMETERS,
            data,
            safe_to_repeat=True,
            problem="the answer holds none of the groups of settings",
        )
    alerts, senders, callbacks = (as_object(data.get(group)) for group in PARAMETER_GROUPS)
    unified = as_text(callbacks.get("callback_url_for_deliveries"))
    sms = unified or as_text(callbacks.get("callback_url_for_sms_deliveries"))
    voice = unified or as_text(
        pick(callbacks, "callback_url_for_voice_sms_deliveries", "callback_url_for_vocal_sms_deliveries")
    )
    return CampaignParameters(
        alert_type=as_text(alerts.get("alert_type")),
        alert_bound=as_int(alerts.get("alert_bound")),
        alert_emails_to=_read_emails(pick(alerts, "alert_email_to", "alert_emails_to")),
        alert_phone_number_to=as_text(alerts.get("alert_phone_number_to")),
        sender_for_sms_premium=as_text(senders.get("sender_for_sms_premium")),
        sender_for_voice_sms=as_text(pick(senders, "sender_for_voice_sms", "sender_for_vocal_sms")),
        phone_number_for_test_sms=as_text(senders.get("phone_number_for_test_sms")),
        callback_url_for_deliveries=sms if sms == voice else None,
        callback_url_for_sms_deliveries=sms,
        callback_url_for_voice_deliveries=voice,
        callback_url_for_inbounds=as_text(callbacks.get("callback_url_for_inbounds")),
        callback_url_for_blacklisted_numbers=as_text(callbacks.get("callback_url_for_blacklisted_numbers")),
        callback_url_for_visits=as_text(callbacks.get("callback_url_for_visits")),
        email_for_inbounds=as_text(callbacks.get("email_for_inbounds")),
        api_version=as_text(callbacks.get("api_version")),
        use_metadata_node_for_inbound=as_bool(callbacks.get("use_metadata_node_for_inbound")),
        raw=data,
    )


def _read_emails(value: Any) -> tuple[str, ...]:
    """Read one address, or the list that one page of the vendor documents."""
    items = value if isinstance(value, list) else [value]
    return tuple(address for item in items if (address := as_text(item)) is not None)


def parse_edit_parameters(response: ApiResponse) -> Mapping[str, Any]:
    """
    Read the answer to a change: any 2xx that is empty or JSON, since the vendor documents no body.

    :returns: the answer's fields, empty when there is no body.
    :raises GatewayError: for anything else, such as a page of HTML.
    """
    successful = 200 <= response.status < 300
    if successful and not response.body.strip():
        return {}
    data = decode_answer(EDIT_PARAMETERS, response, safe_to_repeat=True)
    refused = as_text(data.get("code")) not in (None, "0", str(response.status))
    if not successful or refused:
        raise build_refusal(
            EDIT_PARAMETERS,
            response,
            codes.EDIT_PARAMETERS,
            data,
            safe_to_repeat=True,
            problem="refused without a reason",
        )
    return data
