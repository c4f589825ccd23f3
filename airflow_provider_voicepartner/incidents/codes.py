"""Codes for answers by phone: no two incidents or questions that are open at once have the same one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import LARGEST_CODE, LARGEST_SHORT_CODE, SMALLEST_CODE

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def free_code(connection: Connection, choose: Callable[[Sequence[int]], int]) -> int | None:
    """
    Return a code that nothing open has, as short as there is one; None where all are taken.

    Whoever else takes a code waits until this transaction ends.

    :param choose: picks one of several.
    """
    lock, incidents, questions = _statements()
    connection.execute(lock)
    taken = {*connection.execute(incidents).scalars(), *connection.execute(questions).scalars()}
    for largest in (LARGEST_SHORT_CODE, LARGEST_CODE):
        free = [code for code in range(SMALLEST_CODE, largest + 1) if code not in taken]
        if free:
            return choose(free)
    return None


@cache
def _statements() -> tuple[Any, Any, Any]:
    from sqlalchemy import select, text

    from airflow_provider_voicepartner.db.schema import incident, question, sequence

    lock = text(
        f"INSERT INTO {sequence.name} (name, value) VALUES ('codes', 1) "
        f"ON CONFLICT (name) DO UPDATE SET value = {sequence.name}.value + 1"
    )
    return (
        lock,
        select(incident.c.code).where(incident.c.code.is_not(None)),
        select(question.c.code).where(question.c.code.is_not(None)),
    )
