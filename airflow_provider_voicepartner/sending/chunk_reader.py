"""Chunks of rows read into numbers and fields: the same rules in the planning pass and in the sending pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.number_keys import UNREAD, NumberKeys
from airflow_provider_voicepartner.gateways.numbers import InvalidNumberError
from airflow_provider_voicepartner.sending.rows import (
    NUMBER_FIELD,
    WANTED_LINES,
    InvalidRowError,
    Line,
    RowReader,
)

RecipientCheck = Callable[[Recipient], str | None]
"""Looks at one recipient with its fields: None, or what is wrong and the fix, to be read after the number."""


class ReadChunk(NamedTuple):
    """
    What stands in a chunk.

    :param numbers: of each row, E.164 as an integer; ``UNREAD`` where the row is bad.
    :param fields: of each row; None where no fields are kept.
    :param bad: the place of each bad row in the chunk, from 0, and what is wrong with it.
    """

    numbers: list[int]
    fields: list[Mapping[str, str]] | None
    bad: list[tuple[int, str]]


class ChunkReader:
    """
    Reads chunks.

    :param line: ``mobile`` takes what can receive an SMS, ``any`` what can be called.
    :param region: where numbers without a country code are from.
    :param fields: the personal fields to keep; None keeps all.
    :param needed: the fields without which a row is bad.
    :param check: a further check of each row that is good so far.
    """

    def __init__(
        self,
        *,
        line: Line,
        region: str,
        fields: frozenset[str] | None,
        needed: frozenset[str] = frozenset(),
        check: RecipientCheck | None = None,
    ) -> None:
        self._rows = RowReader(line=line, region=region, fields=fields)
        self._numbers = NumberKeys(self._rows.numbers, WANTED_LINES[line])
        self._needed = sorted(needed)
        self._check = check
        self._numbers_alone = fields is not None and not fields and check is None

    def read(self, items: Sequence[object]) -> ReadChunk:
        """Read the rows of a chunk."""
        try:
            numbers = self._numbers.read(cast(Sequence[str], items))
        except TypeError:  # Not all of them are texts.
            numbers = self._numbers.read([_text(item) for item in items])
        return self._read_numbers(numbers, items) if self._numbers_alone else self._read_all(numbers, items)

    def _read_numbers(self, numbers: list[int], items: Sequence[object]) -> ReadChunk:
        bad: list[tuple[int, str]] = []
        at = -1
        for _ in range(numbers.count(UNREAD)):
            at = numbers.index(UNREAD, at + 1)
            try:
                numbers[at] = self._read_one(items[at])
            except InvalidNumberError as error:
                bad.append((at, error.reason))
        return ReadChunk(numbers, None, bad)

    def _read_all(self, numbers: list[int], items: Sequence[object]) -> ReadChunk:
        bad: list[tuple[int, str]] = []
        fields: list[Mapping[str, str]] = []
        for at, item in enumerate(items):
            told: Mapping[str, str] = {}
            try:
                if numbers[at] == UNREAD:
                    numbers[at] = self._read_one(item)
                told = self._read_fields(item, numbers[at])
            except InvalidNumberError as error:
                bad.append((at, error.reason))
                numbers[at] = UNREAD
            fields.append(told)
        return ReadChunk(numbers, fields, bad)

    def _read_one(self, item: object) -> int:
        return int(self._rows.read(item).phone_number[1:])

    def _read_fields(self, item: object, number: int) -> Mapping[str, str]:
        told = self._rows.fields_of(item)
        for name in self._needed:
            if name not in told:
                raise InvalidRowError(f"has no field {name!r}, which the text needs; add it")
        if told and not _is_encodable("".join(told.values())):
            raise InvalidRowError("has a field with half of a character pair; decode its source properly")
        problem = self._check(Recipient(f"+{number}", told)) if self._check else None
        if problem:
            raise InvalidRowError(problem)
        return told


def _text(item: object) -> str:
    """Return a row's number as it is written; nothing where it takes a closer look."""
    if isinstance(item, dict):
        item = item.get(NUMBER_FIELD)
    elif isinstance(item, Recipient):
        item = item.phone_number
    return item if isinstance(item, str) else ""


def _is_encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
