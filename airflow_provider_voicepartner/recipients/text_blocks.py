"""The bytes of a text file as blocks of whole lines, a little at a time; what is not of its encoding is refused."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

from airflow_provider_voicepartner.constants import LONGEST_LINE, TEXT_BLOCK
from airflow_provider_voicepartner.gateways.validation import STRAY_CONTROLS

UTF_8: Final = "utf-8"
_ASCII: Final = bytes(range(128))
_ADVICE: Final = (
    "save the whole file as UTF-8, or give its encoding: encoding='cp1252' for a CSV of a French Excel"
)

_MAGIC: Final = (
    (
        b"PK\x03\x04",
        "is a spreadsheet or a ZIP file, not text; name it .xlsx, or export it as CSV in UTF-8",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "is a spreadsheet, not text; save it as .xlsx, or export it as CSV in UTF-8",
    ),
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


def read_encoding(name: object) -> str:
    """
    Return the name of an encoding as Python writes it.

    :raises UnreadableFileError: for one that is unknown, or in which line ends are not what they are in ASCII.
    """
    try:
        found = codecs.lookup(name).name if isinstance(name, str) else ""
        if found and _ASCII.decode(found) == _ASCII.decode("ascii"):
            return UTF_8 if found == "utf-8-sig" else found  # A byte order mark is passed over in any case.
    except (LookupError, UnicodeError):
        pass
    raise UnreadableFileError(
        f"cannot be read with encoding={name!r}; give 'utf-8', 'cp1252' (CSV of a French Excel) or another one of "
        "Python's in which ASCII is ASCII"
    )


def text_blocks(handle: IO[bytes], encoding: str = UTF_8) -> Iterator[TextBlock]:
    """
    Read a text file in blocks of about 128 KiB, cut at line ends: LF, CR LF or CR.

    :param handle: opened for bytes; only ``read`` is used.
    :param encoding: see :func:`read_encoding`.
    :raises UnreadableFileError: for an empty file, for what is not of the encoding (a byte order mark of UTF-8 is
        passed over), for UTF-8 that is to be read as another encoding, a NUL byte, and a line longer than 1 MiB; with
        its line, and its byte from 1.
    """
    line = 1
    pending = _beginning(handle, encoding)
    while data := handle.read(TEXT_BLOCK):
        pending += data
        _check_first_line(pending, line)
        cut = pending.rfind(b"\n") + 1 or pending.rfind(b"\r", 0, len(pending) - 1) + 1
        if cut:
            yield TextBlock(line, _decode(pending[:cut], line, encoding))
            line += _count_lines(pending[:cut])
            pending = pending[cut:]
    if pending:
        _check_first_line(pending, line)
        yield TextBlock(line, _decode(pending, line, encoding))


def _beginning(handle: IO[bytes], encoding: str) -> bytes:
    """Read the first bytes, which tell files that are no text at all; byte order marks are taken off."""
    begin = b""
    while len(begin) < 4 and (data := handle.read(TEXT_BLOCK)):
        begin += data
    if not begin:
        raise EmptyTextError
    for magic, problem in _MAGIC:
        if begin.startswith(magic):
            raise UnreadableFileError(problem)
    is_marked = begin.startswith(codecs.BOM_UTF8)
    if is_marked and encoding != UTF_8:
        raise UnreadableFileError(f"is UTF-8, as its first bytes say, and not {encoding}; leave encoding out")
    while begin.startswith(codecs.BOM_UTF8):  # Some programs put one before the one that is there.
        begin = begin.removeprefix(codecs.BOM_UTF8)
    if is_marked and not begin and not (begin := handle.read(TEXT_BLOCK)):
        raise EmptyTextError
    return begin


def _check_first_line(data: bytes, line: int) -> None:
    """Refuse an endless line; only the first one of a block can be longer than the block."""
    if len(data) > LONGEST_LINE and data.find(b"\n", 0, LONGEST_LINE) < 0 > data.find(b"\r", 0, LONGEST_LINE):
        raise UnreadableFileError(
            f"is longer than {LONGEST_LINE:,} bytes; is a line end missing, or is this another kind of file?",
            line=line,
        )


def _decode(data: bytes, line: int, encoding: str) -> str:
    at = data.find(b"\0")
    problem = "has a NUL byte, so it is no text or is UTF-16; save it as UTF-8"
    if at < 0:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            at, problem = error.start, f"is not {encoding.upper()}; {_ADVICE}"
        else:
            if encoding == UTF_8 or data.isascii() or not _is_utf_8(data):
                if encoding != UTF_8 and (found := STRAY_CONTROLS.search(text)):
                    raise UnreadableFileError(
                        f"has characters that no text has where it is read as {encoding}, so letters would come out "
                        "wrong; give encoding='cp1252'",
                        line=line + _count_lines(text[: found.start()].encode()),
                    )
                return text
            at = next(place for place, byte in enumerate(data) if byte > 127)
            problem = f"is UTF-8 and not {encoding}, so letters would come out wrong; leave encoding out"
    before = data[:at]
    start = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
    raise UnreadableFileError(
        f"{problem} (byte {at - start + 1} of the line)", line=line + _count_lines(before)
    )


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _count_lines(data: bytes) -> int:
    ends = data.count(b"\n")
    return ends + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else ends
