"""Several writers of the delivery store at once, and readers that follow a cursor meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import FROM_NOW, DeliveryStore, KnownCampaign, StoredEvent
from airflow_provider_voicepartner.gateways.model import DeliveryReport, Reply
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from tests.support.deliveries import events as stored_events

PROJECT = Path(__file__).resolve().parents[2]
COMMITS = 50
WRITERS = ("one", "two")
STATUSES = (DeliveryStatus.PENDING, DeliveryStatus.DELIVERED, DeliveryStatus.FAILED)

WRITE = """
import sys
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.db.engine import open_store
from tests.delivery.test_store_writers import COMMITS, commit
delivery = DeliveryStore(open_store(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for n in range(COMMITS):
    delivery.write(commit(sys.argv[2], n))
"""


def commit(writer: str, n: int) -> list[InboundRecord]:
    """Return what a writer keeps in its n-th commit: an event, news of its own, and of people that all report about."""
    shared, own = of_reference("octopush", "shared"), of_reference("octopush", f"{writer}-{n % 7}")
    at = float(n * 2 + WRITERS.index(writer))
    items = [
        InboundRecord(
            key=key,
            event=DeliveryReport(
                gateway="octopush",
                campaign_id=None,
                phone_number=f"+3361234{person % 20:04d}",
                status=STATUSES[(n + person) % 3],
                gateway_status=writer,
            ),
            received_at=at,
        )
        for key, person in [(shared, n), (shared, 19 - n % 20), (own, n)]
    ]
    words = Reply(gateway="octopush", campaign_id=None, phone_number="+33612345678", text=f"{writer} {n}")
    return [*items, InboundRecord(key=None, event=words, received_at=at)]


def url_of(store: Store) -> str:
    return store.engine.url.render_as_string(hide_password=False)


class Follower:
    """Reads changes and events from its cursors on, and remembers what it was told."""

    def __init__(self, store: Store) -> None:
        self._delivery = DeliveryStore(store)
        self._seq = 0
        self.campaigns: dict[CampaignKey, KnownCampaign] = {}
        self.seen: list[StoredEvent] = []

    def look(self) -> bool:
        """Read on; return whether there was an event."""
        changes = self._delivery.changes(since=self._seq)
        assert changes.seq >= self._seq
        self._seq = changes.seq
        self.campaigns |= changes.campaigns
        events = stored_events(self._delivery, since=self.seen[-1].id if self.seen else 0)[:5]
        self.seen += events
        return bool(events)


def test_two_processes_write_and_a_reader_misses_nothing(store: Store) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, url_of(store), writer],
            cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for writer in WRITERS
    ]  # fmt: skip
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.close()
        follower = Follower(store)
        while any(writer.poll() is None for writer in writers):
            follower.look()
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            assert writer.stdout is not None
            writer.stdout.close()
    assert [writer.returncode for writer in writers] == [0, 0]
    while follower.look():
        pass

    delivery = DeliveryStore(store)
    assert delivery.changes(since=FROM_NOW).seq == 2 * COMMITS
    alone = DeliveryStore(open_store("sqlite://"))
    alone.write([item for n in range(COMMITS) for writer in WRITERS for item in commit(writer, n)])
    keys = list(follower.campaigns)
    assert follower.campaigns == alone.changes(since=0).campaigns
    assert list(delivery.reports(keys)) == list(alone.reports(keys))
    said = [told.text for told in follower.seen]
    assert len(said) == len(set(said)) == 2 * COMMITS
    for writer in WRITERS:
        assert [text for text in said if text.startswith(writer)] == [f"{writer} {n}" for n in range(COMMITS)]


def test_a_writer_and_a_purge_wait_for_the_writer_before(store: Store) -> None:
    delivery = DeliveryStore(store)
    follower = Follower(store)
    later = [
        threading.Thread(target=lambda: delivery.write(commit("two", 1))),
        threading.Thread(target=lambda: delivery.purge(older_than=timedelta(days=36_500))),
    ]
    with store.write() as connection:
        connection.execute(delivery._sql.advance)
        for thread in later:
            thread.start()
        later[0].join(0.3)
        follower.look()
        assert [thread.is_alive() for thread in later] == [True, True], "two writers were under way at once"
        assert follower.seen == []
    for thread in later:
        thread.join()
    follower.look()
    assert [told.seq for told in follower.seen] == [2]


def test_a_purge_and_writers_do_not_deadlock(store: Store) -> None:
    failures: list[BaseException] = []
    delivery = DeliveryStore(store)

    def write(writer: str) -> None:
        try:
            for n in range(COMMITS):
                delivery.write(commit(writer, n))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in WRITERS]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        delivery.purge(older_than=timedelta(seconds=1))
    assert failures == []
    delivery.purge(older_than=timedelta(seconds=1))
    assert set(delivery.count_old(older_than=timedelta(seconds=1)).values()) == {0}
