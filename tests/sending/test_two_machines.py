"""Attempts on two machines that share no store, before Airflow 3.3: what one does not know of, it does not send."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.exceptions import RetryableNotSentError, SendOutcomeUnknownError
from airflow_provider_voicepartner.sending.campaign import CampaignSender
from airflow_provider_voicepartner.sending.ledger import Ledger, Try
from airflow_provider_voicepartner.sending.store_memory import StoreMemory, TaskInstanceKey
from tests.support.doubts import doubts_in
from tests.support.hostile import BATCHES, NOW, Gateway, campaign
from tests.support.hostile_memories import CrashError, Crashes

TASK = TaskInstanceKey("crash", "run", "send")


@pytest.fixture
def machines() -> tuple[Store, Store]:
    """Return the stores of two machines."""
    return open_store("sqlite://"), open_store("sqlite://")


class Refusing(Gateway):
    """Takes nothing now."""

    def deliver(self, request: Any, message: Any, recipients: Any, **more: Any) -> Any:
        """Refuse for the moment."""
        raise RetryableNotSentError("come back later")


def attempt(store: Store, try_number: int, gateway: Gateway, **settings: Any) -> None:
    """Run one attempt on the machine of a store."""
    ledger = Ledger([StoreMemory(store, TASK)], Try(try_number), store=str(id(store)))
    ledger.register()
    sender = CampaignSender(transport=gateway, ledger=ledger, now=lambda: NOW, sleep=lambda seconds: None)
    sender.send(replace(campaign(), **settings))


def test_a_refusal_that_one_machine_knows_is_older_than_what_another_sent(
    machines: tuple[Store, Store],
) -> None:
    here, there = machines
    gateway = Gateway(Crashes())
    with pytest.raises(RetryableNotSentError):
        attempt(here, 1, Refusing(Crashes()))
    attempt(there, 2, gateway, on_unknown="resend")
    assert set(gateway.messaged.values()) == {1}
    with pytest.raises(
        SendOutcomeUnknownError, match=r"try 2 of this task left no trace.*store_url"
    ) as caught:
        attempt(here, 3, gateway)
    assert doubts_in(str(caught.value)) == set(range(BATCHES))
    assert set(gateway.messaged.values()) == {1}


def test_a_doubt_that_one_machine_knows_says_that_another_may_know_more(
    machines: tuple[Store, Store],
) -> None:
    here, there = machines
    gateway = Gateway(Crashes(points=frozenset({2 * BATCHES - 1})))  # after the last batch was taken
    with pytest.raises(CrashError):
        attempt(here, 1, gateway)
    gateway.crashes.is_dead = False
    with pytest.raises(SendOutcomeUnknownError):
        attempt(there, 2, gateway)
    with pytest.raises(SendOutcomeUnknownError, match=r"try 2 of this task left no trace.*store_url"):
        attempt(here, 3, gateway)
    assert set(gateway.messaged.values()) == {1}


def test_send_again_is_not_followed_where_another_machine_may_have_followed_it(
    machines: tuple[Store, Store],
) -> None:
    here, there = machines
    gateway = Gateway(Crashes())
    attempt(here, 1, gateway)
    with pytest.raises(SendOutcomeUnknownError, match="store_url"):
        attempt(there, 2, gateway, send_again="x")
    assert set(gateway.messaged.values()) == {1}
