"""A batch of the project's own words turned into the one request that fits it, and its answer into a receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_voicepartner.gateways.callback_urls import check_callback_url
from airflow_provider_voicepartner.gateways.checks import (
    check_count,
    check_own_text,
    check_said,
    check_sender,
)
from airflow_provider_voicepartner.gateways.compiled_message import CompiledMessage, once_a_message
from airflow_provider_voicepartner.gateways.contradictions import in_doubt_if_named
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    Balance,
    CallbackUrls,
    Cancellation,
    Kind,
    Message,
    Receipt,
    Recipient,
    SmsMessage,
    columns_of,
    have_fields,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.options import read_options
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, read_template
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.checks import SAY_SOMETHING, check_range, check_text
from airflow_provider_voicepartner.gateways.smspartner.length import (
    MAX_SEGMENTS,
    segments,
    segments_of_length,
    text_rule,
)
from airflow_provider_voicepartner.gateways.smspartner.options import Gamme, SmsOptions
from airflow_provider_voicepartner.gateways.smspartner.refusals import names_a_send
from airflow_provider_voicepartner.gateways.smspartner.requests import (
    SendSettings,
    build_me,
    build_message_cancel,
    build_personal_send,
    build_send,
    build_vn_send,
)
from airflow_provider_voicepartner.gateways.smspartner.responses import (
    parse_bulk_send,
    parse_me,
    parse_message_cancel,
    parse_send,
    parse_vn_send,
)
from airflow_provider_voicepartner.gateways.smspartner.tags import join_tag
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse

_STOP = "STOP"


def check_message(message: Message, recipients_have_fields: bool) -> None:
    """
    Refuse a message that the gateway would refuse, before anything is sent.

    A text whose placeholders will be filled in is measured without them here, and as filled in when its batch is built.

    :param message: an SMS.
    :param recipients_have_fields: True when recipients carry personal fields; without, placeholders are refused.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    sms = _as_sms(message)
    options = _options_of(sms)
    low_cost = options.gamme is Gamme.LOW_COST
    check_sender(sms.sender, gateway=INFO.label, takes_blanks=True, is_marketing=sms.purpose == "marketing")
    _check_together(sms, options)
    check_range(low_cost=low_cost, is_stop_sms=options.is_stop_sms is True, argument="options['is_stop_sms']")
    check_said(sms.text, argument="message", fix=SAY_SOMETHING)
    template = read_template(sms.text)
    if not recipients_have_fields:
        template.check_known((), whose="'to'")
    # At least this much is sent, whatever the fields hold; an empty rest may be all fields.
    rest = template.plain.strip() or "." if template.names else template.plain
    _check_own_text(sms, options, rest)


def check_recipient(message: Message, recipient: Recipient) -> None:
    """
    Refuse a recipient whose own text would be refused.

    :param recipient: with all fields that the text needs.
    :raises InvalidArgumentError: its problem is read after the number.
    """
    sms = _as_sms(message)
    options = _options_of(sms)
    own = read_template(sms.text).fill_in(recipient.fields)
    check_own_text(lambda text: _check_own_text(sms, options, text), own)


def _check_own_text(sms: SmsMessage, options: SmsOptions, text: str) -> None:
    """Check a text in which nothing is left to fill in."""
    low_cost = options.gamme is Gamme.LOW_COST
    check_text(text, is_unicode=options.is_unicode, low_cost=low_cost)
    if low_cost and sms.purpose == "marketing" and _STOP not in text:
        raise InvalidArgumentError(
            "message",
            "a marketing SMS of the Low Cost range must carry its own STOP mention; add it, such as NoPub=STOP",
        )


def segments_of(message: Message, text: str) -> tuple[int]:
    """Return how many SMS a text takes, see :func:`~.length.segments`; an appended STOP mention is not counted."""
    return (segments(text, is_unicode=_options_of(message).is_unicode),)


@once_a_message
def _options_of(message: Message) -> SmsOptions:
    return read_options(SmsOptions, message.options)


@once_a_message
def compile_message(message: Message) -> CompiledMessage | None:
    """
    Work a message out for many recipients; one that :func:`check_message` takes.

    :returns: None where all get the same text.
    """
    sms = _as_sms(message)
    options = _options_of(sms)
    template = read_template(sms.text)
    if not template.names:
        return None
    low_cost, is_unicode = options.gamme is Gamme.LOW_COST, options.is_unicode
    needs_stop = low_cost and sms.purpose == "marketing"
    rule = text_rule(template, is_unicode=is_unicode, most_segments=1 if low_cost else MAX_SEGMENTS)
    return CompiledMessage(
        template,
        rule=None if needs_stop and not any(_STOP in part for part in template.literals) else rule,
        count=lambda text: (segments(text, is_unicode=is_unicode),),
        of_units=lambda units: (segments_of_length(units, is_unicode=is_unicode),),
    )


def _check_together(sms: SmsMessage, options: SmsOptions) -> None:
    if options.virtual_number is None:
        return
    clashes = {
        "sender": sms.sender is not None,
        "options['gamme']": options.gamme is not None,
        "options['is_unicode']": options.is_unicode,
    }
    for argument, given in clashes.items():
        if given:
            raise InvalidArgumentError(
                argument, "does not go with the option 'virtual_number'; give one of the two"
            )


def _as_sms(message: Message) -> SmsMessage:
    if not isinstance(message, SmsMessage):
        raise InvalidArgumentError(
            "message",
            f"{INFO.label} sends SMS only, not {message.kind}; use a connection of another gateway for it",
        )
    return message


def batch_tag(message: SmsMessage, reference: str) -> str:
    """
    Return the tag under which the statuses of a batch can be asked for: the proof that a send in doubt arrived.

    :param message: as it was sent.
    :param reference: our own id of the batch.
    :raises InvalidArgumentError: for options or a reference that cannot be.
    """
    return join_tag(_options_of(message).tag, reference)


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
    ``bulk-send``, so that none can land on the wrong person. The option ``virtual_number`` goes to ``vn/send``.

    :param message: an SMS.
    :param recipients: 1 to 500; with ``virtual_number`` exactly one.
    :param reference: our own id of the batch, 12 lower-case letters or digits; it ends the gateway's tag.
    :param now: the present, aware.
    :param send_at: aware and in the future, rounded up to 5 minutes; None sends at once.
    :param callbacks: where to report; the options ``url_dlr`` and ``url_response`` come first.
    :param simulate: checked and counted by the gateway, but neither sent nor charged.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    sms = _as_sms(message)
    check_count(len(recipients))
    prepared = _prepare(sms, have_fields(recipients))
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
        return build_personal_send(numbers, texts, doubtful, now, settings, tag, send_at)
    return build_send(phone_numbers=numbers, text=text, now=now, settings=settings, tag=tag, send_at=send_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What all batches of a message share, checked."""

    options: SmsOptions
    settings: SendSettings
    template: TextTemplate
    compiled: CompiledMessage | None

    def settings_with(self, callbacks: CallbackUrls, *, simulate: bool) -> SendSettings:
        """Return the settings of one batch."""
        if not simulate and callbacks.delivery is None and callbacks.replies is None:
            return self.settings
        return replace(
            self.settings,
            sandbox=simulate or self.settings.sandbox,
            url_dlr=self.settings.url_dlr or callbacks.delivery,
            url_response=self.settings.url_response or callbacks.replies,
        )


@once_a_message
def _prepare(message: Message, recipients_have_fields: bool) -> _Prepared:
    """Check a message and take it apart; raises as :func:`check_message`."""
    sms = _as_sms(message)
    check_message(sms, recipients_have_fields)
    options = _options_of(sms)
    return _Prepared(
        options=options,
        settings=SendSettings(
            sender=sms.sender,
            gamme=options.gamme,
            is_unicode=options.is_unicode,
            is_stop_sms=_stop_mention(sms, options),
            sandbox=options.sandbox,
            url_dlr=options.url_dlr,
            url_response=options.url_response,
        ),
        template=read_template(sms.text),
        compiled=compile_message(sms),
    )


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


def _stop_mention(sms: SmsMessage, options: SmsOptions) -> bool:
    if options.is_stop_sms is not None:
        return options.is_stop_sms
    return sms.purpose == "marketing" and options.gamme is not Gamme.LOW_COST


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


@in_doubt_if_named(names_a_send)
def parse_batch(response: ApiResponse, message: Message, recipients: Sequence[Recipient]) -> Receipt:
    """
    Read the answer to a batch.

    :param message: as it was given to :func:`build_batch`.
    :param recipients: likewise, in that order.
    :raises GatewayError: for anything but a success with an id, or the refusal of each recipient by name; its kind says
        whether the batch may have been taken.
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


def build_balance() -> ApiRequest:
    """Build the request that reads the balance; also the cheapest check of a key."""
    return build_me()


def parse_balance(response: ApiResponse) -> Balance:
    """
    Read the balance, in money; its details are those of :func:`parse_me`.

    :raises GatewayError: also for a success without a balance.
    """
    return parse_me(response).balance


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


def parse_cancel(response: ApiResponse, gateway_id: str) -> Cancellation:
    """
    Read the answer to a cancel; "already cancelled" is a success.

    :raises GatewayError: ``TOO_LATE`` or ``NOT_FOUND`` where the gateway says so.
    """
    return parse_message_cancel(response, message_id=gateway_id)
