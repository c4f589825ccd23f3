"""
The names of a notifier's arguments and settings, checked when the DAG is parsed.

The connection is not known then, so a setting may be of any gateway.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from importlib import import_module
from typing import Any

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.info import GatewayInfo, Kind, own_gateways


def check_names(given: Collection[str], known: Collection[str], *, who: str) -> None:
    """
    Refuse an unknown argument.

    :raises TypeError: as Python itself does, naming the argument that was meant.
    """
    for name in given:
        if name not in known:
            raise TypeError(f"{who} has no argument {name!r}{_meant(name, known)}")


def check_settings(options: Any, kind: Kind) -> None:
    """
    Refuse a setting that no gateway has for this kind of message; the connection names the gateway only later.

    :param options: as given; anything but a dict may be a template, and is checked when it is rendered.
    :raises ConfigurationError: naming the setting, and those that exist.
    """
    if not isinstance(options, Mapping) or not options:
        return
    known = _settings_of(own_gateways().values(), kind)
    if options.keys() - known:
        from airflow_provider_voicepartner.hooks.registry import every_gateway

        known = _settings_of((gateway.INFO for gateway in every_gateway().values()), kind)
    for name in options:
        if name not in known and not (isinstance(name, str) and "{{" in name):
            raise ConfigurationError(
                f"options[{name!r}]: no gateway has this setting{_meant(str(name), known)}; "
                f"the settings are: {', '.join(sorted(known))}"
            )


def _settings_of(gateways: Iterable[GatewayInfo], kind: Kind) -> set[str]:
    """Return the names of every setting that one of the gateways has."""
    return {name for info in gateways for name in _fields(info.options.get(kind))}


def _fields(model: str | None) -> Collection[str]:
    if model is None:
        return ()
    module, _, name = model.rpartition(".")
    fields: Mapping[str, Any] = getattr(import_module(module), name).model_fields
    return fields.keys()


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
