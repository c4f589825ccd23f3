"""One parser per endpoint that is neither a status nor a callback: sends, cancel, account, STOP list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pendulum

from airflow_provider_voicepartner.gateways.contradictions import warn_of_counts
from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind, GatewayError, RecipientProblem
from airflow_provider_voicepartner.gateways.model import Balance, Cancellation, Receipt, RefusedRecipient
from airflow_provider_voicepartner.gateways.numbers import read_wire_number
from airflow_provider_voicepartner.gateways.reading import (
    as_decimal,
    as_int,
    as_object,
    as_objects,
    as_price,
    as_text,
    pick,
)
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner import codes as tables
from airflow_provider_voicepartner.gateways.smspartner.counts import (
    Tally,
    read_sms_count,
    tally_bulk,
    tally_send,
)
from airflow_provider_voicepartner.gateways.smspartner.refusals import (
    accepted_answer,
    everybody_refused,
    read_id,
    unclear,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_QUEUED = "request queued for processing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    Who the key belongs to, and what is left.

    :param username: the login, an e-mail address.
    :param user_id: seen in an old client only.
    """

    balance: Balance
    username: str | None = field(default=None, repr=False)
    first_name: str | None = field(default=None, repr=False)
    last_name: str | None = field(default=None, repr=False)
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopEntry:
    """
    One number of the STOP list.

    :param id: what takes it off the list.
    :param phone_number: in E.164.
    :param created_at: when it came onto the list, where told.
    """

    id: str
    phone_number: str = field(repr=False)
    created_at: pendulum.DateTime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopList:
    """
    The STOP list.

    :param total: how many numbers the gateway says it holds, where told. No paging is documented, so more than there
        are entries means that the answer is not the whole list.
    """

    entries: tuple[StopEntry, ...]
    total: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_complete(self) -> bool:
        """False when the gateway announces more numbers than it lists."""
        return self.total is None or self.total <= len(self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAddition:
    """
    The answer to putting a number on the STOP list.

    :param stop_id: the entry's id, where told: not for a number that was listed before.
    :param already: True when it was listed before.
    """

    stop_id: str | None = None
    already: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRemoval:
    """The answer to taking a number off the STOP list."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def parse_send(response: ApiResponse, *, phone_numbers: Sequence[str], segments: int = 1) -> Receipt:
    """
    Read the answer to a send.

    :param phone_numbers: the recipients, as sent.
    :param segments: how many SMS the text takes, by our own counting.
    :returns: accepted is all recipients but those that the answer lists as refused, or as many as its count of SMS
        allows. Without an id when each of them is refused by name.
    :raises GatewayError: for anything else.
    """
    return _parse_send(
        "send",
        response,
        tables.SEND,
        phone_numbers,
        lambda data: tally_send(data, response, tables.SEND, phone_numbers, segments=segments),
    )


def parse_vn_send(response: ApiResponse, *, phone_number: str) -> Receipt:
    """
    Read the answer to a send from a long number.

    :param phone_number: the recipient, as sent.
    :returns: see :func:`parse_send`.
    :raises GatewayError: for anything else.
    """
    return _parse_send(
        "vn/send",
        response,
        tables.VN_SEND,
        [phone_number],
        lambda data: tally_send(data, response, tables.VN_SEND, [phone_number]),
    )


def parse_bulk_send(response: ApiResponse, *, phone_numbers: Sequence[str]) -> Receipt:
    """
    Read the answer to a bulk send.

    :param phone_numbers: the recipients, as sent and in that order.
    :returns: accepted counts the entries that say so. A number that the answer does not mention is in doubt: nobody
        said. An answer that speaks of no number at all took them all. See :func:`parse_send`.
    :raises GatewayError: for anything else.
    """
    return _parse_send(
        "bulk-send",
        response,
        tables.BULK_SEND,
        phone_numbers,
        lambda data: tally_bulk(data, response, tables.BULK_SEND, phone_numbers),
    )


def _parse_send(
    endpoint: str,
    response: ApiResponse,
    codes: Codes,
    phone_numbers: Sequence[str],
    tally: Callable[[Mapping[str, Any]], Tally],
) -> Receipt:
    try:
        data = accepted_answer(endpoint, response, codes, safe_to_repeat=False, numbers=phone_numbers)
    except GatewayError as error:
        failure = error
    else:
        return _receipt(endpoint, response, codes, data, tally(data))
    if failure.kind is ErrorKind.REJECTED:
        refused = everybody_refused(response, codes, phone_numbers)
        if refused:
            return Receipt(gateway_id=None, accepted=0, segments=0, refused=_refused(refused))
    raise failure


def _receipt(
    endpoint: str, response: ApiResponse, codes: Codes, data: Mapping[str, Any], tally: Tally
) -> Receipt:
    gateway_id = read_id(pick(data, "message_id", "messageId"))
    if gateway_id is None:
        # Seen in production: "success", "queued for processing" and no id, for every call and even without a key.
        raise unclear(
            endpoint,
            response,
            codes,
            data,
            "the answer claims success without a message id, so nothing proves that the SMS was taken",
            safe_to_repeat=False,
        )
    receipt = Receipt(
        gateway_id=gateway_id,
        accepted=tally.accepted,
        cost=as_price(data.get("cost")),
        currency=as_text(data.get("currency")) or INFO.currency or "",
        segments=read_sms_count(data),
        refused=_refused(tally.refused),
        in_doubt=tally.in_doubt,
        raw=data,
    )
    warn_of_counts(INFO.name, endpoint, receipt)
    return receipt


def _refused(problems: Sequence[RecipientProblem]) -> tuple[RefusedRecipient, ...]:
    return tuple(
        RefusedRecipient(
            phone_number=problem.phone_number or "",
            code=problem.code,
            reason=problem.reason,
            opted_out=problem.code == tables.ON_STOP_LIST,
        )
        for problem in problems
    )


def parse_message_cancel(response: ApiResponse, *, message_id: str) -> Cancellation:
    """
    Read the answer to a cancel.

    :param message_id: as it was asked.
    :raises GatewayError: ``TOO_LATE`` when it was sent or is about to be, ``NOT_FOUND`` for an id that is not known.
    """
    data = accepted_answer(
        "message-cancel",
        response,
        tables.MESSAGE_CANCEL,
        safe_to_repeat=True,
        also_good=tables.ALREADY_CANCELLED,
    )
    _refuse_queued("message-cancel", response, tables.MESSAGE_CANCEL, data, safe_to_repeat=True)
    return Cancellation(gateway_id=message_id, already=data.get("success") is not True, raw=data)


def parse_me(response: ApiResponse) -> Account:
    """
    Read the account and its credit.

    :returns: the balance in money; in its details, where told, how many ``premium_sms``, ``low_cost_sms`` and
        ``hlr`` checks it buys, and how many SMS wait (``to_send``).
    :raises GatewayError: also for a success without credits.
    """
    data = accepted_answer("me", response, tables.ME, safe_to_repeat=True)
    credits, user = as_object(data.get("credits")), as_object(data.get("user"))
    amount = as_decimal(pick(credits, "balance", "solde"))
    if amount is None:
        raise unclear(
            "me",
            response,
            tables.ME,
            data,
            "the answer claims success without a balance",
            safe_to_repeat=True,
        )
    counters = {
        "premium_sms": credits.get("creditSms"),
        "low_cost_sms": pick(credits, "creditSmsECO", "creditSmsLowCost"),
        "hlr": credits.get("creditHlr"),
        "to_send": credits.get("toSend"),
    }
    details = {name: count for name, value in counters.items() if (count := as_int(value)) is not None}
    currency = as_text(credits.get("currency")) or INFO.currency or ""
    return Account(
        balance=Balance(amount=amount, unit=currency, details=details, raw=data),
        username=as_text(user.get("username")),
        first_name=as_text(user.get("firstname")),
        last_name=as_text(user.get("lastname")),
        user_id=as_text(user.get("id")),
    )


def parse_stop_list(response: ApiResponse) -> StopList:
    """
    Read the STOP list. An entry without a number is left out and makes the list incomplete.

    :raises GatewayError: also for a success without a list.
    """
    data = accepted_answer("stop-sms/list", response, tables.STOP_LIST, safe_to_repeat=True)
    if not isinstance(data.get("data"), list):
        raise unclear(
            "stop-sms/list",
            response,
            tables.STOP_LIST,
            data,
            "the answer claims success without a list",
            safe_to_repeat=True,
        )
    entries = tuple(
        StopEntry(
            id=as_text(entry.get("id")) or "",
            phone_number=read_wire_number(number),
            created_at=read_date(entry.get("createdAt")),
        )
        for entry in as_objects(data["data"])
        if (number := as_text(pick(entry, "phoneNumber", "phone"))) is not None
    )
    announced = as_int(data.get("nbData"))
    total = max(announced or 0, len(data["data"])) if announced is not None or data["data"] else None
    return StopList(entries=entries, total=total, raw=data)


def parse_stop_add(response: ApiResponse) -> StopAddition:
    """
    Read the answer to putting a number on the STOP list.

    :raises GatewayError: also for a success without the entry's id.
    """
    data = accepted_answer(
        "stop-sms/add", response, tables.STOP_ADD, safe_to_repeat=True, also_good=tables.ALREADY_LISTED
    )
    stop_id = read_id(data.get("stopId"))
    already = data.get("success") is not True
    if stop_id is None and not already:
        raise unclear(
            "stop-sms/add",
            response,
            tables.STOP_ADD,
            data,
            "the answer claims success without the entry's id",
            safe_to_repeat=True,
        )
    return StopAddition(stop_id=stop_id, already=already, raw=data)


def parse_stop_delete(response: ApiResponse) -> StopRemoval:
    """
    Read the answer to taking a number off the STOP list.

    :raises GatewayError: ``NOT_FOUND`` for an id that is not on the list, perhaps because it was taken off before.
    """
    data = accepted_answer("stop-sms/delete", response, tables.STOP_DELETE, safe_to_repeat=False)
    _refuse_queued("stop-sms/delete", response, tables.STOP_DELETE, data, safe_to_repeat=False)
    return StopRemoval(raw=data)


def _refuse_queued(
    endpoint: str, response: ApiResponse, codes: Codes, data: Mapping[str, Any], *, safe_to_repeat: bool
) -> None:
    """Refuse the answer that the gateway was seen to give to every call, done or not."""
    if " ".join((as_text(data.get("message")) or "").split()).casefold() == _QUEUED:
        problem = "the answer says no more than that the request is queued, which proves nothing"
        raise unclear(endpoint, response, codes, data, problem, safe_to_repeat=safe_to_repeat)
