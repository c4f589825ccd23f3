"""
Where recipients come from, a list or a file: something that can be read several times, a little at a time.

Paths and URIs are shown in logs without passwords, signatures and phone numbers.
"""

from __future__ import annotations

import gzip
import itertools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import IO, Final, Literal, Protocol, TypeVar, cast

from airflow_provider_voicepartner.constants import ROWS_A_CHUNK
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.recipients.chunks import Chunk
from airflow_provider_voicepartner.recipients.csv_rows import csv_chunks, csv_layout
from airflow_provider_voicepartner.recipients.excel import excel_chunks, excel_layout, open_excel
from airflow_provider_voicepartner.recipients.json_parquet import (
    json_chunks,
    json_field_names,
    open_parquet,
    parquet_chunks,
    parquet_field_names,
)
from airflow_provider_voicepartner.recipients.lists import (
    ItemReader,
    check_rows_of_values,
    rows_of_frame,
    split_rows,
)
from airflow_provider_voicepartner.recipients.rows import NUMBER_FIELD, names_in
from airflow_provider_voicepartner.recipients.text_blocks import (
    UTF_8,
    EmptyTextError,
    UnreadableFileError,
    read_encoding,
    text_blocks,
)

_USER = re.compile(r"(?<=://)(?:[^/\s:@]*:(?!\d+(?:[/?#]|$))\S*@|[^/\s?#@]*@)")
_QUERY = re.compile(r"[?#]\S*")
_NUMBER = re.compile(r"\+?\d(?:[\s.\-]?\d){7,}")
# A day, perhaps with a time: files are named so, and it is no phone number.
_DATE = re.compile(
    r"(?:19|20)\d\d[-. ]?(?:0[1-9]|1[0-2])[-. ]?(?:0[1-9]|[12]\d|3[01])(?:[-. ]?[0-2]\d(?:[-. ]?[0-5]\d){1,2})?"
)

FileFormat = Literal["csv", "jsonl", "parquet", "xlsx"]

_FORMATS: Final[Mapping[str, FileFormat]] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
    ".xlsx": "xlsx", ".xlsm": "xlsx",
}  # fmt: skip
_COMPRESSED: Final = ".gz"

SUFFIXES: Final = (
    *_FORMATS,
    *(suffix + _COMPRESSED for suffix, kind in _FORMATS.items() if kind in ("csv", "jsonl")),
)
"""How names of files of recipients end, in lower case."""

_OTHERS: Final[Mapping[str, str]] = {
    ".json": "is JSON; write one object on each line (JSON lines) and name it .jsonl",
    ".zip": "is a ZIP archive; take the file out of it, or compress it with gzip (.csv.gz)",
    ".xls": "is an Excel file of an old kind; save it as .xlsx, or as CSV in UTF-8",
    ".ods": "is an OpenDocument spreadsheet; save it as .xlsx, or as CSV in UTF-8",
}
"""Files that are often tried, by ending, and what to do with them."""

_DAMAGED: Final = "is damaged; was it written completely?"
_PROBLEMS: Final[Mapping[type[Exception], str]] = {
    FileNotFoundError: "does not exist",
    NotADirectoryError: "does not exist",
    IsADirectoryError: "is a directory; give one file",
    PermissionError: "may not be read",
    gzip.BadGzipFile: "is not compressed with gzip, or is damaged; was it written completely?",
    EOFError: _DAMAGED,
    zlib.error: _DAMAGED,
}
_EXPECTED: Final[tuple[type[Exception], ...]] = (UnreadableFileError, *_PROBLEMS)

Read = TypeVar("Read")


def without_query(path: str) -> str:
    """Return a URI without its query and fragment; a local path as it is."""
    return _QUERY.sub("", path) if "://" in path else path


def shown_path(path: str) -> str:
    """
    Return a path or URI as a log may show it: no user, password, query or fragment, and numbers masked.

    :param path: as the user wrote it; it may as well be a list of numbers that was taken for a URI.
    """
    if "://" in path:
        path = _QUERY.sub("?…", _USER.sub("", path))
    return _NUMBER.sub(_masked, path)


def _masked(found: re.Match[str]) -> str:
    text = found.group()
    return text if _DATE.fullmatch(text) else mask_number(text)


def describe_ending(name: str) -> str:
    """Say why a file of such a name is none that can be read, and what to do with it."""
    plain = name.strip().casefold().removesuffix(_COMPRESSED)
    known = next((said for ending, said in _OTHERS.items() if plain.endswith(ending)), None)
    return known or f"has none of the endings {', '.join(_FORMATS)}; rename it, or export it as one of these"


class EmptyFileError(InvalidArgumentError):
    """A file in which nothing stands at all: an export that failed, rather than nobody to reach."""


class Source(Protocol):
    """Rows of recipients, which can be read several times in the same order."""

    def chunks(self, fields: frozenset[str] | None = None) -> Iterator[Chunk]:
        """
        Read all rows from the beginning.

        :param fields: the personal fields to keep, all rows are known to need them; None keeps all.
        :raises InvalidArgumentError: when the source cannot be read; names the line and the fix, never the content.
        """

    def field_names(self, wanted: frozenset[str] = frozenset()) -> frozenset[str]:
        """
        Return the names of the personal fields that rows carry, in NFC and without blanks around them.

        :param wanted: reading may stop as soon as all of these were seen; empty: as soon as any was.
        """

    def position(self, line: int) -> str:
        """Say where a row stands, to begin an error with."""

    @property
    def argument(self) -> str:
        """The name that errors give."""

    @property
    def label(self) -> str:
        """What it is: ``the list``, ``the file 'people.csv'``."""

    @property
    def unit(self) -> str:
        """What is counted: ``row`` or ``line``."""

    def version(self) -> object:
        """Return what changes when the content does, as far as that can be told without reading it; else None."""


@dataclass(frozen=True, slots=True)
class ListSource:
    """
    Recipients in memory.

    :param to: a number, a text with numbers between commas, a list of numbers, of dicts with a ``phone_number`` and
        personal fields, or of ``Recipient`` objects.
    :param argument: the name that errors give.
    :param column: the number's field in dicts, by its name; in rows of a query also its position from 0.
    :param region: where numbers without a country code are from; a row without names may hold one number only.
    :raises InvalidArgumentError: when there is nothing in it, when it is of another type, and for rows of several
        values without names where ``column`` is no position.
    """

    to: object = field(repr=False)
    argument: str = "to"
    column: str | int = NUMBER_FIELD
    region: str = "FR"
    label: str = field(default="the list", init=False)
    unit: str = field(default="row", init=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be read while it is built."""
        rows = split_rows(rows_of_frame(self.to, argument=self.argument), argument=self.argument)
        check_rows_of_values(rows, self.column, argument=self.argument)
        object.__setattr__(self, "to", rows)

    def __iter__(self) -> Iterator[tuple[int, object]]:
        """Return each row with its position, from 1."""
        return _pairs(self.chunks())

    def chunks(self, fields: frozenset[str] | None = None) -> Iterator[Chunk]:
        """Return the rows; ``fields`` are for their reader to pick."""
        rows = iter(cast("list[object]", self.to))
        line, read = 1, ItemReader(self.column, self.region).read
        while items := list(itertools.islice(rows, ROWS_A_CHUNK)):
            yield Chunk(range(line, line + len(items)), list(map(read, items)))
            line += len(items)

    def field_names(self, wanted: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return the names of the personal fields that rows carry."""
        return names_in((item for chunk in self.chunks() for item in chunk.items), wanted)

    def position(self, line: int) -> str:
        """Return such as ``to[3]``."""
        return f"{self.argument}[{line}]"

    def version(self) -> object:
        """Return None: a list in memory stays what it is."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """
    A file of recipients: CSV, JSON lines, Parquet or Excel; read a little at a time, however long it is.

    :param open: opens it anew for bytes, at its beginning. Parquet and Excel need it seekable.
    :param name: its path or URI; errors show it without what is secret in it. Its ending, before a query, tells the
        format: ``.csv``, ``.tsv``, ``.txt``, ``.jsonl``, ``.ndjson`` (each also with ``.gz``), ``.parquet``, ``.xlsx``
        or ``.xlsm``.
    :param format: ``csv``, ``jsonl``, ``parquet`` or ``xlsx``, for other endings.
    :param column: what holds the number: a column's name, or in CSV and Excel its position from 0. A name may differ
        from the file's in blanks around it, case, Unicode form and byte order marks.
    :param header: whether a CSV or Excel file begins with a row of names; None means yes when ``column`` is a name.
    :param delimiter: of CSV; None finds ``,``, ``;`` or tab in the first line.
    :param encoding: of CSV and JSON lines, such as ``cp1252``.
    :param region: where numbers without a country code are from, two letters.
    :param read_version: tells when the file was changed without reading it, for instance by its size and date.
    :param argument: the name that errors give.
    :raises InvalidArgumentError: for an unknown ending, and for a column that the format cannot have.
    """

    open: Callable[[], IO[bytes]] = field(repr=False)
    name: str = field(repr=False)
    format: FileFormat | None = None
    column: str | int = NUMBER_FIELD
    header: bool | None = None
    delimiter: str | None = None
    encoding: str = UTF_8
    region: str = "FR"
    read_version: Callable[[], object] | None = field(default=None, repr=False)
    argument: str = "to"

    def __post_init__(self) -> None:
        """Refuse arguments that do not fit together."""
        by_index = isinstance(self.column, int)
        if self._format is None:
            raise self._refusal(describe_ending(self._plain_name))
        if self._format not in _FORMATS.values():
            raise self._refusal(
                f"cannot be read as {self.format!r}; give 'csv', 'jsonl', 'parquet' or 'xlsx'"
            )
        if isinstance(self.column, bool) or (isinstance(self.column, int) and self.column < 0):
            raise self._refusal(
                f"cannot have a column {self.column!r}; give its name, or its position from 0"
            )
        if by_index and self._format not in ("csv", "xlsx"):
            raise self._refusal("has names for its columns; give the column by its name, not by its position")
        if self.header is False and not by_index:
            raise self._refusal("has no header; give the column by its position, 0 is the first")
        problem = None
        try:
            object.__setattr__(self, "encoding", read_encoding(self.encoding))
        except UnreadableFileError as error:
            problem = error.problem
        if problem is None and self.encoding != UTF_8 and self._format in ("parquet", "xlsx"):
            problem = "is no text file, so it has no encoding; leave encoding out"
        if problem:
            raise self._refusal(problem)

    @property
    def _format(self) -> FileFormat | None:
        if self.format is not None:
            return self.format
        name = self._plain_name.removesuffix(_COMPRESSED)
        return next((kind for suffix, kind in _FORMATS.items() if name.endswith(suffix)), None)

    @property
    def _plain_name(self) -> str:
        return without_query(self.name.strip()).casefold()

    @property
    def label(self) -> str:
        """Return the file with its name, as a log may show it."""
        return f"the file {shown_path(self.name)!r}"

    @property
    def unit(self) -> str:
        """Return ``line``, or ``row`` where there are none."""
        return "row" if self._format in ("parquet", "xlsx") else "line"

    def __iter__(self) -> Iterator[tuple[int, object]]:
        """Return each row with the line where it starts, from 1."""
        return _pairs(self.chunks())

    def chunks(self, fields: frozenset[str] | None = None) -> Iterator[Chunk]:
        """
        Read the file from its beginning.

        :param fields: the personal fields to keep, each of them a column of a CSV or Parquet file; None keeps all.
        :raises EmptyFileError: when there is not even a header.
        :raises InvalidArgumentError: when it cannot be read; names the line and the fix, never the content.
        """
        return self._reading(lambda handle: self._chunks(handle, fields))

    def field_names(self, wanted: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return the names of the columns; of JSON lines, reads until all that are wanted were seen."""
        # Also the number as it is written, where its column has a name of its own.
        own = frozenset({self.column} if isinstance(self.column, str) else ()) - {NUMBER_FIELD}
        names = next(self._reading(lambda handle: iter((self._field_names(handle, wanted - own),))))
        return names | (own & wanted)

    def position(self, line: int) -> str:
        """Return such as ``to: line 3``."""
        return f"{self.argument}: {self.unit} {line}"

    def version(self) -> object:
        """Return what ``read_version`` tells."""
        if self.read_version is None:
            return None
        problem: Exception
        try:
            return self.read_version()
        except _EXPECTED as error:
            problem = error
        except Exception as error:
            problem = self._hidden(error)
        raise self._refused(problem)

    def _reading(self, read: Callable[[IO[bytes]], Iterator[Read]]) -> Iterator[Read]:
        problem: Exception
        try:
            with ExitStack() as stack:
                handle = stack.enter_context(closing(self._opened()))
                if self._plain_name.endswith(_COMPRESSED):
                    handle = stack.enter_context(cast(IO[bytes], gzip.GzipFile(fileobj=handle, mode="rb")))
                yield from read(handle)
            return
        except _EXPECTED as error:
            problem = error
        except Exception as error:
            problem = self._hidden(error)
        # Outside of the except clause: what a traceback shows as the cause may hold a part of the file.
        raise self._refused(problem)

    def _opened(self) -> IO[bytes]:
        try:
            return self.open()
        except (ImportError, ValueError):
            pass
        raise UnreadableFileError(
            "is on a storage that cannot be opened here; check its path, or install that storage's provider"
        )

    def _hidden(self, error: Exception) -> Exception:
        """Return a storage's own error, but for its text where that may quote a URI which holds secrets."""
        from airflow_provider_voicepartner.exceptions import RetryableNotSentError, ends_retries

        if (
            isinstance(error, InvalidArgumentError)
            or ends_retries(error)
            or shown_path(self.name) == self.name
        ):
            raise error
        return RetryableNotSentError(
            f"{self.argument}: {self.label} could not be read ({type(error).__name__}); what was sent before, if "
            "anything, is recorded"
        )

    def _refused(self, error: Exception) -> Exception:
        if not isinstance(error, _EXPECTED):
            return error
        if isinstance(error, EmptyTextError):
            return EmptyFileError(self.argument, f"{self.label} {error.problem}")
        if isinstance(error, UnreadableFileError):
            if error.line is None:
                return self._refusal(error.problem)
            return InvalidArgumentError(self.argument, f"line {error.line} of {self.label} {error.problem}")
        return self._refusal(next(said for kind, said in _PROBLEMS.items() if isinstance(error, kind)))

    def _refusal(self, problem: str) -> InvalidArgumentError:
        return InvalidArgumentError(self.argument, f"{self.label} {problem}")

    def _chunks(self, handle: IO[bytes], fields: frozenset[str] | None) -> Iterator[Chunk]:
        if self._format == "parquet":
            return parquet_chunks(open_parquet(handle), column=str(self.column), fields=fields)
        if self._format == "xlsx":
            return self._excel_chunks(handle, fields)
        blocks = text_blocks(handle, self.encoding)
        if self._format == "jsonl":
            return json_chunks(blocks, column=str(self.column), fields=fields)
        layout, rest = csv_layout(
            blocks, column=self.column, header=self._has_header, delimiter=self.delimiter
        )
        return csv_chunks(layout, rest, blocks, fields=fields, region=self.region)

    def _excel_chunks(self, handle: IO[bytes], fields: frozenset[str] | None) -> Iterator[Chunk]:
        rows = open_excel(handle)
        first = rows()
        layout = excel_layout(first, column=self.column, header=self._has_header)
        yield from excel_chunks(layout, first if self._has_header else rows(), fields, self.region)

    def _field_names(self, handle: IO[bytes], wanted: frozenset[str]) -> frozenset[str]:
        if self._format == "parquet":
            return parquet_field_names(open_parquet(handle), column=str(self.column))
        if self._format == "xlsx":
            rows = open_excel(handle)()
            return excel_layout(rows, column=self.column, header=self._has_header).others
        blocks = text_blocks(handle, self.encoding)
        if self._format == "jsonl":
            return json_field_names(blocks, column=str(self.column), wanted=wanted)
        layout, _ = csv_layout(blocks, column=self.column, header=self._has_header, delimiter=self.delimiter)
        return layout.others

    @property
    def _has_header(self) -> bool:
        return isinstance(self.column, str) if self.header is None else self.header


def _pairs(chunks: Iterator[Chunk]) -> Iterator[tuple[int, object]]:
    for chunk in chunks:
        yield from zip(chunk.lines, chunk.items, strict=True)
