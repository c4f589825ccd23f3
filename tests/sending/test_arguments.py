"""Arguments after rendering: what templates make of them is read, what is wrong is named with the fix."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.arguments import (
    read_choice,
    read_flag,
    read_money,
    read_options,
    read_recipients,
    read_send_again,
    read_send_at,
    read_structure,
    read_text,
)
from tests.support.tasks import CALM

WHEN = datetime(2031, 5, 6, 12, 15, tzinfo=UTC)
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.integers())
    | st.datetimes()
)


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (False, False), ("True", True), (" true\n", True), ("False", False), ("false ", False)],
)
def test_a_flag_is_read_as_templates_write_it(value: object, flag: bool) -> None:
    assert read_flag("dry_run", value) is flag


@pytest.mark.parametrize("value", [None, "", 1, 0, "yes", "1", "None", [], "truefalse"])
def test_what_is_no_flag_is_not_guessed(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^dry_run: .* is not True or False$"):
        read_flag("dry_run", value)


@pytest.mark.parametrize("value", [None, "", "  ", "None"])
def test_no_date_means_at_once(value: Any) -> None:
    assert read_send_at(value) is None


@pytest.mark.parametrize(
    "value",
    [
        WHEN, pendulum.instance(WHEN), "2031-05-06T14:15:00+02:00", "2031-05-06T12:15:00Z", " 2031-05-06 12:15+00:00 ",
        str(WHEN), str(pendulum.instance(WHEN)), WHEN.isoformat(),
    ],
    ids=str,
)  # fmt: skip
def test_aware_dates_are_read_as_airflow_renders_them(value: Any) -> None:
    assert read_send_at(value) == WHEN


@pytest.mark.parametrize(
    "value", ["tomorrow", "06/05/2031 14:15", 1_936_000_000, date(2031, 5, 6), timedelta(1), b"x"], ids=str
)
def test_what_is_no_date_is_refused_with_an_example(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^send_at: .* is not a date.*'2031-05-06T14:15:00\+02:00'"):
        read_send_at(value)


@pytest.mark.parametrize(
    "value", ["2031-05-06T14:15:00", "2031-05-06", datetime(2031, 5, 6, 14, 15)], ids=str
)
def test_a_naive_date_is_refused_since_its_hour_is_ambiguous(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^send_at: .* has no time zone.*add one"):
        read_send_at(value)


@CALM
@given(ANYTHING)
def test_no_date_makes_the_reader_fail_in_another_way(value: Any) -> None:
    try:
        read = read_send_at(value)
    except ConfigurationError:
        return
    assert read is None or read.utcoffset() is not None


@pytest.mark.parametrize(
    ("value", "amount"),
    [("12.50", "12.50"), (12, "12"), (0.1, "0.1"), (Decimal("3.045"), "3.045"), (" 7 ", "7"), (0, "0")],
)
def test_money_is_read_to_the_last_digit(value: Any, amount: str) -> None:
    assert read_money("max_cost", value) == Decimal(amount)


@pytest.mark.parametrize("value", [None, "", " ", "None"])
def test_no_money_is_no_limit(value: Any) -> None:
    assert read_money("max_cost", value) is None


@pytest.mark.parametrize(
    "value", ["ten", "10 EUR", "1,50", -1, "-0.01", "NaN", "Infinity", True, [1], "sNaN"], ids=str
)
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^max_cost: .* is not an amount of money, 0 or more"):
        read_money("max_cost", value)


@CALM
@given(ANYTHING)
def test_no_amount_makes_the_reader_fail_in_another_way(value: Any) -> None:
    try:
        amount = read_money("max_cost", value)
    except ConfigurationError:
        return
    assert amount is None or amount >= 0


def test_a_choice_names_all_that_it_takes() -> None:
    assert read_choice("on_unknown", "resend", ("fail", "resend")) == "resend"
    with pytest.raises(ConfigurationError, match=r"^on_unknown: 'again' is not one of 'fail', 'resend'$"):
        read_choice("on_unknown", "again", ("fail", "resend"))
    with pytest.raises(ConfigurationError, match=r"^purpose: \['alert'\] is not one of"):
        read_choice("purpose", ["alert"], ("alert",))


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_an_empty_text_is_refused_where_one_is_needed(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^message: is empty"):
        read_text("message", value)
    assert read_text("sender", value, needed=False) is None


def test_a_text_of_another_type_is_named_by_its_type_only() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_text("message", {"secret": "planted"})
    assert str(caught.value) == "message: is dict, not text"


@pytest.mark.parametrize("value", [{"gamme": 1}, "{'gamme': 1}", '{"gamme": 1}'], ids=str)
def test_settings_are_read_also_from_the_text_of_a_template(value: Any) -> None:
    assert read_options(value) == {"gamme": 1}


@pytest.mark.parametrize("value", [None, "", "  ", "None", {}])
def test_no_settings_are_no_settings(value: Any) -> None:
    assert read_options(value) == {}


@pytest.mark.parametrize("value", ["gamme=1", [("gamme", 1)], {1: 2}, 7], ids=str)
def test_settings_that_are_no_dict_are_refused_with_an_example(value: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^options: is not a dict of settings, such as \{'is_unicode'"
    ):
        read_options(value)


LISTS = {
    "['+33612345678', '+33612345679']": ["+33612345678", "+33612345679"],
    '["+33612345678"]': ["+33612345678"],
    "('+33612345678',)": ("+33612345678",),
    " [{'phone_number': '+33612345678', 'name': None}]": [{"phone_number": "+33612345678", "name": None}],
    '[{"phone_number": "+33612345678", "name": null}]': [{"phone_number": "+33612345678", "name": None}],
    '{"phone_number": "+33612345678"}': {"phone_number": "+33612345678"},
    "[]": [],
}


@pytest.mark.parametrize("text", LISTS)
def test_a_list_that_a_template_turned_into_text_is_a_list_again(text: str) -> None:
    assert read_recipients(text) == LISTS[text]


@pytest.mark.parametrize(
    "value",
    [
        "+33612345678",
        "0612345678, 0612345679",
        "(0)6 12 34 56 78",
        "(33612345678)",
        "[broken",
        None,
        ["x"],
        "s3://b/p.csv",
    ],
    ids=str,
)
def test_anything_else_is_left_to_whoever_judges_numbers(value: Any) -> None:
    assert read_recipients(value) is value


@CALM
@given(st.text())
@example("{[]: 1}")
@example("[" * 50_000)
@example("\x00")
def test_no_text_makes_a_reader_fail(text: str) -> None:
    read_structure(text)
    read_recipients(text)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        ("", None),
        (" ", None),
        ("None", None),
        ("x", "x"),
        (" x\n", "x"),
        (20310506, "20310506"),
    ],
)
def test_a_wish_to_send_again_is_a_text_and_what_a_template_makes_of_none_is_none(
    given: Any, read: Any
) -> None:
    assert read_send_again(given) == read


@pytest.mark.parametrize("given", [True, False, 1.5, ["x"], {}], ids=repr)
def test_a_wish_to_send_again_that_is_no_text_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^send_again: is \w+, not text"):
        read_send_again(given)
