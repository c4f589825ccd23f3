"""Whoever has no URL of ours stores nothing, and learns nothing from the answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.delivery.tokens import CallbackTokens
from airflow_provider_voicepartner.gateways import GATEWAYS
from tests.support.examples import examples
from tests.support.receiver import PREFIX, SECRET, RunningReceiver, running_receiver

REPORTS = {
    "smspartner": {"status": "delivered", "msgId": "1", "phone": "+33600000001"},
    "voicepartner": {"status": "delivered", "campaignId": "1", "phoneNumber": "+33600000001"},
    "octopush": {"status": "DELIVERED", "message_id": "1", "number": "+33600000001", "delivery_date": ""},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    """Return one receiver for all forgeries: after each of them its store is still empty."""
    with running_receiver(f"sqlite:///{tmp_path_factory.mktemp('forgery') / 'store.db'}") as running:
        yield running


def forge(receiver: RunningReceiver, gateway: str, token: str) -> None:
    """Report with a token, and see it refused as all others are."""
    path = f"{PREFIX}/callbacks/{quote(gateway, safe='')}/{quote(token, safe='')}"
    answer = receiver.post(path, REPORTS.get(gateway, {}))
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    assert (answer.status, answer.body, headers) == (404, b"", {"content-length": "0"})
    assert receiver.stored() == 0


def test_every_flipped_bit_and_every_truncation_is_refused(shared: RunningReceiver) -> None:
    token = shared.batch_path("smspartner").rpartition("/")[2]
    for place, letter in enumerate(token):
        forge(
            shared, "smspartner", f"{token[:place]}{chr(ord(letter) ^ (1 << place % 7))}{token[place + 1 :]}"
        )
        forge(shared, "smspartner", token[:place] or "x")


@pytest.mark.parametrize("own", GATEWAYS)
@pytest.mark.parametrize("other", GATEWAYS)
def test_a_token_opens_nothing_of_another_gateway(own: str, other: str, shared: RunningReceiver) -> None:
    if own != other:
        forge(shared, other, shared.batch_path(own).rpartition("/")[2])
        forge(shared, other, shared.account_path(gateway=own).rpartition("/")[2])


def test_halves_of_two_batches_tokens_are_refused(shared: RunningReceiver) -> None:
    one, other = (shared.batch_path("smspartner", name).rpartition("/")[2] for name in ("a" * 12, "b" * 12))
    forge(shared, "smspartner", f"{one.partition('.')[0]}.{other.partition('.')[2]}")


def test_an_ended_a_foreign_and_an_unknown_gateways_token_are_refused_alike(shared: RunningReceiver) -> None:
    ends = datetime.now(UTC) + timedelta(days=1)
    forge(shared, "smspartner", shared.batch_path("smspartner", days=-1).rpartition("/")[2])
    stranger = CallbackTokens(["the secret of somebody else"])
    forge(shared, "smspartner", stranger.for_batch("smspartner", "k3v9x0q2w7ha", expires=ends))
    forge(shared, "nobody", CallbackTokens([SECRET]).for_batch("nobody", "k3v9x0q2w7ha", expires=ends))


@settings(max_examples=examples(60), deadline=None)
@given(gateway=st.sampled_from(GATEWAYS) | st.text(min_size=1), token=st.text(min_size=1, max_size=200))
def test_any_text_is_refused(gateway: str, token: str, shared: RunningReceiver) -> None:
    usable = all(not "\ud800" <= letter <= "\udfff" for letter in gateway + token)
    if usable and gateway not in (".", "..") and token not in (".", ".."):
        path = f"{PREFIX}/callbacks/{quote(gateway, safe='')}/{quote(token, safe='')}"
        answer = shared.send("POST", path, json.dumps(REPORTS["smspartner"]).encode())
        assert (answer.status, answer.body) == (404, b"")
        assert shared.stored() == 0


@pytest.mark.parametrize(
    "path", ["", "/", "/callbacks", "/callbacks/smspartner", "/callbacks/smspartner/", "/callbacks/a/b/c"]
)
def test_other_paths_are_not_there(path: str, shared: RunningReceiver) -> None:
    answer = shared.send("POST", f"{PREFIX}{path}", b"{}")
    assert (answer.status, answer.body) == (404, b"")


def test_a_wrong_token_is_refused_before_its_body_is_read(shared: RunningReceiver) -> None:
    answer = shared.send("POST", f"{PREFIX}/callbacks/smspartner/{secrets.token_urlsafe(60)}", b"x" * 200_000)
    assert answer.status == 404
