"""One batch on its way: how it leaves, and what to record of how that ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    NotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Message, Receipt, Recipient
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.sending.doubt import Doubt, DoubtSettler
from airflow_provider_voicepartner.sending.evidence import Evidence
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
from airflow_provider_voicepartner.sending.messenger import Messenger, Turn


@dataclass(slots=True, kw_only=True)
class Flight:
    """
    A batch that is ready to leave, or under way.

    :param index: of the batch, from 0.
    :param request: as built.
    :param claim: what the ledger is to know of it while it is under way.
    :param turn: at the rate limit.
    :param due: when the turn comes, by the campaign's clock.
    :param doubted: the record of an earlier attempt that left it in doubt; None if there is none.
    """

    index: int
    recipients: Sequence[Recipient]
    request: ApiRequest
    claim: BatchRecord
    turn: Turn
    due: float
    doubted: BatchRecord | None = None

    @classmethod
    def claim_for(
        cls, doubted: BatchRecord | None, size: int, new_reference: Callable[[], str]
    ) -> BatchRecord:
        """
        Return the claim of a batch that is to leave.

        One that was in doubt keeps its claim: its reference, so that a repeat is recognised where the gateway can, and
        the moment of the first claim, from which the gateway counts how long it does.
        """
        if doubted is not None and doubted.reference:
            return doubted
        return BatchRecord(phase=Phase.CLAIMED, reference=new_reference(), size=size)

    @property
    def not_taken(self) -> BatchRecord:
        """What to record when this flight provably reached nobody; what was in doubt before it still is."""
        return self.doubted or replace(self.claim, phase=Phase.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """
    How a flight ended.

    :param record: what to record; None leaves the claim, in doubt.
    :param error: what to raise once everything has landed.
    """

    index: int
    record: BatchRecord | None
    error: BaseException | None = None


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """
    Sends flights, each in a thread of its own.

    :param messenger: the hook.
    :param message: what the campaign says.
    :param settler: of what comes to be in doubt.
    :param now: the present, aware; injected by tests.
    """

    messenger: Messenger
    message: Message
    settler: DoubtSettler
    now: Callable[[], datetime]

    def fly(self, flight: Flight) -> Landing:
        """Send one batch; raises nothing that says what to record."""
        try:
            receipt = self.messenger.deliver(
                flight.request, self.message, flight.recipients, turn=flight.turn
            )
        except (NotSentError, ConfigurationError, CampaignInterruptedError) as error:
            # Interrupted: in a wait before the request left, or between two tries of which the first was refused.
            if _proves(error):
                return self._proven(flight, error)
            return Landing(index=flight.index, record=flight.not_taken, error=error)
        except SendOutcomeUnknownError as error:
            return self._settle_at_once(flight, error)
        again = Evidence.SENT_AGAIN if flight.doubted else None
        return Landing(index=flight.index, record=self._record_of(flight, receipt, again))

    def _proven(self, flight: Flight, error: Exception) -> Landing:
        record = self.settler.proven(_doubt(flight, error), Evidence.REPEAT_REFUSED)
        return Landing(index=flight.index, record=record)

    def _settle_at_once(self, flight: Flight, error: SendOutcomeUnknownError) -> Landing:
        try:
            record = self.settler.settle(_doubt(flight, error))
            if record is None:
                receipt = self.messenger.deliver(flight.request, self.message, flight.recipients)
                record = self._record_of(flight, receipt, Evidence.SENT_AGAIN)
        except Exception as still:
            if _proves(still):
                return self._proven(flight, still)
            # The claim stays as it is: in doubt.
            return Landing(index=flight.index, record=None, error=still)
        return Landing(index=flight.index, record=record)

    def _record_of(self, flight: Flight, receipt: Receipt, evidence: Evidence | None) -> BatchRecord:
        return BatchRecord.of_receipt(
            receipt,
            reference=flight.claim.reference,
            size=flight.claim.size,
            at=self.now().isoformat(),
            evidence=evidence,
        )


def _proves(error: Exception) -> bool:
    """Say whether a refusal proves that the batch was taken: "taken before", said of an id that was made for it."""
    return getattr(error, "kind", None) is ErrorKind.DUPLICATE


def _doubt(flight: Flight, error: Exception) -> Doubt:
    return Doubt(index=flight.index, claim=flight.claim, recipients=flight.recipients, why=str(error))
