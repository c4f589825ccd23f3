"""Trouble to be made on the next requests: what kind, on which requests, and how often."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_voicepartner.sandbox.settings import Gateway

Kind = Literal[
    "timeout", "slow", "drop_before", "drop_after", "drop_mid_answer", "429", "500", "503", "html",
    "queued_without_id", "wrong_json", "truncated_json", "empty",
]  # fmt: skip

_TAKES = {
    "timeout": True, "slow": True, "drop_before": False, "drop_after": True, "drop_mid_answer": True,
    "429": False, "500": False, "503": False, "html": False, "queued_without_id": False, "wrong_json": True,
    "truncated_json": True, "empty": True,
}  # fmt: skip


class Fault(BaseModel):
    """Trouble for some of the next requests."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    times: int | None = Field(1, ge=1, description="On how many requests; null: until it is removed.")
    skip: int = Field(0, ge=0, description="How many matching requests go through unharmed first.")
    gateway: Gateway | None = Field(None, description="Only requests to this gateway.")
    method: str | None = Field(None, description="Only requests with this method.")
    path: str | None = Field(None, description="Only requests whose path has this in it, e.g. /send.")
    taken: bool | None = Field(
        None, description="Whether the request is carried out first; null: as the kind usually does."
    )
    seconds: float | None = Field(
        None, ge=0, description="Wall seconds that timeout (null: until released) and slow (null: 6) last."
    )
    status: int | None = Field(None, ge=200, le=599, description="HTTP status of html and empty answers.")
    retry_after: int | None = Field(None, ge=0, description="Retry-After header of 429 and 503; null: none.")
    reset: bool = Field(False, description="Drops: reset the connection in place of closing it.")

    def takes(self) -> bool:
        """Tell whether the request is carried out before the trouble starts."""
        return _TAKES[self.kind] if self.taken is None else self.taken

    def hits(self, gateway: str, method: str, path: str) -> bool:
        """Tell whether this fault is meant for a request."""
        return (
            self.gateway in (None, gateway)
            and (self.method is None or self.method.upper() == method)
            and (self.path is None or self.path in path)
        )


@dataclass(slots=True)
class _Armed:
    id: int
    fault: Fault
    skip: int
    left: int | None
    hits: int = 0


@dataclass(slots=True)
class FaultBook:
    """The faults in force, oldest first, and the requests they keep hanging."""

    lock: threading.RLock
    _armed: list[_Armed] = field(default_factory=list)
    _hanging: dict[asyncio.Event, asyncio.AbstractEventLoop] = field(default_factory=dict)
    _serial: int = 0

    def add(self, fault: Fault) -> int:
        """Put a fault in force; return its id."""
        with self.lock:
            self._serial += 1
            self._armed.append(_Armed(self._serial, fault, fault.skip, fault.times))
            return self._serial

    def next_for(self, gateway: str, method: str, path: str) -> Fault | None:
        """Return the fault for a request that just came in, and count it as used."""
        with self.lock:
            for armed in self._armed:
                if not armed.fault.hits(gateway, method, path):
                    continue
                if armed.skip:
                    armed.skip -= 1
                    continue
                armed.hits += 1
                if armed.left is not None:
                    armed.left -= 1
                    if not armed.left:
                        self._armed.remove(armed)
                return armed.fault
            return None

    def view(self) -> list[dict[str, object]]:
        """Return the faults in force."""
        with self.lock:
            return [
                {"id": armed.id, "left": armed.left, "to_skip": armed.skip, "hits": armed.hits}
                | {"fault": armed.fault.model_dump(exclude_none=True)}
                for armed in self._armed
            ]

    def remove(self, fault_id: int) -> bool:
        """Take one fault out of force; tell whether it was in force."""
        with self.lock:
            kept = [armed for armed in self._armed if armed.id != fault_id]
            found = len(kept) != len(self._armed)
            self._armed = kept
            return found

    def clear(self) -> None:
        """Take all faults out of force and let hanging requests go."""
        with self.lock:
            self._armed.clear()
            self.release()

    def hang(self) -> asyncio.Event:
        """Return what a request waits for until it is released; call it in the server's event loop."""
        event = asyncio.Event()
        with self.lock:
            self._hanging[event] = asyncio.get_running_loop()
        return event

    def let_go(self, event: asyncio.Event) -> None:
        """Forget a request that hangs no more."""
        with self.lock:
            self._hanging.pop(event, None)

    def hanging(self) -> int:
        """Return how many requests hang."""
        with self.lock:
            return len(self._hanging)

    def release(self) -> int:
        """Let all hanging requests go; return how many."""
        with self.lock:
            released = len(self._hanging)
            for event, loop in self._hanging.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)
            self._hanging.clear()
            return released
