"""Numbers as people and gateways write them; everything is held against phonenumbers asked the long way."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import time

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import numbering_plan
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.phone_numbers import (
    InvalidNumberError,
    LineType,
    NumberReader,
    parse_number,
    read_wire_number,
    shared_country_code,
)
from tests.support.examples import examples
from tests.support.phone_numbers import (
    NARROW,
    NBSP,
    THIN,
    answer,
    answer_or_reason,
    ask_library,
    damaged_numbers,
    garbage,
    heads,
    reader_without_tables,
    written_numbers,
)


@pytest.mark.parametrize(
    ("text", "e164", "region", "line"),
    [
        ("0612345678", "+33612345678", "FR", "mobile"),
        ("0756781234", "+33756781234", "FR", "mobile"),
        ("0123456789", "+33123456789", "FR", "landline"),
        ("0912345678", "+33912345678", "FR", "voip"),
        ("0800123456", "+33800123456", "FR", "other"),
        ("0806123456", "+33806123456", "FR", "other"),
        ("0899123456", "+33899123456", "FR", "other"),
        ("0820123456", "+33820123456", "FR", "other"),
        ("+44 56 1234 5678", "+445612345678", "GB", "voip"),
        ("+44 909 8790000", "+449098790000", "GB", "other"),
        ("+800 1234 5678", "+80012345678", "001", "other"),
        ("0690123456", "+590690123456", "GP", "mobile"),
        ("0691250000", "+590691250000", "GP", "mobile"),
        ("0709012345", "+590709012345", "GP", "mobile"),
        ("0692123456", "+262692123456", "RE", "mobile"),
        ("0693123456", "+262693123456", "RE", "mobile"),
        ("0694123456", "+594694123456", "GF", "mobile"),
        ("0696123456", "+596696123456", "MQ", "mobile"),
        ("0697123456", "+596697123456", "MQ", "mobile"),
        ("0639091234", "+262639091234", "YT", "mobile"),
        ("0708401234", "+508708401234", "PM", "mobile"),
        ("0590123456", "+590590123456", "GP", "landline"),
        ("0590271234", "+590590271234", "BL", "landline"),
        ("0262123456", "+262262123456", "RE", "landline"),
        ("0269612345", "+262269612345", "YT", "landline"),
        ("0594301234", "+594594301234", "GF", "landline"),
        ("0596501234", "+596596501234", "MQ", "landline"),
        ("+590 690 12 34 56", "+590690123456", "GP", "mobile"),
        ("590690123456", "+590690123456", "GP", "mobile"),
        ("00262692123456", "+262692123456", "RE", "mobile"),
        ("0033612345678", "+33612345678", "FR", "mobile"),
        ("0033(0)612345678", "+33612345678", "FR", "mobile"),
        ("+33 (0)6 12 34 56 78", "+33612345678", "FR", "mobile"),
        ("(+33) 6 12 34 56 78", "+33612345678", "FR", "mobile"),
        ("33612345678", "+33612345678", "FR", "mobile"),
        ("06.12.34.56.78", "+33612345678", "FR", "mobile"),
        ("06-12-34-56-78", "+33612345678", "FR", "mobile"),
        ("06/12/34/56/78", "+33612345678", "FR", "mobile"),
        ("(06) 12.34.56.78", "+33612345678", "FR", "mobile"),
        ("\t 06\t12 34 56 78 \r\n", "+33612345678", "FR", "mobile"),
        (f"06{NBSP}12{NARROW}34{THIN}56{NBSP}78", "+33612345678", "FR", "mobile"),
        ("06‑12–34—56−78", "+33612345678", "FR", "mobile"),
        ("\u202a+33 6 12 34 56 78\u202c", "+33612345678", "FR", "mobile"),
        ("\ufeff0612345678", "+33612345678", "FR", "mobile"),
        ("＋３３６１２３４５６７８", "+33612345678", "FR", "mobile"),
        ("+1 202 555 0123", "+12025550123", "US", "either"),
        ("+44 (0)7400 123456", "+447400123456", "GB", "mobile"),
        ("00 677 40123", "+67740123", "SB", "landline"),
        ("0041 79 123 45 67", "+41791234567", "CH", "mobile"),
        ("+39 06 1234 5678", "+390612345678", "IT", "landline"),
    ],
)
def test_reads_what_people_write(text: str, e164: str, region: str, line: str) -> None:
    number = parse_number(text)
    assert (number.e164, number.region, number.line_type) == (e164, region, line)
    assert answer_or_reason(reader_without_tables(), text) == tuple(number)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \u00a0 ", "is empty"),
        ("()-", "no digits"),
        ("O612345678", "letters"),
        ("06123456l8", "letters"),
        ("0800 FLOWERS", "letters"),
        ("tel:0612345678", "letters"),
        ("Ж612345678", "letters"),
        ("0612345678 ext 5", "extension"),
        ("0612345678 ext. 5", "extension"),
        ("+33612345678;ext=5", "extension"),
        ("0612345678x5", "extension"),
        ("0612345678 poste 12", "extension"),
        ("0612345678#5", "extension"),
        ("0612345678#", "extension"),
        ("٠٦١٢٣٤٥٦٧٨", "digits other than 0 to 9"),
        ("061234567８٣", "digits other than 0 to 9"),
        ("0612345²78", "digits other than 0 to 9"),
        ("06123\x0045678", "control characters"),
        ("0612\n345678", "control characters"),
        ("++33612345678", "more than one +"),
        ("+33+612345678", "more than one +"),
        ("06+12345678", "not at its start"),
        ("+0612345678", "a + before a national number"),
        ("06_12_34_56_78", "the character '_'"),
        ("*0612345678", "the character '*'"),
        ("0612345678,0712345678", "the character ','"),
        ("612345678", "no leading 0"),
        ("6.12346E+08", "rounded by a spreadsheet"),
        ("6,12346E+08", "rounded by a spreadsheet"),
        ("3.36123E10", "rounded by a spreadsheet"),
        ("612345678.0", "ends in .0"),
        ("33612345678.0", "ends in .0"),
        ("3361234567.0", "ends in .0"),
        ("3639", "has 4 digits"),
        ("061234567", "has 9 digits"),
        ("06123456789", "has 11 digits"),
        ("0612345678 0612345679", "has 20 digits"),
        ("0612345678 / 0612345679 / 0612345670", "too many for one number"),
        ("0700123456", "not a valid number in FR or its overseas departments"),
        ("+33690123456", "write it with +590"),
        ("0033 639 09 12 34", "write it with +262"),
        ("+336123456789", "not a valid number for its country code"),
        ("+3361234567", "not a valid number for its country code"),
        ("+999123456789", "not a valid number for its country code"),
        (612345678, "is of type int (a number loses its leading 0); write it as text"),
        (6.1e8, "is of type float"),
        (b"0612345678", "is of type bytes"),
        (None, "is of type NoneType"),
        (["0612345678"], "is of type list"),
        ("\ud800", "control characters"),
    ],
)
def test_refuses_with_a_reason_that_names_the_fix(text: object, reason: str) -> None:
    with pytest.raises(InvalidNumberError) as caught:
        parse_number(text)
    assert reason in caught.value.reason
    assert answer_or_reason(reader_without_tables(), text) == caught.value.reason


def test_a_planted_number_is_in_no_reason_and_in_no_repr() -> None:
    for text in (
        "O698765432",
        "0698765432 ext 7",
        "0698765432#",
        "698765432",
        "+33069876543210",
        "0798765432_",
    ):
        with pytest.raises(InvalidNumberError) as caught:
            parse_number(text)
        assert "98765" not in f"{caught.value!r} {caught.value} {caught.value.reason}"
    number = parse_number("0698765432")
    assert number.e164 == "+33698765432"
    assert "98765" not in f"{number!r} {number} {[number]}"
    assert pickle.loads(pickle.dumps(number)) == number


def test_who_can_receive_an_sms() -> None:
    assert {line for line in LineType if line.can_receive_sms} == {LineType.MOBILE, LineType.EITHER}


def test_who_can_be_called() -> None:
    assert set(LineType) - {line for line in LineType if line.can_be_called} == {LineType.OTHER}


def test_other_regions_are_read_by_the_library() -> None:
    assert parse_number("079 123 45 67", region="CH").e164 == "+41791234567"
    assert parse_number("(202) 555-0123", region="US").line_type is LineType.EITHER
    assert parse_number("011 33 6 12 34 56 78", region="US").e164 == "+33612345678"
    with pytest.raises(InvalidNumberError, match="not a valid number in CH"):
        parse_number("12345", region="CH")
    for region in ("GP", "RE", "YT", "MF"):
        assert parse_number("0612345678", region=region).e164 == "+33612345678"
        assert parse_number("0696123456", region=region).e164 == "+596696123456"


@pytest.mark.parametrize("region", ["XX", "fr", "", "France"])
def test_an_unknown_region_is_an_argument_error(region: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"region: .*'FR'"):
        parse_number("0612345678", region=region)


# --- the fast path -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_every_prefix_of_the_plan_is_read_as_the_library_reads_it(step: int) -> None:
    draw = random.Random(20)
    reader = NumberReader()
    for prefix in range(1000, 10000, step):
        text = f"0{prefix}{draw.randrange(100000):05d}"
        assert answer(reader, text) == ask_library(text), prefix


@pytest.mark.parametrize(
    "prefix", ["262", "268", "269", "590", "596", "639", "690", "691", "693", "697", "708", "709"]
)
def test_every_block_where_departments_meet_is_read_as_the_library_reads_it(prefix: str) -> None:
    draw = random.Random(int(prefix))
    reader = NumberReader()
    for block in range(100):
        for tail in ("0000", "9999", f"{draw.randrange(10000):04d}"):
            text = f"0{prefix}{block:02d}{tail}"
            assert answer(reader, text) == ask_library(text), text


@pytest.mark.sampled(2)
@pytest.mark.parametrize("code", ["33", "262", "508", "590", "594", "596"])
def test_every_prefix_of_a_country_code_is_read_as_the_library_reads_it(code: str) -> None:
    draw = random.Random(int(code))
    reader = NumberReader()
    for prefix in range(1000):
        digits = f"{prefix:03d}{draw.randrange(10**6):06d}"
        expected = ask_library(f"+{code}{digits}")
        assert answer(reader, f"+{code}{digits}") == expected, digits
        assert answer(reader, f"00{code} {digits}") == expected, digits
        if prefix >= 100:
            assert answer(reader, f"+{code} (0){digits}") == expected, digits


FAST, SLOW = NumberReader(), reader_without_tables()


@settings(max_examples=examples(1000), deadline=None)
@given(written_numbers() | damaged_numbers() | garbage)
def test_the_fast_path_never_differs_from_the_slow_one(text: str) -> None:
    assert answer_or_reason(FAST, text) == answer_or_reason(SLOW, text)


@settings(max_examples=examples(500), deadline=None)
@given(
    heads,
    st.text("0123456789", min_size=10, max_size=10),
    st.sampled_from(["0", "+33", "+590", "+262", "+594"]),
)
def test_any_well_formed_number_is_read_as_the_library_reads_it(head: str, tail: str, prefix: str) -> None:
    text = prefix + (head[1:] + tail)[:9]
    assert answer(FAST, text) == ask_library(text)


@settings(max_examples=examples(500), deadline=None)
@given(st.one_of(garbage, damaged_numbers(), st.integers(), st.none(), st.floats(), st.binary(max_size=12)))
def test_nothing_but_its_own_error_comes_out(value: object) -> None:
    result = answer_or_reason(FAST, value)
    assert isinstance(result, tuple) or (isinstance(result, str) and result)


def test_patterns_that_look_at_the_last_digits_switch_the_fast_path_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert numbering_plan.tables.__wrapped__().keys() >= {b"0", b"+33", b"0033", b"+590"}
    monkeypatch.setattr(numbering_plan, "_patterns", lambda code, kinds: [r"6\d{7}[0-8]", r"7\d{8}"])
    assert numbering_plan.tables.__wrapped__() == {}


def test_without_tables_the_hints_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering_plan, "tables", dict)
    with pytest.raises(InvalidNumberError, match=r"write it with \+590"):
        NumberReader().read("+33690123456")


def test_a_pattern_is_split_outside_its_parentheses() -> None:
    assert numbering_plan.alternatives(r"1\d{8}|(?:2|3)\d{8}") == [r"1\d{8}", r"(?:2|3)\d{8}"]
    assert numbering_plan.alternatives(r"6(?:9(?:1|2)|3)\d{6}") == [r"6(?:9(?:1|2)|3)\d{6}"]


def test_reading_is_much_faster_than_the_library() -> None:
    draw = random.Random(6)
    rows = [f"06{draw.choice('0124678')}{draw.randrange(10**7):07d}" for _ in range(10_000)]
    reader = NumberReader()
    started = time.process_time()
    for row in rows[:500]:
        number = phonenumbers.parse(row, "FR")
        if phonenumbers.is_valid_number(number):
            phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    slow = (time.process_time() - started) / 500
    started = time.process_time()
    for row in rows:
        reader.read(row)
    fast = (time.process_time() - started) / len(rows)
    # It is more than 20 times; a loaded machine must not fail the tests, a lost fast path must.
    assert slow > 6 * fast


def test_importing_is_cheap() -> None:
    code = (
        "import sys; import airflow_provider_voicepartner.gateways.phone_numbers, "
        "airflow_provider_voicepartner.recipients.lists; "
        "print([name for name in ('phonenumbers', 'airflow', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what gateways write back --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+33612345678", "+33612345678"),
        ("0033612345678", "+33612345678"),
        ("33612345678", "+33612345678"),
        (" 33 6 12 34 56 78 ", "+33612345678"),
        ("0612345678", "+33612345678"),
        ("00612345678", "+33612345678"),
        ("00756781234", "+33756781234"),
        ("0061412345678", "+61412345678"),
        ("00690123456", "+590690123456"),
        ("0690123456", "+590690123456"),
        ("+33690123456", "+590690123456"),
        ("33639091234", "+262639091234"),
        ("590690123456", "+590690123456"),
        ("+262692123456", "+262692123456"),
        ("41791234567", "+41791234567"),
        ("+41 79 123 45 67", "+41791234567"),
        (33612345678, "+33612345678"),
        (612345678, "+33612345678"),
        ("0700123456", "+33700123456"),  # Nobody's, but spelled like a French number.
        ("+33700123456", "+33700123456"),
        ("+99912345678", "+99912345678"),
        ("anonymous", "anonymous"),
        (" 36180 ", "36180"),
        ("36180#", "36180#"),
        ("", ""),
        (None, "None"),
        (True, "True"),
    ],
)
def test_reads_what_gateways_write_back(text: object, e164: str) -> None:
    assert read_wire_number(text) == e164


@settings(max_examples=examples(500), deadline=None)
@given(st.one_of(garbage, written_numbers(), damaged_numbers(), st.integers(), st.none(), st.floats()))
def test_a_wire_number_never_raises_and_stays_what_it_is_when_read_again(value: object) -> None:
    read = read_wire_number(value)
    assert read == str(value).strip() or read.startswith("+")
    assert read_wire_number(read) == read


@settings(max_examples=examples(300), deadline=None)
@given(written_numbers())
def test_a_wire_number_is_what_was_sent(text: str) -> None:
    sent = answer(FAST, text)
    # Nine digits after 00 (New Caledonia) are read as a French number without its country code.
    if sent is not None and len(sent[0]) >= 12:
        for spelling in (sent[0], "00" + sent[0][1:], sent[0][1:]):
            assert read_wire_number(spelling) == sent[0]


def test_a_number_of_thousands_of_digits_is_unreadable() -> None:
    assert read_wire_number(10**5000) == ""


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        (["+33612345678", "+33712345678"], "+33"),
        (["+32470123456"], "+32"),
        (["+352621123456", "+352621123457"], "+352"),
        (["+33612345678", "+32470123456"], None),
        (["+32470123456", "+33612345678"], None),
        (["+12025550123"], None),  # the United States, Canada and many islands
        (["+262692123456"], None),  # Réunion and Mayotte
    ],
)
def test_numbers_of_one_country_share_its_code(numbers: list[str], code: str | None) -> None:
    assert shared_country_code(numbers) == code
