"""
What SMS Partner can be asked to say, checked and counted before it is sent.

The gateway replaces some characters, then counts 160 to an SMS, and 153 to each part of more. The table of replaced
characters is the vendor's (2024-era docs). Some of its rows are odd (``ä`` becomes ``a``, although SMS can carry it)
and are used as they are. Where its page shows curly quotes as the outcome, the plain ones of the alphabet are meant:
its site prettifies quotes (inferred). That length is counted *after* replacement is inferred too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from airflow_provider_voicepartner.gateways.compiled_message import (
    STANDS_ALONE,
    STRAY,
    CompiledMessage,
    TextRule,
    once_a_message,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import CallbackUrls, Message, Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, read_template
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.options import (
    Gamme,
    SendSettings,
    SmsOptions,
    check_range,
)
from airflow_provider_voicepartner.gateways.validation import (
    check_encodable,
    check_own_text,
    check_said,
    check_sender,
    read_options,
)

LINE_BREAK = ":br:"
EURO = ":euro:"

MAX_SEGMENTS = 10
"""More is refused with code 52."""

_SINGLE, _LINKED = 160, 153
_UNICODE_SINGLE, _UNICODE_LINKED = 70, 67
_LINE_BREAK_LENGTH = 2
# How many characters ``:euro:`` counts is not documented. In the alphabet of SMS the sign takes two.
_EURO_LENGTH = 2

_REPLACED = str.maketrans(
    {
        "ą": "à",
        **dict.fromkeys("’`“", "'"),
        **dict.fromkeys("«»", '"'),
        "ÿ": "y",
        "ç": "Ç",
        **dict.fromkeys("ûü", "u"),
        **dict.fromkeys("ïî", "i"),
        **dict.fromkeys("ôöó", "o"),
        **dict.fromkeys("ëê", "e"),
        **dict.fromkeys("[{", "("),
        **dict.fromkeys("]}", ")"),
        "µ": "u",
        "ñ": "n",
        "Ñ": "N",
        **dict.fromkeys("ÄÀÁÂÃ", "A"),
        **dict.fromkeys("ÈÊË", "E"),
        "Î": "I",
        **dict.fromkeys("ÜÙÚÛ", "U"),
        "Ý": "Y",
        **dict.fromkeys("äáâã", "a"),
        **dict.fromkeys("ÖÔ", "O"),
        "œ": "oe",
        "°": ".",
        **dict.fromkeys("^~|\\¨§", ""),
    }
)

# What is replaced by more or less than one character, what may be part of a mark, and what no text may hold.
_PLAIN = STANDS_ALONE.without(("\r", "\n", "€", ":", "œ", "^", "~", "|", "\\", "¨", "§", *STRAY))
_OPEN_MARK = re.compile(r":(?:b|br|e|eu|eur|euro)?\Z")
SAY_SOMETHING = "write what is to be said"

_STOP = "STOP"


def check_message(message: Message, recipients_have_fields: bool) -> None:
    """
    Refuse a message that the gateway would refuse, before anything is sent.

    A text whose placeholders will be filled in is measured without them here, and as filled in when its batch is built.

    :param message: an SMS.
    :param recipients_have_fields: True when recipients carry personal fields; without, placeholders are refused.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    sms = as_sms(message)
    options = options_of(sms)
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
    sms = as_sms(message)
    options = options_of(sms)
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


def as_sms(message: Message) -> SmsMessage:
    if not isinstance(message, SmsMessage):
        raise InvalidArgumentError(
            "message",
            f"{INFO.label} sends SMS only, not {message.kind}; use a connection of another gateway for it",
        )
    return message


def segments_of(message: Message, text: str) -> tuple[int]:
    """Return how many SMS a text takes, see :func:`segments`; an appended STOP mention is not counted."""
    return (segments(text, is_unicode=options_of(message).is_unicode),)


@once_a_message
def options_of(message: Message) -> SmsOptions:
    return read_options(SmsOptions, message.options)


@once_a_message
def compile_message(message: Message) -> CompiledMessage | None:
    """
    Work a message out for many recipients; one that :func:`check_message` takes.

    :returns: None where all get the same text.
    """
    sms = as_sms(message)
    options = options_of(sms)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMessage:
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
def prepare(message: Message, recipients_have_fields: bool) -> PreparedMessage:
    """Check a message and take it apart; raises as :func:`check_message`."""
    sms = as_sms(message)
    check_message(sms, recipients_have_fields)
    options = options_of(sms)
    return PreparedMessage(
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


def _stop_mention(sms: SmsMessage, options: SmsOptions) -> bool:
    if options.is_stop_sms is not None:
        return options.is_stop_sms
    return sms.purpose == "marketing" and options.gamme is not Gamme.LOW_COST


def check_text(text: str, *, is_unicode: bool = False, low_cost: bool = False) -> None:
    """
    Check a text: not empty, and at most 10 linked SMS (code 52), or a single one in the Low Cost range (code 42).

    :param is_unicode: counted 70 and 67 to an SMS.
    """
    check_encodable(text, argument="message")
    check_said(text, argument="message", fix=SAY_SOMETHING)
    allowed = 1 if low_cost else MAX_SEGMENTS
    if segments(text, is_unicode=is_unicode) > allowed:
        limit = longest_text(is_unicode=is_unicode, segments=allowed)
        over = text_length(text, is_unicode=is_unicode) - limit
        reason = "a Low Cost SMS" if low_cost else f"{MAX_SEGMENTS} linked SMS"
        raise InvalidArgumentError(
            "message",
            f"is {over} characters too long: {reason} takes {limit} as the gateway counts them; shorten it",
        )


def wire_text(text: str) -> str:
    """
    Write a text as it goes out: line breaks as ``:br:`` and euro signs as ``:euro:``, both documented by the vendor.

    :param text: as the user wrote it; everything else in it stays as it is.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", LINE_BREAK).replace("€", EURO)


def wire_texts(texts: Sequence[str]) -> Sequence[str]:
    """Write many texts as :func:`wire_text` does; the same list where nothing in them changes."""
    together = "".join(texts)
    if any(character in together for character in "\r\n€"):
        return list(map(wire_text, texts))
    return texts


def replaced_text(text: str) -> str:
    """
    Show what is left of a text after the gateway replaced what it does not send without the unicode option.

    Nothing sends this text: it shows what recipients will read. Characters outside the vendor's table are shown
    unchanged; what becomes of those that SMS cannot carry (emoji, Greek small letters) is not documented.

    :param text: as the user wrote it.
    """
    return text.translate(_REPLACED)


def text_length(text: str, *, is_unicode: bool = False) -> int:
    """
    Count a text's characters as the gateway does.

    :param text: as the user wrote it, or as it goes out.
    :param is_unicode: count UTF-16 units of the unchanged text, as a unicode SMS carries them (an emoji takes two).
    """
    text = wire_text(text)
    breaks, euros = text.count(LINE_BREAK), text.count(EURO)
    rest = text.replace(LINE_BREAK, "").replace(EURO, "")
    marks = breaks * _LINE_BREAK_LENGTH + euros * (1 if is_unicode else _EURO_LENGTH)
    return marks + (_utf16_units(rest) if is_unicode else len(replaced_text(rest)))


def text_rule(template: TextTemplate, *, is_unicode: bool, most_segments: int) -> TextRule | None:
    """
    Say how long texts of plain characters are, and how long they may be.

    :returns: None where a field may complete a mark such as ``:br:``, so that its letters count otherwise.
    """
    written = [wire_text(part).replace(LINE_BREAK, "") for part in template.literals]
    later = ""
    for before, literal in zip(reversed(written[:-1]), reversed(template.literals), strict=False):
        later += wire_text(literal)
        if ":" in later and _OPEN_MARK.search(before):
            return None
    if any(part.endswith("\r") for part in template.literals):
        return None
    return TextRule(
        plain=_PLAIN,
        fixed=sum(text_length(part, is_unicode=is_unicode) for part in template.literals),
        longest=longest_text(is_unicode=is_unicode, segments=most_segments),
    )


def segments(text: str, *, is_unicode: bool = False) -> int:
    """
    Count the SMS that a text takes; each is charged.

    Up to 160 characters are one SMS and a longer text takes one for each 153 begun, as documented by the vendor. With
    the unicode option it is 70, documented, and 67, by the standard: the vendor does not say (inferred). The
    opt-out mention that ``is_stop_sms`` appends is not counted: its wording and its length are not documented.

    :param text: as the user wrote it, or as it goes out; an empty one counts as one SMS.
    :param is_unicode: with the unicode option.
    """
    return segments_of_length(text_length(text, is_unicode=is_unicode), is_unicode=is_unicode)


def segments_of_length(length: int, *, is_unicode: bool = False) -> int:
    """Count the SMS that a text of so many characters takes; see :func:`segments`."""
    single, linked = (_UNICODE_SINGLE, _UNICODE_LINKED) if is_unicode else (_SINGLE, _LINKED)
    return 1 if length <= single else ceil(length / linked)


def longest_text(*, is_unicode: bool = False, segments: int = MAX_SEGMENTS) -> int:
    """Return how many characters fit into so many SMS."""
    single, linked = (_UNICODE_SINGLE, _UNICODE_LINKED) if is_unicode else (_SINGLE, _LINKED)
    return single if segments == 1 else linked * segments


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
