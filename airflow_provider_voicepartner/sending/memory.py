"""What outlives an attempt: the words that a ledger writes down, and what a place to write them to must promise."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from airflow_provider_voicepartner.sending.records import BatchRecord, unreadable

COST: Final = 2**14
"""
Of scrypt, for a stored fingerprint: 40 ms and 16 MB. Who reads a store, or the task state that Airflow's UI shows, may
know the text of a campaign to one person, and must not be able to try out phone numbers until one fits.
"""


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
    :param account: a hash of the account with the salt, in which no key can be found; None where that was not told.
    :param since: the first try whose traces tell what became of this generation.
    """

    generation: int
    fingerprint: str
    salt: str
    batches: int
    send_again: str | None = None
    account: str | None = None
    since: int = 1

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
    ) -> Plan:
        """
        Make a plan with a salt of its own.

        :param account: the account's own key, for hashes.
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
        )

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
