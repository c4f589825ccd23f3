"""Alert by a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.constants import LONGEST_ALERT
from airflow_provider_voicepartner.contacts.languages import VOICE_LANGUAGES, language_of
from airflow_provider_voicepartner.notifications.base import GatewayNotifier

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.gateways.model import Kind, VoiceMessage


class TtsCallNotifier(GatewayNotifier):
    """
    Make a call that speaks a text, from a callback.

    :param to: a number, an ``@name`` of the contacts, a comma-separated text or a list of these; an invalid one is left
        out and logged.
    :param text: what is spoken, templated, cut to 1,224 characters; the default text says what happened, twice.
    :param language: language of your text, such as ``fr-FR``. The default text is spoken in the language of each
        contact, to all others in English.
    :param conn_id: the connection of a gateway that makes calls.
    :param sender: caller ID.
    :param options: gateway-specific settings.
    :param fallback: other notifiers, tried in order when nobody was reached or that is unknown.
    :param dedup_key: alerts with the same one belong to one incident, templated; default DAG and task.
    :param group_by: fields that tell incidents apart instead: ``dag_id``, ``run_id``, ``task_id``, ``map_index``,
        ``try_number``.
    :param at_most: how often people are told of one incident, such as ``3/1h``; None tells of every alert.
    """

    kind: ClassVar[Kind] = "tts"
    text_field: ClassVar[str] = "text"

    template_fields: Sequence[str] = ("text", "language", *GatewayNotifier.template_fields)

    def __init__(
        self,
        *,
        to: Any,
        text: str | None = None,
        language: str | None = None,
        conn_id: str = "voicepartner_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, to=to, **kwargs)
        self.text = text
        self.language = language

    def message_to_send(self, context: Context) -> VoiceMessage:
        """Build the voice message."""
        from airflow_provider_voicepartner.gateways.model import VoiceMessage
        from airflow_provider_voicepartner.notifications.message import (
            as_repeat,
            spoken_text,
            spoken_with_more,
        )

        text, language = self.own_text(self.text), self.language or None
        if text is None:
            text = spoken_text(
                context, self.audience.language, more=self.more, time_zone=self.audience.time_zone
            )
            language = VOICE_LANGUAGES[language_of(self.audience.language)]
        else:
            # Gateways speak French where no language is given.
            room = LONGEST_ALERT - (
                len(as_repeat("", language or "fr", is_spoken=True)) if self.may_be_repeat else 0
            )
            text = spoken_with_more(text, self.more, language or "fr", longest=room)
        if self.may_be_repeat:
            text = as_repeat(text, language or "fr", is_spoken=True)
        return VoiceMessage(
            text=text[:LONGEST_ALERT],
            language=language,
            sender=self.given_sender(),
            purpose="alert",
            options=self.given_options(),
        )


send_tts_call_notification = TtsCallNotifier
