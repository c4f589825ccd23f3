"""Which alerts of a notifier belong together, and how often people are told of them: its arguments, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.incidents.keys import DEFAULT_GROUP_BY, parse_at_most, read_group_by
from airflow_provider_voicepartner.incidents.model import AtMost

DEFAULT_AT_MOST: Final = "1/15m"


@dataclass(frozen=True, slots=True)
class Grouping:
    """
    Which alerts of a notifier belong together, and how often people are told of them.

    :param group_by: names of fields.
    :param at_most: None tells of every alert.
    """

    group_by: Sequence[str] = DEFAULT_GROUP_BY
    at_most: AtMost | None = None


def read_grouping(
    dedup_key: Any, group_by: Any, at_most: Any, *, on_problem: Callable[[str], object] | None
) -> Grouping:
    """
    Check ``dedup_key``, ``group_by`` and ``at_most``.

    :param on_problem: is called when the alert is due, with what is wrong: the default is taken then. None while the
        DAG is parsed.
    :raises ConfigurationError: while the DAG is parsed: naming the argument.
    """
    fields, limit = tuple(DEFAULT_GROUP_BY), parse_at_most(DEFAULT_AT_MOST)
    try:
        if dedup_key is not None and not isinstance(dedup_key, str):
            raise InvalidArgumentError(
                "dedup_key", f"is {type(dedup_key).__name__}; give a text, or leave it out"
            )
        if dedup_key and group_by is not None:
            raise InvalidArgumentError("dedup_key", "is given together with group_by; give one of them")
        limit = parse_at_most(at_most)
        fields = read_group_by(group_by)
    except InvalidArgumentError as error:
        if on_problem is None:
            problem = error
        else:
            on_problem(f"{error}. The default is taken")
            return Grouping(fields, limit)
    else:
        return Grouping(fields, limit)
    raise ConfigurationError(str(problem))
