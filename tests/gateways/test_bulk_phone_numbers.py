"""Many numbers at once: whatever is read here is what the reader reads, and the reader decides about the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.bulk_phone_numbers import UNREAD, NumberKeys
from airflow_provider_voicepartner.gateways.numbering_plan import LineType
from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, NumberReader
from tests.support.examples import examples

READER = NumberReader()
CALLED = tuple(line for line in LineType if line.can_be_called)
KEYS = {
    "mobile": NumberKeys(READER, (LineType.MOBILE, LineType.EITHER)),
    "any": NumberKeys(READER, CALLED),
}
LINES = {"mobile": (LineType.MOBILE, LineType.EITHER), "any": CALLED}


def e164(text: str, lines: tuple[LineType, ...]) -> int | None:
    try:
        number = READER.read(text)
    except InvalidNumberError:
        return None
    return int(number.e164[1:]) if number.line_type in lines else None


heads = st.sampled_from(
    ["060", "061", "068", "073", "078", "012", "059", "0269", "0262", "0263", "0639", "0690", "0691", "0692", "0693",
     "0694", "0696", "0697", "0708", "0709", "080", "0836", "089", "0939", "0947", "0976", "0590", "0594", "0596"]
)  # fmt: skip
befores = st.sampled_from(
    ["0", "0", "0", "+33", "0033", "33", "+330", "+33(0)", "00330", "+590", "+262", "00594", "+596", "+44", "+0", "00"]
)  # fmt: skip
damage = st.sampled_from(
    ["", "", "", "", "O", "+", "\u202f", "\n", "\r", "\n\n", "_", "\x00", "é", "8" * 30, "1" * 400, "٣", "\ud800",
     " \t", "²"]
)  # fmt: skip


@st.composite
def written(draw: st.DrawFn) -> str:
    digits = (draw(heads)[1:] + draw(st.text("0123456789", min_size=8, max_size=10)))[
        : draw(st.integers(7, 10))
    ]
    separator = draw(st.sampled_from(["", " ", ".", "-"]))
    text = draw(befores) + separator.join(digits[at : at + 2] for at in range(0, len(digits), 2))
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(damage) + text[at:]


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(written() | st.text(max_size=14), max_size=30), st.sampled_from(["mobile", "any"]))
def test_many_at_once_are_read_as_one_by_one(texts: list[str], line: str) -> None:
    keys = KEYS[line].read(texts)
    assert len(keys) == len(texts)
    for text, key in zip(texts, keys, strict=True):
        assert key == UNREAD or key == e164(text, LINES[line]), text


@pytest.mark.parametrize(
    "text",
    [
        "0612345678",
        "06 12 34 56 78",
        "+33612345678",
        "0033 6.12.34.56.78",
        "+33 (0)6 12 34 56 78",
        "0690123456",
    ],
)
def test_usual_spellings_need_no_second_look(text: str) -> None:
    assert KEYS["any"].read([text] * 3) == [e164(text, CALLED)] * 3


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "x",
        "+",
        "++",
        "0612345678\n",
        "\n",
        "6" * 25,
        "6" * 400,
        "6" * 5000,
        "-",
        "O612345678",
        "06+12345678",
        "_",
    ],
)
def test_one_odd_text_does_not_touch_the_others(odd: str) -> None:
    good = "0612345678"
    assert KEYS["any"].read([good, odd, good]) == [33612345678, UNREAD, 33612345678]
    assert KEYS["any"].read([odd]) == [UNREAD]
    assert KEYS["any"].read([odd] * 60 + [good]) == [UNREAD] * 60 + [33612345678]


@pytest.mark.parametrize(
    ("text", "line", "is_read"),
    [
        ("0123456789", "mobile", False),
        ("0123456789", "any", True),
        ("0912345678", "mobile", False),
        ("0912345678", "any", True),
        ("0899123456", "any", False),
        ("0800123456", "any", False),
        ("0820123456", "any", False),
        ("0806123456", "any", False),
    ],
)
def test_only_wanted_lines_are_read(text: str, line: str, is_read: bool) -> None:
    assert (KEYS[line].read([text]) != [UNREAD]) is is_read


def test_outside_of_the_french_plan_all_is_for_the_reader() -> None:
    assert NumberKeys(NumberReader("CH"), CALLED).read(["079 123 45 67", "+33612345678"]) == [UNREAD, UNREAD]


def test_nonsense_fills_no_memory() -> None:
    keys = NumberKeys(READER, CALLED)
    keys.read([f"{number:012d}" for number in range(0, 10**11, 10**7)])
    assert len(keys._by_three) + len(keys._by_five) < 25_000
    assert keys.read([]) == []
