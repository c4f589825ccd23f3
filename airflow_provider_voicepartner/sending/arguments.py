"""Operator arguments after rendering: read once, strictly, before anything is sent."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar, cast, get_args

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.dates import as_instant
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.validation import check_said, says_nothing

Choice = TypeVar("Choice", bound=str)


def is_left_out(value: Any) -> bool:
    """Say whether an argument is not given: None, blank text, or the word that a template makes of None."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def read_choice(argument: str, value: Any, choices: Collection[Choice]) -> Choice:
    """
    Read one of a few words.

    :raises ConfigurationError: naming the argument and the words.
    """
    for choice in choices:
        if value == choice:
            return choice
    raise ConfigurationError(f"{argument}: {value!r} is not one of {', '.join(map(repr, choices))}")


def literals(choice: Any) -> tuple[Any, ...]:
    """Return the words of a ``Literal``."""
    return get_args(choice)


def read_send_at(value: Any, *, argument: str = "send_at") -> datetime | None:
    """
    Read a date of sending: an aware datetime, or its ISO 8601 text with an offset.

    :param value: None or blank text means at once.
    :returns: the instant, in UTC.
    :raises ConfigurationError: for a naive date, or what is no date.
    """
    if is_left_out(value):
        return None
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise ConfigurationError(
            f"{argument}: {value!r} is not a date with a time; give an aware datetime or ISO 8601 text with an offset, "
            "for instance '2031-05-06T14:15:00+02:00'"
        )
    problem = ""
    try:
        return as_instant(moment, argument=argument)
    except InvalidArgumentError as error:
        problem = str(error)
    raise ConfigurationError(problem)


def read_send_again(value: Any) -> str | None:
    """
    Read the text that asks for everything to be sent again.

    :param value: None, blank text, or the text that a template makes of None ask for nothing.
    :raises ConfigurationError: for what is no text and no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise ConfigurationError(
            f"send_again: is {type(value).__name__}, not text; give any text, such as a date"
        )
    text = "" if value is None else str(value).strip()
    return None if text in ("", "None") else text


def read_money(argument: str, value: Any) -> Decimal | None:
    """
    Read an amount of money from a number or its text; None or blank text means none.

    :raises ConfigurationError: for what is no number, or is negative.
    """
    if is_left_out(value):
        return None
    try:
        amount = Decimal(str(value)) if not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or amount < 0:
        raise ConfigurationError(f"{argument}: {value!r} is not an amount of money, 0 or more")
    return amount


def read_count(argument: str, value: Any) -> int:
    """
    Read a whole number of at least 1, also as text.

    :raises ConfigurationError: for anything else.
    """
    try:
        count = int(str(value)) if not isinstance(value, bool) else 0
    except ValueError:
        count = 0
    if count < 1:
        raise ConfigurationError(f"{argument}: {value!r} is not a whole number of at least 1")
    return count


def read_flag(argument: str, value: Any) -> bool:
    """
    Read a yes or no, also as the text that a template makes of it.

    :raises ConfigurationError: for anything else.
    """
    flag = (
        value
        if isinstance(value, bool)
        else {"true": True, "false": False}.get(str(value).strip().casefold())
    )
    if flag is None:
        raise ConfigurationError(f"{argument}: {value!r} is not True or False")
    return flag


def read_text(argument: str, value: Any, *, needed: bool = True) -> str | None:
    """
    Read a text.

    :param needed: False lets through, as None: None, blank text, and the word that a template makes of None.
    :raises ConfigurationError: for an empty one that is needed, what is no text, or one in a wrong encoding. The text
        is never shown.
    """
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{argument}: is {type(value).__name__}, not text")
    problem: InvalidArgumentError
    try:
        check_said(value, argument=argument, fix="say what is to be sent")
        return cast(str, value)
    except InvalidArgumentError as error:
        problem = error
    if needed or not (is_left_out(value) or says_nothing(value or "")):
        raise ConfigurationError(str(problem))
    return None


def read_options(value: Any, *, argument: str = "options") -> Mapping[str, Any]:
    """
    Read gateway-specific settings; None means none. Each gateway checks the names and values.

    :raises ConfigurationError: for anything but a mapping with text keys.
    """
    if isinstance(value, str):
        value = read_structure(value) if value.strip() else None
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigurationError(f"{argument}: is not a dict of settings, such as {{'is_unicode': True}}")
    return dict(value)


def read_structure(text: str) -> Any:
    """Read the text that a template makes of a list or dict, as JSON or as Python; other text comes back as it is."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text


def read_recipients(value: Any) -> Any:
    """
    Read ``to`` after rendering: a template that renders a list gives that list's text, which is read back.

    :param value: as rendered; only texts that start like a list are touched.
    """
    if isinstance(value, str) and value.strip()[:1] in ("[", "(", "{"):
        read = read_structure(value)
        # A number in brackets is a number still.
        return read if isinstance(read, (list, tuple, dict)) else value
    return value
