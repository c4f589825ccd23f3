"""Links of pages: signed, short, and ending; whatever else stands there opens nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.incidents.links import PageLink, PageLinks
from tests.support.tasks import CALM

LINKS = PageLinks(["planted-secret-of-links-1"])
NOW = 1_900_000_000.0


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**31 - 1))
@CALM
def test_what_was_made_is_read(incident: int, number: int) -> None:
    token = LINKS.make(PageLink(incident, number), expires=NOW)
    assert LINKS.read(token, now=NOW - 1) == PageLink(incident, number)
    assert LINKS.read(token, now=NOW + 60) is None
    assert len(token) <= 43


def test_it_is_short_and_says_nothing_of_a_person() -> None:
    assert len(LINKS.make(PageLink(4711, 12), expires=NOW)) <= 36


@given(st.text())
@CALM
def test_any_text_is_refused(token: str) -> None:
    assert LINKS.read(token, now=NOW) is None


@given(st.integers(0, 40), st.integers(1, 255))
@CALM
def test_every_change_is_noticed(place: int, change: int) -> None:
    token = LINKS.make(PageLink(7, 1), expires=NOW)
    at = place % len(token)
    other = chr((ord(token[at]) + change) % 128)
    assert other == token[at] or LINKS.read(token[:at] + other + token[at + 1 :], now=NOW - 1) is None


@pytest.mark.parametrize("end", ["=", "==", " ", "A", "\n", "%3D"])
def test_there_is_one_spelling(end: str) -> None:
    assert LINKS.read(LINKS.make(PageLink(7, 1), expires=NOW) + end, now=NOW - 1) is None


def test_an_old_secret_is_believed_until_it_goes() -> None:
    token = LINKS.make(PageLink(7, 1), expires=NOW)
    assert PageLinks(["another-secret-of-links-2", "planted-secret-of-links-1"]).read(
        token, now=0
    ) == PageLink(7, 1)
    assert PageLinks(["another-secret-of-links-2"]).read(token, now=0) is None
