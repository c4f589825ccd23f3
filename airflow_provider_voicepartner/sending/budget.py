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


class Weights:
    """
    The weights of a campaign's batches.

    A vendor's pages may leave open how it counts. Until an answer tells, a batch weighs what the dearest reading of
    them says, so that a limit is kept whichever is right; each answer rules out the readings that it contradicts.

    :param readings: returns a batch's segments from its index: one count for each way to count them, always as many and
        in the same order, the likeliest first.
    """

    def __init__(self, readings: Callable[[int], Sequence[int]]) -> None:
        self._readings = readings
        self._open: tuple[int, ...] | None = None
        self._factor = _AS_COUNTED

    def most(self, index: int) -> int:
        """Return a batch's weight by the dearest reading that is not ruled out."""
        return max(self._counts(index).values())

    def likely(self, index: int) -> int:
        """Return a batch's weight by the likeliest reading that is not ruled out."""
        return next(iter(self._counts(index).values()))

    def learn(self, index: int, size: int, told: int) -> bool:
        """
        Take what an answer says that a batch, of which everybody was accepted, needed; a single reading stays as it is.

        :param size: recipients of the batch.
        :param told: SMS of the whole batch, or of each recipient, which no page tells apart: the dearer one counts
            where both may be.
        :returns: True when batches weigh something else now.
        """
        counts = self._counts(index)
        if told < 1 or (len(counts) == 1 and self._open is None):
            return False
        before = self._open, self._factor
        total = _total(counts, size, told)
        right = tuple(at for at, count in counts.items() if count == total)
        enough = [at for at, count in counts.items() if count >= total]
        if not right and enough:
            right = (min(enough, key=counts.__getitem__),)
        if not right:
            dearest = max(counts, key=counts.__getitem__)
            right = (dearest,)
            self._factor *= Fraction(total, counts[dearest])
        self._open = right
        return before != (self._open, self._factor)

    def _counts(self, index: int) -> dict[int, int]:
        """Return a batch's count in each reading that is not ruled out, by its place."""
        counts = self._readings(index)
        places = range(len(counts)) if self._open is None else self._open
        if self._factor is _AS_COUNTED:  # Nearly always; fractions take their time.
            return {at: counts[at] for at in places}
        return {at: ceil(counts[at] * self._factor) for at in places}


def _total(counts: dict[int, int], size: int, told: int) -> int:
    """Return how many SMS the whole batch needed, by the readings where the answer may mean two things."""
    meant = [total for total in (told, told * size) if total >= size]
    likely = [total for total in meant if min(counts.values()) <= total <= max(counts.values())]
    return max(likely) if likely else min(meant)


class _Share(NamedTuple):
    """
    What is set aside for one sending of a batch.

    :param batch: its index.
    :param weight: what it counts for when it is priced.
    :param told: what the gateway said that this very batch would cost; None reckons it at the price of the day.
    """

    batch: int
    weight: int
    told: Decimal | None = None


def unit_of(message: Message) -> str:
    """Return what is counted and paid for, several of them."""
    if isinstance(message, SmsMessage):
        return "SMS segments"
    return "calls" if isinstance(message, VoiceMessage) else "voicemail drops"


class Budget:
    """
    Counts what was spent, what is under way and what is in doubt. May be used by several threads.

    A batch is priced by its weight: the segments of its SMS, or its calls. Where nobody told the price of a batch
    itself, it is reckoned at the dearest price known, which ``unit_price`` is the least of: what one batch cost says
    nothing about the next, which may go to a dearer country.

    A batch in doubt counts as sent, wherever in the campaign it stands. To send it again counts once more, because both
    sendings may have to be paid for.

    :param max_cost: the limit; None forbids nothing.
    :param unit: what is counted, for people: ``SMS segments``, ``calls``.
    :param unit_price: price of a weight of 1; None until somebody tells it.
    :param weights: of the batches, which answers correct; None counts recipients.
    """

    def __init__(
        self,
        max_cost: Decimal | None,
        unit_price: Decimal | None,
        weights: Weights | None = None,
        *,
        unit: str = "SMS segments",
    ) -> None:
        self.unit = unit
        self._max_cost = max_cost
        self._given = unit_price
        self._dearest: Decimal | None = None
        self._costs: dict[int, Decimal] = {}
        self._weights = weights
        self._spent = Decimal(0)
        self._unpriced: dict[int, int] = {}
        self._under_way: dict[int, _Share] = {}
        self._in_doubt: dict[int, _Share] = {}
        self._written_off: list[_Share] = []
        self._settled: dict[int, int] = {}
        self._is_misled = False
        self._lock = threading.RLock()

    @property
    def is_limited(self) -> bool:
        """True when there is a limit to keep."""
        return self._max_cost is not None

    @property
    def needs_price(self) -> bool:
        """True when there is a limit and nobody knows yet what anything costs."""
        return self.is_limited and self.unit_price is None

    @property
    def unit_price(self) -> Decimal | None:
        """Price of a weight of 1, the dearest that anybody told; None while nobody knows it."""
        return max((price for price in (self._given, self._dearest) if price is not None), default=None)

    @property
    def weight_gone(self) -> int:
        """The weight of the batches that were sent, are under way or are in doubt."""
        with self._lock:
            return sum(self._settled.values()) + sum(share.weight for share in self._open.values())

    @property
    def gone(self) -> frozenset[int]:
        """The batches that were sent, are under way or are in doubt."""
        with self._lock:
            return frozenset(self._settled) | frozenset(self._open)

    @property
    def _open(self) -> dict[int, _Share]:
        return self._in_doubt | self._under_way

    @property
    def has_learnt_its_price(self) -> bool:
        """True where the price is what batches cost, divided by what they weigh, and not what somebody gave."""
        return self._given is None

    @property
    def committed(self) -> Decimal:
        """What was spent, and what is under way or in doubt may cost."""
        with self._lock:
            price = self.unit_price or Decimal(0)
            unpriced = price * sum(self._unpriced.values())
            return self._spent + unpriced + self._sum(self._under_way.values()) + self.doubtful

    @property
    def doubtful(self) -> Decimal:
        """What of :attr:`committed` is for sendings that nobody knows to have happened."""
        with self._lock:
            return self._sum(self._in_doubt.values()) + self._sum(self._written_off)

    def weight_of(self, index: int, size: int) -> int:
        """Return what a batch is priced by; ``size`` is its number of recipients."""
        return size if self._weights is None else self._weights.most(index)

    def would_pass(self, price: Decimal) -> bool:
        """Say whether so much more would pass the limit."""
        return self._max_cost is not None and self.committed + price > self._max_cost

    def learn(self, unit_price: Decimal) -> None:
        """Take a price of a weight of 1 that the gateway tells without sending; it knows better than the user."""
        with self._lock:
            self._given = unit_price

    def require_price(self, batches: int) -> None:
        """
        Refuse a campaign of one batch whose price nobody knows: it would be sent before it could be judged.

        :raises ConfigurationError: asking for ``unit_price``.
        """
        if not self.needs_price:
            return
        if batches == 1:
            raise ConfigurationError(
                "max_cost: needs a price before sending, and the gateway reports none before it sends; "
                f"{GIVE_PRICE}"
            )
        log.warning(
            "The price is not known before the first batch; max_cost applies from the second batch on"
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
                    self._count_doubts(index, record)

    def _count_doubts(self, index: int, record: BatchRecord) -> None:
        share = _Share(index, self.weight_of(index, record.size))
        # Refused at last, a batch may still have been sent before, in doubt.
        self._written_off += [share] * record.resent
        if record.phase.is_in_doubt and index not in self._under_way:
            self._in_doubt[index] = share

    def reserve(
        self, index: int, weight: int, told: Decimal | None = None, *, is_resent: bool = False
    ) -> None:
        """
        Set aside the price of a batch that is about to leave.

        :param told: what the gateway says that this very batch will cost; None, or 0 or less, reckons it by its weight.
        :param is_resent: it was in doubt, and the gateway would take it a second time: what it may have cost stays
            counted, and it counts again.
        :raises BudgetExceededError: when it would pass the limit, or nobody can say whether it would; nothing is set
            aside then, and a doubt stays counted.
        """
        share = _Share(index, weight, believable(told))
        with self._lock:
            doubted = self._in_doubt.get(index)
            if is_resent and doubted is None:
                # Of an attempt that left no record: it may have been sent like any other in doubt.
                doubted = self._in_doubt[index] = _Share(index, weight)
            elif not is_resent:
                self._in_doubt.pop(index, None)
            try:
                self._check(index, share, is_resent=is_resent)
            except BudgetExceededError:
                if doubted is not None:
                    self._in_doubt[index] = doubted
                raise
            self._under_way[index] = share

    def _check(self, index: int, share: _Share, *, is_resent: bool) -> None:
        gone = self._unpriced or self._under_way or self._in_doubt or self._written_off
        if self.needs_price and gone:
            raise BudgetExceededError(
                "max_cost: cannot be checked, because a batch was, or may have been, sent at an unknown price. What "
                f"was sent is recorded; {GIVE_PRICE} to go on"
            )
        price = self._amount(share)
        if not self.would_pass(price):
            return
        doubtful = self.doubtful
        of_which = f" ({doubtful} of it for batches in doubt, which count as sent)" if doubtful else ""
        next_one = f"the next {share.weight} {self.unit}{self._by_which_reading(share)}"
        if is_resent:
            next_one = f"sending batch {index + 1} again, which counts once more"
        raise BudgetExceededError(
            f"max_cost: {self._max_cost} would be passed: {self.committed} spent or under way{of_which}, and {price} "
            f"for {next_one}{self._at_what_price()}. What was sent is recorded; raise max_cost to go on"
        )

    def _by_which_reading(self, share: _Share) -> str:
        likely = share.weight if self._weights is None else self._weights.likely(share.batch)
        if likely == share.weight:
            return ""
        return f" (by the dearest reading of what the gateway documents; {likely} are likelier)"

    def _at_what_price(self) -> str:
        if self._dearest is None or self._given is None or self._given <= self._dearest:
            return ""
        return f" at {self._given} each, where no answer told more than {self._dearest} (see unit_price)"

    def _amount(self, share: _Share) -> Decimal:
        """Return what a sending counts for now; 0 while nobody knows any price."""
        reckoned = (self.unit_price or Decimal(0)) * share.weight
        if share.told is None:
            return reckoned
        return max(share.told, reckoned) if self._is_misled else share.told

    def _sum(self, shares: Iterable[_Share]) -> Decimal:
        return sum(map(self._amount, shares), Decimal(0))

    def free(self, index: int) -> None:
        """Take back what was set aside for a batch that provably did not leave; an earlier doubt stays counted."""
        with self._lock:
            self._under_way.pop(index, None)

    def doubt(self, index: int) -> None:
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
                self._correct_weights(index, record)
            share, doubted = self._under_way.pop(index, None), self._in_doubt.pop(index, None)
            if index in self._settled:
                return
            weight = self.weight_of(index, record.size)
            if share is not None and doubted is not None:
                self._written_off.append(doubted)  # Sent again; nobody will ever know of the first sending.
            share = share or doubted
            if share is None:
                # Of an earlier attempt, which may have sent it more than once.
                self._written_off += [_Share(index, weight, believable(record.cost))] * record.resent
                share = _Share(index, weight)
            self._settled[index] = weight
            self._spend(record, weight, share)

    def _correct_weights(self, index: int, record: BatchRecord) -> None:
        """Let an answer that counts its SMS correct the weights, and what was reckoned by them."""
        weights = self._weights
        if weights is None or record.segments is None or record.accepted != record.size:
            return
        if not weights.learn(index, record.size, record.segments):
            return
        for reckoned in (self._settled, self._unpriced):
            reckoned.update({at: weights.most(at) for at in reckoned})
        for shares in (self._under_way, self._in_doubt):
            shares.update({at: share._replace(weight=weights.most(at)) for at, share in shares.items()})
        self._written_off = [share._replace(weight=weights.most(share.batch)) for share in self._written_off]
        prices = [cost / weights.most(at) for at, cost in self._costs.items()]
        self._dearest = max(prices, default=None)

    def _spend(self, record: BatchRecord, weight: int, share: _Share) -> None:
        cost = believable(record.cost)
        if cost is not None:
            # What was told is for those who were accepted; those in doubt may have to be paid for as well.
            doubtful = cost * record.in_doubt / record.accepted if record.accepted else 0
            self._spent += cost + doubtful
            self._learn_from(cost, record, weight, share)
        elif record.phase is Phase.SENT and not record.accepted + record.in_doubt:
            return  # Everybody in it was refused by name.
        elif share.told is not None:
            self._spent += self._amount(share)
        else:
            self._unpriced[share.batch] = weight

    def _learn_from(self, cost: Decimal, record: BatchRecord, weight: int, share: _Share) -> None:
        """Take the dearest price that answers told: where countries differ, the next batch may be like that one."""
        if share.told is not None and cost > share.told:
            log.warning(
                "A batch cost %s where %s was told before; its price is believed from now on",
                cost,
                share.told,
            )
            self._is_misled = True
        if weight:
            accepted = record.accepted or record.size
            price = unit_price_of(cost, weight, accepted=accepted, size=record.size)
            self._costs[share.batch] = cost * record.size / accepted
            self._dearest = price if self._dearest is None else max(self._dearest, price)


def believable(cost: Decimal | None) -> Decimal | None:
    """Return a cost that a gateway told; 0 or less is what it answers when it does not know, and gives None."""
    return cost if cost is not None and cost.is_finite() and cost > 0 else None


def unit_price_of(cost: Decimal, weight: int, *, accepted: int, size: int) -> Decimal:
    """
    Return what a weight of 1 cost.

    :param cost: of those who were accepted.
    :param weight: of the whole batch.
    :param accepted: recipients that the gateway took, at least 1.
    :param size: recipients of the whole batch.
    """
    return cost * size / (accepted * weight)
