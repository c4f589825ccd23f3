"""What Octopush can be asked to say: SMS and spoken calls, and the refusal of what it would not take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from unicodedata import category

from airflow_provider_voicepartner.gateways.checks import (
    check_encodable,
    check_numbers,
    check_own_text,
    check_said,
    check_sender,
)
from airflow_provider_voicepartner.gateways.compiled_message import (
    CompiledMessage,
    TextRule,
    once_a_message,
)
from airflow_provider_voicepartner.gateways.dates import require_future_second
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    CallbackUrls,
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
    columns_of,
    have_fields,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.octopush import INFO
from airflow_provider_voicepartner.gateways.octopush.languages import read_language, speaks_other_letters
from airflow_provider_voicepartner.gateways.octopush.length import (
    fixed_length,
    is_unicode,
    needs_mention,
    plain_characters,
    readings,
    readings_of_length,
)
from airflow_provider_voicepartner.gateways.octopush.options import SmsOptions, VoiceOptions
from airflow_provider_voicepartner.gateways.octopush.personal import (
    LONGEST_FIELD,
    LONGEST_TEXT,
    PersonalText,
    check_joins_as_is,
    check_no_service_name,
    fields_of,
    personalise,
)
from airflow_provider_voicepartner.gateways.options import read_options
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, read_template
from airflow_provider_voicepartner.gateways.wire import ApiRequest

PURPOSES: Final = {"alert": "alert", "marketing": "wholesale"}

_SHORTEST_SECRET = 3
_SAY_SOMETHING = f"Octopush takes 1 to {LONGEST_TEXT} characters"


def check_message(message: Message, recipients_have_fields: bool) -> None:
    """
    Refuse a message that Octopush would refuse or misread.

    A text has 1 to 1224 characters. A sender has 3 to 11 letters or digits, without blanks; for a call, digits are
    advised, since one page of the vendor allows nothing else there. Marketing SMS in France need the opt-out mention
    ``STOP au XXXXX`` in the text, where the service fills in the number; that is left to the caller.

    :param recipients_have_fields: True when recipients carry personal fields; without, placeholders are refused.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    template, argument = _template(message), _text_argument(message)
    if not recipients_have_fields:
        template.check_known((), whose="'to'")
    personal = personalise(template, argument=argument)
    _check_length(personal.text, argument)
    if not template.names:
        _check_own_text(message, template.plain)
    elif isinstance(message, VoiceMessage):
        _check_speakable(template.plain, message.language)
    if message.purpose not in PURPOSES:
        raise InvalidArgumentError("purpose", f"is none of {', '.join(PURPOSES)}")
    is_marketing = isinstance(message, SmsMessage) and message.purpose == "marketing"
    check_sender(message.sender, gateway=INFO.label, is_marketing=is_marketing)
    _settings(message)


def check_recipient(message: Message, recipient: Recipient) -> None:
    """
    Refuse a recipient whose fields or whose own text would be refused.

    :param recipient: with all fields that the text needs.
    :raises InvalidArgumentError: its problem is read after the number.
    """
    template = _template(message)
    contact_of(message, recipient, template, personalise(template, argument=_text_argument(message)))


def contact_of(
    message: Message, recipient: Recipient, template: TextTemplate, personal: PersonalText
) -> dict[str, str]:
    """Return a recipient as the service takes it, with the fields that the text uses; raises as check_recipient."""
    fields = fields_of(recipient, personal)
    if fields:
        own = template.fill_in(recipient.fields)
        check_joins_as_is(template, recipient, own)
        check_own_text(lambda text: _check_own_text(message, text), own)
    return {"phone_number": recipient.phone_number, **fields}


def _check_own_text(message: Message, text: str) -> None:
    """Check a text in which nothing is left to fill in."""
    argument = _text_argument(message)
    check_said(text, argument=argument, fix=_SAY_SOMETHING)
    check_no_service_name(text, argument=argument)
    _check_length(text, argument)
    if isinstance(message, VoiceMessage):
        _check_speakable(text, message.language)


def _check_length(text: str, argument: str) -> None:
    if len(text) > LONGEST_TEXT:
        raise InvalidArgumentError(
            argument, f"has {len(text)} characters; Octopush takes 1 to {LONGEST_TEXT}, so shorten it"
        )


def _check_speakable(text: str, language: str | None) -> None:
    """Refuse a spoken text with what the vendor calls unicode: "non unicode" is documented for calls."""
    if speaks_other_letters(language):
        text = "".join(character for character in text if category(character)[0] not in "LMNP")
    if is_unicode(text):
        raise InvalidArgumentError(
            "text",
            "has a character that Octopush does not speak, such as an emoji or a letter of another script than the "
            "voice's: its documentation wants a text that is not unicode; write it in words",
        )


def segments_of(message: Message, text: str) -> tuple[int, ...] | None:
    """Return how many SMS a text takes, in each way to read the vendor's pages; see :func:`~.length.readings`."""
    if not isinstance(message, SmsMessage):
        return None
    return readings(text, optimizes=_optimizes(message), needs_stop=message.purpose == "marketing")


@once_a_message
def _optimizes(message: Message) -> bool:
    return read_options(SmsOptions, message.options).auto_optimize_text is not False


@once_a_message
def compile_message(message: Message) -> CompiledMessage | None:
    """
    Work a message out for many recipients; one that :func:`check_message` takes.

    :returns: None where all get the same text.
    """
    template = _template(message)
    if not template.names:
        return None
    if not isinstance(message, SmsMessage):
        return CompiledMessage(template, rule=_rule(template, optimizes=True))
    optimizes, needs_stop = _optimizes(message), message.purpose == "marketing"
    is_counted = needs_stop and all(map(needs_mention, template.literals))
    return CompiledMessage(
        template,
        rule=None if is_counted else _rule(template, optimizes=optimizes),
        count=lambda text: readings(text, optimizes=optimizes, needs_stop=needs_stop),
        of_units=readings_of_length,
    )


def _rule(template: TextTemplate, *, optimizes: bool) -> TextRule | None:
    """Return what texts of plain characters count; None where that differs, or where braces may name a field."""
    fixed = [fixed_length(part, optimizes=optimizes) for part in template.literals]
    if None in fixed or "{" in template.plain:
        return None
    units = sum(length for length in fixed if length is not None)
    return TextRule(
        plain=plain_characters(optimizes=optimizes),
        fixed=units,
        longest=LONGEST_TEXT + units - len(template.plain),
        longest_field=LONGEST_FIELD,
    )


def _template(message: Message) -> TextTemplate:
    """Return what is said; Octopush plays no files and leaves no voicemail."""
    if isinstance(message, Voicemail):
        raise InvalidArgumentError(
            "message", "Octopush leaves no voicemail; use a connection of type voicepartner for it"
        )
    if not isinstance(message, SmsMessage) and message.audio_token is not None:
        raise InvalidArgumentError(
            "audio_token",
            "Octopush plays no audio files; give a text, or use a connection of type voicepartner",
        )
    text, argument = message.text or "", _text_argument(message)
    check_said(text, argument=argument, fix=_SAY_SOMETHING)
    check_encodable(text, argument=argument)
    return read_template(text, argument)


def _text_argument(message: Message) -> str:
    """Return what the user calls the text: an SMS has a message, a call has a text."""
    return "message" if isinstance(message, SmsMessage) else "text"


def _settings(message: Message) -> dict[str, Any]:
    """Return the vendor's settings of a message under its own names; what the user left out is left out."""
    if isinstance(message, SmsMessage):
        return read_options(SmsOptions, message.options).model_dump(exclude_none=True)
    if isinstance(message, Voicemail):
        return {}
    options = read_options(VoiceOptions, message.options)
    language = read_language(message.language, options.voice_gender, allow_any=options.allow_any_language)
    return {
        **options.model_dump(exclude_none=True, exclude={"allow_any_language"}),
        "voice_language": language,
    }


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
    Build ``sms-campaign/send`` or ``voice-campaign/send``.

    :param recipients: 1 to 500; only the fields that the text uses are sent with them.
    :param reference: goes out as ``request_id``: for 24 hours the service refuses a second request with the same
        id, which proves that the first was taken. Whether a refused request uses up its id is not documented, so a
        batch that was refused and is sent again, corrected, needs a new reference.
    :param send_at: goes out as ISO 8601 in Europe/Paris with its offset, moved up to the next full second.
    :param callbacks: not sent: callback URLs are set for the whole account, see ``build_edit_parameters``.
    :param simulate: ask for the checks only: nothing is sent, and the answer's figures are made up. Such a request
        gets an id of its own, since it is not documented whether a simulated request uses up its id.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    check_numbers(phone_numbers_of(recipients))
    prepared = prepare(message, have_fields(recipients))
    contacts = _contacts(message, recipients, prepared)
    body: dict[str, Any] = {
        "text": prepared.personal.text,
        "recipients": contacts,
        "purpose": PURPOSES[message.purpose],
        "request_id": f"{reference}-simulated" if simulate else reference,
        **prepared.settings,
    }
    if message.sender is not None:
        body["sender"] = message.sender
    if send_at is not None:
        body["send_at"] = require_future_second(send_at, now).isoformat(timespec="seconds")
    if simulate:
        body["simulation_mode"] = True
    said = None if isinstance(message, Voicemail) else message.text
    endpoint = "sms-campaign/send" if isinstance(message, SmsMessage) else "voice-campaign/send"
    return ApiRequest(
        endpoint=endpoint,
        method="POST",
        path=endpoint,
        safe_to_repeat=False,
        body=body,
        private=_private_texts(said or "", prepared.personal.text, contacts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMessage:
    """What all batches of a message share, checked."""

    template: TextTemplate
    personal: PersonalText
    settings: Mapping[str, Any]
    compiled: CompiledMessage | None


@once_a_message
def prepare(message: Message, recipients_have_fields: bool) -> PreparedMessage:
    """Check a message and take it apart; raises as :func:`check_message`."""
    check_message(message, recipients_have_fields)
    template = _template(message)
    return PreparedMessage(
        template=template,
        personal=personalise(template, argument=_text_argument(message)),
        settings=_settings(message),
        compiled=compile_message(message),
    )


def _contacts(
    message: Message, recipients: Sequence[Recipient], prepared: PreparedMessage
) -> list[dict[str, str]]:
    """Return recipients as the service takes them; those that it may refuse are looked at one by one."""
    numbers, personal = phone_numbers_of(recipients), prepared.personal
    if prepared.compiled is None:
        return [{"phone_number": number} for number in numbers]
    try:
        columns = columns_of(recipients, personal.names)
        doubtful: Iterable[int] = prepared.compiled.doubtful(columns)
    except KeyError:  # It is said who lacks what.
        columns, doubtful = {}, range(len(recipients))
    names = ("phone_number", *(personal.names[name] for name in columns))
    rows = zip(numbers, *columns.values(), strict=True)
    contacts = [dict(zip(names, row, strict=True)) for row in rows]
    for at in doubtful:
        contacts[at] = _contact_at(at + 1, message, recipients[at], prepared.template, personal)
    return contacts


def _contact_at(
    position: int, message: Message, recipient: Recipient, template: TextTemplate, personal: PersonalText
) -> dict[str, str]:
    """Return one recipient as the service takes it; an error names the recipient's position, from 1."""
    problem: InvalidArgumentError
    try:
        return contact_of(message, recipient, template, personal)
    except InvalidArgumentError as error:
        problem = error
    raise InvalidArgumentError("to", f"recipient {position} {problem.problem}")


def _private_texts(text: str, sent: str, contacts: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Return what must not show up in an error: the text in both spellings, and personal fields long enough to tell."""
    values = {
        value
        for contact in contacts
        for name, value in contact.items()
        if name != "phone_number" and len(value) >= _SHORTEST_SECRET
    }
    return tuple(dict.fromkeys([text, sent, *sorted(values)]))
