"""The ledger: what is known of every batch of a task, written before it leaves and after the answer."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Receipt
from airflow_provider_voicepartner.sending.evidence import Evidence

log = logging.getLogger(__name__)

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


_TYPES = {"size": int, "accepted": int, "in_doubt": int, "opted_out": int, "segments": int, "resent": int}
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
    :param in_doubt: recipients that it may have taken, where nobody knows.
    :param opted_out: recipients left out because they said STOP.
    :param gateway_id: the gateway's id.
    :param segments: messages charged, where told.
    :param cost: price, where told.
    :param currency: ISO 4217 code.
    :param tag: what to ask the gateway by, where it gave no id.
    :param at: when the phase began, ISO 8601.
    :param evidence: what settled it, where it was in doubt once.
    :param resent: how often it was sent again while it was in doubt; each of those sendings may have to be paid for.
    """

    phase: Phase
    reference: str
    size: int
    accepted: int = 0
    in_doubt: int = 0
    opted_out: int = 0
    gateway_id: str | None = None
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None
    tag: str | None = None
    at: str | None = None
    evidence: Evidence | None = None
    resent: int = 0

    @classmethod
    def of_receipt(
        cls,
        receipt: Receipt,
        *,
        reference: str,
        size: int,
        at: str,
        evidence: Evidence | None = None,
        resent: int = 0,
    ) -> BatchRecord:
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
            evidence=evidence,
            resent=resent,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, unset values left out."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values |= {"phase": self.phase.value, "cost": None if self.cost is None else str(self.cost)}
        values |= {"evidence": None if self.evidence is None else self.evidence.value}
        rare = {name: None for name in ("in_doubt", "resent") if not values[name]}
        return {name: value for name, value in (values | rare).items() if value is not None}

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
            if "evidence" in values:
                values["evidence"] = Evidence(values["evidence"])
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """
    What all records of a task are about.

    :param fingerprint: of what is sent.
    :param batches: how many.
    :param send_again: a short hash of the text that last made everything be sent again; None if there was none.
    """

    fingerprint: Any
    batches: int
    send_again: str | None = None

    def to_json(self) -> dict[str, Any]:
        again = {} if self.send_again is None else {"send_again": self.send_again}
        return {"fingerprint": self.fingerprint, "batches": self.batches, **again}

    @classmethod
    def from_json(cls, plan: Any) -> _Plan:
        batches = plan.get("batches") if isinstance(plan, dict) else None
        if not isinstance(batches, int) or isinstance(batches, bool) or batches < 0:
            raise unreadable("a plan")
        mark = plan.get("send_again")
        if mark is not None and not isinstance(mark, str):
            raise unreadable("a plan")
        return cls(fingerprint=plan.get("fingerprint"), batches=batches, send_again=mark)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """
    What is to be recorded when a task begins, for the first time or anew.

    :param before: how many batches were recorded until now, to be forgotten.
    """

    plan: _Plan
    before: int


def _mark_of(send_again: str | None) -> str | None:
    """Shorten the user's text, which may be as long as they like."""
    return None if send_again is None else hashlib.sha256(send_again.encode()).hexdigest()[:16]


class Ledger:
    """
    The records of one task's batches. Used by one thread.

    :param store: outlives the attempt; None where Airflow has none (before 3.3). Nothing is durable then, and an
        attempt after the first one finds every batch in doubt.
    :param fingerprint: of what this attempt would send.
    :param try_number: the attempt, from 1.
    :param is_resumed: the attempt goes on after a wait, in which it may not begin anew.
    """

    def __init__(
        self, store: StateStore | None, *, fingerprint: str, try_number: int, is_resumed: bool = False
    ) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._is_resumed = is_resumed
        self._blind = store is None and try_number > 1
        self._pages: dict[str, dict[str, Any]] = {}
        self._is_new = store is None

    @property
    def is_durable(self) -> bool:
        """True when a later attempt will find what this one wrote."""
        return self._store is not None

    def open(self, batches: int, *, send_again: str | None = None) -> None:
        """
        Begin, or go on where an earlier attempt stopped.

        :param batches: how many batches this attempt would send.
        :param send_again: begin anew, once, if it differs from the text that the task's state knows.
        :raises ConfigurationError: when an earlier attempt sent, or may have sent, something else: a shifted list would
            otherwise send to some people twice and to others never.
        """
        begin = self._agree(batches, _mark_of(send_again))
        self._ask_others(batches)
        # Only now, when nobody refuses any more: it cannot be taken back.
        if begin is not None and self._store is not None:
            for index in range(0, begin.before, BATCHES_PER_KEY):
                self._store.set(key_of(index), {})
            self._store.set(PLAN_KEY, begin.plan.to_json())
            self._pages.clear()
            self._is_new = True

    def _ask_others(self, batches: int) -> None:
        """Ask whoever else must agree, before anything is written; here nobody."""

    def _agree(self, batches: int, mark: str | None) -> _Beginning | None:
        """Compare what is to be sent with what is recorded; None where there is nothing to begin."""
        if self._store is None:
            return None
        before = 0
        recorded = self._store.get(PLAN_KEY)
        if recorded is None:
            # Somebody may have deleted keys by hand, and not all of them.
            if any(self._store.get(key_of(index)) for index in range(0, max(batches, 1), BATCHES_PER_KEY)):
                raise unreadable("batch records without their plan")
        else:
            plan = _Plan.from_json(recorded)
            before = plan.batches
            if mark is not None and mark != plan.send_again:
                self._announce(before)
            elif (plan.fingerprint, before) == (self._fingerprint, batches):
                return None
            else:
                self._refuse_changed_input(before)
            mark = mark or plan.send_again
        return _Beginning(_Plan(fingerprint=self._fingerprint, batches=batches, send_again=mark), before)

    def _gone(self, before: int) -> list[BatchRecord]:
        """Return the records of batches that went out, or may have."""
        known = [self._find(index) for index in range(before)]
        return [record for record in known if record is not None and record.phase is not Phase.REFUSED]

    def _refuse_changed_input(self, before: int) -> None:
        gone = len(self._gone(before))
        if gone:
            raise ConfigurationError(
                f"what this task would send has changed since an earlier attempt sent {gone} of {before} "
                "batches (recipients, text, time or account differ; a template of the present time does that). "
                "Nothing was sent now. Restore the earlier input to go on; or give send_again a text that it did not "
                "have before (or delete the task's state keys 'voicepartner/*') to send everything of the new input"
            )

    def _announce(self, before: int) -> None:
        """Say what a changed ``send_again`` makes of what went out; refuse a text that changes by itself."""
        if self._is_resumed:
            raise ConfigurationError(
                "send_again: has changed while the task waited for the rate limit, as a template of the present time "
                "does; everything would be sent again after each wait. Nothing was sent now. Give it a fixed text, and "
                "clear the task"
            )
        gone = self._gone(before)
        if gone:
            log.warning(
                "send_again is new: %d of %d batches that earlier attempts sent are sent again, of which %d were in "
                "doubt",
                len(gone), before, sum(record.phase is Phase.CLAIMED for record in gone),
            )  # fmt: skip

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
