"""What pacing asks of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import BindParameter


class Statements:
    """The statements, built once; SQLAlchemy is imported here, when pacing is really used."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, text, update

        from airflow_provider_voicepartner.db.schema import rate_limit, rate_slot

        # A parameter may not be called like a column that the statement sets.
        name: BindParameter[str] = bindparam("limit")
        limit, slot = rate_limit.c, rate_slot.c
        mine, one = slot.name == name, slot.id == bindparam("slot")
        later = and_(mine, slot.at > bindparam("now"))
        newest = select(slot.at).where(mine).order_by(slot.at.desc())

        self.blocked = select(limit.blocked_until).where(limit.name == name)
        # FOR UPDATE is for PostgreSQL; on SQLite a write transaction is alone in the database.
        self.lock = self.blocked.with_for_update()
        self.create = text(
            f"INSERT INTO {rate_limit.name} (name, blocked_until) VALUES (:limit, 0) ON CONFLICT (name) DO NOTHING"
        )
        self.block = update(rate_limit).where(limit.name == name).values(blocked_until=bindparam("until"))
        self.latest = newest.limit(1).offset(bindparam("skip"))
        self.insert = insert(rate_slot)
        self.find = select(slot.at).where(one)
        self.remove = delete(rate_slot).where(one)
        self.place = update(rate_slot).where(one).values(at=bindparam("to"))
        self.first = select(func.min(slot.at)).where(later)
        self.shift = update(rate_slot).where(later).values(at=slot.at + bindparam("by"))
        self.settled = newest.where(slot.at <= bindparam("settled"), slot.id != bindparam("slot")).limit(
            bindparam("most")
        )
        self.movable = (
            select(slot.id, slot.at).where(mine, slot.at > bindparam("settled")).order_by(slot.at, slot.id)
        )
        self.prune = delete(rate_slot).where(
            or_(and_(mine, slot.at < bindparam("before")), slot.at < bindparam("old"))
        )
