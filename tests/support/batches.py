"""Small batches, whatever a gateway takes: a few recipients then make several requests."""

from __future__ import annotations

from functools import wraps
from typing import Any

import pytest

from airflow_provider_voicepartner.operators import planning
from airflow_provider_voicepartner.sending.planning import plan_campaign


def cut_batches(size: int, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """
    Let operators plan batches of so many recipients.

    :param monkeypatch: ends it with its test; None does it for good, in a process of its own.
    """

    @wraps(plan_campaign)
    def plan(*args: Any, **given: Any) -> Any:
        return plan_campaign(*args, **{**given, "batch_size": size})

    if monkeypatch is None:
        planning.plan_campaign = plan
    else:
        monkeypatch.setattr(planning, "plan_campaign", plan)
