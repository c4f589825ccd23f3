"""
Pacing: every request reserves the moment when it may leave, in a log that all workers share.

For each limit the log holds one slot a request. A new one goes to the earliest moment at which every span of every
window still holds no more requests than allowed, after all that were reserved before it: exact for any number of
windows at once, and fair. The answer is a time, so that a worker sleeps once, or hands the wait to the triggerer.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.limits import LONGEST, Window
from airflow_provider_voicepartner.store.engine import StoreUnavailableError

if TYPE_CHECKING:
    from sqlalchemy import BindParameter
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.store.engine import Store

log = logging.getLogger(__name__)

MARGIN: Final = 0.1
LONGEST_PENALTY: Final = 3_600.0

_PRUNE_EVERY: Final = 128
_NAME_LENGTH: Final = 120


class TooLongError(Exception):
    """
    The wait would be longer than the caller can wait. Nothing was reserved.

    :param at: when the request could have left, Unix seconds of the store's clock.
    :param wait: seconds until then.
    """

    def __init__(self, at: float, wait: float, max_delay: float) -> None:
        super().__init__(
            f"the gateway's rate limit asks for a wait of {wait:.1f} s, and only {max_delay:.1f} s are left for it"
        )
        self.at = at
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Reservation:
    """
    One request's place in the log. Plain values, so that it survives a deferral as JSON (``dataclasses.asdict``).

    :param name: of the limit.
    :param slot: its number in the log; None where there was no limit to reserve in.
    :param at: when the request may leave, Unix seconds of the store's clock.
    :param wait: seconds until then, when this was asked; 0 means now.
    """

    name: str
    slot: int | None
    at: float
    wait: float


def limit_name(gateway: str, endpoint: str, account_key: str) -> str:
    """
    Name what is limited: an endpoint, for one account.

    :param account_key: the account's API key; a keyed hash of it stands in the name, from which nobody gets it back.
    """
    if not account_key:
        raise InvalidArgumentError("account_key", "is empty")
    account = hmac.new(account_key.encode(), b"airflow-provider-voicepartner: account", hashlib.sha256)
    return f"{gateway}:{endpoint}:{account.hexdigest()[:24]}"


def estimate(windows: Sequence[Window], requests: int, *, margin: float = MARGIN) -> float:
    """
    Return how many seconds pass, at best, between the first and the last of so many requests.

    :param requests: 0 or more.
    :param margin: as the pacer has it.
    """
    slots: list[float] = []
    now = 0.0
    for _ in range(requests):
        now = _next(slots, windows, now, margin)
        slots.append(now)
    return now


def _next(slots: Sequence[float], windows: Sequence[Window], earliest: float, margin: float) -> float:
    """Return the first moment, from ``earliest`` on, at which one more request fits behind the given slots."""
    count = len(slots)
    for window in windows:
        if count >= window.requests:
            earliest = max(earliest, slots[count - window.requests] + window.seconds + margin)
    return earliest


class Pacer:
    """
    Hands out the moments at which requests may leave, to all workers that use the same store.

    With a store in memory (``open_store("sqlite://")``) the same holds within one process.

    :param store: an open store.
    :param margin: seconds added to every window. It covers what lies between a reservation and the request's arrival:
        late waking up, and one request that travels faster than another. Half of it is how late a worker may wake.
    """

    def __init__(self, store: Store, *, margin: float = MARGIN) -> None:
        if not (isinstance(margin, int | float) and 0 <= margin <= LONGEST):
            raise InvalidArgumentError("margin", f"must be from 0 to {LONGEST:.0f} seconds")
        self._store = store
        self._margin = float(margin)
        self._sql = _Statements()

    def reserve(self, name: str, windows: Sequence[Window], *, max_delay: float | None = None) -> Reservation:
        """
        Reserve the next free moment, behind everybody who asked before.

        :param name: of the limit, from :func:`limit_name`. All callers give the same windows for one name.
        :param windows: all of them are kept; none at all still waits for a penalty.
        :param max_delay: seconds; None accepts any wait.
        :returns: what to wait; after a wait, :meth:`confirm` it right before the request leaves.
        :raises TooLongError: the wait would be longer than ``max_delay``; nothing was reserved.
        :raises StoreUnavailableError: nothing was reserved.
        """
        _check_name(name)
        if not windows:
            return _in_time(self._unlimited(name), max_delay)
        with self._store.write() as connection:
            blocked = self._lock(connection, name)
            now = self._store.now(connection)
            reservation = self._append(connection, name, windows, now, blocked, max_delay)
        if reservation.slot is not None and reservation.slot % _PRUNE_EVERY == 0:
            self._prune(name, windows)
        return reservation

    def confirm(self, reservation: Reservation, windows: Sequence[Window]) -> Reservation:
        """
        Ask, after a wait and right before the request leaves, whether it may.

        It may not yet when a penalty came in between, or when the worker comes so late that its request would run into
        the next ones: then it gets the first moment that is free now, and those behind it move as far as they must.

        :param windows: those of :meth:`reserve`.
        :returns: with ``wait`` 0: go. Otherwise wait again, and confirm that one.
        """
        if reservation.slot is None:
            return self._unlimited(reservation.name)
        name = reservation.name
        with self._store.write() as connection:
            blocked = self._lock(connection, name)
            now = self._store.now(connection)
            at = connection.execute(self._sql.find, {"slot": reservation.slot}).scalar()
            if at is None:  # so late that it was pruned
                return self._append(connection, name, windows, now, blocked, None)
            if at <= now and (now - at > self._margin / 2 or blocked > now):
                at = self._move(connection, replace(reservation, at=at), windows, now, max(now, blocked))
        return replace(reservation, at=at, wait=max(0.0, at - now))

    def take(
        self,
        name: str,
        windows: Sequence[Window],
        *,
        max_delay: float | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Reservation:
        """
        Reserve, sleep and confirm, until the request may leave.

        :param max_delay: seconds; limits the first wait that is asked for.
        :param sleep: waits; a ``threading.Event().wait`` can be woken. What it raises gives the reservation back.
        :raises TooLongError: nothing was reserved.
        """
        reservation = self.reserve(name, windows, max_delay=max_delay)
        try:
            while reservation.wait > 0:
                sleep(reservation.wait)
                reservation = self.confirm(reservation, windows)
        except BaseException:
            self.give_back(reservation)
            raise
        return reservation

    def give_back(self, reservation: Reservation) -> None:
        """
        Release the reservation of a request that never left.

        Always safe: those behind it were placed as if it would leave, so without it they keep the limit all the more.
        They do not move up.
        """
        if reservation.slot is not None:
            with self._store.write() as connection:
                connection.execute(self._sql.remove, {"slot": reservation.slot})

    def penalise(self, name: str, seconds: float) -> float:
        """
        Make all workers wait, after the gateway refused a request for its rate.

        What is reserved for later moves behind the penalty, in its order and with its distances; it learns so when it
        is confirmed.

        :param seconds: from now; at most an hour counts, because a gateway that still refuses then will say so again.
        :returns: when the penalty ends, Unix seconds of the store's clock.
        """
        _check_name(name)
        if not math.isfinite(seconds) or seconds < 0:
            raise InvalidArgumentError("seconds", "must be 0 or more")
        with self._store.write() as connection:
            blocked = self._lock(connection, name)
            now = self._store.now(connection)
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

        :param remaining: requests left; None where it was not told.
        :param reset_in: seconds until there are more; None where it was not told.
        """
        if remaining is not None and remaining <= 0 and reset_in is not None and reset_in > 0:
            self.penalise(name, reset_in)

    def _unlimited(self, name: str) -> Reservation:
        """Reserve without a limit: only a penalty makes such a request wait, and nothing is written."""
        with self._store.read() as connection:
            blocked = connection.execute(self._sql.blocked, {"limit": name}).scalar() or 0.0
            now = self._store.now(connection)
        at = max(now, blocked)
        return Reservation(name, None, at, at - now)

    def _lock(self, connection: Connection, name: str) -> float:
        """Make others wait for their turn at this limit, and return when its penalty ends."""
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
        now: float,
        blocked: float,
        max_delay: float | None,
    ) -> Reservation:
        at = max(now, blocked)
        for window in windows:
            last = connection.execute(self._sql.latest, {"limit": name, "skip": window.requests - 1}).scalar()
            if last is not None:
                at = max(at, last + window.seconds + self._margin)
        reservation = _in_time(Reservation(name, None, at, at - now), max_delay)
        key = connection.execute(self._sql.insert, {"name": name, "at": at}).inserted_primary_key
        return replace(reservation, slot=cast("tuple[int]", key)[0])

    def _move(
        self,
        connection: Connection,
        late: Reservation,
        windows: Sequence[Window],
        now: float,
        earliest: float,
    ) -> float:
        """
        Give a reservation whose moment has passed the first one that is free now, and lay the later ones behind it.

        It stays ahead of them, because it asked before them. Each of them moves only as far as the windows make it, so
        that ten workers which froze together do not delay the others ten times.
        """
        most = max((window.requests for window in windows), default=1)
        mine = {"limit": late.name, "now": now}
        past = connection.execute(self._sql.past, {**mine, "slot": late.slot, "most": most}).scalars()
        future = connection.execute(self._sql.future, mine).all()
        slots = sorted(past)
        at = self._place(connection, late.slot, _next(slots, windows, earliest, self._margin))
        slots.append(at)
        for slot, reserved in future:
            behind = _next(slots, windows, max(reserved, slots[-1]), self._margin)
            slots.append(behind if behind == reserved else self._place(connection, slot, behind))
        return at

    def _place(self, connection: Connection, slot: int | None, at: float) -> float:
        connection.execute(self._sql.place, {"slot": slot, "to": at})
        return at

    def _prune(self, name: str, windows: Sequence[Window]) -> None:
        """Drop slots that no window can see any more; now and then, so that the log stays short at little cost."""
        longest = max(window.seconds for window in windows) + self._margin
        try:
            with self._store.write() as connection:
                now = self._store.now(connection)
                before = now - max(2 * longest, LONGEST_PENALTY)
                # Names that nobody uses any more go too: no window is longer than a day.
                connection.execute(
                    self._sql.prune, {"limit": name, "before": before, "old": now - 3 * LONGEST}
                )
        except StoreUnavailableError:
            log.debug("The log of reservations is pruned another time", exc_info=True)


def _in_time(reservation: Reservation, max_delay: float | None) -> Reservation:
    if max_delay is not None and reservation.wait > max_delay:
        raise TooLongError(reservation.at, reservation.wait, max_delay)
    return reservation


def _check_name(name: str) -> None:
    if not 0 < len(name) <= _NAME_LENGTH:
        raise InvalidArgumentError("name", f"must have 1 to {_NAME_LENGTH} characters")


class _Statements:
    """The statements, built once; SQLAlchemy is imported here, when pacing is really used."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, text, update

        from airflow_provider_voicepartner.store.schema import rate_limit, rate_slot

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
        self.past = newest.where(slot.at <= bindparam("now"), slot.id != bindparam("slot")).limit(
            bindparam("most")
        )
        self.future = select(slot.id, slot.at).where(later).order_by(slot.at, slot.id)
        self.prune = delete(rate_slot).where(
            or_(and_(mine, slot.at < bindparam("before")), slot.at < bindparam("old"))
        )
