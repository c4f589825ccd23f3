"""What reached the sandbox: a bounded log of requests, and how often each number was really sent a message."""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from airflow_provider_voicepartner.sandbox.campaigns import Campaign

KEPT_REQUESTS = 5_000
KEPT_BODY_BYTES = 32 * 1024 * 1024

_SECRET_FIELDS = frozenset({"apiKey", "api-key", "api_key"})
_KEY_IN_PATH = re.compile(r"^(/voicepartner/v1/(?:me|audios|campaign/cancel|campaign)/)(?!send(?:/|$))[^/]+")
_MASK = "***"
_TO_JSON: TypeAdapter[Any] = TypeAdapter(Any)


def masked_path(path: str) -> str:
    """Return a path without the key that Voice Partner wants in it."""
    return _KEY_IN_PATH.sub(rf"\g<1>{_MASK}", path)


@dataclass(slots=True)
class RequestRecord:
    """One request as it came in, and what was made of it."""

    serial: int
    at: float
    gateway: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    fault: str | None = None
    campaign: str | None = None
    """The campaign it made, if the message was taken."""
    status: int | None = None
    """What was answered; ``None``: nothing was (or not yet)."""
    warnings: list[str] = field(default_factory=list)
    """What was odd in it, and accepted all the same."""

    def warn(self, oddity: str) -> None:
        """Remark something odd, once."""
        if oddity not in self.warnings:
            self.warnings.append(oddity)

    def view(self) -> dict[str, Any]:
        """Return it as JSON, keys masked."""
        return {
            "serial": self.serial, "at": self.at, "gateway": self.gateway, "method": self.method,
            "path": masked_path(self.path), "query": _masked(self.query), "headers": _masked(self.headers),
            "body": _readable(self.body), "fault": self.fault, "taken": self.campaign is not None,
            "campaign": self.campaign, "status": self.status, "warnings": self.warnings,
        }  # fmt: skip


def _masked(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _MASK if name in _SECRET_FIELDS else value for name, value in values.items()}


def _readable(body: bytes) -> Any:
    if not body:
        return None
    try:
        value = json.loads(body)
        _TO_JSON.dump_json(value)  # not every value that Python reads can be shown: half of a character pair
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")[:2000]
    return _masked(value) if isinstance(value, dict) else value


class RequestLog:
    """The last requests, oldest dropped first, by number and by the size of their bodies."""

    def __init__(self) -> None:
        self._kept: deque[RequestRecord] = deque()
        self._bytes = 0
        self.total = 0

    def add(self, record: RequestRecord) -> None:
        """Keep a request."""
        self.total += 1
        self._kept.append(record)
        self._bytes += len(record.body)
        while len(self._kept) > KEPT_REQUESTS or (self._bytes > KEPT_BODY_BYTES and len(self._kept) > 1):
            self._bytes -= len(self._kept.popleft().body)

    def __iter__(self) -> Any:
        return iter(self._kept)

    def __reversed__(self) -> Any:
        return reversed(self._kept)


@dataclass(slots=True)
class Tally:
    """Counts of what one gateway really sent: simulated sends are not in it, cancelled ones are taken out."""

    numbers: Counter[str] = field(default_factory=Counter)
    references: dict[str, dict[str, int]] = field(default_factory=dict)
    campaigns: int = 0
    messages: int = 0
    parts: int = 0

    def add(self, campaign: Campaign, sign: int = 1) -> None:
        """Count a campaign, or with ``sign`` -1 take it out again."""
        for line in campaign.lines:
            self.numbers[line.number] += sign
            if not self.numbers[line.number]:
                del self.numbers[line.number]
            self.parts += sign * line.parts
        self.campaigns += sign
        self.messages += sign * len(campaign.lines)
        if campaign.reference is not None:
            entry = self.references.setdefault(campaign.reference, {"campaigns": 0, "messages": 0})
            entry["campaigns"] += sign
            entry["messages"] += sign * len(campaign.lines)

    def view(
        self, *, at_least: int = 1, number: str | None = None, reference: str | None = None
    ) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {
            "campaigns": self.campaigns,
            "messages": self.messages,
            "parts": self.parts,
            "numbers": {
                known: count
                for known, count in self.numbers.items()
                if count >= at_least and number in (None, known)
            },
            "references": {
                known: count
                for known, count in self.references.items()
                if count["campaigns"] >= at_least and reference in (None, known)
            },
        }
