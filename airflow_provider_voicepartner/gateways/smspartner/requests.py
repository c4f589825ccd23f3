"""
One builder per endpoint. Requests carry no key: ``authenticate`` adds it last.

The parameter ``_format`` is never sent: JSON is the gateway's default, and its XML has no field names. Of the spellings
that the vendor's pages disagree about, requests use those of its own clients: ``gamme`` (not ``range``), ``urlDlr``
(not ``webhookUrl``), ``SMSStatut_List``, and ``phoneNumber`` for the STOP list.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow_provider_voicepartner.gateways.compiled_message import CompiledMessage
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    CallbackUrls,
    Kind,
    Message,
    Recipient,
    SmsMessage,
    columns_of,
    have_fields,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.codes import is_id
from airflow_provider_voicepartner.gateways.smspartner.messages import (
    as_sms,
    check_text,
    options_of,
    prepare,
    wire_text,
    wire_texts,
)
from airflow_provider_voicepartner.gateways.smspartner.options import (
    DEFAULTS,
    SendSettings,
    SmsOptions,
    check_tag,
    join_tag,
)
from airflow_provider_voicepartner.gateways.validation import (
    check_callback_url,
    check_count,
    check_number,
    check_numbers,
    read_options,
)
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


def build_batch(
    message: Message,
    recipients: Sequence[Recipient],
    *,
    reference: str,
    now: datetime,
    send_at: datetime | None = None,
    callbacks: CallbackUrls = NO_CALLBACKS,
    simulate: bool = False,
) -> ApiRequest:
    """
    Build the request that sends one batch.

    One text for all goes to ``send``. When the text has placeholders, each recipient gets a text of its own through
    ``bulk-send``, so that none can reach the wrong recipient. The option ``virtual_number`` goes to ``vn/send``.

    :param message: an SMS.
    :param recipients: 1 to 500; with ``virtual_number`` exactly one.
    :param reference: our own id of the batch, 12 lower-case letters or digits; it ends the gateway's tag.
    :param now: the present, aware.
    :param send_at: aware and in the future, rounded up to 5 minutes; None sends at once.
    :param callbacks: where to report; the options ``url_dlr`` and ``url_response`` come first.
    :param simulate: checked and counted by the gateway, but neither sent nor charged.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    sms = as_sms(message)
    check_count(len(recipients))
    prepared = prepare(sms, have_fields(recipients))
    numbers = phone_numbers_of(recipients)
    check_callback_url(callbacks.delivery, argument="callbacks.delivery")
    check_callback_url(callbacks.replies, argument="callbacks.replies")
    tag = join_tag(prepared.options.tag, reference)
    settings = prepared.settings_with(callbacks, simulate=simulate)
    text = prepared.template.plain
    if prepared.compiled is not None:
        texts, doubtful = _texts(prepared.compiled, recipients)
        text = texts[0]
    if prepared.options.virtual_number is not None:
        _check_virtual_batch(recipients, send_at)
        return build_vn_send(
            phone_number=numbers[0],
            virtual_number=prepared.options.virtual_number,
            text=text,
            settings=settings,
            tag=tag,
        )
    if prepared.compiled is not None:
        return build_personal_send(
            numbers, texts, doubtful, now=now, settings=settings, tag=tag, send_at=send_at
        )
    return build_send(phone_numbers=numbers, text=text, now=now, settings=settings, tag=tag, send_at=send_at)


def _texts(compiled: CompiledMessage, recipients: Sequence[Recipient]) -> tuple[list[str], list[str]]:
    """Return each recipient's own text, and those of them that the gateway may refuse."""
    try:
        columns = columns_of(recipients, compiled.template.names)
    except KeyError:
        # It says who lacks what.
        texts = [compiled.template.fill_in(recipient.fields) for recipient in recipients]
        return texts, texts
    texts = compiled.texts(columns)
    return texts, [texts[at] for at in compiled.doubtful(columns)]


def _check_virtual_batch(recipients: Sequence[Recipient], send_at: datetime | None) -> None:
    if len(recipients) != 1:
        raise InvalidArgumentError(
            "to",
            f"holds {len(recipients)} recipients, and the option 'virtual_number' sends to one per request; "
            "send them one by one, or take the option out",
        )
    if send_at is not None:
        raise InvalidArgumentError(
            "send_at",
            "the gateway does not schedule an SMS from a virtual number; send at once, or without the option",
        )


def batch_tag(message: SmsMessage, reference: str) -> str:
    """
    Return the tag under which the statuses of a batch can be asked for: the proof that a send in doubt arrived.

    :param message: as it was sent.
    :param reference: our own id of the batch.
    :raises InvalidArgumentError: for options or a reference that cannot be.
    """
    return join_tag(options_of(message).tag, reference)


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
    return build_personal_send(
        numbers, own, dict.fromkeys(own), now=now, settings=settings, tag=tag, send_at=send_at
    )


def build_personal_send(
    numbers: Sequence[str],
    texts: Sequence[str],
    doubtful: Iterable[str],
    *,
    now: datetime,
    settings: SendSettings,
    tag: str | None,
    send_at: datetime | None,
) -> ApiRequest:
    """
    Build ``POST /bulk-send`` where most texts are known to be accepted.

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
    which cannot be distinguished from an id that never was.

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


def build_balance() -> ApiRequest:
    """Build the request that reads the balance; also the cheapest check of a key."""
    return build_me()


def build_cancel(gateway_id: str, kind: Kind) -> ApiRequest:
    """
    Build the request that takes back a scheduled batch, at the latest 5 minutes before its time.

    :param gateway_id: from the receipt.
    :param kind: ``sms``.
    :raises InvalidArgumentError: for another kind, or what is no id.
    """
    if kind not in INFO.kinds:
        raise InvalidArgumentError("kind", f"{INFO.label} sends SMS only, not {kind}; check the connection")
    return build_message_cancel(message_id=gateway_id)


def check_id(value: str, *, argument: str) -> None:
    """Check an id that goes into a query."""
    if not is_id(value):
        raise InvalidArgumentError(
            argument, "is not an id of this gateway; give the id from the answer to the send"
        )
