"""A notifier whose templates are rendered one by one, so that one that fails does not keep people from being told."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, cast

from airflow_provider_voicepartner.compat import BaseNotifier, Context


def _dag_of(context: Context) -> Any:
    """Return the context's DAG; None where there is none that templates can be rendered with."""
    try:
        dag: Any = cast(Mapping[str, Any], context).get("dag")
        is_usable = callable(dag.get_template_env) and isinstance(dag.render_template_as_native_obj, bool)
    except Exception:
        return None
    return dag if is_usable else None


class RenderedNotifier(BaseNotifier):
    """Renders its template fields in any context: callbacks lack much of what a task has."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._templates: dict[str, Any] = {}
        self._renders_text = False

    def _do_render_template_fields(
        self, parent: Any, template_fields: Any, context: Context, *args: Any, **kwargs: Any
    ) -> None:
        """
        Render each field on its own; a text that cannot be rendered gives way to the default text.

        A callback's context often lacks a name that a template uses, and an alert in other words beats no alert.
        Airflow's own rendering would log the template, with the numbers in it.
        """
        from airflow_provider_voicepartner.hooks.templates import are_numbers

        for name in template_fields:
            # From the template each time: one notifier may serve many callbacks in a process.
            value = self._templates.setdefault(name, getattr(parent, name, None))
            if value is None:
                continue
            # A DAG that renders native objects would turn a phone number into a Python number.
            self._renders_text = name != "options" and (name != "to" or not isinstance(value, str))
            try:
                rendered = (
                    value(context=context, jinja_env=args[0] if args else None)
                    if callable(value)
                    else self.render_template(value, context, *args, **kwargs)
                )
                if name == "to" and isinstance(value, str) and are_numbers(rendered):
                    self._renders_text = True
                    rendered = self.render_template(value, context, *args, **kwargs)
            except Exception as error:
                self.log.error(
                    "%s: %s cannot be rendered (%s)", type(self).__name__, name, type(error).__name__
                )
                rendered = None
            setattr(parent, name, rendered)

    def __call__(self, *args: Any) -> None:
        """Send the alert; a context that is none, or nothing that can be added to, leaves the arguments as they are."""
        if len(args) == 1 and not isinstance(args[0], MutableMapping):
            args = (dict(args[0]) if isinstance(args[0], Mapping) else {},)
        super().__call__(*args)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render, also where the context has no usable DAG, which Airflow before 3.0 takes for granted."""
        try:
            environment = jinja_env or self.get_template_env(dag=_dag_of(context))
        except Exception:
            environment = self.get_template_env()
        self._do_render_template_fields(self, self.template_fields, context, environment, set())

    def _render(self, template: Any, context: Context, dag: Any = None) -> Any:
        from airflow_provider_voicepartner.hooks.templates import native_as_text

        text = native_as_text(template, context) if self._renders_text else None
        if text is not None:
            return text
        # Past the parent, which before 3.0 fails where the context has no DAG.
        return super(BaseNotifier, self)._render(template, context, dag or _dag_of(context))
