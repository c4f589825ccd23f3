"""
The counts of one route of an incident, as a pure value: who is sending, what was told when, and what is untold.

A claim that has ended says nothing about whether its message left. So what it was to tell is pending again, and whoever
tells it next says that it may be a repeat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from airflow_provider_voicepartner.incidents.model import AtMost


@dataclass(frozen=True, slots=True)
class Claim:
    """
    Somebody who is sending.

    :param until: after this moment, in Unix seconds, its sender counts as dead.
    :param tells: how many alerts its message is about.
    """

    began_at: float
    until: float
    tells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    What is known of a route.

    :param at_most: of the last alert; None holds nothing back.
    :param told_at: when the last messages were accepted, in Unix seconds.
    :param claims: by their tokens.
    :param untold: alerts since the last message, but for those of a claim.
    :param untold_since: when the first of them came.
    """

    at_most: AtMost | None = None
    told_at: tuple[float, ...] = ()
    claims: Mapping[str, Claim] = field(default_factory=lambda: MappingProxyType({}))
    untold: int = 0
    untold_since: float | None = None

    def is_live(self, token: str, now: float) -> bool:
        """Say whether a claim is one, and has not ended."""
        return token in self.claims and self.claims[token].until > now

    def dead(self, now: float) -> dict[str, Claim]:
        """Return the claims that have ended, and whose messages may have left."""
        return {token: claim for token, claim in self.claims.items() if claim.until <= now}

    def pending(self, now: float) -> int:
        """Return how many alerts the next message is about."""
        return self.untold + sum(claim.tells for claim in self.dead(now).values())

    def may_tell(self, now: float) -> bool:
        """Say whether a message may leave now."""
        return self.at_most is None or len(self._used(now)) < self.at_most.messages

    def claimed(self, token: str, now: float, *, seconds: float, new: int) -> Route:
        """
        Let somebody send what is pending.

        :param seconds: how long it is believed to be at work.
        :param new: alerts that come with it, 0 or 1.
        """
        live = {name: claim for name, claim in self.claims.items() if claim.until > now}
        mine = Claim(began_at=now, until=now + seconds, tells=self.pending(now) + new)
        return replace(self, claims={**live, token: mine}, untold=0, untold_since=None)

    def counted(self, now: float) -> Route:
        """Count an alert that nobody is told of now."""
        since = now if self.untold_since is None else self.untold_since
        return replace(self, untold=self.untold + 1, untold_since=since)

    def told(self, token: str, now: float) -> Route:
        """A message was accepted, or may have been. A claim that somebody took over is not missed."""
        kept = self.at_most.messages if self.at_most else 1
        return replace(self, claims=self._without(token), told_at=tuple(sorted((*self.told_at, now))[-kept:]))

    def not_told(self, token: str, now: float) -> Route:
        """Nobody was told: what the claim was about is untold again."""
        claim = self.claims.get(token)
        if claim is None:
            return self
        since = min(self.untold_since or now, claim.began_at)
        return replace(
            self, claims=self._without(token), untold=self.untold + claim.tells, untold_since=since
        )

    def without_untold(self, alerts: int) -> Route:
        """Forget so many untold alerts, of which people know by other means."""
        left = max(0, self.untold - alerts)
        return replace(self, untold=left, untold_since=self.untold_since if left else None)

    def next_message_at(self, now: float) -> float | None:
        """Return from when on there is something to do: to tell what is pending, or to take a dead claim over."""
        ends = [claim.until for claim in self.claims.values() if claim.until > now]
        if self.pending(now):
            ends.append(self._free_at(now))
        return min(ends, default=None)

    def _used(self, now: float) -> list[float]:
        """Return the messages that count now; those under way count as if they had just been accepted."""
        if self.at_most is None:
            return []
        seconds = self.at_most.seconds
        return [
            *(at for at in self.told_at if at + seconds > now),
            *(now for claim in self.claims.values() if claim.until > now),
        ]

    def _free_at(self, now: float) -> float:
        used = sorted(self._used(now))
        if self.at_most is None or len(used) < self.at_most.messages:
            return now
        return used[-self.at_most.messages] + self.at_most.seconds

    def _without(self, token: str) -> Mapping[str, Claim]:
        return {name: claim for name, claim in self.claims.items() if name != token}


def claims_as_text(claims: Mapping[str, Claim]) -> str:
    """Return claims as a column of the store holds them."""
    return json.dumps({token: [one.began_at, one.until, one.tells] for token, one in claims.items()})


def read_claims(text: str) -> Mapping[str, Claim]:
    """Read that column; what somebody changed by hand into something unreadable is no claim."""
    data = _read(text)
    if not isinstance(data, dict):
        return {}
    found = {}
    for token, values in data.items():
        if (
            isinstance(values, list)
            and len(values) == 3
            and all(isinstance(one, int | float) for one in values)
        ):
            found[token] = Claim(float(values[0]), float(values[1]), max(0, int(values[2])))
    return found


def read_times(text: str) -> tuple[float, ...]:
    """Read the column of times."""
    data = _read(text)
    if not isinstance(data, list):
        return ()
    return tuple(sorted(float(one) for one in data if isinstance(one, int | float)))


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
