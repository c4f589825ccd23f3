"""
A ledger's memory in Airflow's task state (3.3 and later), which workers share that share no store.

Airflow's client gives up on a write after some seconds and repeats it, and the first copy may be executed after all
that came later: what is overwritten there can be lost. So no key is ever written with two contents. Each write is an
entry of a log, under the next number; one that failed leaves its number unused. Every so often an entry sums up those
before it, so that a later attempt need not read them all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from airflow_provider_voicepartner.constants import (
    LARGEST_SUMMARY,
    MOST_LOST_WRITES,
    MOST_STATE_RECORDS,
    SLOW_CLAIM,
    STATE_REACH,
    SUMMARY_EVERY,
)
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RetryableNotSentError,
)
from airflow_provider_voicepartner.sending.records import Attempt, BatchRecord, Plan, Recollection, unreadable

_OLD_PLAN: Final = "voicepartner/plan"


class StateStore(Protocol):
    """Airflow's task state store, or anything that outlives an attempt."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default."""

    def set(self, key: str, value: Any) -> None:
        """
        Write durably, for as long as the task itself is kept, or raise.

        An attempt that lost its right to write must get an error here. No key may expire before another.
        """


def log_key(number: int) -> str:
    """Return the key of an entry of the log; they count from 1."""
    return f"voicepartner/log/{number}"


def attempt_key(place: int) -> str:
    """Return the key of an attempt, by its place among those that were registered here, from 1."""
    return f"voicepartner/attempt/{place}"


class TaskStateMemory:
    """
    The log of one task instance.

    :param store: Airflow's.
    :param clock: seconds that only go forward; injected by tests.
    """

    name = "Airflow's task state"

    def __init__(self, store: StateStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._place = 0
        self._tries: frozenset[int] = frozenset()
        self._stores: frozenset[str] = frozenset()
        self._attempts = 0
        # What a reader has to read: entries for good, and those that the next summary will stand for.
        self._needed: list[int] = []
        self._tail: list[int] = []
        self._next = 1
        self._lost = 0
        self._plan: Plan | None = None
        self._records: dict[int, BatchRecord] = {}
        self._not_summed_up: dict[int, BatchRecord] = {}

    def register(self, attempt: Attempt) -> int:
        """
        Read the log, and write down that an attempt begins and which entries whoever comes after it needs.

        Airflow lets no earlier attempt write from the moment when this one has begun. A claim that it let pass before
        and that is executed only now is looked for again: either it is found here, or whoever made it finds this one.

        This write may be executed late as well, over that of a later attempt. That loses nothing: the later one begins
        a few numbers further at most, and a reader looks so far ahead.

        :raises ConfigurationError: for what cannot be read, or was written by a version before this one.
        """
        self._read()
        number = max(attempt.number, self._attempts + 1)
        # What failed at the end of an earlier attempt may still be executed, under the numbers behind the last one.
        end, self._next = self._next, self._next + STATE_REACH
        self._place += 1
        self._store.set(
            attempt_key(self._place),
            {
                "number": number,
                "tries": sorted(self._tries | {attempt.try_number}),
                "stores": sorted(self._stores | ({attempt.store} if attempt.store else set())),
                "needed": [*self._needed, *self._tail],
                "next": self._next,
            },
        )
        self._look_again(range(end, self._next))
        return number

    def recall(self) -> Recollection:
        """Return what the log said before this attempt."""
        return Recollection(
            tries=self._tries, stores=self._stores, plan=self._plan, records=dict(self._records)
        )

    def write(self, records: Mapping[int, BatchRecord], plan: Plan) -> None:
        """
        Append an entry.

        :raises RetryableNotSentError: too many writes have failed one after the other.
        :raises CampaignInterruptedError: a later attempt has taken over.
        :raises Exception: whatever Airflow raises.
        """
        positions = sorted(records)
        for start in range(0, max(len(positions), 1), MOST_STATE_RECORDS):
            part = {position: records[position] for position in positions[start : start + MOST_STATE_RECORDS]}
            if self._next % SUMMARY_EVERY == 0 or len(self._tail) >= 2 * SUMMARY_EVERY:
                self._sum_up()
            self._append(_entry_of(part, plan, with_plan=plan != self._plan))
            self._begin_generation(plan)
            self._tail.append(self._next - 1)
            self._records |= part
            self._not_summed_up |= part

    def _begin_generation(self, plan: Plan) -> None:
        """Forget an older generation, of which nothing counts any more."""
        if self._plan is None or plan.generation > self._plan.generation:
            self._records, self._not_summed_up = {}, {}
            self._needed, self._tail = [], []
        self._plan = plan

    def _sum_up(self) -> None:
        """Write an entry that stands for all since the last summary; without it, those are read one by one."""
        summary = None
        if self._plan is not None and self._tail:
            summary = _entry_of(self._not_summed_up, self._plan, with_plan=True) | {"from": self._tail[0]}
            if len(json.dumps(summary)) > LARGEST_SUMMARY:
                summary = None
                self._needed += self._tail
                self._tail, self._not_summed_up = [], {}
        if summary is None:
            return
        try:
            self._append(summary)
        except CampaignInterruptedError:
            raise
        except Exception:  # Nothing is lost by it.
            return
        self._needed.append(self._next - 1)
        self._tail, self._not_summed_up = [], {}

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self._lost >= MOST_LOST_WRITES:
            raise RetryableNotSentError(
                f"Airflow's task state failed {self._lost} times, one after the other; nothing more is sent"
            )
        if self._next % SUMMARY_EVERY == 0 and "from" not in entry:
            self._next += 1
        number, self._next = self._next, self._next + 1
        self._lost += 1
        started = self._clock()
        self._store.set(log_key(number), entry)
        self._lost = 0
        if self._clock() - started >= SLOW_CLAIM and self._is_replaced():
            raise CampaignInterruptedError(
                "a later attempt of this task has taken over, so this one sends nothing more"
            )

    def _is_replaced(self) -> bool:
        return self._store.get(attempt_key(self._place + 1)) is not None

    def _read(self) -> None:
        self._place = self._last_attempt()
        if self._place:
            self._read_attempt(self._store.get(attempt_key(self._place)))
        else:
            self._refuse_old_state()

    def _last_attempt(self) -> int:
        """Find the last of the places, which follow each other without a gap, with few reads."""
        known, beyond = 0, 1
        while self._store.get(attempt_key(beyond)) is not None:
            known, beyond = beyond, beyond * 2
        while beyond - known > 1:
            middle = (known + beyond) // 2
            if self._store.get(attempt_key(middle)) is not None:
                known = middle
            else:
                beyond = middle
        return known

    def _refuse_old_state(self) -> None:
        old = self._store.get(_OLD_PLAN)
        if old is not None:
            raise ConfigurationError(
                "an earlier version of this provider has begun to send this campaign, and this version cannot read "
                "what it recorded under the keys 'voicepartner/*' of the task's state. Nothing was sent now. Finish "
                "the run with that version; or, where nobody was sent anything, delete those keys and clear the task"
            )

    def _read_attempt(self, data: Any) -> None:
        try:
            needed, tries, stores = data["needed"], data["tries"], data["stores"]
            self._attempts, self._next = data["number"], data["next"]
            numbers = [self._attempts, self._next, *needed, *tries]
            is_right = all(type(number) is int and number >= 0 for number in numbers)
            is_right = is_right and all(isinstance(store, str) for store in stores)
            self._tries, self._stores = frozenset(tries), frozenset(stores)
        except (KeyError, TypeError):
            is_right = False
        if not is_right:
            raise unreadable("an attempt")
        for number in needed:
            entry = self._store.get(log_key(number))
            if entry is None:
                raise unreadable("a log without one of its entries")
            self._apply(number, entry)
        self._read_on()

    def _read_on(self) -> None:
        """Read what the last attempt wrote, by its summaries where there are some."""
        missing, asked = 0, 0
        while missing <= 2 * STATE_REACH:
            number = self._next + missing
            summary = number + -number % SUMMARY_EVERY
            if summary != asked:
                asked = summary
                if self._read_entry(summary, first=number):
                    missing = 0
                    continue
            is_there = number != summary and self._read_entry(number)
            missing = 0 if is_there else missing + 1

    def _read_entry(self, number: int, *, first: int | None = None) -> bool:
        """
        Read an entry; say whether it is there.

        :param first: only for a summary of everything from this number on: what lies before it is read then.
        """
        entry = self._store.get(log_key(number))
        if entry is None:
            return False
        if first is not None:
            begins = entry.get("from") if isinstance(entry, dict) else None
            if type(begins) is not int or begins > first:
                return False
        self._apply(number, entry)
        self._next = number + 1
        return True

    def _apply(self, number: int, entry: Any) -> dict[int, BatchRecord]:
        """Apply an entry and return its records; one of an older generation has none that count."""
        if not isinstance(entry, dict) or type(entry.get("generation")) is not int:
            raise unreadable("an entry of the log")
        if "plan" in entry:
            plan = Plan.from_json(entry["plan"])
            if self._plan is None or plan.generation > self._plan.generation:
                self._begin_generation(plan)
        if self._plan is None:
            raise unreadable("batch records without their plan")
        records = dict(_records_of(entry.get("batches")))
        if entry["generation"] != self._plan.generation:
            return {}
        first = entry.get("from")
        if type(first) is int:
            self._needed += [*(known for known in self._tail if known < first), number]
            self._tail, self._not_summed_up = [], {}
        else:
            self._tail.append(number)
            _merge(self._not_summed_up, records)
        _merge(self._records, records)
        return records

    def _look_again(self, numbers: range) -> None:
        """Apply what was executed while this attempt registered, as its own entry: nobody reads those numbers."""
        late: dict[int, BatchRecord] = {}
        for number in numbers:
            entry = self._store.get(log_key(number))
            if entry is not None:
                late |= self._apply(number, entry)
        if late and self._plan is not None:
            self._append(_entry_of({at: self._records[at] for at in late}, self._plan, with_plan=True))
            self._tail = [*(known for known in self._tail if known not in numbers), self._next - 1]


def _entry_of(records: Mapping[int, BatchRecord], plan: Plan, *, with_plan: bool) -> dict[str, Any]:
    return {
        "generation": plan.generation,
        **({"plan": plan.to_json()} if with_plan else {}),
        "batches": {str(position): record.to_json() for position, record in records.items()},
    }


def _merge(records: dict[int, BatchRecord], more: Mapping[int, BatchRecord]) -> None:
    for position, record in more.items():
        known = records.get(position)
        if known is None or record.rank >= known.rank:
            records[position] = record


def _records_of(batches: Any) -> Iterator[tuple[int, BatchRecord]]:
    if not isinstance(batches, dict):
        raise unreadable("batch records")
    for position, record in batches.items():
        if not (position.isascii() and position.isdigit()):
            raise unreadable("a batch record")
        yield int(position), BatchRecord.from_json(record)
