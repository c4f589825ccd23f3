"""
A campaign of any size, planned before it is sent: everything is checked and counted, almost nothing is kept.

The planning pass streams the source once, and keeps the numbers, at 8 bytes each. Where there is more to a recipient
(personal fields), or too many of them, it keeps none: the sending pass then streams the source again, batch by batch,
and compares each batch with what was planned before it gives it out.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

from airflow_provider_voicepartner.constants import (
    KEPT_NUMBERS,
    MAX_RECIPIENTS_PER_BATCH,
    NAMED_REJECTS,
    SHOWN_REJECTS,
)
from airflow_provider_voicepartner.gateways.bulk_phone_numbers import UNREAD
from airflow_provider_voicepartner.gateways.compiled_message import Columns
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    PersonalRecipients,
    PlainRecipients,
    Recipient,
)
from airflow_provider_voicepartner.gateways.placeholders import HOW_TO_SEND_BRACES, shown_name, there_are
from airflow_provider_voicepartner.recipients.chunks import (
    WHOLE_ROWS,
    Chunk,
    ChunkReader,
    ColumnRows,
    Doubtful,
    RecipientCheck,
    without,
)
from airflow_provider_voicepartner.recipients.lists import OnInvalid
from airflow_provider_voicepartner.recipients.rejects import RejectedRow, RejectsWriter
from airflow_provider_voicepartner.recipients.rows import NUMBER_FIELD, Line, number_as_given
from airflow_provider_voicepartner.recipients.source import Source
from airflow_provider_voicepartner.sending.fingerprint import (
    CampaignFingerprint,
    pack_columns,
    pack_recipients,
)

_MARK: Final = 8

CountSegments = Callable[[Columns], Sequence[int]]
"""
Counts the SMS segments of recipients' own texts together, in each way to count them, the likeliest first; without
columns, those of the text that all get.
"""


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
    :param readings: SMS segments of all recipients' own texts together, in each way to count them, the likeliest first;
        where nobody weighed them, the recipients.
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
    _marks: bytes = field(repr=False)
    _numbers: array[int] | None = field(repr=False)
    _weights: tuple[array[int], ...] = field(repr=False)

    @property
    def segments(self) -> int:
        """SMS segments of all recipients' own texts together, counted in the likeliest way."""
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
        if self._weights:
            return tuple(weights[index] for weights in self._weights)
        return tuple(self.size_of(index) * (reading // self.recipients) for reading in self.readings)

    def describe_rejected(self) -> list[str]:
        """Return the first ten rejected rows as a log may show them: position, masked number, reason."""
        return _describe(self._source, self.rejected)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """
        Give out the batches: at each call and in each attempt the same ones.

        Where the source has to be read again, a batch is given out after it was found to be what was planned; the last
        one after the whole source was.

        :param first: the batch to begin with, from 0.
        :raises ConfigurationError: when the source is not what was planned, or cannot be read any more.
        """
        if self._numbers is not None:
            yield from self._kept(self._numbers, first)
            return
        problem = ""
        try:
            yield from self._batches(first)
        except InvalidArgumentError as error:
            problem = str(error)
        if problem:
            from airflow_provider_voicepartner.exceptions import ConfigurationError

            raise ConfigurationError(problem)

    def _kept(self, numbers: array[int], first: int) -> Iterator[Batch]:
        for index in range(first, self.batch_count):
            start = index * self.batch_size
            chosen = numbers[start : start + self.batch_size]
            yield Batch(index, PlainRecipients([f"+{number}" for number in chosen]))

    def _batches(self, first: int) -> Iterator[Batch]:
        _check_version(self._source, self._version)
        waiting = _Waiting()
        index, size, last = 0, self.batch_size, self.batch_count - 1
        for items in self._chosen():
            read = self._reader.read(items)
            if read.bad:
                raise self._changed(index)
            waiting.add(read.numbers, read.columns)
            for numbers, columns in waiting.take(size, at_most=last - index):
                if index >= first:
                    yield self._batch(index, numbers, columns)
                index += 1
            if len(waiting) > size:
                raise self._changed(index)
        for numbers, columns in waiting.take_rest():
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
        mark = self._marks[index * _MARK : (index + 1) * _MARK]
        if len(numbers) != self.size_of(index) or _mark(_pack(numbers, columns)) != mark:
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
            f"{self._source.label} was changed after it was planned: batch {index + 1} of {self.batch_count} is not "
            "what it was. It was not sent, nor was any after it; restore what was planned and retry to go on",
        )


def plan_campaign(
    source: Source,
    *,
    line: Line,
    on_invalid: OnInvalid = "fail",
    region: str = "FR",
    batch_size: int = MAX_RECIPIENTS_PER_BATCH,
    fields: frozenset[str] | None = None,
    check: RecipientCheck | None = None,
    doubtful: Doubtful | None = None,
    count_segments: CountSegments | None = None,
    rejects: IO[str] | None = None,
    fingerprint: CampaignFingerprint | None = None,
    keep: int = KEPT_NUMBERS,
) -> CampaignPlan:
    """
    Check all recipients of a source in one pass, before anything is sent.

    :param source: a list or a file.
    :param line: ``mobile`` takes what can receive an SMS, ``any`` what can be called.
    :param on_invalid: ``fail`` raises when a row is bad, after all were counted; ``skip`` leaves it out.
    :param region: where numbers without a country code are from, two letters; default ``FR``, overseas included.
    :param batch_size: recipients of a batch, at least 1; default 500.
    :param fields: the personal fields that the message uses. Nothing else is kept; a row without one of these is bad,
        and so is a source in which no row has it. None keeps all and needs none.
    :param check: a further check of each row, duplicates included.
    :param doubtful: which rows that has to look at; None for all.
    :param count_segments: asked once where there are no fields; needs ``fields``. None counts each recipient as one.
    :param rejects: file to write all bad rows to, whole; opened for text with ``newline=""``.
    :param fingerprint: of account, message and time; it is copied, and the recipients added.
    :param keep: how many numbers without fields the plan may hold; of more, the source is read again.
    :returns: the plan; without recipients when there are no rows, or when ``skip`` has skipped them all.
    :raises InvalidArgumentError: when the source cannot be read, or does not fit the message.
    :raises InvalidRecipientError: naming the first five bad rows, their numbers masked.
    """
    if on_invalid not in ("fail", "skip"):
        raise InvalidArgumentError("on_invalid", f"{on_invalid!r} is not known; give 'fail' or 'skip'")
    version = source.version()
    needed = fields or frozenset()
    if NUMBER_FIELD in needed:
        raise InvalidArgumentError(
            source.argument,
            f"has no personal field {NUMBER_FIELD!r}, since that is the number; take it out of the text, or repeat it "
            "in a field of another name",
        )
    if needed:
        _check_fields(source, needed)
    has_fields = bool(needed) if fields is not None else bool(source.field_names())
    kept = fields if has_fields else frozenset[str]()
    planner = _Planner(
        ChunkReader(line=line, region=region, fields=kept, check=check, doubtful=doubtful),
        batch_size=batch_size,
        fingerprint=fingerprint.copy() if fingerprint else None,
        rejects=RejectsWriter(rejects) if rejects else None,
        keep=0 if has_fields else keep,
        count_segments=count_segments if has_fields else None,
    )
    for chunk in source.chunks(kept):
        planner.take(chunk)
    planner.finish()
    _check_version(source, version)
    if planner.invalid and on_invalid == "fail":
        from airflow_provider_voicepartner.exceptions import InvalidRecipientError

        raise InvalidRecipientError(_refusal(source, planner.rejected, planner.invalid))
    return CampaignPlan(
        rows=planner.rows,
        recipients=planner.recipients,
        duplicates=planner.duplicates,
        invalid=planner.invalid,
        rejected=tuple(planner.rejected),
        has_fields=has_fields,
        fingerprint=planner.fingerprint.hexdigest() if planner.fingerprint else "",
        batch_size=batch_size,
        readings=_readings(planner, count_segments),
        _source=source,
        _reader=ChunkReader(line=line, region=region, fields=kept),
        _fields=kept,
        _version=version,
        _left_out=planner.left_out,
        _marks=bytes(planner.marks),
        _numbers=planner.kept,
        _weights=planner.weights,
    )


def _check_fields(source: Source, needed: frozenset[str]) -> None:
    """Refuse a text that needs a field which no row has: nobody would get it, or everybody would get its braces."""
    known = source.field_names(needed)
    missing = sorted(needed - known)
    if missing:
        raise InvalidArgumentError(
            source.argument,
            f"{source.label} has no field {shown_name(missing[0])}, which the text needs ({there_are(known)}); correct "
            f"the placeholder or add the field, or {HOW_TO_SEND_BRACES}",
        )


def _readings(planner: _Planner, count_segments: CountSegments | None) -> tuple[int, ...]:
    if planner.weights:
        return tuple(map(sum, planner.weights))
    each = count_segments({}) if count_segments is not None and not planner.counts_each else (1,)
    return tuple(planner.recipients * reading for reading in each)


class _Planner:
    """What the planning pass remembers while it runs; the set of all numbers goes when it ends."""

    def __init__(
        self,
        reader: ChunkReader,
        *,
        batch_size: int,
        fingerprint: CampaignFingerprint | None,
        rejects: RejectsWriter | None,
        keep: int,
        count_segments: CountSegments | None,
    ) -> None:
        self.rows = self.recipients = self.duplicates = self.invalid = 0
        self.rejected: list[RejectedRow] = []
        self.left_out = array("Q")
        self.marks = bytearray()
        self.fingerprint = fingerprint
        self._reader = reader
        self._batch_size = batch_size
        self._rejects = rejects
        self._keep = keep
        self.kept: array[int] | None = array("Q") if keep else None
        self._count_segments = count_segments
        self.counts_each = count_segments is not None
        self.weights: tuple[array[int], ...] = ()
        self._seen = {UNREAD}
        self._waiting = _Waiting()

    def take(self, chunk: Chunk) -> None:
        """Take the next rows."""
        numbers, columns, bad = self._reader.read(chunk.items)
        for at, reason in bad:
            self._reject(chunk.lines[at], chunk.items[at], reason)
        left_out = self._find_known(numbers)
        if left_out:
            self.left_out.extend([self.rows + at for at in left_out])
            numbers = without(numbers, left_out)
            columns = {name: without(column, left_out) for name, column in columns.items()}
        self.duplicates += len(chunk.items) - len(bad) - len(numbers)
        self.rows += len(chunk.items)
        self._waiting.add(numbers, columns)
        for batch in self._waiting.take(self._batch_size):
            self._mark_batch(*batch)

    def finish(self) -> None:
        """Take note that there are no more rows."""
        for batch in self._waiting.take_rest():
            self._mark_batch(*batch)
        self._seen.clear()

    def _find_known(self, numbers: list[int]) -> list[int]:
        """Return the places of numbers that came before, or could not be read; the others are known from now on."""
        seen = self._seen
        new = [number for number in numbers if number not in seen]
        places: list[int] = []
        if len(new) < len(numbers):
            places = [at for at, number in enumerate(numbers) if number in seen]
        known = len(seen)
        seen.update(new)
        if len(seen) - known == len(new):
            return places
        twice: set[int] = set()  # A new number stands here more than once.
        old = set(places)
        for at, number in enumerate(numbers):
            if number in twice:
                old.add(at)
            elif at not in old:
                twice.add(number)
        return sorted(old)

    def _mark_batch(self, numbers: list[int], columns: dict[str, list[Any]]) -> None:
        packed = _pack(numbers, columns)
        if self.fingerprint:
            self.fingerprint.feed(packed)
        self.marks += _mark(packed)
        if self._count_segments is not None:
            sums = self._count_segments(columns)
            self.weights = self.weights or tuple(array("Q") for _ in sums)
            for weights, counted in zip(self.weights, sums, strict=True):
                weights.append(counted)
        self.recipients += len(numbers)
        if self.kept is not None:
            self.kept.extend(numbers)
            if len(self.kept) > self._keep:
                self.kept = None

    def _reject(self, line: int, item: object, reason: str) -> None:
        self.invalid += 1
        shown = len(self.rejected) < SHOWN_REJECTS
        if shown or self._rejects:
            row = RejectedRow(row=line, reason=reason, number=number_as_given(item))
            if self._rejects:
                self._rejects.write(row)
            if shown:
                self.rejected.append(row)


class _Waiting:
    """Recipients that were read and are no whole batch yet."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._columns: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, numbers: list[int], columns: dict[str, list[Any]]) -> None:
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


def _pack(numbers: list[int], columns: dict[str, list[Any]]) -> bytes:
    if WHOLE_ROWS in columns:
        return pack_recipients(numbers, columns[WHOLE_ROWS])
    return pack_columns(numbers, columns) if columns else pack_recipients(numbers)


def _mark(packed: bytes) -> bytes:
    """Return a few bytes that tell a batch from any other."""
    return hashlib.sha256(packed).digest()[:_MARK]


def _check_version(source: Source, planned: object) -> None:
    if source.version() != planned:
        raise InvalidArgumentError(
            source.argument,
            f"{source.label} was changed while it was read; let it be written completely, then retry",
        )


def _describe(source: Source, rejected: Sequence[RejectedRow]) -> list[str]:
    return [f"{source.position(row.row)}: {row.masked!r} {row.reason}" for row in rejected]


def _refusal(source: Source, rejected: Sequence[RejectedRow], total: int) -> str:
    shown = _describe(source, rejected[:NAMED_REJECTS])
    if total > len(shown):
        shown.append(f"and {total - len(shown):,} more")
    return (
        ". ".join(shown)
        + f". {source.unit.capitalize()}s of {source.label} count from 1; correct them, or leave them "
        "out with on_invalid='skip'"
    )
