"""
The rate limiter: every request reserves the moment when it may leave, in a log that all workers share.

For each limit the log holds one slot a request. A new one goes to the earliest moment at which every span of every
window still holds no more requests than allowed, after all that were reserved before it: exact for any number of
windows at once, and fair. The answer is a time, so that a worker sleeps once, or hands the wait to the triggerer.

A request may leave between a slot's moment and a little later, as this machine's own clock has it. One that comes later
takes another slot, and those behind it move. But no slot moves that comes within ``SETTLED`` seconds: so a worker that
asks under the lock shortly before its moment need not ask again, however long the store takes to answer.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from airflow_provider_voicepartner.constants import (
    COMMIT_ALLOWANCE,
    CONFIRM_AHEAD,
    LONGEST_LIMIT_NAME,
    LONGEST_LIMIT_WINDOW,
    LONGEST_PENALTY,
    SETTLED,
    SLOT_MARGIN,
    SLOTS_A_PRUNE,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import StoreRetry
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.rate_limits import Window
from airflow_provider_voicepartner.sending.reservations import (
    Reservation,
    TooLongError,
    latest_departure,
    margin_of,
    next_free,
)

if TYPE_CHECKING:
    from sqlalchemy import BindParameter
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Moment:
    """
    The store's present, and this machine's clock before and after it was asked for.

    A process may freeze anywhere, so what must not come too early is counted from the one, and what must not come too
    late from the other.
    """

    now: float
    before: float
    after: float


class SlidingWindowLog:
    """
    Hands out the moments at which requests may leave, to all workers that use the same store.

    With a store in memory (``open_store("sqlite://")``) the same holds within one process.

    :param store: an open store.
    :param margin: seconds added to every window, see :func:`margin_of`. It covers what lies between a slot's moment and
        the request's arrival: a quarter is how late a request may leave, and the rest is for the network, where one
        request travels faster than another.
    :param retry: with a store that cannot be reached, for reservations; None has none.
    """

    def __init__(self, store: Store, *, margin: float = SLOT_MARGIN, retry: StoreRetry | None = None) -> None:
        if not (isinstance(margin, int | float) and 0 <= margin <= LONGEST_LIMIT_WINDOW):
            raise InvalidArgumentError("margin", f"must be from 0 to {LONGEST_LIMIT_WINDOW:.0f} seconds")
        self._store = store
        self._margin = float(margin)
        self.retry = retry or StoreRetry(seconds=0)
        self._sql = _Statements()
        self._commit_seconds = 0.0

    def reserve(self, name: str, windows: Sequence[Window], *, max_delay: float | None = None) -> Reservation:
        """
        Reserve the next free moment, behind everybody who asked before.

        :param name: of the limit, from :func:`limit_name`. All callers give the same windows for one name.
        :param windows: all of them are kept; none at all still waits for a penalty.
        :param max_delay: seconds; None accepts any wait.
        :returns: what to wait; unless it is settled, :meth:`confirm` it right before the request leaves.
        :raises TooLongError: the wait would be longer than ``max_delay``; nothing was reserved.
        :raises StoreUnavailableError: nothing was reserved.
        """
        _check_name(name)
        reservation = self.retry.run(lambda: self._reserve(name, windows, max_delay))
        if reservation.slot is not None and reservation.slot % SLOTS_A_PRUNE == 0:
            self._prune(name, windows)
        return reservation

    def _reserve(self, name: str, windows: Sequence[Window], max_delay: float | None) -> Reservation:
        if not windows:
            return _in_time(self._unlimited(name, settled_within=0.0), max_delay)
        clock = self._store.slot_clock()
        with self._store.write() as connection:
            blocked = self._lock(connection, name)
            moment = self._moment(connection, clock)
            reservation = self._append(
                connection, name, windows, moment=moment, blocked=blocked, max_delay=max_delay
            )
        self._note_commit(moment)
        return reservation

    def confirm(self, reservation: Reservation, windows: Sequence[Window]) -> Reservation:
        """
        Ask, after a wait and right before the request leaves, whether it may.

        It may not yet when a penalty came in between, or when the worker comes so late that its request would run into
        the next ones: then it gets the first moment that is free now, and those behind it move as far as they must.

        :param windows: those of :meth:`reserve`.
        :returns: settled, it may leave between ``opens`` and ``closes``. Otherwise wait again, and confirm that one.
        """
        return self.retry.run(lambda: self._confirm(reservation, windows))

    def _confirm(self, reservation: Reservation, windows: Sequence[Window]) -> Reservation:
        if reservation.slot is None:
            return self._unlimited(reservation.name, settled_within=SETTLED)
        name, clock, has_moved = reservation.name, self._store.slot_clock(), False
        with self._store.write() as connection:
            blocked = self._lock(connection, name)
            moment = self._moment(connection, clock)
            at = connection.execute(self._sql.find, {"slot": reservation.slot}).scalar()
            if at is None:  # so late that it was pruned
                return self._append(connection, name, windows, moment=moment, blocked=blocked, max_delay=None)
            late = moment.now - at
            if late >= 0 and (late > latest_departure(windows, self._margin) or blocked > moment.now):
                at, has_moved = (
                    self._move(connection, reservation, windows, moment=moment, blocked=blocked),
                    True,
                )
        if has_moved:
            self._note_commit(moment)
        return self._placed(replace(reservation, at=at), windows, moment, SETTLED)

    @property
    def ahead(self) -> float:
        """Seconds before its moment at which a reservation is confirmed: more where the store takes long."""
        return max(CONFIRM_AHEAD, min(COMMIT_ALLOWANCE * self._commit_seconds, SETTLED))

    def is_open(self, reservation: Reservation) -> bool:
        """Say whether a request may leave this moment; asks nobody but this machine's clock."""
        return reservation.is_settled and reservation.opens <= self._store.local_clock() <= reservation.closes

    def left_of(self, reservation: Reservation) -> float:
        """Return the seconds from now until a reservation's moment; 0 where it has come."""
        return max(0.0, reservation.opens - self._store.local_clock())

    def wait_for_slot(
        self,
        reservation: Reservation,
        windows: Sequence[Window],
        *,
        max_delay: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Reservation:
        """
        Sleep and confirm, until the request of a reservation may leave; if its moment is gone, until a later one.

        :param max_delay: seconds; limits each wait that is asked for.
        :param sleep: waits. What it raises gives the reservation back.
        :returns: one that is open.
        :raises TooLongError: the reservation was released.
        """
        try:
            while not self.is_open(reservation):
                left = self.left_of(reservation)
                if reservation.is_settled and self._store.local_clock() <= reservation.closes:
                    sleep(left)
                    continue
                _in_time(replace(reservation, wait=left), max_delay)
                if left > self.ahead:
                    sleep(left - self.ahead)
                reservation = self.confirm(reservation, windows)
        except BaseException:
            self._release_quietly(reservation)
            raise
        return reservation

    def release(self, reservation: Reservation) -> None:
        """
        Release the reservation of a request that never left.

        Always safe: those behind it were placed as if it would leave, so without it they keep the limit all the more.
        They do not move up.
        """
        if reservation.slot is not None:
            with self._store.write() as connection:
                connection.execute(self._sql.remove, {"slot": reservation.slot})

    def _release_quietly(self, reservation: Reservation) -> None:
        try:
            self.release(reservation)
        except StoreUnavailableError as error:
            # A slot that nobody uses delays others and harms nobody; what stopped us matters more.
            log.warning("A slot could not be released: %s", error)

    def block_for(self, name: str, seconds: float) -> float:
        """
        Make all workers wait, after the gateway refused a request for its rate.

        What is reserved for later moves behind the penalty, in its order and with its distances; it learns so when it
        is confirmed.

        :param seconds: from now; at most an hour counts, because a gateway that still refuses then will say so again.
        :returns: when the penalty ends, in the store's seconds.
        """
        _check_name(name)
        if not math.isfinite(seconds) or seconds < 0:
            raise InvalidArgumentError("seconds", "must be 0 or more")
        clock = self._store.slot_clock()
        with self._store.write() as connection:
            blocked = self._lock(connection, name)
            now = clock(connection)
            until = max(blocked, now + min(seconds, LONGEST_PENALTY))
            if until > blocked:
                connection.execute(self._sql.block, {"limit": name, "until": until})
            first = connection.execute(self._sql.first, {"limit": name, "now": now}).scalar()
            if first is not None and first < until:
                connection.execute(self._sql.shift, {"limit": name, "now": now, "by": until - first})
        return until

    def observe(self, name: str, remaining: int | None, reset_in: float | None) -> None:
        """
        Learn from an answer's rate-limit headers: when nothing remains, all workers wait for the reset.

        :param remaining: requests left; None where it was not reported.
        :param reset_in: seconds until there are more; None where it was not reported.
        """
        if remaining is not None and remaining <= 0 and reset_in is not None and reset_in > 0:
            self.block_for(name, reset_in)

    def _unlimited(self, name: str, *, settled_within: float) -> Reservation:
        """Reserve without a limit: only a penalty makes such a request wait, and nothing is written."""
        clock = self._store.slot_clock()
        with self._store.read() as connection:
            blocked = connection.execute(self._sql.blocked, {"limit": name}).scalar() or 0.0
            moment = self._moment(connection, clock)
        at = max(moment.now, blocked)
        return self._placed(Reservation(name, None, at, 0.0), (), moment, settled_within)

    def _moment(self, connection: Connection, clock: Callable[[Connection], float]) -> _Moment:
        """Look at all clocks. Behind the lock: whoever waited for that is not late for it."""
        before = self._store.local_clock()
        now = clock(connection)
        return _Moment(now, before, self._store.local_clock())

    def _placed(
        self, reservation: Reservation, windows: Sequence[Window], moment: _Moment, settled_within: float
    ) -> Reservation:
        """Add to a reservation what its place means at this moment."""
        wait = max(0.0, reservation.at - moment.now)
        distance = reservation.at - moment.now
        return replace(
            reservation,
            wait=wait,
            opens=moment.after + distance,
            closes=moment.before + distance + latest_departure(windows, self._margin),
            is_settled=wait <= settled_within,
        )

    def _note_commit(self, moment: _Moment) -> None:
        """Learn how long a write takes after it looked at the clock; a long one is not forgotten at once."""
        self._commit_seconds = max(self._store.local_clock() - moment.before, self._commit_seconds / 2)

    def _lead(self, windows: Sequence[Window]) -> float:
        """
        Return the seconds that a new place must lie ahead.

        Where the store takes long for a write, a place at this moment would be gone when the write is done.
        """
        took = self._commit_seconds
        return (
            min(COMMIT_ALLOWANCE * took, SETTLED)
            if took > latest_departure(windows, self._margin) / 2
            else 0.0
        )

    def _lock(self, connection: Connection, name: str) -> float:
        """Make others wait for their slot at this limit, and return when its penalty ends."""
        blocked = connection.execute(self._sql.lock, {"limit": name}).scalar()
        if blocked is None:
            connection.execute(self._sql.create, {"limit": name})
            blocked = connection.execute(self._sql.lock, {"limit": name}).scalar_one()
        return float(blocked)

    def _append(
        self,
        connection: Connection,
        name: str,
        windows: Sequence[Window],
        *,
        moment: _Moment,
        blocked: float,
        max_delay: float | None,
    ) -> Reservation:
        lead = self._lead(windows)
        at = max(moment.now + lead, blocked)
        for window in windows:
            last = connection.execute(self._sql.latest, {"limit": name, "skip": window.requests - 1}).scalar()
            if last is not None:
                at = max(at, last + window.seconds + margin_of(window, self._margin))
        # A reservation that had to wait is checked again when its time comes, since a penalty may come in between.
        placed = self._placed(Reservation(name, None, at, 0.0), windows, moment, lead)
        reservation = _in_time(placed, max_delay)
        key = connection.execute(self._sql.insert, {"name": name, "at": at}).inserted_primary_key
        return replace(reservation, slot=cast("tuple[int]", key)[0])

    def _move(
        self,
        connection: Connection,
        late: Reservation,
        windows: Sequence[Window],
        *,
        moment: _Moment,
        blocked: float,
    ) -> float:
        """
        Give a reservation whose moment has passed the first one that is free now, and lay the later ones behind it.

        It stays ahead of them, because it asked before them; but for those that are settled, which may leave without
        another look. Each of them moves only as far as the windows make it, so that ten workers which froze together do
        not delay the others ten times.
        """
        most = max((window.requests for window in windows), default=1)
        mine = {"limit": late.name, "settled": moment.now + SETTLED}
        settled = connection.execute(self._sql.settled, {**mine, "slot": late.slot, "most": most}).scalars()
        slots = sorted(settled)
        movable = connection.execute(self._sql.movable, mine).all()
        earliest = max(moment.now + self._lead(windows), blocked, *slots[-1:])
        at = self._place(connection, late.slot, next_free(slots, windows, earliest, self._margin))
        slots.append(at)
        for slot, reserved in movable:
            behind = next_free(slots, windows, max(reserved, slots[-1]), self._margin)
            slots.append(behind if behind == reserved else self._place(connection, slot, behind))
        return at

    def _place(self, connection: Connection, slot: int | None, at: float) -> float:
        connection.execute(self._sql.place, {"slot": slot, "to": at})
        return at

    def _prune(self, name: str, windows: Sequence[Window]) -> None:
        """Drop slots that no window can see any more; now and then, so that the log stays short at little cost."""
        longest = max(window.seconds for window in windows) + self._margin
        try:
            clock = self._store.slot_clock()
            with self._store.write() as connection:
                now = clock(connection)
                before = now - max(2 * longest, LONGEST_PENALTY)
                # Names that nobody uses any more go too: no window is longer than a day.
                connection.execute(
                    self._sql.prune, {"limit": name, "before": before, "old": now - 3 * LONGEST_LIMIT_WINDOW}
                )
        except StoreUnavailableError:
            log.debug("The log of reservations is pruned another time", exc_info=True)


def _in_time(reservation: Reservation, max_delay: float | None) -> Reservation:
    if max_delay is not None and reservation.wait > max_delay:
        raise TooLongError(reservation.at, reservation.wait, max_delay)
    return reservation


def _check_name(name: str) -> None:
    if not 0 < len(name) <= LONGEST_LIMIT_NAME:
        raise InvalidArgumentError("name", f"must have 1 to {LONGEST_LIMIT_NAME} characters")


class _Statements:
    """What the log asks of the database, built once; SQLAlchemy is imported here, when a limit is really used."""

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
