"""Files of recipients, rejects and delivery reports, on any storage that Airflow knows."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_voicepartner.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import DeliveryReport

SUFFIXES = (".csv", ".txt")
COLUMN = "phone_number"


def is_file(to: Any) -> bool:
    """Say whether ``to`` names a file and not recipients: a path object, a URI, or a text that ends like a file."""
    if isinstance(to, PathLike) or type(to).__name__ == "ObjectStoragePath":
        return True
    return isinstance(to, str) and ("://" in to or to.strip().casefold().endswith(SUFFIXES))


def storage_path(path: Any) -> Any:
    """Return a path of Airflow's object storage for a local path or a URI such as ``s3://…``."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(str(path))


def read_rows(path: Any, *, column: str = COLUMN) -> list[Mapping[str, str]]:
    """
    Read a CSV file of recipients: a header line with a ``phone_number`` column, other columns are personal fields.

    :param path: local path or URI; UTF-8, with or without a byte order mark; separated by ``,`` or ``;``.
    :param column: the column of the number.
    :returns: one mapping a row, blank lines left out.
    :raises ConfigurationError: for a file that is missing or empty, is not UTF-8, has no such column, or one twice.
    """
    problem: str | None
    try:
        with storage_path(path).open("r", encoding="utf-8-sig", newline="") as handle:
            return list(_rows(handle, path, column))
    except (FileNotFoundError, NotADirectoryError):
        problem = "does not exist"
    except IsADirectoryError:
        problem = "is a directory"
    except PermissionError:
        problem = "may not be read"
    except UnicodeDecodeError:
        problem = "is not UTF-8; save it as UTF-8"
    except csv.Error as error:
        problem = f"is not a CSV file: {error}"
    except (ImportError, ValueError):
        problem = "is on a storage that this Airflow cannot open; check its path, or install that storage's provider"
    raise ConfigurationError(f"to: the file {str(path)!r} {problem}")


def _rows(handle: IO[str], path: Any, column: str) -> Iterator[Mapping[str, str]]:
    head = handle.readline()
    separator = ";" if head.count(";") > head.count(",") else ","
    # Read by readline: what Airflow 2.11 opens cannot be iterated over.
    reader = csv.reader(chain([head], iter(handle.readline, "")), delimiter=separator, strict=True)
    names = [name.strip() for name in next(reader, [])]
    if column not in names:
        raise ConfigurationError(
            f"to: the file {str(path)!r} has no column {column!r} in its first line; add one"
        )
    twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if twice:
        raise ConfigurationError(f"to: the file {str(path)!r} has the column {twice[0]!r} twice; rename one")
    for values in reader:
        if not any(value.strip() for value in values):
            continue
        if len(values) != len(names):
            raise ConfigurationError(
                f"to: line {reader.line_num} of the file {str(path)!r} has {len(values)} columns, "
                f"the first line has {len(names)}"
            )
        yield dict(zip(names, values, strict=True))


def write_text(path: Any, write: Callable[[IO[str]], object]) -> None:
    """Write a text file, in UTF-8, on any storage; a local folder that is missing is made."""
    target = storage_path(path)
    if target.protocol in ("file", ""):
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as handle:
        write(handle)


def write_delivery_reports(path: Any, reports: Iterable[DeliveryReport]) -> None:
    """Write one line a recipient: ``phone_number,status,gateway_status,at``; the time in ISO 8601, empty if unknown."""

    def write(handle: IO[str]) -> None:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow((COLUMN, "status", "gateway_status", "at"))
        for report in reports:
            at = report.at.isoformat() if report.at else ""
            writer.writerow((report.phone_number, report.status.value, report.gateway_status, at))

    write_text(path, write)
