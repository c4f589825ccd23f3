"""One stage for all tests of a process: it takes ten seconds to build."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.crash import Stage, running_stage


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return a small Airflow whose tasks may be killed, and the sandbox that counts."""
    # The database server starts only for those who need one.
    with running_stage(lambda: request.getfixturevalue("postgres").new_database()) as stage:
        yield stage
