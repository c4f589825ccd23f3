"""Files of recipients, rejects and delivery reports, on any storage that Airflow knows."""

from __future__ import annotations

import csv
import os
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.paths import shown_path, without_query
from airflow_provider_voicepartner.sending.source import FileSource

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import DeliveryReport

SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".gz")
COLUMN = "phone_number"
_REPORT_COLUMNS = COLUMN, "status", "gateway_status", "at"
_LONGEST_HEAD = 1_024


class MissingStorageError(ConfigurationError, ValueError):
    """A path on a storage that no installed package knows; a retry would not install one."""


def is_file(to: Any) -> bool:
    """Say whether ``to`` names a file and not recipients: a path object, a URI, or a text that ends like a file."""
    if isinstance(to, PathLike) or type(to).__name__ == "ObjectStoragePath":
        return True
    return isinstance(to, str) and ("://" in to or to.strip().casefold().endswith(SUFFIXES))


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


def file_source(to: Any, *, column: str | int, header: bool | None) -> FileSource:
    """
    Return a file of recipients, to be read as often as needed.

    :param to: a local path or a URI.
    :param column: what holds the number: a column's name, or in CSV its position from 0.
    :param header: whether a CSV file begins with a line of names; None means yes when ``column`` is a name.
    :raises InvalidArgumentError: for an unknown ending.
    """
    return FileSource(
        open=lambda: storage_path(to).open("rb"),
        name=str(to),
        column=column,
        header=header,
        read_version=lambda: _version_of(storage_path(to)),
    )


def _version_of(path: Any) -> tuple[object, ...]:
    """Return what tells a changed file from an unchanged one, as far as the storage tells."""
    told = path.stat()
    return tuple(getattr(told, name, None) for name in ("st_size", "st_mtime_ns", "st_mtime"))


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
    """Return where a file is on this machine; None for one that is elsewhere, or that nobody knows how to reach."""
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
def writing(path: Any) -> Iterator[IO[str]]:
    """Write a text file, in UTF-8, on any storage; a local folder that is missing is made."""
    target = storage_path(path)
    if _is_local(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as handle:
        yield handle


def write_delivery_reports(path: Any, reports: Iterable[DeliveryReport]) -> None:
    """
    Write one line a recipient: ``phone_number,status,gateway_status,at``; the time in ISO 8601, empty if unknown.

    :raises ConfigurationError: as :func:`check_report_path` does.
    """
    check_report_path(path)
    with writing(path) as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(_REPORT_COLUMNS)
        for report in reports:
            at = report.at.isoformat() if report.at else ""
            writer.writerow((report.phone_number, report.status.value, report.gateway_status, at))


def check_report_path(path: Any) -> None:
    """
    Refuse a path for delivery reports at which something else is, perhaps the list of recipients.

    :raises ConfigurationError: naming the argument.
    """
    try:
        with storage_path(path).open("rb") as handle:
            first = handle.read(_LONGEST_HEAD)
    except FileNotFoundError:
        return
    if first.strip() and first.splitlines()[0].decode("utf-8", "replace") != ",".join(_REPORT_COLUMNS):
        raise ConfigurationError(
            "report_path: there is a file already that is no delivery report, and it is not written over; "
            "choose another path"
        )
