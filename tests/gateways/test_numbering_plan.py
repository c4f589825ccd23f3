"""
Every block of the French numbering plan and every territory, in each spelling, with its right number.

The blocks are those of Arcep's plan (decision 2018-0881 and its changes, where 02 to 05 and 09 of overseas and the
mobile ones are given by territory), and of the territories that have plans of their own.
"""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.gateways.bulk_phone_numbers import UNREAD, NumberKeys
from airflow_provider_voicepartner.gateways.numbering_plan import LineType
from airflow_provider_voicepartner.gateways.phone_numbers import (
    InvalidNumberError,
    NumberReader,
    parse_number,
    read_wire_number,
)

MOBILE, LANDLINE, VOIP, OTHER = LineType.MOBILE, LineType.LANDLINE, LineType.VOIP, LineType.OTHER

# country code, nine digits without their 0, region, line
PLAN = [
    # Landlines of European France, by region of Arcep
    *(("33", f"1{block:02d}123456", "FR", LANDLINE) for block in (30, 39, 42, 53, 60, 64, 69, 70, 75, 80, 85, 89)),
    *(("33", f"2{block:02d}123456", "FR", LANDLINE) for block in (14, 18, 31, 35, 40, 48, 51, 54, 76, 85, 90, 99)),
    *(("33", f"3{block:02d}123456", "FR", LANDLINE) for block in (10, 20, 29, 44, 51, 60, 67, 72, 80, 88, 90)),
    *(("33", f"4{block:02d}123456", "FR", LANDLINE) for block in (11, 22, 34, 42, 50, 66, 72, 78, 81, 91, 99)),
    *(("33", f"5{block:02d}123456", "FR", LANDLINE) for block in (16, 24, 31, 40, 49, 53, 56, 61, 67, 79, 82, 87)),
    # Landlines overseas
    ("262", "262201234", "RE", LANDLINE), ("262", "262901234", "RE", LANDLINE),
    ("262", "263001234", "RE", LANDLINE), ("262", "263101234", "RE", LANDLINE),
    ("262", "269601234", "YT", LANDLINE), ("262", "269611234", "YT", LANDLINE),
    ("590", "590201234", "GP", LANDLINE), ("590", "590911234", "GP", LANDLINE),
    ("590", "590271234", "BL", LANDLINE), ("590", "590771234", "MF", LANDLINE),
    ("594", "594301234", "GF", LANDLINE), ("594", "594251234", "GF", LANDLINE),
    ("596", "596501234", "MQ", LANDLINE), ("596", "596711234", "MQ", LANDLINE),
    # Mobiles
    *(("33", f"6{block}1234567", "FR", MOBILE) for block in (0, 1, 2, 4, 5, 6, 7, 8)),
    ("33", "630123456", "FR", MOBILE), ("33", "638123456", "FR", MOBILE), ("33", "695123456", "FR", MOBILE),
    ("33", "698123456", "FR", MOBILE), ("33", "699123456", "FR", MOBILE),
    ("33", "687751234", "FR", MOBILE), ("33", "681721234", "FR", MOBILE),
    *(("33", f"7{block}1234567", "FR", MOBILE) for block in (3, 4, 5, 6, 7, 8, 9)),
    ("262", "639011234", "YT", MOBILE), ("262", "639691234", "YT", MOBILE),
    ("590", "690123456", "GP", MOBILE), ("590", "691281234", "GP", MOBILE),
    ("262", "692123456", "RE", MOBILE), ("262", "693121234", "RE", MOBILE),
    ("594", "694123456", "GF", MOBILE), ("596", "696123456", "MQ", MOBILE), ("596", "697123456", "MQ", MOBILE),
    ("508", "708401234", "PM", MOBILE), ("590", "709001234", "GP", MOBILE), ("596", "709101234", "MQ", MOBILE),
    ("262", "709201234", "RE", MOBILE), ("594", "709301234", "GF", MOBILE), ("262", "709351234", "YT", MOBILE),
    # Numbers of no place
    *(("33", f"9{block}123456", "FR", VOIP) for block in (50, 51, 52, 53, 54, 67, 69, 70, 72, 74, 75, 77, 78, 80, 87)),
    ("590", "976001234", "GP", VOIP), ("596", "976601234", "MQ", VOIP), ("262", "976221234", "RE", VOIP),
    ("262", "976301234", "RE", VOIP), ("262", "976901234", "YT", VOIP), ("594", "976501234", "GF", VOIP),
    ("590", "939501234", "GP", VOIP), ("596", "939701234", "MQ", VOIP), ("594", "939601234", "GF", VOIP),
    ("262", "939901234", "RE", VOIP), ("262", "939801234", "YT", VOIP),
    ("590", "947501234", "GP", VOIP), ("594", "947601234", "GF", VOIP), ("596", "947701234", "MQ", VOIP),
    ("262", "947901234", "RE", VOIP), ("262", "947801234", "YT", VOIP),
    ("33", "948123456", "FR", VOIP), ("33", "949123456", "FR", VOIP),
    # Special numbers
    *(("33", f"8{block}123456", "FR", OTHER) for block in ("00", "05", "06", "09", "10", "20", "25", "26", "84", "90")),
    *(("33", f"8{block}123456", "FR", OTHER) for block in ("91", "92", "97", "98", "99")),
]  # fmt: skip

# Blocks that are nobody's: not given out, of machines, or of an overseas territory that has not given them out.
NOBODYS = [
    "700123456", "701123456", "720123456", "639511234", "508101234", "508001234", "263901234", "268101234",
    "269991234", "590671234", "590721234", "709991234",
]  # fmt: skip

# Saint-Pierre-et-Miquelon's six digits, 0508 in the national spelling
SHORT = [("411010", LANDLINE), ("551234", MOBILE), ("436789", LineType.EITHER)]

# Territories with plans of their own: as they are written, with the country code before
ABROAD = [
    ("+687 75 12 34", "+687751234", "NC", MOBILE), ("00687 75 12 34", "+687751234", "NC", MOBILE),
    ("+687 25 12 34", "+687251234", "NC", LANDLINE),
    ("+681 82 12 34", "+681821234", "WF", MOBILE), ("00681 72 12 34", "+681721234", "WF", LineType.EITHER),
    ("+689 87 12 34 56", "+68987123456", "PF", MOBILE), ("00689 40 41 23 45", "+68940412345", "PF", LANDLINE),
    ("+377 6 12 34 56 78", "+377612345678", "MC", MOBILE), ("+376 312 345", "+376312345", "AD", MOBILE),
    ("00299 22 12 34", "+299221234", "GL", MOBILE),
]  # fmt: skip

READER = NumberReader()
KEYS = NumberKeys(READER, tuple(LineType))


def spellings(code: str, digits: str) -> list[str]:
    """Return how people write a number of nine digits with its country code."""
    two = " ".join([digits[0], *(digits[at : at + 2] for at in range(1, 9, 2))])
    return [f"+{code}{digits}", f"+{code} {two}", f"+{code} (0){two}", f"00{code}{digits}", f"{code}{digits}",
            f"00{code} {digits[:3]} {digits[3:]}"]  # fmt: skip


def reason(text: str) -> str:
    with pytest.raises(InvalidNumberError) as caught:
        parse_number(text)
    return caught.value.reason


def without_tables(text: str) -> tuple[str, ...] | str:
    """Read a number the long way."""
    reader = NumberReader(tables={})
    try:
        return tuple(reader.read(text))
    except InvalidNumberError as error:
        return error.reason


@pytest.mark.parametrize(("code", "digits", "region", "line"), PLAN)
def test_every_block_in_every_spelling(code: str, digits: str, region: str, line: LineType) -> None:
    right = (f"+{code}{digits}", region, line)
    for text in (f"0{digits}", f"0{digits[0]} {digits[1:]}", *spellings(code, digits)):
        assert tuple(parse_number(text)) == right, text
        assert without_tables(text) == right, text
        assert KEYS.read([text])[0] in (int(code + digits), UNREAD), text
    for text in (f"0{digits}", f"+{code}{digits}", f"00{code}{digits}", f"{code}{digits}"):
        assert read_wire_number(text) == right[0], text


@pytest.mark.parametrize(("code", "digits"), [row[:2] for row in PLAN if row[0] != "33"])
def test_no_number_of_overseas_is_one_of_france(code: str, digits: str) -> None:
    """Behind +33 it is nobody's, and who writes it is told; on the wire it is still the person it was sent to."""
    for text in spellings("33", digits):
        assert (
            reason(text)
            == f"starts with +33 but is an overseas number; write it with +{code}, or as 0 and nine digits"
        )
        assert without_tables(text) == reason(text)
        assert KEYS.read([text]) == [UNREAD]
    for text in (f"+33{digits}", f"0033{digits}", f"33{digits}"):
        assert read_wire_number(text) == f"+{code}{digits}"


@pytest.mark.parametrize("digits", NOBODYS)
def test_what_nobody_has_is_refused_in_every_spelling(digits: str) -> None:
    for text in (f"0{digits}", *spellings("33", digits)):
        assert "is not a valid number" in reason(text), text
        assert without_tables(text) == reason(text), text
        assert KEYS.read([text]) == [UNREAD]


@pytest.mark.parametrize(("digits", "line"), SHORT)
def test_the_six_digits_of_saint_pierre(digits: str, line: LineType) -> None:
    right = (f"+508{digits}", "PM", line)
    two = f"{digits[:2]} {digits[2:4]} {digits[4:]}"
    for text in (
        f"0508{digits}",
        f"05 08 {two}",
        f"+508{digits}",
        f"+508 {two}",
        f"00508{digits}",
        f"508{digits}",
    ):
        assert tuple(parse_number(text)) == right, text
        assert without_tables(text) == right, text
        assert KEYS.read([text])[0] in (int("508" + digits), UNREAD), text
        assert read_wire_number(text) == right[0]
    for text in (f"+33508{digits}", f"+33 5 08 {two}", f"0033508{digits}", f"33508{digits}"):
        assert "write it with +508" in reason(text)
        assert without_tables(text) == reason(text)
        assert read_wire_number(text) == right[0]
    assert parse_number(digits, region="PM").e164 == right[0]
    assert "is not a valid number" in reason(f"+508 508 {two}")


@pytest.mark.parametrize(("text", "e164", "region", "line"), ABROAD)
def test_territories_with_a_plan_of_their_own(text: str, e164: str, region: str, line: LineType) -> None:
    assert tuple(parse_number(text)) == (e164, region, line)
    for written in (e164, "00" + e164[1:], e164[1:]):
        assert read_wire_number(written) == e164, written


def test_a_french_number_without_its_0_is_never_taken_for_one_of_new_caledonia_in_a_list() -> None:
    """It may be either, so nobody is written to; on the wire gateways leave out the +, never the 0 alone."""
    for text in ("687751234", "681721234"):
        assert "has no leading 0" in reason(text)


def test_other_regions_know_what_is_not_of_france_too() -> None:
    assert parse_number("+33612345678", region="BE").e164 == "+33612345678"
    for text in ("+33596501234", "+33508411010", "+33976221234"):
        with pytest.raises(InvalidNumberError, match="is an overseas number"):
            parse_number(text, region="BE")
