"""Campaigns of a few people, and attempts at them, for tests of the loop that sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.campaign_spec import Campaign
from airflow_provider_voicepartner.sending.cancellation import CancellationToken
from airflow_provider_voicepartner.sending.records import BatchRecord, Memory
from tests.support.fingerprints import fingerprint
from tests.support.ledgers import known, registered
from tests.support.transport import NOW, FakeRateLimiter, FakeTransport

KEY, TEXT = "planted-key-4711", "Le texte planté de Zoé"
CREDENTIALS = Credentials(api_key=KEY)
SIZE = 2
"""Recipients a batch: the loop does not care, and 500 are tried elsewhere."""


def people(count: int, start: int = 0) -> tuple[Recipient, ...]:
    """Return so many different people, from one on."""
    return tuple(Recipient(f"+336{start + index:08}", {"name": "Zoé"}) for index in range(count))


def first_of(batch: int) -> str:
    """Return the first number of a batch."""
    return people(1, batch * SIZE)[0].phone_number


def campaign(batches: int = 3, start: int = 0, **settings: Any) -> Campaign:
    """Return a campaign of so many batches, one under way at once unless the test says otherwise."""
    everybody = people(batches * SIZE, start)
    cut = tuple(everybody[at : at + SIZE] for at in range(0, len(everybody), SIZE))
    return of_batches(cut, **{"max_in_flight": 1, **settings})


def of_batches(batches: Any, **settings: Any) -> Campaign:
    """Return a campaign of given batches."""
    message = SmsMessage(text=TEXT)
    everybody = [recipient for batch in batches for recipient in batch]
    mark = fingerprint("smspartner", CREDENTIALS, message, everybody, settings.get("send_at"))
    return Campaign(
        message=message,
        batches=batches,
        recipients=len(everybody),
        fingerprint=mark,
        size_of=lambda index: len(batches[index]),
        **settings,
    )


def attempt(
    transport: Any,
    state: Any,
    campaign: Campaign,
    *,
    try_number: int = 1,
    memories: Sequence[Memory] = (),
    **settings: Any,
) -> list[BatchRecord]:
    """
    Make one attempt at a campaign, with what earlier ones left.

    :param state: Airflow's task state store; None before Airflow 3.3.
    :param memories: others.
    """
    ledger = registered(state, *memories, try_number=try_number)
    settings = {"now": lambda: NOW, "sleep": lambda seconds: None} | settings
    return CampaignSender(transport=transport, ledger=ledger, **settings).send(campaign)


def paced(
    rate_limiter: FakeRateLimiter, transport: FakeTransport, state: Any, wanted: Campaign, **settings: Any
) -> list[BatchRecord]:
    """Make one attempt under a rate limit, by a clock that moves only when somebody sleeps."""
    time = rate_limiter.time
    settings = {"sleep": time.sleep} | settings
    return attempt(
        transport,
        state,
        wanted,
        rate_limiter=rate_limiter,
        clock=lambda: time.moment,
        now=time.now,
        **settings,
    )


def record_of(state: Any, index: int) -> dict[str, Any]:
    """Return what is kept of a batch."""
    return known(state)[index].to_json()


def stopping(stop: CancellationToken, batch: int) -> Callable[[str], None]:
    """Return a check that cancels while a batch is delivered."""

    def check(first: str) -> None:
        if first == first_of(batch):
            stop.cancel()

    return check
