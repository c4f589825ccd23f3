"""One stage for all tests of a process: it takes ten seconds to build."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.crash import Stage, running_stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Return a small Airflow whose tasks may be killed, and the sandbox that counts."""
    with running_stage() as stage:
        yield stage
