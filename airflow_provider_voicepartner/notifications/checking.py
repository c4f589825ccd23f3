"""What can be known of a notifier's arguments when the DAG is parsed, where its connection is not."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Kind

_SETTINGS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "sms": (("smspartner", "SmsOptions"), ("octopush", "SmsOptions")),
    "tts": (("voicepartner", "TtsOptions"), ("octopush", "VoiceOptions")),
}
"""Where the settings of each gateway are, by what is sent."""


def check_names(given: Collection[str], known: Collection[str], *, who: str) -> None:
    """
    Refuse an argument that nobody knows.

    :raises TypeError: as Python itself does, naming the argument that was meant.
    """
    for name in given:
        if name not in known:
            raise TypeError(f"{who} has no argument {name!r}{_meant(name, known)}")


def check_settings(options: Any, kind: Kind) -> None:
    """
    Refuse a setting that no gateway knows for this kind of message; which gateway it is, only the connection knows.

    :param options: as given; what is no dict may be a template, and is looked at when it is rendered.
    :raises ConfigurationError: naming the setting, and those that exist.
    """
    if not isinstance(options, Mapping) or not options:
        return
    known = {name for gateway, model in _SETTINGS[kind] for name in _fields(gateway, model)}
    for name in options:
        if name not in known and not (isinstance(name, str) and "{{" in name):
            from airflow_provider_voicepartner.exceptions import ConfigurationError

            raise ConfigurationError(
                f"options[{name!r}]: no gateway has this setting{_meant(str(name), known)}; "
                f"the settings are: {', '.join(sorted(known))}"
            )


def _fields(gateway: str, model: str) -> Collection[str]:
    module = import_module(f"airflow_provider_voicepartner.gateways.{gateway}.options")
    fields: Mapping[str, Any] = getattr(module, model).model_fields
    return fields.keys()


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
