"""A task that fails since its process can start no thread any more alerts people all the same."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.hooks.incidents import incident_store
from airflow_provider_voicepartner.notifications.all_clear import AllClearNotifier
from airflow_provider_voicepartner.notifications.page import PageNotifier
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from airflow_provider_voicepartner.watchdog.messages import Message
from airflow_provider_voicepartner.watchdog.telling import Connections, Teller
from tests.notifications import test_page
from tests.notifications.test_page import ANNE, BRUNO, failed, succeeded
from tests.support.gateways import sent
from tests.support.watched import configured

contacts = test_page.contacts


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch, sandbox: Any, contacts: Path) -> None:
    """Let no thread of ours start, as Python does where the system has no room; the sandbox needs its own."""
    start = threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        caller = str(sys._getframe(1).f_globals["__name__"])
        if caller.startswith("airflow_provider_voicepartner.") and ".sandbox" not in caller:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail)


@pytest.mark.parametrize(
    ("notifier", "gateway"),
    [
        (lambda: SmsNotifier(to="@anne"), "smspartner"),
        (lambda: TtsCallNotifier(to=ANNE), "voicepartner"),
        (lambda: PageNotifier(policy="night"), "smspartner"),
    ],
    ids=["an SMS", "a call", "a page"],
)
def test_people_are_told_once(notifier: Any, gateway: str, sandbox: Any) -> None:
    for index in range(3):
        context = failed()
        context["ti"].map_index = index
        notifier()(context)
    assert sent(sandbox, gateway) == {ANNE: 1}
    assert [one.alerts for one in incident_store().find()] == [3]


def test_all_clear_is_told(sandbox: Any) -> None:
    SmsNotifier(to=[ANNE, BRUNO])(failed())
    AllClearNotifier()(succeeded())
    assert sent(sandbox, "smspartner") == {ANNE: 2, BRUNO: 2}


def test_the_watchdog_tells(sandbox: Any) -> None:
    tell = configured().tell.model_copy(update={"conn_id": "smspartner_default", "to": ANNE})
    assert Teller(tell, Connections()).tell(Message("planted", "planted")).has_reached
    assert sent(sandbox, "smspartner") == {ANNE: 1}
