"""
What the ledger writes down: plan, attempts, and one record a batch; and what a place to write them to must promise.

A record says how far a batch came, in which attempt, what the gateway answered, and what evidence settled a batch of
which nobody knew whether it was sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol

from airflow_provider_voicepartner.constants import CLOCK_TOLERANCE
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.dates import is_before
from airflow_provider_voicepartner.gateways.model import DeliveryReport, Receipt

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

COST: Final = 2**14
"""
Of scrypt, for a stored fingerprint: 40 ms and 16 MB. A reader of the store, or of the
task state that Airflow's UI shows, may know the text of a campaign to one person, and must not be able to try out
phone numbers until one fits.
"""


class Evidence(StrEnum):
    """What settled a batch that was in doubt; a batch that was simply answered has none."""

    LOOK_UP = "look_up"
    """The gateway knew our reference: it was sent."""
    CALLED_BACK = "called_back"
    """The gateway called back about it: it was sent."""
    REPEAT_REFUSED = "repeat_refused"
    """The gateway refused the same request as one that it had: it was sent."""
    REPEAT_ACCEPTED = "repeat_accepted"
    """The gateway, which refuses repeats, accepted the same request: it had not been sent, and now it was."""
    SENT_AGAIN = "sent_again"
    """Nothing proved anything, and the user chose ``resend`` or ``resend_unlisted``: perhaps it was sent twice."""
    ASSUMED = "assumed"
    """Nothing proved anything, and the user chose ``assume_sent``: perhaps it was not sent at all."""


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What a look-up found about a batch.

    :param evidence: ``LOOK_UP`` or ``CALLED_BACK``.
    :param accepted: recipients of the batch that it shows as accepted; 0 where something is listed and nothing of it
        counts.
    """

    evidence: Evidence
    accepted: int


def accepted_numbers(
    reports: Iterable[DeliveryReport], numbers: Collection[str], *, since: datetime | None = None
) -> set[str]:
    """
    Return the numbers of a batch that are reported on; others' numbers and what is older than the batch do not count.

    :param reports: each of which shows that its number was accepted, whatever became of it.
    :param numbers: of the batch, in E.164.
    :param since: when the batch was claimed, aware; None lets any date pass. A report without a date counts: it is
        found by a reference that nothing else has.
    """
    before = None if since is None else since - CLOCK_TOLERANCE
    wanted = frozenset(numbers)
    return {
        report.phone_number
        for report in reports
        if report.phone_number in wanted
        and (before is None or report.at is None or not is_before(report.at, before))
    }


class Phase(StrEnum):
    """How far a batch came."""

    CLAIMED = "claimed"
    """About to leave; in doubt, unless a later record says more."""
    REFUSED = "refused"
    """Provably not accepted; may be sent again."""
    ASSUMED_SENT = "assumed_sent"
    """Was in doubt; the user chose to take it as sent."""
    SENT = "sent"
    """The gateway accepted it, by its answer or by evidence."""
    DISPUTED = "disputed"
    """Answered in a way that contradicts another answer, or itself: in doubt, and a repeat proves nothing."""

    @property
    def is_in_doubt(self) -> bool:
        """True where it is unknown whether the gateway accepted the batch."""
        return self in (Phase.CLAIMED, Phase.DISPUTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """
    What the ledger knows of one batch. Holds no number, no text and no key.

    :param phase: how far it came.
    :param reference: our id of it, known to the gateway.
    :param size: recipients in it.
    :param accepted: recipients that the gateway accepted.
    :param opted_out: recipients left out because they said STOP.
    :param in_doubt: recipients of an accepted batch of whom it is unknown whether they were accepted.
    :param gateway_id: the gateway's id; None where the answer was lost, or nobody was accepted.
    :param segments: messages charged, where reported.
    :param cost: price, where reported.
    :param currency: ISO 4217 code.
    :param tag: what the gateway can be asked by, where it gave no id.
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
        Record the answer to a batch that the gateway accepted, or of which it refused everybody by name.

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
        values: dict[str, Any] = {
            name: value for name in self.__slots__ if (value := getattr(self, name)) is not None
        }
        values["phase"] = self.phase.value
        if self.cost is not None:
            values["cost"] = str(self.cost)
        if self.evidence is not None:
            values["evidence"] = self.evidence.value
        for name in _RARE:
            if not values.get(name):
                values.pop(name, None)
        return values

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What all records of a campaign are about.

    :param generation: counts from 1 how often everything was begun anew.
    :param fingerprint: of what is sent, hashed with the salt.
    :param salt: random, this campaign's own: no key of an account is in it, so a rotated key goes on with the rest.
    :param batches: how many.
    :param send_again: short hashes of the texts that made everything be sent again, the last one first, with commas;
        None if there was none.
    :param account: a hash of the account with the salt, in which no key can be found; None where it is not known.
    :param since: the first try whose traces tell what became of this generation.
    :param names: whom the names of groups and rotas meant among the recipients, as JSON; None where there were none.
    """

    generation: int
    fingerprint: str
    salt: str
    batches: int
    send_again: str | None = None
    account: str | None = None
    since: int = 1
    names: str | None = None

    @classmethod
    def of(
        cls,
        fingerprint: str,
        *,
        batches: int,
        generation: int,
        send_again: str | None,
        since: int,
        account: bytes | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> Plan:
        """
        Make a plan with a salt of its own.

        :param account: the account's own key, for hashes.
        :param names: whom the names of groups and rotas mean: names of people.
        """
        salt = secrets.token_hex(16)
        return cls(
            generation=generation,
            fingerprint=hash_slowly(fingerprint, salt),
            salt=salt,
            batches=batches,
            send_again=send_again,
            account=None if account is None else _account(account, salt),
            since=since,
            names=json.dumps({name: list(names[name]) for name in sorted(names)}) if names else None,
        )

    def people_by_name(self) -> dict[str, tuple[str, ...]]:
        """
        Return whom the names of groups and rotas meant.

        :raises ConfigurationError: somebody changed that by hand into something unreadable.
        """
        try:
            read = json.loads(self.names or "{}")
            found = {name: tuple(people) for name, people in read.items()}
            is_right = all(isinstance(person, str) for people in found.values() for person in people)
        except (AttributeError, TypeError, ValueError):
            is_right = False
        if not is_right:
            raise unreadable("a plan")
        return found

    def has_used(self, mark: str) -> bool:
        """
        Say whether a text made everything be sent again before, however long ago.

        :param mark: a short hash of it.
        """
        return self.send_again is not None and mark in self.send_again.split(",")

    def is_about(self, fingerprint: str, batches: int) -> bool:
        """Say whether this is what an attempt would send."""
        return batches == self.batches and hash_slowly(fingerprint, self.salt) == self.fingerprint

    def is_of(self, account: bytes) -> bool:
        """Say whether this was begun with the same key of the same account."""
        return self.account == _account(account, self.salt)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, unset values left out."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_json(cls, data: Any) -> Plan:
        """
        Read back; names of a later version are ignored.

        :raises ConfigurationError: for what cannot be a plan.
        """
        try:
            values = {name: data[name] for name in cls.__slots__ if name in data}
            whole = ("generation", "batches", "since")
            right = all(type(value) is (int if name in whole else str) for name, value in values.items())
            plan = cls(**values) if right else None
        except (KeyError, TypeError):
            plan = None
        if plan is None or plan.batches < 0 or plan.generation < 1:
            raise unreadable("a plan")
        return plan


def _account(key: bytes, salt: str) -> str:
    return hmac.new(key, salt.encode(), hashlib.sha256).hexdigest()


def hash_slowly(fingerprint: str, salt: str) -> str:
    """Return 64 hexadecimal digits, with which nobody can try out phone numbers."""
    return hashlib.scrypt(
        fingerprint.encode(), salt=salt.encode(), n=COST, r=8, p=1, maxmem=2**26, dklen=32
    ).hex()


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One attempt at a campaign.

    :param number: counts from 1, over all memories.
    :param try_number: Airflow's, which may be 0 and may repeat.
    :param store: the identity of our store that it wrote to; None where it had none.
    """

    number: int
    try_number: int
    store: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """
    What one memory holds of a task instance.

    :param tries: Airflow's numbers of the attempts before this one that it knows.
    :param stores: the stores that attempts named which had more than this memory.
    :param plan: of the newest generation, None when no attempt has planned.
    :param records: of that generation, by position.
    """

    tries: frozenset[int] = frozenset()
    stores: frozenset[str] = frozenset()
    plan: Plan | None = None
    records: Mapping[int, BatchRecord] = field(default_factory=dict)


class Memory(Protocol):
    """
    Something that outlives an attempt. Used by one thread.

    Whatever happens to a write (late, twice, lost though it was stored), it must not take away what another write said.
    """

    @property
    def name(self) -> str:
        """How the log calls it."""

    def register(self, attempt: Attempt) -> int:
        """
        Write down that an attempt begins, before anything that it will rely on is read.

        :returns: its number: that of ``attempt``, or a higher one where this memory knows of later ones.
        """

    def recall(self) -> Recollection:
        """Return everything that was known of the task instance before this attempt; called once, when registered."""

    def write(self, records: Mapping[int, BatchRecord], plan: Plan) -> None:
        """
        Write records durably, in one go; the plan too, where it is new here.

        :raises Exception: when that did not happen or may not have, or this attempt may no longer write; it must stop.
        """
