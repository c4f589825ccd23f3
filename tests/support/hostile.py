"""
A hostile transport for what the ledger writes, to both of its memories, and campaigns that live with it.

Airflow's client gives up on a write after 5 s and repeats it; the first copy may be executed at any later moment, with
what it said then. A database's client that loses its connection does not know what was committed. Here one write of a
campaign is chosen, and goes wrong in one of these ways; then the attempt is killed, retried and cleared.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import SendOutcomeUnknownError
from airflow_provider_voicepartner.gateways.model import Receipt, Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.campaign_spec import Campaign
from airflow_provider_voicepartner.sending.ledger import Ledger, Try
from airflow_provider_voicepartner.sending.records import BatchRecord, Memory, Phase
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from airflow_provider_voicepartner.sending.task_state import TaskStateMemory
from tests.support.doubts import doubts_in
from tests.support.hostile_memories import (
    CrashError,
    Crashes,
    Fault,
    HostileState,
    HostileStore,
    Transport,
)
from tests.support.servers import FakeTime
from tests.support.tasks import FakeStore

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)


BATCHES = 13


SIZE = 2


MOST_ATTEMPTS = 8


@dataclass
class Gateway:
    """Takes everything, counts who was messaged, and can prove nothing."""

    crashes: Crashes
    simulation_tells_price: bool = False
    messaged: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def build_batch(self, message: Any, recipients: Any, *, reference: str, **more: Any) -> ApiRequest:
        """Build a request that carries nothing but its reference and whether it is a simulation."""
        simulates = bool(more.get("simulate"))
        return ApiRequest(
            endpoint="send",
            method="POST",
            path="send",
            safe_to_repeat=False,
            body={"reference": reference, "simulate": simulates},
        )

    def deliver(self, request: ApiRequest, message: Any, recipients: Any, **more: Any) -> Receipt:
        """Take a batch and count everybody in it."""
        assert request.body is not None
        if not request.body["simulate"]:
            self.crashes.point()
            with self.lock:
                self.messaged.update(recipient.phone_number for recipient in recipients)
            self.crashes.point()
        return Receipt(
            gateway_id=f"of {request.body['reference']}",
            accepted=len(recipients),
            cost=None,
            currency=None,
            segments=None,
        )

    def money_left(self) -> None:
        """Count something else than money."""

    def can_look_up(self, message: Any, reference: str) -> bool:
        """Nowhere."""
        return False

    def repeats_safely(self, age: timedelta) -> bool:
        """Never."""
        return False

    def tag_of(self, message: Any, reference: str) -> None:
        """None."""

    def known_within(self, message: Any) -> None:
        """There is nothing to ask."""

    def can_disprove(self, message: Any) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, kw_only=True)
class Memories:
    """
    What an attempt remembers by.

    :param state: the task state; None where there is none.
    :param store: our store; None where it is gone with each attempt.
    :param is_patient: what our store refuses is tried once more, as where it can be reached again in a moment.
    :param clearing_discards: clearing the task discards its state, as on Airflow 3.4.
    """

    state: HostileState | None
    store: HostileStore | None
    is_patient: bool = False
    clearing_discards: bool = False


def ledger_for(memories: Memories, run_id: str, try_number: int) -> Ledger:
    """Return the ledger of an attempt, registered, as an operator makes it."""
    kept: list[Memory] = []
    if memories.store is not None:
        # The wrapper is a store in all that the memory uses.
        store: Any = memories.store
        key = TaskInstanceKey("crash", run_id, "send")
        kept.append(StoreMemory(store, key, patiently=_twice if memories.is_patient else _once))
    if memories.state is not None:
        kept.append(TaskStateMemory(memories.state))
    ledger = Ledger(
        kept,
        Try(try_number),
        is_complete=memories.state is not None and not memories.clearing_discards,
        store=None if memories.store is None else "here",
    )
    ledger.register()
    return ledger


def _once(transaction: Callable[[], Any]) -> Any:
    return transaction()


def _twice(transaction: Callable[[], Any]) -> Any:
    try:
        return transaction()
    except StoreUnavailableError:
        return transaction()


_STORE = threading.local()


_RUNS = itertools.count(1)


def _shared_store() -> Store:
    """Return one store in memory for all campaigns, which are of different runs: to make one takes a while."""
    if not hasattr(_STORE, "store"):
        _STORE.store = open_store("sqlite://")
    store: Store = _STORE.store
    return store


def campaign(on_unknown: Any = "fail", in_flight: int = 1) -> Campaign:
    """Return a campaign of 13 batches."""
    people = tuple(Recipient(f"+336{number:08}") for number in range(BATCHES * SIZE))
    cut = tuple(people[at : at + SIZE] for at in range(0, len(people), SIZE))
    return Campaign(
        message=SmsMessage(text="Once"),
        batches=cut,
        recipients=len(people),
        fingerprint="f1",
        on_unknown=on_unknown,
        max_in_flight=in_flight,
    )


@dataclass(kw_only=True)
class HostileCampaign:
    """
    One campaign of 13 batches that meets a fault, is killed, retried until it has ended, and cleared.

    The gateway can prove nothing, so that what is in doubt stays so until the user says ``assume_sent``.

    :param memories: ``both``, ``store`` or ``state``.
    :param discards: clearing discards the task state; only where there is another memory.
    :param is_patient: see :class:`Memories`.
    """

    memories: str
    fault: Fault | None = None
    kill_after: int | None = None
    in_flight: int = 1
    records: list[BatchRecord] = field(default_factory=list)
    discards: bool = False
    is_patient: bool = False
    story: list[str] = field(default_factory=list)
    doubted: set[int] = field(default_factory=set)
    killed_since_the_choice: int = 0

    def __post_init__(self) -> None:
        self.run_id = f"run-{next(_RUNS)}"
        self.time = FakeTime()
        self.crashes = Crashes()
        self.gateway = Gateway(self.crashes)
        self.transport = Transport(self.fault, self.kill_after, self.time, self.crashes)
        self.values = FakeStore()
        state = HostileState(self.values, self.transport)
        self.remembers_by = Memories(
            state=None if self.memories == "store" else state,
            store=None if self.memories == "state" else HostileStore(_shared_store(), self.transport),
            is_patient=self.is_patient,
            clearing_discards=self.discards,
        )
        self.attempts = 0

    def attempt(self, on_unknown: str) -> str:
        """Run one attempt; return how it ended: ``success``, ``in doubt``, ``killed`` or the error's name."""
        self.attempts += 1
        self.crashes.is_dead = False
        try:
            ledger = ledger_for(self.remembers_by, self.run_id, self.attempts)
            self.records = CampaignSender(
                transport=self.gateway,
                ledger=ledger,
                now=lambda: NOW,
                sleep=self.time.sleep,
            ).send(campaign(on_unknown, self.in_flight))
            ended = "success"
        except CrashError:
            ended = "killed"
        except SendOutcomeUnknownError as error:
            self.doubted |= doubts_in(str(error))
            ended = "in doubt"
        except Exception as error:
            ended = type(error).__name__
        self.story.append(f"{ended} after {sum(self.gateway.messaged.values()) // SIZE} batches")
        return ended

    def run(self) -> None:
        """Go the whole way, and assert the promise at each step."""
        choice = "fail"
        while (ended := self.attempt(choice)) != "success":
            self.nobody_twice()
            self.killed_since_the_choice += choice == "assume_sent"
            if ended == "in doubt":
                choice = "assume_sent"
                self._clear()
            assert self.attempts < MOST_ATTEMPTS, self
        self.nobody_twice()
        self.nobody_missing()
        self.transport.deliver()
        self._clear()
        before = dict(self.gateway.messaged)
        while (ended := self.attempt("fail")) != "success":
            # The fault, or the kill, may come as late as here; there is nothing to be in doubt.
            assert ended != "in doubt", self
            assert self.attempts < MOST_ATTEMPTS, self
        assert self.gateway.messaged == before, self

    def _clear(self) -> None:
        if self.discards:
            self.values.values.clear()

    def nobody_twice(self) -> None:
        """Assert that nobody was messaged twice."""
        assert max(self.gateway.messaged.values(), default=0) <= 1, self

    def nobody_missing(self) -> None:
        """Assert that everybody was messaged, or is in doubt by the name of their batch and by count."""
        unnamed = 0
        for index in range(BATCHES):
            if not self.gateway.messaged[f"+336{index * SIZE:08}"]:
                assert self.records[index].phase is Phase.ASSUMED_SENT, self
                unnamed += index not in self.doubted
        # What is left in doubt after the user's word is counted, and no attempt fails for it.
        assert unnamed <= self.in_flight * self.killed_since_the_choice, self

    def __str__(self) -> str:
        """Tell what happened, for a failed assertion."""
        twice = [number for number, times in self.gateway.messaged.items() if times > 1]
        return (
            f"{self.memories}, {self.fault}, killed after {self.kill_after}: {self.story}, twice {len(twice)}"
        )
