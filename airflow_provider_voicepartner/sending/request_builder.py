"""Builds the requests of batches, those of the next ones while answers are awaited: they then leave without delay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.batch import BatchAttempt
from airflow_provider_voicepartner.sending.campaign_spec import Schedule
from airflow_provider_voicepartner.sending.records import BatchRecord
from airflow_provider_voicepartner.sending.transport import BatchTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBatch:
    """
    A batch whose request is built, and nothing else done.

    :param claim: with its reference, which is in the request too.
    :param send_at: that the request was built with; None for at once.
    """

    claim: BatchRecord
    request: ApiRequest
    send_at: datetime | None


@dataclass(kw_only=True)
class RequestBuilder:
    """
    Builds requests, in the thread that asks.

    :param transport: the hook.
    :param message: what the campaign says.
    :param schedule: says for when.
    :param new_reference: makes the id of a batch.
    :param find: what the ledger knows of a batch, from its index and size; None where that is nothing.
    """

    transport: BatchTransport
    message: Message
    schedule: Schedule
    new_reference: Callable[[], str]
    find: Callable[[int, int], BatchRecord | None]

    def __post_init__(self) -> None:
        # None stands for one that cannot be built: its error is raised when its turn comes.
        self._ahead: dict[int, BuiltBatch | None] = {}

    def build_ahead(self, batches: Iterable[tuple[int, Sequence[Recipient]]]) -> bool:
        """
        Build one more request ahead; an error is raised when the batch's turn comes, not now.

        :param batches: the next ones. One of which the ledger knows something is left for its turn.
        :returns: False when all of them are built, or the planned time has passed.
        """
        if self.schedule.is_late:
            return False
        for index, recipients in batches:
            if index not in self._ahead and self.find(index, len(recipients)) is None:
                try:
                    self._ahead[index] = self._build(recipients, None, self.schedule.for_repeats())
                except Exception:
                    self._ahead[index] = None
                return True
        return False

    def build(
        self, index: int, recipients: Sequence[Recipient], unresolved: BatchRecord | None
    ) -> BuiltBatch:
        """
        Return a batch's request, built now unless it was built ahead for the same time.

        :param unresolved: the record of an earlier attempt that left it in doubt; None if there is none.
        :raises ConfigurationError: the batch cannot be built, or its planned time has passed.
        """
        ahead, send_at = self._ahead.pop(index, None), self.schedule.for_next()
        if ahead is not None and unresolved is None and ahead.send_at == send_at:
            return ahead
        return self._build(recipients, unresolved, send_at)

    def build_later(self, attempt: BatchAttempt) -> None:
        """Build an attempt's request again, whose planned time passed while it waited for its slot."""
        attempt.send_at = self.schedule.for_next()
        attempt.request = self._request(attempt.recipients, attempt.claim, attempt.send_at)

    def _build(
        self, recipients: Sequence[Recipient], unresolved: BatchRecord | None, send_at: datetime | None
    ) -> BuiltBatch:
        claim = BatchAttempt.claim_for(unresolved, len(recipients), self.new_reference)
        return BuiltBatch(claim=claim, request=self._request(recipients, claim, send_at), send_at=send_at)

    def _request(
        self, recipients: Sequence[Recipient], claim: BatchRecord, send_at: datetime | None
    ) -> ApiRequest:
        return self.transport.build_batch(
            self.message, recipients, reference=claim.reference, send_at=send_at
        )
