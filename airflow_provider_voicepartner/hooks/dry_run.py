"""
Dry runs: everything but the send itself, with the gateway's simulation where it has one.

``dag.test()`` and ``airflow tasks test`` are no dry runs. They really send, and a warning says so.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import FrameType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_provider_voicepartner.exceptions import RetryableNotSentError, SendOutcomeUnknownError
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    CallbackUrls,
    Message,
    Receipt,
    Recipient,
)
from airflow_provider_voicepartner.gateways.validation import is_loopback

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.wire import ApiRequest
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.sending.records import Proof
    from airflow_provider_voicepartner.sending.transport import Slot


log = logging.getLogger(__name__)

_TRIALS: Final = frozenset(
    {
        ("airflow.sdk.definitions.dag", "test"),
        ("airflow.models.dag", "test"),
        ("airflow.cli.commands.task_command", "task_test"),
    }
)
"""Module and function that run a task in their own process: ``dag.test()`` and ``airflow tasks test``."""


def is_trial() -> bool:
    """Say whether ``dag.test()`` or ``airflow tasks test`` runs this task. Only the call stack shows it."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in _TRIALS:
            return True
        frame = frame.f_back
    return False


def warn_of_a_trial(hook: GatewayHook) -> None:
    """Log a warning before a trial sends to real people; not for the sandbox, which is on this machine."""
    if is_loopback(urlsplit(hook.sender.base_url).hostname or "") or not is_trial():
        return
    log.warning(
        "dag.test() and 'airflow tasks test' really send: real people get this message, and it is billed. "
        "To try a DAG out, give the connection %r the sandbox's host, or set dry_run=True",
        hook.conn_id,
    )


class DryRun:
    """
    Replaces the hook in the batch loop: planning, checks, rate limits and budget stay real.

    :param hook: the real one.
    """

    def __init__(self, hook: GatewayHook) -> None:
        self._hook = hook

    @property
    def simulation_tells_price(self) -> bool:
        """Answer as the hook."""
        return self._hook.simulation_tells_price

    def build_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        send_at: datetime | None = None,
        callbacks: CallbackUrls | None = None,
        simulate: bool = False,
    ) -> ApiRequest:
        """Build and check a batch's request, as a simulation where the gateway has one."""
        return self._hook.build_batch(
            message,
            recipients,
            reference=reference,
            send_at=send_at,
            # Not the receiver's: there are no reports about what is not sent.
            callbacks=callbacks or NO_CALLBACKS,
            simulate=simulate or self._hook.simulates,
        )

    def deliver(
        self,
        request: ApiRequest,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        slot: Slot | None = None,
    ) -> Receipt:
        """Let the gateway simulate the send, or make up a receipt."""
        if not self._hook.simulates:
            return Receipt(gateway_id=None, accepted=len(recipients))
        try:
            receipt = self._hook.deliver(request, message, recipients, slot=slot)
            # The id names nothing; some gateways give the same one to every simulation. Where figures are made up, a
            # count of SMS does not show how the gateway counts.
            segments = receipt.segments if self._hook.simulation_tells_price else None
            return replace(receipt, gateway_id=None, segments=segments)
        except SendOutcomeUnknownError as error:
            unanswered = error
        raise RetryableNotSentError(f"dry_run: the simulation got no answer; nothing was sent: {unanswered}")

    def can_look_up(self, message: Message, reference: str) -> bool:
        """Return False: nothing is sent, so nothing can be found."""
        return False

    def find_proof(
        self, message: Message, reference: str, recipients: Sequence[Recipient], since: datetime | None
    ) -> Proof | None:
        """Return None: nothing was sent."""
        return None

    def known_within(self, message: Message) -> timedelta | None:
        """Return None: there is nothing to wait for."""
        return None

    def can_disprove(self, message: Message) -> bool:
        """Answer as the hook: an ``on_unknown`` that the real run refuses is refused here too."""
        return self._hook.can_disprove(message)

    def tag_of(self, message: Message, reference: str) -> str | None:
        """Return None: there is nothing to ask about."""
        return None

    def repeats_safely(self, age: timedelta) -> bool:
        """Answer as the hook; there is nothing to repeat."""
        return self._hook.repeats_safely(age)

    def money_left(self) -> Decimal | None:
        """Return the account's real balance."""
        return self._hook.money_left()
