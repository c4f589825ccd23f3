"""``oncall`` and ``contacts``, as somebody runs them: names and times, every mistake, and no number."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from airflow_provider_voicepartner.__main__ import main

OPTION = "AIRFLOW__VOICEPARTNER__CONTACTS"
TEXT = """
last_resort = "bruno"

[people.anne]
phone = "0612345601"
name = "Anne Martin"

[people.bruno]
phone = "0612345602"

[rotas.OnCall]
members = ["anne", "bruno"]
hand_over = "Monday 09:00"
start = 2026-01-05
holidays = [{ day = 2026-12-25, who = "bruno" }]
"""
ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:x
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
SUMMARY:{who}
DTSTART:20260106T180000Z
DTEND:20260107T080000Z
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of contacts that is configured."""
    path = tmp_path / "contacts.toml"
    path.write_text(TEXT, encoding="utf-8")
    path.chmod(0o640)
    monkeypatch.setenv(OPTION, str(path))
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(words)
    return capsys.readouterr().out


def failed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 1
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    return told.out, told.err


class TestOnCall:
    @pytest.mark.parametrize(
        ("at", "expected"),
        [
            (
                "2026-01-06T12:00",
                "oncall: anne (Anne Martin), until Mon 2026-01-12 09:00 Europe/Paris, then bruno\n",
            ),
            (
                "2026-01-12T08:00:00+00:00",
                "oncall: bruno, until Mon 2026-01-19 09:00 Europe/Paris, then anne (Anne Martin)\n",
            ),
            (
                "2026-12-25T10:00",
                "oncall: bruno for the holiday, until Sat 2026-12-26 00:00 Europe/Paris, then anne (Anne Martin)\n",
            ),
        ],
    )
    def test_says_who_until_when_and_who_is_next(
        self, at: str, expected: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert said(capsys, "oncall", "--at", at) == expected
        assert said(capsys, "oncall", "@OnCall", "--at", at) == expected

    def test_now(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert said(capsys, "oncall").startswith("oncall: ")

    def test_nobody_is_next_after_one_person(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text(TEXT.replace('["anne", "bruno"]', '["anne"]'), encoding="utf-8")
        at = "2027-01-06T12:00"
        assert said(capsys, "oncall", "--at", at) == "oncall: anne (Anne Martin); nobody else is next\n"

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["oncal"], "ROTA: 'oncal' is no rota of the contacts (the file"),
            (["--at", "tomorrow"], "--at: is no time"),
            (["--at", "9999-12-31"], "--at: is no time"),
        ],
    )
    def test_what_is_not_understood(
        self, words: list[str], expected: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert expected in failed(capsys, "oncall", *words)[1]

    def test_without_contacts(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "[voicepartner] contacts is not set" in failed(capsys, "oncall")[1]


class TestCheck:
    def test_without_a_mistake(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = said(capsys, "contacts", "check")
        assert "contacts.toml'): 2 people, 0 groups, 1 rotas, 0 policies; no mistakes.\n" in out
        assert "last_resort" not in out

    def test_a_missing_last_resort_is_told(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text(TEXT.replace('last_resort = "bruno"', ""), encoding="utf-8")
        assert "There is no last_resort" in said(capsys, "contacts", "check")

    @pytest.mark.parametrize("sms", [True, False])
    def test_a_policy_by_which_nobody_is_told_who_has_it_is_told(
        self, file: Path, capsys: pytest.CaptureFixture[str], sms: bool
    ) -> None:
        steps = '\n[policies.night]\nsteps = [{ who = "@bruno", by = "call", wait = "5m" }]\ncall = "calls"\n'
        file.write_text(TEXT + steps + ('sms = "texts"\n' if sms else ""), encoding="utf-8")
        is_told = "policies.night.sms is not set: nobody is told" in said(capsys, "contacts", "check")
        assert is_told is not sms

    def test_every_mistake_is_listed(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        wrong = TEXT.replace("0612345601", "061234560").replace("Monday", "Lundi")
        file.write_text(wrong, encoding="utf-8")
        out, err = failed(capsys, "contacts", "check")
        assert "people.anne.phone: '0612•••60' " in out
        assert "rotas.oncall.hand_over: 'Lundi 09:00' is not understood" in out
        assert "have 2 mistakes" in err
        assert "12345" not in out

    def test_a_file_that_cannot_be_read(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file.write_text("phone = 0612345601", encoding="utf-8")
        assert "is no TOML, line 1; correct it" in failed(capsys, "contacts", "check")[1]


class TestCalendars:
    def test_what_is_exported_says_what_the_contacts_say(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "oncall.ics"
        assert "Wrote 8 weeks of oncall" in said(
            capsys, "contacts", "export", "--weeks", "8", "--out", str(path)
        )
        assert path.read_text("utf-8").count("BEGIN:VEVENT") in (8, 9, 10, 11)
        assert "123456" not in path.read_text("utf-8")
        assert "says of oncall what the contacts say" in said(capsys, "contacts", "import", str(path))

    def test_a_calendar_is_shown_unless_a_file_is_named(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert said(capsys, "contacts", "export", "oncall").startswith("BEGIN:VCALENDAR")

    def test_overrides_are_shown(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "new.ics").write_text(ICS.format(who="Bruno"), encoding="utf-8")
        assert said(capsys, "contacts", "import", str(tmp_path / "new.ics")) == (
            "[[rotas.OnCall.overrides]]\nfrom = 2026-01-06T19:00:00+01:00\n"
            'until = 2026-01-07T09:00:00+01:00\nwho = "bruno"\n'
        )
        assert file.read_text("utf-8") == TEXT

    def test_overrides_are_written_once(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "new.ics").write_text(ICS.format(who="Bruno"), encoding="utf-8")
        words = "contacts", "import", str(tmp_path / "new.ics"), "--write"
        assert "Added 1 overrides of oncall" in said(capsys, *words)
        assert file.read_text("utf-8").startswith(TEXT.rstrip())
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert "oncall: bruno by an override" in said(capsys, "oncall", "--at", "2026-01-06T20:00")
        assert "says of oncall what the contacts say" in said(capsys, *words)
        assert sorted(path.name for path in tmp_path.glob(".contacts*")) == []

    def test_a_wrong_event_keeps_everything_from_being_written(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "new.ics").write_text(ICS.format(who="Karl"), encoding="utf-8")
        _, err = failed(capsys, "contacts", "import", str(tmp_path / "new.ics"), "--write")
        assert "event 1 ('Karl', 2026-01-06T18:00:00+00:00): is nobody's name" in err
        assert file.read_text("utf-8") == TEXT

    def test_a_list_in_brackets_is_left_to_the_user(
        self, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = TEXT.replace(
            "holidays", 'overrides = [{ from = 2026-03-01, until = 2026-03-01, who = "anne" }]\nholidays'
        )
        file.write_text(text, encoding="utf-8")
        (tmp_path / "new.ics").write_text(ICS.format(who="Bruno"), encoding="utf-8")
        _, err = failed(capsys, "contacts", "import", str(tmp_path / "new.ics"), "--write")
        assert "cannot be appended" in err
        assert file.read_text("utf-8") == text

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (("import", "missing.ics"), "missing.ics: cannot be read: No such file"),
            (("export", "--weeks", "0"), "--weeks: is 0; give a whole number from 1 to 520"),
            (("export", "--out", "/dev/null/x.ics"), "/dev/null/x.ics: cannot be written"),
        ],
    )
    def test_what_cannot_be_done(
        self, words: tuple[str, ...], expected: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert expected in failed(capsys, "contacts", *words)[1]

    def test_without_the_library(
        self, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_voicepartner.cli.contacts.find_spec", lambda _: None)
        assert "[icalendar]" in failed(capsys, "contacts", "export")[1]
