"""
Whom a batch was sent to, as keyed marks: what its URL may speak of.

Gateways sign nothing, so whoever knows a batch's URL can report through it. These marks keep such a person from
speaking of anybody else. They are keyed with the callback secret, so that nobody else can try out numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

SHORT_MARK: Final = 3
"""Bytes of a mark in a URL: a stranger is taken for one of 16 people once in a million."""
LONG_MARK: Final = 8
"""Bytes of a mark in the store."""

_COMPARED: Final = 9
_NOT_DIGITS: Final = re.compile(r"\D")


def mark(secret: bytes, phone_number: str, size: int) -> bytes:
    """
    Return what tells that it is the same person, and not who.

    The last 9 digits count: a gateway that writes another prefix, or none, still speaks of the same person, and two
    people in France, whose numbers have 9 after the prefix, never look the same.

    :param secret: the callback secret.
    :param phone_number: in E.164, or as a gateway wrote it.
    :param size: in bytes.
    """
    digits = _NOT_DIGITS.sub("", phone_number)[-_COMPARED:].encode()
    key = hashlib.blake2b(secret, digest_size=32, person=b"batch people").digest()
    return hashlib.blake2b(digits, digest_size=LONG_MARK, key=key).digest()[:size]


def marks_of(secret: bytes, phone_numbers: Iterable[str], size: int) -> bytes:
    """Return the marks of people, one after the other, in an order that tells nothing."""
    return b"".join(sorted({mark(secret, number, size) for number in phone_numbers}))


def split(marks: bytes, size: int) -> frozenset[bytes]:
    """Return the single marks."""
    return frozenset(marks[at : at + size] for at in range(0, len(marks), size))


@dataclass(frozen=True, slots=True)
class BatchRecipients:
    """
    The people that a URL of a batch may speak of.

    :param reference: our own id of the batch.
    :param secrets: with which marks may have been made.
    :param marks: short ones, of the URL; None where they are in the store, if anywhere.
    """

    reference: str
    secrets: Sequence[bytes] = field(repr=False)
    marks: frozenset[bytes] | None = field(default=None, repr=False)

    def includes(self, phone_number: str, stored: frozenset[bytes] | None) -> bool | None:
        """
        Say whether the batch was sent to somebody.

        :param phone_number: as the call names it.
        :param stored: long marks, of the store; None where it has none of this batch.
        :returns: None where nobody knows whom the batch was sent to.
        """
        known, size = (self.marks, SHORT_MARK) if self.marks is not None else (stored, LONG_MARK)
        if known is None:
            return None
        return any(mark(secret, phone_number, size) in known for secret in self.secrets)
