"""Names of people, groups and rotas, and where they stand in what users write: ``@anne``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from airflow_provider_voicepartner.constants import LONGEST_CONTACT_NAME, MOST_NAME_DIGITS
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.wire import scrub

NAME_RULE: Final = (
    f"a name has up to {LONGEST_CONTACT_NAME} letters a to z, digits, - and _, and begins with a letter"
)
MARK: Final = "@"
TABLES: Final = ("people", "groups", "rotas")
"""The tables in which names are defined."""

_NAME: Final = re.compile(rf"[a-z][a-z0-9_-]{{0,{LONGEST_CONTACT_NAME - 1}}}")
_BETWEEN: Final = re.compile(r"[,;\r\n]")
_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def read_name(text: object) -> str | None:
    """Return a name as it is compared, in small letters; None for what can be none."""
    if not isinstance(text, str):
        return None
    name = text.strip().lower()
    is_name = _NAME.fullmatch(name) and sum(map(str.isdigit, name)) <= MOST_NAME_DIGITS
    return name if is_name else None


def name_of(reference: str) -> str:
    """
    Return the name in a reference such as ``@anne``.

    :raises InvalidArgumentError: it can be none.
    """
    name = read_name(reference.strip().removeprefix(MARK))
    if name is None:
        raise InvalidArgumentError("to", f"{shown(reference.strip())} is no name; {NAME_RULE}")
    return name


def is_reference(item: object) -> bool:
    """Say whether an entry of a list of recipients stands for a name, right or wrong."""
    return isinstance(item, str) and item.lstrip().startswith(MARK)


def shown(text: object) -> str:
    """Return a text in quotes as a log may show it: cut, and no number that somebody could call."""
    return repr(scrub(str(text))[: LONGEST_CONTACT_NAME + 1])


def meant(name: str, known: Iterable[str]) -> str:
    """Say which name may be meant; nothing where none is like it."""
    close = difflib.get_close_matches(name, sorted(known), n=2)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def defined_names(data: object, tables_read: Iterable[str] = TABLES) -> frozenset[str]:
    """
    Return the names that are defined in contacts, right or wrong otherwise.

    :param data: as it was read from TOML, YAML or JSON.
    :param tables_read: those of recipients, or another.
    """
    tables = [data.get(table) for table in tables_read] if isinstance(data, Mapping) else []
    names = (read_name(name) for table in tables if isinstance(table, Mapping) for name in table)
    return frozenset(name for name in names if name is not None)


def references_in(to: Any, column: object = "phone_number") -> Iterator[str]:
    """
    Yield the names that stand in an argument before it is rendered; what a template will say is not known.

    :param to: a text, a list of texts, of dicts or of rows; anything else has none.
    :param column: what holds the number in dicts, by name, and in rows, by position from 0.
    :returns: with the mark, as they are written.
    """
    if isinstance(to, str):
        if MARK in to:
            parts = map(str.strip, _BETWEEN.split(_TEMPLATE.sub("{}", to)))
            yield from (part for part in parts if part.startswith(MARK) and "{" not in part)
    elif isinstance(to, Mapping):
        yield from _reference_alone(to.get(column))
    elif isinstance(to, list | tuple):
        for item in to:
            if isinstance(item, list | tuple):
                at = column if isinstance(column, int) else 0 if len(item) == 1 else len(item)
                yield from _reference_alone(item[at] if at < len(item) else None)
            else:
                yield from references_in(item, column)


def _reference_alone(value: object) -> Iterator[str]:
    if isinstance(value, str) and is_reference(value) and "{" not in value:
        yield value.strip()


def shown_names(to: Any) -> str | None:
    """
    Return the names of a list of recipients for Airflow's UI, with how many other recipients there are.

    :returns: None where there is not one name.
    """
    if isinstance(to, str):
        items: Iterable[Any] = [part for part in _BETWEEN.split(to) if part.strip()] if MARK in to else ()
    else:
        items = to if isinstance(to, list | tuple) else ()
    items = list(items)
    read = [read_name(item.strip()[1:]) for item in items if is_reference(item)]
    names = list(dict.fromkeys(f"{MARK}{name}" for name in read if name))
    others = len(items) - sum(name is not None for name in read)
    if not names:
        return None
    return ", ".join(names) + (f" and {others} more (hidden)" if others else "")
