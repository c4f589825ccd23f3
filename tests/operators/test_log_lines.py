"""What a person reads in a task's log of who was left out, what was sent, and what it cost."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from tests.support.gateways import fault
from tests.support.tasks import FakeStore, Logs, context

ANNA, BEN = "+33612345678", "+33612345679"
COUNTS = "{'recipients': 2, 'accepted': 2, 'invalid': 0, 'duplicate': 0, 'opted_out': 0, 'refused': 0, 'in_doubt': 0}"


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "to": [ANNA, BEN], "message": "Bonjour", **arguments})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, f"SMS Partner: {COUNTS}; cost 0.09 EUR"),
        ({"conn_id": "octopush_default"}, f"Octopush: {COUNTS}; cost 0.099 EUR"),
        ({"dry_run": True}, f"SMS Partner (dry run, simulated: nothing was sent): {COUNTS}; cost 0.09 EUR"),
    ],
    ids=["SMS Partner", "Octopush", "dry run"],
)
def test_the_last_line_has_counts_and_cost(
    sandbox: Any, logs: Logs, arguments: dict[str, Any], line: str
) -> None:
    sms(**arguments).execute(context(FakeStore()))
    assert line in logs.text


def test_a_cost_that_nobody_told_is_not_known(sandbox: Any, logs: Logs) -> None:
    fault(sandbox, "drop_after", path="/send")  # a look-up finds the batch, and tells no price
    sms().execute(context(FakeStore()))
    assert f"SMS Partner: {COUNTS}; cost not known" in logs.text


@pytest.mark.parametrize(
    ("to", "line"),
    [
        ([ANNA, BEN, ANNA], "Skipped 0 invalid and 1 duplicate recipients"),
        ([ANNA, "12", BEN], "Skipped 1 invalid and 0 duplicate recipients"),
        ([ANNA, "12", BEN, BEN, "13"], "Skipped 2 invalid and 1 duplicate recipients"),
    ],
)
def test_whoever_is_left_out_is_counted(sandbox: Any, logs: Logs, to: list[str], line: str) -> None:
    sms(to=to, on_invalid="skip").execute(context(FakeStore()))
    assert line in logs.text


def test_who_leaves_nobody_out_does_not_read_of_it(sandbox: Any, logs: Logs) -> None:
    sms().execute(context(FakeStore()))
    assert "Left out" not in logs.text


def test_an_invalid_row_is_named_by_its_place_and_never_by_its_number(sandbox: Any, logs: Logs) -> None:
    sms(to=[ANNA, "+3361234", BEN], on_invalid="skip").execute(context(FakeStore()))
    told = logs.text
    assert "to[2]: '+336••34' is not a valid number" in told
    assert "+3361234" not in told
