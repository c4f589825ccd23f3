"""What an SMS of Octopush may cost: max_cost holds by every reading of its rule; its first answer corrects the rest."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import BudgetExceededError
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from tests.support.batches import cut_batches
from tests.support.gateways import sent
from tests.support.tasks import FakeStore, Logs, context

PRICE = Decimal("0.0495")
"""Of the sandbox, and of the vendor's sample."""


def numbers(count: int) -> list[str]:
    return [f"+336123{index:05}" for index in range(count)]


def run(message: str, people: int, max_cost: Any, store: FakeStore | None = None, **more: Any) -> Any:
    task = SendSmsOperator(
        task_id="t", conn_id="octopush_default", to=numbers(people), message=message, max_cost=max_cost,
        unit_price=PRICE, max_in_flight=1, **more,
    )  # fmt: skip
    return task.execute(context(store or FakeStore()))


@pytest.mark.parametrize(
    ("message", "segments", "most"),
    [
        ("x" * 160, 1, 1),
        ("x" * 159 + "@", 2, 2),
        ("x" * 147 + "ê", 1, 1),
        ("x" * 150 + "\n" * 6, 2, 2),
        ("x" * 290, 2, 3),
        ("x" * 99 + "’", 2, 2),  # the sandbox takes the dearer reading here
    ],
)
def test_a_limit_holds_by_the_dearest_reading(sandbox: Any, message: str, segments: int, most: int) -> None:
    limit = most * PRICE * 10
    with pytest.raises(BudgetExceededError, match=f"for the next {most * 10} SMS segments"):
        run(message, 10, limit - Decimal("0.0001"))
    assert not sent(sandbox, "octopush")
    report = run(message, 10, limit)
    assert (report["segments"], Decimal(report["cost"])) == (segments * 10, segments * PRICE * 10)


LONG = "x" * 290
"""Three SMS by the highest count, two in truth."""


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan one person to a batch."""
    cut_batches(1, monkeypatch)


def test_the_first_answer_corrects_the_rest(sandbox: Any, small_batches: None, logs: Logs) -> None:
    with pytest.raises(BudgetExceededError, match=r"for the next 3 SMS .*2 are more likely"):
        run(LONG, 6, PRICE * Decimal("2.9"))
    report = run(LONG, 6, PRICE * 12)
    assert (report["segments"], Decimal(report["cost"])) == (12, PRICE * 12)
    assert f"About {PRICE * 12} is needed for 12 SMS segments" in logs.text
    assert f"(at most {PRICE * 18} for 18, by the highest count that its pages allow)" in logs.text


def test_so_it_does_for_personal_texts_and_for_the_attempts_after(sandbox: Any, small_batches: None) -> None:
    rows = [{"phone_number": number, "name": "Anna"} for number in numbers(4)]
    store = FakeStore()
    arguments = {
        "task_id": "t", "conn_id": "octopush_default", "to": rows, "message": LONG + "{name}", "unit_price": PRICE,
        "max_in_flight": 1,
    }  # fmt: skip
    with pytest.raises(BudgetExceededError):
        SendSmsOperator(**arguments, max_cost=PRICE * 4).execute(context(store))
    assert len(sent(sandbox, "octopush")) == 2
    SendSmsOperator(**arguments, max_cost=PRICE * 8).execute(context(store, try_number=2))
    assert sent(sandbox, "octopush") == dict.fromkeys(numbers(4), 1)


def test_where_the_gateway_counts_more_than_every_reading_the_rest_is_dearer(
    sandbox: Any, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_voicepartner.sandbox import octopush

    monkeypatch.setattr(octopush, "octopush_parts", lambda text, **_: 3)
    with pytest.raises(BudgetExceededError, match="for the next 3 SMS segments"):
        run("x", 4, PRICE * 5)
    assert len(sent(sandbox, "octopush")) == 1


def test_a_made_up_count_of_a_simulation_corrects_nothing(sandbox: Any, small_batches: None) -> None:
    report = run(LONG, 2, PRICE * 6, dry_run=True)
    assert report["dry_run"] == "simulated"
    with pytest.raises(BudgetExceededError) as stopped:
        run(LONG, 2, PRICE * 4, dry_run=True)
    assert str(stopped.value).endswith(
        "This was a dry run: nothing was sent or recorded, and what was spent is simulated. "
        "Of 2 batches (2 recipients) would have been sent 1 (1 recipients), left 1 (1 recipients)."
    )
    assert not sent(sandbox, "octopush")
