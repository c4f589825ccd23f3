"""
Templates of operators, sensor and notifiers, rendered strictly.

Airflow renders a missing XCom as the word ``None``, which would be sent as part of the text. So a missing value is an
error that names the place in the template.
"""

from __future__ import annotations

import copy
import functools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow_provider_voicepartner.constants import LONGEST_PATH
from airflow_provider_voicepartner.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.compat import Context


Rendered = TypeVar("Rendered")

# A Jinja error may quote values that the template uses; these errors hold only names from the template.
_ONLY_NAMES: Final = re.compile(r"'[A-Za-z_][\w ]*' (is undefined|has no attribute '[A-Za-z_]\w*')")
_OF_TEXT: Final = frozenset(
    (
        "capitalize", "center", "e", "escape", "forceescape", "indent", "lower", "replace", "safe", "string",
        "striptags", "title", "trim", "truncate", "upper", "urlencode", "urlize", "wordwrap",
    )
)  # fmt: skip
"""Jinja filters that turn any value into text, a missing one too."""
_LOOKS_LIKE_A_PATH: Final = re.compile(r"[/\\]|\.\w{1,8}$")


class StrictTemplates:
    """An operator whose template errors are not retried: a retry would render the same."""

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: Any,
        seen_oids: set[int],
    ) -> None:
        """
        Render as always.

        :raises ConfigurationError: for a name that is not defined, and any other error of the template itself.
        """
        render: Any = super()._do_render_template_fields  # type: ignore[misc]  # of Airflow's Templater
        rendered(
            "a templated argument",
            lambda: render(parent, template_fields, context, jinja_env, seen_oids),
        )


def rendered(argument: str, render: Callable[[], Rendered]) -> Rendered:
    """
    Render, and turn an error of the template into one that Airflow does not retry.

    :param argument: what is rendered, for the error.
    :param render: does it.
    :raises ConfigurationError: for a name that is not defined, a syntax error and the like; without what was rendered.
    """
    from jinja2 import TemplateError

    try:
        return render()
    except TemplateError as error:
        said = _ONLY_NAMES.fullmatch(str(error))
        why = said.group() if said else type(error).__name__
    # Outside of the except clause: what a traceback shows as the cause may hold a part of the text.
    raise ConfigurationError(f"{argument}: cannot be rendered: {why}; correct the template. Nothing was sent")


def strict_environment(jinja_env: Any, argument: str) -> Any:
    """
    Return a copy of a template environment in which a missing value cannot become part of a text.

    Missing is ``None``, an undefined name, and what data frames have in empty cells.

    :param jinja_env: Airflow's; stays as it is.
    :param argument: what is rendered, for the error.
    """
    from jinja2 import Undefined

    from airflow_provider_voicepartner.recipients.rows import is_missing

    def check(value: Any) -> Any:
        if isinstance(value, Undefined) or is_missing(value):
            name = str(getattr(value, "_undefined_name", None) or "")
            field = (
                f". For a field of the recipients write {{{name}}}, with single braces"
                if name.isidentifier()
                else ""
            )
            raise ConfigurationError(
                f"{argument}: the template uses a missing value (None), like the XCom of a task that was skipped or "
                "pushed nothing; check its source, or give a default in the template, "
                "such as {{ value or '' }}. Nothing was sent"
                f"{field}"
            )
        return value

    strict = jinja_env.overlay(finalize=check)
    strict.filters = {
        name: _checked(text_filter, check) if name in _OF_TEXT else text_filter
        for name, text_filter in jinja_env.filters.items()
    }
    strict.code_generator_class = _checking_joins(jinja_env.code_generator_class)
    return strict


def is_unset(value: Any) -> bool:
    """Say whether an argument was given nothing: None, or blank text."""
    return value is None or (isinstance(value, str) and not value.strip())


def check_is_there(argument: str, value: Any) -> None:
    """
    Refuse an argument that was given and rendered to a missing value; blank text omits it.

    :param value: as rendered.
    :raises ConfigurationError: for None, and for the word that a template makes of it.
    """
    if value is None or (isinstance(value, str) and value.strip() == "None"):
        raise ConfigurationError(
            f"{argument}: its value is missing (None), like the XCom of a task that was skipped or pushed nothing; "
            "check its source, or write {{ value or '' }} where it may be left out. Nothing was sent"
        )


def _checked(text_filter: Callable[..., Any], check: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a filter that checks its value first; otherwise it would write the word ``None``."""
    at = 1 if getattr(text_filter, "jinja_pass_arg", None) else 0

    @functools.wraps(text_filter)
    def checked(*args: Any, **kwargs: Any) -> Any:
        check(args[at])
        return text_filter(*args, **kwargs)

    return checked


@functools.cache
def _checking_joins(generator: Any) -> Any:
    """Return a template compiler in which ``~`` checks the values that it joins."""

    class Checking(generator):  # type: ignore[misc]  # the environment names its class
        def visit_Concat(self, node: Any, frame: Any) -> None:  # noqa: N802 - Jinja's name
            self.write("(markup_join if context.eval_ctx.autoescape else str_join)((")
            for part in node.nodes:
                self.write("environment.finalize(")
                self.visit(part, frame)
                self.write("), ")
            self.write("))")

    return Checking


def native_as_text(template: Any, context: Context) -> str | None:
    """
    Render a template that would make a Python object of its text to the text itself; None for any other template.

    :param template: Jinja's, of one of Airflow's environments.
    :param context: Airflow's, whose values are looked up as they are needed.
    """
    from jinja2.nativetypes import NativeEnvironment

    environment = template.environment
    if not isinstance(environment, NativeEnvironment):
        return None
    names: Any = copy.copy(context)
    names.update((name, value) for name, value in template.globals.items() if name not in names)
    scope = environment.context_class(environment, names, template.name, template.blocks)
    return "".join(map(str, template.root_render_func(scope)))


def are_numbers(found: Any) -> bool:
    """Say whether native rendering read phone numbers, one or several between commas, as numbers of Python."""
    return isinstance(found, int | float) or (
        isinstance(found, tuple) and any(isinstance(one, int | float) for one in found)
    )


def check_is_no_path(argument: str, text: str | None, *, folders: Sequence[str] = ()) -> None:
    """
    Refuse a text that is the path of a file: it would be sent in place of what stands in the file.

    :param argument: what the user calls the text, for the error.
    :param folders: where a relative path may begin, besides the working directory.
    :raises ConfigurationError: when there is such a file on this machine.
    """
    if not isinstance(text, str):
        return
    path = os.path.expanduser(text.strip().removeprefix("file://"))
    if len(path) > LONGEST_PATH or "\n" in path or not _LOOKS_LIKE_A_PATH.search(path):
        return
    if any(os.path.isfile(os.path.join(folder, path)) for folder in ("", *folders)):
        raise ConfigurationError(
            f"{argument}: is the path of a file, and the path itself would be sent; read the file, for instance with "
            "pathlib.Path(…).read_text(), or write {% include 'file' %} with the DAG's template_searchpath"
        )
