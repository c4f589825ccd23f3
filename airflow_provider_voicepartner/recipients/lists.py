"""
Lists of recipients in memory: what users write in ``to``, dicts with a number under any name, query rows, data frames.

Each number is read once, in order. Rows that are left out are recorded with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH, NAMED_REJECTS
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.phone_numbers import PhoneNumber
from airflow_provider_voicepartner.gateways.placeholders import shown_name
from airflow_provider_voicepartner.recipients.rejects import RejectedRow
from airflow_provider_voicepartner.recipients.rows import (
    NUMBER_FIELD,
    Line,
    RowReader,
    SecondNumber,
    UnreadableRow,
    check_rows,
    find_column,
    is_blank,
    what_there_is,
)
from airflow_provider_voicepartner.recipients.text_blocks import UnreadableFileError

__all__ = [
    "OnInvalid", "RecipientPlan", "RejectedRow", "collect", "describe_rejected", "name_rejected",
    "plan_recipients", "split_rows",
]  # fmt: skip

OnInvalid = Literal["fail", "skip"]

_BETWEEN_NUMBERS = re.compile(r"[,;\r\n]")
_LIST_AS_TEXT = re.compile(r"\s*(?:[\[{]|\(\s*['\"({\[])")
_FORMS = (
    "give a number, a comma-separated string, a list of numbers, or a list of dicts with a 'phone_number'"
)

_FRAMES = ("pandas", "polars", "pyarrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientPlan:
    """
    Who is to be reached.

    :param recipients: each number once, in the order of the input.
    :param duplicates: rows left out because their number came before, whatever their other fields.
    :param rejected: rows left out because nobody can be reached with them.
    """

    recipients: tuple[Recipient, ...]
    duplicates: int = 0
    rejected: tuple[RejectedRow, ...] = ()

    @property
    def invalid(self) -> int:
        """How many rows were rejected."""
        return len(self.rejected)


def plan_recipients(
    to: object,
    *,
    line: Line,
    on_invalid: OnInvalid = "fail",
    region: str = "FR",
    argument: str = "to",
    limit: int | None = MAX_RECIPIENTS_PER_BATCH,
) -> RecipientPlan:
    """
    Check all recipients before anything is sent.

    :param to: a number, a string with numbers between commas (or semicolons, or lines), a list of numbers, a list of
        dicts with a ``phone_number`` and personal fields, or ``Recipient`` objects.
    :param line: ``mobile`` takes what can receive an SMS, ``any`` every valid number.
    :param on_invalid: ``fail`` raises when a row is bad; ``skip`` leaves it out and counts it.
    :param region: where numbers without a country code are from, two letters; default ``FR``, overseas included.
    :param argument: the name that errors give.
    :param limit: how many recipients are allowed; None for any number.
    :returns: the plan; without recipients when ``skip`` has skipped everything.
    :raises InvalidArgumentError: for an empty or unreadable ``to``, and for too many recipients.
    :raises InvalidRecipientError: naming the first bad rows, their numbers masked.
    """
    if on_invalid not in ("fail", "skip"):
        raise InvalidArgumentError("on_invalid", f"{on_invalid!r} is not known; give 'fail' or 'skip'")
    rows = split_rows(to, argument=argument)
    plan = collect(check_rows(enumerate(rows, start=1), RowReader(line=line, region=region)))
    if plan.rejected and on_invalid == "fail":
        from airflow_provider_voicepartner.exceptions import InvalidRecipientError

        raise InvalidRecipientError(describe_rejected(plan.rejected, argument=argument))
    if limit is not None and len(plan.recipients) > limit:
        raise InvalidArgumentError(
            argument,
            f"has {len(plan.recipients)} recipients; one call takes up to {limit}; "
            "split the list over mapped tasks",
        )
    return plan


def collect(checked: Iterable[Recipient | RejectedRow]) -> RecipientPlan:
    """
    Sort checked rows into recipients, duplicates and rejected rows; of a number that comes twice, the first row wins.

    :param checked: rows in the order of the input.
    """
    recipients: dict[str, Recipient] = {}
    rejected: list[RejectedRow] = []
    valid = 0
    for row in checked:
        if isinstance(row, RejectedRow):
            rejected.append(row)
        else:
            valid += 1
            recipients.setdefault(row.phone_number, row)
    return RecipientPlan(
        recipients=tuple(recipients.values()), duplicates=valid - len(recipients), rejected=tuple(rejected)
    )


def split_rows(to: object, *, argument: str = "to") -> Sequence[object]:
    """
    Take apart what users write in ``to``; the rows themselves are not looked at.

    :param to: see ``plan_recipients``.
    :param argument: the name that errors give.
    :raises InvalidArgumentError: when there is nothing in it, or when it is of another type.
    """
    rows: Sequence[object]
    if to is None:
        rows = ()
    elif isinstance(to, str):
        if _LIST_AS_TEXT.match(to):
            raise InvalidArgumentError(
                argument,
                "is a list that became text, as templates do; pass the list or XComArg itself, "
                "or set render_template_as_native_obj=True on the DAG",
            )
        if to.strip() == "None":
            raise InvalidArgumentError(
                argument,
                "is 'None', which a template makes of what does not exist; check the task, key or Variable that "
                "it names",
            )
        rows = [part.strip() for part in _BETWEEN_NUMBERS.split(to) if part.strip()]
    elif isinstance(to, (Recipient, Mapping, PhoneNumber)):
        rows = (to,)
    elif isinstance(to, Sequence) and not isinstance(to, (bytes, bytearray, memoryview, range)):
        rows = to
    else:
        why = "; a set has no order, which a retry needs" if isinstance(to, (set, frozenset)) else ""
        raise InvalidArgumentError(argument, f"is of type {type(to).__name__}{why}; {_FORMS}")
    if all(map(is_blank, rows)):
        raise InvalidArgumentError(argument, f"has no recipients; {_FORMS}")
    return rows


def describe_rejected(rejected: Sequence[RejectedRow], *, argument: str = "to") -> str:
    """
    Say which rows are bad, numbers masked: the first five, and how many more.

    :param rejected: at least one row.
    :param argument: the name of what holds the rows.
    """
    return (
        f"{name_rejected(rejected, argument=argument)}. Rows count from 1; correct them, or leave them out with "
        "on_invalid='skip'"
    )


def name_rejected(rejected: Sequence[RejectedRow], *, argument: str = "to") -> str:
    """
    Name the first five bad rows with the reason, numbers masked, and how many more there are.

    :param rejected: at least one row.
    :param argument: the name of what holds the rows.
    """
    shown = [f"{argument}[{row.row}]: {row.masked!r} {row.reason}" for row in rejected[:NAMED_REJECTS]]
    more = len(rejected) - len(shown)
    if more:
        shown.append(f"and {more} more")
    return ". ".join(shown)


def rows_of_frame(value: Any, *, argument: str = "to") -> Any:
    """
    Return the rows of a data frame as dicts, of a series as values; anything else as it is.

    :param value: perhaps a frame or series of pandas or polars, or a table of Arrow; none of them is imported here.
    :param argument: the name that errors give.
    :raises InvalidArgumentError: for two columns of the same name, of which a dict would silently hold one.
    """
    library = type(value).__module__.partition(".")[0]
    if library not in _FRAMES:
        return value
    names = list(getattr(value, "column_names" if library == "pyarrow" else "columns", ()))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgumentError(
            argument, f"is a data frame with the column {shown_name(str(twice))} twice; rename one"
        )
    if library == "pandas" and hasattr(value, "notna"):
        # What is missing has several forms there; None is the one that everybody reads.
        value = value.astype(object).where(value.notna(), None)
    kind = type(value).__name__
    if kind == "DataFrame":
        return value.to_dict("records") if library == "pandas" else value.to_dicts()
    if kind == "Series":
        return value.tolist() if library == "pandas" else value.to_list()
    return value.to_pylist() if hasattr(value, "to_pylist") else value


def field_of(row: Mapping[Any, object], column: str) -> str | None:
    """
    Return the name under which a row has its number, which may differ in blanks, case and Unicode form; else None.

    Also None where two names differ in nothing else: nobody knows which is meant.
    """
    names = [name for name in row if isinstance(name, str)]
    try:
        at = find_column(column, names)
    except UnreadableFileError:
        return None
    return None if at is None else names[at]


def no_field(column: str | int, row: Mapping[Any, object]) -> str:
    """Say that a row has no such field, and which ones it has."""
    return f"has no field {column!r}; {what_there_is(row)}"


class ItemReader:
    """
    Puts the rows of a list into the one form that is read: a number, or a dict with a ``phone_number``.

    :param column: the number's field, by its name, or in rows of a query by its position from 0.
    :param region: where numbers without a country code are from; a row without names may hold one number only.
    """

    def __init__(self, column: str | int, region: str = "FR") -> None:
        self._column = column
        self._holds_another = SecondNumber(region)

    def read(self, item: object) -> object:
        """Return a row in that form, or what stands for one that has no number."""
        if isinstance(item, str):
            return item
        if isinstance(item, Mapping):
            return self._of_mapping(item)
        if isinstance(item, (Recipient, PhoneNumber)):
            return item
        named = named_values(item)
        if named is not None and isinstance(self._column, str):
            return self._of_mapping(named)
        return self._of_sequence(item, is_named=named is not None) if _is_row(item) else item

    def _of_mapping(self, row: Mapping[Any, object]) -> object:
        if self._column == NUMBER_FIELD and NUMBER_FIELD in row:
            return row
        name = field_of(row, self._column) if isinstance(self._column, str) else None
        if name is None:
            return UnreadableRow(no_field(self._column, row))
        others = {key: value for key, value in row.items() if key not in (name, NUMBER_FIELD)}
        return {NUMBER_FIELD: row[name], **others}

    def _of_sequence(self, row: Any, *, is_named: bool) -> object:
        at = self._column
        if len(row) == 1 and not isinstance(at, int):
            at = 0
        if isinstance(at, int) and at < len(row):
            if not is_named and any(self._holds_another(cell) for cell in (*row[:at], *row[at + 1 :])):
                return UnreadableRow(SecondNumber.REASON, row[at] if isinstance(row[at], str) else "")
            return row[at]
        return UnreadableRow(f"is in a row of {len(row)} values, which has no column {at!r}")


def named_values(item: object) -> Mapping[Any, object] | None:
    """Return the values of a row that knows its names, as those of SQLAlchemy and named tuples do."""
    found = getattr(item, "_mapping", None)
    if isinstance(found, Mapping):
        return found
    names = getattr(item, "_fields", None)
    if isinstance(item, tuple) and isinstance(names, tuple) and all(isinstance(name, str) for name in names):
        return dict(zip(names, item, strict=True))
    return None


def _is_row(item: object) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, (str, bytes, bytearray, memoryview, range))


def check_rows_of_values(rows: Sequence[object], column: str | int, *, argument: str) -> None:
    """
    Refuse rows of several values of which nobody said where the number stands.

    :raises InvalidArgumentError: with both ways to say it.
    """
    if isinstance(column, int):
        return
    wide = next((row for row in rows if _is_row(row) and named_values(row) is None and _width(row) > 1), None)
    if wide is not None and not isinstance(wide, (Recipient, PhoneNumber)):
        raise InvalidArgumentError(
            argument,
            f"has rows of {_width(wide)} values without names, as a query returns them; say where the number stands "
            "with column=0 (then there are no personal fields), or give dicts: names = ['phone_number', 'first_name']; "
            "[dict(zip(names, row)) for row in rows]",
        )


def _width(row: Any) -> int:
    return len(row)
