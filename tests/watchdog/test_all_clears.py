"""The watchdog's all clears, and those that notifiers could not send, arrive once whatever is down meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_voicepartner.incidents.clearing import ClearText
from airflow_provider_voicepartner.incidents.model import Success, Told
from tests.support.alerts import failure
from tests.support.gateways import fault
from tests.support.watched import configured
from tests.watchdog.places import ANNE, Place

ALIVE = "Airflow (watchdog): all clear, alive again: scheduler"
TEXT = ClearText(english="etl works", french="etl marche", spoken="It works.", spoken_french="Il marche.")


@pytest.fixture
def no_gateway(sandbox: Any) -> Callable[[], None]:
    """Let the gateway refuse all, until its faults are cleared."""
    return lambda: fault(sandbox, "429", path="/send", times=None, retry_after=600)


def test_an_all_clear_waits_for_its_gateway(place: Place, no_gateway: Callable[[], None]) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.kill("scheduler")
    place.looks(watchdog)
    no_gateway()
    place.airflow.revive("scheduler")
    place.looks(watchdog, 300)
    assert (place.sent(), len(place.texts())) == ({ANNE: 1}, 1)
    place.sandbox.world.faults.clear()
    place.looks(place.watchdog(), 1_800)
    assert place.texts()[1:] == [ALIVE]


def test_who_can_tell_nobody_all_clear_leaves_no_heartbeat(
    place: Place, no_gateway: Callable[[], None]
) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.kill("scheduler")
    place.looks(watchdog)
    no_gateway()
    place.airflow.revive("scheduler")
    place.clock.advance(10)
    watchdog.look()
    assert watchdog._has_failed
    place.clock.advance(10)
    watchdog.look()
    assert not watchdog._has_failed


def test_what_is_over_while_the_store_is_away_is_told_afterwards(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.kill("scheduler")
    place.looks(watchdog)
    place.is_store_down, watchdog._store = True, None
    place.airflow.revive("scheduler")
    place.looks(watchdog)
    assert ALIVE not in place.texts()
    place.is_store_down = False
    place.looks(watchdog, 600)
    assert place.texts().count(ALIVE) == 1


def test_what_is_silent_again_when_the_store_is_back_is_not_said_to_live(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    place.airflow.kill("scheduler")
    place.looks(watchdog)
    place.is_store_down, watchdog._store = True, None
    place.airflow.revive("scheduler")
    place.looks(watchdog)
    place.airflow.kill("scheduler")
    place.looks(watchdog)
    place.is_store_down = False
    place.looks(watchdog, 600)
    assert ALIVE not in place.texts()
    assert [one.title for one in place.incidents.find()] == ["scheduler is silent"]


def test_the_watchdog_sends_what_a_notifier_could_not(place: Place) -> None:
    watchdog = place.watchdog()
    watchdog.look()
    incidents = place.incidents
    incidents.told(incidents.report(failure()), [Told(conn_id="smspartner", kind="sms", phone_number=ANNE)])
    incidents.resolve(Success(dag_id="etl"), lambda _: TEXT)
    place.looks(watchdog, 600)
    assert place.texts() == ["etl works"]


def test_its_language_is_that_of_the_file(place: Place, no_gateway: Callable[[], None]) -> None:
    config = configured()
    tell = config.tell.model_copy(update={"language": "fr"})
    watchdog = place.watchdog(config=config.model_copy(update={"tell": tell}))
    watchdog.look()
    place.airflow.kill("scheduler")
    place.looks(watchdog)
    no_gateway()
    place.airflow.revive("scheduler")
    place.looks(watchdog)
    place.sandbox.world.faults.clear()
    place.looks(place.watchdog(), 600)
    assert place.texts()[1:] == ["Airflow (watchdog) : fin d'alerte, de nouveau en vie : scheduler"]
