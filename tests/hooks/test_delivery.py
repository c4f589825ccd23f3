"""A task reads the events that started its DAG: numbers and texts, each event in one run, whatever was told twice."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks import delivery
from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
from tests.support.triggerer import LONG_AGO, NUMBER, TEXT, AssetEvent, Database, Gateways, task_context

airflow3 = pytest.mark.airflow3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'store.db'}")  # the one that is configured for the test
    yield opened
    opened.close()


@pytest.fixture
def gateways(store: Store) -> Gateways:
    return Gateways(store)


def test_events_are_read_by_id_in_order_with_number_and_text(gateways: Gateways) -> None:
    gateways.tell("reply", "opt_out", "pressed_keys", "completion")
    found = DeliveryHook().get_events([3, 1, 4, 1])
    assert [event.id for event in found] == [1, 3, 4]
    assert (found[0].phone_number, found[0].text) == (NUMBER, f"{TEXT} 0")
    assert found[1].text == "4711"
    assert found[2].counts == {"delivered": 1}
    assert DeliveryHook().get_events([]) == []


def test_what_it_returns_does_not_show_number_and_text(gateways: Gateways) -> None:
    gateways.tell("reply", "opt_out")
    shown = repr(DeliveryHook().get_events([1, 2]))
    assert NUMBER not in shown
    assert TEXT not in shown
    assert "STOP" not in shown


def test_events_that_were_purged_are_counted_in_the_log(
    gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    gateways.tell("reply")
    assert [event.id for event in DeliveryHook().get_events([1, 7, 8])] == [1]
    assert "2 events are no longer in the store" in caplog.text


def test_who_said_stop_each_once_whoever_told(gateways: Gateways) -> None:
    gateways.tell("opt_out", "reply")
    gateways.tell("opt_out", gateway="smspartner")
    hook = DeliveryHook()
    assert hook.get_opt_outs() == [NUMBER]
    assert hook.get_opt_outs(since=datetime.fromtimestamp(LONG_AGO + 2, UTC)) == [NUMBER]
    assert hook.get_opt_outs(since=datetime.fromtimestamp(LONG_AGO + 3, UTC)) == []


@pytest.mark.parametrize(
    "spelled", ["+33698765432", "0698765432", "06 98 76 54 32", "0033698765432", "+33 6 98 76 54 32"]
)
def test_who_said_stop_is_found_however_the_number_is_spelled(gateways: Gateways, spelled: str) -> None:
    """Who is not found is messaged."""
    assert NUMBER == "+33698765432"
    gateways.tell("opt_out", gateway="smspartner")
    hook = DeliveryHook()
    assert hook.get_opted_out(["0612345679", spelled]) == {spelled}
    assert hook.get_opted_out([]) == set()


@pytest.mark.parametrize("among", [NUMBER, ["0612345679", "abc"], [None], [612345678]], ids=repr)
def test_what_is_no_number_is_refused_where_one_asks_who_said_stop(gateways: Gateways, among: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^among"):
        DeliveryHook().get_opted_out(among)


def test_who_said_stop_is_known_after_a_purge_as_long_as_the_key_is(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__OPT_OUT_KEY", "planted-key-of-opt-outs")
    gateways.tell("opt_out", gateway="smspartner")
    assert DeliveryHook().get_opted_out([NUMBER, "+33600000000"]) == {NUMBER}
    main(["db", "purge", "--older-than", "1d"])
    assert DeliveryHook().get_opt_outs() == []
    assert DeliveryHook().get_opted_out([NUMBER, "+33600000000"]) == {NUMBER}
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__OPT_OUT_KEY", "another-key-of-opt-outs")
    with pytest.raises(ConfigurationError, match=r"\[voicepartner\] opt_out_key") as caught:
        DeliveryHook().get_opted_out([NUMBER])
    assert "planted" not in str(caught.value)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__OPT_OUT_KEY", "short")
    with pytest.raises(ConfigurationError, match="at least 16 characters"):
        DeliveryHook().get_opt_outs()


def test_nothing_is_opened_before_something_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "mysql://nobody")
    hook = DeliveryHook()
    with pytest.raises(ConfigurationError, match=r"\[voicepartner\] store_url"):
        hook.get_opt_outs()


def test_a_store_that_cannot_be_reached_lets_the_task_be_retried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'file' / 'store.db'}")
    with pytest.raises(StoreUnavailableError):
        DeliveryHook().get_opt_outs()


# What a run takes.


class Consumer:
    """A DAG that a watcher's events start."""

    def __init__(self, *triggers: Any, asset: str = "answers") -> None:
        from airflow.sdk import Asset, AssetWatcher

        from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

        watchers = [
            AssetWatcher(name=f"watcher{number}", trigger=trigger)
            for number, trigger in enumerate(triggers or (DeliveryEventTrigger(),))
        ]
        self.asset = Asset(asset, watchers=watchers)
        self.database = Database()

    def run(self, run_id: str, told: tuple[int, ...] = (), **more: Any) -> list[int]:
        """Return the ids that a run takes; ``told`` are those that Airflow attached to it."""
        attached = [
            AssetEvent(datetime.now(UTC), {"payload": {"id": number, "kind": "reply"}}) for number in told
        ]
        context = task_context(self.database, self.asset, run_id, attached, **more)
        return [event.id for event in DeliveryHook().take_events(self.asset, context=context)]


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@airflow3
def test_a_run_takes_what_no_run_has_taken(consumer: Consumer, gateways: Gateways) -> None:
    gateways.tell("reply", "reply")
    assert consumer.run("a", told=(2,)) == [2]  # the first was there before the watcher
    assert consumer.run("b", told=(2,)) == []  # told twice
    gateways.tell("reply", "opt_out", "reply")
    assert consumer.run("c", told=(3,)) == [3, 4, 5]  # of a burst, Airflow attaches the first
    assert consumer.run("d", told=(4, 5)) == []  # and the rest to the next
    gateways.tell("reply")
    assert consumer.run("e", told=(6,)) == [6]


@airflow3
def test_a_retry_and_a_cleared_run_get_what_they_had(consumer: Consumer, gateways: Gateways) -> None:
    gateways.tell("reply")
    assert consumer.run("a", told=(1,)) == [1]
    gateways.tell("reply")
    assert consumer.run("a", told=(1,)) == [1]
    assert consumer.run("b", told=(2,)) == [2]
    assert consumer.run("a", told=(1,)) == [1]
    assert consumer.run("b", told=(2,)) == [2]


@airflow3
def test_a_run_that_a_person_started_takes_what_is_there(consumer: Consumer, gateways: Gateways) -> None:
    gateways.tell("reply")
    assert consumer.run("manual") == []  # the very first begins with what comes
    gateways.tell("reply")
    assert consumer.run("manual again") == [2]


@airflow3
def test_a_run_that_a_person_started_first_leaves_what_is_there_to_the_runs_that_were_told(
    consumer: Consumer, gateways: Gateways
) -> None:
    gateways.tell(*["reply"] * 5)
    assert consumer.run("manual") == []
    gateways.tell("reply")
    assert consumer.run("manual again") == [6]
    gateways.tell("reply")
    assert consumer.run("a", told=(3, 4)) == [3, 4, 5, 7]
    assert consumer.run("b", told=(5, 6, 7)) == []
    assert consumer.run("a", told=(3, 4)) == [3, 4, 5, 7]
    assert consumer.run("manual") == []


@airflow3
def test_a_run_that_failed_before_it_took_anything_gets_its_events_when_it_is_cleared(
    consumer: Consumer, gateways: Gateways
) -> None:
    gateways.tell(*["reply"] * 5)
    assert consumer.run("second", told=(4,)) == [4, 5]
    assert consumer.run("first", told=(2,)) == [2, 3]


@airflow3
def test_only_what_the_assets_watchers_choose(gateways: Gateways) -> None:
    from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

    consumer = Consumer(
        DeliveryEventTrigger(kinds="reply", gateway="smspartner"), DeliveryEventTrigger(kinds="opt_out")
    )
    consumer.run("first")
    gateways.tell("reply", "opt_out", "pressed_keys")
    gateways.tell("reply", "opt_out", gateway="smspartner")
    assert consumer.run("a") == [2, 4, 5]


@airflow3
def test_two_tasks_of_a_dag_have_all_events_each(consumer: Consumer, gateways: Gateways) -> None:
    gateways.tell("reply")
    assert consumer.run("a", told=(1,), task_id="one") == consumer.run("a", told=(1,), task_id="two") == [1]


@airflow3
def test_more_events_than_a_page(consumer: Consumer, gateways: Gateways) -> None:
    consumer.run("first")
    for _ in range(3):
        gateways.tell(*["reply"] * 900)
    assert consumer.run("a") == list(range(1, 2_701))


@airflow3
def test_a_store_that_was_replaced_begins_with_what_was_told(
    consumer: Consumer, gateways: Gateways, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for _ in range(5):
        gateways.tell("reply")
    assert consumer.run("a", told=(1,)) == [1, 2, 3, 4, 5]
    url = f"sqlite:///{tmp_path / 'another.db'}"
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)
    Gateways(open_store(url)).tell("reply", "reply")
    assert consumer.run("manual") == []
    assert consumer.run("b", told=(1, 2)) == [1, 2]


@airflow3
def test_what_is_kept_of_runs_is_bounded_and_holds_no_answers(
    consumer: Consumer, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "RUNS_REMEMBERED", 3)
    for number in range(1, 6):
        gateways.tell("reply")
        assert consumer.run(f"run{number}", told=(number,)) == [number]
    [(_, record)] = consumer.database.states.items()
    assert record["runs"] == [["run3", 2, 3], ["run4", 3, 4], ["run5", 4, 5]]
    assert (record["task"], record["until"]) == ("on_reply.read", 5)


@airflow3
@pytest.mark.parametrize(
    ("context", "says"),
    [({"max_active_runs": 16}, "max_active_runs=1"), ({"inlets": False}, "inlets")],
)
def test_a_dag_that_lacks_something_is_told_what(
    consumer: Consumer, gateways: Gateways, context: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        consumer.run("a", **context)


@airflow3
def test_an_asset_without_its_watcher_is_refused(consumer: Consumer) -> None:
    from airflow.sdk import Asset

    consumer.asset = Asset("answers")
    with pytest.raises(ConfigurationError, match="AssetWatcher"):
        consumer.run("a")


@airflow3
@pytest.mark.parametrize("record", [7, {}, {"runs": [], "seq": "x", "until": 1}, {"runs": [["a"]], "seq": 1}])
def test_a_record_that_somebody_edited_is_named(consumer: Consumer, gateways: Gateways, record: Any) -> None:
    gateways.tell("reply")
    consumer.run("a", told=(1,))
    [place] = consumer.database.states
    consumer.database.states[place] = record
    with pytest.raises(ConfigurationError, match=place[1]):
        consumer.run("b")


@airflow3
def test_asset_events_that_are_not_ours_do_not_disturb(consumer: Consumer, gateways: Gateways) -> None:
    gateways.tell("reply")
    attached = [
        AssetEvent(datetime.now(UTC), extra)
        for extra in (
            {},
            {"payload": "hello"},
            {"payload": {"id": "1", "kind": "reply"}},
            {"payload": {"id": 0}},
        )
    ]
    context = task_context(consumer.database, consumer.asset, "a", attached)
    assert DeliveryHook().take_events(consumer.asset, context=context) == []


def test_the_hook_can_be_pickled_before_it_is_used() -> None:
    assert isinstance(pickle.loads(pickle.dumps(DeliveryHook())), DeliveryHook)


@airflow3
def test_nothing_of_an_answer_is_logged(
    consumer: Consumer, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateways.tell("reply", "opt_out")
    consumer.run("a", told=(1,))
    shown = caplog.text + repr(consumer.database)
    assert NUMBER[-8:] not in shown
    assert TEXT not in shown
