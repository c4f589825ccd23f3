"""Where contacts are read from, what is known of them while a DAG is parsed, and what an alert falls back on."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.hooks import contacts
from airflow_provider_voicepartner.hooks.contacts import (
    Source,
    check_contact_names,
    known_contacts,
    load_directory,
    read_source,
)

OPTION = "AIRFLOW__VOICEPARTNER__CONTACTS"
TEXT = '[people.anne]\nphone = "+33612345601"\n[groups.team]\nmembers = ["anne"]\n'
YAML = 'people:\n  anne:\n    phone: "+33612345601"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of contacts that is configured."""
    path = tmp_path / "contacts.toml"
    write(path, TEXT)
    monkeypatch.setenv(OPTION, str(path))
    return path


_versions = iter(range(1, 1_000_000))


def write(path: Path, text: str) -> None:
    """Write a file of another date than before, however fast the test is."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (1, next(_versions)))


class TestTheOption:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("/etc/contacts.toml", Source("file", "/etc/contacts.toml")),
            ("/etc/contacts.YAML", Source("file", "/etc/contacts.YAML")),
            ("variable:contacts", Source("variable", "contacts")),
            ("connection: team ", Source("connection", "team")),
            (" ", None),
        ],
    )
    def test_names_a_source(
        self, text: str, expected: Source | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(OPTION, text)
        assert read_source() == expected

    @pytest.mark.parametrize(
        "text", ["contacts.toml", "/etc/contacts.csv", "variable:", "connection: ", "x:y"]
    )
    def test_that_names_nothing_is_refused(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(OPTION, text)
        with pytest.raises(ConfigurationError, match=r"\[voicepartner\] contacts: "):
            read_source()

    def test_contacts_in_place_of_their_name_are_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(OPTION, '{"people": {"anne": {"phone": "0612345601"}}}')
        with pytest.raises(ConfigurationError, match="give the absolute path of a file") as caught:
            read_source()
        assert "12345601" not in str(caught.value)

    def test_a_path_may_begin_at_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/anne")
        monkeypatch.setenv(OPTION, "~/contacts.toml")
        assert read_source() == Source("file", "/home/anne/contacts.toml")


class TestReading:
    def test_a_file(self, file: Path) -> None:
        assert load_directory(Source("file", str(file))).people_of("team", datetime.now(UTC)) == ("anne",)

    @pytest.mark.parametrize(
        "text", [TEXT, YAML, json.dumps({"people": {"anne": {"phone": "+33612345601"}}})]
    )
    def test_a_variable(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_VAR_PEOPLE", text)
        assert set(load_directory(Source("variable", "people")).people) == {"anne"}

    def test_the_extra_of_a_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        extra = {"people": {"anne": {"phone": "+33612345601"}}}
        monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps({"conn_type": "generic", "extra": extra}))
        assert set(load_directory(Source("connection", "people")).people) == {"anne"}

    def test_a_variable_that_is_not_there_may_be_there_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contacts, "_variable_in_metadata", lambda _: None)
        with pytest.raises(RetryableNotSentError, match="the Variable 'nobody' was not found"):
            load_directory(Source("variable", "nobody"))

    def test_a_file_is_read_again_when_it_has_changed(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = Source("file", str(file))
        assert set(load_directory(source).people) == {"anne"}
        with monkeypatch.context() as patch:
            patch.setattr(contacts, "_READERS", {})
            assert set(load_directory(source).people) == {"anne"}
        write(file, TEXT.replace("anne", "dora"))
        assert set(load_directory(source).people) == {"dora"}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"phone = 0612345601", "is no TOML, line 1"),
            (b"\xff", "is no UTF-8"),
            (b"#" * 5_000_001, "is larger than 5,000,000 bytes"),
        ],
    )
    def test_what_cannot_be_read_is_not_shown(self, file: Path, text: bytes, expected: str) -> None:
        file.write_bytes(text)
        with pytest.raises(ConfigurationError, match=expected) as caught:
            load_directory(Source("file", str(file)))
        assert "0612345601" not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None

    def test_a_file_that_is_not_there(self, file: Path) -> None:
        file.unlink()
        with pytest.raises(ConfigurationError, match=r"contacts\.toml.* do not exist on this machine"):
            load_directory(Source("file", str(file)))

    def test_what_a_secrets_backend_says_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(name: str) -> str:
            raise OSError(f"{name} at https://user:planted@host")

        monkeypatch.setattr(contacts, "_READERS", {"variable": fail})
        with pytest.raises(RetryableNotSentError, match="cannot be read now: OSError") as caught:
            load_directory(Source("variable", "people"))
        assert "planted" not in str(caught.value)
        assert caught.value.__context__ is None


class TestParsing:
    @pytest.mark.parametrize(
        "to",
        ["@anne", "@Team, 0612345609", ["@anne"], [{"phone_number": "@anne"}], "0612345609", None, "{{ x }}"],
    )
    def test_names_that_are_there_are_taken(self, file: Path, to: Any) -> None:
        check_contact_names(to)

    @pytest.mark.parametrize(
        ("to", "expected"),
        [
            (
                "@ane",
                r"to: @ane is not in the contacts \(the file '.*contacts\.toml'\); did you mean 'anne'\?",
            ),
            (["@anne", "@nobody-at-all"], "@nobody-at-all is not in .*; add it there"),
            ("@0612345678", "is no name; a name has"),
        ],
    )
    def test_a_name_that_is_not_there_is_refused(self, file: Path, to: Any, expected: str) -> None:
        with pytest.raises(ConfigurationError, match=expected) as caught:
            check_contact_names(to)
        assert "12345678" not in str(caught.value)

    def test_a_name_needs_contacts(self) -> None:
        with pytest.raises(
            ConfigurationError, match=r"@anne is a name .*\[voicepartner\] contacts is not set"
        ):
            check_contact_names("@anne")

    def test_another_column_holds_the_names(self, file: Path) -> None:
        check_contact_names([{"phone_number": "@nobody", "mobile": "@anne"}], "mobile")
        with pytest.raises(ConfigurationError, match="@nobody"):
            check_contact_names([{"phone_number": "@nobody", "mobile": "@anne"}])

    def test_an_entry_with_a_mistake_is_there_all_the_same(self, file: Path) -> None:
        write(file, '[people.anne]\nphone = "06"\n')
        check_contact_names("@anne")

    @pytest.mark.parametrize("text", [None, b"\xff", b"people = [", b"people = " + b"[" * 100_000])
    def test_a_file_that_cannot_be_read_stops_no_dag(
        self, file: Path, text: bytes | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        if text is None:
            file.unlink()
        else:
            file.write_bytes(text)
        check_contact_names("@anne")
        assert "Names in DAGs are not checked" in caplog.text

    @pytest.mark.parametrize("text", ["variable:people", "connection:people"])
    def test_airflow_is_not_asked(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(OPTION, text)
        monkeypatch.setattr(contacts, "_READERS", {})
        check_contact_names("@nobody")

    def test_a_file_is_read_once(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        check_contact_names("@anne")
        with monkeypatch.context() as patch:
            patch.setattr(contacts, "_read_file", None)
            check_contact_names("@anne, @team")
        write(file, TEXT.replace("anne", "dora"))
        with pytest.raises(ConfigurationError):
            check_contact_names("@anne")


class TestForAlerts:
    def test_the_last_good_copy_of_this_process_is_used(self, file: Path) -> None:
        assert known_contacts().problems == ()
        file.write_bytes(b"people = [")
        known = known_contacts()
        assert known.directory is not None
        assert set(known.directory.people) == {"anne"}
        [problem] = known.problems
        assert "is no TOML" in problem
        assert "this process read before" in problem

    def test_without_one_nothing_is_known_but_why(self, file: Path) -> None:
        file.write_bytes(b"people = [")
        known = known_contacts()
        assert known.directory is None
        assert "is no TOML" in known.problems[0]

    def test_without_an_option_nothing_is_known(self) -> None:
        known = known_contacts()
        assert known.directory is None
        assert "[voicepartner] contacts is not set" in known.problems[0]
