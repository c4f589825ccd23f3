"""Rows that cannot be sent to, and why: masked in logs, whole only in the user's own file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO

from airflow_provider_voicepartner.constants import SHOWN_NUMBER, SHOWN_NUMBER_DIGITS
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.sending.spreadsheets import write_row

REJECTS_COLUMNS = "row", "number", "reason"
"""The first line of a file of invalid rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """
    A row that cannot be sent to.

    :param row: position in the input, from 1.
    :param reason: what is wrong and the fix; holds no number.
    :param number: what stood in place of the number; only for the user's own file, never for a log.
    """

    row: int
    reason: str
    number: str = field(default="", repr=False)

    @property
    def masked(self) -> str:
        """The number as a log may show it: ``+336•••••42``; what does not look like a number is hidden completely."""
        digits = sum(character.isdecimal() for character in self.number[:SHOWN_NUMBER])
        if len(self.number) > SHOWN_NUMBER or digits < SHOWN_NUMBER_DIGITS:
            return "•" * min(len(self.number), 8)
        return mask_number(self.number)


class RejectsWriter:
    """
    Writes rejected rows as CSV, as they come: row, number, reason. The file holds numbers in clear.

    :param file: opened for text with ``newline=""``; the header is written at once.
    """

    def __init__(self, file: IO[str]) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(REJECTS_COLUMNS)

    def write(self, row: RejectedRow) -> None:
        """Write one row."""
        write_row(self._writer, (row.row, row.number, row.reason))


def write_rejects(rejected: Iterable[RejectedRow], file: IO[str]) -> int:
    """
    Write rejected rows as CSV, see ``RejectsWriter``.

    :param rejected: in the order in which they shall stand.
    :param file: opened for text with ``newline=""``.
    :returns: how many rows were written, without the header.
    """
    writer = RejectsWriter(file)
    written = 0
    for row in rejected:
        writer.write(row)
        written += 1
    return written
