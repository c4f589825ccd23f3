"""A batch that left without an answer: what proves that it was sent, and what to do when nothing does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    NotSentError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import Message, Recipient
from airflow_provider_voicepartner.sending.evidence import Evidence
from airflow_provider_voicepartner.sending.ledger import BatchRecord, OnUnknown, Phase
from airflow_provider_voicepartner.sending.messenger import Messenger

log = logging.getLogger(__name__)

LOOK_UP_AFTER = (0.0, 2.0, 5.0)
"""Seconds before each look-up: a batch may not be known at once, right after it was taken."""

_WORDS = {Evidence.LOOK_UP: "knows its reference", Evidence.CALLED_BACK: "called back about it"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """
    One batch in doubt.

    :param index: from 0.
    :param claim: its record in the ledger; without a reference nothing can be proved.
    :param why: how it came to that, for people.
    """

    index: int
    claim: BatchRecord
    recipients: Sequence[Recipient]
    why: str

    def __str__(self) -> str:
        """Name the batch, without its recipients."""
        reference = self.claim.reference or "not known"
        return f"batch {self.index + 1} ({self.claim.size} recipients, reference {reference})"


@dataclass(frozen=True, kw_only=True)
class DoubtSettler:
    """
    Settles batches in doubt, always in one order: a look-up, a repeat that the gateway recognises, the user's choice.

    :param messenger: the hook.
    :param message: what the campaign says.
    :param send_at: when it is to be sent, None for at once.
    :param on_unknown: the user's choice.
    :param now: the present, aware; injected by tests.
    :param sleep: waits; injected by tests.
    """

    messenger: Messenger
    message: Message
    send_at: datetime | None
    on_unknown: OnUnknown
    now: Callable[[], datetime]
    sleep: Callable[[float], None] = time.sleep

    def settle(self, doubt: Doubt) -> BatchRecord | None:
        """
        Settle one batch.

        :returns: its record, sent or assumed sent; None when the user chose to send it again.
        :raises SendOutcomeUnknownError: nothing proves anything, and ``on_unknown`` is ``fail``.
        :raises RetryableNotSentError: the repeat could not be made now; the batch stays in doubt.
        :raises CampaignInterruptedError: the campaign was stopped; the batch stays in doubt.
        """
        record = self._look_up(doubt) or self._repeat(doubt)
        if record is not None:
            return record
        if self.on_unknown == "fail":
            raise SendOutcomeUnknownError(
                f"on_unknown: {doubt} is in doubt: {doubt.why}. Look it up with the gateway, then set "
                "on_unknown='assume_sent' if it was sent, or on_unknown='resend' if it was not (or if twice is better "
                "than never), and clear the task; where Airflow asks, keep the task's state"
            )
        log.warning("%s is in doubt: %s; on_unknown=%r decides", doubt, doubt.why, self.on_unknown)
        if self.on_unknown == "resend":
            return None
        return replace(
            doubt.claim,
            phase=Phase.ASSUMED_SENT,
            tag=self._tag(doubt),
            at=self._stamp(),
            evidence=Evidence.ASSUMED,
        )

    def _look_up(self, doubt: Doubt) -> BatchRecord | None:
        """Ask by our reference. An answer that does not know it proves nothing."""
        reference, since = doubt.claim.reference, doubt.claim.at
        if not reference or not self.messenger.can_look_up(self.message, reference):
            return None
        for pause in LOOK_UP_AFTER:
            self.sleep(pause)
            try:
                proof = self.messenger.find_proof(
                    self.message,
                    reference,
                    doubt.recipients,
                    datetime.fromisoformat(since) if since else None,
                )
            except CampaignInterruptedError:
                raise
            except VoicePartnerProviderError as error:
                log.warning("%s could not be looked up: %s", doubt, error)
                continue
            if proof is not None and proof.accepted:
                log.info("%s was sent: the gateway %s", doubt, _WORDS[proof.evidence])
                return replace(self.proven(doubt, proof.evidence), accepted=proof.accepted)
        return None

    def _repeat(self, doubt: Doubt) -> BatchRecord | None:
        """
        Make the same request again, where the gateway refuses a repeat: it is then sent once, now or before.

        A refusal that names the repeat proves that it was sent; any other refusal proves nothing.
        """
        claim = doubt.claim
        if not claim.reference or not claim.at:
            return None
        if not self.messenger.repeats_safely(self.now() - datetime.fromisoformat(claim.at)):
            return None
        try:
            request = self.messenger.build_batch(
                self.message, doubt.recipients, reference=claim.reference, send_at=self.send_at
            )
            receipt = self.messenger.deliver(request, self.message, doubt.recipients)
        except RejectedError as error:
            if error.kind is ErrorKind.DUPLICATE:
                log.info("%s was sent: the gateway refused its repeat as one", doubt)
                return self.proven(doubt, Evidence.REPEAT_REFUSED)
            log.warning("%s: the repeat was refused, which proves nothing: %s", doubt, error)
            return None
        except RetryableNotSentError:
            raise
        except (ConfigurationError, NotSentError, SendOutcomeUnknownError) as error:
            log.warning("%s: the repeat settles nothing: %s", doubt, error)
            return None
        log.info("%s had not been sent; its repeat was accepted as %s", doubt, receipt.gateway_id)
        return BatchRecord.of_receipt(
            receipt,
            reference=claim.reference,
            size=claim.size,
            at=self._stamp(),
            evidence=Evidence.REPEAT_ACCEPTED,
        )

    def proven(self, doubt: Doubt, proof: Evidence) -> BatchRecord:
        """Record that a batch was sent, by proof and without an answer: its id and cost are not known."""
        # All of it: a gateway that takes a batch in part says so only in the answer that was lost.
        claim = doubt.claim
        return replace(
            claim,
            phase=Phase.SENT,
            accepted=claim.size,
            tag=self._tag(doubt),
            at=self._stamp(),
            evidence=proof,
        )

    def _tag(self, doubt: Doubt) -> str | None:
        return self.messenger.tag_of(self.message, doubt.claim.reference) if doubt.claim.reference else None

    def _stamp(self) -> str:
        return self.now().isoformat()
