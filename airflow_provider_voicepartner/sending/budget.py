"""
What a campaign may cost: checked before each batch, so that no batch with a known price passes the limit.

Batches are priced by their SMS segments. Segments are counted in each way there is, until answers tell which is right.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Final, NamedTuple

from airflow_provider_voicepartner.exceptions import BudgetExceededError, ConfigurationError
from airflow_provider_voicepartner.gateways.model import Message, SmsMessage, VoiceMessage
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase

_AS_COUNTED: Final = Fraction(1)

log = logging.getLogger(__name__)

GIVE_PRICE = "give unit_price, the price of one SMS segment or of one call"


class SegmentCounts:
    """
    How many SMS segments each batch of a campaign has.

    A vendor's pages may leave open how it counts. Until an answer shows it, the highest count is used, so that
    ``max_cost`` holds whichever way is right; each answer rules out the ways that it contradicts.

    :param readings: returns a batch's segments from its index: one count for each way to count them, always as many and
        in the same order, the most likely first.
    """

    def __init__(self, readings: Callable[[int], Sequence[int]]) -> None:
        self._readings = readings
        self._open: tuple[int, ...] | None = None
        self._factor = _AS_COUNTED

    def most(self, index: int) -> int:
        """Return a batch's highest count that is not ruled out."""
        return max(self._counts(index).values())

    def likely(self, index: int) -> int:
        """Return a batch's most likely count that is not ruled out."""
        return next(iter(self._counts(index).values()))

    def learn(self, index: int, size: int, reported: int) -> bool:
        """
        Learn from the count in an answer to a batch that was accepted as a whole; a single way to count stays as it is.

        :param size: recipients of the batch.
        :param reported: SMS of the whole batch, or of each recipient, which no page tells apart: the higher one counts
            where both may be.
        :returns: True when batches have other counts now.
        """
        counts = self._counts(index)
        if reported < 1 or (len(counts) == 1 and self._open is None):
            return False
        before = self._open, self._factor
        total = _total(counts, size, reported)
        right = tuple(at for at, count in counts.items() if count == total)
        enough = [at for at, count in counts.items() if count >= total]
        if not right and enough:
            right = (min(enough, key=counts.__getitem__),)
        if not right:
            highest = max(counts, key=counts.__getitem__)
            right = (highest,)
            self._factor *= Fraction(total, counts[highest])
        self._open = right
        return before != (self._open, self._factor)

    def _counts(self, index: int) -> dict[int, int]:
        """Return a batch's count in each reading that is not ruled out, by its place."""
        counts = self._readings(index)
        places = range(len(counts)) if self._open is None else self._open
        if self._factor is _AS_COUNTED:  # Nearly always; fractions take their time.
            return {at: counts[at] for at in places}
        return {at: ceil(counts[at] * self._factor) for at in places}


def _total(counts: dict[int, int], size: int, reported: int) -> int:
    """Return how many SMS the whole batch needed, by the readings where the answer may mean two things."""
    meant = [total for total in (reported, reported * size) if total >= size]
    likely = [total for total in meant if min(counts.values()) <= total <= max(counts.values())]
    return max(likely) if likely else min(meant)


class _Share(NamedTuple):
    """
    What is set aside for one sending of a batch.

    :param batch: its index.
    :param units: SMS segments or calls.
    :param quoted: the gateway's own price for this very batch; None calculates it from the units.
    """

    batch: int
    units: int
    quoted: Decimal | None = None


def unit_of(message: Message) -> str:
    """Return what is counted and paid for, several of them."""
    if isinstance(message, SmsMessage):
        return "SMS segments"
    return "calls" if isinstance(message, VoiceMessage) else "voicemail drops"


class Budget:
    """
    Counts what was spent, what is under way and what is in doubt. May be used by several threads.

    A batch is priced by its units: the segments of its SMS, or its calls. Without a quote each of them counts at the
    highest known price, which is never below ``unit_price``: what one batch cost says nothing about the next, which may
    go to a more expensive country.

    A batch in doubt counts as sent, wherever in the campaign it stands. To send it again counts once more, because both
    sendings may have to be paid for.

    :param max_cost: the limit; None forbids nothing.
    :param unit: what is counted, as errors and the log say it: ``SMS segments``, ``calls``.
    :param unit_price: price of one unit; None until it is known.
    :param segment_counts: of the batches, which answers correct; None counts recipients.
    """

    def __init__(
        self,
        max_cost: Decimal | None,
        unit_price: Decimal | None,
        segment_counts: SegmentCounts | None = None,
        *,
        unit: str = "SMS segments",
    ) -> None:
        self.unit = unit
        self._max_cost = max_cost
        self._given = unit_price
        self._highest: Decimal | None = None
        self._costs: dict[int, Decimal] = {}
        self._segment_counts = segment_counts
        self._spent = Decimal(0)
        self._unpriced: dict[int, int] = {}
        self._under_way: dict[int, _Share] = {}
        self._in_doubt: dict[int, _Share] = {}
        self._written_off: list[_Share] = []
        self._settled: dict[int, int] = {}
        self._is_quoted_too_low = False
        self._lock = threading.RLock()

    @property
    def is_limited(self) -> bool:
        """True when there is a limit."""
        return self._max_cost is not None

    @property
    def needs_price(self) -> bool:
        """True when there is a limit and no price is known yet."""
        return self.is_limited and self.unit_price is None

    @property
    def unit_price(self) -> Decimal | None:
        """The highest price of one unit that is known; None while none is."""
        return max((price for price in (self._given, self._highest) if price is not None), default=None)

    @property
    def committed_units(self) -> int:
        """The units of the batches that were sent, are under way or are in doubt."""
        with self._lock:
            return sum(self._settled.values()) + sum(share.units for share in self._open.values())

    @property
    def committed_batches(self) -> frozenset[int]:
        """The batches that were sent, are under way or are in doubt."""
        with self._lock:
            return frozenset(self._settled) | frozenset(self._open)

    @property
    def _open(self) -> dict[int, _Share]:
        return self._in_doubt | self._under_way

    @property
    def has_learnt_its_price(self) -> bool:
        """True where the price comes from what batches cost, and not from the user or a quote."""
        return self._given is None

    @property
    def committed(self) -> Decimal:
        """What was spent, and what is under way or in doubt may cost."""
        with self._lock:
            price = self.unit_price or Decimal(0)
            unpriced = price * sum(self._unpriced.values())
            return self._spent + unpriced + self._sum(self._under_way.values()) + self.unresolved

    @property
    def unresolved(self) -> Decimal:
        """The part of :attr:`committed` for sendings with an unknown outcome."""
        with self._lock:
            return self._sum(self._in_doubt.values()) + self._sum(self._written_off)

    def units_of(self, index: int, size: int) -> int:
        """Return what a batch is priced by; ``size`` is its number of recipients."""
        return size if self._segment_counts is None else self._segment_counts.most(index)

    def would_pass(self, price: Decimal) -> bool:
        """Say whether so much more would pass the limit."""
        return self._max_cost is not None and self.committed + price > self._max_cost

    def learn(self, unit_price: Decimal) -> None:
        """Use the gateway's own price of one unit, quoted without sending, before the user's."""
        with self._lock:
            self._given = unit_price

    def require_price(self, batches: int) -> None:
        """
        Refuse a campaign of one batch whose price is unknown: it would be sent before its cost could be checked.

        :raises ConfigurationError: asking for ``unit_price``.
        """
        if not self.needs_price:
            return
        if batches == 1:
            raise ConfigurationError(
                f"max_cost: needs a price before sending, and the gateway quotes none; {GIVE_PRICE}"
            )
        log.warning(
            "The price is unknown until the first batch is answered; max_cost applies from the second batch on"
        )

    def count(self, records: Iterable[tuple[int, BatchRecord]]) -> None:
        """
        Count what earlier attempts sent, wherever in the campaign it stands; what is in doubt counts as sent.

        :param records: what the ledger knows, by index.
        """
        with self._lock:
            for index, record in records:
                if record.phase in (Phase.SENT, Phase.ASSUMED_SENT):
                    self.settle(index, record)
                elif index not in self._settled:
                    self._count_unresolved(index, record)

    def _count_unresolved(self, index: int, record: BatchRecord) -> None:
        share = _Share(index, self.units_of(index, record.size))
        # Refused at last, a batch may still have been sent before, in doubt.
        self._written_off += [share] * record.resent
        if record.phase.is_in_doubt and index not in self._under_way:
            self._in_doubt[index] = share

    def reserve(
        self, index: int, units: int, quoted: Decimal | None = None, *, is_resent: bool = False
    ) -> None:
        """
        Set aside the price of a batch that is about to leave.

        :param quoted: the gateway's own price for this very batch; None, or 0 or less, calculates it from the units.
        :param is_resent: it was in doubt, and the gateway would take it a second time: what it may have cost stays
            counted, and it counts again.
        :raises BudgetExceededError: when it would exceed the limit, or its price is unknown; nothing is set aside then,
            and an unresolved sending stays counted.
        """
        share = _Share(index, units, believable(quoted))
        with self._lock:
            earlier = self._in_doubt.get(index)
            if is_resent and earlier is None:
                # Of an attempt that left no record: it may have been sent, like any other batch in doubt.
                earlier = self._in_doubt[index] = _Share(index, units)
            elif not is_resent:
                self._in_doubt.pop(index, None)
            try:
                self._check(index, share, is_resent=is_resent)
            except BudgetExceededError:
                if earlier is not None:
                    self._in_doubt[index] = earlier
                raise
            self._under_way[index] = share

    def _check(self, index: int, share: _Share, *, is_resent: bool) -> None:
        committed = self._unpriced or self._under_way or self._in_doubt or self._written_off
        if self.needs_price and committed:
            raise BudgetExceededError(
                "max_cost: cannot be enforced, because a batch was sent, or may have been, and its price is unknown. "
                f"What was sent is recorded; {GIVE_PRICE} to continue"
            )
        price = self._amount(share)
        if not self.would_pass(price):
            return
        unresolved = self.unresolved
        of_which = f" ({unresolved} of it for batches in doubt, which count as sent)" if unresolved else ""
        next_one = f"the next {share.units} {self.unit}{self._by_which_reading(share)}"
        if is_resent:
            next_one = f"sending batch {index + 1} again, which counts once more"
        raise BudgetExceededError(
            f"max_cost: {self._max_cost} would be exceeded: {self.committed} spent or in flight{of_which}, and {price} "
            f"for {next_one}{self._at_what_price()}. What was sent is recorded; raise max_cost to continue"
        )

    def _by_which_reading(self, share: _Share) -> str:
        likely = share.units if self._segment_counts is None else self._segment_counts.likely(share.batch)
        if likely == share.units:
            return ""
        return f" (by the highest count that the gateway's pages allow; {likely} are more likely)"

    def _at_what_price(self) -> str:
        if self._highest is None or self._given is None or self._given <= self._highest:
            return ""
        return f" at {self._given} each, where no answer reported more than {self._highest} (see unit_price)"

    def _amount(self, share: _Share) -> Decimal:
        """Return what a sending counts for now; 0 while no price is known."""
        calculated = (self.unit_price or Decimal(0)) * share.units
        if share.quoted is None:
            return calculated
        return max(share.quoted, calculated) if self._is_quoted_too_low else share.quoted

    def _sum(self, shares: Iterable[_Share]) -> Decimal:
        return sum(map(self._amount, shares), Decimal(0))

    def free(self, index: int) -> None:
        """Take back what was set aside for a batch that provably did not leave; an unresolved sending stays counted."""
        with self._lock:
            self._under_way.pop(index, None)

    def leave_in_doubt(self, index: int) -> None:
        """Keep counting a batch that left without an answer: it may have to be paid for."""
        with self._lock:
            share = self._under_way.pop(index, None)
            if share is None:
                return
            if index in self._in_doubt:
                self._written_off.append(self._in_doubt[index])
            self._in_doubt[index] = share

    def settle(self, index: int, record: BatchRecord) -> None:
        """
        Replace what was set aside for a batch by what it cost.

        :param record: as sent, or assumed sent; a second time changes nothing.
        """
        with self._lock:
            if index not in self._settled:
                self._correct_counts(index, record)
            share, earlier = self._under_way.pop(index, None), self._in_doubt.pop(index, None)
            if index in self._settled:
                return
            units = self.units_of(index, record.size)
            if share is not None and earlier is not None:
                self._written_off.append(earlier)  # Sent again; the first sending is never resolved.
            share = share or earlier
            if share is None:
                # Of an earlier attempt, which may have sent it more than once.
                self._written_off += [_Share(index, units, believable(record.cost))] * record.resent
                share = _Share(index, units)
            self._settled[index] = units
            self._spend(record, units, share)

    def _correct_counts(self, index: int, record: BatchRecord) -> None:
        """Let an answer that counts its SMS correct the counts, and what was calculated from them."""
        segment_counts = self._segment_counts
        if segment_counts is None or record.segments is None or record.accepted != record.size:
            return
        if not segment_counts.learn(index, record.size, record.segments):
            return
        for calculated in (self._settled, self._unpriced):
            calculated.update({at: segment_counts.most(at) for at in calculated})
        for shares in (self._under_way, self._in_doubt):
            shares.update({at: share._replace(units=segment_counts.most(at)) for at, share in shares.items()})
        self._written_off = [
            share._replace(units=segment_counts.most(share.batch)) for share in self._written_off
        ]
        prices = [cost / segment_counts.most(at) for at, cost in self._costs.items()]
        self._highest = max(prices, default=None)

    def _spend(self, record: BatchRecord, units: int, share: _Share) -> None:
        cost = believable(record.cost)
        if cost is not None:
            # The cost is that of the accepted recipients; those in doubt may have to be paid for as well.
            unresolved = cost * record.in_doubt / record.accepted if record.accepted else 0
            self._spent += cost + unresolved
            self._learn_from(cost, record, units, share)
        elif record.phase is Phase.SENT and not record.accepted + record.in_doubt:
            return  # Everybody in it was refused by name.
        elif share.quoted is not None:
            self._spent += self._amount(share)
        else:
            self._unpriced[share.batch] = units

    def _learn_from(self, cost: Decimal, record: BatchRecord, units: int, share: _Share) -> None:
        """Remember the highest price in answers: where countries differ, the next batch may be like that one."""
        if share.quoted is not None and cost > share.quoted:
            log.warning(
                "A batch cost %s, and the gateway had quoted %s; its actual price is used from now on",
                cost,
                share.quoted,
            )
            self._is_quoted_too_low = True
        if units:
            accepted = record.accepted or record.size
            price = unit_price_of(cost, units, accepted=accepted, size=record.size)
            self._costs[share.batch] = cost * record.size / accepted
            self._highest = price if self._highest is None else max(self._highest, price)


def believable(cost: Decimal | None) -> Decimal | None:
    """Return a cost that a gateway reported; None for 0 or less, which it answers when it does not know."""
    return cost if cost is not None and cost.is_finite() and cost > 0 else None


def unit_price_of(cost: Decimal, units: int, *, accepted: int, size: int) -> Decimal:
    """
    Return what one unit cost.

    :param cost: of those who were accepted.
    :param units: of the whole batch.
    :param accepted: recipients that the gateway took, at least 1.
    :param size: recipients of the whole batch.
    """
    return cost * size / (accepted * units)
