"""
A planned campaign: gives out its batches, each of them as it was planned.

Where the plan holds the numbers, batches are made of these. Otherwise the source is read again, and each batch is
compared with the hash that the planning pass took of it.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    PersonalRecipients,
    PlainRecipients,
    Recipient,
)
from airflow_provider_voicepartner.recipients.chunks import (
    WHOLE_ROWS,
    ChunkReader,
    ColumnRows,
    without,
)
from airflow_provider_voicepartner.recipients.rejects import RejectedRow
from airflow_provider_voicepartner.recipients.source import Source
from airflow_provider_voicepartner.sending.fingerprint import (
    pack_columns,
    pack_recipients,
)

HASH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Recipients that travel in one request.

    :param index: from 0.
    :param recipients: in the order of the source.
    """

    index: int
    recipients: Sequence[Recipient]


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignPlan:
    """
    What one task would send.

    :param rows: read from the source.
    :param recipients: different numbers to send to.
    :param duplicates: rows left out because their number came before, whatever their fields.
    :param invalid: rows left out because nobody can be reached with them.
    :param rejected: the first ten of these.
    :param has_fields: True when recipients carry personal fields, so that placeholders are filled in.
    :param fingerprint: of account, message, time and recipients in their order; empty where none was asked for.
    :param batch_size: recipients of a batch; the last one may have fewer.
    :param readings: SMS segments of all recipients' own texts together, in each way to count them, the most likely
        first; the number of recipients where no segments were counted.
    """

    rows: int
    recipients: int
    duplicates: int
    invalid: int
    rejected: tuple[RejectedRow, ...] = field(repr=False)
    has_fields: bool
    fingerprint: str
    batch_size: int
    readings: tuple[int, ...]

    _source: Source = field(repr=False)
    _reader: ChunkReader = field(repr=False)
    _fields: frozenset[str] | None = field(repr=False)
    _version: object = field(repr=False)
    _left_out: array[int] = field(repr=False)
    _hashes: bytes = field(repr=False)
    _numbers: array[int] | None = field(repr=False)
    _segment_counts: tuple[array[int], ...] = field(repr=False)

    @property
    def segments(self) -> int:
        """SMS segments of all recipients' own texts together, counted in the most likely way."""
        return self.readings[0]

    @property
    def batch_count(self) -> int:
        """How many batches there are."""
        return -(-self.recipients // self.batch_size)

    def size_of(self, index: int) -> int:
        """Return how many recipients a batch has; ``index`` counts from 0."""
        return min(self.batch_size, self.recipients - index * self.batch_size)

    def segments_of(self, index: int) -> tuple[int, ...]:
        """Return how many SMS segments a batch has, in each way to count them; ``index`` counts from 0."""
        if self._segment_counts:
            return tuple(counts[index] for counts in self._segment_counts)
        return tuple(self.size_of(index) * (reading // self.recipients) for reading in self.readings)

    def describe_rejected(self) -> list[str]:
        """Return the first ten rejected rows as a log may show them: position, masked number, reason."""
        return describe_rejected(self._source, self.rejected)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """
        Give out the batches: at each call and in each attempt the same ones.

        Where the source has to be read again, a batch is given out after it was found to be what was planned; the last
        one after the whole source was.

        :param first: the batch to begin with, from 0.
        :raises ConfigurationError: when the source is not what was planned, or cannot be read any more.
        """
        if self._numbers is not None:
            yield from self._stored(self._numbers, first)
            return
        problem = ""
        try:
            yield from self._read_again(first)
        except InvalidArgumentError as error:
            problem = str(error)
        if problem:
            from airflow_provider_voicepartner.exceptions import ConfigurationError

            raise ConfigurationError(problem)

    def _stored(self, numbers: array[int], first: int) -> Iterator[Batch]:
        for index in range(first, self.batch_count):
            start = index * self.batch_size
            chosen = numbers[start : start + self.batch_size]
            yield Batch(index, PlainRecipients([f"+{number}" for number in chosen]))

    def _read_again(self, first: int) -> Iterator[Batch]:
        check_version(self._source, self._version)
        pending = PendingRecipients()
        index, size, last = 0, self.batch_size, self.batch_count - 1
        for items in self._chosen():
            read = self._reader.read(items)
            if read.bad:
                raise self._changed(index)
            pending.add(read.numbers, read.columns)
            for numbers, columns in pending.take(size, at_most=last - index):
                if index >= first:
                    yield self._batch(index, numbers, columns)
                index += 1
            if len(pending) > size:
                raise self._changed(index)
        for numbers, columns in pending.take_rest():
            batch = self._batch(index, numbers, columns)
            if index >= first:
                yield batch

    def _chosen(self) -> Iterator[Sequence[object]]:
        """Read the source's rows without those that the planning pass left out."""
        left_out, at, row = self._left_out, 0, 0
        for _, items in self._source.chunks(self._fields):
            end, begin = row + len(items), at
            while at < len(left_out) and left_out[at] < end:
                at += 1
            places = [place - row for place in left_out[begin:at]]
            yield items.without(places) if isinstance(items, ColumnRows) else without(items, places)
            row = end
        if row != self.rows:
            raise self._changed(max(self.batch_count - 1, 0))

    def _batch(self, index: int, numbers: list[int], columns: dict[str, list[Any]]) -> Batch:
        planned = self._hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES]
        if len(numbers) != self.size_of(index) or batch_hash(pack_batch(numbers, columns)) != planned:
            raise self._changed(index)
        written = [f"+{number}" for number in numbers]
        if not columns:
            return Batch(index, PlainRecipients(written))
        if WHOLE_ROWS in columns:
            return Batch(index, tuple(map(Recipient, written, columns[WHOLE_ROWS])))
        return Batch(index, PersonalRecipients(written, columns))

    def _changed(self, index: int) -> InvalidArgumentError:
        return InvalidArgumentError(
            self._source.argument,
            f"{self._source.label} was changed after it was planned: batch {index + 1} of {self.batch_count} is "
            "different now. Neither it nor any later batch was sent; restore what was planned, and retry to continue",
        )


class PendingRecipients:
    """Recipients that were read, and do not fill a batch yet."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        """How many."""
        return len(self._numbers)

    def add(self, numbers: list[int], columns: dict[str, list[Any]]) -> None:
        """Add some behind the others."""
        self._numbers += numbers
        for name, column in columns.items():
            self._columns.setdefault(name, []).extend(column)

    def take(self, size: int, at_most: int | None = None) -> Iterator[tuple[list[int], dict[str, list[Any]]]]:
        """Take whole batches."""
        many = len(self._numbers) // size
        end = size * (many if at_most is None else max(0, min(many, at_most)))
        for start in range(0, end, size):
            yield self._cut(start, start + size)
        del self._numbers[:end]
        for column in self._columns.values():
            del column[:end]

    def take_rest(self) -> Iterator[tuple[list[int], dict[str, list[Any]]]]:
        """Take what is left, if anything is."""
        if self._numbers:
            yield self._cut(0, len(self._numbers))

    def _cut(self, start: int, end: int) -> tuple[list[int], dict[str, list[Any]]]:
        return self._numbers[start:end], {name: column[start:end] for name, column in self._columns.items()}


def pack_batch(numbers: list[int], columns: dict[str, list[Any]]) -> bytes:
    """Write a batch as bytes, for its hash and the fingerprint."""
    if WHOLE_ROWS in columns:
        return pack_recipients(numbers, columns[WHOLE_ROWS])
    return pack_columns(numbers, columns) if columns else pack_recipients(numbers)


def batch_hash(packed: bytes) -> bytes:
    """Return a few bytes that tell a batch from any other."""
    return hashlib.sha256(packed).digest()[:HASH_BYTES]


def check_version(source: Source, planned: object) -> None:
    """
    Refuse a source that was changed.

    :param planned: its version when planning began.
    :raises InvalidArgumentError: it has another one now.
    """
    if source.version() != planned:
        raise InvalidArgumentError(
            source.argument,
            f"{source.label} was changed while it was read; let it be written completely, then retry",
        )


def describe_rejected(source: Source, rejected: Sequence[RejectedRow]) -> list[str]:
    """Return rejected rows as a log may show them: position, masked number, reason."""
    return [f"{source.position(row.row)}: {row.masked!r} {row.reason}" for row in rejected]
