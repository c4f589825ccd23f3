"""Contacts as users write them: what is right is read, what is wrong is named with its place, no number is shown."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime, time

import pytest

from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.reading import read_text
from airflow_provider_voicepartner.contacts.rota import HandOver, Override
from airflow_provider_voicepartner.contacts.validation import read_directory
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

NOW = datetime(2026, 1, 6, tzinfo=UTC)

GOOD = """
last_resort = "bruno"

[people.anne]
phone = "06 12 34 56 01"
call = "+33142685308"
language = "fr"
time_zone = "Europe/Paris"
name = "Anne Martin"

[people.Bruno]
phone = ["+33612345602", "01 42 68 53 08"]

[groups.data-team]
members = ["anne", "bruno"]

[rotas.oncall]
members = ["anne", "bruno"]
hand_over = "Monday 09:00"
start = 2026-01-05
last_resort = ["data-team"]
overrides = [
  { from = 2026-01-06T18:00:00, until = 2026-01-07T09:00:00+01:00, who = "bruno" },
  { from = 2026-02-01, until = 2026-02-02, who = "bruno" },
]
holidays = [{ day = 2026-12-25, who = "bruno" }, { days = [2027-01-01, 2027-05-01], who = "anne" }]
"""

TEAM = 'members = ["anne", "bruno"]\n\n'
IN_TURN = 'members = ["anne", "bruno"]\nh'


def read(text: str) -> Directory:
    return read_directory(tomllib.loads(text))


def problems(text: str) -> list[str]:
    return list(map(str, read(text).problems))


def one_problem(text: str) -> str:
    [problem] = problems(text)
    return problem


class TestWhatIsRight:
    def test_everything_is_read(self) -> None:
        directory = read(GOOD)
        assert directory.problems == ()
        anne, bruno = directory.people["anne"], directory.people["bruno"]
        assert (anne.full_name, anne.language, anne.time_zone) == ("Anne Martin", "fr", "Europe/Paris")
        assert anne.numbers("sms") == ("+33612345601",)
        assert anne.numbers("tts") == anne.numbers("voicemail") == ("+33142685308",)
        assert bruno.numbers("sms") == ("+33612345602",)
        assert bruno.numbers("tts") == ("+33612345602", "+33142685308")
        assert directory.groups == {"data-team": ("anne", "bruno")}
        assert directory.last_resort == ("bruno",)
        rota = directory.rotas["oncall"]
        assert (rota.members, rota.hand_over, rota.start, rota.zone.key) == (
            ("anne", "bruno"), HandOver(time(9), 0), date(2026, 1, 5), "Europe/Paris",
        )  # fmt: skip
        assert rota.overrides == (
            Override(datetime(2026, 1, 6, 17, tzinfo=UTC), datetime(2026, 1, 7, 8, tzinfo=UTC), "bruno"),
            # A day alone counts whole.
            Override(datetime(2026, 1, 31, 23, tzinfo=UTC), datetime(2026, 2, 2, 23, tzinfo=UTC), "bruno"),
        )
        assert rota.holidays == {
            date(2026, 12, 25): "bruno",
            date(2027, 1, 1): "anne",
            date(2027, 5, 1): "anne",
        }

    def test_yaml_says_the_same_without_quotes(self) -> None:
        directory = read_directory(
            read_text(
                "people:\n  anne:\n    phone: 0612345601\nrotas:\n  oncall:\n    members: [anne]\n"
                "    hand_over: 10:00\n    start: 2026-01-05\n    time_zone: UTC\n"
                "    overrides:\n      - {from: 2026-01-06T18:00, until: '2026-01-07', who: anne}\n"
            )
        )
        assert directory.problems == ()
        assert directory.people["anne"].phones == ("+33612345601",)
        assert directory.rotas["oncall"].hand_over == HandOver(time(10))
        assert directory.rotas["oncall"].overrides == (
            Override(datetime(2026, 1, 6, 18, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC), "anne"),
        )

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Monday 09:00", HandOver(time(9), 0)),
            ("sun 9:30", HandOver(time(9, 30), 6)),
            ("  23:59 ", HandOver(time(23, 59))),
        ],
    )
    def test_hand_overs(self, text: str, expected: HandOver) -> None:
        directory = read(GOOD.replace("Monday 09:00", text))
        assert directory.rotas["oncall"].hand_over == expected

    def test_no_contacts_are_no_mistake(self) -> None:
        assert read_directory({}) == Directory()


class TestMistakes:
    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ('"06 12 34 56 01"', '"06 12 34 56"', "people.anne.phone: '06 1•••••56' "),
            ('"06 12 34 56 01"', "612345601", "people.anne.phone: is of type int, which loses a leading 0"),
            ('["+33612345602", "01 42 68 53 08"]', '["+33612345602", "x"]', "people.bruno.phone[2]: '•' has "),
            ('["+33612345602", "01 42 68 53 08"]', "[]", "people.bruno.phone: is missing; give a number"),
            ('"+33142685308"', '"0899 12 34 56"', "people.anne.call: '0899•••••••56' is a special number"),
            ('"fr"', '"de"', "people.anne.language: 'de' is not one of fr, en"),
            ('"Europe/Paris"', '"Paris"', "people.anne.time_zone: 'Paris' is no time zone; give one such as"),
            ('"Anne Martin"', "3", "people.anne.name: is no text"),
            ("language", "langage", "people.anne.'langage': is no key that is known; did you mean 'language'?"),
            ("[people.Bruno]", "[people.'+33612345603']", "people.'+336••••••03': is no name; a name has up to"),
            ('last_resort = "bruno"', 'last_resort = "brno"', "last_resort: 'brno' is no person and no group; did"),
            ('last_resort = "bruno"', 'last_resort = "oncall"', "last_resort: 'oncall' is no person and no group"),
            (TEAM, 'members = ["ane"]\n\n', "groups.data-team.members[1]: 'ane' is not in people; did you m"),
            (TEAM, "members = 'anne'\n\n", "groups.data-team.members: is no list of names"),
            (IN_TURN, 'members = ["data-team"]\nh', "rotas.oncall.members[1]: 'data-team' is a group or a rota"),
            ("Monday 09:00", "Mo 9", "rotas.oncall.hand_over: 'Mo 9' is not understood; write \"Monday 09:00\""),
            ("Monday 09:00", "Monday 24:00", "rotas.oncall.hand_over: 'Monday 24:00' is not understood"),
            ("start = 2026-01-05", "", "rotas.oncall.start: is missing; write one such as 2026-01-05"),
            ("start = 2026-01-05", "start = 2026-01-05T09:00:00", "rotas.oncall.start: "),
            ("until = 2026-02-02", "until = 2026-01-01", "rotas.oncall.overrides[2].until: is not after from"),
            ("until = 2026-02-02", "til = 2026-01-01", "rotas.oncall.overrides[2].'til': is no key that is known"),
            ("[2027-01-01, 2027-05-01]", "[2026-12-25]", "rotas.oncall.holidays[2].days: 2026-12-25 is a holiday"),
            ("[groups.data-team]", "[groups.anne]", "groups.anne: has the name of people.anne"),
        ],
    )  # fmt: skip
    def test_each_is_named_with_its_place(self, old: str, new: str, expected: str) -> None:
        assert old in GOOD
        found = problems(GOOD.replace(old, new))
        assert [problem for problem in found if problem.startswith(expected)], found

    def test_every_mistake_is_found(self) -> None:
        text = GOOD.replace("06 12 34 56 01", "x").replace("Monday", "Mittwoch").replace('"fr"', '"de"')
        assert len(problems(text)) >= 3

    @pytest.mark.parametrize(
        ("old", "new", "where"),
        [
            ("until = 2026-02-02", "until = 9999-12-31", "overrides[2].until: "),
            ("until = 2026-02-02", "until = 9999-12-31T23:59:59-08:00", "overrides[2].until: "),
            ("from = 2026-02-01", "from = 0001-01-01", "overrides[2].from: "),
            ("day = 2026-12-25", "day = 9999-12-31", "holidays[1].day: "),
            ("day = 2026-12-25", 'day = "0001-01-01"', "holidays[1].day: "),
            ("start = 2026-01-05", "start = 9999-12-31", "start: "),
        ],
    )
    def test_a_day_that_python_cannot_reckon_with_concerns_only_its_rota(
        self, old: str, new: str, where: str
    ) -> None:
        directory = read(GOOD.replace(old, new))
        [problem] = map(str, directory.problems)
        assert problem.startswith(f"rotas.oncall.{where}")
        assert "of the years 1900 to 2999; write one such as" in problem
        assert directory.people_of("data-team", NOW) == ("anne", "bruno")
        directory.known_people_of("oncall", NOW)

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("{ day = 2026-12-25", "{ days = [], day = 2026-12-25", "holidays[1].days: '[]' is no day"),
            (
                "{ day = 2026-12-25",
                "{ days = [2026-12-24], day = 2026-12-25",
                "holidays[1]: has both day and days",
            ),
            (
                "[2027-01-01, 2027-05-01]",
                "[2027-01-01, 2027-01-01]",
                "holidays[2].days: 2027-01-01 is a holiday of this rota already",
            ),
            ('"Monday 09:00"', "09:00:30", "hand_over: '09:00:30' is not understood"),
        ],
    )
    def test_nothing_of_a_rota_is_dropped_without_a_word(self, old: str, new: str, expected: str) -> None:
        assert f"rotas.oncall.{expected}" in "; ".join(problems(GOOD.replace(old, new)))

    @pytest.mark.parametrize(
        "data", [None, [], "anne", 3, {"people": []}, {"people": {"anne": "0612345601"}}]
    )
    def test_what_is_no_table_is_said_to_be_none(self, data: object) -> None:
        [problem, *_] = read_directory(data).problems
        assert "is no table" in str(problem)

    def test_names_that_differ_in_capitals_are_the_same(self) -> None:
        text = '[people.anne]\nphone = "0612345601"\n[people.Anne]\nphone = "0612345602"\n'
        assert "is there twice" in one_problem(text)

    def test_no_number_is_ever_shown(self) -> None:
        number = "0612345678"
        data = {
            number: 1,
            "people": {
                number: {},
                "anne": {"phone": [number + "9", int(number), {number: number}], number: 1},
            },
            "groups": {"team": {"members": [number], number: 1}},
            "rotas": {
                "oncall": {
                    "members": [number],
                    "hand_over": number,
                    "start": number,
                    "time_zone": number,
                    "overrides": [{"from": number, "until": number, "who": number}, number],
                    "holidays": [{"day": number, "who": number}],
                    "last_resort": number,
                }
            },
            "last_resort": [number],
        }
        directory = read_directory(data)
        assert len(directory.problems) > 12
        assert not re.search(
            r"6\D*1\D*2\D*3\D*4\D*5", f"{directory!r} {[str(one) for one in directory.problems]}"
        )

    def test_nothing_shows_the_numbers_of_people(self) -> None:
        shown = repr(read(GOOD))
        assert "612345601" not in shown
        assert "612345602" not in shown
        assert "42685308" not in shown


class TestWhatAMistakeConcerns:
    def test_a_person_with_a_wrong_number_leaves_the_others_alone(self) -> None:
        directory = read(GOOD.replace("06 12 34 56 01", "06 12"))
        assert directory.people_of("bruno", NOW) == ("bruno",)
        for name in ("anne", "data-team", "oncall"):
            with pytest.raises(InvalidArgumentError, match=r"people\.anne\.phone: .*contacts check"):
                directory.people_of(name, NOW)

    def test_an_unknown_name_is_refused_with_those_like_it(self) -> None:
        with pytest.raises(
            InvalidArgumentError, match="to: @ane is not in the contacts; did you mean 'anne'"
        ):
            read(GOOD).people_of("ane", NOW)

    def test_a_rota_means_who_is_on_call(self) -> None:
        assert read(GOOD).people_of("oncall", NOW) == ("anne",)
        assert read(GOOD).people_of("oncall", datetime(2026, 1, 6, 20, tzinfo=UTC)) == ("bruno",)
        assert read(GOOD).people_of("oncall", datetime(2026, 1, 12, 8, tzinfo=UTC)) == ("bruno",)

    def test_somebody_without_a_mobile_cannot_get_an_sms(self) -> None:
        directory = read('[people.anne]\nphone = "0142685308"\n')
        assert directory.numbers_of("anne", "tts") == ("+33142685308",)
        with pytest.raises(
            InvalidArgumentError, match=r"@anne has no number that can receive an SMS; .*people\.anne"
        ):
            directory.numbers_of("anne", "sms")

    def test_a_rota_has_its_own_last_resort_and_else_the_contacts(self) -> None:
        directory = read(GOOD)
        assert directory.last_resort_of("oncall") == ("anne", "bruno")
        assert directory.last_resort_of("anne") == directory.last_resort_of(None) == ("bruno",)
