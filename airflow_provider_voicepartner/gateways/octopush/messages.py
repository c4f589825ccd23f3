"""
What Octopush can be asked to say, checked and counted before it is sent: SMS and spoken calls.

Its page on special characters says: a GSM-7 character counts 1, twelve count 2, many accented letters are replaced by
themselves (``auto_optimize_text``), and one character beyond that turns the whole text into unicode, 70 to an SMS and
63 to each part of more. That line ends and tabs count 2 is inferred. Not clear is how much a part of a long GSM-7 text
holds (137 on an old page, 153 inferred from the longest text), and whether other characters than accented letters,
such as curly quotes, are replaced.

Personal texts are filled in by the service: seven fields with fixed names, given with each recipient.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil
from typing import Any, Final
from unicodedata import category, decomposition

from airflow_provider_voicepartner.constants import TEMPLATES_CACHED
from airflow_provider_voicepartner.gateways.compiled_message import (
    STANDS_ALONE,
    CharacterSet,
    CompiledMessage,
    TextRule,
    once_a_message,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gsm import BASIC, EXTENSION, to_gsm7
from airflow_provider_voicepartner.gateways.model import (
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.octopush import INFO
from airflow_provider_voicepartner.gateways.octopush.options import (
    SmsOptions,
    settings_of,
    speaks_other_letters,
)
from airflow_provider_voicepartner.gateways.placeholders import (
    TextTemplate,
    composed,
    read_template,
    shown_name,
    there_are,
)
from airflow_provider_voicepartner.gateways.validation import (
    check_encodable,
    check_own_text,
    check_said,
    check_sender,
    read_options,
)

LONGEST_TEXT: Final = 1224
LONGEST_FIELD: Final = 50
FREE_NAMES: Final = tuple(f"param{number}" for number in range(1, 6))
SERVICE_NAMES: Final = frozenset({"first_name", "last_name", *FREE_NAMES})
_SERVICE_PLACEHOLDER: Final = re.compile(rf"\{{({'|'.join(sorted(SERVICE_NAMES))})\}}")

STOP_MENTION_LENGTH: Final = 14
"""What is appended to a marketing SMS without its mention, on an old page (documented)."""

_SINGLE, _PARTS = 160, (153, 137)
_UNICODE_SINGLE, _UNICODE_PART = 70, 63
_STOP_MENTIONS: Final = ("STOP au XXXXX", "STOP au 30101")

# The last two are GSM-7's own escaped characters, which the page does not list.
_DOUBLE: Final = frozenset("{}[]~^|€&$@¨\n\r\t\\\f")
_KNOWN: Final = BASIC | EXTENSION | _DOUBLE
_PLAIN_ONLY: Final = re.compile(f"[{re.escape(''.join(sorted(BASIC - _DOUBLE)))}]*")
_KNOWN_ONLY: Final = re.compile(f"[{re.escape(''.join(sorted(_KNOWN)))}]*")
_DOUBLED: Final = re.compile(f"[{re.escape(''.join(sorted(_DOUBLE)))}]")
_UNKNOWN: Final = re.compile(f"[^{re.escape(''.join(sorted(_KNOWN)))}]+")

PURPOSES: Final = {"alert": "alert", "marketing": "wholesale"}
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
    settings_of(message)


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
    """Return how many SMS a text takes, in each way to read the vendor's pages; see :func:`readings`."""
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
        settings=settings_of(message),
        compiled=compile_message(message),
    )


@dataclass(frozen=True, slots=True)
class PersonalText:
    """
    A text in the service's own placeholders.

    :param text: with the service's names in it.
    :param names: the user's field name -> the service's name, for the fields that the text uses.
    """

    text: str
    names: Mapping[str, str]


@lru_cache(maxsize=TEMPLATES_CACHED)
def personalise(template: TextTemplate, *, argument: str) -> PersonalText:
    """
    Put a text into the service's placeholders: a name that it does not know takes a free ``param1`` to ``param5``.

    :param template: the text as the user wrote it; the same one is looked at only once.
    :param argument: what the user calls the text, for the error.
    :raises InvalidArgumentError: for more fields than the service has.
    """
    used = template.names
    names = {name: name for name in used if name in SERVICE_NAMES}
    others = [name for name in used if name not in SERVICE_NAMES]
    free = [name for name in FREE_NAMES if name not in names]
    if len(others) > len(free):
        raise InvalidArgumentError(
            argument,
            f"uses {len(others)} fields besides first_name and last_name, and Octopush has room for {len(free)}; use "
            "fewer placeholders, or map one task over the texts",
        )
    names |= dict(zip(others, free, strict=False))
    return PersonalText(template.renamed(names), names)


def check_no_service_name(text: str, *, argument: str) -> None:
    """
    Refuse braces that are meant as they are, and that the service would replace by nothing.

    :param text: what is to be read, with nothing left to fill in.
    :raises InvalidArgumentError: when it holds ``{first_name}`` or another name of the service in braces.
    """
    found = _SERVICE_PLACEHOLDER.search(text)
    if found:
        raise InvalidArgumentError(
            argument,
            f"holds {found.group()} in braces that are to be sent, and Octopush replaces it by a recipient's field; "
            "write it in other words",
        )


def check_joins_as_is(template: TextTemplate, recipient: Recipient, own: str) -> None:
    """
    Refuse a field that is one character with the text next to it: an accent in the one, and its letter in the other.

    The service puts them side by side as they are, which would make the SMS unicode, and cost more than was counted.

    :param own: the recipient's text as it was counted, in NFC.
    :raises InvalidArgumentError: the problem is read after the recipient.
    """
    if own.isascii() or len(own) == template.length_with(recipient.fields):
        return
    raise InvalidArgumentError(
        "to",
        "has a field that begins or ends within a character, such as an accent without its letter; write the whole "
        "character into the field or into the text",
    )


def fields_of(recipient: Recipient, personal: PersonalText) -> dict[str, str]:
    """
    Return one recipient's fields under the service's names, only those that the text uses.

    :raises InvalidArgumentError: for a field that is missing or longer than 50 characters; the problem is read after
        the recipient.
    """
    fields = {}
    for name, service_name in personal.names.items():
        value = recipient.fields.get(name)
        if value is None:
            raise InvalidArgumentError(
                "to",
                f"has no field {shown_name(name)}, which the text needs ({there_are(recipient.fields)}); add it, or "
                "take it out of the text",
            )
        value = composed(value)
        check_encodable(value, argument="to", what=f"has a field {shown_name(name)} that ")
        if len(value) > LONGEST_FIELD:
            raise InvalidArgumentError(
                "to",
                f"has a field {shown_name(name)} with {len(value)} characters; Octopush takes {LONGEST_FIELD}, so "
                "shorten it",
            )
        fields[service_name] = value
    return fields


def _without_accent(character: str) -> str:
    """Return the letter under its accents; the character itself where there is none that GSM-7 has."""
    parts = decomposition(character).split()
    if len(parts) != 2 or "<" in parts[0]:
        return character
    letter = _without_accent(chr(int(parts[0], 16)))
    return letter if letter in BASIC else character


_ACCENTED: Final = {
    code: _without_accent(chr(code))
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
    if chr(code) not in BASIC
}


def readings(text: str, *, optimizes: bool, needs_stop: bool) -> tuple[int, ...]:
    """
    Count the SMS that a text takes, in four ways; each SMS is charged.

    :param text: in NFC, with nothing left to fill in.
    :param optimizes: the vendor replaces letters, its default.
    :param needs_stop: a marketing SMS, which gets the opt-out mention where it has none.
    :returns: the likeliest first: everything that can be is replaced, and a part holds 153.
    """
    extra = STOP_MENTION_LENGTH if needs_stop and needs_mention(text) else 0
    if _PLAIN_ONLY.fullmatch(text):
        return readings_of_length(len(text) + extra)
    spellings = (_all_replaced(text), text.translate(_ACCENTED)) if optimizes else (text, text)
    return tuple(_count(spelling, extra, part) for spelling, part in product(spellings, _PARTS))


@lru_cache(maxsize=2)
def plain_characters(*, optimizes: bool) -> CharacterSet:
    """
    Return the characters that count one in every reading wherever they stand, and that every voice speaks.

    :param optimizes: the vendor replaces letters with accents.
    """
    accented = [
        chr(code)
        for code, letter in _ACCENTED.items()
        if optimizes and letter in BASIC and letter not in _DOUBLE and _all_replaced(chr(code)) == letter
    ]
    return CharacterSet((*(BASIC - _DOUBLE), *accented)) & STANDS_ALONE


def fixed_length(text: str, *, optimizes: bool) -> int | None:
    """Return what a part of a text counts in every reading; None where readings differ, or it is unicode."""
    if not plain_characters(optimizes=optimizes).holds_all_of("".join(c for c in text if c not in _KNOWN)):
        return None
    return len(text) + len(_DOUBLED.findall(text))


def readings_of_length(length: int) -> tuple[int, ...]:
    """Count the SMS that a text of so many characters takes, all of which count the same in every reading."""
    counts = [_linked(length, part) for part in _PARTS]
    return (*counts, *counts)


def needs_mention(text: str) -> bool:
    """Say whether a marketing SMS gets the opt-out mention appended."""
    return not any(said in text for said in _STOP_MENTIONS)


def is_unicode(text: str) -> bool:
    """Say whether a text holds what the vendor calls unicode even after everything that can be was replaced."""
    return not _KNOWN_ONLY.fullmatch(_all_replaced(text))


def _all_replaced(text: str) -> str:
    """Write a text in known characters; it comes back as it is when one cannot be written otherwise."""
    lost = False

    def known(found: re.Match[str]) -> str:
        nonlocal lost
        written = to_gsm7(found.group())
        lost = lost or bool(written.lost)
        return written.text

    replaced = _UNKNOWN.sub(known, text)
    return text if lost else replaced


def _count(text: str, extra: int, part: int) -> int:
    if _KNOWN_ONLY.fullmatch(text):
        return _linked(len(text) + len(_DOUBLED.findall(text)) + extra, part)
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2 + extra
    return 1 if units <= _UNICODE_SINGLE else ceil(units / _UNICODE_PART)


def _linked(units: int, part: int) -> int:
    return 1 if units <= _SINGLE else ceil(units / part)
