"""Ledger writes that come late, twice, or not at all, at every position of a campaign: nobody twice, nobody missing."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.support.hostile import HostileCampaign
from tests.support.hostile_memories import Fault, Wrong

MEMORIES = {"both": ("state", "store"), "state": ("state",), "store": ("store",)}
"""What an attempt remembers by, and where a write may go wrong then."""
KILLED_AFTER = (None, 0, 1, 2, 5, 12, 30)
"""How many points (before and after each write, before and after the gateway takes a batch) after the fault."""
SINGLE = tuple(wrong for wrong in Wrong if "late" not in wrong)


@pytest.fixture(autouse=True)
def _quick_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of campaigns need not be kept from anybody."""
    monkeypatch.setattr("airflow_provider_voicepartner.sending.records.COST", 2)


def writes_of(memories: str) -> dict[str, int]:
    """Return how many writes an undisturbed campaign makes to each memory."""
    undisturbed = HostileCampaign(memories=memories)
    undisturbed.run()
    assert undisturbed.story[0] == "success after 13 batches"
    # A claim and a record for each batch, if nothing else, and these may share a write.
    assert all(undisturbed.transport.writes[memory] > 13 for memory in MEMORIES[memories])
    return undisturbed.transport.writes


def faults(memories: str) -> Iterator[Fault]:
    """Yield every write in every way; one that is late arrives after each later write in slot, and after the end."""
    counts = writes_of(memories)
    for memory in MEMORIES[memories]:
        for position in range(counts[memory]):
            for wrong in SINGLE:
                yield Fault(memory, position, wrong)
            for later in range(1, counts[memory] - position + 1):
                yield Fault(memory, position, Wrong.LATE, later)
                yield Fault(memory, position, Wrong.LATE_AND_REPEATED, later)


def meet(memories: str, killed_after: int | None, *, stride: int = 1, **more: Any) -> None:
    """Let a campaign meet every fault, or every so-many-th: other ones for each moment of death."""
    first = KILLED_AFTER.index(killed_after) % stride
    for number, fault in enumerate(faults(memories)):
        if number % stride == first:
            HostileCampaign(
                memories=memories, fault=fault, kill_after=killed_after, is_patient=bool(number % 2), **more
            ).run()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("killed_after", KILLED_AFTER)
@pytest.mark.parametrize(("memories", "stride"), [("both", 7), ("state", 2), ("store", 4)])
def test_nobody_twice_and_nobody_missing_whatever_becomes_of_a_write(
    memories: str, stride: int, killed_after: int | None
) -> None:
    meet(memories, killed_after, stride=stride)


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", KILLED_AFTER)
@pytest.mark.parametrize("memories", MEMORIES)
def test_every_write_every_way_and_every_moment_of_death(memories: str, killed_after: int | None) -> None:
    meet(memories, killed_after)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("memories", MEMORIES)
def test_nobody_twice_and_nobody_missing_with_several_batches_under_way(memories: str) -> None:
    everything = list(faults(memories))
    for seed in range(100):
        random = Random(seed)
        HostileCampaign(
            memories=memories,
            fault=random.choice(everything),
            kill_after=random.choice((None, *range(40))),
            in_flight=random.choice((2, 3, 4)),
        ).run()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("killed_after", [None, 2, 12])
def test_nobody_twice_and_nobody_missing_where_clearing_discards_one_memory(killed_after: int | None) -> None:
    meet("both", killed_after, stride=7, discards=True)
