"""A gateway that answers look-ups and repeats as a test wants, and batches in doubt to reconcile with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.sending.reconcile import (
    OutcomeReconciler,
    UnknownOutcome,
    Verdict,
)
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase, Proof
from tests.support.transport import NOW, FakeTransport

MESSAGE = SmsMessage(text="Bonjour")
EVERYBODY = (Recipient("+33612345678"), Recipient("+33612345679"))
CLAIM = BatchRecord(phase=Phase.CLAIMED, reference="k3v9x0q2w7ha", size=2, at=NOW.isoformat())
OLD = replace(CLAIM, at=(NOW - timedelta(hours=1)).isoformat())
"""Claimed so long ago that the gateway would know it."""


@dataclass
class Gateway(FakeTransport):
    """Also tells what it was asked, in order, and can fail to answer a look-up."""

    steps: list[str] = field(default_factory=list)
    trouble_asked: list[BaseException | Proof | None] = field(default_factory=list)
    since: list[Any] = field(default_factory=list)

    def find_proof(self, message: Any, reference: str, recipients: Any, since: Any) -> Any:
        self.steps.append("look up")
        self.since.append(since)
        known = super().find_proof(message, reference, recipients, since)
        answer = self.trouble_asked.pop(0) if self.trouble_asked else known
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def deliver(self, request: Any, message: Any, recipients: Any, *, slot: Any = None) -> Any:
        assert slot is None
        self.steps.append("repeat")
        return super().deliver(request, message, recipients)


def reconciler(transport: Any, **settings: Any) -> OutcomeReconciler:
    settings = {"on_unknown": "fail", "now": lambda: NOW, "sleep": lambda seconds: None} | settings
    return OutcomeReconciler(transport=transport, message=MESSAGE, send_at=lambda: None, **settings)


def outcome(claim: BatchRecord = CLAIM, index: int = 4, **more: Any) -> UnknownOutcome:
    return UnknownOutcome(
        **{"index": index, "claim": claim, "recipients": EVERYBODY, "why": "the worker died", **more}
    )


def settled(transport: Any, claim: BatchRecord = CLAIM, **settings: Any) -> Verdict:
    """Settle one doubt."""
    [verdict] = reconciler(transport, **settings).reconcile([outcome(claim)])
    return verdict
