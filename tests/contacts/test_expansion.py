"""``@names`` among recipients: in texts, lists, dicts and rows; everybody once, and all else as it was."""

from __future__ import annotations

from collections import namedtuple
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_voicepartner.contacts.expansion import expand, names_anybody
from airflow_provider_voicepartner.contacts.names import (
    defined_names,
    name_of,
    read_name,
    references_in,
    shown_names,
)
from airflow_provider_voicepartner.contacts.validation import read_directory
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.recipients.source import ListSource

ANNE, BRUNO, CHLOE = "+33612345601", "+33612345602", "+33612345603"
PLAIN = "0612345609"
DATA = {
    "people": {"anne": {"phone": ANNE}, "bruno": {"phone": BRUNO}, "chloe": {"phone": [CHLOE, "0142685308"]}},
    "groups": {"team": {"members": ["anne", "bruno"]}},
    "rotas": {"oncall": {"members": ["bruno"], "hand_over": "09:00", "start": "2026-01-05"}},
}
DIRECTORY = read_directory(DATA)
NOW = datetime(2026, 1, 6, tzinfo=UTC)


def expanded(to: Any, **options: Any) -> Any:
    return expand(
        to,
        lambda reference: DIRECTORY.people_of(name_of(reference), NOW),
        lambda name: DIRECTORY.numbers_of(name, "sms"),
        **options,
    )


Row = namedtuple("Row", ["first_name", "mobile"])


class TestExpanding:
    @pytest.mark.parametrize(
        ("to", "expected"),
        [
            ("@anne", [ANNE]),
            (" @ANNE ", [ANNE]),
            ("@ anne", [ANNE]),
            ("@oncall", [BRUNO]),
            ("@team", [ANNE, BRUNO]),
            (f"@anne, {PLAIN}; @bruno\n@chloe", [ANNE, PLAIN, BRUNO, CHLOE]),
            (["@anne", PLAIN], [ANNE, PLAIN]),
            (("@team",), [ANNE, BRUNO]),
            ({"phone_number": "@anne", "x": "1"}, [{"phone_number": ANNE, "x": "1"}]),
        ],
    )
    def test_names_become_numbers(self, to: Any, expected: Any) -> None:
        assert expanded(to) == expected

    @pytest.mark.parametrize("to", ["@anne, @team, @oncall, @Anne", ["@team", "@anne", "@bruno"]])
    def test_everybody_comes_once(self, to: Any) -> None:
        assert expanded(to) == [ANNE, BRUNO]

    def test_rows_keep_their_other_fields(self) -> None:
        rows = [{"mobile": "@team", "x": "a"}, {"mobile": PLAIN, "x": "b"}]
        assert expanded(rows, column="mobile") == [
            {"mobile": ANNE, "x": "a"}, {"mobile": BRUNO, "x": "a"}, {"mobile": PLAIN, "x": "b"},
        ]  # fmt: skip

    def test_a_column_may_be_written_otherwise(self) -> None:
        assert expanded([{"Mobile ": "@anne"}], column="mobile") == [{"Mobile ": ANNE}]

    def test_rows_of_a_query(self) -> None:
        assert expanded([("Anne", "@anne"), ("x", PLAIN)], column=1) == [["Anne", ANNE], ("x", PLAIN)]
        assert expanded([("@anne",), (PLAIN,)]) == [[ANNE], (PLAIN,)]
        assert expanded([Row("Anne", "@anne")], column="mobile") == [{"first_name": "Anne", "mobile": ANNE}]

    def test_what_was_expanded_is_read_as_before(self) -> None:
        rows = expanded([{"phone_number": "@team", "x": "a"}, "@chloe"])
        assert [item for _, item in ListSource(rows)] == [*rows]

    @pytest.mark.parametrize(
        "to",
        [
            PLAIN, f"{PLAIN}, {ANNE}", "anne@example.org", [PLAIN], [], None, "", 33612345601, {PLAIN}, b"@anne",
            [{"phone_number": PLAIN, "handle": "@anne"}], [("@anne", PLAIN)], [None, 3], {"x": "@anne"},
        ],
    )  # fmt: skip
    def test_without_a_name_nothing_changes(self, to: Any) -> None:
        assert not names_anybody(to)
        assert expanded(to) is to

    @pytest.mark.parametrize("to", ["@", "@0612345678", "@ a b", ["@+33612345678"]])
    def test_what_can_be_no_name_is_refused_and_not_shown(self, to: Any) -> None:
        with pytest.raises(InvalidArgumentError, match=r"to: .* is no name; a name has") as caught:
            expanded(to)
        assert "12345678" not in str(caught.value)


class TestNames:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("anne", "anne"), ("Anne", "anne"), ("data-team_2", "data-team_2"), ("a" * 40, "a" * 40),
            ("a" * 41, None), ("2nd", None), ("amélie", None), ("", None), ("a.b", None), ("a0612345678", None),
            (3, None), (None, None),
        ],
    )  # fmt: skip
    def test_what_a_name_is(self, text: object, name: str | None) -> None:
        assert read_name(text) == name

    def test_names_that_are_defined(self) -> None:
        assert defined_names(DATA) == {"anne", "bruno", "chloe", "team", "oncall"}
        assert defined_names({"people": {"Anne": 3, "+33": 1}, "groups": 3}) == {"anne"}
        assert defined_names(None) == frozenset()

    @pytest.mark.parametrize(
        ("to", "found"),
        [
            ("@anne, 0612345601, @Team", ["@anne", "@Team"]),
            (["@anne", {"phone_number": "@bruno", "x": "@y"}, 3, ("@team",)], ["@anne", "@bruno", "@team"]),
            ([{"phone_number": "{{ x }}"}, {"phone_number": "@{{ x }}"}, ("@a", "@b")], []),
            ("{{ params.to }}, @anne", ["@anne"]),
            ("@{{ params.who }}, @team-{{ ds }}", []),
            ("{{ ['@anne', '@bruno'] }}", []),
            ("{% if x %}@anne, @bruno{% endif %}", []),
            (None, []),
            (object(), []),
        ],
    )
    def test_names_that_are_known_before_a_template_is_rendered(self, to: Any, found: list[str]) -> None:
        assert list(references_in(to)) == found

    @pytest.mark.parametrize(
        ("to", "shown"),
        [
            ("@anne", "@anne"),
            (" @Anne,@team ", "@anne, @team"),
            (["@anne", "@anne", PLAIN, {"phone_number": "@x"}], "@anne and 2 more (hidden)"),
            (f"{PLAIN}, @anne", "@anne and 1 more (hidden)"),
            ("@0612345678", None),
            (f"@anne, @{PLAIN}", "@anne and 1 more (hidden)"),
            (PLAIN, None),
            ([{"phone_number": PLAIN}], None),
            (None, None),
        ],
    )
    def test_what_the_ui_may_show(self, to: Any, shown: str | None) -> None:
        assert shown_names(to) == shown
