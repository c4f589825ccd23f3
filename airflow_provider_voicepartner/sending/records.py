"""What is known of one batch: how far it came, in which attempt, and what the gateway answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Receipt
from airflow_provider_voicepartner.sending.evidence import Evidence

_WHOLE: Final = frozenset(
    {"size", "accepted", "opted_out", "segments", "in_doubt", "resent", "attempt", "step"}
)
"""Of what a record holds as JSON; all else is text."""
_RARE: Final = ("opted_out", "in_doubt", "resent", "step")
"""Left out of the JSON where they are 0, which keeps entries small."""
_STEPS: Final = 2**32
"""More than an attempt writes."""
_RANGES: Final = (("attempt", 2**30), ("step", _STEPS))
"""What fits into a database's integer, so that a record changed by hand is refused and not stumbled over later."""


class Phase(StrEnum):
    """How far a batch came."""

    CLAIMED = "claimed"
    """About to leave. Without a later record: in doubt."""
    REFUSED = "refused"
    """Provably not taken; may be sent again."""
    ASSUMED_SENT = "assumed_sent"
    """Was in doubt; the user chose to take it as sent."""
    SENT = "sent"
    """The gateway took it and said so, or evidence says so."""
    DISPUTED = "disputed"
    """Answered in a way that contradicts another answer, or itself: in doubt, and a repeat proves nothing."""

    @property
    def is_in_doubt(self) -> bool:
        """True where nobody knows whether the gateway took the batch."""
        return self in (Phase.CLAIMED, Phase.DISPUTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """
    What the ledger knows of one batch. Holds no number, no text and no key.

    :param phase: how far it came.
    :param reference: our id of it, known to the gateway.
    :param size: recipients in it.
    :param accepted: recipients that the gateway took.
    :param opted_out: recipients left out because they said STOP.
    :param in_doubt: recipients of a batch that was taken of whom nobody knows whether they were.
    :param gateway_id: the gateway's id; None where the answer that told it was lost, or nobody was taken.
    :param segments: messages charged, where told.
    :param cost: price, where told.
    :param currency: ISO 4217 code.
    :param tag: what to ask the gateway by, where it gave no id.
    :param at: when the phase began, ISO 8601; of a claim, when the batch was claimed first.
    :param again_at: when a batch in doubt was claimed last, to be sent again; None if it was claimed once.
    :param evidence: what settled it, where it was in doubt once.
    :param resent: how often it was sent again while it was in doubt; each of those sendings may have to be paid for.
    :param attempt: the number of the attempt that wrote it; set by the ledger.
    :param step: which of the attempt's writes it was; set by the ledger.
    """

    phase: Phase
    reference: str
    size: int
    accepted: int = 0
    opted_out: int = 0
    in_doubt: int = 0
    gateway_id: str | None = None
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None
    tag: str | None = None
    at: str | None = None
    again_at: str | None = None
    evidence: Evidence | None = None
    resent: int = 0
    attempt: int = field(default=0, compare=False)
    step: int = field(default=0, compare=False)

    @classmethod
    def of_receipt(
        cls, receipt: Receipt, claim: BatchRecord, *, at: str, evidence: Evidence | None = None
    ) -> BatchRecord:
        """
        Record what the gateway answered to a batch that it took, or of which it refused everybody by name.

        :param claim: the batch's.
        """
        return cls(
            phase=Phase.SENT,
            reference=claim.reference,
            size=claim.size,
            accepted=receipt.accepted,
            opted_out=sum(refused.opted_out for refused in receipt.refused),
            in_doubt=receipt.in_doubt,
            gateway_id=receipt.gateway_id,
            segments=receipt.segments,
            cost=receipt.cost,
            currency=receipt.currency,
            at=at,
            evidence=evidence,
            resent=claim.resent,
        )

    @property
    def rank(self) -> int:
        """
        How far this is: of two records of one batch, the one of the higher rank counts.

        Not by phase: in one attempt a batch may be claimed, be in doubt, be claimed again and be refused then, and each
        of these has something to tell. What an attempt says last is what it knows.
        """
        return self.attempt * _STEPS + self.step

    @property
    def as_claimed(self) -> BatchRecord:
        """The claim alone, without what an answer said that is disputed now."""
        return BatchRecord(
            phase=Phase.CLAIMED,
            reference=self.reference,
            size=self.size,
            at=self.at,
            again_at=self.again_at,
            resent=self.resent,
        )

    @property
    def reached_nobody(self) -> bool:
        """True where certainly nobody was sent anything."""
        everybody_refused = self.phase is Phase.SENT and not self.accepted and not self.in_doubt
        return self.phase is Phase.REFUSED or everybody_refused

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, unset values left out."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values |= {"phase": self.phase.value, "cost": None if self.cost is None else str(self.cost)}
        values |= {"evidence": None if self.evidence is None else self.evidence.value}
        rare = {name: None for name in _RARE if not values[name]}
        return {name: value for name, value in (values | rare).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BatchRecord:
        """
        Read back; names of a later version are ignored.

        :raises ConfigurationError: when somebody changed the record by hand into something unreadable.
        """
        try:
            values = {name: data[name] for name in cls.__slots__ if name in data}
            if any(type(value) is not (int if name in _WHOLE else str) for name, value in values.items()):
                raise TypeError
            if not all(0 <= values.get(name, 0) < most for name, most in _RANGES):
                raise ValueError
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
    """Build the error for a record that somebody changed by hand: nobody knows what was sent."""
    return ConfigurationError(
        f"the ledger of this task holds {what} that cannot be read, so nobody knows what was sent; look at the rows of "
        "this task in the store's tables voicepartner_campaign and voicepartner_batch, and at the keys "
        "'voicepartner/*' of its task state. Nothing was sent now. To send everything to everybody, start a new run"
    )
