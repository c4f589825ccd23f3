"""Personal texts: no half names, no field read twice, everything else left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.placeholders import fill_in, placeholders, rename


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Hi {name}, {name} at {hour_2}", ["name", "hour_2"]),
        ("Bonjour {prénom}", ["prénom"]),
        ("{ name } {} {1st} {a-b} {a b}", []),
        ("{{name}}", ["name"]),
        ('{"json": {x}}', ["x"]),
        ("{na\nme}", []),
        ("", []),
    ],
)
def test_names(text, names):
    assert placeholders(text) == names


def test_fill_in():
    assert fill_in("Hi {name}, at {hour}! {name}", {"name": "Ann", "hour": "9h"}) == "Hi Ann, at 9h! Ann"
    assert fill_in("Bonjour {prénom}", {"prénom": "Zoé"}) == "Bonjour Zoé"
    assert fill_in("{} and {1}", {}) == "{} and {1}"


def test_fields_are_not_read_again_nor_as_a_pattern():
    assert fill_in("{a}{b}", {"a": "{b}", "b": r"\g<0>\1"}) == r"{b}\g<0>\1"


def test_fields_that_the_text_does_not_name_do_not_matter():
    assert fill_in("Hi", {"name": "Ann"}) == "Hi"


def test_a_missing_field_is_refused_by_name():
    with pytest.raises(InvalidArgumentError, match=r"^message: needs the field 'name'.*add it") as caught:
        fill_in("secret {name} {hour}", {"hour": "9h"})
    assert "secret" not in str(caught.value)


def test_an_empty_field_is_not_missing():
    assert fill_in("Hi {name}", {"name": ""}) == "Hi "


def test_rename():
    assert rename("{name} {city} {name}", {"name": "ch1"}) == "{ch1} {city} {ch1}"
    assert rename("{a} {b}", {"a": "b", "b": "a"}) == "{b} {a}"


@settings(deadline=None, max_examples=60)
@given(st.text(), st.dictionaries(st.sampled_from(["a", "b_1", "é"]), st.text()))
def test_a_text_without_placeholders_is_left_alone(text, fields):
    if not placeholders(text):
        assert fill_in(text, fields) == text
    whole = fill_in(
        text + "".join("{" + name + "}" for name in fields), fields | dict.fromkeys(placeholders(text), "")
    )
    assert whole.endswith("".join(fields.values()))
