"""Send one alert quickly: short timeouts, few repeats, and those who can be reached are told even if others cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.sending.arguments import read_recipients
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.sending.recipients import RecipientPlan, name_rejected, plan_recipients

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Message, Receipt
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.notifications.departure import Departure

SHOWN_REFUSED = 5


def send_alert(
    hook: GatewayHook, message: Message, to: Any, *, needs_mobile: bool, departure: Departure
) -> tuple[Receipt, RecipientPlan]:
    """
    Send a message to everybody in ``to`` who can be reached.

    :param departure: passed once nothing but the request itself is left to do.
    :raises ConfigurationError: when nobody can.
    :raises VoicePartnerProviderError: when it was not sent, or nobody knows.
    """
    sender = hook.sender
    sender.connect_timeout = min(sender.connect_timeout, 4.0)
    sender.read_timeout = min(sender.read_timeout, 10.0)
    sender.attempts, sender.longest_wait = 2, 4.0
    problem: InvalidArgumentError
    try:
        plan = plan_recipients(
            read_recipients(to), line="mobile" if needs_mobile else "any", on_invalid="skip"
        )
    except InvalidArgumentError as error:
        problem = error
    else:
        if not plan.recipients:
            raise ConfigurationError(
                f"to: all {plan.invalid} recipients are invalid: {name_rejected(plan.rejected)}"
            )
        departure.leave()
        return hook.send_batch(message, plan.recipients, reference=new_reference()), plan
    raise ConfigurationError(str(problem))


def left_out(receipt: Receipt, plan: RecipientPlan) -> list[str]:
    """Say who is not told while others are, numbers masked, and why."""
    lines = []
    if plan.rejected:
        lines.append(
            f"{plan.invalid} recipients are invalid and were left out: {name_rejected(plan.rejected)}"
        )
    if receipt.refused:
        shown = [
            f"{mask_number(one.phone_number) or 'somebody'} {one.reason}".strip()
            for one in receipt.refused[:SHOWN_REFUSED]
        ]
        more = len(receipt.refused) - len(shown)
        shown += [f"and {more} more"] if more else []
        lines.append(f"the gateway refused {len(receipt.refused)} recipients: {'. '.join(shown)}")
    return lines
