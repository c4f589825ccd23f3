"""What the batch loop depends on: a transport that sends, and a rate limiter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from airflow_provider_voicepartner.gateways.model import CallbackUrls, Message, Receipt, Recipient
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.records import Proof


class BatchTransport(Protocol):
    """A hook, as the loop sees it."""

    @property
    def simulation_tells_price(self) -> bool:
        """True where a simulated send tells what the real one costs."""

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

    def deliver(
        self,
        request: ApiRequest,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        slot: Slot | None = None,
    ) -> Receipt:
        """
        Send a built batch and read the answer. It arrives at most once.

        :param slot: at the rate limit, of the request's endpoint. It is confirmed right before the request leaves, and
            a later one is taken where its moment is gone; if the request does not leave, it is released. None waits
            for one.
        """

    def money_left(self) -> Decimal | None:
        """Return what the account holds, in money; None where the gateway counts something else."""

    def can_look_up(self, message: Message, reference: str) -> bool:
        """Say whether there is anywhere to look whether a batch was sent."""

    def find_proof(
        self, message: Message, reference: str, recipients: Sequence[Recipient], since: datetime | None
    ) -> Proof | None:
        """
        Look whether a batch was sent: ask the gateway by our reference, and look for what it called back.

        :param message: what the batch says.
        :param reference: our own id of the batch.
        :param recipients: of the batch.
        :param since: when the batch was claimed, aware; None where that is not known.
        :returns: how many of them were accepted, as far as is shown. None when the look-up was answered properly, and
            nothing at all is listed.
        :raises VoicePartnerProviderError: it was not answered properly; that says nothing.
        """

    def known_within(self, message: Message) -> timedelta | None:
        """
        Return how long after its claim a batch may still come to be found; None where there is nothing to ask.

        :param message: what the batch says.
        """

    def can_disprove(self, message: Message) -> bool:
        """
        Say whether a look-up that lists nothing may be believed once that time has passed.

        :param message: what the batch says. Whether one that is scheduled, or held until its hours, is listed before it
            is sent is not documented by any gateway.
        """

    def repeats_safely(self, age: timedelta) -> bool:
        """Say whether the gateway still recognises a request of that age, and refuses to accept it twice."""

    def tag_of(self, message: Message, reference: str) -> str | None:
        """Return what the gateway can be asked by about a batch whose id is not known; None where there is no such."""


@dataclass(frozen=True, slots=True)
class Slot:
    """
    A request's slot.

    :param wait: seconds, when this was asked, until the request is to be handed over; 0 means now.
    :param ticket: what the rate limiter knows it by.
    """

    wait: float
    ticket: object = None


class RateLimiter(Protocol):
    """The gateway's rate limit, shared by every process that sends."""

    def acquire(self, endpoint: str, longest_wait: float | None) -> Slot:
        """
        Take the next slot.

        :param endpoint: of the request.
        :param longest_wait: seconds; None waits for as long as it takes.
        :raises RateLimitWaitTooLongError: when it is further away than that; no slot was taken.
        """

    def release(self, slot: Slot) -> None:
        """Release a slot whose request never left."""


class RateLimitWaitTooLongError(Exception):
    """
    The next slot is further away than the caller can wait.

    :param wait: seconds until then.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(f"the next slot is {wait:.0f} s away")
        self.wait = wait


class NoLimit:
    """A rate limiter without a limit."""

    def acquire(self, endpoint: str, longest_wait: float | None) -> Slot:
        """Return a slot for now."""
        return Slot(0.0)

    def release(self, slot: Slot) -> None:
        """Do nothing."""
