"""
Plans a campaign of any size before it is sent: everything is checked and counted, and little is kept in memory.

The planning pass streams the source once, and keeps the numbers, at 8 bytes each. Where recipients have personal
fields, or are too many, it keeps none, and the plan reads the source again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import IO, Any

from airflow_provider_voicepartner.constants import (
    KEPT_NUMBERS,
    MAX_RECIPIENTS_PER_BATCH,
    NAMED_REJECTS,
    SHOWN_REJECTS,
)
from airflow_provider_voicepartner.gateways.bulk_phone_numbers import UNREAD
from airflow_provider_voicepartner.gateways.compiled_message import Columns
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.placeholders import HOW_TO_SEND_BRACES, shown_name, there_are
from airflow_provider_voicepartner.recipients.chunks import (
    Chunk,
    ChunkReader,
    PlacesToCheck,
    RecipientCheck,
    without,
)
from airflow_provider_voicepartner.recipients.lists import OnInvalid
from airflow_provider_voicepartner.recipients.rejects import RejectedRow, RejectsWriter
from airflow_provider_voicepartner.recipients.rows import NUMBER_FIELD, Line, number_as_given
from airflow_provider_voicepartner.recipients.source import Source
from airflow_provider_voicepartner.sending.fingerprint import CampaignFingerprint
from airflow_provider_voicepartner.sending.plan import (
    CampaignPlan,
    PendingRecipients,
    batch_hash,
    check_version,
    describe_rejected,
    pack_batch,
)

CountSegments = Callable[[Columns], Sequence[int]]
"""
Counts the SMS segments of recipients' own texts together, in each way to count them, the most likely first; without
columns, those of the text that all get.
"""


def plan_campaign(
    source: Source,
    *,
    line: Line,
    on_invalid: OnInvalid = "fail",
    region: str = "FR",
    batch_size: int = MAX_RECIPIENTS_PER_BATCH,
    fields: frozenset[str] | None = None,
    check: RecipientCheck | None = None,
    places_to_check: PlacesToCheck | None = None,
    count_segments: CountSegments | None = None,
    rejects: IO[str] | None = None,
    fingerprint: CampaignFingerprint | None = None,
    max_numbers: int = KEPT_NUMBERS,
) -> CampaignPlan:
    """
    Check all recipients of a source in one pass, before anything is sent.

    :param source: a list or a file.
    :param line: ``mobile`` takes what can receive an SMS, ``any`` what can be called.
    :param on_invalid: ``fail`` raises when a row is bad, after all were counted; ``skip`` leaves it out.
    :param region: where numbers without a country code are from, two letters; default ``FR``, overseas included.
    :param batch_size: recipients of a batch, at least 1; default 500.
    :param fields: the personal fields that the message uses. Nothing else is stored; a row without one of these is bad,
        and so is a source in which no row has it. None keeps all and needs none.
    :param check: a further check of each row, duplicates included.
    :param places_to_check: which rows need that check; None for all.
    :param count_segments: asked once where there are no fields; needs ``fields``. None counts each recipient as one.
    :param rejects: file to write all bad rows to, whole; opened for text with ``newline=""``.
    :param fingerprint: of account, message and time; it is copied, and the recipients added.
    :param max_numbers: how many numbers without fields the plan may hold; of more, the source is read again.
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
    read_fields = fields if has_fields else frozenset[str]()
    planner = _Planner(
        ChunkReader(
            line=line, region=region, fields=read_fields, check=check, places_to_check=places_to_check
        ),
        batch_size=batch_size,
        fingerprint=fingerprint.copy() if fingerprint else None,
        rejects=RejectsWriter(rejects) if rejects else None,
        max_numbers=0 if has_fields else max_numbers,
        count_segments=count_segments if has_fields else None,
    )
    for chunk in source.chunks(read_fields):
        planner.add(chunk)
    planner.finish()
    check_version(source, version)
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
        _reader=ChunkReader(line=line, region=region, fields=read_fields),
        _fields=read_fields,
        _version=version,
        _left_out=planner.left_out,
        _hashes=bytes(planner.hashes),
        _numbers=planner.numbers,
        _segment_counts=planner.segment_counts,
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
    if planner.segment_counts:
        return tuple(map(sum, planner.segment_counts))
    each = count_segments({}) if count_segments is not None and not planner.counts_each else (1,)
    return tuple(planner.recipients * reading for reading in each)


class _Planner:
    """The state of the planning pass; the set of all numbers is dropped when it ends."""

    def __init__(
        self,
        reader: ChunkReader,
        *,
        batch_size: int,
        fingerprint: CampaignFingerprint | None,
        rejects: RejectsWriter | None,
        max_numbers: int,
        count_segments: CountSegments | None,
    ) -> None:
        self.rows = self.recipients = self.duplicates = self.invalid = 0
        self.rejected: list[RejectedRow] = []
        self.left_out = array("Q")
        self.hashes = bytearray()
        self.fingerprint = fingerprint
        self._reader = reader
        self._batch_size = batch_size
        self._rejects = rejects
        self._max_numbers = max_numbers
        self.numbers: array[int] | None = array("Q") if max_numbers else None
        self._count_segments = count_segments
        self.counts_each = count_segments is not None
        self.segment_counts: tuple[array[int], ...] = ()
        self._seen = {UNREAD}
        self._pending = PendingRecipients()

    def add(self, chunk: Chunk) -> None:
        """Add the next rows."""
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
        self._pending.add(numbers, columns)
        for batch in self._pending.take(self._batch_size):
            self._hash_batch(*batch)

    def finish(self) -> None:
        """Note that there are no more rows."""
        for batch in self._pending.take_rest():
            self._hash_batch(*batch)
        self._seen.clear()

    def _find_known(self, numbers: list[int]) -> list[int]:
        """Return the places of numbers that came before or could not be read, and remember the others."""
        seen = self._seen
        new = [number for number in numbers if number not in seen]
        places: list[int] = []
        if len(new) < len(numbers):
            places = [at for at, number in enumerate(numbers) if number in seen]
        known = len(seen)
        seen.update(new)
        if len(seen) - known == len(new):
            return places
        twice: set[int] = set()  # A new number appears more than once in this chunk.
        old = set(places)
        for at, number in enumerate(numbers):
            if number in twice:
                old.add(at)
            elif at not in old:
                twice.add(number)
        return sorted(old)

    def _hash_batch(self, numbers: list[int], columns: dict[str, list[Any]]) -> None:
        packed = pack_batch(numbers, columns)
        if self.fingerprint:
            self.fingerprint.feed(packed)
        self.hashes += batch_hash(packed)
        if self._count_segments is not None:
            sums = self._count_segments(columns)
            self.segment_counts = self.segment_counts or tuple(array("Q") for _ in sums)
            for counts, counted in zip(self.segment_counts, sums, strict=True):
                counts.append(counted)
        self.recipients += len(numbers)
        if self.numbers is not None:
            self.numbers.extend(numbers)
            if len(self.numbers) > self._max_numbers:
                self.numbers = None

    def _reject(self, line: int, item: object, reason: str) -> None:
        self.invalid += 1
        shown = len(self.rejected) < SHOWN_REJECTS
        if shown or self._rejects:
            row = RejectedRow(row=line, reason=reason, number=number_as_given(item))
            if self._rejects:
                self._rejects.write(row)
            if shown:
                self.rejected.append(row)


def _refusal(source: Source, rejected: Sequence[RejectedRow], total: int) -> str:
    shown = describe_rejected(source, rejected[:NAMED_REJECTS])
    if total > len(shown):
        shown.append(f"and {total - len(shown):,} more")
    return (
        ". ".join(shown)
        + f". {source.unit.capitalize()}s of {source.label} count from 1; correct them, or leave them "
        "out with on_invalid='skip'"
    )
