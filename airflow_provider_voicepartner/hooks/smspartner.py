"""SMS Partner behind an Airflow connection: text messages, their polled status, the STOP list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from pydantic import Field

from airflow_provider_voicepartner.constants import MOST_TAG_PAGES
from airflow_provider_voicepartner.exceptions import DeliveryUnconfirmedError, RejectedError, checked
from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    Cancellation,
    DeliveryReport,
    Message,
    Purpose,
    Receipt,
    Recipient,
    SmsMessage,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.connection import ConnectionExtra
from airflow_provider_voicepartner.sending.records import Evidence, Proof, accepted_numbers


class _ParsePage(Protocol):
    def __call__(self, response: ApiResponse, *, tag: str) -> smspartner.StatusPage: ...


class SmsPartnerExtra(ConnectionExtra):
    """
    Fields of an SMS Partner connection.

    :param sender: sender ID of messages that give none.
    :param listed_within: seconds in which a send comes to be listed under its tag; a batch in doubt that is younger is
        looked up again. Not documented by the vendor.
    """

    sender: str | None = None
    listed_within: float = Field(default=smspartner.LISTED_WITHIN, gt=0, le=smspartner.LONGEST_LISTED_WITHIN)


class SmsPartnerHook(GatewayHook):
    """
    Calls SMS Partner. Its results can be polled, and come by callback too.

    Connection: type ``smspartner``, the API key in ``password``; ``host`` only for another base URL.
    """

    gateway: ClassVar[Gateway] = smspartner
    extra_model: ClassVar[type[ConnectionExtra]] = SmsPartnerExtra

    def with_defaults(self, message: Message) -> Message:
        """Fill in the connection's sender."""
        sender = self.extra.sender
        if not sender or not isinstance(message, SmsMessage) or message.sender:
            return message
        # A rented long number is the sender itself.
        return message if "virtual_number" in message.options else replace(message, sender=sender)

    def tag_of(self, message: Message, reference: str) -> str | None:
        """Return the batch's tag there: our reference, behind the user's tag where there is one."""
        return smspartner.batch_tag(message, reference) if isinstance(message, SmsMessage) else None

    def find_proof(
        self, message: Message, reference: str, recipients: Sequence[Recipient], since: datetime | None
    ) -> Proof | None:
        """
        Look a batch up in its callbacks, and by its tag where those do not show all of it.

        An entry counts for its number if it is a status and no error, of a number of the batch, and not from before its
        claim: ``sending.records`` says how far clocks may differ.
        """
        called: Proof | None = None
        unanswered: DeliveryUnconfirmedError | None = None
        try:
            called = super().find_proof(message, reference, recipients, since)
        except DeliveryUnconfirmedError as error:
            unanswered = error
        tag = self.tag_of(message, reference)
        listed = None
        if tag is not None and (called is None or called.accepted < len(recipients)):
            listed = self._look_up(tag, phone_numbers_of(recipients), since)
        proofs = [proof for proof in (called, listed) if proof is not None]
        if unanswered is not None and not proofs:
            raise unanswered
        return max(proofs, key=lambda proof: proof.accepted, default=None)

    def _look_up(self, tag: str, numbers: Sequence[str], since: datetime | None) -> Proof | None:
        """Read the statuses of a tag, page after page, until every recipient is found."""
        accepted: set[str] = set()
        is_blank = True
        for page in self._pages(tag, smspartner.parse_tag_look_up):
            is_blank = is_blank and page.is_blank
            accepted |= accepted_numbers(
                filter(smspartner.shows_accepted, page.reports), numbers, since=since
            )
            if len(accepted) == len(numbers):
                break
        return None if is_blank else Proof(Evidence.LOOK_UP, len(accepted))

    def _pages(self, tag: str, parse: _ParsePage) -> Iterator[smspartner.StatusPage]:
        """
        Read the pages of a tag, until as many entries as it is said to have were seen, or a page brings nothing new.

        The latter because the name of the paging parameter is inferred: a server that ignores it repeats page 1.
        """
        known: set[object] = set()
        seen = 0
        for number in range(1, MOST_TAG_PAGES + 1):
            page = self._page(tag, None if number == 1 else number, parse)
            yield page
            entries = {(report.phone_number, report.gateway_status, report.at) for report in page.reports}
            seen += page.listed
            if entries <= known or (page.total is not None and seen >= page.total):
                return
            known |= entries

    def _page(
        self, tag: str, page: int | None, parse: _ParsePage, page_parameter: str = "page"
    ) -> smspartner.StatusPage:
        request = checked(
            smspartner.build_bulk_status_by_tag, tag=tag, page=page, page_parameter=page_parameter
        )
        return self.call(request, lambda response: parse(response, tag=tag))

    def known_within(self, message: Message) -> timedelta | None:
        """Return the connection's ``listed_within``."""
        if not isinstance(message, SmsMessage):
            return super().known_within(message)
        return timedelta(seconds=self.extra.listed_within)

    def can_disprove(self, message: Message) -> bool:
        """Say yes for SMS: each accepted send is listed under its tag after a while (inferred)."""
        return isinstance(message, SmsMessage)

    def poll_by_tag(self, tag: str) -> tuple[DeliveryReport, ...]:
        """Ask what became of every recipient of a batch whose id is not known, page after page."""
        pages = self._pages(tag, smspartner.parse_bulk_status_by_tag)
        reports = list(next(pages).reports)
        try:
            reports += [report for page in pages for report in page.reports]
        except RejectedError as error:
            if error.kind is not ErrorKind.NOT_FOUND:  # a page after the last one
                raise
        return tuple(reports)

    def send_sms(
        self,
        to: Any,
        message: str,
        *,
        sender: str | None = None,
        purpose: Purpose = "alert",
        options: Mapping[str, Any] | None = None,
        send_at: datetime | None = None,
        reference: str | None = None,
        callbacks: CallbackUrls | None = None,
    ) -> Receipt:
        """
        Send a text message (``POST /send``, ``/bulk-send`` or ``/vn/send``). Arrives at most once.

        Recipients with personal fields get a text each, from ``{placeholders}`` in ``message``; the option
        ``virtual_number`` sends from a rented long number, to one recipient.

        :param to: a number, a comma-separated text, a list of numbers or of dicts with ``phone_number``; 1 to 500.
        :param message: the text, up to 10 linked SMS.
        :param sender: 3 to 11 letters or digits.
        :param purpose: ``marketing`` appends the STOP text.
        :param options: see :class:`~airflow_provider_voicepartner.gateways.smspartner.SmsOptions`.
        :param send_at: aware and in the future, rounded up to 5 minutes; None sends at once.
        :param reference: our own id of the batch, its ``tag`` there; made up when None.
        :param callbacks: where SMS Partner reports each recipient and each reply.
        """
        sms = SmsMessage(text=message, sender=sender, purpose=purpose, options=options or {})
        return self.send_to(to, sms, send_at=send_at, reference=reference, callbacks=callbacks)

    def get_account(self) -> smspartner.Account:
        """Read the account: its user and what is left (``GET /me``)."""
        return self.call(smspartner.build_me(), smspartner.parse_me)

    def get_message_status(self, message_id: str, phone_number: str) -> tuple[DeliveryReport, ...]:
        """
        Ask what became of one recipient of one message (``GET /message-status``).

        :param message_id: of the receipt.
        :param phone_number: in E.164.
        """
        request = checked(smspartner.build_message_status, message_id=message_id, phone_number=phone_number)
        return self.call(request, smspartner.parse_message_status)

    def get_statuses(self, messages: Sequence[tuple[str, str]]) -> tuple[DeliveryReport, ...]:
        """
        Ask about up to 500 recipients of any messages (``POST /multi-status``).

        :param messages: pairs of message id and number in E.164.
        """
        return self.call(
            checked(smspartner.build_multi_status, messages=messages), smspartner.parse_multi_status
        )

    def get_bulk_status(self, message_id: str) -> tuple[DeliveryReport, ...]:
        """Ask what became of every recipient of a message (``GET /bulk-status``)."""
        return self.call(
            checked(smspartner.build_bulk_status, message_id=message_id), smspartner.parse_bulk_status
        )

    def poll_delivery(self, gateway_id: str) -> tuple[DeliveryReport, ...]:
        """Ask what became of every recipient of a batch: :meth:`get_bulk_status`."""
        return self.get_bulk_status(gateway_id)

    def poll_recipients(self, recipients: Sequence[tuple[str, str]]) -> tuple[DeliveryReport, ...]:
        """Ask what became of up to 500 recipients of any batches: :meth:`get_statuses`."""
        return self.get_statuses(recipients)

    def get_status_by_tag(
        self, tag: str, *, page: int | None = None, page_parameter: str = "page"
    ) -> smspartner.StatusPage:
        """
        Ask what became of every message with a tag (``GET /bulk-status-by-tag``).

        :param tag: our reference, or the user's tag, a hyphen and our reference.
        :param page: from 1; paging is not documented beyond the answer's counters.
        :param page_parameter: the name of the paging parameter, which is inferred.
        """
        return self._page(tag, page, smspartner.parse_bulk_status_by_tag, page_parameter)

    def cancel(self, message_id: str) -> Cancellation:
        """Take back a scheduled message, until 5 minutes before its time (``GET /message-cancel``)."""
        return self.cancel_campaign(message_id, kind="sms")

    def list_stops(self) -> smspartner.StopList:
        """List the numbers that said STOP (``GET /stop-sms/list``)."""
        return self.call(smspartner.build_stop_list(), smspartner.parse_stop_list)

    def add_stop(self, phone_number: str) -> smspartner.StopAddition:
        """Put a number, in E.164, on the STOP list (``POST /stop-sms/add``)."""
        return self.call(
            checked(smspartner.build_stop_add, phone_number=phone_number), smspartner.parse_stop_add
        )

    def delete_stop(self, stop_id: str) -> smspartner.StopRemoval:
        """Take an entry off the STOP list, by its id in the list (``GET /stop-sms/delete``, a GET that changes)."""
        return self.call(checked(smspartner.build_stop_delete, stop_id=stop_id), smspartner.parse_stop_delete)
