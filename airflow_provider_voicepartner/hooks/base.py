"""What every gateway's hook does behind its connection: it sends batches, asks what became of them, and cancels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import pendulum

from airflow_provider_voicepartner.constants import CALLED_BACK_WITHIN
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    DeliveryUnconfirmedError,
    VoicePartnerProviderError,
    all_refused,
    checked,
)
from airflow_provider_voicepartner.gateways.dates import check_lead
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    Balance,
    CallbackUrls,
    Cancellation,
    DeliveryReport,
    Kind,
    Message,
    Receipt,
    Recipient,
)
from airflow_provider_voicepartner.gateways.parsing import account_for_all, flaw_of_receipt
from airflow_provider_voicepartner.gateways.validation import check_count
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.hooks.callbacks import (
    BatchUrls,
    callback_config,
    find_callbacks,
)
from airflow_provider_voicepartner.hooks.connected import ConnectedHook
from airflow_provider_voicepartner.hooks.templates import check_is_no_path
from airflow_provider_voicepartner.recipients.lists import plan_recipients
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.sending.records import Proof
from airflow_provider_voicepartner.sending.transport import Slot


class GatewayHook(ConnectedHook):
    """
    Base of every gateway's hook.

    Subclasses name their gateway and the fields of their connection; each call of the gateway is one typed method that
    builds a request, runs it and parses the answer.

    :param conn_id: the Airflow connection; its type must be this hook's.
    :param connection: the connection itself, where it has been looked up already (triggers, callbacks).
    """

    def send_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        send_at: datetime | None = None,
        callbacks: CallbackUrls | None = None,
        simulate: bool = False,
    ) -> Receipt:
        """
        Send one batch. The one call that messages and bills people: it arrives at most once.

        :param message: what is said; must be one of the gateway's kinds.
        :param recipients: 1 to 500, all different.
        :param reference: our own id of the batch.
        :param send_at: aware and in the future; None sends at once.
        :param callbacks: where the gateway reports, for gateways that take it per request.
        :param simulate: ask for price and checks only; nothing is sent or billed.
        :raises ConfigurationError: an argument that no gateway would take; nothing was sent.
        :raises NotSentError: nothing was sent, or it was refused; also where every recipient was refused by name.
        :raises SendOutcomeUnknownError: in doubt.
        """
        request = self.build_batch(
            message, recipients, reference=reference, send_at=send_at, callbacks=callbacks, simulate=simulate
        )
        receipt = self.deliver(request, message, recipients)
        if receipt.gateway_id is None:
            raise all_refused(self.gateway.INFO.name, request.endpoint, receipt)
        return receipt

    def deliver(
        self,
        request: ApiRequest,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        slot: Slot | None = None,
    ) -> Receipt:
        """
        Send a request of :meth:`build_batch` and read the answer; errors as there.

        :param request: as built.
        :param message: the same as for building.
        :param recipients: the same as for building.
        :param slot: at the rate limit, of the request's endpoint; None waits for one.
        """

        def read(response: ApiResponse) -> Receipt:
            receipt = self.gateway.parse_batch(response, message, recipients)
            if flaw := flaw_of_receipt(receipt, recipients):
                name, status = self.gateway.INFO.name, response.status
                raise GatewayError(name, request.endpoint, ErrorKind.UNKNOWN, flaw, status=status)
            return account_for_all(self.gateway.INFO.name, request.endpoint, receipt, len(recipients))

        return self.call(request, read, slot=slot)

    def money_left(self) -> Decimal | None:
        """Return the account's balance in money; None where the gateway counts something else."""
        balance = self.get_balance()
        return balance.amount if len(balance.unit) == 3 and balance.unit.isupper() else None

    def can_look_up(self, message: Message, reference: str) -> bool:
        """Say whether a batch can be looked up: at the gateway, or among its callbacks."""
        return self.tag_of(message, reference) is not None or self._is_called_back

    def find_proof(
        self, message: Message, reference: str, recipients: Sequence[Recipient], since: datetime | None
    ) -> Proof | None:
        """
        Look for proof that a batch was sent, and to which of its recipients: here, in its callbacks.

        :param message: what the batch says.
        :param reference: our own id of the batch.
        :param recipients: of the batch.
        :param since: when it was claimed; None where that is not known.
        :returns: None when nothing is listed; a proof of 0 recipients when something is, and none of it counts.
        :raises VoicePartnerProviderError: there was no proper answer.
        """
        return find_callbacks(self.gateway, reference, recipients) if self._is_called_back else None

    def known_within(self, message: Message) -> timedelta | None:
        """Return how long after its claim a batch may still come to be found; None where there is nothing to ask."""
        return CALLED_BACK_WITHIN if self._is_called_back else None

    def can_disprove(self, message: Message) -> bool:
        """Say whether a look-up that lists nothing is proof after that: here never, since callbacks get lost."""
        return False

    @property
    def _is_called_back(self) -> bool:
        return self._batch_urls is not None and self.gateway.INFO.reports == "batch"

    def tag_of(self, message: Message, reference: str) -> str | None:
        """Return what the gateway can be asked by about a batch whose id is not known; None where there is no such."""
        return None

    def repeats_safely(self, age: timedelta) -> bool:
        """Say whether the gateway recognises a request that it took so long ago, and refuses to take it twice."""
        known = self.gateway.INFO.repeats_safely_for
        return known is not None and timedelta(0) <= age < known

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
        """
        Build the request of :meth:`send_batch` without sending it: every check of arguments happens here.
        Without ``callbacks`` the gateway is given the receiver's URLs, where one is configured.
        """
        now, info = pendulum.instance(self.sender.now()), self.gateway.INFO
        checked(check_count, len(recipients), most=info.most_recipients)
        if send_at is not None:
            checked(check_lead, send_at, now, shortest=info.shortest_lead, longest=info.longest_lead)
        if callbacks is None and not simulate and self._batch_urls is not None:
            callbacks = self._batch_urls.make(reference, recipients, now=now, send_at=send_at)
        callbacks = callbacks or NO_CALLBACKS
        request = checked(
            self.gateway.build_batch,
            self.with_defaults(message),
            recipients,
            reference=reference,
            now=now,
            send_at=send_at,
            callbacks=callbacks,
            simulate=simulate,
        )
        if wrong := self._flaw_of(request, simulate=simulate):
            raise ConfigurationError(
                f"{info.name}: build_batch made a request that is {wrong}; nothing was sent"
            )
        # Anybody who knows such a URL can report through it, so it is scrubbed from answers that quote it.
        urls = {url for url in (callbacks.delivery, callbacks.replies) if url}
        return replace(request, private=(*request.private, *urls)) if urls else request

    def _flaw_of(self, request: ApiRequest, *, simulate: bool) -> str | None:
        """Say why a request that the gateway built must not leave: the gateway may come from another distribution."""
        info = self.gateway.INFO
        if request.safe_to_repeat:
            return "safe_to_repeat, so it could be sent twice"
        if request.endpoint not in info.endpoints:
            return "at no known endpoint"
        if simulate and not info.simulates:
            return "a real send, since INFO.simulates is False"
        return None

    @cached_property
    def _batch_urls(self) -> BatchUrls | None:
        """Where the gateway reports to, read once: the secret may come from a command or a secrets backend."""
        config = callback_config()
        return None if config is None else BatchUrls(config, self.gateway.INFO)

    def with_defaults(self, message: Message) -> Message:
        """Fill in what the message leaves open from the connection's fields; subclasses say what."""
        return message

    def send_to(
        self,
        to: Any,
        message: Message,
        *,
        send_at: datetime | None = None,
        reference: str | None = None,
        callbacks: CallbackUrls | None = None,
    ) -> Receipt:
        """
        Check a list of recipients and send them a message; errors as in :meth:`send_batch`.

        :param to: a number, a comma-separated text, a list of numbers or of dicts with ``phone_number``; 1 to 500. All
            must be valid; a repeated one is sent to once.
        :raises InvalidRecipientError: naming the rows that are not; nothing was sent.
        """
        check_is_no_path("message" if message.kind == "sms" else "text", getattr(message, "text", None))
        plan = checked(
            plan_recipients,
            to,
            line="mobile" if message.kind == "sms" else "any",
            on_invalid="fail",
            limit=self.gateway.INFO.most_recipients,
        )
        return self.send_batch(
            message,
            plan.recipients,
            reference=reference or new_reference(),
            send_at=send_at,
            callbacks=callbacks,
        )

    def get_balance(self) -> Balance:
        """Read what is left on the account."""
        return self.call(self.gateway.build_balance(), self.gateway.parse_balance)

    def poll_delivery(self, gateway_id: str) -> tuple[DeliveryReport, ...]:
        """
        Ask what became of every recipient of a batch; only where ``polls_delivery``.

        :raises RejectedError: with ``kind`` ``NOT_FOUND`` when the gateway does not know the batch (yet).
        """
        raise DeliveryUnconfirmedError(f"{self.gateway.INFO.label} cannot be polled for delivery reports")

    def poll_recipients(self, recipients: Sequence[tuple[str, str]]) -> tuple[DeliveryReport, ...]:
        """Ask what became of up to ``most_recipients_a_poll`` recipients of any batches; only where that is above 0."""
        raise DeliveryUnconfirmedError(f"{self.gateway.INFO.label} cannot be polled for single recipients")

    def poll_by_tag(self, tag: str) -> tuple[DeliveryReport, ...]:
        """Ask what became of a batch whose id is not known; only where :meth:`tag_of` gives something to ask by."""
        raise DeliveryUnconfirmedError(f"{self.gateway.INFO.label} cannot be polled by tag")

    def cancel_campaign(self, gateway_id: str, *, kind: Kind) -> Cancellation:
        """
        Take back a scheduled batch.

        :param gateway_id: the gateway's id, from the receipt.
        :param kind: what it was; some gateways have an endpoint for each.
        :raises RejectedError: with ``kind`` ``TOO_LATE`` or ``NOT_FOUND`` where the gateway says so.
        """
        request = checked(self.gateway.build_cancel, gateway_id, kind)
        return self.call(request, lambda response: self.gateway.parse_cancel(response, gateway_id))

    def account_urls(self) -> Mapping[str, str | None]:
        """Read the URLs of the whole account, by what is reported to each; only where ``INFO.reports`` says so."""
        raise NotImplementedError(f"{self.gateway.INFO.label} has no URL for the whole account")

    def set_account_urls(self, url: str) -> None:
        """Set all of :meth:`account_urls` to one URL."""
        raise NotImplementedError(f"{self.gateway.INFO.label} has no URL for the whole account")

    def test_connection(self) -> tuple[bool, str]:
        """Read the balance, once: a person waits. The message never holds a URL, a key or a login."""
        try:
            sender, usual = self.sender, self.sender.retry
            try:
                sender.retry = replace(usual, attempts=1)
                balance = self.get_balance()
            finally:
                sender.retry = usual
        except Exception as error:
            known = isinstance(error, VoicePartnerProviderError)
            return False, self._presentable(str(error) if known else f"failed with {type(error).__name__}")
        return True, self._presentable(
            f"Connected to {self.gateway.INFO.label}: {balance.amount} {balance.unit} left"
        )
