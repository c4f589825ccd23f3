"""Whatever comes in at an address of ours: never a 500, and nothing of it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import GATEWAYS
from tests.support.examples import examples
from tests.support.receiver import RunningReceiver, running_receiver

NAMES = [
    "status", "statut", "msgId", "phone", "phone_number", "phoneNumber", "number", "type", "text", "msisdn", "to",
    "message-timestamp", "concat", "concat-part", "concat-total", "concat-ref", "date", "cost", "tag", "stopSms",
    "campaignId", "additionnal_status", "sendAt", "doneAt", "duration", "audioFileComplementaire", "campaign_token",
    "campaign_id", "delivered_quantity", "total_quantity", "message_id", "delivery_date", "reception_date",
    "answer_date", "stop_date", "meta_data", "metadata", "unit_price", "call_duration", "pressed_keys_code", "mccMnc",
]  # fmt: skip
WORDS = [
    "delivered",
    "DELIVERED",
    "stop",
    "response",
    "+33600000001",
    "0033600000001",
    "2031-05-06 14:15:02",
    "1",
    "0",
]

words = st.sampled_from(WORDS) | st.text(max_size=40)
numbers = st.integers() | st.floats() | st.sampled_from([2**63, 10**30, -1])
plain = words | numbers | st.booleans() | st.none()
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


def multipart(fields: dict[str, str]) -> bytes:
    """Write fields as ``multipart/form-data`` with the boundary ``x``."""
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    return "".join([*parts, "--x--\r\n"]).encode("utf-8", "replace")


reports = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=20), values, max_size=12)
bodies = (
    reports.map(lambda report: json.dumps(report).encode())
    | reports.map(lambda report: json.dumps(report, ensure_ascii=False).encode("utf-8", "replace"))
    | st.dictionaries(st.sampled_from(NAMES), words, max_size=12).map(
        lambda form: urlencode(form, errors="replace").encode()
    )
    | st.dictionaries(st.sampled_from(NAMES), words, max_size=12).map(multipart)
    | st.binary(max_size=300)
)
content_types = st.sampled_from(
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/html",
        "",
        "é/ü;=",
    ]
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    """Return one receiver for all that is thrown at it."""
    with running_receiver(f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'store.db'}") as running:
        yield running


def kept(receiver: RunningReceiver) -> int:
    """Return how often anything was written; a repeat changes no row, but is written."""
    return receiver.receiver.writer.counts.written


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(gateway=st.sampled_from(GATEWAYS), method=st.sampled_from(["GET", "POST"]), body=bodies, said=content_types,
       query=st.dictionaries(st.sampled_from(NAMES), words, max_size=6), account=st.booleans())  # fmt: skip
def test_any_body_is_kept_one_way_or_another(
    gateway: str,
    method: str,
    body: bytes,
    said: str,
    query: dict[str, str],
    account: bool,
    fuzzed: RunningReceiver,
) -> None:
    path = fuzzed.account_path(gateway=gateway) if account else fuzzed.batch_path(gateway)
    before = kept(fuzzed)
    answer = fuzzed.send(
        method,
        f"{path}?{quote(urlencode(query, errors='replace'), safe='=&+%')}",
        body,
        said.encode("utf-8").decode("latin-1"),
    )
    assert (answer.status, answer.body) == (200, b"")
    assert kept(fuzzed) > before
    assert fuzzed.receiver.counts.of("not_kept") == 0
