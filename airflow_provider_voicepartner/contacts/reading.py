"""Contacts in TOML, YAML or JSON, read into tables, lists and texts; errors name a line and never show it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from itertools import count
from pathlib import PurePath
from typing import Any, Final

from airflow_provider_voicepartner.constants import LARGEST_CONTACTS

_PLACE: Final = re.compile(r"at line (\d+)")
FORMATS: Final = {".toml": "TOML", ".yaml": "YAML", ".yml": "YAML", ".json": "JSON"}
"""By the ending of a file's name."""


class UnreadableContactsError(Exception):
    """Contacts that cannot be read; the text says why and what to do, and shows nothing of them."""


def format_of(name: str) -> str | None:
    """Return the format of a file by its name; None for another ending."""
    return FORMATS.get(PurePath(name).suffix.lower())


def read_text(text: str, kind: str | None = None) -> Any:
    """
    Read contacts.

    :param text: such as a file holds.
    :param kind: ``TOML``, ``YAML`` or ``JSON``; None for whichever it is.
    :raises UnreadableContactsError: it is none of these.
    """
    if kind is None:
        kind = "JSON" if text.lstrip().startswith("{") else None
    if kind is not None:
        return _READERS[kind](text)
    try:
        return _read_toml(text)
    except UnreadableContactsError as error:
        problem = error
    try:
        read = _read_yaml(text)
    except UnreadableContactsError as error:
        problem = UnreadableContactsError(f"{problem}; {error}")
        read = None
    # Almost any text is YAML; what is meant as contacts is a table there.
    if isinstance(read, dict):
        return read
    raise problem


def _read_toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # the latter for thousands of brackets
        place = _PLACE.search(str(error))
    raise UnreadableContactsError(f"is no TOML{f', line {place[1]}' if place else ''}; correct it")


def _read_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
    raise UnreadableContactsError(f"is no JSON{f', line {line}' if line else ''}; correct it")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, which else keeps the last of two values, and nobody learns of the first."""
    read = dict(pairs)
    if len(read) < len(pairs):
        raise UnreadableContactsError("has a key twice; take one out")
    return read


def _read_yaml(text: str) -> Any:
    """Read YAML in which all is text: ``0612345601`` would be a number there, and ``10:00`` one of minutes."""
    import yaml

    try:
        return _plain(yaml.compose(text, Loader=yaml.SafeLoader), count(1))
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
    raise UnreadableContactsError(f"is no YAML{f', line {mark.line + 1}' if mark else ''}; correct it")


def _plain(node: Any, visits: Iterator[int]) -> Any:
    """Return what a node of YAML holds; texts stay as they are written."""
    if next(visits) > LARGEST_CONTACTS:
        raise UnreadableContactsError(
            "becomes too large with its aliases (*name); write out what they stand for"
        )
    if node is None or isinstance(node.value, str):
        return node and node.value
    if node.id == "sequence":
        return [_plain(item, visits) for item in node.value]
    read = dict[Any, Any]()
    for key, value in node.value:
        name = str(_plain(key, visits))
        if name in read:
            line = key.start_mark.line + 1
            raise UnreadableContactsError(f"has a key twice, line {line}; take one out")
        read[name] = _plain(value, visits)
    return read


_READERS: Final = {"TOML": _read_toml, "YAML": _read_yaml, "JSON": _read_json}
