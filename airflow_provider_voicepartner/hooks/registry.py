"""
The hook of a connection: its type picks the gateway.

The gateways of this package come first. Others live in distributions of their own, which require this one: Airflow
tells which connection types they bring along, and which class is the hook of each.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.gateway import own_modules
from airflow_provider_voicepartner.gateways.info import GatewayInfo, Kind, Reporting, own_gateways
from airflow_provider_voicepartner.hooks.callbacks import callback_config

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.gateway import Gateway
    from airflow_provider_voicepartner.hooks.base import GatewayHook

log = logging.getLogger(__name__)

DISTRIBUTION: Final = "airflow-provider-voicepartner"
_REQUIREMENT: Final = re.compile(r"\s*([A-Za-z0-9._-]+)")

_SENDS: dict[Kind, str] = {"sms": "SMS", "tts": "text-to-speech calls", "voicemail": "voicemail drops"}


def gateway_names() -> tuple[str, ...]:
    """Return the connection types of all gateways that are installed, those of this package first."""
    return (*own_gateways(), *_outside())


def hook_class(conn_type: str) -> type[GatewayHook]:
    """
    Return the hook of a connection type.

    :raises KeyError: for a type that is no gateway's.
    :raises ConfigurationError: for one whose hook cannot be used, which is a mistake of its distribution.
    """
    own = own_gateways().get(conn_type)
    return _hook_at(_outside()[conn_type] if own is None else own.hook, conn_type)


def info_of(conn_type: str) -> GatewayInfo:
    """Return what is known of a gateway; errors as :func:`hook_class`."""
    own = own_gateways().get(conn_type)
    return hook_class(conn_type).gateway.INFO if own is None else own


def gateway_of(conn_type: str) -> Gateway:
    """Return a gateway, for reading its callbacks; errors as :func:`hook_class`."""
    own = own_modules().get(conn_type)
    return hook_class(conn_type).gateway if own is None else own


def every_gateway() -> Mapping[str, Gateway]:
    """Return the gateways by name; one of another distribution that cannot be used is left out and logged."""
    found: dict[str, Gateway] = {}
    for name in gateway_names():
        try:
            found[name] = gateway_of(name)
        except Exception as error:  # whatever its modules raise must not keep the others from being read
            why = error if isinstance(error, ConfigurationError) else type(error).__name__
            log.error("The gateway %s cannot be used (%s)", name, why)
    return found


def can_report(gateway: str) -> bool:
    """
    Say whether callbacks of a gateway can reach the receiver.

    For a gateway with one URL for the whole account it says yes: ``callbacks register`` sets that URL once.

    :param gateway: the connection type.
    :raises ConfigurationError: the configuration cannot be used.
    """
    return _reporting(gateway) != "never" and callback_config() is not None


def reports_by_batch(gateway: str) -> bool:
    """Say whether a gateway gets a URL for each batch, so that callbacks name a batch without the gateway's id."""
    return _reporting(gateway) == "batch"


def reports_by_account(gateway: str) -> bool:
    """Say whether a gateway has one URL for the whole account, so that its calls name a batch by the gateway's id."""
    return _reporting(gateway) == "account"


def _reporting(gateway: str) -> Reporting:
    try:
        return info_of(gateway).reports
    except KeyError:
        return "never"


@cache
def _hook_at(path: str, conn_type: str) -> type[GatewayHook]:
    from airflow_provider_voicepartner.hooks.base import GatewayHook

    module, _, name = path.rpartition(".")
    problem = ""
    try:
        found = getattr(import_module(module), name)
        is_one = getattr(found, "conn_type", None) == conn_type
        if is_one and isinstance(found, type) and issubclass(found, GatewayHook):
            return found
    except Exception as error:  # whatever its modules raise, also about a fact of INFO that cannot be one
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise ConfigurationError(f"{path}, the hook of type {conn_type!r}, cannot be used ({problem})")
    raise ConfigurationError(f"{path} is no hook of a gateway of type {conn_type!r}; see docs/gateway-api.md")


@cache
def _outside() -> Mapping[str, str]:
    """Return the paths of the hooks of other distributions that require this one, by connection type."""
    from airflow_provider_voicepartner.compat import ProvidersManager

    found: dict[str, str] = {}
    manager: Any = ProvidersManager
    for package, provider in manager().providers.items():
        if package != DISTRIBUTION and _requires_this(package):
            for entry in provider.data.get("connection-types", ()):
                found.setdefault(entry["connection-type"], entry["hook-class-name"])
    return found


def _requires_this(package: str) -> bool:
    try:
        needed = requires(package) or ()
    except PackageNotFoundError:
        return False
    names = (match[1] for match in map(_REQUIREMENT.match, needed) if match)
    return any(re.sub(r"[-_.]+", "-", name).lower() == DISTRIBUTION for name in names)


def hook_for(conn_id: str, *, kind: Kind | None = None, who: str = "this task") -> GatewayHook:
    """
    Look up a connection and return the hook of its gateway.

    :param conn_id: the Airflow connection.
    :param kind: what the gateway must be able to send; None for anything.
    :param who: the name of the caller, for the error.
    :raises ConfigurationError: when there is no such connection, it is not ours, or its gateway cannot send that.
    :raises RetryableNotSentError: when it was not found, and a place that may have it could not be reached.
    """
    from airflow_provider_voicepartner.hooks.connection import look_up

    return hook_of(look_up(conn_id), kind=kind, who=who)


def hook_of(connection: Any, *, kind: Kind | None = None, who: str = "this task") -> GatewayHook:
    """Return the hook of a connection that has been looked up; see :func:`hook_for`."""
    conn_type = connection.conn_type
    try:
        hook = hook_class(conn_type)
    except KeyError:
        hook = None
    if hook is None:
        raise ConfigurationError(
            f"conn_id: connection {connection.conn_id!r} has the type {conn_type!r}; use one of "
            f"{', '.join(sorted(gateway_names()))}"
        )
    info = hook.gateway.INFO
    if kind is not None and kind not in info.kinds:
        able = ", ".join(sorted(name for name, other in every_gateway().items() if kind in other.INFO.kinds))
        raise ConfigurationError(
            f"conn_id: {who} sends {_SENDS[kind]}, which {info.label} (connection {connection.conn_id!r}) "
            f"does not offer; use a connection of type {able}"
        )
    return hook(connection.conn_id, connection=connection)
