"""Which URLs a gateway may report to."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from airflow_provider_voicepartner.gateways.callback_urls import (
    CallbackUrl,
    check_callback_url,
    is_callback_url,
)
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org", "https://example.org:8443/a/b?c=d", "https://192.0.2.1/a", "http://localhost:8080/a",
        "http://127.0.0.1:8080/a", "http://[::1]:8080/a", "HTTPS://EXAMPLE.ORG",
    ],
)  # fmt: skip
def test_taken(url: str) -> None:
    assert is_callback_url(url)
    check_callback_url(url, argument="url")
    assert TypeAdapter(CallbackUrl).validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org/a", "ftp://example.org", "http://example.org/a", "https://", "https:///a", "https://[::1",
        "https://example.org:port/", "https://example.org/ a", "https://example.org/\x7f", "https://example.org/\u200b",
        "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://0.0.0.0:8080/", "//example.org",
    ],
)  # fmt: skip
def test_refused(url: str) -> None:
    assert not is_callback_url(url)
    with pytest.raises(InvalidArgumentError, match=r"^callbacks\.replies: must be an https:// URL") as caught:
        check_callback_url(url, argument="callbacks.replies")
    assert "evil" not in str(caught.value)
    with pytest.raises(ValidationError, match="must be an https:// URL"):
        TypeAdapter(CallbackUrl).validate_python(url)


def test_none_leaves_the_gateways_own() -> None:
    check_callback_url(None, argument="url")
