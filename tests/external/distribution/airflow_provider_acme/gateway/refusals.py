"""How Acme says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_voicepartner.gateway_api import (
    ApiResponse,
    Codes,
    GatewayError,
    as_text,
    is_presentable_code,
    names_id,
    refusal,
    transport_kind,
)

NAME = "acme"


def names_a_send(response: ApiResponse) -> bool:
    """Say whether an answer names a message that was accepted."""
    return names_id(response, ("id",))


def says_no(data: Mapping[str, Any]) -> bool:
    """Say whether an answer has a flag that says no."""
    return data.get("success") is False


def build_refusal(
    endpoint: str, response: ApiResponse, data: Mapping[str, Any], codes: Codes, *, safe_to_repeat: bool
) -> GatewayError:
    """Build the error for an answer that is no success."""
    error = as_text(data.get("error"))
    code = error if error and is_presentable_code(error, response) else None
    default = transport_kind(response.status, safe_to_repeat=safe_to_repeat)
    if response.status < 300 or response.status >= 500:
        codes = Codes.of({})
    return refusal(NAME, endpoint, response, codes, code=code, message=None, default=default)
