"""Answers of SMS Partner, read as the hook reads them."""

from __future__ import annotations

import json

import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import GatewayError
from airflow_provider_voicepartner.gateways.wire import ApiResponse

NUMBERS = ["+33600000001", "+33600000002"]
QUEUED = {"success": True, "code": 200, "message": "Request queued for processing"}


def answer(body: object, status: int = 200, private: tuple[str, ...] = ()) -> ApiResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiResponse(status=status, body=raw, private=private)


def send(body: object, status: int = 200, numbers=NUMBERS):
    return smspartner.parse_send(answer(body, status), phone_numbers=numbers)


def failure(parse, *args, **kwargs) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        parse(*args, **kwargs)
    return caught.value
