"""What one task sends, batch by batch, and with what; and what becomes of batches once a planned time has passed."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Generic, Literal, Protocol, TypeVar

from airflow_provider_voicepartner.constants import MAX_IN_FLIGHT
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.sending.cancellation import CancellationToken
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.sending.ledger import Ledger, OnUnknown
from airflow_provider_voicepartner.sending.transport import BatchTransport, NoLimit, RateLimiter

log = logging.getLogger(__name__)

Item = TypeVar("Item")
OnLate = Literal["fail", "send_now"]


class Batches(Protocol):
    """The recipients of a campaign in batches, always cut in the same way."""

    def __len__(self) -> int:
        """How many batches."""

    def __iter__(self) -> Iterator[Sequence[Recipient]]:
        """Batch by batch, from the first."""


class ReadAhead(Iterator[Item], Generic[Item]):
    """
    Items in their order, some of them read before they are needed: batches, while answers are awaited.

    After an answer the next request then leaves without delay.

    :param items: read one by one, in the thread that asks.
    :param most: how many are read ahead.
    """

    def __init__(self, items: Iterator[Item], most: int) -> None:
        self._items = items
        self._most = most
        self._ready: deque[Item] = deque()
        self._error: Exception | None = None
        self._is_over = False

    def read_one(self) -> bool:
        """
        Read one more item; an error is raised once the items before it were given out.

        :returns: False when enough are ready, or there is nothing left to read.
        """
        if self._is_over or len(self._ready) >= self._most:
            return False
        try:
            self._ready.append(next(self._items))
        except StopIteration:
            self._is_over = True
        except Exception as error:
            self._error, self._is_over = error, True
        return not self._is_over

    @property
    def ready(self) -> Collection[Item]:
        """The items that were read and not given out yet."""
        return self._ready

    def __next__(self) -> Item:
        """Return the next item; read it if it is not ready."""
        if not self._ready:
            self.read_one()
        if self._ready:
            return self._ready.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """
    What one task sends.

    :param message: what is said.
    :param batches: 1 to 500 recipients each, all different.
    :param fingerprint: of all that; a retry that would send something else is recognised by it.
    :param account: its own key for hashes, see :func:`~airflow_provider_voicepartner.sending.fingerprint.account_key`.
    :param names: whom the names of groups and rotas mean among the recipients: names of people.
    :param recipients: how many there are in all batches together.
    :param send_at: aware; None sends at once.
    :param on_late: what to do with batches that have not left when ``send_at`` passes: ``fail``, or ``send_now``.
    :param max_cost: stop before this price is passed; None has no limit.
    :param unit_price: price of one SMS segment or one call, for gateways that cannot tell before sending.
    :param size_of: returns a batch's recipients, from its index; None where that is known only of those that are read.
    :param segments_per_batch: returns a batch's SMS segments, which it is priced by, from its index: in each way to
        count them, the most likely first. None prices each recipient as one.
    :param on_unknown: what to do with a batch that is in doubt.
    :param send_again: any text; everything is sent again, once, if it is none that the ledger knows.
    :param max_in_flight: batches under way at once.
    :param longest_wait: seconds to wait for the rate limit; beyond it the campaign is handed back. None always waits.
    :param shortest_lead: how long before ``send_at`` a batch must reach the gateway; one that cannot is late.
    """

    message: Message
    batches: Batches
    recipients: int
    fingerprint: str
    account: bytes = field(default=b"", repr=False)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    send_at: datetime | None = None
    on_late: OnLate = "fail"
    max_cost: Decimal | None = None
    unit_price: Decimal | None = None
    size_of: Callable[[int], int] | None = None
    segments_per_batch: Callable[[int], Sequence[int]] | None = None
    on_unknown: OnUnknown = "fail"
    send_again: str | None = None
    max_in_flight: int = MAX_IN_FLIGHT
    longest_wait: float | None = None
    shortest_lead: timedelta = timedelta(0)


@dataclass(kw_only=True)
class SendingTools:
    """
    What a campaign is sent with.

    :param transport: the hook; must bear several threads.
    :param ledger: registered before the campaign was planned; opened by :meth:`send`.
    :param rate_limiter: the gateway's rate limit.
    :param now: the present, aware; injected by tests.
    :param reference: makes the id of a batch; injected by tests.
    :param sleep: waits; injected by tests.
    :param clock: seconds that only go forward; injected by tests.
    :param stop: cancelled to stop the campaign, also by a campaign that fails; the transport must check it.
    :param is_dry_run: the transport sends nothing, which an error says.
    """

    transport: BatchTransport
    ledger: Ledger
    now: Callable[[], datetime]
    rate_limiter: RateLimiter = field(default_factory=NoLimit)
    reference: Callable[[], str] = new_reference
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    stop: CancellationToken = field(default_factory=CancellationToken)
    is_dry_run: bool = False


class Schedule:
    """
    Says for when a batch is to be sent.

    The planned time is a part of what is sent, so it stays what it was: a retry with another one would be refused.

    :param campaign: with its planned time, and what to do once it has passed.
    :param ledger: knows how much was sent for that time.
    :param now: the present, aware.
    """

    def __init__(self, campaign: Campaign, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._campaign = campaign
        self._ledger = ledger
        self._now = now
        self._is_logged = False

    def for_repeats(self) -> datetime | None:
        """Return the planned time; None where it has passed and what is left may leave at once."""
        return None if self.is_late and self._campaign.on_late == "send_now" else self._campaign.send_at

    @property
    def is_late(self) -> bool:
        """True where the gateway would no longer take a batch for the planned time."""
        planned = self._campaign.send_at
        return planned is not None and planned - self._campaign.shortest_lead <= self._now()

    def for_next(self) -> datetime | None:
        """
        Return for when the next batch is to be sent, None for at once.

        :raises ConfigurationError: the planned time has passed, and ``on_late`` is ``fail``.
        """
        if self.is_late and self._campaign.on_late == "fail":
            raise ConfigurationError(self._refusal())
        if self.is_late and not self._is_logged:
            self._is_logged = True
            log.warning(
                "send_at %s; the batches that are left are sent now (on_late='send_now')",
                self._how_late("has passed"),
            )
        return self.for_repeats()

    def _refusal(self) -> str:
        batches, planned = len(self._campaign.batches), self._campaign.send_at
        when = planned.isoformat() if planned else ""
        sent = sum(not record.reached_nobody for _, record in self._ledger.known())
        if not sent:
            return (
                f"send_at: {when} {self._how_late('is in the past')}, and nothing was sent; give a later date, or "
                "leave it out (or set on_late='send_now') to send at once"
            )
        return (
            f"send_at: {when} {self._how_late('has passed')}, and {batches - sent} of {batches} batches had not "
            "been sent. To send them now, set on_late='send_now' and clear the task. Do not change send_at: with "
            "another one nothing more is sent"
        )

    def _how_late(self, passed: str) -> str:
        planned, lead = self._campaign.send_at, self._campaign.shortest_lead
        if planned is None or planned <= self._now():
            return passed
        return f"is less than {lead.total_seconds() / 60:g} minutes ahead, which is the least that the gateway takes"
