"""What was logged, for tests that look for what must not be there, and an address that gateways call back."""

from __future__ import annotations

import pytest

from tests.support.tasks import Logs
from tests.support.waiting import SECRET


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    """Return all that is logged or printed from here on."""
    return Logs(caplog, capfd)


@pytest.fixture
def public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure a public address, so that gateways which only call back can be waited for."""
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
