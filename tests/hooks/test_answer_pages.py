"""The page behind a link: opening it changes nothing, its button acts once, and no log holds its address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.hooks.answer_pages import answer_routes
from airflow_provider_voicepartner.hooks.paging import LINK_PATH
from airflow_provider_voicepartner.incidents.links import PageLink, PageLinks
from tests.support.escalations import POLICY, incident_row, open_incident, page_store, resolver
from tests.support.receiver import SECRET, Answer, RunningReceiver, running_receiver
from tests.support.tasks import Logs

TITLE = 'sales.load failed: <script>alert("x")</script>'


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    return Logs(caplog, capfd)


class Page:
    """A page that was sent, and its address."""

    def __init__(self, receiver: RunningReceiver, store: Store) -> None:
        self.receiver, self.store = receiver, store
        pages = page_store(store)
        self.incident = open_incident(store, title=TITLE)
        pages.start(self.incident, POLICY)
        pages.take_turn(self.incident, resolver)
        self.token = self.made(1)

    def made(self, number: int, *, expires: float | None = None) -> str:
        link = PageLink(self.incident, number)
        return PageLinks([SECRET]).make(link, expires=expires or time.time() + 3600)

    def get(self, token: str | None = None, method: str = "GET") -> Answer:
        return self.receiver.send(method, f"{PREFIX}{LINK_PATH}/{token or self.token}")

    def press(self, action: str, token: str | None = None) -> Answer:
        path = f"{PREFIX}{LINK_PATH}/{token or self.token}"
        return self.receiver.post(path, {"action": action}, form=True)

    @property
    def state(self) -> str:
        return str(incident_row(self.store, self.incident).state)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    url = f"sqlite:///{tmp_path / 'links.db'}"
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    routes = answer_routes(lambda: open_store(url), PREFIX)
    with running_receiver(url, routes=routes) as receiver:
        yield Page(receiver, receiver.store)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_to_open_it_changes_nothing(page: Page, method: str) -> None:
    for _ in range(3):
        answer = page.get(method=method)
        assert answer.status == 200
    assert page.state == "open"


def test_it_shows_what_broke_and_escapes_it(page: Page) -> None:
    answer = page.get()
    shown = answer.body.decode()
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in shown
    assert "<script>" not in shown
    assert "Nobody has it yet." in shown
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_button_acts_for_whoever_was_paged(page: Page) -> None:
    answer = page.press("acknowledge")
    assert answer.status == 200
    assert "You have it now." in answer.body.decode()
    assert (page.state, incident_row(page.store, page.incident).owner) == ("acknowledged", "anne")
    assert "anne has it already." in page.press("acknowledge").body.decode()
    assert "Closed." in page.press("close").body.decode()
    assert "It was closed already." in page.press("escalate").body.decode()
    assert page.state == "closed"


def test_french_for_a_french_browser(page: Page) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", page.receiver.port, timeout=30)
    connection.request(
        "GET", f"{PREFIX}{LINK_PATH}/{page.token}", headers={"Accept-Language": "fr-FR,en;q=0.5"}
    )
    assert "Personne ne s'en occupe encore" in connection.getresponse().read().decode().replace("&#x27;", "'")
    connection.close()


@pytest.mark.parametrize("action", ["", "delete", "acknowledge%00", "ACKNOWLEDGE"])
def test_another_action_is_refused(page: Page, action: str) -> None:
    assert page.press(action).status == 400
    assert page.state == "open"


def test_a_large_form_is_refused(page: Page) -> None:
    body = urlencode({"action": "acknowledge", "x": "y" * 5000}).encode()
    path = f"{PREFIX}{LINK_PATH}/{page.token}"
    assert page.receiver.send("POST", path, body, "application/x-www-form-urlencoded").status == 413
    assert page.state == "open"


def test_whatever_is_wrong_with_an_address_it_is_the_same_empty_404(page: Page) -> None:
    wrong = [
        page.token[:-1],
        page.token + "A",
        page.made(1, expires=time.time() - 120),
        page.made(99),
        PageLinks(["another-secret-of-links-2"]).make(PageLink(page.incident, 1), expires=time.time() + 99),
        "x",
    ]
    for token in wrong:
        for answer in (page.get(token), page.press("acknowledge", token)):
            assert (answer.status, answer.body) == (404, b"")
    assert page.state == "open"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(page: Page, method: str) -> None:
    assert page.get(method=method).status == 405


def test_no_log_holds_the_address(page: Page, logs: Logs) -> None:
    page.get()
    page.press("acknowledge")
    page.get(page.token + "A")
    assert page.token not in logs.text
    assert page.token[:20] not in logs.text
