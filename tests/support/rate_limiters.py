"""Rate limiters of one account under one clock, and requests and answers to show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.hooks.rate_limiter import StoreRateLimiter
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from tests.support.servers import FakeTime

START = 1_900_000_000.0


def hook_of(set_connection: Callable[..., str], gateway: str = "smspartner", **extra: Any) -> Any:
    set_connection(gateway, extra=json.dumps(extra))
    return {"smspartner": SmsPartnerHook, "voicepartner": VoicePartnerHook}[gateway]()


class Shop:
    """Rate limiters that share one store, as several workers do, under one clock."""

    def __init__(self, url: str) -> None:
        self.time = FakeTime(START)
        self.url = url
        self.opened: list[StoreRateLimiter] = []

    def rate_limiter(self, hook: Any, **settings: Any) -> StoreRateLimiter:
        hook.sender.now = self.time.now
        opened = StoreRateLimiter(open_store(self.url, clock=lambda: self.time.moment), hook, **settings)
        self.opened.append(opened)
        return opened


def asked(endpoint: str = "send") -> ApiRequest:
    return ApiRequest(endpoint=endpoint, method="POST", path="send", safe_to_repeat=False)


def answer(status: int = 200, **headers: str) -> ApiResponse:
    return ApiResponse(
        status=status, body=b"{}", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
