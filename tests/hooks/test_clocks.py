"""Times in pages are by the clock of whoever is paged, else by Airflow's, which is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_voicepartner.contacts.policy import By
from airflow_provider_voicepartner.hooks.clocks import at_their_clock
from airflow_provider_voicepartner.hooks.page_texts import Ways, sms_text, spoken_page
from airflow_provider_voicepartner.incidents.escalation import Page, Purpose
from airflow_provider_voicepartner.incidents.pages import ClaimedPage, PagedIncident
from airflow_provider_voicepartner.notifications.event import read_event
from airflow_provider_voicepartner.notifications.message import title_of, words_of
from airflow_provider_voicepartner.watchdog.messages import of_title

EVENT = read_event(
    {"dag_run": {"dag_id": "sales"}, "deadline": {"deadline_time": "2031-05-31T22:30:00Z"}},
    asks_for_tasks=False,
)
PARIS = pytest.mark.parametrize(
    ("language", "zone", "default", "written", "spoken"),
    [
        ("en", "Europe/Paris", "utc", "2031-06-01 00:30.", "1 June at 00:30"),
        ("fr", "Europe/Paris", "utc", "2031-06-01 00:30.", "1 juin à 00:30"),
        ("en", None, "Europe/Paris", "2031-06-01 00:30 CEST.", "1 June at 00:30 CEST"),
        ("fr", None, "utc", "2031-05-31 22:30 UTC.", "31 mai à 22:30 UTC"),
        ("en", "Mars/Olympus", "America/New_York", "2031-05-31 18:30 EDT.", "31 May at 18:30 EDT"),
        ("en", None, "Mars/Olympus", "2031-05-31 22:30 UTC.", "31 May at 22:30 UTC"),
    ],
)


@PARIS
def test_a_page_says_a_deadline_by_the_clock_of_whoever_is_paged(
    monkeypatch: pytest.MonkeyPatch, language: str, zone: str | None, default: str, written: str, spoken: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TIMEZONE", default)
    page = Page(
        number=1, round=0, step=0, purpose=Purpose.PAGE, person="anne", by=By.SMS, phone_number="+33612345601",
        conn_id="c", language=language, time_zone=zone,
    )  # fmt: skip
    incident = PagedIncident(id=1, title=title_of(EVENT), link="", code=None, alerts=1, words=words_of(EVENT))
    claimed = ClaimedPage(incident=incident, page=page, claim="c", reference="r", claimed_at=0.0)
    assert written in sms_text(claimed, Ways())
    called = spoken_page(replace(claimed, page=replace(page, by=By.CALL)), Ways())
    assert called.count(f"{spoken}.") + called.count(f"{spoken},") == 2


def test_the_watchdog_says_a_deadline_by_airflows_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DEFAULT_TIMEZONE", "Europe/Paris")
    message = of_title(title_of(EVENT), words_of(EVENT), 0, "")
    assert message.english.endswith("2031-06-01 00:30 CEST")
    assert message.french.endswith("2031-06-01 00:30 CEST")


@pytest.mark.parametrize("text", ["9999-99-99 12:00 UTC", "9999-12-31 23:59 UTC", "no time", "12:00 UTC"])
def test_what_is_no_time_stays(text: str) -> None:
    assert at_their_clock(text, "Asia/Tokyo") == text
