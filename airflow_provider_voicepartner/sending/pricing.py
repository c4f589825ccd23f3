"""What a batch will cost, and whether the account has enough: asked before it leaves, as well as it can be known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.exceptions import (
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Receipt, Recipient, phone_numbers_of
from airflow_provider_voicepartner.gateways.phone_numbers import shared_country_code
from airflow_provider_voicepartner.gateways.placeholders import read_template
from airflow_provider_voicepartner.sending.budget import Budget, believable, unit_price_of
from airflow_provider_voicepartner.sending.campaign_spec import Campaign, SendingTools

if TYPE_CHECKING:
    from airflow_provider_voicepartner.sending.budget import SegmentCounts
    from airflow_provider_voicepartner.sending.records import BatchRecord

log = logging.getLogger(__name__)


class Pricing:
    """
    Asks the gateway for prices and balance.

    The gateway's own quote comes first, where it has one, then the user's price, then that of the receipts.

    :param sender: has the hook, the ledger that knows what earlier attempts sent, and makes ids for simulated sends.
    :param campaign: what is sent.
    :param budget: gets the price.
    :param segment_counts: what batches are priced by, the budget's too; None counts recipients.
    :param before_request: called before each request, which takes time: results must be recorded first.
    """

    def __init__(
        self,
        sender: SendingTools,
        campaign: Campaign,
        budget: Budget,
        segment_counts: SegmentCounts | None = None,
        *,
        before_request: Callable[[], None],
    ) -> None:
        self._transport = sender.transport
        self._campaign = campaign
        self._budget = budget
        self._segment_counts = segment_counts
        self._ledger = sender.ledger
        self._reference = sender.reference
        self._before_request = before_request
        self._group_prices: dict[str, Decimal] = {}
        self._is_counted = self._is_asked = self._is_compared = False
        self._can_quote = sender.transport.simulation_tells_price

    def approve(
        self,
        index: int,
        recipients: Sequence[Recipient],
        send_at: datetime | None,
        *,
        is_resent: bool,
    ) -> None:
        """
        Set aside what a batch will cost, or refuse to send it.

        A single batch without a limit is not worth two more requests: the gateway itself refuses what is not paid for.

        :param send_at: when it is to be sent, None for at once.
        :param is_resent: it was in doubt, and the gateway would take it a second time; it then counts twice. False for
            a repeat that the gateway recognises.
        :raises BudgetExceededError: it would exceed the limit.
        :raises ConfigurationError: a limit for one batch whose price is unknown.
        :raises RetryableNotSentError: a limit, and a gateway that does not answer the question for the price.
        :raises RejectedError: the account has too little; nothing was sent.
        """
        batches, units = len(self._campaign.batches), self._budget.units_of(index, len(recipients))
        quoted = None
        if self._is_worth_it:
            is_first, self._is_counted = not self._is_counted, True
            if is_first:
                self._budget.count(self._sent_before())
            quoted = self._quoted_price(recipients, units, send_at)
            if is_first:
                self._budget.require_price(batches)
            self._look_ahead((index, units) if is_resent else None)
        self._budget.reserve(index, units, quoted, is_resent=is_resent)

    def _sent_before(self) -> Iterator[tuple[int, BatchRecord]]:
        """Return what earlier attempts sent, or may have sent; where this one is blind, that is every batch."""
        size_of = self._campaign.size_of
        if not self._ledger.is_blind or size_of is None:
            yield from self._ledger.known()
            return
        for index in range(len(self._campaign.batches)):
            record = self._ledger.find(index, size_of(index))
            if record is not None:
                yield index, record

    @property
    def _is_worth_it(self) -> bool:
        return len(self._campaign.batches) > 1 or self._budget.is_limited

    def must_ask(self, recipients: Sequence[Recipient]) -> bool:
        """Say whether the gateway has to be asked anything before a batch can be approved."""
        compares = not self._is_compared and self._budget.unit_price is not None
        return self._is_worth_it and (compares or self._asks_price(recipients))

    def _asks_price(self, recipients: Sequence[Recipient]) -> bool:
        """
        Say whether a batch has to be simulated.

        Without a limit one is, for the balance. With one, each batch is that is not like one before it: in which texts
        differ, or countries.
        """
        if not self._can_quote or (self._is_asked and not self._budget.is_limited):
            return False
        group = self._group_of(recipients)
        return group is None or group not in self._group_prices

    def _quoted_price(
        self, recipients: Sequence[Recipient], units: int, send_at: datetime | None
    ) -> Decimal | None:
        """Return what the gateway says that a batch will cost, None where it is not asked, or does not tell."""
        if not self._asks_price(recipients):
            if not self._budget.is_limited:
                return None  # Without a limit, prices of single batches do not matter.
            known = self._group_prices.get(self._group_of(recipients) or "")
            return None if known is None else known * units
        receipt = self._simulate(recipients, send_at)
        cost = None if receipt is None else believable(receipt.cost)
        if receipt is None or cost is None or not receipt.accepted:
            self._can_quote = False
            return None
        price = unit_price_of(cost, units, accepted=receipt.accepted, size=len(recipients))
        group = self._group_of(recipients)
        if not self._is_asked:
            self._budget.learn(price)
        if group is not None:
            self._group_prices[group] = price
        self._is_asked = True
        return cost

    def _group_of(self, recipients: Sequence[Recipient]) -> str | None:
        """Return what recipients have in common who all cost the same; None where they may not."""
        text = getattr(self._campaign.message, "text", None)
        if text and read_template(text).names:
            return None
        return shared_country_code(phone_numbers_of(recipients))

    def _look_ahead(self, again: tuple[int, int] | None) -> None:
        """
        Compare what is left, and what is sent again, with the balance, once, as soon as a price is known.

        :param again: the batch that is sent again, and its units.
        """
        price = self._budget.unit_price
        if self._is_compared or price is None:
            return
        self._is_compared = True
        left, most = self._left(again)
        needed = price * left
        at_most = (
            f" (at most {price * most} for {most}, by the highest count that its pages allow)"
            if most > left
            else ""
        )
        if self._budget.would_pass(needed):
            log.warning(
                "About %s is needed for what is left, which max_cost does not allow; the campaign will stop before its "
                "end",
                needed,
            )
        self._before_request()
        try:
            money = self._transport.money_left()
        except VoicePartnerProviderError as error:
            log.warning("The balance could not be read, so it is not compared with the price: %s", error)
            return
        if money is None:
            return
        log.info(
            "About %s is needed for %d %s%s; the account has %s",
            needed,
            left,
            self._budget.unit,
            at_most,
            money,
        )
        if money < needed:
            raise RejectedError(
                f"the account has {money} and the campaign costs about {needed} for the {left} {self._budget.unit} "
                "that are left; top up the account. Nothing more was sent",
                kind=ErrorKind.CREDIT,
            )

    def _left(self, again: tuple[int, int] | None) -> tuple[int, int]:
        """Return what is left to send, as it is likely to be counted, and as it is counted at the most."""
        if self._segment_counts is None:
            left = self._campaign.recipients - self._budget.committed_units + (again[1] if again else 0)
            return left, left
        committed = self._budget.committed_batches
        batches = [index for index in range(len(self._campaign.batches)) if index not in committed]
        batches += [again[0]] if again else []
        most = sum(map(self._segment_counts.most, batches))
        # A learnt price is one of a unit, of which there are the most until an answer counts them.
        return (
            most if self._budget.has_learnt_its_price else sum(map(self._segment_counts.likely, batches))
        ), most

    def _simulate(self, recipients: Sequence[Recipient], send_at: datetime | None) -> Receipt | None:
        message = self._campaign.message
        request = self._transport.build_batch(
            message, recipients, reference=self._reference(), send_at=send_at, simulate=True
        )
        self._before_request()
        try:
            return self._transport.deliver(request, message, recipients)
        except SendOutcomeUnknownError as error:
            unanswered = error
        if self._budget.is_limited:
            raise RetryableNotSentError(
                f"the question for the price was not answered, and nothing was sent: {unanswered}"
            )
        log.warning("No quote was answered, so the balance is not compared with the price: %s", unanswered)
        return None
