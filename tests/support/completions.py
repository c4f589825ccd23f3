"""Campaigns to wait for, and the answers that a gateway gives about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_voicepartner.delivery.completion import Progress
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks.completion import CompletionCheck
from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch
from tests.support.tasks import FakeStore, context

ANNA, BEN = "+33612345678", "+33612345679"
DELIVERED, PENDING, FAILED = DeliveryStatus.DELIVERED, DeliveryStatus.PENDING, DeliveryStatus.FAILED
SENT_AT = 1_900_000_000.0
HOUR, DAY = 3_600.0, 86_400.0


def told(
    number: str, status: DeliveryStatus = DELIVERED, *, detail: str | None = None, of: str | None = None
) -> DeliveryReport:
    return DeliveryReport(
        gateway="smspartner", campaign_id=of, phone_number=number, status=status, gateway_status=status.value,
        detail=detail,
    )  # fmt: skip


def batch(place: int = 0, accepted: int = 2, **more: Any) -> SentBatch:
    given = {"gateway_id": str(place + 1), "state": "sent", **more}
    return SentBatch(reference=f"b{place:011d}", accepted=accepted, **given)


def campaign(*batches: SentBatch, gateway: str = "smspartner", **more: Any) -> CampaignReport:
    given = {"sent_at": datetime.fromtimestamp(SENT_AT, UTC).isoformat(), "kind": "sms", **more}
    return CampaignReport(
        gateway=gateway, conn_id=f"{gateway}_default", counts={}, batches=batches or (batch(),), **given
    )


class Completions:
    """Completions at a moment, closed at the end."""

    def __init__(self) -> None:
        self.now = SENT_AT
        self.start: Callable[[int], int] = lambda batches: 0
        self._made: list[CompletionCheck] = []

    def __call__(self, report: CampaignReport, *, hook: Any = None, **options: Any) -> CompletionCheck:
        completion = CompletionCheck(
            report, CompletionOptions.read(**options), hook=hook, now=lambda: self.now, start=self.start
        )
        self._made.append(completion)
        return completion

    def close(self) -> None:
        for completion in self._made:
            completion.close()


def polls(completion: CompletionCheck, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[str]:
    """
    Let the hook's polls be answered so, one after the other, the last one for ever; return what is asked.

    A dict says what each name is answered.
    """
    asked, left = [], list(answers)

    def poll(name: str) -> Sequence[DeliveryReport]:
        asked.append(name)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, dict):
            answer = answer[name]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(completion.hook, "poll_delivery", poll)
    monkeypatch.setattr(completion.hook, "poll_by_tag", lambda tag: poll(f"tag {tag}"))
    return asked


def send(*people: str) -> CampaignReport:
    operator = SendSmsOperator(task_id="send", to=list(people or (ANNA, BEN)), message="Bonjour")
    return CampaignReport.from_json(operator.execute(context(FakeStore())))


def complete(**counts: int) -> dict[str, Any]:
    progress = Progress(
        expected=sum(counts.values()),
        counts={status: counts.get(status.value, 0) for status in DeliveryStatus},
    )
    return {"status": "complete", "progress": progress.to_json()}
