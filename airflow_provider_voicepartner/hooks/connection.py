"""What a connection of ours holds, read strictly: a wrong field fails with its name and the fix."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.wire import Credentials

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0


class ConnectionExtra(BaseModel):
    """
    Fields that every gateway's connection knows in ``extra``.

    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for an answer.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    connect_timeout: float = Field(default=CONNECT_TIMEOUT, gt=0, le=300)
    read_timeout: float = Field(default=READ_TIMEOUT, gt=0, le=600)


AnyExtra = TypeVar("AnyExtra", bound=ConnectionExtra)


def read_extra(connection: Connection, model: type[AnyExtra]) -> AnyExtra:
    """
    Read ``extra``.

    :raises ConfigurationError: when it is not a JSON object or a field has a wrong value; values are not shown.
    """
    data: Any = {}
    if connection.extra:
        try:
            data = json.loads(connection.extra)
        except ValueError:
            data = None
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: extra is not a JSON object; "
            'write for instance {"read_timeout": 60}, or leave it empty'
        )
    # The connection form stores a field that was left empty as null or as an empty text.
    filled = {name: value for name, value in data.items() if value is not None and value != ""}
    try:
        return model.model_validate(filled)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    raise ConfigurationError(f"connection {connection.conn_id!r}: extra field {name!r}: {first['msg']}")


def read_base_url(connection: Connection, default: str) -> str:
    """
    Read the base URL from ``host``, version path included; empty means the gateway's own.

    :param default: the gateway's own base URL.
    :raises ConfigurationError: for anything but https, or http on loopback: a key must not travel in clear.
    """
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        return default
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    where = f"connection {connection.conn_id!r}: host"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{where} is not a URL; write for instance {default!r}, or leave it empty")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{where} may hold no user, password, query or fragment; the key goes into 'password'"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{where} uses http, which would show the key to everybody on the way; use https "
            "(http is allowed on 127.0.0.1, ::1 and localhost, for the sandbox)"
        )
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = port or connection.port
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path}".rstrip("/")


def is_loopback(hostname: str) -> bool:
    """Say whether a host name can only mean this machine."""
    if hostname.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def read_credentials(connection: Connection, *, needs_login: bool) -> Credentials:
    """
    Read the key from ``password`` and, where the gateway has one, the login from ``login``.

    :raises ConfigurationError: for a missing or blank one.
    """
    key = (connection.password or "").strip()
    login = (connection.login or "").strip()
    if not key:
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: password is empty; put the API key of the gateway's dashboard there"
        )
    if not key.isprintable() or not key.isascii():
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: password holds a character that no API key has; copy the key again"
        )
    if needs_login and not login:
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: login is empty; put the account's e-mail address there"
        )
    return Credentials(api_key=key, login=login or None)
