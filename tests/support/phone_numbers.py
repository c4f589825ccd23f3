"""Numbers as random tests write them, and what phonenumbers says of them when it is asked the long way."""

from __future__ import annotations

from functools import cache

import phonenumbers
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from airflow_provider_voicepartner.gateways.phone_numbers import (
    InvalidNumberError,
    LineType,
    NumberReader,
)

NBSP, NARROW, THIN = "\u00a0", "\u202f", "\u2009"
OVERSEAS = ("GP", "MQ", "GF", "RE", "YT", "PM")
Answer = tuple[str, str, LineType] | None


def ask_region(text: str, region: str) -> Answer:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    lines = {
        PhoneNumberType.MOBILE: LineType.MOBILE,
        PhoneNumberType.FIXED_LINE: LineType.LANDLINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.EITHER,
        PhoneNumberType.VOIP: LineType.VOIP,
    }
    kind = lines.get(phonenumbers.number_type(number), LineType.OTHER)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164, phonenumbers.region_code_for_number(number) or "", kind


FIXED = (LineType.LANDLINE, LineType.VOIP)


def overseas(national: str) -> Answer:
    """
    Read a national number as one of the overseas departments alone.

    The library gives all of 0976 to GF and much of 0939 to GP, and parts of them to others: whose is least wins.
    """
    found = {ask_region(national, region): region for region in OVERSEAS} | {None: ""}
    del found[None]
    return min(found, key=lambda answer: share(national[:4], answer[0][:4]), default=None)


@cache
def share(head: str, code: str) -> int:
    """Count the blocks behind four digits that the library gives to a country code."""
    blocks = (ask_region(f"{code}{head[1:]}{block:02d}0000", "FR") for block in range(100))
    return sum(found is not None for found in blocks)


@cache
def is_overseas_head(head: str) -> bool:
    """Say whether overseas landlines begin with four digits, such as 0269."""
    blocks = (overseas(f"{head}{block:02d}0000") for block in range(100))
    return any(found is not None and found[2] in FIXED for found in blocks)


def ask_library(text: str) -> Answer:
    """
    Read a national or ``+`` number with the library alone.

    Of landlines and VoIP those of overseas go before +33, of which the library's patterns are coarse, and where one
    landline is overseas, no other that begins alike is +33.
    """
    if text.startswith("0508"):
        return ask_region("+508" + text[4:], "PM") if len(text) == 10 else None
    found = ask_region(text, "FR")
    if found is not None and found[0].startswith("+33") and found[2] in FIXED:
        national = "0" + found[0][3:]
        other = overseas(national)
        is_overseas = other is not None and other[2] in FIXED
        if found[2] is LineType.LANDLINE:
            is_overseas = national[:4] == "0508" or is_overseas_head(national[:4])
        if is_overseas:
            return None if text.startswith("+") else other
    if found is None and not text.startswith("+"):
        return overseas(text)
    return found


def answer(reader: NumberReader, text: str) -> Answer:
    try:
        return tuple(reader.read(text))
    except InvalidNumberError:
        return None


def answer_or_reason(reader: NumberReader, text: object) -> object:
    try:
        return tuple(reader.read(text))
    except InvalidNumberError as error:
        return error.reason


def reader_without_tables(region: str = "FR") -> NumberReader:
    return NumberReader(region, tables={})


separators = st.sampled_from(["", " ", ".", "-", "/", NBSP, NARROW, THIN, "  ", "\t", " - "])


heads = st.sampled_from(
    ["060", "061", "068", "073", "078", "012", "059", "0269", "0262", "0263", "0268", "0639", "0690", "0691", "0692",
     "0693", "0694", "0696", "0697", "0708", "0709", "080", "0836", "089", "0939", "0947", "0976", "0590", "0594",
     "0596", "0598"]
)  # fmt: skip


prefixes = st.sampled_from(
    ["0", "+33", "0033", "33", "+330", "+33(0)", "00330", "+590", "+262", "00594", "+596", "596", "+508", "+687",
     "+44", "+1", "+0", "00", "000"]
)  # fmt: skip


@st.composite
def written_numbers(draw: st.DrawFn) -> str:
    """A number as a form, a phone or a table may hold it; most are valid, some have a digit too many or too few."""
    length = draw(st.sampled_from([9, 9, 9, 9, 9, 9, 8, 10]))
    digits = (draw(heads)[1:] + draw(st.text("0123456789", min_size=10, max_size=10)))[:length]
    separator = draw(separators)
    cut = draw(st.integers(1, 3))
    body = separator.join([digits[:cut], *(digits[at : at + 2] for at in range(cut, len(digits), 2))])
    return draw(prefixes) + draw(st.sampled_from(["", "", " "])) + body


damage = st.sampled_from(
    ["O", "x5", " ext 5", "#", ".0", "E+08", "+", "\u200b", "٣", "８", "\x00", ",", "()", "²", "\n"]
)


@st.composite
def damaged_numbers(draw: st.DrawFn) -> str:
    text = draw(written_numbers())
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(damage) + text[at:]


garbage = st.text(
    st.sampled_from("0123456789+ .-/()xeE#;=,\u00a0\u202f\u00ad８٣\ud800\n"), max_size=24
) | st.text(max_size=30)
