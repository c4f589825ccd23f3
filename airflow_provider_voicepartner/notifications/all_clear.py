"""All clear: one message to those who were told of a failure, when the same DAG or task succeeds again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.compat import BaseNotifier, Context
from airflow_provider_voicepartner.constants import ALERT_QUESTION_TIMEOUT, ALERT_TIMEOUT
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.hooks.contacts import contacts_within
from airflow_provider_voicepartner.notifications.base import GatewayNotifier
from airflow_provider_voicepartner.notifications.checks import check_names
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import VOICE_LANGUAGES, TtsCallNotifier

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import SmsMessage, VoiceMessage
    from airflow_provider_voicepartner.incidents.model import Told


class AllClearNotifier(BaseNotifier):
    """
    Tell people that what they were told of is over, from ``on_success_callback`` of a task or a DAG.

    It needs no argument: connections and recipients are those of the alerts. It says nothing where no incident is open,
    and closes those that are over.
    """

    total_seconds: ClassVar[float] = ALERT_TIMEOUT

    template_fields: Sequence[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        check_names(kwargs, {"context"}, who=type(self).__name__)
        super().__init__(**kwargs)

    def __call__(self, *args: Any) -> None:
        """Tell people; whatever the context is."""
        context = next((one for one in args if isinstance(one, Mapping)), {})
        self.notify(context)  # type: ignore[arg-type]  # a mapping is enough

    def notify(self, context: Context) -> None:
        """Tell people within 20 s. What goes wrong is logged as an error; nothing is raised."""
        problems: list[BaseException] = []

        def work() -> None:
            try:
                self._tell(context)
            except BaseException as error:  # ended by anything, it is no success
                problems.append(error)

        is_over = Aside(work, name=type(self).__name__).is_over(self.total_seconds)
        if problems or not is_over:
            why = _said(problems[0]) if problems else f"no end within {self.total_seconds:g} s"
            self.log.error("%s: perhaps not everybody was told all clear: %s", type(self).__name__, why)

    async def async_notify(self, context: Context) -> None:
        """Do the same where callbacks are awaited."""
        await asyncio.to_thread(self.notify, context)

    def _tell(self, context: Any) -> None:
        from airflow_provider_voicepartner.hooks.incidents import incident_store
        from airflow_provider_voicepartner.notifications.incident import success_of

        success = success_of(context)
        if success is None:
            self.log.info("%s: no all clear: this is no success of a task or a DAG", type(self).__name__)
            return
        # Closed first: who dies in between leaves people without an all clear, and never tells them twice.
        resolved = incident_store().resolve(success)
        told = one_each([one for each in resolved for one in each.told])
        if resolved:
            ids = ", ".join(str(each.incident.id) for each in resolved)
            self.log.info(
                "%s: incidents closed: %d (id %s); people to be told all clear: %d",
                type(self).__name__, len(resolved), ids, len(told),
            )  # fmt: skip
        for notifier in self._notifiers(told):
            notifier.notify(context)

    def _notifiers(self, told: Sequence[Told]) -> Sequence[GatewayNotifier]:
        """Return a notifier for each connection, kind and language."""
        directory = (
            contacts_within(ALERT_QUESTION_TIMEOUT).directory if any(one.person for one in told) else None
        )
        people = {} if directory is None else directory.people
        groups: dict[tuple[str, str, str | None], list[str]] = {}
        for one in told:
            if one.person and one.person not in people:
                # Not to the last resort, who was never told of it.
                self.log.warning(
                    "%s: %s is not told: not among the contacts any more", type(self).__name__, one.person
                )
                continue
            language = people[one.person].language if one.person else None
            to = f"@{one.person}" if one.person else one.phone_number
            groups.setdefault((one.conn_id, one.kind, language), []).append(to)
        return [
            (_AllClearSms if kind == "sms" else _AllClearCall)(conn_id=conn_id, to=to)
            for (conn_id, kind, _), to in groups.items()
        ]


class _AllClearSms(SmsNotifier):
    """All clear by SMS."""

    def message_to_send(self, context: Context) -> SmsMessage:
        """Build the text message."""
        from airflow_provider_voicepartner.gateways.model import SmsMessage
        from airflow_provider_voicepartner.notifications.message import all_clear_text

        return SmsMessage(text=all_clear_text(context, self.language_of_people), purpose="alert")


class _AllClearCall(TtsCallNotifier):
    """All clear by a call."""

    def message_to_send(self, context: Context) -> VoiceMessage:
        """Build the voice message."""
        from airflow_provider_voicepartner.gateways.model import VoiceMessage
        from airflow_provider_voicepartner.notifications.message import language_of, spoken_all_clear

        text = spoken_all_clear(context, self.language_of_people)
        language = VOICE_LANGUAGES[language_of(self.language_of_people)]
        return VoiceMessage(text=text, language=language, purpose="alert")


def one_each(told: Sequence[Told]) -> Sequence[Told]:
    """Return each person and each number once: by SMS where they were told by SMS too."""
    found: dict[str, Told] = {}
    for one in sorted(told, key=lambda one: one.kind != "sms"):
        found.setdefault(one.person or one.phone_number, one)
    return list(found.values())


def _said(error: BaseException) -> str:
    is_ours = type(error).__module__.startswith("airflow_provider_voicepartner.")
    return str(error) if is_ours else type(error).__name__


send_all_clear_notification = AllClearNotifier
