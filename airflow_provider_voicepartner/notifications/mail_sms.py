"""The SMS in place of one of Airflow's own failure mails."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.notifications.sms import SmsNotifier

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import SmsMessage

SAID_STATE: Final = "state_of_mail"
"""The key of a context with the state that the mail names; ``failed`` where it names none."""


class MailSmsNotifier(SmsNotifier):
    """
    Says no more than the mail does.

    For incidents a mail before the last try counts as a retry. Whether there will be one it does not say on Airflow 3.
    """

    def message_to_send(self, context: Any) -> SmsMessage:
        """Build the text message."""
        if SAID_STATE in context:
            said = SimpleNamespace(**{**vars(context["ti"]), "state": context[SAID_STATE]})
            context = {**context, "ti": said}
        return super().message_to_send(context)
