"""The bytes of a text file as blocks of whole lines, a little at a time; what is no clean UTF-8 is refused by line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

LONGEST_LINE: Final = 1_048_576
"""Bytes; no row of recipients is longer, so a file without line ends is not read into memory."""

BLOCK: Final = 131_072

_MAGIC: Final = (
    (b"PK\x03\x04", "is a spreadsheet or a ZIP file, not text; export it as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet, not text; export it as CSV in UTF-8"),
    (b"PAR1", "is a Parquet file; give its name the ending .parquet"),
    (b"\x1f\x8b", "is compressed; give its name the ending .gz"),
    (codecs.BOM_UTF16_LE, "is UTF-16; save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "is UTF-16; save it as UTF-8"),
)


class UnreadableFileError(ValueError):
    """
    A file that cannot be read as what it should be.

    :param problem: what is wrong and the fix, to be read after the file's name; holds nothing of the file.
    :param line: where, from 1; None for the file as a whole.
    """

    def __init__(self, problem: str, *, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


class EmptyTextError(UnreadableFileError):
    """A file in which nothing stands, not even a header."""

    def __init__(self) -> None:
        super().__init__("is empty; was it written completely?")


class TextBlock(NamedTuple):
    """
    Some whole lines.

    :param line: number of the first one, from 1.
    :param text: the lines with their ends; only the last line of a file may lack one.
    """

    line: int
    text: str


def text_blocks(handle: IO[bytes]) -> Iterator[TextBlock]:
    """
    Read a text file in blocks of about 128 KiB, cut at line ends: LF, CR LF or CR.

    :param handle: opened for bytes; only ``read`` is used.
    :raises UnreadableFileError: for an empty file, another encoding than UTF-8 (a byte order mark is passed over), a
        NUL byte, and a line longer than 1 MiB; with its line, and its byte from 1.
    """
    line = 1
    kept = _beginning(handle)
    while data := handle.read(BLOCK):
        kept += data
        _check_first_line(kept, line)
        cut = kept.rfind(b"\n") + 1 or kept.rfind(b"\r", 0, len(kept) - 1) + 1
        if cut:
            yield TextBlock(line, _decode(kept[:cut], line))
            line += _count_lines(kept[:cut])
            kept = kept[cut:]
    if kept:
        _check_first_line(kept, line)
        yield TextBlock(line, _decode(kept, line))


def _beginning(handle: IO[bytes]) -> bytes:
    """Read the first bytes, which tell files that are no text at all; the byte order mark is taken off."""
    begin = b""
    while len(begin) < 4 and (data := handle.read(BLOCK)):
        begin += data
    if not begin:
        raise EmptyTextError
    for magic, problem in _MAGIC:
        if begin.startswith(magic):
            raise UnreadableFileError(problem)
    if begin == codecs.BOM_UTF8:
        raise EmptyTextError
    return begin.removeprefix(codecs.BOM_UTF8)


def _check_first_line(data: bytes, line: int) -> None:
    """Refuse an endless line; only the first one of a block can be longer than the block."""
    if len(data) > LONGEST_LINE and data.find(b"\n", 0, LONGEST_LINE) < 0 > data.find(b"\r", 0, LONGEST_LINE):
        raise UnreadableFileError(
            f"is longer than {LONGEST_LINE:,} bytes; is a line end missing, or is this another kind of file?",
            line=line,
        )


def _decode(data: bytes, line: int) -> str:
    at = data.find(b"\0")
    problem = "has a NUL byte, so it is no text or is UTF-16; save it as UTF-8"
    if at < 0:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            at, problem = error.start, "is not UTF-8; save the whole file as UTF-8"
    before = data[:at]
    start = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
    raise UnreadableFileError(
        f"{problem} (byte {at - start + 1} of the line)", line=line + _count_lines(before)
    )


def _count_lines(data: bytes) -> int:
    ends = data.count(b"\n")
    return ends + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else ends
