"""Alert by SMS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.constants import ALERT_SEGMENTS
from airflow_provider_voicepartner.notifications.base import GatewayNotifier

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.gateways.model import Kind, SmsMessage


class SmsNotifier(GatewayNotifier):
    """
    Send an SMS from a callback: ``on_failure_callback``, ``on_success_callback``, a deadline alert.

    :param to: a number, an ``@name`` of the contacts, a comma-separated text or a list of these; an invalid one is left
        out and logged.
    :param message: the text, templated; the default text says what happened, in the language of each contact, to all
        others in English.
    :param max_segments: cut the text to this many SMS segments, from 1. None cuts the default text to one (three for a
        question to people), and your own text to 8, which every gateway accepts.
    :param conn_id: the connection of a gateway that sends text messages.
    :param sender: sender ID.
    :param options: gateway-specific settings.
    :param fallback: other notifiers, tried in order when nobody was reached or that is unknown.
    :param dedup_key: alerts with the same one belong to one incident, templated; default DAG and task.
    :param group_by: fields that tell incidents apart instead: ``dag_id``, ``run_id``, ``task_id``, ``map_index``,
        ``try_number``.
    :param at_most: how often people are told of one incident, such as ``3/1h``; None tells of every alert.
    """

    kind: ClassVar[Kind] = "sms"
    text_field: ClassVar[str] = "message"
    needs_mobile: ClassVar[bool] = True

    template_fields: Sequence[str] = ("message", *GatewayNotifier.template_fields)

    def __init__(
        self,
        *,
        to: Any,
        message: str | None = None,
        max_segments: int | None = None,
        conn_id: str = "smspartner_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, to=to, **kwargs)
        if max_segments is not None and (type(max_segments) is not int or max_segments < 1):
            raise ValueError(
                f"max_segments: is {max_segments!r}; give a whole number from 1, or leave it out"
            )
        self.message = message
        self.max_segments = max_segments

    def message_to_send(self, context: Context) -> SmsMessage:
        """Build the text message."""
        from airflow_provider_voicepartner.gateways.model import SmsMessage
        from airflow_provider_voicepartner.notifications.message import as_repeat, default_text, with_more

        text, language = self.own_text(self.message), self.audience.language
        if text is None:
            text = default_text(
                context,
                language,
                segments=self.max_segments,
                is_repeat=self.may_be_repeat,
                more=self.more,
                time_zone=self.audience.time_zone,
            )
        else:
            text = as_repeat(text, language) if self.may_be_repeat else text
            text = with_more(text, self.more, language, segments=self.max_segments or ALERT_SEGMENTS)
        return SmsMessage(
            text=text, sender=self.given_sender(), purpose="alert", options=self.given_options()
        )


send_sms_notification = SmsNotifier
