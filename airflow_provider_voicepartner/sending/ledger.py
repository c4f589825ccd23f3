"""The ledger: what is known of every batch of a task, written before it leaves and after the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Receipt

OnUnknown = Literal["fail", "assume_sent", "resend"]

PLAN_KEY = "voicepartner/plan"


def batch_key(index: int) -> str:
    """Return the key of a batch's record; ``index`` counts from 0."""
    return f"voicepartner/batch/{index}"


class StateStore(Protocol):
    """What the ledger writes to: Airflow's task state store (3.3 and later) or anything that outlives an attempt."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default."""

    def set(self, key: str, value: Any) -> None:
        """Write durably, or raise. An attempt that lost its right to write must get an error here."""


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
        except (KeyError, TypeError, ValueError, ArithmeticError):
            pass
        raise unreadable("a batch record")


def unreadable(what: str) -> ConfigurationError:
    """Build the error for state that somebody changed by hand: nobody knows what was sent."""
    return ConfigurationError(
        f"the task's state holds {what} that cannot be read, so nobody knows what was sent; "
        f"look at the keys {PLAN_KEY!r} and {batch_key(0)!r} of the task's state store, and delete all keys "
        "'voicepartner/*' there to send everything again"
    )


def _batches_of(plan: Any) -> int:
    batches = plan.get("batches") if isinstance(plan, dict) else None
    if not isinstance(batches, int) or batches < 0:
        raise unreadable("a plan")
    return batches


class Ledger:
    """
    The records of one task's batches.

    :param store: outlives the attempt; None where Airflow has none (before 3.3). Nothing is durable then, and an
        attempt after the first one finds every batch in doubt.
    :param fingerprint: of what this attempt would send.
    :param try_number: the attempt, from 1.
    """

    def __init__(self, store: StateStore | None, *, fingerprint: str, try_number: int) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._memory: dict[str, Any] = {}
        self._blind = store is None and try_number > 1

    @property
    def is_durable(self) -> bool:
        """True when a later attempt will find what this one wrote."""
        return self._store is not None

    def _get(self, key: str) -> Any:
        return self._memory.get(key) if self._store is None else self._store.get(key)

    def _set(self, key: str, value: Any) -> None:
        if self._store is None:
            self._memory[key] = value
        else:
            self._store.set(key, value)

    def open(self, batches: int, *, on_unknown: OnUnknown) -> None:
        """
        Begin, or go on where an earlier attempt stopped.

        :param batches: how many batches this attempt would send.
        :param on_unknown: ``resend`` also begins anew when the input changed.
        :raises ConfigurationError: when an earlier attempt sent, or may have sent, something else: a shifted list would
            otherwise send to some people twice and to others never.
        """
        plan = self._get(PLAN_KEY)
        ours = {"fingerprint": self._fingerprint, "batches": batches}
        if plan is None:
            self._begin_without_plan(batches, on_unknown=on_unknown)
        elif plan != ours:
            left = [self._find(index) for index in range(_batches_of(plan))]
            gone = sum(record is not None and record.phase is not Phase.REFUSED for record in left)
            if gone and on_unknown != "resend":
                raise ConfigurationError(
                    f"what this task would send has changed since an earlier attempt sent {gone} of {len(left)} "
                    "batches (recipients, text, time or account differ; a template of the present time does that). "
                    "Nothing was sent now. Restore the earlier input to go on, or set on_unknown='resend' for one "
                    "attempt (or delete the task's state keys 'voicepartner/*') to send everything of the new input"
                )
            for index in range(max(len(left), batches)):
                self._set(batch_key(index), {})
        if plan != ours:
            self._set(PLAN_KEY, ours)

    def _begin_without_plan(self, batches: int, *, on_unknown: OnUnknown) -> None:
        # The plan is written first, so the store's clean-up may drop it first; what the records meant is lost with it.
        orphans = [index for index in range(batches) if self._get(batch_key(index))]
        if orphans and on_unknown != "resend":
            raise unreadable("batch records without a plan")
        for index in orphans:
            self._set(batch_key(index), {})

    def _find(self, index: int) -> BatchRecord | None:
        data = self._get(batch_key(index))
        return BatchRecord.from_json(data) if data else None

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

    def write(self, index: int, record: BatchRecord) -> None:
        """
        Write a record durably.

        :raises Exception: whatever the store raises when this attempt may no longer write; it must then stop.
        """
        self._set(batch_key(index), record.to_json())
