"""The sandbox as a test sees it: what was really sent, and trouble for the next requests."""

from __future__ import annotations

import json
from typing import Any


def sent(sandbox: Any, gateway: str) -> dict[str, int]:
    """Return how often each number was really sent a message."""
    return dict(sandbox.world.tallies[gateway].numbers)


def requests(sandbox: Any) -> int:
    """Return how many requests came in at all."""
    return int(sandbox.world.requests.total)


def last_body(sandbox: Any) -> dict[str, Any]:
    """Return the JSON of the last request."""
    body: dict[str, Any] = json.loads(next(reversed(sandbox.world.requests)).body)
    return body


def bodies(sandbox: Any) -> list[dict[str, Any]]:
    """Return the JSON of all requests that had any, in their order."""
    return [json.loads(one.body) for one in sandbox.world.requests if one.body]


def fault(sandbox: Any, kind: str, **more: Any) -> None:
    """Make trouble for the next request that fits."""
    from airflow_provider_voicepartner.sandbox.faults import Fault

    sandbox.world.faults.add(Fault.model_validate({"kind": kind, **more}))


def outcome(sandbox: Any, number: str, outcome: str, **more: Any) -> None:
    """Say what becomes of the messages to a number."""
    from airflow_provider_voicepartner.sandbox.outcomes import Rule

    sandbox.world.rules.set(Rule.model_validate({"number": number, "outcome": outcome, **more}))
