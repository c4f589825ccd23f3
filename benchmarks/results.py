"""What a run found: rows of a table, each with its goal, and seconds of the ways to do the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One goal.

    :param what: is measured.
    :param ours: what it took.
    :param beside: what it is compared with.
    :param measured: the number that the goal is about.
    :param goal: the limit of it.
    :param at_least: whether more is better.
    :param unit: behind both numbers.
    :param also: a second condition, that must hold too; and how it came out.
    """

    what: str
    ours: str
    beside: str
    measured: float
    goal: float
    at_least: bool
    unit: str
    also: tuple[str, bool] = ("", True)

    @property
    def is_reached(self) -> bool:
        """True when the number and the second condition are as wanted."""
        return self.share >= 1 and self.also[1]

    @property
    def share(self) -> float:
        """How far the goal is reached; 1 is just so, 2 is twice as good."""
        if self.at_least:
            return self.measured / self.goal
        return self.goal / self.measured if self.measured > 0 else 100.0

    @property
    def wanted(self) -> str:
        """Say what is wanted."""
        also = f", {self.also[0]}" if self.also[0] else ""
        return f"{'≥' if self.at_least else '≤'} {self.goal:g}{self.unit}{also}"


@dataclass(frozen=True, kw_only=True)
class Way:
    """
    One way to send the same campaign.

    :param name: what does it.
    :param seconds: that it takes; None where it could not be measured.
    :param how: it was measured.
    """

    name: str
    seconds: float | None
    how: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """
    A whole run.

    :param rows: the goals.
    :param ways: to send one campaign.
    :param campaign: that they all sent.
    :param notes: to be read with the tables.
    :param about: date, versions and machine.
    """

    rows: list[Row]
    ways: list[Way]
    campaign: str
    notes: list[str]
    about: str
