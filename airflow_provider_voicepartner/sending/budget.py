"""What a campaign may cost: asked before each batch, so that no batch with a known price passes the limit."""

from __future__ import annotations

import logging
from decimal import Decimal

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
)
from airflow_provider_voicepartner.sending.ledger import BatchRecord

log = logging.getLogger(__name__)


class Budget:
    """
    Counts what was spent and what is under way.

    :param max_cost: the limit; None counts nothing and forbids nothing.
    :param unit_price: price of one recipient; None until it is learnt from the first receipt.
    """

    def __init__(self, max_cost: Decimal | None, unit_price: Decimal | None) -> None:
        self._max_cost = max_cost
        self._unit_price = unit_price
        self._spent = Decimal(0)
        self._under_way: dict[int, Decimal] = {}
        self._unpriced = 0
        self._is_silent = False

    @property
    def is_limited(self) -> bool:
        """True when there is a limit to keep."""
        return self._max_cost is not None

    @property
    def needs_price(self) -> bool:
        """True when there is a limit and nobody knows yet what a recipient costs."""
        return self.is_limited and self._unit_price is None

    @property
    def unit_price(self) -> Decimal | None:
        """Price of one recipient, None while nobody knows it."""
        return self._unit_price

    def learn(self, unit_price: Decimal) -> None:
        """Take a price of one recipient, as the gateway tells it without sending."""
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
                "give unit_price, the price of one recipient"
            )
        log.warning("The price is not known before the first batch; max_cost is kept from the second one on")

    def reserve(self, index: int, recipients: int) -> None:
        """
        Set aside the price of a batch that is about to leave.

        :raises BudgetExceededError: when it would pass the limit, or nobody can say whether it would; nothing is set
            aside.
        """
        if self._max_cost is None:
            return
        if self._unit_price is None and self._is_silent:
            raise BudgetExceededError(
                "max_cost: cannot be kept, because the gateway took a batch without telling its price. What was sent "
                "is recorded; give unit_price, the price of one recipient, and retry to go on"
            )
        unit_price = self._unit_price or Decimal(0)
        price = unit_price * recipients
        committed = self._spent + unit_price * self._unpriced + sum(self._under_way.values(), Decimal(0))
        if committed + price > self._max_cost:
            raise BudgetExceededError(
                f"max_cost: {self._max_cost} would be passed: {committed} spent or under way, and {price} for the next "
                f"{recipients} recipients. What was sent is recorded; raise max_cost and retry to go on"
            )
        self._under_way[index] = price

    def settle(self, index: int, record: BatchRecord | None) -> None:
        """Replace the price set aside for a batch by what it cost; None for one that was not sent."""
        expected = self._under_way.pop(index, None)
        if record is None:
            return
        if record.cost is not None:
            self._spent += record.cost
            if record.accepted:
                self._unit_price = record.cost / record.accepted
        elif expected:
            self._spent += expected
        else:
            # Of an earlier attempt, or before any price was known: reckoned at the price of the day.
            self._unpriced += record.size
            self._is_silent = self._is_silent or expected is not None
