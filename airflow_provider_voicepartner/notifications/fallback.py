"""
The notifiers that are tried when an alert reached nobody, read when the DAG is parsed.

In a deadline alert Airflow stores arguments as JSON, so a notifier may also be a dict: its path and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, TypeVar, cast

from airflow_provider_voicepartner.exceptions import ConfigurationError

Notifier = TypeVar("Notifier")

NOTIFIER: Final = "notifier"
"""The key of the path in a dict that stands for a notifier."""


def read_fallback(
    fallback: Any, base: type[Notifier], *, on_problem: Callable[[str], object] | None
) -> tuple[Notifier, ...]:
    """
    Check what was given as ``fallback``.

    :param base: what all notifiers of this provider are.
    :param on_problem: is called when the alert is due, with why one was left out; None while the DAG is parsed.
    :raises ConfigurationError: while the DAG is parsed: not a list, or one of it cannot be a fallback.
    """
    read: list[Notifier] = []
    problems: list[str] = []
    if not isinstance(fallback, list | tuple):
        problems.append("fallback: is not a list; give a list of SmsNotifier and TtsCallNotifier")
        fallback = ()
    for place, given in enumerate(fallback, 1):
        try:
            read.append(_read(given, base, is_due=on_problem is not None))
        except (ConfigurationError, TypeError, ValueError) as error:
            problems.append(f"fallback[{place}]: {error}")
    if problems and on_problem is None:
        raise ConfigurationError("; ".join(problems))
    for problem in problems:
        cast(Callable[[str], object], on_problem)(f"{problem}. It is left out")
    return tuple(read)


def _read(given: Any, base: type[Notifier], *, is_due: bool) -> Notifier:
    if isinstance(given, Mapping) and isinstance(given.get(NOTIFIER), str):
        arguments: dict[str, Any] = {name: value for name, value in given.items() if name != NOTIFIER}
        if is_due:
            arguments["context"] = {}
        given = _class_at(given[NOTIFIER], base)(**arguments)
    if not isinstance(given, base):
        raise ConfigurationError(
            f"is {type(given).__name__}, which cannot be a fallback; give an SmsNotifier or a TtsCallNotifier"
        )
    if cast(Any, given).fallback:
        raise ConfigurationError(
            "has a fallback of its own; give one list, in the order in which they are tried"
        )
    return given


def _class_at(path: str, base: type[Notifier]) -> type[Notifier]:
    module, _, name = path.rpartition(".")
    try:
        found: Any = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigurationError(f"{NOTIFIER}: names no notifier of this provider")
    return found
