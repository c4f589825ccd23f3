"""
The recipients of a batch as keyed hashes ("marks"): about whom its URL may report.

Gateways sign nothing, so whoever knows a batch's URL can report through it. Marks keep such a person from reporting
about anybody else. They are keyed with the callback secret, so that nobody else can try out numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

SHORT_MARK: Final = 3
"""Bytes of a mark in a URL: another number passes for one of 16 recipients once in a million."""
LONG_MARK: Final = 8
"""Bytes of a mark in the store."""

_COMPARED: Final = 9
_NOT_DIGITS: Final = re.compile(r"\D")


def mark(secret: bytes, phone_number: str, size: int) -> bytes:
    """
    Return the keyed hash by which a number is recognised.

    The last 9 digits count: a gateway that writes another prefix, or none, still means the same recipient, and two
    numbers in France, which have 9 digits after the prefix, never have the same mark.

    :param secret: the callback secret.
    :param phone_number: in E.164, or as a gateway wrote it.
    :param size: in bytes.
    """
    digits = _NOT_DIGITS.sub("", phone_number)[-_COMPARED:].encode()
    key = hashlib.blake2b(secret, digest_size=32, person=b"batch people").digest()
    return hashlib.blake2b(digits, digest_size=LONG_MARK, key=key).digest()[:size]


def marks_of(secret: bytes, phone_numbers: Iterable[str], size: int) -> bytes:
    """Return the marks of recipients in one value, sorted, so that their order tells nothing."""
    return b"".join(sorted({mark(secret, number, size) for number in phone_numbers}))


def split(marks: bytes, size: int) -> frozenset[bytes]:
    """Return the single marks of such a value."""
    return frozenset(marks[at : at + size] for at in range(0, len(marks), size))


@dataclass(frozen=True, slots=True)
class BatchRecipients:
    """
    The recipients that the URL of a batch may report about.

    :param reference: our own id of the batch.
    :param secrets: the keys that may have made the marks.
    :param marks: short ones, of the URL; None where they are in the store, if anywhere.
    """

    reference: str
    secrets: Sequence[bytes] = field(repr=False)
    marks: frozenset[bytes] | None = field(default=None, repr=False)

    def includes(self, phone_number: str, stored: frozenset[bytes] | None) -> bool | None:
        """
        Say whether the batch was sent to a number.

        :param phone_number: as the call names it.
        :param stored: long marks, of the store; None where it has none of this batch.
        :returns: None where the recipients of the batch are not known.
        """
        known, size = (self.marks, SHORT_MARK) if self.marks is not None else (stored, LONG_MARK)
        if known is None:
            return None
        return any(mark(secret, phone_number, size) in known for secret in self.secrets)
