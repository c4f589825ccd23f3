"""All clear: one message to those who were told of a failure, when the same DAG or task succeeds again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.compat import BaseNotifier, Context
from airflow_provider_voicepartner.constants import ALERT_TIMEOUT
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.notifications.checks import check_names

if TYPE_CHECKING:
    from airflow_provider_voicepartner.incidents.model import Resolved


class AllClearNotifier(BaseNotifier):
    """
    Tell people that what they were told of is over, from ``on_success_callback`` of a task or a DAG.

    It needs no argument: connections and recipients are those of the alerts. It says nothing where no incident is open,
    and closes those that are over. What cannot be sent now is sent later, by the watchdog or by the next one of these.
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
        from airflow_provider_voicepartner.hooks.all_clears import AllClears
        from airflow_provider_voicepartner.hooks.incidents import incident_store
        from airflow_provider_voicepartner.incidents.clearing import ClearText
        from airflow_provider_voicepartner.notifications.incident import success_of
        from airflow_provider_voicepartner.notifications.message import all_clear_text, spoken_all_clear

        success = success_of(context)
        if success is None:
            self.log.info("%s: no all clear: this is no success of a task or a DAG", type(self).__name__)
            return

        def text_of(_: Sequence[Resolved]) -> ClearText:
            return ClearText(
                english=all_clear_text(context, "en"),
                french=all_clear_text(context, "fr"),
                spoken=spoken_all_clear(context, "en"),
                spoken_french=spoken_all_clear(context, "fr"),
            )

        incidents = incident_store()
        # With their end it is written who is owed the message: who dies in between is followed by another sender.
        resolved = incidents.resolve(success, text_of)
        if resolved:
            ids = ", ".join(str(each.incident.id) for each in resolved)
            told = {one.person or one.phone_number for each in resolved for one in each.told}
            self.log.info(
                "%s: incidents closed: %d (id %s); people to be told all clear: %d",
                type(self).__name__, len(resolved), ids, len(told),
            )  # fmt: skip
        # Also what others could not send before.
        AllClears(incidents.all_clears).send_due()


def _said(error: BaseException) -> str:
    is_ours = type(error).__module__.startswith("airflow_provider_voicepartner.")
    return str(error) if is_ours else type(error).__name__


send_all_clear_notification = AllClearNotifier
