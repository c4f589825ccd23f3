"""What a campaign may cost: asked before each batch, so that no batch with a known price passes the limit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
)
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase

log = logging.getLogger(__name__)

GIVE_PRICE = "give unit_price, the price of one SMS segment or of one call"


class _Share(NamedTuple):
    """
    What is set aside for a batch.

    :param weight: what it counts for when it is priced.
    :param price: None while nobody knows it; it is then reckoned at the price of the day.
    :param is_told: True when the gateway named the price for this very batch.
    """

    weight: int
    price: Decimal | None
    is_told: bool = False


class Budget:
    """
    Counts what was spent and what is under way.

    A batch is priced by its weight: the segments of its SMS, or its calls.

    :param max_cost: the limit; None forbids nothing.
    :param unit_price: price of a weight of 1; None until somebody tells it.
    :param weigh: returns a batch's weight, from its index; None counts its recipients.
    """

    def __init__(
        self,
        max_cost: Decimal | None,
        unit_price: Decimal | None,
        weigh: Callable[[int], int] | None = None,
    ) -> None:
        self._max_cost = max_cost
        self._unit_price = unit_price
        self._weigh = weigh
        self._spent = Decimal(0)
        self._unpriced = 0
        self._under_way: dict[int, _Share] = {}
        self._settled: set[int] = set()
        self._settled_weight = 0
        self._dearest: Decimal | None = None
        self._is_misled = False

    @property
    def is_limited(self) -> bool:
        """True when there is a limit to keep."""
        return self._max_cost is not None

    @property
    def needs_price(self) -> bool:
        """True when there is a limit and nobody knows yet what anything costs."""
        return self.is_limited and self._unit_price is None

    @property
    def unit_price(self) -> Decimal | None:
        """Price of a weight of 1, None while nobody knows it."""
        return self._unit_price

    @property
    def weight_gone(self) -> int:
        """The weight of what was sent, is under way or is in doubt."""
        return self._settled_weight + sum(share.weight for share in self._under_way.values())

    @property
    def committed(self) -> Decimal:
        """What was spent, and what is under way or in doubt may cost."""
        price = self._unit_price or Decimal(0)
        under_way = (
            price * share.weight if share.price is None else share.price for share in self._under_way.values()
        )
        return self._spent + price * self._unpriced + sum(under_way, Decimal(0))

    def weight_of(self, index: int, size: int) -> int:
        """Return what a batch is priced by; ``size`` is its number of recipients."""
        return size if self._weigh is None else self._weigh(index)

    def would_pass(self, price: Decimal) -> bool:
        """Say whether so much more would pass the limit."""
        return self._max_cost is not None and self.committed + price > self._max_cost

    def learn(self, unit_price: Decimal) -> None:
        """Take a price of a weight of 1, as the gateway tells it without sending; it knows better than anybody."""
        self._unit_price = unit_price

    def require_price(self, batches: int) -> None:
        """
        Refuse a campaign of one batch whose price nobody knows: it would be sent before it could be judged.

        :raises ConfigurationError: asking for ``unit_price``.
        """
        if not self.needs_price:
            return
        if batches == 1:
            raise ConfigurationError(
                "max_cost: needs a price before sending, and the gateway tells none without sending; "
                f"{GIVE_PRICE}"
            )
        log.warning("The price is not known before the first batch; max_cost is kept from the second one on")

    def count(self, records: Iterable[tuple[int, BatchRecord]]) -> None:
        """
        Count what earlier attempts sent, wherever in the campaign it stands; what is in doubt counts as sent.

        :param records: what the ledger knows, by index.
        """
        for index, record in records:
            if record.phase in (Phase.SENT, Phase.ASSUMED_SENT):
                self.settle(index, record)
            elif record.phase is Phase.CLAIMED and index not in self._settled:
                self._under_way[index] = _Share(self.weight_of(index, record.size), None)

    def reserve(self, index: int, weight: int, told: Decimal | None = None) -> None:
        """
        Set aside the price of a batch that is about to leave.

        :param told: what the gateway says that this very batch will cost; None reckons it by its weight.
        :raises BudgetExceededError: when it would pass the limit, or nobody can say whether it would; nothing is set
            aside.
        """
        price = self._reckon(weight, told)
        if self.needs_price and (self._unpriced or self._under_way):
            raise BudgetExceededError(
                "max_cost: cannot be kept, because a batch was sent, or may have been, and nobody told its price. What "
                f"was sent is recorded; {GIVE_PRICE}, and retry to go on"
            )
        if self.would_pass(price or Decimal(0)):
            raise BudgetExceededError(
                f"max_cost: {self._max_cost} would be passed: {self.committed} spent or under way, and {price} for the "
                f"next {weight} SMS segments or calls. What was sent is recorded; raise max_cost and retry to go on"
            )
        self._under_way[index] = _Share(weight, price, told is not None)

    def _reckon(self, weight: int, told: Decimal | None) -> Decimal | None:
        reckoned = None if self._unit_price is None else self._unit_price * weight
        if told is None:
            return reckoned
        return max(told, reckoned) if self._is_misled and reckoned is not None else told

    def settle(self, index: int, record: BatchRecord | None) -> None:
        """
        Replace the price set aside for a batch by what it cost.

        :param record: as sent, or assumed sent; a second time changes nothing. None for a batch that was not sent.
        """
        share = self._under_way.pop(index, None)
        if record is None or index in self._settled:
            return
        weight = self.weight_of(index, record.size)
        self._settled.add(index)
        self._settled_weight += weight
        if record.cost is not None:
            self._spent += record.cost
            self._learn_from(record.cost, record, weight, share)
        elif share is not None and share.price is not None:
            self._spent += share.price
        else:
            # Of an earlier attempt, or before any price was known: reckoned at the price of the day.
            self._unpriced += weight

    def _learn_from(self, cost: Decimal, record: BatchRecord, weight: int, share: _Share | None) -> None:
        """Take the dearest price that answers told: where countries differ, the next batch may be like that one."""
        if share is not None and share.is_told and share.price is not None and cost > share.price:
            log.warning(
                "A batch cost %s where %s was told before; its price is believed from now on",
                cost,
                share.price,
            )
            self._is_misled = True
        if record.accepted and weight:
            price = unit_price_of(cost, weight, accepted=record.accepted, size=record.size)
            self._dearest = price if self._dearest is None else max(self._dearest, price)
            self._unit_price = self._dearest


def unit_price_of(cost: Decimal, weight: int, *, accepted: int, size: int) -> Decimal:
    """
    Return what a weight of 1 cost.

    :param cost: of those who were accepted.
    :param weight: of the whole batch.
    :param accepted: recipients that the gateway took, at least 1.
    :param size: recipients of the whole batch.
    """
    return cost * size / (accepted * weight)
