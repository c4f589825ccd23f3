"""What a gateway makes of callbacks."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import CallbackRequest
from airflow_provider_voicepartner.testing.gateway_cases.samples import (
    KEY,
    NUMBER,
    TEXT,
    UNREADABLE,
    Cases,
)


class CallbackCases(Cases):
    @pytest.mark.parametrize("encoding", ["json", "form"])
    def test_a_delivery_report(self, gateway: Gateway, encoding: str) -> None:
        if self.reported is None:
            return
        fields = {**self.reported, "brand_new": "1"}
        body = json.dumps(fields) if encoding == "json" else urlencode(fields)
        for content_type in ("", "application/json", "application/x-www-form-urlencoded"):
            callback = CallbackRequest(method="POST", body=body.encode(), content_type=content_type)
            (report,) = gateway.parse_callback(callback)
            assert isinstance(report, DeliveryReport)
            assert (report.gateway, report.phone_number) == (gateway.INFO.name, NUMBER)
            assert report.status is DeliveryStatus.DELIVERED
            assert (report.at is not None) is self.reports_are_dated
            assert report.at is None or report.at.utcoffset() is not None
            assert report.raw["brand_new"] == "1"
            assert "99887766" not in repr(report)

    def test_an_unknown_word_is_pending(self, gateway: Gateway) -> None:
        if self.reported is None:
            return
        fields = {**self.reported, self.status_key: "brand new word"}
        (report,) = gateway.parse_callback(CallbackRequest(method="POST", body=json.dumps(fields).encode()))
        assert isinstance(report, DeliveryReport)
        assert report.status is DeliveryStatus.PENDING
        assert report.gateway_status == "brand new word"

    @pytest.mark.parametrize("name", UNREADABLE)
    def test_what_is_no_callback(self, gateway: Gateway, name: str) -> None:
        with pytest.raises(InvalidCallbackError) as caught:
            gateway.parse_callback(CallbackRequest(method="POST", body=UNREADABLE[name]))
        assert not any(secret in str(caught.value) for secret in (KEY, TEXT, "99887766"))
