"""Rendered arguments that Airflow's UI may not show: numbers and texts are replaced by a description of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.hooks.templates import (
    StrictTemplates,
    are_numbers,
    check_is_there,
    is_unset,
    native_as_text,
    rendered,
    strict_environment,
)

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context

_GUARDS = ("max_cost", "send_at")
"""Arguments that limit a campaign's cost or delay it: a template must not unset them by accident."""


class Redacted:
    """
    A value that shows only what it is, never what it holds.

    Airflow stores the rendered template fields of every task instance and shows them in its UI. It takes ``str()`` of
    values that are not plain data, so a redacted value appears there as ``3 items (hidden)``.

    :param value: what to hide.
    :param shown: what may be seen in its place; None describes its kind and size.
    """

    __slots__ = ("_shown", "_value")

    def __init__(self, value: Any, shown: str | None = None) -> None:
        self._value = value
        self._shown = shown

    def __str__(self) -> str:
        """Describe the value by its kind and size."""
        value = self._value
        if self._shown is not None:
            return self._shown
        if isinstance(value, str):
            return f"{len(value)} characters (hidden)"
        if isinstance(value, Mapping):
            return f"{len(value)} fields (hidden)"
        if isinstance(value, Sized):
            return f"{len(value)} items (hidden)"
        return f"{type(value).__name__} (hidden)"

    __repr__ = __str__

    def __bool__(self) -> bool:
        """Have the truth of the hidden value."""
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare by the hidden values."""
        return bool(self._value == reveal(other))

    __hash__ = None  # type: ignore[assignment]  # equal values may be unhashable


def redact(value: Any, shown: str | None = None) -> Any:
    """Hide a value, see ``Redacted``; None stays None, and a redacted one is not wrapped twice."""
    return value if value is None or isinstance(value, Redacted) else Redacted(value, shown)


def reveal(value: Any) -> Any:
    """Return the hidden value; anything else as it is (an operator that is run without Airflow renders nothing)."""
    return value._value if isinstance(value, Redacted) else value


class PrivateFields(StrictTemplates):
    """
    An operator with private template fields.

    They are rendered separately and hidden at once; :meth:`given` returns them.
    """

    private_fields: ClassVar[frozenset[str]] = frozenset({"to", "options"})
    text_fields: ClassVar[frozenset[str]] = frozenset()
    """The texts of the message; all of them are private too."""
    _renders_text = False
    render_template: Any

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: Any,
        seen_oids: set[int],
    ) -> None:
        """Render, but hide numbers and texts: Airflow shows rendered fields in its UI."""
        private = self.private_fields if parent is self else frozenset()
        others = [name for name in template_fields if name not in private]
        guards = [name for name in _GUARDS if parent is self and not is_unset(getattr(self, name))]
        super()._do_render_template_fields(parent, others, context, jinja_env, seen_oids)
        for name in guards:
            check_is_there(name, getattr(self, name))
        for name in sorted(private):
            # Not by Airflow's loop: for a field that cannot be rendered it logs the whole value.
            value = self._render_private(name, context, jinja_env, seen_oids)
            setattr(self, name, redact(value, shown=_shown(value) if name == "to" else None))

    def _render_private(self, name: str, context: Context, jinja_env: Any, seen_oids: set[int]) -> Any:
        value = getattr(self, name)
        if value is None:
            return None
        # Rows whose fields are templates go into texts, too; one template for all of ``to`` may render to nobody.
        is_said = name in self.text_fields or (name == "to" and isinstance(value, list | tuple | dict))
        if is_said:
            jinja_env = strict_environment(jinja_env, name)
        if callable(value):
            return rendered(name, lambda: value(context=context, jinja_env=jinja_env))
        self._renders_text = is_said
        try:
            found = rendered(name, lambda: self.render_template(value, context, jinja_env, seen_oids))
            if name == "to" and isinstance(value, str) and are_numbers(found):
                self._renders_text = True
                found = rendered(name, lambda: self.render_template(value, context, jinja_env, seen_oids))
        finally:
            self._renders_text = False
        return found

    def _render(self, template: Any, context: Context, *args: Any, **kwargs: Any) -> Any:
        """
        Render what is said, and phone numbers, to text also where the DAG wants native objects.

        There even a text without a template is read as Python: ``12.50`` becomes 12.5, and a number loses its plus.
        """
        text = native_as_text(template, context) if self._renders_text else None
        render: Any = super()._render  # type: ignore[misc]  # of Airflow's operator
        return render(template, context, *args, **kwargs) if text is None else text

    def given(self, name: str) -> Any:
        """Return a rendered argument as the user gave it."""
        return reveal(getattr(self, name))


def _shown(to: Any) -> str | None:
    """Return the path of a file of recipients without its secrets, or names of the contacts; else None."""
    from airflow_provider_voicepartner.contacts.names import shown_names
    from airflow_provider_voicepartner.hooks.storage import is_file
    from airflow_provider_voicepartner.recipients.source import shown_path

    return shown_path(str(to)) if is_file(to) else shown_names(to)
