"""
Tells people again who has an incident, where the message was certainly not sent or its sender died.

No step follows such a message, so unlike a page it is sent again: as long as it is still so, and a few times at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import (
    FIRST_RETELL_PAUSE,
    MOST_TELLINGS,
    PAGE_LEASE,
    RETOLD_WITHIN,
)
from airflow_provider_voicepartner.contacts.targets import Target
from airflow_provider_voicepartner.incidents.escalation import Became, Phase, Purpose, told
from airflow_provider_voicepartner.incidents.page_statements import CLAIMED
from airflow_provider_voicepartner.incidents.pages import ClaimedPage, Locked, PageStore, lock

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

_PURPOSES = (Purpose.OWNED, Purpose.PASSED_ON, Purpose.CLOSED)


def lost_messages(store: Store) -> list[Any]:
    """
    Return the rows of messages that did not reach people and are due again.

    :raises StoreUnavailableError: the store cannot be asked.
    """
    with store.read() as connection:
        now = store.now(connection)
        found = connection.execute(_statements()["lost"], {"since": now - RETOLD_WITHIN})
        return [row for row in found.all() if _is_due(connection, row, now)]


def tell_again(
    store: Store, pages: PageStore, row: Any, numbers: Callable[[Sequence[str]], Sequence[Target]]
) -> tuple[ClaimedPage, ...]:
    """
    Claim a message that did not reach somebody.

    :param pages: of the same store.
    :param row: of :func:`lost_messages`.
    :param numbers: for text messages, of people by name.
    :returns: what this process has to send; nothing where another one does, or it is not so any more.
    :raises StoreUnavailableError: the store cannot be asked.
    """
    known = [one for one in numbers([row.person]) if one.phone_number == row.phone_number]
    target = known[0] if known else Target(row.person, row.phone_number)
    with store.write() as connection:
        locked = lock(connection, row.incident)
        now = store.now(connection)
        # Behind the lock: another process may have been first, and somebody may have it since.
        if locked is None or locked.state is None or not _is_so(locked, row):
            return ()
        if not _is_due(connection, row, now):
            return ()
        if row.phase == CLAIMED:
            connection.execute(_statements()["doubt"], {"incident": row.incident, "number": row.number})
        turn = told(locked.state, Purpose(row.purpose), [target], row.said)
        return pages.store_turn(connection, locked, turn, now)


def _is_due(connection: Connection, row: Any, now: float) -> bool:
    """Say whether a message is the last one of those that say the same, and it is time for the next."""
    place = {name: getattr(row, name) for name in ("incident", "purpose", "person", "said")}
    newest, times, phase = connection.execute(_statements()["same"], place).one()
    if newest != row.number or times >= MOST_TELLINGS or phase != row.phase:
        return False
    pause = PAGE_LEASE if row.phase == CLAIMED else FIRST_RETELL_PAUSE * 2 ** (times - 1)
    return bool(now - row.at >= pause)


def _is_so(locked: Locked, row: Any) -> bool:
    """Say whether what a message tells is still so."""
    state = locked.state
    if state is None:
        return False
    if row.purpose == Purpose.PASSED_ON:
        return state.phase is Phase.RUNNING
    phase = Phase.ACKNOWLEDGED if row.purpose == Purpose.OWNED else Phase.CLOSED
    return state.phase is phase and state.owner == row.said


@cache
def _statements() -> dict[str, Any]:
    from sqlalchemy import and_, bindparam, func, select, text

    from airflow_provider_voicepartner.db.schema import page

    mine, other = page.c, page.alias("other")
    same = and_(*(mine[name] == bindparam(name) for name in ("incident", "purpose", "person", "said")))
    newest = select(func.max(mine.number)).where(same).scalar_subquery()
    return {
        "lost": select(page)
        .where(
            and_(
                mine.phase.in_((CLAIMED, Became.NOT_SENT.value)),
                mine.purpose.in_([one.value for one in _PURPOSES]),
                mine.claimed_at >= bindparam("since"),
                mine.phone_number.is_not(None),
            )
        )
        .order_by(mine.incident, mine.number),
        "same": select(
            newest,
            select(func.count()).where(same).scalar_subquery(),
            select(other.c.phase)
            .where(and_(other.c.incident == bindparam("incident"), other.c.number == newest))
            .scalar_subquery(),
        ),
        "doubt": text(
            f"UPDATE {page.name} SET phase = '{Became.IN_DOUBT.value}' "
            f"WHERE incident = :incident AND number = :number AND phase = '{CLAIMED}'"
        ),
    }
