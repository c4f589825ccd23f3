"""What a campaign will cost, and whether the account has enough: asked once, before the first batch leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from airflow_provider_voicepartner.exceptions import (
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.sending.budget import Budget
from airflow_provider_voicepartner.sending.messenger import Messenger

log = logging.getLogger(__name__)


class Pricing:
    """
    Asks the gateway for prices and balance.

    :param messenger: the hook.
    :param message: what the campaign says.
    :param send_at: when it is to be sent, None for at once.
    :param budget: is told the price.
    :param reference: makes ids for simulated sends.
    """

    def __init__(
        self,
        messenger: Messenger,
        message: Message,
        send_at: datetime | None,
        budget: Budget,
        reference: Callable[[], str],
    ) -> None:
        self._messenger = messenger
        self._message = message
        self._send_at = send_at
        self._budget = budget
        self._reference = reference
        self._is_done = False

    def ask_once(self, recipients: Sequence[Recipient], *, left: Callable[[], int], batches: int) -> None:
        """
        Learn the price and compare the balance with what is left to send. Later calls do nothing.

        A single batch without a limit is not worth two more requests: the gateway itself refuses what is not paid for.

        :param recipients: of the batch that leaves next.
        :param left: counts the recipients that are still to be sent to.
        :param batches: of the whole campaign.
        :raises ConfigurationError: a limit for one batch whose price nobody knows.
        :raises RetryableNotSentError: a limit, and a gateway that does not answer what it costs.
        :raises RejectedError: the account has too little; nothing was sent.
        """
        if self._is_done or (batches == 1 and not self._budget.is_limited):
            return
        if self._budget.unit_price is None and self._messenger.simulation_tells_price:
            cost = self._simulated_cost(recipients)
            if cost is not None:
                self._budget.learn(cost / len(recipients))
        self._budget.require_price(batches)
        self._compare_balance(left)
        self._is_done = True

    def _compare_balance(self, count: Callable[[], int]) -> None:
        if self._budget.unit_price is None:
            return
        left = count()
        needed = self._budget.unit_price * left
        try:
            money = self._messenger.money_left()
        except VoicePartnerProviderError as error:
            log.warning("The balance could not be read, so it is not compared with the price: %s", error)
            return
        if money is None:
            return
        log.info("About %s is needed for %d recipients; the account has %s", needed, left, money)
        if money < needed:
            raise RejectedError(
                f"the account has {money} and the campaign costs about {needed} for the {left} recipients that are "
                "left; top the account up, nothing more was sent",
                kind=ErrorKind.CREDIT,
            )

    def _simulated_cost(self, recipients: Sequence[Recipient]) -> Decimal | None:
        request = self._messenger.build_batch(
            self._message, recipients, reference=self._reference(), send_at=self._send_at, simulate=True
        )
        try:
            return self._messenger.deliver(request, self._message, recipients).cost
        except SendOutcomeUnknownError as error:
            unanswered = error
        if self._budget.is_limited:
            raise RetryableNotSentError(
                f"the price could not be asked for, and nothing was sent: {unanswered}"
            )
        log.warning(
            "The price could not be asked for, so the balance is not compared with it: %s", unanswered
        )
        return None
