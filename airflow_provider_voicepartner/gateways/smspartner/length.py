"""
How long a text is to the gateway: it replaces some characters, then counts 160 to an SMS, and 153 to each part of more.

The table of replaced characters is the vendor's (2024-era docs). Some of its rows are odd (``ä`` becomes ``a``,
although SMS can carry it) and are kept. Where its page shows curly quotes as the outcome, the plain ones of the
alphabet are meant: its site prettifies quotes (inferred). That length is counted *after* replacement is inferred too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil

from airflow_provider_voicepartner.gateways.compiled_message import STANDS_ALONE, STRAY, TextRule
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate

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

    Nothing sends this text: it is for looking at what people will read. Characters outside the vendor's table are shown
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
    the unicode option it is 70, documented, and 67, by the standard: the vendor does not tell (inferred). The
    opt-out mention that ``is_stop_sms`` appends is not counted: its wording and its weight are not documented.

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
