"""What the sandbox was asked to send: a campaign is one accepted request, a line is one number in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from airflow_provider_voicepartner.sandbox.outcomes import PENDING


@dataclass(slots=True)
class Line:
    """One number of a campaign and what becomes of it."""

    number: str
    parts: int = 1
    cost: Decimal = Decimal(0)
    text: str | None = None
    """Its own text, when the campaign has one for each number."""
    word: str | None = None
    """The final status in the gateway's words, known from ``done_at`` on; ``None``: no report ever comes."""
    done_at: float = 0.0
    picked_up: bool = True
    pressed_keys: str | None = None
    stopped: bool = False

    def dump(self) -> list[Any]:
        """Return the line as a JSON list."""
        return [
            self.number, self.parts, str(self.cost), self.text, self.word, self.done_at, self.picked_up,
            self.pressed_keys, self.stopped,
        ]  # fmt: skip

    @classmethod
    def load(cls, dumped: list[Any]) -> Line:
        """Return the line that :meth:`dump` wrote."""
        number, parts, cost, *rest = dumped
        return cls(number, parts, Decimal(cost), *rest)


@dataclass(slots=True)
class Campaign:
    """One accepted send: up to 500 lines under one id of the gateway."""

    gateway: str
    kind: str
    """``sms``, ``vn`` (from a rented number), ``call`` or ``voicemail``."""
    lines: list[Line]
    text: str | None = None
    sender: str | None = None
    reference: str | None = None
    """What the client can recognise it by: tag (SMS Partner), request_id (Octopush), notifyUrl (Voice Partner)."""
    cost: Decimal = Decimal(0)
    due: float | None = None
    """When it leaves, if it was scheduled."""
    simulated: bool = False
    report_url: str | None = None
    reply_url: str | None = None
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Numbers that were left out, with the reason."""
    warnings: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    serial: int = 0
    created: float = 0.0
    cancelled: bool = False
    _places: dict[str, int] | None = None

    def leaves_at(self) -> float:
        """Return the moment it leaves: its date, or when it was taken."""
        return self.created if self.due is None else max(self.due, self.created)

    def find(self, number: str) -> Line | None:
        """Return the (last) line of a number."""
        if self._places is None:
            self._places = {line.number: index for index, line in enumerate(self.lines)}
        place = self._places.get(number)
        return None if place is None else self.lines[place]

    def word_of(self, line: Line, now: float) -> str:
        """Return a line's status in the gateway's words, as it stands at ``now``."""
        if line.word is None or now < line.done_at or self.cancelled:
            return PENDING[self.gateway]
        return line.word

    def changed_at(self, line: Line, now: float) -> float:
        """Return when the line last changed."""
        return line.done_at if line.word is not None and now >= line.done_at else self.leaves_at()

    def dump(self) -> dict[str, Any]:
        """Return the campaign as JSON values."""
        return {
            "gateway": self.gateway, "kind": self.kind, "lines": [line.dump() for line in self.lines],
            "text": self.text, "sender": self.sender, "reference": self.reference, "cost": str(self.cost),
            "due": self.due, "simulated": self.simulated, "report_url": self.report_url,
            "reply_url": self.reply_url, "refused": self.refused, "warnings": self.warnings,
            "details": self.details, "id": self.id, "serial": self.serial, "created": self.created,
            "cancelled": self.cancelled,
        }  # fmt: skip

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> Campaign:
        """Return the campaign that :meth:`dump` wrote."""
        values = dict(dumped)
        values["lines"] = [Line.load(line) for line in values["lines"]]
        values["cost"] = Decimal(values["cost"])
        return cls(**values)
