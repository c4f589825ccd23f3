"""Everything that was logged, for tests that look for what must not be there."""

from __future__ import annotations

import pytest

from tests.support.tasks import Logs


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    """Return all that is logged or printed from here on."""
    return Logs(caplog, capfd)


@pytest.fixture(autouse=True)
def _forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what other tests made secret: Airflow 2 also hides passwords of one letter, in every word of a message."""
    from airflow import __version__

    if __version__.startswith("2."):
        from airflow.utils.log.secrets_masker import _secrets_masker

        monkeypatch.setattr(_secrets_masker(), "patterns", set())
        monkeypatch.setattr(_secrets_masker(), "replacer", None)
