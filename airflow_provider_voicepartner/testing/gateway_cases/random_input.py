"""Answers and callbacks that hypothesis makes up: whatever comes in, every recipient is accounted for once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import (
    GatewayError,
    InvalidCallbackError,
)
from airflow_provider_voicepartner.gateways.model import (
    Receipt,
    Recipient,
)
from airflow_provider_voicepartner.gateways.wire import CallbackRequest
from airflow_provider_voicepartner.testing.gateway_cases.samples import (
    ANNA,
    NUMBER,
    RECIPIENTS,
    Cases,
    answer,
    with_value,
)

_SHARED: Final = (HealthCheck.differing_executors,)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def mutated(good: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[bytes]:
    keys = sorted({key for shape in good for key in shape} | {"code", "message", "error", "errors"})
    changes = st.dictionaries(st.sampled_from(keys), ANY_JSON, max_size=4)
    changed = st.builds(lambda shape, change: {**shape, **change}, st.sampled_from(good), changes)
    return st.one_of(
        st.binary(max_size=120),
        ANY_JSON.map(lambda data: json.dumps(data).encode()),
        changed.map(lambda data: json.dumps(data).encode()),
        changed.map(lambda data: json.dumps(data).encode()[:-3]),
        changed.map(lambda data: urlencode(data, errors="replace").encode()),
    )


def check_receipt(receipt: Receipt, recipients: list[Recipient]) -> None:
    """Everybody is accounted for once, and whoever is named is one of them."""
    assert receipt.accepted >= 0
    assert receipt.in_doubt >= 0
    assert receipt.accepted + len(receipt.refused) + receipt.in_doubt == len(recipients), (
        f"parse_batch: accepted, refused and in_doubt add up to the batch of {len(recipients)}, or raise; is "
        "INFO.most_recipients right?"
    )
    named = [refused.phone_number for refused in receipt.refused if refused.phone_number]
    assert len(named) == len(set(named))
    assert set(named) <= {recipient.phone_number for recipient in recipients}
    assert receipt.cost is None or receipt.cost > 0
    if receipt.gateway_id is None:
        assert len(named) == len(recipients)
    else:
        assert receipt.gateway_id.strip()


LISTED = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "success": st.sampled_from([True, False, 1, "true", None, "maybe"]),
            "code": st.sampled_from([200, 9, 13, 14, "14", 11, 44, 500, 777, None]),
            "phoneNumber": st.sampled_from(["0600000001", "+33600000002", "33600000003", "+33600000004",
                                            "+33600000005", "+33699999999", "x", None]),
            "nbSms": st.sampled_from([0, 1, 2, -1, "1"]),
            "elementId": st.just("children[sender].data"),
        },
    ),
    max_size=8,
)  # fmt: skip
COUNTS = st.sampled_from([None, -1, 0, 1, 3, 5, 9, "4", "x", 1.5, True])


class WhateverIsListedCases(Cases):
    @settings(max_examples=300, deadline=None, suppress_health_check=_SHARED)
    @given(
        flag=st.sampled_from([True, False, None]),
        code=st.sampled_from([200, 55, 14, 9, 11, None]),
        id_=st.sampled_from([8123456, None]),
        errors=LISTED,
        entries=st.one_of(st.none(), LISTED),
        count=COUNTS,
        status=st.sampled_from([200, 201, 400, 429, 500]),
    )
    def test_everybody_is_accounted_for_once(
        self, flag: Any, code: Any, id_: Any, errors: Any, entries: Any, count: Any, status: int
    ) -> None:
        data = {"success": flag, "code": code, "errors": errors, "SMSResponse_List": entries}
        for sample in self.samples:
            named = with_value(data, sample.id_key, id_)
            counted = named if sample.count_key is None else with_value(named, sample.count_key, count)
            response = answer(counted, status)
            for message in (sample.message, sample.personal or sample.message):
                for recipients in (RECIPIENTS[:1], sample.recipients):
                    with suppress(GatewayError):
                        check_receipt(sample.gateway.parse_batch(response, message, recipients), recipients)


class AnythingAtAllCases(Cases):
    @settings(max_examples=60, deadline=None, suppress_health_check=_SHARED)
    @given(
        data=st.data(),
        status=st.sampled_from([200, 201, 204, 301, 302, 400, 401, 402, 404, 408, 429, 500, 503]),
    )
    def test_answers(self, data: st.DataObject, status: int) -> None:
        body = data.draw(mutated([*(sample.sent for sample in self.samples), self.balance]))
        response = answer(body, status)
        for sample in self.samples:
            for recipients in ([ANNA], sample.recipients):
                with suppress(GatewayError):
                    check_receipt(
                        sample.gateway.parse_batch(response, sample.message, recipients), recipients
                    )
        with suppress(GatewayError):
            assert self.gateway.parse_balance(response).amount.is_finite()
        with suppress(GatewayError):
            assert self.gateway.parse_cancel(response, "8123456").gateway_id == "8123456"

    @settings(max_examples=60, deadline=None, suppress_health_check=_SHARED)
    @given(data=st.data(), query=st.text(max_size=40), content_type=st.text(max_size=10))
    def test_callbacks(self, data: st.DataObject, query: str, content_type: str) -> None:
        body = data.draw(mutated([self.reported or {"status": "delivered", "phone": NUMBER}]))
        callback = CallbackRequest(method="POST", body=body, query=query, content_type=content_type)
        with suppress(InvalidCallbackError):
            assert self.gateway.parse_callback(callback)
