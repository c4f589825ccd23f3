"""
One builder per endpoint. Requests carry no key: ``authenticate`` adds it last.

The parameter ``_format`` is never sent: JSON is the gateway's default, and its XML has no field names. Of the spellings
that the vendor's pages disagree about, requests use those of its own clients: ``gamme`` (not ``range``), ``urlDlr``
(not ``webhookUrl``), ``SMSStatut_List``, and ``phoneNumber`` for the STOP list.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from airflow_provider_voicepartner.gateways.callback_urls import check_callback_url
from airflow_provider_voicepartner.gateways.checks import (
    check_count,
    check_number,
    check_numbers,
    check_sender,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.options import read_options
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.checks import (
    check_id,
    check_range,
    check_tag,
    check_text,
    schedule_fields,
)
from airflow_provider_voicepartner.gateways.smspartner.length import wire_text, wire_texts
from airflow_provider_voicepartner.gateways.smspartner.options import Gamme, SmsOptions
from airflow_provider_voicepartner.gateways.wire import ApiRequest, Credentials


def authenticate(request: ApiRequest, credentials: Credentials) -> ApiRequest:
    """
    Put the API key where the gateway wants it: in the JSON body, or in the query of a request without one.

    :param request: as a builder made it; left untouched.
    :param credentials: the API key; there is no login.
    """
    if request.body is None:
        return replace(request, params={**request.params, "apiKey": credentials.api_key})
    return replace(request, body={**request.body, "apiKey": credentials.api_key})


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSettings:
    """
    What the sends of one message have in common.

    :param sender: 3 to 11 letters or digits, with blanks between; None sends from an operator's short number. Unused
        from a virtual number, like the next two.
    :param gamme: the range; None leaves the gateway's default, Premium.
    :param is_unicode: any character, 70 to an SMS; the account must be enabled for it.
    :param is_stop_sms: have the STOP mention appended; Premium only. From a virtual number it is documented on the
        vendor's older pages only.
    :param sandbox: nothing is sent or charged.
    :param url_dlr: gets delivery reports; https, or http on loopback.
    :param url_response: gets replies and STOPs; likewise.
    :raises InvalidArgumentError: naming the argument and the fix.
    """

    sender: str | None = None
    gamme: Gamme | None = None
    is_unicode: bool = False
    is_stop_sms: bool = False
    sandbox: bool = False
    url_dlr: str | None = field(default=None, repr=False)
    url_response: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what the gateway would refuse."""
        check_sender(self.sender, gateway=INFO.label, takes_blanks=True)
        check_range(low_cost=self.is_low_cost, is_stop_sms=self.is_stop_sms)
        check_callback_url(self.url_dlr, argument="url_dlr")
        check_callback_url(self.url_response, argument="url_response")

    @property
    def is_low_cost(self) -> bool:
        """True in the Low Cost range, with its single SMS."""
        return self.gamme is Gamme.LOW_COST

    def fields(self, tag: str | None, send_at: datetime | None, now: datetime) -> dict[str, Any]:
        """Return what stands in a body beside numbers and texts."""
        body: dict[str, Any] = {} if self.sender is None else {"sender": self.sender}
        if self.gamme is not None:
            body["gamme"] = int(self.gamme)
        if self.is_unicode:
            body["isUnicode"] = 1
        if send_at is not None:
            body |= schedule_fields(send_at, now=now)
        return body | self.extras(tag)

    def extras(self, tag: str | None) -> dict[str, Any]:
        """Return the part of :meth:`fields` that a send from a virtual number has too."""
        body: dict[str, Any] = {}
        if tag is not None:
            check_tag(tag)
            body["tag"] = tag
        if self.is_stop_sms:
            body["isStopSms"] = 1
        if self.sandbox:
            body["sandbox"] = 1
        if self.url_dlr is not None:
            body["urlDlr"] = self.url_dlr
        if self.url_response is not None:
            body["urlResponse"] = self.url_response
        return body


DEFAULTS: Final = SendSettings()


def build_send(
    *,
    phone_numbers: Sequence[str],
    text: str,
    now: datetime,
    settings: SendSettings = DEFAULTS,
    tag: str | None = None,
    send_at: datetime | None = None,
) -> ApiRequest:
    """
    Build ``POST /send``: one text to many. Not safe to repeat: the gateway knows no idempotency key.

    :param phone_numbers: 1 to 500, in E.164.
    :param text: line breaks and euro signs go out in the gateway's spelling; the rest unchanged.
    :param now: the present, aware; against it ``send_at`` is checked.
    :param settings: see :class:`SendSettings`.
    :param tag: 1 to 20 characters, no blank, lower case; statuses can be asked for by it.
    :param send_at: aware, in the future; rounded up to 5 minutes. None sends at once.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    check_numbers(phone_numbers)
    check_text(text, is_unicode=settings.is_unicode, low_cost=settings.is_low_cost)
    body = {"phoneNumbers": ",".join(phone_numbers), "message": wire_text(text)}
    body |= settings.fields(tag, send_at, now)
    return _sending("send", body, [text], [wire_text(text)])


def build_bulk_send(
    *,
    texts: Sequence[tuple[str, str]],
    now: datetime,
    settings: SendSettings = DEFAULTS,
    tag: str | None = None,
    send_at: datetime | None = None,
) -> ApiRequest:
    """
    Build ``POST /bulk-send``: to each number its own text. Not safe to repeat.

    The path is that of all clients of the vendor; one page of its docs shows ``/send``, most likely by mistake.

    :param texts: 1 to 500 pairs of a number in E.164 and its text.
    :param now: as for :func:`build_send`, like all that follow.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    numbers, own = [number for number, _ in texts], [text for _, text in texts]
    return build_personal_send(numbers, own, dict.fromkeys(own), now, settings, tag, send_at)


def build_personal_send(
    numbers: Sequence[str],
    texts: Sequence[str],
    doubtful: Iterable[str],
    now: datetime,
    settings: SendSettings,
    tag: str | None,
    send_at: datetime | None,
) -> ApiRequest:
    """
    Build ``POST /bulk-send`` where most texts are known to be taken.

    :param numbers: 1 to 500, in E.164.
    :param texts: one for each number.
    :param doubtful: those texts that have to be checked.
    """
    check_numbers(numbers)
    for text in doubtful:
        check_text(text, is_unicode=settings.is_unicode, low_cost=settings.is_low_cost)
    written = wire_texts(texts)
    body: dict[str, Any] = {
        "SMSList": [
            {"phoneNumber": number, "message": text} for number, text in zip(numbers, written, strict=True)
        ]
    }
    body |= settings.fields(tag, send_at, now)
    return _sending("bulk-send", body, texts, written)


def build_vn_send(
    *,
    phone_number: str,
    virtual_number: str,
    text: str,
    settings: SendSettings = DEFAULTS,
    tag: str | None = None,
) -> ApiRequest:
    """
    Build ``POST /vn/send``: one text to one number, from a rented long number. Not safe to repeat.

    There is no scheduling here, no sender, no range and no unicode.

    :param phone_number: in E.164.
    :param virtual_number: the rented number, with or without a plus; goes out without.
    :param text: as for :func:`build_send`, like all that follow.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    check_number(phone_number, argument="to")
    check_text(text)
    sender_number = read_options(SmsOptions, {"virtual_number": virtual_number}).virtual_number
    body: dict[str, Any] = {"to": phone_number, "from": sender_number, "message": wire_text(text)}
    body |= settings.extras(tag)
    return _sending("vn/send", body, [text], [wire_text(text)])


def _sending(
    endpoint: str, body: Mapping[str, Any], texts: Sequence[str], written: Sequence[str]
) -> ApiRequest:
    # The gateway may quote a text in either spelling.
    spellings = texts if written is texts else itertools.chain.from_iterable(zip(texts, written, strict=True))
    return ApiRequest(
        endpoint=endpoint,
        method="POST",
        path=endpoint,
        safe_to_repeat=False,
        body=body,
        private=tuple(dict.fromkeys(spellings)),
    )


def _read(endpoint: str, **params: str) -> ApiRequest:
    return ApiRequest(endpoint=endpoint, method="GET", path=endpoint, safe_to_repeat=True, params=params)


def build_message_status(*, message_id: str, phone_number: str) -> ApiRequest:
    """
    Build ``GET /message-status``: what became of one number of one send.

    :param message_id: the gateway's id of the send.
    :param phone_number: in E.164.
    :raises InvalidArgumentError: for an id or a number that cannot be one.
    """
    check_id(message_id, argument="message_id")
    check_number(phone_number, argument="phone_number")
    return _read("message-status", messageId=message_id, phoneNumber=phone_number)


def build_multi_status(*, messages: Sequence[tuple[str, str]]) -> ApiRequest:
    """
    Build ``POST /multi-status``: what became of up to 500 numbers of different sends. A read, though it is a POST.

    The list's key is ``SMSStatut_List`` as in all clients; one table of the vendor's spells it ``SMSStatus_List``.

    :param messages: 1 to 500 pairs of the gateway's id of a send and a number in E.164.
    :raises InvalidArgumentError: for an id or a number that cannot be one, or too many of them.
    """
    check_count(len(messages), argument="messages")
    for position, (message_id, number) in enumerate(messages, start=1):
        check_number(number, argument="messages", position=position)
        check_id(message_id, argument="messages")
    return ApiRequest(
        endpoint="multi-status",
        method="POST",
        path="multi-status",
        safe_to_repeat=True,
        body={
            "SMSStatut_List": [
                {"phoneNumber": number, "messageId": int(message_id) if message_id.isdigit() else message_id}
                for message_id, number in messages
            ]
        },
    )


def build_bulk_status(*, message_id: str) -> ApiRequest:
    """
    Build ``GET /bulk-status``: what became of every number of one send, in one answer.

    :param message_id: the gateway's id of the send.
    :raises InvalidArgumentError: for an id that cannot be one.
    """
    check_id(message_id, argument="message_id")
    return _read("bulk-status", messageId=message_id)


def build_bulk_status_by_tag(
    *, tag: str, page: int | None = None, page_parameter: str = "page"
) -> ApiRequest:
    """
    Build ``GET /bulk-status-by-tag``: what became of every number of all sends with one tag, page by page.

    :param tag: the whole tag of the send.
    :param page: from 1; None asks without one, for the first.
    :param page_parameter: what the page is called in the query. Not documented; ``page`` is what sibling calls use
        (inferred).
    :raises InvalidArgumentError: for a tag or a page that cannot be one.
    """
    check_tag(tag)
    if page is None:
        return _read("bulk-status-by-tag", tag=tag)
    if page < 1:
        raise InvalidArgumentError("page", "counts from 1; give 1 or more")
    return _read("bulk-status-by-tag", **{"tag": tag, page_parameter: str(page)})


def build_message_cancel(*, message_id: str) -> ApiRequest:
    """
    Build ``GET /message-cancel``: take back a scheduled send, at the latest 5 minutes before it.

    Safe to repeat: the second answer is code 5, "already cancelled". (Some clients use DELETE with the id in the path,
    which is not documented.)

    :param message_id: the gateway's id of the send.
    :raises InvalidArgumentError: for an id that cannot be one.
    """
    check_id(message_id, argument="message_id")
    return _read("message-cancel", messageId=message_id)


def build_me() -> ApiRequest:
    """Build ``GET /me``: the account and what is left on it."""
    return _read("me")


def build_stop_list() -> ApiRequest:
    """Build ``GET /stop-sms/list``: every number on the STOP list. No paging is documented."""
    return _read("stop-sms/list")


def build_stop_add(*, phone_number: str) -> ApiRequest:
    """
    Build ``POST /stop-sms/add``: put a number on the STOP list.

    Safe to repeat: the second answer is code 3, "already listed", and the list is the same.

    :param phone_number: in E.164.
    :raises InvalidArgumentError: for a number that cannot be one.
    """
    check_number(phone_number, argument="phone_number")
    return ApiRequest(
        endpoint="stop-sms/add",
        method="POST",
        path="stop-sms/add",
        safe_to_repeat=True,
        body={"phoneNumber": phone_number},
    )


def build_stop_delete(*, stop_id: str) -> ApiRequest:
    """
    Build ``GET /stop-sms/delete``: take a number off the STOP list.

    A GET with an effect, and one that must not be taken lightly: never repeated. A second answer would be code 4,
    which cannot be told from an id that never was.

    :param stop_id: the entry's id, from the list.
    :raises InvalidArgumentError: for an id that cannot be one.
    """
    check_id(stop_id, argument="stop_id")
    return ApiRequest(
        endpoint="stop-sms/delete",
        method="GET",
        path="stop-sms/delete",
        safe_to_repeat=False,
        params={"id": stop_id},
    )
