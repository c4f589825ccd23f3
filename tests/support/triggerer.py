"""What surrounds an event trigger in Airflow's triggerer: shared streams, a database, restarts and kills."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pendulum

from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.events import SummaryReader
from airflow_provider_voicepartner.delivery.inbound import Completion, InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.model import DeliveryReport, OptOut, Reply
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.triggers.event_reader import EventReader

NUMBER = "+33698765432"
TEXT = "planted words of an answer"
ASSET = ("answers",)
LONG_AGO = 1_700_000_000.0


class Gateways:
    """
    Writes events into a store, as the receiver does.

    :param at: Unix seconds of the first event; each comes a second later.
    """

    def __init__(self, store: Store, *, at: float = LONG_AGO) -> None:
        self.now = at  # what the store's clock says
        self.delivery = DeliveryStore(store, now=lambda: self.now)
        self._seconds = itertools.count()
        self._at = at

    def tell(self, *kinds: str, gateway: str = "octopush", reference: str = "b1") -> None:
        """Keep one event of each kind, in one commit."""
        self.delivery.write([self._item(kind, gateway, reference) for kind in kinds])

    def _item(self, kind: str, gateway: str, reference: str) -> InboundRecord | Completion:
        number = next(self._seconds)
        key = of_reference(gateway, reference)
        if kind == "completion":
            key = of_reference(gateway, f"{reference}-{number}")  # one campaign is finished once
            return Completion(key=key, at=self._at + number, counts={"delivered": 1})
        told: dict[str, Any] = {
            "gateway": gateway,
            "campaign_id": None,
            "phone_number": NUMBER,
            "at": pendulum.from_timestamp(self._at + number),
        }
        event: Reply | OptOut | DeliveryReport
        if kind == "reply":
            event = Reply(text=f"{TEXT} {number}", **told)
        elif kind == "opt_out":
            event = OptOut(text=f"STOP {number}", **told)
        else:
            told["phone_number"] = f"+336{number:08d}"  # the same keys of the same person are one event
            event = DeliveryReport(status=DeliveryStatus.DELIVERED, pressed_keys="4711", **told)
        return InboundRecord(key=key, event=event, received_at=self._at + number)


class Clock:
    """A clock that a test moves; sleepers wake in their order."""

    def __init__(self) -> None:
        self.moment = 1_000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody sleeps."""
        return any(not future.done() for _, future in self._sleepers)

    def now(self) -> float:
        """Return the moment."""
        return self.moment

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved the clock so far."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.moment + seconds, future))
        await future

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += seconds
        due = [future for at, future in self._sleepers if at <= self.moment]
        self._sleepers = [(at, future) for at, future in self._sleepers if at > self.moment]
        for future in due:
            if not future.done():
                future.set_result(None)


class WatchedReader(EventReader):
    """A feed that tells whether it is reading, and how often it did."""

    asking = 0
    asked = 0

    async def ask(self, question: Any) -> Any:
        """Ask, and count."""
        self.asking += 1
        self.asked += 1
        try:
            return await super().ask(question)
        finally:
            self.asking -= 1


@dataclass
class AssetEvent:
    """A row of Airflow's table, as a task sees it."""

    timestamp: datetime
    extra: dict[str, Any]


@dataclass
class Database:
    """Airflow's database: what outlives every triggerer."""

    events: dict[str, list[AssetEvent]] = field(default_factory=dict)
    states: dict[tuple[str, str], Any] = field(default_factory=dict)

    def keep(self, assets: tuple[str, ...], payload: Any) -> None:
        """Commit an asset event for each asset."""
        for asset in assets:
            kept = self.events.setdefault(asset, [])
            at = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=len(kept))
            kept.append(AssetEvent(at, {"from_trigger": True, "payload": payload}))

    def ids(self, asset: str) -> list[int]:
        """Return the ids of the events that were told for an asset."""
        return [event.extra["payload"]["id"] for event in self.events.get(asset, [])]


@dataclass
class State:
    """The state store of one asset."""

    database: Database
    asset: str
    fails: int = 0

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return a value."""
        await asyncio.sleep(0)
        return self.database.states.get((self.asset, key), default)

    async def aset(self, key: str, value: Any) -> None:
        """Keep a value."""
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("the API server is away")
        self.database.states[self.asset, key] = value


class States:
    """Airflow's accessors, for the assets that a trigger watches."""

    def __init__(self, database: Database, assets: tuple[str, ...]) -> None:
        self._by_name = {asset: State(database, asset) for asset in assets}
        self._by_uri: dict[str, State] = {}

    def __getitem__(self, asset: str) -> State:
        """Return the store of one."""
        return self._by_name[asset]


class Triggerer:
    """
    One life of a triggerer, with Airflow's own shared streams, in the order in which its runner and supervisor work.

    Like there, what a trigger yields goes to the supervisor with the next sync, is committed by the supervisor, and
    the runner learns of it with the sync after that. A test decides when each of these happens.

    :param watchers: makes the trigger of each watcher, by the assets that it is on.
    """

    def __init__(
        self,
        database: Database,
        watchers: Mapping[tuple[str, ...], Callable[[], Any]],
        store: Store,
        clock: Clock,
        monkeypatch: Any,
        *,
        open_reader: Callable[[], SummaryReader] | None = None,
    ) -> None:
        from airflow.triggers.shared_stream import SharedStreamManager

        self.feed = WatchedReader(
            open_reader or (lambda: SummaryReader(store)), clock=clock.now, sleep=clock.sleep
        )
        monkeypatch.setattr(
            "airflow_provider_voicepartner.triggers.event_reader.shared_reader", lambda: self.feed
        )
        self.clock = clock
        self.errors: list[BaseException] = []
        self._database = database
        self._streams = SharedStreamManager()
        self._yielded: deque[tuple[tuple[str, ...], Any, int | None]] = deque()
        self._sent: deque[tuple[tuple[str, ...], Any, int | None]] = deque()
        self._committed: deque[int] = deque()
        self.states = {assets: States(database, assets) for assets in watchers}
        self._tasks = [
            asyncio.create_task(self._run(number, assets, make()))
            for number, (assets, make) in enumerate(watchers.items(), start=1)
        ]

    async def _run(self, number: int, assets: tuple[str, ...], trigger: Any) -> None:
        trigger.trigger_id = number
        trigger.asset_state_store = self.states[assets]
        key = trigger.shared_stream_key()
        stream = self._streams.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                seq = self._streams.bind_pending_event(trigger_id=number, key=key)
                self._yielded.append((assets, event.payload, seq))
        except Exception as error:
            self.errors.append(error)
        finally:
            await self._streams.unsubscribe(number, key)

    async def settle(self) -> None:
        """Wait until everybody waits: for the clock, or for Airflow."""
        calm, last = 0, -1
        while calm < 25:
            await asyncio.sleep(0 if not self.feed.asking else 0.0005)
            is_calm = not self.feed.asking and len(self._yielded) == last
            calm = calm + 1 if is_calm else 0
            last = len(self._yielded)

    async def poll(self, seconds: float = 5.0) -> None:
        """Let time pass, and the triggers look."""
        await self.settle()
        self.clock.move(seconds)
        await self.settle()

    def sync(self) -> None:
        """Exchange: the runner hands over what was yielded and learns what was committed."""
        self._sent.extend(self._yielded)
        self._yielded.clear()
        self._streams.confirm_persisted(list(self._committed))
        self._committed.clear()

    def commit(self, most: int = 1_000_000) -> None:
        """Let the supervisor commit some of what it was handed over."""
        for _ in range(min(most, len(self._sent))):
            assets, payload, seq = self._sent.popleft()
            self._database.keep(assets, payload)
            if seq is not None:
                self._committed.append(seq)

    async def work(self, rounds: int = 3) -> None:
        """Poll, hand over, commit and confirm, as often."""
        for _ in range(rounds):
            await self.poll()
            self.sync()
            self.commit()
            self.sync()
            await self.settle()

    async def kill(self) -> None:
        """End at once, as with SIGKILL: nothing more is written, whoever would like to."""
        for states in self.states.values():
            for state in states._by_name.values():
                state.database = Database()  # what is written from now on reaches nobody
        await self.stop()

    async def stop(self) -> None:
        """End as with SIGTERM: triggers are cancelled, and what was handed over is committed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await self._streams.stop_all()


class Stage:
    """A store, Airflow's database, and triggerers one after the other."""

    def __init__(self, store: Store, monkeypatch: Any) -> None:
        self.store = store
        self.clock = Clock()
        self.database = Database()
        self.monkeypatch = monkeypatch

    def start(self, watchers: Any = None, **more: Any) -> Triggerer:
        """Start a triggerer; None gives it one watcher, for all kinds of events."""
        from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

        chosen = watchers or {ASSET: DeliveryEventTrigger}
        return Triggerer(self.database, chosen, self.store, self.clock, self.monkeypatch, **more)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test in an event loop of its own."""
    asyncio.run(asyncio.wait_for(test(), 60))


class SyncState:
    """The same for a task, which does not wait."""

    def __init__(self, database: Database, asset: str) -> None:
        self._database = database
        self._asset = asset

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value."""
        return self._database.states.get((self._asset, key), default)

    def set(self, key: str, value: Any) -> None:
        """Keep a value, as JSON does."""
        self._database.states[self._asset, key] = json.loads(json.dumps(value))


def task_context(
    database: Database,
    asset: Any,
    run_id: str,
    attached: Sequence[AssetEvent] = (),
    *,
    task_id: str = "read",
    max_active_runs: int = 1,
    inlets: bool = True,
) -> dict[str, Any]:
    """Return what a task sees of a run that asset events started."""
    return {
        "run_id": run_id,
        "dag": SimpleNamespace(dag_id="on_reply", max_active_runs=max_active_runs),
        "task": SimpleNamespace(task_id=task_id),
        "triggering_asset_events": {asset: list(attached)} if attached else {},
        "asset_state_store": {asset: SyncState(database, asset.name)} if inlets else {},
    }
