"""What both notifiers share: an alert goes out within 20 seconds or is logged as an error; a callback never suffers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_provider_voicepartner.compat import BaseNotifier

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context
    from airflow_provider_voicepartner.gateways.model import Kind, Message
    from airflow_provider_voicepartner.hooks.base import GatewayHook

TOTAL_SECONDS = 20.0


def _dag_of(context: Context) -> Any:
    return cast(Mapping[str, Any], context).get("dag")


class GatewayNotifier(BaseNotifier):
    """
    Base of the notifiers.

    :param conn_id: the Airflow connection.
    :param to: whom to tell: a number, a comma-separated text or a list; an invalid one is left out and logged.
    :param sender: sender ID or caller ID.
    :param options: gateway-specific settings.
    """

    kind: ClassVar[Kind]
    text_field: ClassVar[str]
    needs_mobile: ClassVar[bool] = False
    total_seconds: ClassVar[float] = TOTAL_SECONDS

    template_fields: Sequence[str] = ("conn_id", "to", "sender", "options")

    def __init__(
        self,
        *,
        conn_id: str,
        to: Any,
        sender: str | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # Airflow 3 passes a context for deadline alerts; before 3.0 the base class takes no argument.
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.to = to
        self.sender = sender
        self.options = options
        self._templates: dict[str, Any] = {}

    def message_to_send(self, context: Context) -> Message:
        """Build the message from rendered arguments; each notifier its own."""
        raise NotImplementedError

    @staticmethod
    def own_text(rendered: Any) -> str | None:
        """Return the user's text after rendering, which may give any type; None where there is nothing to say."""
        text = "" if rendered is None else str(rendered)
        return text if text.strip() else None

    def given_sender(self) -> str | None:
        """Return the sender; None for one that rendered to nothing."""
        from airflow_provider_voicepartner.sending.arguments import read_text

        return read_text("sender", self.sender, needed=False)

    def given_options(self) -> Mapping[str, Any]:
        """Return the gateway-specific settings."""
        from airflow_provider_voicepartner.sending.arguments import read_options

        return read_options(self.options)

    def _do_render_template_fields(
        self, parent: Any, template_fields: Any, context: Context, *args: Any, **kwargs: Any
    ) -> None:
        """
        Render each field on its own; a text that cannot be rendered gives way to the default text.

        A callback's context often lacks a name that a template uses, and an alert in other words beats no alert.
        Airflow's own rendering would log the template, with the numbers in it.
        """
        for name in template_fields:
            # From the template each time: one notifier may serve many callbacks in a process.
            value = self._templates.setdefault(name, getattr(parent, name, None))
            if value is None:
                continue
            try:
                rendered = (
                    value(context=context, jinja_env=args[0] if args else None)
                    if callable(value)
                    else self.render_template(value, context, *args, **kwargs)
                )
            except Exception as error:
                self.log.error(
                    "%s: %s cannot be rendered (%s)", type(self).__name__, name, type(error).__name__
                )
                rendered = None
            setattr(parent, name, rendered)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render, also where the context has no usable DAG, which Airflow before 3.0 takes for granted."""
        try:
            environment = jinja_env or self.get_template_env(dag=_dag_of(context))
        except Exception:
            environment = self.get_template_env()
        self._do_render_template_fields(self, self.template_fields, context, environment, set())

    def _render(self, template: Any, context: Context, dag: Any = None) -> Any:
        # Past the parent, which before 3.0 fails where the context has no DAG.
        return super(BaseNotifier, self)._render(template, context, dag or _dag_of(context))

    def notify(self, context: Context) -> None:
        """Send the alert within 20 s in total. What goes wrong is logged as an error; nothing is raised."""
        from airflow_provider_voicepartner.hooks.registry import hook_for

        self._in_time(
            lambda: self._send(hook_for(self.conn_id, kind=self.kind, who=type(self).__name__), context)
        )

    async def async_notify(self, context: Context) -> None:
        """Do the same in the triggerer: the event loop never waits for the gateway."""
        from airflow_provider_voicepartner.compat import get_async_connection
        from airflow_provider_voicepartner.hooks.registry import hook_of

        begun = time.monotonic()
        try:
            connection = await asyncio.wait_for(get_async_connection(self.conn_id), self.total_seconds)
        except Exception as error:
            self._log_failure(error)
            return
        left = max(0.1, self.total_seconds - (time.monotonic() - begun))
        await asyncio.to_thread(
            self._in_time,
            lambda: self._send(hook_of(connection, kind=self.kind, who=type(self).__name__), context),
            left,
        )

    def _in_time(self, send: Callable[[], None], seconds: float | None = None) -> None:
        """Run in a daemon thread: a socket timeout bounds each wait, only leaving the thread behind bounds the sum."""
        failures: list[Exception] = []

        def work() -> None:
            try:
                send()
            except Exception as error:
                failures.append(error)

        limit = self.total_seconds if seconds is None else seconds
        thread = threading.Thread(target=work, name=type(self).__name__, daemon=True)
        thread.start()
        thread.join(limit)
        # Asked first: a thread that ends in between has left its failure behind.
        late = thread.is_alive()
        if failures:
            self._log_failure(failures[0])
        elif late:
            self.log.error(
                "%s: no answer within %g s; it is not known whether the alert was sent",
                type(self).__name__,
                limit,
            )

    def _log_failure(self, error: Exception) -> None:
        """Log our own errors whole, since they hold no secret; of others only the kind."""
        from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError

        known = isinstance(error, VoicePartnerProviderError)
        self.log.error(
            "%s (connection %s): the alert was not sent, or nobody knows: %s",
            type(self).__name__,
            self.conn_id,
            error if known else type(error).__name__,
        )

    def _send(self, hook: GatewayHook, context: Context) -> None:
        from airflow_provider_voicepartner.notifications.sending import send_alert

        try:
            receipt, plan = send_alert(
                hook, self.message_to_send(context), self.to, needs_mobile=self.needs_mobile
            )
        finally:
            hook.close()
        if plan.invalid:
            self.log.error(
                "%s: %d recipients are invalid and were left out", type(self).__name__, plan.invalid
            )
        self.log.info(
            "%s: accepted for %d recipients as %s", type(self).__name__, receipt.accepted, receipt.gateway_id
        )
