"""A redacted value shows what it is, and never what it holds, wherever Airflow may print it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_provider_voicepartner.operators.redacted import Redacted, redact, reveal

NUMBER = "+33699887766"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (NUMBER, "12 characters (hidden)"), ([NUMBER] * 3, "3 items (hidden)"),
        ({"phone_number": NUMBER}, "1 fields (hidden)"),
        ((NUMBER,), "1 items (hidden)"), (33699887766, "int (hidden)"), (iter([NUMBER]), "list_iterator (hidden)"),
    ],
)  # fmt: skip
def test_it_shows_kind_and_size_only(value: Any, shown: str) -> None:
    hidden = redact(value)
    assert str(hidden) == repr(hidden) == f"{hidden}" == shown
    assert f"{[hidden]} { ({'to': hidden}) }".count("99887766") == 0
    assert reveal(hidden) is value


def test_airflow_stores_the_description_and_not_the_value() -> None:
    from airflow.serialization.helpers import serialize_template_field

    for value in (NUMBER, [NUMBER], {"a": [NUMBER]}):
        stored = json.dumps(serialize_template_field(redact(value), "to"))
        assert "hidden" in stored
        assert "99887766" not in stored


def test_nothing_is_sealed_twice_and_none_stays_none() -> None:
    hidden = redact(NUMBER)
    assert redact(hidden) is hidden
    assert redact(None) is None
    assert reveal(None) is None
    assert reveal(NUMBER) == NUMBER


def test_it_has_the_truth_of_what_it_holds_and_compares_by_it() -> None:
    assert not Redacted([])
    assert Redacted([NUMBER])
    assert Redacted(NUMBER) == NUMBER == Redacted(NUMBER)
    assert Redacted(NUMBER) != Redacted("another")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Redacted(NUMBER))


def test_a_copy_of_a_task_keeps_it_closed() -> None:
    duplicate = copy.deepcopy(Redacted([NUMBER]))
    assert reveal(duplicate) == [NUMBER]
    assert NUMBER not in repr(duplicate)
