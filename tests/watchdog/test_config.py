"""The watchdog's configuration: what can be written, and what is said of a mistake."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.contacts.directory import Directory, Person
from airflow_provider_voicepartner.contacts.policy import By, Policy, Step
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.watchdog.config import Dags, Expectation, Tell, load_config, read_config
from airflow_provider_voicepartner.watchdog.telling import told_twice

LEAST = """
[airflow]
url = "https://airflow.example.org/"
[tell]
conn_id = "smspartner_default"
to = "@data"
"""
MOST = """
name = "paris"
[airflow]
url = "https://airflow.example.org"
api = "v1"
user = "watchdog"
password_env = "WATCHDOG_PASSWORD"
link_url = ""
[tell]
conn_id = "smspartner_default"
to = ["+33612345678", "@data"]
language = "fr"
[[tell.fallback]]
conn_id = "voicepartner_default"
to = "@lead"
kind = "tts"
[dags]
include = ["etl_*", "daily"]
exclude = ["etl_test*"]
[[expect]]
dag_id = "daily"
by = "by 9:05"
time_zone = "Europe/Paris"
days = ["mon", "fri"]
needs = "success"
[times]
interval = 5
grace = 0
silent_after = 45.5
[heartbeat]
peers = ["lyon"]
url_env = "DEAD_MAN"
"""
ENVIRONMENT = {"WATCHDOG_PASSWORD": "planted-password", "DEAD_MAN": "https://hc.example.org/planted"}


def problem_of(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_config(text, label="watchdog.toml")
    return str(caught.value)


def test_the_least_that_it_takes() -> None:
    config = read_config(LEAST, label="w")
    assert config.airflow.url == config.airflow.links_begin_with == "https://airflow.example.org"
    assert config.dags.covers("anything")
    assert (config.name, config.times.interval) == ("watchdog", 10)


def test_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "watchdog.toml"
    path.write_text(MOST, encoding="utf-8")
    config, secrets = load_config(str(path), ENVIRONMENT)
    assert [channel.kind for channel in config.tell.channels] == ["sms", "tts"]
    assert config.expect[0].by == "09:05"
    assert secrets.password == "planted-password"
    assert secrets.dead_man_url == "https://hc.example.org/planted"
    assert not config.airflow.links_begin_with
    shown = f"{config!r}{secrets!r}"
    assert "planted" not in shown
    assert "+33612345678" not in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "airflow: is missing; add it; tell: is missing; add it"),
        ("name = ", "is no TOML"),
        (LEAST + "too = 'planted'", "tell.too: is unknown"),
        (LEAST.replace("https", "ftp"), "airflow.url: is no address"),
        (LEAST.replace("https://", "https://u:planted@"), "airflow.url: may hold no user and password"),
        (LEAST.replace("org/", "org/?planted"), "airflow.url: may hold no query"),
        (LEAST.replace("org/", "org:99999"), "airflow.url: is no address"),
        (LEAST.replace('"@data"', "33612345678"), "tell.to: is no text"),
        (LEAST.replace('"@data"', "[]"), "tell.to: names nobody"),
        (LEAST.replace('"@data"', '" "'), "tell.to: names nobody"),
        (LEAST + "kind = 'voicemail'", "tell.kind: "),
        (LEAST + "[[tell.fallback]]\nto = '@a'", "tell.fallback[1].conn_id: is missing"),
        (LEAST + "[dags]\ninclude = []", "dags.include: "),
        (LEAST + "[dags]\ninclude = 'etl'", "dags.include: is no list"),
        (LEAST + "[[expect]]\ndag_id = 'a'\nby = '24:00'", "expect[1].by: is no time of day"),
        (LEAST + "[[expect]]\ndag_id = 'a'\nby = '9:00'\ntime_zone = '../x'", "expect[1].time_zone: is no"),
        (LEAST + "[[expect]]\ndag_id = 'a'\nby = '9:00'\ndays = ['lun']", "expect[1].days: holds"),
        (LEAST + "[times]\ninterval = 0", "times.interval: "),
        (LEAST + "[times]\ngrace = nan", "times.grace: "),
        (LEAST + "[times]\ngrace = '9'", "times.grace: is no number"),
        (LEAST + "[heartbeat]\nurl = 'planted'", "heartbeat.url: is no address"),
        (LEAST + "[heartbeat]\nurl = 'https://a'\nurl_env = 'A'", "heartbeat: has both"),
        (LEAST + "[heartbeat]\npeers = ['watchdog']", "heartbeat.peers: names this watchdog itself"),
        ("name = 'a b'" + LEAST, "name: must be letters"),
        (LEAST.replace("[tell]", "user = 'a'\n[tell]"), "airflow: needs user and password_env together"),
        (LEAST.replace("[tell]", "token_env = 'A'\nuser = 'a'\n[tell]"), "airflow: has both a token and"),
        (LEAST.replace("[tell]", "password = 'planted'\n[tell]"), "airflow.password: is unknown"),
    ],
)
def test_a_mistake_is_named_with_its_key(text: str, said: str) -> None:
    problem = problem_of(text)
    assert said in problem
    assert problem.startswith("watchdog.toml: ")
    assert "planted" not in problem


def test_every_mistake_is_named() -> None:
    problem = problem_of(LEAST.replace("https", "ftp") + "[times]\ngrace = -1\ninterval = -1")
    assert [key for key in ("airflow.url", "times.grace", "times.interval") if key in problem] == [
        "airflow.url", "times.grace", "times.interval",
    ]  # fmt: skip


def test_variables_that_are_not_set(tmp_path: Path) -> None:
    path = tmp_path / "watchdog.toml"
    path.write_text(MOST, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_config(str(path), {"DEAD_MAN": "planted"})
    assert "airflow.password_env: the environment variable WATCHDOG_PASSWORD is not set" in str(caught.value)
    assert "heartbeat.url_env: is no address" in str(caught.value)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"# " + b"x" * 1_000_001])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "watchdog.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="config: "):
        load_config(str(path), {})


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, LEAST + text, f"[airflow]\nurl = {text!r}"):
        with contextlib.suppress(ConfigurationError):
            read_config(whole, label="w")


POLICY = Policy(
    name="night", steps=(Step(("oncall",), By.SMS, 300.0), Step(("bruno",), By.CALL, 300.0)), sms="s"
)
PEOPLE = Directory(
    people={
        name: Person(name=name, phones=(number,), mobiles=(number,))
        for name, number in (("anne", "+33612345601"), ("bruno", "+33612345602"))
    },
    groups={"oncall": ("anne",), "team": ("anne", "bruno")},
    policies={"night": POLICY},
)


@pytest.mark.parametrize(
    ("to", "policy", "both"),
    [
        ("@oncall", "Night", "anne"), (["@team", "+33612345609"], "night", "anne"),
        ("@bruno", "night", ""), ("+33612345601", "night", ""), ("@oncall", None, ""), ("@oncall", "other", ""),
    ],
)  # fmt: skip
def test_who_would_get_two_messages_of_each_finding(to: Any, policy: str | None, both: str) -> None:
    said = told_twice(Tell(conn_id="sms", to=to, policy=policy), PEOPLE, datetime(2026, 1, 1, tzinfo=UTC))
    assert said.startswith(f"tell.to and the first step of the policy night both reach {both} now") is bool(
        both
    )
    assert bool(said) is bool(both)


def test_patterns_of_dags() -> None:
    dags = Dags(include=["etl_*", "daily"], exclude=["etl_test*"])
    assert [name for name in ("etl_a", "etl_test_b", "daily", "daily2", "Daily") if dags.covers(name)] == [
        "etl_a",
        "daily",
    ]


def due(by: str, after: str, until: str, **given: object) -> str | None:
    expectation = Expectation.model_validate({"dag_id": "a", "by": by, **given})
    found = expectation.due_between(datetime.fromisoformat(after), datetime.fromisoformat(until))
    return found and f"{found[0]:%d %H:%M} since {found[1]:%d %H:%M}"


def test_when_a_run_is_due() -> None:
    paris = {"time_zone": "Europe/Paris"}
    assert due("10:00", "2026-11-30T08:59Z", "2026-11-30T09:00Z", **paris) == "30 09:00 since 29 23:00"
    assert due("10:00", "2026-11-30T09:00Z", "2026-11-30T23:00Z", **paris) is None
    assert due("10:00", "2026-11-30T08:00Z", "2026-11-30T08:59Z", **paris) is None
    # of several that were missed, the last one counts
    assert due("10:00", "2026-11-20T08:00Z", "2026-11-30T08:00Z", **paris) == "29 09:00 since 28 23:00"
    # 30 November 2026 is a Monday
    assert due("10:00", "2026-11-29T00:00Z", "2026-11-30T12:00Z", days=["sun"]) == "29 10:00 since 29 00:00"
    assert due("10:00", "2026-11-30T00:00Z", "2026-11-30T12:00Z", days=["tue"]) is None


def test_a_time_that_the_clocks_leave_out() -> None:
    paris = {"time_zone": "Europe/Paris"}
    assert due("02:30", "2026-03-28T12:00Z", "2026-03-29T12:00Z", **paris) == "29 01:30 since 28 23:00"
    assert due("02:30", "2026-10-24T12:00Z", "2026-10-25T12:00Z", **paris) == "25 00:30 since 24 22:00"


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    st.integers(1, 20_000),
    st.integers(0, 1439),
    st.sampled_from(["UTC", "Europe/Paris", "Pacific/Apia", "America/Sao_Paulo"]),
)
def test_a_due_time_lies_between(start: datetime, minutes: int, at: int, zone: str) -> None:
    after = start.replace(tzinfo=UTC)
    until = after + timedelta(minutes=minutes)
    expectation = Expectation(dag_id="a", by=f"{at // 60}:{at % 60:02}", time_zone=zone)
    found = expectation.due_between(after, until)
    if found is not None:
        assert after < found[0] <= until
        assert found[1] <= found[0] < found[1] + timedelta(hours=26)
    elif minutes >= 2 * 1440:
        pytest.fail("a day without a due time")
