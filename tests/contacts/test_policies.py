"""Escalation policies as users write them: read as far as they can be used, and every mistake has its place."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.policy import By, Policy, QuietHours, Step
from airflow_provider_voicepartner.contacts.policy_reading import read_duration
from airflow_provider_voicepartner.contacts.reading import read_text
from airflow_provider_voicepartner.contacts.targets import last_resort_targets, targets_of
from airflow_provider_voicepartner.contacts.validation import read_directory
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from tests.support.tasks import CALM

NOW = datetime(2026, 1, 6, tzinfo=UTC)

PEOPLE = """
last_resort = "chloe"
[people.anne]
phone = "0612345601"
language = "fr"
[people.bruno]
phone = ["0612345602", "0142685308"]
[people.landline]
phone = "0142685309"
[people.chloe]
phone = "0612345603"
[groups.team]
members = ["bruno", "landline"]
[rotas.oncall]
members = ["anne", "bruno"]
hand_over = "Monday 09:00"
start = 2026-01-05
"""
NIGHT = """
[policies.Night]
steps = [
  { who = "@oncall", by = "sms", wait = "5m" },
  { who = ["Anne", "@team"], by = "Call", wait = "1h30m" },
]
repeat = 2
last_resort = ["bruno"]
acknowledged_for = "2h"
quiet_hours = "22:00-07:00"
time_zone = "Europe/Paris"
sms = "sms_eu"
call = "calls"
"""


def read(text: str) -> Directory:
    return read_directory(tomllib.loads(PEOPLE + text))


def test_a_policy_is_read() -> None:
    directory = read(NIGHT)
    assert directory.problems == ()
    assert directory.policy("NIGHT") == Policy(
        name="night",
        steps=(Step(("oncall",), By.SMS, 300.0), Step(("anne", "team"), By.CALL, 5400.0)),
        repeat=2,
        last_resort=("bruno",),
        acknowledged_for=7200.0,
        quiet_hours=QuietHours(time(22), time(7), ZoneInfo("Europe/Paris")),
        sms="sms_eu",
        call="calls",
    )


def test_yaml_has_only_texts_and_says_the_same() -> None:
    text = "people: {anne: {phone: 0612345601}}\n"
    text += "policies:\n  night:\n    repeat: 1\n    acknowledged_for: never\n    sms: a\n"
    text += "    steps:\n      - {who: '@anne', by: sms, wait: 30s}\n"
    directory = read_directory(read_text(text))
    assert directory.problems == ()
    policy = directory.policy("night")
    assert (policy.repeat, policy.acknowledged_for, policy.steps) == (
        1,
        None,
        (Step(("anne",), By.SMS, 30.0),),
    )
    assert policy.call is None  # nobody is called, so no connection for calls is needed


def test_a_policy_is_nobody_who_can_be_messaged() -> None:
    directory = read(NIGHT + "[policies.broken]\n")
    assert {"night", "broken"}.isdisjoint(directory.names)


def test_an_unknown_policy_is_refused_with_one_that_is_like_it() -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"policy.*'nigth' is no policy of the contacts; did you mean 'nig"
    ):
        read(NIGHT).policy("nigth")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('who = "@oncall"', 'who = "@oncal"', "policies.night.steps[1].who: '@oncal' is not in the contacts; did you"),
        ('who = "@oncall", ', "", "policies.night.steps[1].who: is missing; write a name such as"),
        ('who = "@oncall"', 'who = "+33612345601"', "policies.night.steps[1].who: '+336••••••01' is no name; a name"),
        ('"sms", wait', '"fax", wait', "policies.night.steps[1].by: 'fax' is no way to page somebody; write"),
        ('"5m"', "300", "policies.night.steps[1].wait: '300' is no duration; write such as"),
        ('"5m"', '"5s"', "policies.night.steps[1].wait: '5s' is not between 30 and 86400 seconds; correct it"),
        ('by = "sms"', 'bye = "sms"', "policies.night.steps[1].'bye': is no key that is known; did you mean 'by'?"),
        ("repeat = 2", "repeat = 11", "policies.night.repeat: '11' is no whole number from 0 to 10; correct it"),
        ("repeat = 2", "repeat = true", "policies.night.repeat: 'True' is no whole number from 0 to 10"),
        ('["bruno"]', '["oncall"]', "policies.night.last_resort: 'oncall' is a rota; name people or groups"),
        ('"2h"', '"2 weeks"', "policies.night.acknowledged_for: '2 weeks' is no duration; write such as"),
        ('"22:00-07:00"', '"22-7"', "policies.night.quiet_hours: '22-7' are no hours; write such as"),
        ('"22:00-07:00"', '"07:00-07:00"', "policies.night.quiet_hours: '07:00-07:00' are no hours"),
        ('"Europe/Paris"', '"Paris"', "policies.night.time_zone: 'Paris' is no time zone"),
        ('"sms_eu"', '"sms eu!"', "policies.night.sms: 'sms eu!' is no connection id"),
        ('sms = "sms_eu"', "", "policies.night.sms: is missing or wrong, and steps are by \"sms\"; give the id"),
        ("repeat", "repeats", "policies.night.'repeats': is no key that is known; did you mean 'repeat'?"),
        ("[policies.Night]", "[policies.9]", "policies.'9': is no name; a name has up to"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place(old: str, new: str, expected: str) -> None:
    assert NIGHT.count(old) >= 1
    problems = list(map(str, read(NIGHT.replace(old, new, 1)).problems))
    assert problems[0].startswith(expected)
    assert "0612345601" not in "".join(problems)
    assert "12345601" not in "".join(problems)


def test_a_step_with_a_mistake_leaves_the_others() -> None:
    directory = read(NIGHT.replace('"@oncall"', '"@nobody"'))
    assert directory.policy("night").steps == (Step(("anne", "team"), By.CALL, 5400.0),)


@pytest.mark.parametrize("entry", ["steps = []", "steps = 'x'", "steps = [3]", "", "steps = [{}]"])
def test_a_policy_without_a_step_still_has_its_last_resort(entry: str) -> None:
    directory = read(f"[policies.night]\nlast_resort = 'anne'\nsms = 'a'\ncall = 'b'\n{entry}")
    assert directory.problems
    assert directory.policy("night").steps == ()
    assert directory.policy("night").last_resort == ("anne",)
    assert directory.policy("night").ways == (By.SMS, By.CALL)


@pytest.mark.parametrize("value", ["x", 3, ["a"], {"night": 3}, {"night": {"steps": [[]]}}, {3: {}}])
def test_tables_that_are_none_are_mistakes(value: Any) -> None:
    assert read_directory({"policies": value}).problems


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), (" 5 min ", 300), ("1h", 3600), ("1h30m", 5400), ("1H 5S", 3605), ("", None),
     ("5", None), ("m", None), ("-5m", None), ("5m5h", None), (5, None), (None, None), ("٥m", 300)],
)  # fmt: skip
def test_durations(text: object, seconds: float | None) -> None:
    assert read_duration(text) == seconds


steps = st.builds(
    Step,
    st.lists(st.sampled_from(["anne", "team", "oncall"]), min_size=1).map(tuple),
    st.sampled_from(By),
    st.floats(30, 86400),
)
policies = st.builds(
    Policy,
    name=st.just("night"),
    steps=st.lists(steps, max_size=4).map(tuple),
    repeat=st.integers(0, 10),
    last_resort=st.lists(st.just("anne"), max_size=1).map(tuple),
    acknowledged_for=st.none() | st.floats(30, 1e6),
    quiet_hours=st.none()
    | st.builds(
        QuietHours,
        st.times().map(lambda at: at.replace(second=0, microsecond=0)),
        st.just(time(7)),
        st.just(ZoneInfo("Europe/Paris")),
    ),
    sms=st.none() | st.just("a"),
    call=st.none() | st.just("b"),
)


@given(policies)
@CALM
def test_a_policy_is_the_same_after_json(policy: Policy) -> None:
    assert Policy.from_json(json.loads(json.dumps(policy.to_json()))) == policy


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "steps", "who", "by", "wait", "repeat", "last_resort", "quiet_hours", "sms", "night"]), inner, max_size=4)
), max_leaves=12))  # fmt: skip
@CALM
def test_whatever_stands_there_is_read_or_is_a_mistake(value: Any) -> None:
    directory = read_directory({"policies": {"night": value}})
    assert directory.problems
    assert directory.policies.get("night", Policy(name="night")).steps == ()


class TestQuietHours:
    night = QuietHours(time(22), time(7), ZoneInfo("Europe/Paris"))

    @pytest.mark.parametrize(
        ("at", "end"),
        [
            ("2026-01-05T21:59:59+01:00", None),
            ("2026-01-05T22:00:00+01:00", "2026-01-06T07:00:00+01:00"),
            ("2026-01-06T06:59:59+01:00", "2026-01-06T07:00:00+01:00"),
            ("2026-01-06T07:00:00+01:00", None),
            # The clock goes back at 3:00, so this night has an hour more, and in spring one less.
            ("2026-10-24T22:30:00+02:00", "2026-10-25T07:00:00+01:00"),
            ("2026-03-28T22:30:00+01:00", "2026-03-29T07:00:00+02:00"),
        ],
    )
    def test_they_end_by_the_clock_on_the_wall(self, at: str, end: str | None) -> None:
        expected = None if end is None else datetime.fromisoformat(end).timestamp()
        assert self.night.end_of(datetime.fromisoformat(at).timestamp()) == expected

    def test_those_of_one_day(self) -> None:
        noon = QuietHours(time(12), time(14), ZoneInfo("UTC"))
        assert noon.end_of(datetime(2026, 1, 5, 13, tzinfo=UTC).timestamp()) == (
            datetime(2026, 1, 5, 14, tzinfo=UTC).timestamp()
        )
        assert noon.end_of(datetime(2026, 1, 5, 23, tzinfo=UTC).timestamp()) is None


class TestTargets:
    def test_names_become_numbers_once(self) -> None:
        found = targets_of(read(""), ["oncall", "anne", "bruno"], "sms", NOW)
        assert [(one.person, one.phone_number, one.language) for one in found.reached] == [
            ("anne", "+33612345601", "fr"),
            ("bruno", "+33612345602", None),
        ]
        assert found.problems == ()
        assert "345601" not in repr(found)

    def test_whoever_has_no_number_is_said_and_the_others_are_paged(self) -> None:
        found = targets_of(read(""), ["team"], "sms", NOW)
        assert [one.person for one in found.reached] == ["bruno"]
        assert found.problems == ("of @team landline cannot be paged: no number for this kind",)

    @pytest.mark.parametrize("name", ["landline", "gone"])
    def test_a_name_that_leads_to_nobody_falls_to_the_last_resort(self, name: str) -> None:
        found = targets_of(read(""), [name], "sms", NOW)
        assert [one.person for one in found.reached] == ["chloe"]
        assert "the last resort is paged instead: chloe" in found.problems[0]

    def test_the_last_resort_of_a_policy_or_of_all(self) -> None:
        directory = read("")
        assert [one.person for one in last_resort_targets(directory, ["anne"], "sms").reached] == ["anne"]
        assert [one.person for one in last_resort_targets(directory, [], "sms").reached] == ["chloe"]
        assert [one.person for one in last_resort_targets(directory, ["gone"], "sms").reached] == ["chloe"]
