"""The ledger: what is known of every batch of a task, written before it leaves and after the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Receipt

OnUnknown = Literal["fail", "assume_sent", "resend"]

PLAN_KEY = "voicepartner/plan"

BATCHES_PER_KEY = 50
"""
How many records share one key of the store. Measured under Airflow 3.3 on SQLite: a write takes 12 ms with one record,
15 ms with 50 (10 kB), 27 ms with 330 (the store warns above 65,535 bytes); each read takes as long. With 50, a campaign
of 2,000 batches is read back in half a second, where a key a batch would take 20.
"""


def key_of(index: int) -> str:
    """Return the key that holds a batch's record; ``index`` counts from 0."""
    return f"voicepartner/batches/{index // BATCHES_PER_KEY}"


class StateStore(Protocol):
    """What the ledger writes to: Airflow's task state store (3.3 and later) or anything that outlives an attempt."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default."""

    def set(self, key: str, value: Any) -> None:
        """
        Write durably, for as long as the task itself is kept, or raise.

        An attempt that lost its right to write must get an error here. No key may expire before another: a plan that is
        gone while its batches stay, or the other way round, would let a retry send what was sent.
        """


_TYPES = {"size": int, "accepted": int, "opted_out": int, "segments": int}
"""Of what a record holds as JSON; all else is text."""


class Phase(StrEnum):
    """How far a batch came."""

    CLAIMED = "claimed"
    """About to leave. Without a later record: in doubt."""
    SENT = "sent"
    """The gateway took it and said so."""
    REFUSED = "refused"
    """Provably not taken; may be sent again."""
    ASSUMED_SENT = "assumed_sent"
    """Was in doubt; the user chose to take it as sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """
    What the ledger knows of one batch. Holds no number, no text and no key.

    :param phase: how far it came.
    :param reference: our id of it, known to the gateway.
    :param size: recipients in it.
    :param accepted: recipients that the gateway took.
    :param opted_out: recipients left out because they said STOP.
    :param gateway_id: the gateway's id.
    :param segments: messages charged, where told.
    :param cost: price, where told.
    :param currency: ISO 4217 code.
    :param tag: what to ask the gateway by, where it gave no id.
    :param at: when the phase began, ISO 8601.
    """

    phase: Phase
    reference: str
    size: int
    accepted: int = 0
    opted_out: int = 0
    gateway_id: str | None = None
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None
    tag: str | None = None
    at: str | None = None

    @classmethod
    def of_receipt(cls, receipt: Receipt, *, reference: str, size: int, at: str) -> BatchRecord:
        """Record that the gateway took a batch."""
        return cls(
            phase=Phase.SENT,
            reference=reference,
            size=size,
            accepted=receipt.accepted,
            opted_out=sum(refused.opted_out for refused in receipt.refused),
            gateway_id=receipt.gateway_id,
            segments=receipt.segments,
            cost=receipt.cost,
            currency=receipt.currency,
            at=at,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, unset values left out."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values |= {"phase": self.phase.value, "cost": None if self.cost is None else str(self.cost)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BatchRecord:
        """
        Read back; names of a later version are ignored.

        :raises ConfigurationError: when somebody changed the record by hand into something unreadable.
        """
        try:
            values = {name: data[name] for name in cls.__slots__ if name in data}
            if any(type(value) is not _TYPES.get(name, str) for name, value in values.items()):
                raise TypeError
            values["phase"] = Phase(values["phase"])
            if "cost" in values:
                values["cost"] = Decimal(values["cost"])
            return cls(**values)
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
            pass
        raise unreadable("a batch record")


def unreadable(what: str) -> ConfigurationError:
    """Build the error for state that somebody changed by hand: nobody knows what was sent."""
    return ConfigurationError(
        f"the task's state holds {what} that cannot be read, so nobody knows what was sent; "
        "look at the keys 'voicepartner/*' of the task's state store, and delete them to send everything again"
    )


def _batches_of(plan: Any) -> int:
    batches = plan.get("batches") if isinstance(plan, dict) else None
    if not isinstance(batches, int) or isinstance(batches, bool) or batches < 0:
        raise unreadable("a plan")
    return batches


class Ledger:
    """
    The records of one task's batches. Used by one thread.

    :param store: outlives the attempt; None where Airflow has none (before 3.3). Nothing is durable then, and an
        attempt after the first one finds every batch in doubt.
    :param fingerprint: of what this attempt would send.
    :param try_number: the attempt, from 1.
    """

    def __init__(self, store: StateStore | None, *, fingerprint: str, try_number: int) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._blind = store is None and try_number > 1
        self._pages: dict[str, dict[str, Any]] = {}
        self._is_new = store is None

    @property
    def is_durable(self) -> bool:
        """True when a later attempt will find what this one wrote."""
        return self._store is not None

    def open(self, batches: int, *, on_unknown: OnUnknown) -> None:
        """
        Begin, or go on where an earlier attempt stopped.

        :param batches: how many batches this attempt would send.
        :param on_unknown: ``resend`` also begins anew when the input changed.
        :raises ConfigurationError: when an earlier attempt sent, or may have sent, something else: a shifted list would
            otherwise send to some people twice and to others never.
        """
        if self._store is None:
            return
        plan = self._store.get(PLAN_KEY)
        ours = {"fingerprint": self._fingerprint, "batches": batches}
        if plan == ours:
            return
        if plan is None:
            before = 0
            # Somebody may have deleted keys by hand, and not all of them.
            if any(self._store.get(key_of(index)) for index in range(0, max(batches, 1), BATCHES_PER_KEY)):
                raise unreadable("batch records without their plan")
        else:
            before = _batches_of(plan)
            self._refuse_changed_input(before, on_unknown)
        for index in range(0, before, BATCHES_PER_KEY):
            self._store.set(key_of(index), {})
        self._store.set(PLAN_KEY, ours)
        self._pages.clear()
        self._is_new = True

    def _refuse_changed_input(self, before: int, on_unknown: OnUnknown) -> None:
        known = [self._find(index) for index in range(before)]
        gone = sum(record is not None and record.phase is not Phase.REFUSED for record in known)
        if gone and on_unknown != "resend":
            raise ConfigurationError(
                f"what this task would send has changed since an earlier attempt sent {gone} of {before} "
                "batches (recipients, text, time or account differ; a template of the present time does that). "
                "Nothing was sent now. Restore the earlier input to go on, or set on_unknown='resend' for one "
                "attempt (or delete the task's state keys 'voicepartner/*') to send everything of the new input"
            )

    def _page(self, index: int) -> dict[str, Any]:
        """Return the records that share a key, read once."""
        key = key_of(index)
        if key not in self._pages:
            # A campaign that this attempt began has nothing to read.
            page = None if self._is_new or self._store is None else self._store.get(key)
            if page is not None and not isinstance(page, dict):
                raise unreadable("batch records")
            self._pages[key] = dict(page or {})
        return self._pages[key]

    def _find(self, index: int) -> BatchRecord | None:
        data = self._page(index).get(str(index))
        return BatchRecord.from_json(data) if data is not None else None

    def find(self, index: int, size: int) -> BatchRecord | None:
        """
        Return what is known of a batch; None when it was never claimed.

        :param index: from 0.
        :param size: recipients in it.
        """
        record = self._find(index)
        if record is None and self._blind:
            # Before Airflow 3.3 nothing tells whether the first attempt sent: everything is in doubt.
            return BatchRecord(phase=Phase.CLAIMED, reference="", size=size)
        return record

    def known(self, batches: int) -> Iterator[tuple[int, BatchRecord]]:
        """
        Return what this attempt and earlier ones wrote of all batches, by index; nothing where there is no record.

        :param batches: how many there are.
        """
        for index in range(batches):
            record = self._find(index)
            if record is not None:
                yield index, record

    def write(self, records: Mapping[int, BatchRecord]) -> None:
        """
        Write records durably; those that share a key travel in one write.

        :raises Exception: whatever the store raises when this attempt may no longer write; it must then stop.
        """
        pages: dict[str, dict[str, Any]] = {}
        for index, record in records.items():
            page = pages.setdefault(key_of(index), dict(self._page(index)))
            page[str(index)] = record.to_json()
        for key, page in pages.items():
            if self._store is not None:
                self._store.set(key, page)
            # Only now: a later write of this page must not carry a claim whose own write failed.
            self._pages[key] = page
