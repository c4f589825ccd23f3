"""What pages say: what broke, how to answer, never more than two segments, in the person's language."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.contacts.policy import By
from airflow_provider_voicepartner.gateways.gsm import BASIC, EXTENSION, count_segments
from airflow_provider_voicepartner.hooks.page_texts import Ways, sms_text, spoken_page
from airflow_provider_voicepartner.incidents.answers import Verdict
from airflow_provider_voicepartner.incidents.escalation import Page, Purpose, Result
from airflow_provider_voicepartner.incidents.pages import ClaimedPage, PagedIncident
from airflow_provider_voicepartner.incidents.titles import Words
from tests.support.tasks import CALM

LINK = "https://airflow.example.org/voicepartner/a/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
INCIDENT = PagedIncident(id=7, title="sales.load failed: ValueError: no rows", link="", code=12, alerts=1)
PAGE = Page(
    number=1,
    round=0,
    step=0,
    purpose=Purpose.PAGE,
    person="anne",
    by=By.SMS,
    phone_number="+33612345601",
    conn_id="s",
)
PLAIN = ClaimedPage(incident=INCIDENT, page=PAGE, claim="c", reference="r", claimed_at=0.0)


def made(
    *, purpose: Purpose = Purpose.PAGE, said: str = "", language: str | None = None, result: str = ""
) -> ClaimedPage:
    return replace(PLAIN, page=replace(PAGE, purpose=purpose, said=said, language=language), result=result)


def test_a_page_says_what_broke_and_how_to_answer() -> None:
    assert sms_text(PLAIN, Ways(by_phone=True, link=LINK)) == (
        f"sales.load failed: ValueError: no rows. Reply 1 to take it, 2 to pass it on. {LINK}"
    )
    assert sms_text(PLAIN, Ways(link=LINK)) == f"sales.load failed: ValueError: no rows. Take it: {LINK}"
    assert sms_text(PLAIN, Ways()).endswith("Take it: incident ack 7")


def test_a_code_is_asked_for_only_where_several_are_open() -> None:
    several = replace(PLAIN, incident=replace(INCIDENT, others=1))
    assert "Reply 12 to take it, 12 2 to pass it on" in sms_text(several, Ways(by_phone=True))


def test_more_alerts_and_a_lapsed_acknowledgement() -> None:
    again = replace(PLAIN, incident=replace(INCIDENT, alerts=40, last_owner="bruno"))
    assert sms_text(again, Ways(by_phone=True)).startswith(
        "Nobody has it any more (was bruno). sales.load failed: ValueError: no rows (40 alerts). Reply 1"
    )


@pytest.mark.parametrize(
    ("purpose", "result", "said", "start"),
    [
        (Purpose.OWNED, "", "bruno", "bruno has it."),
        (Purpose.PASSED_ON, "", "bruno", "bruno passed it on."),
        (Purpose.CLOSED, "", "bruno", "bruno closed it."),
        (
            Purpose.ANSWER,
            Result.ACKNOWLEDGED,
            "anne",
            "You have it. Reply 3 when it is solved, 2 to pass it on.",
        ),
        (Purpose.ANSWER, Result.ALREADY_OWNED, "anne", "You have it already."),
        (Purpose.ANSWER, Result.ALREADY_OWNED, "bruno", "bruno has it already."),
        (Purpose.ANSWER, Result.ESCALATED, "", "Passed on."),
        (Purpose.ANSWER, Result.ALREADY_PASSED_ON, "", "Passed on already."),
        (Purpose.ANSWER, Result.CLOSED, "anne", "Closed."),
        (Purpose.ANSWER, Result.ALREADY_CLOSED, "bruno", "bruno closed it already."),
        (Purpose.ANSWER, Result.ALREADY_CLOSED, "", "It is over already."),
    ],
)
def test_what_people_are_told(purpose: Purpose, result: str, said: str, start: str) -> None:
    title = "sales.load failed: ValueError: no rows. "
    assert sms_text(made(purpose=purpose, said=said, result=result), Ways()) == title + start


def test_what_was_not_understood_is_answered_with_how_to_say_it() -> None:
    text = sms_text(made(purpose=Purpose.ANSWER, result=Verdict.NOT_UNDERSTOOD), Ways())
    assert text == "Not understood. Reply 1 to take it, 2 to pass it on, 3 to close it."
    which = replace(
        made(purpose=Purpose.ANSWER, result=Verdict.AMBIGUOUS), choices=((12, "a failed"), (13, "b failed"))
    )
    assert sms_text(which, Ways()) == "Which one? Reply with its number: 12: a failed. 13: b failed"


def test_french() -> None:
    text = sms_text(made(language="fr"), Ways(by_phone=True))
    assert text.endswith("Répondez 1 pour prendre, 2 pour passer")


IN_WORDS = replace(
    INCIDENT,
    words=Words(
        french="sales.load a échoué : ValueError: no rows",
        spoken="Airflow. Task load of DAG sales failed. Value Error: no rows.",
        spoken_french="Airflow. La tâche load du DAG sales a échoué. Value Error: no rows.",
    ),
)


@pytest.mark.parametrize(
    ("language", "incident", "by_phone", "written", "spoken"),
    [
        ("en", IN_WORDS, True, "sales.load failed: ValueError: no rows. Reply 1 to take it, 2 to pass it on",
         "Airflow. Task load of DAG sales failed. Value Error: no rows. Press 1 to take it, 2 to pass it on."),
        ("fr", IN_WORDS, True, "sales.load a échoué : ValueError: no rows. Répondez 1 pour prendre, 2 pour passer",
         "Airflow. La tâche load du DAG sales a échoué. Value Error: no rows. "
         "Appuyez sur 1 pour prendre, sur 2 pour passer."),
        ("fr", IN_WORDS, False, "sales.load a échoué : ValueError: no rows. Prendre : incident ack 7",
         "Airflow. La tâche load du DAG sales a échoué. Value Error: no rows. Répondez au SMS, ou dans Airflow."),
        # An incident that is older than its words.
        ("fr", replace(INCIDENT, title="a.daily_load failed: KeyError"), False,
         "a.daily_load failed: KeyError. Prendre : incident ack 7",
         "Airflow. a daily load failed: Key Error. Répondez au SMS, ou dans Airflow."),
    ],
)  # fmt: skip
def test_what_broke_is_in_the_language_of_the_person_and_readable_where_it_is_spoken(
    language: str, incident: PagedIncident, by_phone: bool, written: str, spoken: str
) -> None:
    claimed = replace(made(language=language), incident=incident)
    again = {"en": "I repeat.", "fr": "Je répète."}[language]
    assert sms_text(claimed, Ways(by_phone=by_phone)) == written
    assert spoken_page(claimed, Ways(by_phone=by_phone)) == f"{spoken} {again} {spoken}"


def test_which_one_is_asked_in_the_language_of_the_person() -> None:
    owned = replace(made(purpose=Purpose.OWNED, said="bruno", language="fr"), incident=IN_WORDS)
    assert sms_text(owned, Ways()) == "sales.load a échoué : ValueError: no rows. bruno s'en occupe."


titles = st.text(max_size=400)


@given(
    titles,
    titles,
    st.sampled_from(Purpose),
    st.sampled_from([*Result, *Verdict, "", "nonsense"]),
    st.sampled_from(["fr", "en", None]),
    st.booleans(),
    st.sampled_from(["", LINK]),
)
@CALM
def test_any_title_fits(
    title: str, other: str, purpose: Purpose, result: str, language: str | None, by_phone: bool, link: str
) -> None:
    claimed = made(purpose=purpose, said="anne", language=language, result=result)
    words = Words(french=other, spoken=other, spoken_french=title)
    claimed = replace(
        claimed, incident=replace(INCIDENT, title=title, words=words), choices=((12, title), (13, title))
    )
    text = sms_text(claimed, Ways(by_phone=by_phone, link=link))
    assert 1 <= count_segments(text).segments <= 2
    assert set(text) <= BASIC | EXTENSION
    assert purpose is not Purpose.PAGE or link in text
    spoken = spoken_page(claimed, Ways(by_phone=by_phone))
    assert len(spoken) <= 300
    assert "{" not in spoken
