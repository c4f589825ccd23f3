"""From a connection to the hook of its gateway: the connection's type picks it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Kind
    from airflow_provider_voicepartner.hooks.base import GatewayHook

HOOKS: dict[str, str] = {
    "smspartner": "airflow_provider_voicepartner.hooks.smspartner.SmsPartnerHook",
    "voicepartner": "airflow_provider_voicepartner.hooks.voicepartner.VoicePartnerHook",
    "octopush": "airflow_provider_voicepartner.hooks.octopush.OctopushHook",
}

_SENDS: dict[Kind, str] = {"sms": "SMS", "tts": "text-to-speech calls", "voicemail": "voicemail drops"}


def hook_class(conn_type: str) -> type[GatewayHook]:
    """
    Return the hook of a connection type.

    :raises KeyError: for a type that is not ours.
    """
    module, _, name = HOOKS[conn_type].rpartition(".")
    found: type[GatewayHook] = getattr(import_module(module), name)
    return found


def hook_for(conn_id: str, *, kind: Kind | None = None, who: str = "this task") -> GatewayHook:
    """
    Look up a connection and return the hook of its gateway.

    :param conn_id: the Airflow connection.
    :param kind: what the gateway must be able to send; None for anything.
    :param who: the name of the asker, for the error.
    :raises ConfigurationError: when the connection is not ours, or its gateway cannot send that.
    """
    from airflow_provider_voicepartner.compat import BaseHook

    return hook_of(BaseHook.get_connection(conn_id), kind=kind, who=who)


def hook_of(connection: Any, *, kind: Kind | None = None, who: str = "this task") -> GatewayHook:
    """Return the hook of a connection that has been looked up; see :func:`hook_for`."""
    known = ", ".join(sorted(HOOKS))
    conn_type = connection.conn_type
    if conn_type not in HOOKS:
        raise ConfigurationError(
            f"conn_id: connection {connection.conn_id!r} has the type {conn_type!r}; use one of {known}"
        )
    hook = hook_class(conn_type)
    if kind is not None and kind not in hook.gateway.KINDS:
        able = ", ".join(sorted(name for name in HOOKS if kind in hook_class(name).gateway.KINDS))
        raise ConfigurationError(
            f"conn_id: {who} sends {_SENDS[kind]}, which {hook.gateway.LABEL} (connection {connection.conn_id!r}) "
            f"does not offer; use a connection of type {able}"
        )
    return hook(connection.conn_id, connection=connection)
