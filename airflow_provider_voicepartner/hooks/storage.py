"""Files of recipients, rejects and delivery reports, on any storage that Airflow knows."""

from __future__ import annotations

import csv
import errno
import fcntl
import logging
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, TypeVar

from airflow_provider_voicepartner.constants import LONGEST_FILE_HEAD
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.recipients.rejects import REJECTS_COLUMNS, is_headed, write_row
from airflow_provider_voicepartner.recipients.source import (
    FileSource,
    describe_ending,
    shown_path,
    without_query,
)
from airflow_provider_voicepartner.recipients.text_blocks import UTF_8

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import DeliveryReport

log = logging.getLogger(__name__)

Opened = TypeVar("Opened")

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm", ".gz")
COLUMN = "phone_number"
_REPORT_COLUMNS = COLUMN, "status", "gateway_status", "at"


class MissingStorageError(ConfigurationError, ValueError):
    """A path on a storage that no installed package knows; a retry would not install one."""


def is_file(to: Any) -> bool:
    """Say whether ``to`` names a file and not recipients: a path object, a URI, or a text that ends like a file."""
    if isinstance(to, PathLike) or type(to).__name__ == "ObjectStoragePath":
        return True
    return isinstance(to, str) and ("://" in to or to.strip().casefold().endswith(SUFFIXES))


_LIKE_A_PATH = re.compile(r"\s*(?:[^,;\r\n]*[/\\][^,;\r\n]*|[^,;\r\n@]*\S\.[a-zA-Z]\w{0,7}\s*)")
_FROM_A_ROOT = re.compile(r"\s*(?:[/~]|\.{1,2}/|[a-zA-Z]:\\)")
_NUMBER_WITHIN = re.compile(r"(?:\d[ .\-/()]*){9}")


def check_no_path(to: Any) -> None:
    """
    Refuse a text that looks like the path of a file of unknown kind, before it is read as phone numbers.

    :param to: what :func:`is_file` does not hold for a file.
    :raises ConfigurationError: saying what is wrong with its name.
    """
    if not isinstance(to, str) or not any(map(str.isalpha, to)) or not _LIKE_A_PATH.fullmatch(to):
        return
    if _NUMBER_WITHIN.search(to) and not _FROM_A_ROOT.match(to):
        return  # A number with a remark, such as "06 12 34 56 78 / Anna".
    raise ConfigurationError(f"to: the file {shown_path(to.strip())!r} {describe_ending(to)}")


def storage_path(path: Any) -> Any:
    """
    Return a path of Airflow's object storage for a local path or a URI such as ``s3://…``.

    :raises MissingStorageError: when no installed package knows such a storage.
    """
    from airflow_provider_voicepartner.compat import ObjectStoragePath

    try:
        found = ObjectStoragePath(str(path))
        _ = found.fs
        return found
    except (ImportError, ValueError):
        pass
    raise MissingStorageError(
        f"{shown_path(str(path))!r} is on a storage that cannot be opened here; check its path, or install that "
        "storage's provider, such as 'apache-airflow-providers-amazon[s3fs]' for s3"
    )


def file_source(
    to: Any, *, column: str | int, header: bool | None, encoding: str | None = None, region: str = "FR"
) -> FileSource:
    """
    Return a file of recipients, to be read as often as needed.

    :param to: a local path or a URI.
    :param column: what holds the number: a column's name, or in CSV and Excel its position from 0.
    :param header: whether a CSV or Excel file begins with a row of names; None means yes when ``column`` is a name.
    :param encoding: of CSV and JSON lines; None is UTF-8.
    :param region: where numbers without a country code are from.
    :raises InvalidArgumentError: for an unknown ending or encoding.
    """
    return FileSource(
        open=lambda: storage_path(to).open("rb"),
        name=str(to),
        column=column,
        header=header,
        encoding=encoding or UTF_8,
        region=region,
        read_version=lambda: _version_of(storage_path(to)),
    )


def _version_of(path: Any) -> tuple[object, ...]:
    """Return size and dates of a file, as far as the storage has them: they change when the file does."""
    facts = path.stat()
    return tuple(getattr(facts, name, None) for name in ("st_size", "st_mtime_ns", "st_mtime"))


def is_same_file(one: Any, other: Any) -> bool:
    """
    Say whether two paths or URIs lead to the same file, however they are written.

    :param one: a local path or a URI.
    :param other: likewise; neither needs to exist.
    """
    first, second = _local_path(one), _local_path(other)
    if first is None or second is None:
        return first is second and _place_of(one) == _place_of(other)
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def _local_path(path: Any) -> str | None:
    """Return where a file is on this machine; None for one elsewhere, or on an unknown storage."""
    try:
        found = storage_path(path)
    except (ImportError, ValueError):
        return None
    return str(found.path) if _is_local(found) else None


def _is_local(path: Any) -> bool:
    return str(path.protocol) in ("file", "local", "")


def _place_of(uri: Any) -> str:
    """Return a URI's place without what only says how to get there: scheme, user and signature."""
    place = without_query(str(uri).strip()).partition("://")[2]
    host, _, path = place.partition("/")
    return f"{host.rpartition('@')[2]}{posixpath.normpath('/' + path)}"


@contextmanager
def writing(path: Any, argument: str) -> Iterator[IO[str]]:
    """
    Write a text file, in UTF-8, on any storage; a local folder that is missing is made.

    What is written holds phone numbers: on this machine only the user of the task may read it (mode 0600). Two tasks
    that write the same file there do so one after the other, so that the lines of one are not among the other's.

    :param argument: the name that errors give.
    :raises ConfigurationError: when nothing can be written at that path.
    """
    target = storage_path(path)
    opened = _open_here if _is_local(target) else _open_there
    with _opening(path, argument, lambda: opened(target)) as handle:
        yield handle


def _open_there(target: Any) -> IO[str]:
    handle: IO[str] = target.open("w", encoding="utf-8", newline="")
    return handle


def _open_here(target: Any) -> IO[str]:
    return open(_empty(target), "w", encoding="utf-8", newline="")


def _empty(target: Any) -> int:
    """Open an empty file on this machine; where another task is writing it, once that has ended."""
    target.parent.mkdir(parents=True, exist_ok=True)
    place = os.open(str(target.path), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if stat.S_ISREG(os.fstat(place).st_mode):  # no device, such as /dev/null
            os.fchmod(place, 0o600)
            _wait_for_others(place)
            os.ftruncate(place, 0)
    except BaseException:
        os.close(place)
        raise
    return place


def _wait_for_others(place: int) -> None:
    """Lock a file until it is closed; some network file systems have no locks."""
    try:
        fcntl.flock(place, fcntl.LOCK_EX)
    except OSError as error:
        log.debug("No lock on a file: %s", errno.errorcode.get(error.errno or 0))


_UNUSABLE: Mapping[int, str] = {
    errno.EISDIR: "is a directory; give the path of a file",
    errno.ENOTDIR: "has a file where a folder is needed",
    errno.EEXIST: "has a file where a folder is needed",
    errno.EACCES: "may not be read or written by the user of the task",
    errno.EPERM: "may not be written by the user of the task, who does not own it",
    errno.EROFS: "is on a file system that cannot be written",
    errno.ELOOP: "is a link that leads to itself",
    errno.ENAMETOOLONG: "is too long for a path",
}


def _opening(path: Any, argument: str, opened: Callable[[], Opened]) -> Opened:
    """
    Open a file, and say of its path what makes it useless for good.

    :raises ConfigurationError: in place of the error of the operating system; others, such as a full disk, pass.
    """
    try:
        return opened()
    except OSError as error:
        # Storages raise their own, without a number of the operating system.
        number = errno.EEXIST if isinstance(error, FileExistsError) else error.errno
        problem = _UNUSABLE.get(number or 0)
        if problem is None:
            raise
    except ValueError:
        if "\0" not in str(path):
            raise
        problem = "is no path"
    # Outside of the except clause: the path as it is may hold a number.
    raise ConfigurationError(f"{argument}: {shown_path(str(path))!r} {problem}. Choose another path")


def write_delivery_reports(path: Any, reports: Iterable[DeliveryReport]) -> None:
    """
    Write one line a recipient: ``phone_number,status,gateway_status,at``; the time in ISO 8601, empty if unknown.

    :raises ConfigurationError: as :func:`check_report_path` and :func:`writing` do.
    """
    check_report_path(path)
    with writing(path, "report_path") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(_REPORT_COLUMNS)
        for report in reports:
            at = report.at.isoformat() if report.at else ""
            write_row(writer, (report.phone_number, report.status.value, report.gateway_status, at))


def check_report_path(path: Any) -> None:
    """
    Refuse a path for delivery reports at which something else is, perhaps the list of recipients.

    :raises ConfigurationError: naming the argument.
    """
    _check_is_ours(path, _REPORT_COLUMNS, "report_path", "delivery report")


def check_rejects_path(path: Any) -> None:
    """
    Refuse a path for invalid rows at which something else is.

    :raises ConfigurationError: naming the argument.
    """
    _check_is_ours(path, REJECTS_COLUMNS, "rejects_path", "file of invalid rows")


def _check_is_ours(path: Any, columns: Sequence[str], argument: str, what: str) -> None:
    place = storage_path(path)
    try:
        with _opening(path, argument, lambda: place.open("rb")) as handle:
            first = handle.read(LONGEST_FILE_HEAD)
    except FileNotFoundError:
        return
    if first.strip() and not is_headed(first, columns):
        raise ConfigurationError(
            f"{argument}: there is a file already that is no {what}, and it is not written over; "
            "choose another path"
        )
