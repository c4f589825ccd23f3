"""Errors have one idiom: what users see is one of ours, and built-in exceptions stay where they are expected."""

from __future__ import annotations

import ast
import builtins

from airflow_provider_voicepartner import exceptions
from tests.support.source import trees

READERS = {
    "delivery/completion.py": "reads a trigger's event; the wait turns it into WaitGivenUpError",
    "gateways/bodies.py": "reads a body; parsers turn it into GatewayError, the receiver into a dead letter",
    "gateways/validation.py": "checks a field for pydantic",
    "gateways/smspartner/options.py": "checks a field for pydantic",
    "gateways/voicepartner/options.py": "checks a field for pydantic",
    "hooks/connection.py": "reads extra; its caller turns it into ConfigurationError",
    "sending/report.py": "reads a report; its caller turns it into ConfigurationError",
    "watchdog/config.py": "checks a field for pydantic",
    "watchdog/rest.py": "reads an answer; turned into ApiSilentError",
    "watchdog/telling.py": "TimeoutError of a question; whoever asked goes on without an answer",
    "triggers/event_stream.py": "reads a cursor; its caller turns it into ConfigurationError",
}
"""Modules whose ValueError somebody catches."""

PYTHONS = {
    "gateways/compiled_message.py": "TypeError: a call that only a mistake of ours can make",
    "hooks/base.py": "NotImplementedError: not every gateway can",
    "notifications/checks.py": "TypeError: an argument that does not exist, as Python says it",
    "notifications/sms.py": "ValueError: when a DAG file is parsed, where Airflow shows it as an import error",
    "delivery/receiver_server.py": "OSError: as the socket says it of other ports; the command turns it into its error",
    "gateways/info.py": "AttributeError: a module has no such name",
    "operators/base.py": "NotImplementedError for subclasses; ValueError for an event that is none of ours",
}
"""Modules that raise what Python raises, and why."""


def raised() -> dict[str, set[str]]:
    found = dict[str, set[str]]()
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Raise)
                and isinstance(node.exc, ast.Call)
                and isinstance(node.exc.func, ast.Name)
            ):
                found.setdefault(path, set()).add(node.exc.func.id)
    return found


def test_built_in_exceptions_stay_where_they_are_expected() -> None:
    ours = {
        path: names
        for path, names in raised().items()
        if any(isinstance(getattr(builtins, name, None), type) for name in names)
    }
    ours.pop("compat.py")  # a module's own __getattr__ raises AttributeError and ImportError
    assert set(ours) == {*READERS, *PYTHONS}


def test_nothing_raises_airflows_own_base() -> None:
    assert [
        path for path, names in raised().items() if names & {"AirflowException", "AirflowFailException"}
    ] == []


def test_each_of_our_errors_says_what_to_do_next() -> None:
    errors = [
        error
        for error in vars(exceptions).values()
        if isinstance(error, type) and issubclass(error, exceptions.VoicePartnerProviderError)
    ]
    assert len(errors) > 10
    assert [error.__name__ for error in errors if not (error.__doc__ or "").strip()] == []
