"""
What a trial runs on: which memories an attempt has, where they are, and what clearing does to them.

The promise is the same in every cell: nobody twice, unless the user chose ``resend``; and everybody once, or in doubt
by name in a failed task, or by count in the report. What differs is how much a kill leaves in doubt, see ``KNOWS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Literal

from airflow import __version__

Memories = Literal["both", "store", "state"]
Database = Literal["sqlite", "postgres"]

ON_AIRFLOW_2 = __version__.startswith("2.")


@dataclass(frozen=True)
class Knows:
    """
    What an attempt knows of those before it; where it is blind, everything is in doubt, and it says what mends that.

    :param after_a_kill: what was claimed and what was sent, so that only batches in flight are in doubt.
    :param after_discarding: the same, when the task was cleared as Airflow 3.4 does, without its state.
    """

    after_a_kill: bool
    after_discarding: bool


KNOWS: Mapping[tuple[str, Memories, int], Knows] = {
    # Airflow, memories, machines (each with a store of its own)
    ("3", "both", 1): Knows(after_a_kill=True, after_discarding=True),
    ("3", "both", 2): Knows(after_a_kill=True, after_discarding=False),
    ("3", "store", 1): Knows(after_a_kill=True, after_discarding=True),
    ("3", "store", 2): Knows(after_a_kill=False, after_discarding=False),
    ("3", "state", 1): Knows(after_a_kill=True, after_discarding=False),
    ("2", "store", 1): Knows(after_a_kill=True, after_discarding=True),
    ("2", "store", 2): Knows(after_a_kill=False, after_discarding=False),
    # No memory at all: Airflow 2 has no task state.
    ("2", "state", 1): Knows(after_a_kill=False, after_discarding=False),
}


@dataclass(frozen=True)
class Cell:
    """
    One cell of the matrix.

    :param memories: ``both``; ``store`` alone (the task state is hidden, as before Airflow 3.3); ``state`` alone (our
        store is in memory, and gone with the attempt).
    :param database: of our store.
    :param machines: how many; attempts alternate between them, and each has a store of its own.
    :param discard: clearing the task discards its state, as on Airflow 3.4.
    :param by_hand: attempts are started with ``airflow tasks run`` (Airflow 2), which does not count them.
    """

    memories: Memories = "store" if ON_AIRFLOW_2 else "both"
    database: Database = "sqlite"
    machines: int = 1
    discard: bool = False
    by_hand: bool = False

    @property
    def knows(self) -> Knows:
        """Return what attempts know here."""
        return KNOWS["2" if ON_AIRFLOW_2 else "3", self.memories, self.machines]

    @property
    def has_state(self) -> bool:
        """True where the task state is a memory."""
        return self.memories != "store" and not ON_AIRFLOW_2

    def __str__(self) -> str:
        """Name the test."""
        extra = [
            f"{self.machines} machines" * (self.machines > 1),
            "discards" * self.discard,
            "by hand" * self.by_hand,
        ]
        return ", ".join([self.memories, self.database, *filter(None, extra)])


def _exists(cell: Cell) -> bool:
    version = "2" if ON_AIRFLOW_2 else "3"
    if (version, cell.memories, cell.machines) not in KNOWS:
        return False
    if cell.memories == "state" and cell.database != "sqlite":
        return False  # in memory there is no database
    if cell.discard and not cell.has_state:
        return False
    # Nothing is known here, and not even the try's number tells that there was an attempt before.
    return not cell.by_hand or (ON_AIRFLOW_2 and cell.knows.after_a_kill)


CELLS: tuple[Cell, ...] = tuple(
    cell
    for memories, database, machines, discard, by_hand in product(
        ("both", "store", "state"), ("sqlite", "postgres"), (1, 2), (False, True), (False, True)
    )
    if _exists(cell := Cell(memories, database, machines, discard, by_hand))
)


def sample(seed: int, count: int) -> list[Cell]:
    """Draw cells, the same for the same seed."""
    return Random(seed).sample(CELLS, min(count, len(CELLS)))
