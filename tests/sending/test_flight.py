"""A batch that was in doubt once is never called refused: the first time it may have arrived."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.sending.ledger import PLAN_KEY, key_of
from tests.sending.test_campaign import SIZE, attempt, campaign, first_of, phases, record_of
from tests.support.messenger import NOW, FakeMessenger
from tests.support.tasks import FakeStore

LOST = SendOutcomeUnknownError("lost")
ENDINGS = {
    "refused": RejectedError("no credit", kind=ErrorKind.CREDIT),
    "refused for now": RetryableNotSentError("429"),
    "unusable": ConfigurationError("cannot be put on the wire"),
    "interrupted": CampaignInterruptedError("stopped in a wait for the rate limit"),
}
NO_EVIDENCE = RejectedError("maintenance")
"""The repeat is refused for another reason, which proves nothing."""


def taken_and_lost(store: Any, batch: int = 0, **gateway: Any) -> FakeMessenger:
    """Run a first attempt of which the gateway takes a batch, while no answer and no evidence comes back."""
    messenger = FakeMessenger(lost={first_of(batch): LOST}, **gateway)
    if messenger.recognises:
        messenger.repeats_safely = lambda age: False  # type: ignore[method-assign]
    with pytest.raises(SendOutcomeUnknownError):
        attempt(messenger, store, campaign(batch + 1))
    if messenger.recognises:
        del messenger.repeats_safely
    assert phases(store)[batch] == "claimed"
    assert messenger.messaged[first_of(batch)] == 1
    return messenger


@pytest.mark.parametrize("recognises", [False, True], ids=["no evidence", "recognises repeats"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_doubt_that_is_sent_again_and_does_not_get_through_stays_the_same_doubt(
    ending: str, recognises: bool
) -> None:
    store = FakeStore()
    messenger = taken_and_lost(store, recognises=recognises)
    before = record_of(store, 0)
    failure = ENDINGS[ending]
    messenger.trouble[first_of(0)] = [NO_EVIDENCE, failure] if recognises else [failure]
    later = NOW + timedelta(minutes=5)
    with pytest.raises(type(failure)):
        attempt(messenger, store, campaign(1, on_unknown="resend"), try_number=2, now=lambda: later)
    assert record_of(store, 0) == before  # its reference and its moment, too
    if recognises:
        [record] = attempt(messenger, store, campaign(1), try_number=3)
        assert record.reference == before["reference"]
    else:
        with pytest.raises(SendOutcomeUnknownError, match=before["reference"]):
            attempt(messenger, store, campaign(1), try_number=3)
    assert set(messenger.messaged.values()) == {1}


class Forgetful(FakeStore):
    """Loses writes to one key, as many as it is told."""

    losses = 0

    def set(self, key: str, value: Any, **more: Any) -> None:
        if key == key_of(50) and self.losses:
            self.losses -= 1
            raise ConnectionError("the state store is gone")
        super().set(key, value, **more)


@pytest.mark.parametrize("recognises", [False, True], ids=["no evidence", "recognises repeats"])
def test_a_claim_that_is_taken_back_leaves_the_doubt_that_was_there_before(recognises: bool) -> None:
    """Two claims on two pages are two writes; the first holds a batch in doubt, and the second fails."""
    store = Forgetful()
    messenger = taken_and_lost(store, 49, recognises=recognises)
    store.values[PLAN_KEY]["batches"] = 51
    store.values[PLAN_KEY]["fingerprint"] = fingerprint_of(51)
    before = record_of(store, 49)
    store.losses = 1
    if recognises:
        messenger.trouble[first_of(49)] = [NO_EVIDENCE]
    wanted = campaign(51, on_unknown="resend", max_in_flight=2)
    with pytest.raises(ConnectionError):
        attempt(messenger, store, wanted, try_number=2)
    assert record_of(store, 49) == before
    assert phases(store).get(50) in (None, "refused")
    assert messenger.messaged[first_of(49)] == 1
    if recognises:
        attempt(messenger, store, campaign(51), try_number=3)
        assert set(messenger.messaged.values()) == {1}
        assert len(messenger.messaged) == 51 * SIZE
    else:
        with pytest.raises(SendOutcomeUnknownError, match="batch 50 "):
            attempt(messenger, store, campaign(51), try_number=3)
        assert messenger.messaged[first_of(49)] == 1


def fingerprint_of(batches: int) -> str:
    """Return the fingerprint of a campaign of so many batches, as an attempt records it."""
    store = FakeStore(fenced=False)
    attempt(FakeMessenger(), store, campaign(batches))
    return str(store.values[PLAN_KEY]["fingerprint"])


def test_a_repeat_is_recognised_for_as_long_as_the_first_request_is_and_no_longer() -> None:
    """Each attempt keeps the reference, so the gateway's day begins with the first one and not with the last."""
    store = FakeStore()
    messenger = taken_and_lost(store, recognises=True)
    claimed_at = record_of(store, 0)["at"]
    for number, hours in ((2, 12), (3, 22)):
        # No answer to the repeat, to the resend, to the same two after it, nor to a last repeat.
        messenger.trouble[first_of(0)] = [LOST] * 5
        with pytest.raises(SendOutcomeUnknownError):
            attempt(
                messenger, store, campaign(1, on_unknown="resend"), try_number=number,
                now=lambda hours=hours: NOW + timedelta(hours=hours),
            )  # fmt: skip
        assert record_of(store, 0)["at"] == claimed_at
    # A day after the first request the gateway has forgotten it, and would take a repeat for something new.
    messenger.trouble.clear()
    messenger.taken.clear()
    with pytest.raises(SendOutcomeUnknownError, match="in doubt"):
        attempt(messenger, store, campaign(1), try_number=4, now=lambda: NOW + timedelta(hours=25))
    assert set(messenger.messaged.values()) == {1}


def test_a_batch_that_was_refused_is_claimed_anew_with_a_moment_of_its_own() -> None:
    store, messenger = FakeStore(), FakeMessenger(failures=[RetryableNotSentError("429")])
    with pytest.raises(RetryableNotSentError):
        attempt(messenger, store, campaign(1))
    later = NOW + timedelta(hours=30)
    seen: list[dict[str, Any]] = []
    messenger.check = lambda first: seen.append(record_of(store, 0))
    attempt(messenger, store, campaign(1), try_number=2, now=lambda: later)
    assert [datetime.fromisoformat(record["at"]) for record in seen] == [later]
