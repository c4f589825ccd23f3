"""From what users write in ``to`` to a list of people, each once, in order, with what was left out and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from airflow_provider_voicepartner.constants import NAMED_REJECTS
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import MAX_RECIPIENTS_PER_BATCH, Recipient
from airflow_provider_voicepartner.gateways.numbers import PhoneNumber
from airflow_provider_voicepartner.sending.rejects import RejectedRow, write_rejects
from airflow_provider_voicepartner.sending.rows import Line, RowReader, check_rows, is_blank

__all__ = [
    "OnInvalid", "RecipientPlan", "RejectedRow", "collect", "describe_rejected", "name_rejected",
    "plan_recipients", "split_rows", "write_rejects",
]  # fmt: skip

OnInvalid = Literal["fail", "skip"]

_BETWEEN_NUMBERS = re.compile(r"[,;\r\n]")
_LIST_AS_TEXT = re.compile(r"\s*(?:[\[{]|\(\s*['\"({\[])")
_FORMS = (
    "give a number, a comma-separated string, a list of numbers, or a list of dicts with a 'phone_number'"
)


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
