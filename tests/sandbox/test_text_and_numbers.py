from __future__ import annotations

from datetime import date, datetime

import pytest

from airflow_provider_voicepartner.sandbox.clock import PARIS
from airflow_provider_voicepartner.sandbox.hours import easter, next_opening, refusal_code
from airflow_provider_voicepartner.sandbox.numbers import country_of, may_get_sms, national, to_international
from airflow_provider_voicepartner.sandbox.text import octopush_parts, smspartner_losses, smspartner_parts


@pytest.mark.parametrize(
    ("text", "unicode", "parts"),
    [
        ("x" * 160, False, 1),
        ("x" * 161, False, 2),
        ("x" * 306, False, 2),
        ("x" * 307, False, 3),
        ("x" * 158 + ":br:", False, 1),
        ("x" * 159 + ":br:", False, 2),
        ("x" * 159 + ":euro:", False, 2),
        ("œ" * 80, False, 1),
        ("~" * 500, False, 1),
        ("é" * 70, True, 1),
        ("é" * 71, True, 2),
        ("😀" * 35, True, 1),
        ("😀" * 36, True, 2),
    ],
)
def test_smspartner_counts_sms(text: str, unicode: bool, parts: int) -> None:
    assert smspartner_parts(text, unicode=unicode) == parts


def test_smspartner_names_what_would_be_lost_without_unicode() -> None:
    assert smspartner_losses("hé 😀 ok Ж") == ["Ж", "😀"]


@pytest.mark.parametrize(
    ("text", "optimize", "parts"),
    [
        ("x" * 160, True, 1),
        ("x" * 1224, True, 8),
        ("€" * 80, True, 1),
        ("€" * 81, True, 2),
        ("ê" * 160, True, 1),
        ("ê" * 70, False, 1),
        ("ê" * 71, False, 2),
        ("ê" * 127, False, 3),
    ],
)
def test_octopush_counts_sms(text: str, optimize: bool, parts: int) -> None:
    assert octopush_parts(text, optimize=optimize) == parts


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("0612345678", "+33612345678"),
        ("+33612345678", "+33612345678"),
        ("0033612345678", "+33612345678"),
        ("+447911123456", "+447911123456"),
        ("+3361234567", None),
        ("06 12 34 56 78", None),
        ("612345678", None),
        ("+0612345678", None),
        ("06123x5678", None),
        ("", None),
        ("+33612345678\n", None),
    ],
)
def test_numbers(given: str, number: str | None) -> None:
    assert to_international(given) == number


def test_landlines_get_no_sms() -> None:
    assert not may_get_sms("+33123456789")
    assert may_get_sms("+33712345678")
    assert may_get_sms("+447911123456")


def test_countries() -> None:
    assert country_of("+33612345678") == ("33", "fr")
    assert country_of("+262692123456") == ("262", "re")
    assert country_of("+995123456789")[1] == "zz"
    assert national("+33612345678") == "0612345678"


@pytest.mark.parametrize(
    ("year", "day"), [(2024, date(2024, 3, 31)), (2026, date(2026, 4, 5)), (2031, date(2031, 4, 13))]
)
def test_easter(year: int, day: date) -> None:
    assert easter(year) == day


@pytest.mark.parametrize(
    ("moment", "code", "opens"),
    [
        (datetime(2031, 5, 6, 12, tzinfo=PARIS), None, None),
        (datetime(2031, 5, 6, 20, tzinfo=PARIS), 22, datetime(2031, 5, 7, 8, tzinfo=PARIS)),
        (datetime(2031, 5, 6, 7, 59, tzinfo=PARIS), 22, datetime(2031, 5, 6, 8, tzinfo=PARIS)),
        (datetime(2031, 5, 4, 12, tzinfo=PARIS), 23, datetime(2031, 5, 5, 8, tzinfo=PARIS)),
        (datetime(2031, 5, 7, 21, tzinfo=PARIS), 22, datetime(2031, 5, 9, 8, tzinfo=PARIS)),
    ],
)
def test_french_marketing_hours(moment: datetime, code: int | None, opens: datetime | None) -> None:
    assert refusal_code(moment) == code
    if opens is not None:
        assert next_opening(moment) == opens
