"""What a vendor's package can do; whoever calls it need not know which vendor it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from airflow_provider_voicepartner.gateways import GATEWAYS
from airflow_provider_voicepartner.gateways.info import GatewayInfo, Kind

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.compiled_message import CompiledMessage
    from airflow_provider_voicepartner.gateways.model import (
        Balance,
        CallbackEvent,
        CallbackUrls,
        Cancellation,
        Message,
        Receipt,
        Recipient,
    )
    from airflow_provider_voicepartner.gateways.wire import (
        ApiRequest,
        ApiResponse,
        CallbackRequest,
        Credentials,
    )


class Gateway(Protocol):
    """One HTTP API; each gateway package (a module) is an instance of it."""

    @property
    def INFO(self) -> GatewayInfo:
        """All that is known of its vendor."""

    def authenticate(self, request: ApiRequest, credentials: Credentials) -> ApiRequest:
        """Put the key where this gateway wants it; done last, right before the request leaves."""

    def check_message(self, message: Message, recipients_have_fields: bool) -> None:
        """
        Refuse a message that the gateway would refuse, before anything is sent.

        :param recipients_have_fields: True when recipients carry personal fields; without, placeholders are refused.
        :raises InvalidArgumentError: naming the argument and the fix.
        """

    def check_recipient(self, message: Message, recipient: Recipient) -> None:
        """
        Refuse a recipient with personal fields for whom ``build_batch`` would refuse the batch; planning asks.

        :raises InvalidArgumentError: its problem is read after the number, such as ``has a field …``, and names no
            position.
        """

    def compile_message(self, message: Message) -> CompiledMessage | None:
        """
        Work out once what ``check_recipient``, ``segments_of`` and ``build_batch`` need of a message with placeholders.

        :param message: one that ``check_message`` takes for recipients with personal fields.
        :returns: what decides as they do, for many recipients at a time; None where all get the same text.
        """

    def segments_of(self, message: Message, text: str) -> Sequence[int] | None:
        """
        Return how many SMS a text takes, as this gateway counts them.

        :param message: whose settings and purpose count.
        :param text: as one recipient gets it, with nothing left to fill in.
        :returns: each at least 1: one count where the rule is known, else one for each way to read what the vendor
            documents, always as many and in the same order, the likeliest first. None where nothing is documented.
        """

    def build_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        now: datetime,
        send_at: datetime | None = None,
        callbacks: CallbackUrls = ...,
        simulate: bool = False,
    ) -> ApiRequest:
        """
        Build the request that sends one batch.

        :param message: what is said.
        :param recipients: 1 to 500.
        :param reference: our own id of the batch: 12 characters, lower-case letters and digits.
        :param now: the present, aware.
        :param send_at: aware and in the future; None sends at once.
        :param callbacks: where to report, for gateways that take it per request.
        :param simulate: ask for the price and the checks only, where the gateway offers that.
        :raises InvalidArgumentError: naming the argument and the fix.
        """

    def parse_batch(
        self, response: ApiResponse, message: Message, recipients: Sequence[Recipient]
    ) -> Receipt:
        """
        Read the answer to a batch.

        :returns: its counts add up to the batch's size, and never say more than the answer proves. Without an id when
            everybody in the batch is refused by name.
        :raises GatewayError: for anything else; its kind says whether the batch may have left.
        """

    def names_a_send(self, response: ApiResponse) -> bool:
        """
        Say whether the answer to a send names a campaign or a recipient that was accepted, whatever its status.

        Such an answer is never a plain refusal, not even at HTTP 429. Of the answers to other calls it says nothing.
        """

    def knows_status(self, word: str) -> bool:
        """Say whether a word is one of the gateway's delivery statuses; an error text in its place is not."""

    def build_balance(self) -> ApiRequest:
        """Build the request that reads the balance; also the cheapest check of a key."""

    def parse_balance(self, response: ApiResponse) -> Balance:
        """Read the balance, strictly: an answer without one is a failure."""

    def build_cancel(self, gateway_id: str, kind: Kind) -> ApiRequest:
        """Build the request that takes back a scheduled batch."""

    def parse_cancel(self, response: ApiResponse, gateway_id: str) -> Cancellation:
        """Read the answer to a cancel."""

    def parse_callback(self, callback: CallbackRequest) -> tuple[CallbackEvent, ...]:
        """
        Read what the gateway sent to a callback URL, in every documented shape and encoding.

        :raises InvalidCallbackError: and nothing else, whatever came in.
        """


@cache
def own_modules() -> Mapping[str, Gateway]:
    """Return the gateways of this package, each a package, by name."""
    package = __name__.rpartition(".")[0]
    return MappingProxyType({name: import_module(f"{package}.{name}") for name in GATEWAYS})
