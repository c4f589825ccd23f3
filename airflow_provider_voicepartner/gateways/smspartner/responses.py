"""What SMS Partner answers, one parser for each endpoint: sends, cancel, account, STOP list, statuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pendulum

from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import (
    Balance,
    Cancellation,
    DeliveryReport,
    Message,
    Receipt,
    Recipient,
    SmsMessage,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.parsing import (
    as_decimal,
    as_int,
    as_object,
    as_objects,
    as_price,
    as_text,
    decode,
    in_doubt_if_named,
    pick,
)
from airflow_provider_voicepartner.gateways.phone_numbers import read_wire_number
from airflow_provider_voicepartner.gateways.placeholders import read_template
from airflow_provider_voicepartner.gateways.smspartner import INFO, codes
from airflow_provider_voicepartner.gateways.smspartner.codes import Endpoint, read_code, read_id, says_no
from airflow_provider_voicepartner.gateways.smspartner.messages import segments
from airflow_provider_voicepartner.gateways.smspartner.refusals import (
    Tally,
    accepted_answer,
    everybody_refused,
    names_a_send,
    read_sms_count,
    refuse_queued,
    refused_recipients,
    tally_bulk,
    tally_send,
    unclear,
)
from airflow_provider_voicepartner.gateways.smspartner.webhooks import (
    STATUS_LISTS,
    StatusPage,
    read_status_entry,
    read_status_list,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse


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
    :param created_at: when it came onto the list, where reported.
    """

    id: str
    phone_number: str = field(repr=False)
    created_at: pendulum.DateTime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopList:
    """
    The STOP list.

    :param total: how many numbers the gateway says it holds, where reported. No paging is documented, so more than
        there are entries means that the answer is not the whole list.
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

    :param stop_id: the entry's id, where reported: not for a number that was listed before.
    :param already: True when it was listed before.
    """

    stop_id: str | None = None
    already: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRemoval:
    """The answer to taking a number off the STOP list."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@in_doubt_if_named(names_a_send)
def parse_batch(response: ApiResponse, message: Message, recipients: Sequence[Recipient]) -> Receipt:
    """
    Read the answer to a batch.

    :param message: as it was given to :func:`build_batch`.
    :param recipients: likewise, in that order.
    :raises GatewayError: for anything but a success with an id, or the refusal of each recipient by name; its kind says
        whether the batch may have been accepted.
    """
    numbers = phone_numbers_of(recipients)
    if not isinstance(message, SmsMessage):
        return parse_send(response, phone_numbers=numbers)
    if message.options.get("virtual_number") is not None and len(numbers) == 1:
        return parse_vn_send(response, phone_number=numbers[0])
    template = read_template(message.text)
    if template.names:
        return parse_bulk_send(response, phone_numbers=numbers)
    count = segments(template.plain, is_unicode=message.options.get("is_unicode") is True)
    return parse_send(response, phone_numbers=numbers, segments=count)


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
        codes.SEND,
        response,
        phone_numbers,
        lambda data: tally_send(data, response, codes.SEND.codes, phone_numbers, segments=segments),
    )


def parse_vn_send(response: ApiResponse, *, phone_number: str) -> Receipt:
    """
    Read the answer to a send from a long number.

    :param phone_number: the recipient, as sent.
    :returns: see :func:`parse_send`.
    :raises GatewayError: for anything else.
    """
    return _parse_send(
        codes.VN_SEND,
        response,
        [phone_number],
        lambda data: tally_send(data, response, codes.VN_SEND.codes, [phone_number]),
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
        codes.BULK_SEND,
        response,
        phone_numbers,
        lambda data: tally_bulk(data, response, codes.BULK_SEND.codes, phone_numbers),
    )


def _parse_send(
    endpoint: Endpoint,
    response: ApiResponse,
    phone_numbers: Sequence[str],
    tally: Callable[[Mapping[str, Any]], Tally],
) -> Receipt:
    try:
        data = accepted_answer(endpoint, response, numbers=phone_numbers)
    except GatewayError as error:
        failure = error
    else:
        return _receipt(endpoint, response, data, tally(data))
    if failure.kind is ErrorKind.REJECTED:
        refused = everybody_refused(response, endpoint.codes, phone_numbers)
        if refused:
            return Receipt(gateway_id=None, accepted=0, segments=0, refused=refused_recipients(refused))
    raise failure


def _receipt(endpoint: Endpoint, response: ApiResponse, data: Mapping[str, Any], tally: Tally) -> Receipt:
    gateway_id = read_id(pick(data, "message_id", "messageId"))
    if gateway_id is None:
        # Seen in production: "success", "queued for processing" and no id, for every call and even without a key.
        raise unclear(
            endpoint,
            response,
            data,
            "the answer claims success without a message id, so nothing proves that the SMS was accepted",
        )
    return Receipt(
        gateway_id=gateway_id,
        accepted=tally.accepted,
        cost=as_price(data.get("cost")),
        currency=as_text(data.get("currency")) or INFO.currency or "",
        segments=read_sms_count(data),
        refused=refused_recipients(tally.refused),
        in_doubt=tally.in_doubt,
        raw=data,
    )


def parse_cancel(response: ApiResponse, gateway_id: str) -> Cancellation:
    """
    Read the answer to a cancel; "already cancelled" is a success.

    :raises GatewayError: ``TOO_LATE`` or ``NOT_FOUND`` where the gateway says so.
    """
    return parse_message_cancel(response, message_id=gateway_id)


def parse_message_cancel(response: ApiResponse, *, message_id: str) -> Cancellation:
    """
    Read the answer to a cancel.

    :param message_id: as it was asked.
    :raises GatewayError: ``TOO_LATE`` when it was sent or is about to be, ``NOT_FOUND`` for an id that is not known.
    """
    data = accepted_answer(
        codes.MESSAGE_CANCEL,
        response,
        also_good=codes.ALREADY_CANCELLED,
    )
    refuse_queued(codes.MESSAGE_CANCEL, response, data)
    return Cancellation(gateway_id=message_id, already=data.get("success") is not True, raw=data)


def parse_balance(response: ApiResponse) -> Balance:
    """
    Read the balance, in money; its details are those of :func:`parse_me`.

    :raises GatewayError: also for a success without a balance.
    """
    return parse_me(response).balance


def parse_me(response: ApiResponse) -> Account:
    """
    Read the account and its credit.

    :returns: the balance in money; in its details, where reported, how many ``premium_sms``, ``low_cost_sms`` and
        ``hlr`` checks it buys, and how many SMS wait (``to_send``).
    :raises GatewayError: also for a success without credits.
    """
    data = accepted_answer(codes.ME, response)
    credits, user = as_object(data.get("credits")), as_object(data.get("user"))
    amount = as_decimal(pick(credits, "balance", "solde"))
    if amount is None:
        raise unclear(codes.ME, response, data, "the answer claims success without a balance")
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
    data = accepted_answer(codes.STOP_LIST, response)
    if not isinstance(data.get("data"), list):
        raise unclear(codes.STOP_LIST, response, data, "the answer claims success without a list")
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
    data = accepted_answer(codes.STOP_ADD, response, also_good=codes.ALREADY_LISTED)
    stop_id = read_id(data.get("stopId"))
    already = data.get("success") is not True
    if stop_id is None and not already:
        raise unclear(codes.STOP_ADD, response, data, "the answer claims success without the entry's id")
    return StopAddition(stop_id=stop_id, already=already, raw=data)


def parse_stop_delete(response: ApiResponse) -> StopRemoval:
    """
    Read the answer to taking a number off the STOP list.

    :raises GatewayError: ``NOT_FOUND`` for an id that is not on the list, perhaps because it was taken off before.
    """
    data = accepted_answer(codes.STOP_DELETE, response)
    refuse_queued(codes.STOP_DELETE, response, data)
    return StopRemoval(raw=data)


def parse_message_status(response: ApiResponse) -> tuple[DeliveryReport, ...]:
    """
    Read what became of one number of one send.

    :returns: one report.
    :raises GatewayError: ``NOT_FOUND`` for what is not known (yet); also for a success without a number or a status.
    """
    data = accepted_answer(codes.MESSAGE_STATUS, response)
    report = read_status_entry(data, response)
    if report is None or not report.gateway_status:
        raise unclear(codes.MESSAGE_STATUS, response, data, "the answer claims success without a status")
    return (report,)


def parse_multi_status(response: ApiResponse) -> tuple[DeliveryReport, ...]:
    """
    Read what became of several numbers of different sends.

    An entry for a number that is not known under its message carries an error text where its status belongs. It becomes
    a report that is pending, with the detail ``not_found``: it is no news about the message.

    :raises GatewayError: also for a success without a list.
    """
    return read_status_list(codes.MULTI_STATUS, response)[0]


def parse_bulk_status(response: ApiResponse) -> tuple[DeliveryReport, ...]:
    """
    Read what became of the numbers of one send. A number that was dropped at the send may never appear.

    :raises GatewayError: ``NOT_FOUND`` for a message that is not known (yet); also for a success without a list.
    """
    return read_status_list(codes.BULK_STATUS, response)[0]


def parse_bulk_status_by_tag(response: ApiResponse, *, tag: str | None = None) -> StatusPage:
    """
    Read one page of what became of the numbers of all sends with one tag.

    Entries name no message, so a number that was sent to twice with one tag cannot be distinguished.

    :param tag: as it was asked; the reports' ``reference`` is taken from it.
    :raises GatewayError: ``NOT_FOUND`` for a tag that is not known (yet); also for a success without a list.
    """
    reports, data = read_status_list(codes.BULK_STATUS_BY_TAG, response, tag=tag)
    return StatusPage(
        reports=reports,
        page=as_int(data.get("currentPage")),
        total=as_int(data.get("total")),
        listed=len(pick(data, *STATUS_LISTS)),
    )


def parse_tag_look_up(response: ApiResponse, *, tag: str) -> StatusPage:
    """
    Read one page for a look-up of a batch in doubt, where it may be believed that nothing is listed.

    So only two answers say that: the documented "not known", with its flag and its code, and an empty list at a status
    of success. An error page with status 404 says nothing about the tag.

    :param tag: as it was asked.
    :returns: a page that ``is_blank`` where nothing is listed.
    :raises GatewayError: for anything else that is no list.
    """
    try:
        page = parse_bulk_status_by_tag(response, tag=tag)
    except GatewayError:
        if not _says_not_known(response):
            raise
        return StatusPage(reports=())
    if page.is_blank and not 200 <= response.status < 300:
        raise unclear(
            codes.BULK_STATUS_BY_TAG,
            response,
            {},
            "the answer lists nothing, and its status is that of a failure",
        )
    return page


def _says_not_known(response: ApiResponse) -> bool:
    data = decode(INFO.name, "bulk-status-by-tag", response, safe_to_repeat=True)
    return (
        says_no(data.get("success"))
        and read_code(data, response) == codes.NOT_FOUND_CODE
        and response.status != 429
        and response.status < 500
        and not pick(data, *STATUS_LISTS)
    )
