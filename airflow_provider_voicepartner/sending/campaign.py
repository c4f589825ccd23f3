"""The loop that sends a campaign: for each batch claim, send, record; a retry goes on where the last stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
    NotSentError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import (
    MAX_RECIPIENTS_PER_BATCH,
    CallbackUrls,
    Message,
    Receipt,
    Recipient,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Ledger, OnUnknown, Phase

log = logging.getLogger(__name__)


class Messenger(Protocol):
    """What the loop needs of a hook."""

    def build_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        send_at: datetime | None = None,
        callbacks: CallbackUrls | None = None,
        simulate: bool = False,
    ) -> ApiRequest:
        """Build and check a batch's request, without sending it."""

    def deliver(self, request: ApiRequest, message: Message, recipients: Sequence[Recipient]) -> Receipt:
        """Send a built batch and read the answer. It arrives at most once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """
    What one task sends.

    :param message: what is said.
    :param recipients: all different, in the order of sending.
    :param send_at: aware; None sends at once.
    :param max_cost: stop before this price is passed; None has no limit.
    :param unit_price: price of one recipient, for gateways that cannot tell before sending.
    :param on_unknown: what to do with a batch that is in doubt.
    """

    message: Message
    recipients: tuple[Recipient, ...]
    send_at: datetime | None = None
    max_cost: Decimal | None = None
    unit_price: Decimal | None = None
    on_unknown: OnUnknown = "fail"

    @property
    def batches(self) -> tuple[tuple[Recipient, ...], ...]:
        """The recipients in batches of at most 500, always cut in the same way."""
        step = MAX_RECIPIENTS_PER_BATCH
        return tuple(self.recipients[start : start + step] for start in range(0, len(self.recipients), step))


@dataclass(kw_only=True)
class CampaignSender:
    """
    Sends one campaign.

    :param messenger: the hook.
    :param ledger: opened by :meth:`send`.
    :param simulation_tells_price: False where the gateway makes up the figures of a simulated send.
    :param now: the present, aware; injected by tests.
    :param reference: makes the id of a batch; injected by tests.
    """

    messenger: Messenger
    ledger: Ledger
    now: Callable[[], datetime]
    reference: Callable[[], str] = new_reference
    simulation_tells_price: bool = True

    def send(self, campaign: Campaign) -> list[BatchRecord]:
        """
        Send every batch that the ledger does not know as sent.

        :returns: one record a batch, all of them sent or assumed sent.
        :raises ConfigurationError: bad input, or input that changed since an earlier attempt; nothing was sent.
        :raises BudgetExceededError: the next batch would pass ``max_cost``.
        :raises NotSentError: the batch was refused; earlier ones are recorded.
        :raises SendOutcomeUnknownError: a batch is in doubt and ``on_unknown`` is ``fail``.
        """
        batches = campaign.batches
        self.ledger.open(len(batches), on_unknown=campaign.on_unknown)
        records: list[BatchRecord] = []
        for index, recipients in enumerate(batches):
            known = self.ledger.find(index, len(recipients))
            record = self._settle(campaign, index, known) if known else None
            records.append(record or self._send(campaign, index, recipients, records))
        return records

    def _settle(self, campaign: Campaign, index: int, known: BatchRecord) -> BatchRecord | None:
        """Decide what an earlier attempt's record means: done, or None to send (again)."""
        match known.phase:
            case Phase.SENT | Phase.ASSUMED_SENT:
                log.info(
                    "Batch %d (%s) was %s by an earlier attempt; it is not sent again",
                    index + 1, known.reference, known.phase.replace("_", " "),
                )  # fmt: skip
                return known
            case Phase.REFUSED:
                return None
            case Phase.CLAIMED:
                return self._resolve_doubt(campaign, index, known)

    def _resolve_doubt(self, campaign: Campaign, index: int, known: BatchRecord) -> BatchRecord | None:
        named = f"batch {index + 1} ({known.size} recipients, reference {known.reference or 'not known'})"
        why = (
            "an earlier attempt stopped between sending it and reading the answer"
            if self.ledger.is_durable
            else "Airflow before 3.3 keeps nothing between attempts, so it cannot be known what the first one sent"
        )
        if campaign.on_unknown == "fail":
            raise SendOutcomeUnknownError(
                f"on_unknown: {named} is in doubt: {why}. Look it up with the gateway, then set "
                "on_unknown='assume_sent' if it was sent, or on_unknown='resend' if it was not (or if twice is better "
                "than never), and clear the task; where Airflow asks, keep the task's state"
            )
        log.warning("%s is in doubt: %s; on_unknown=%r decides", named.capitalize(), why, campaign.on_unknown)
        if campaign.on_unknown == "resend":
            return None
        assumed = replace(known, phase=Phase.ASSUMED_SENT, at=self.now().isoformat())
        self.ledger.write(index, assumed)
        return assumed

    def _send(
        self,
        campaign: Campaign,
        index: int,
        recipients: tuple[Recipient, ...],
        earlier: Sequence[BatchRecord],
    ) -> BatchRecord:
        reference, size = self.reference(), len(recipients)
        request = self.messenger.build_batch(
            campaign.message, recipients, reference=reference, send_at=campaign.send_at
        )
        self._check_budget(campaign, recipients, earlier)
        claim = BatchRecord(phase=Phase.CLAIMED, reference=reference, size=size, at=self.now().isoformat())
        self.ledger.write(index, claim)
        try:
            receipt = self.messenger.deliver(request, campaign.message, recipients)
        except NotSentError as error:
            # "Taken before", said of an id that was made for this very request, proves that it was taken.
            if error.kind is not ErrorKind.DUPLICATE:
                self.ledger.write(index, replace(claim, phase=Phase.REFUSED))
            raise
        log.info(
            "Batch %d (%s): %d of %d recipients accepted as %s",
            index + 1, reference, receipt.accepted, size, receipt.gateway_id,
        )  # fmt: skip
        record = BatchRecord.of_receipt(receipt, reference=reference, size=size, at=self.now().isoformat())
        self.ledger.write(index, record)
        return record

    def _check_budget(
        self, campaign: Campaign, recipients: tuple[Recipient, ...], records: Sequence[BatchRecord]
    ) -> None:
        if campaign.max_cost is None:
            return
        price = self._price(campaign, recipients)
        each = price / len(recipients)
        # A batch whose price nobody told (assumed sent, or a silent gateway) is reckoned at the price of this one.
        spent = sum((each * of.size if of.cost is None else of.cost for of in records), Decimal(0))
        if spent + price > campaign.max_cost:
            raise BudgetExceededError(
                f"max_cost: {campaign.max_cost} would be passed: {spent} spent and {price} for the next "
                f"{len(recipients)} recipients. Nothing more was sent; raise max_cost to go on"
            )

    def _price(self, campaign: Campaign, recipients: tuple[Recipient, ...]) -> Decimal:
        """Ask the gateway for the price where it tells one without sending; else use the user's unit price."""
        if campaign.unit_price is not None:
            return campaign.unit_price * len(recipients)
        unable = "the gateway's simulation gives no price"
        if self.simulation_tells_price:
            try:
                price = self._simulate(campaign, recipients).cost
            except ConfigurationError as error:
                price, unable = None, str(error)
            if price is not None:
                return price
        raise ConfigurationError(
            f"max_cost: needs a price before sending, and {unable}; give unit_price, the price of one recipient"
        )

    def _simulate(self, campaign: Campaign, recipients: tuple[Recipient, ...]) -> Receipt:
        request = self.messenger.build_batch(
            campaign.message, recipients, reference=self.reference(), send_at=campaign.send_at, simulate=True
        )
        try:
            return self.messenger.deliver(request, campaign.message, recipients)
        except SendOutcomeUnknownError as error:
            unanswered = error
        raise RetryableNotSentError(
            f"max_cost: the price could not be asked for, and nothing was sent: {unanswered}"
        )
