"""Everything that was logged, for tests that look for what must not be there."""

from __future__ import annotations

import pytest

from tests.support.tasks import Logs


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Logs:
    """Return all that is logged or printed from here on."""
    return Logs(caplog, capfd)
