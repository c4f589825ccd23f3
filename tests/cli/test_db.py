"""``db upgrade`` and ``db purge``, as a person runs them: what they do, what they say, and how they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.cli.commands import CommandError
from airflow_provider_voicepartner.cli.store import read_age
from airflow_provider_voicepartner.db.engine import connect_store, open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.schema import metadata, rate_limit, rate_slot
from airflow_provider_voicepartner.db.versions import REVISIONS
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus

KEY = of_reference("octopush", "a")
MODULE = [sys.executable, "-m", "airflow_provider_voicepartner"]
AIRFLOW = [str(Path(sys.executable).with_name("airflow")), "voicepartner"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the address that is configured, by the fixture of all tests."""
    (tmp_path / "store.db").unlink()  # which has its tables already
    return f"sqlite:///{tmp_path / 'store.db'}"


def configure(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)


def make_old(url: str) -> None:
    """Make the tables that a store had before there were revisions."""
    store = connect_store(url)
    with store.write() as connection:
        metadata.create_all(connection, tables=[rate_limit, rate_slot])
    store.close()


def fill(url: str) -> DeliveryStore:
    """Keep a report of a very long time ago and one of now."""
    store = open_store(url)
    delivery = DeliveryStore(store)
    with store.read() as connection:
        now = store.now(connection)
    for person, at in (("+33612345671", now - 40 * 86_400), ("+33612345672", now)):
        report = DeliveryReport(
            gateway="octopush", campaign_id=None, phone_number=person, status=DeliveryStatus.DELIVERED
        )
        delivery.write([InboundRecord(key=KEY, event=report, received_at=at)])
    return delivery


def left(delivery: DeliveryStore) -> list[str]:
    return [report.phone_number[-1] for report in delivery.reports([KEY])]


def fails(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that fails; return the one line that it says."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


class TestUpgrade:
    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    def test_says_what_it_did(
        self,
        kind: str,
        url: str,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        if kind == "postgres":
            url = request.getfixturevalue("empty_postgres_url")
            configure(monkeypatch, url)
        make_old(url)
        with pytest.raises(StoreUnavailableError, match="db upgrade"):
            open_store(url)
        main(["db", "upgrade"])
        assert (
            f"was upgraded from tables without a revision to revision {REVISIONS[-1]}"
            in capsys.readouterr().out
        )
        main(["db", "upgrade"])
        assert f"is up to date (revision {REVISIONS[-1]})" in capsys.readouterr().out
        open_store(url).close()

    def test_fills_an_empty_store(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        main(["db", "upgrade"])
        assert "was empty and has its tables now" in capsys.readouterr().out

    def test_without_a_configured_store_it_is_the_file_under_airflows_home(
        self, airflow_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch, "")
        main(["db", "upgrade"])
        assert f"{airflow_home}/voicepartner.db" in capsys.readouterr().out

    def test_refuses_a_newer_store(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        store = open_store(url)
        with store.write() as connection:
            connection.execute(text("UPDATE voicepartner_alembic_version SET version_num = '4711'"))
        assert "newer version" in fails("db", "upgrade", capsys=capsys)

    def test_never_shows_the_password(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for wrong in ("postgresql://user:p4ssword@127.0.0.1:1/x", "mysql://user:p4ssword@x/y", "p4ssword"):
            configure(monkeypatch, wrong)
            for words in (["upgrade"], ["purge", "--older-than", "30d"]):
                assert "p4ssword" not in fails("db", *words, capsys=capsys)


class TestPurge:
    def test_deletes_what_is_older_and_says_how_much(
        self, url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        delivery = fill(url)
        main(["db", "purge", "--older-than", "30d", "--dry-run"])
        assert "Would delete" in (said := capsys.readouterr().out)
        assert "1 delivery reports" in said
        assert left(delivery) == ["1", "2"]
        main(["db", "purge", "--older-than", "30d"])
        assert "Deleted" in (said := capsys.readouterr().out)
        assert "1 delivery reports" in said
        assert left(delivery) == ["2"]

    @pytest.mark.parametrize(
        "age", ["", "30", "d", "-3d", "0d", "1.5d", "30 months", "3d4h", "٣d", "9" * 40 + "d"]
    )
    def test_refuses_nonsense_and_deletes_nothing(
        self, age: str, url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        delivery = fill(url)
        assert "such as 30d or 12h" in fails("db", "purge", f"--older-than={age}", capsys=capsys)
        assert left(delivery) == ["1", "2"]

    def test_of_an_older_store_says_what_to_run(self, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        make_old(url)
        assert "airflow voicepartner db upgrade" in fails("db", "purge", "--older-than=1d", capsys=capsys)

    def test_an_error_that_is_not_ours_is_named_and_not_shown(
        self, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise LookupError("+33612345678")

        fill(url)
        monkeypatch.setattr(DeliveryStore, "purge", fail)
        told = fails("db", "purge", "--older-than=1d", capsys=capsys)
        assert "builtins.LookupError" in told
        assert "+336" not in told


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("45s", timedelta(seconds=45)), ("10m", timedelta(minutes=10)), ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)), ("4W", timedelta(weeks=4)), (" 36500 d ", timedelta(days=36_500)),
    ],
)  # fmt: skip
def test_an_age_is_a_number_and_a_unit(age: str, expected: timedelta) -> None:
    assert read_age(age) == expected


@pytest.mark.parametrize("age", ["36501d", "999999999w"])
def test_an_age_of_more_than_a_hundred_years_is_refused(age: str) -> None:
    with pytest.raises(CommandError, match="hundred years"):
        read_age(age)


def run(command: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *words], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("command", [MODULE, pytest.param(AIRFLOW, marks=pytest.mark.airflow3)])
@pytest.mark.slow
def test_as_a_process(command: list[str], url: str) -> None:
    make_old(url)
    done = run(command, "db", "upgrade")
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"to revision {REVISIONS[-1]}" in done.stdout
    delivery = fill(url)
    done = run(command, "db", "purge", "--older-than", "30d")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Deleted" in done.stdout
    assert left(delivery) == ["2"]
    done = run(command, "db", "purge", "--older-than", "soon")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: --older-than must be" in done.stderr


@pytest.mark.slow
def test_a_url_that_a_command_tells_is_found(url: str) -> None:
    # Airflow 2 asks such a command only where it knows from our metadata that the option is secret.
    environment = {name: value for name, value in os.environ.items() if not name.endswith("STORE_URL")}
    environment["AIRFLOW__VOICEPARTNER__STORE_URL_CMD"] = f"echo {url}"
    done = subprocess.run(
        [*MODULE, "db", "upgrade"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert url in done.stdout, done.stderr[-2000:]
