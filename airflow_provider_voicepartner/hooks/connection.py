"""
An Airflow connection of this provider: looked up, and read strictly.

The look-up works in tasks and in our own processes, and tells a missing connection from one that cannot be reached. An
error names the wrong field and the fix.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from airflow_provider_voicepartner.compat import AirflowException, BaseHook, Connection, conf
from airflow_provider_voicepartner.constants import (
    CONNECT_TIMEOUT,
    MOST_CONNECT_TIMEOUT,
    MOST_READ_TIMEOUT,
    READ_TIMEOUT,
)
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.gateways.rate_limits import parse_windows
from airflow_provider_voicepartner.gateways.validation import fits_a_header, is_loopback
from airflow_provider_voicepartner.gateways.wire import Credentials

_BACKENDS = (("secrets", "backend"), ("workers", "secrets_backend"))

Parameters = ParamSpec("Parameters")
Read = TypeVar("Read")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


def look_up(conn_id: str) -> Connection:
    """
    Return a connection from wherever Airflow finds it; outside of tasks also from the metadata database.

    Airflow 3 looks into its database only for its own processes, so that a script or a command would not find what
    ``airflow connections add`` or the UI made.

    :param conn_id: the connection.
    :raises ConfigurationError: there is no such connection.
    :raises RetryableNotSentError: it was not found, and a place that may have it could not be reached.
    """
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowException as error:
        if type(error).__name__ != "AirflowNotFoundException":
            raise
    supervisor = _supervisor()
    if supervisor is not None:
        raise not_found(conn_id, certain=_supervisor_has_none(supervisor, conn_id))
    found: Connection | None
    found, was_asked = ask_metadata(lambda backend: backend.get_connection(conn_id))
    if found is not None:
        return found
    raise not_found(conn_id, certain=was_asked)


def not_found(conn_id: str, *, certain: bool) -> ConfigurationError | RetryableNotSentError:
    """
    Return the error for a connection that was not found.

    :param certain: False where a place that could not be reached may have it.
    """
    if certain and not any(conf.get(section, key, fallback="") for section, key in _BACKENDS):
        return ConfigurationError(
            f"connection {conn_id!r} does not exist; add it in the UI (Admin, Connections), with airflow connections "
            "add, or as the environment variable AIRFLOW_CONN_" + conn_id.upper()
        )
    # A secrets backend that fails and one that has no such connection look the same from here.
    return RetryableNotSentError(
        f"connection {conn_id!r} was not found, or its secrets backend could not be reached; nothing was sent"
    )


def _supervisor() -> Any:
    """Return the supervisor from which a task gets connections; None outside of tasks."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None)


def _supervisor_has_none(supervisor: Any, conn_id: str) -> bool:
    """Ask again for the reason: a look-up reports an outage, too, as a missing connection."""
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time.comms import GetConnection

    try:
        error_type = getattr(supervisor.send(GetConnection(conn_id=conn_id)), "error", None)
    except Exception as error:
        error_type = getattr(getattr(error, "error", None), "error", None)
    return error_type is ErrorType.CONNECTION_NOT_FOUND


def ask_metadata(ask: Callable[[Any], Read | None]) -> tuple[Read | None, bool]:
    """
    Look into Airflow's database, as scripts and commands have to.

    :param ask: asks Airflow's ``MetastoreBackend``.
    :returns: what was found, and whether this process could ask at all.
    """
    if os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "client":
        return None, False
    try:
        from airflow.secrets.metastore import MetastoreBackend

        return ask(MetastoreBackend()), True
    except Exception:  # of any driver, and Airflow's own where the database is not for this process
        return None, False


class ConnectionExtra(BaseModel):
    """
    Fields that every gateway's connection knows in ``extra``.

    :param connect_timeout: seconds to wait for a connection.
    :param read_timeout: seconds to wait for an answer.
    :param rate_limits: other limits than the documented ones, by endpoint: ``{"campaign/send": "5/60, 2000/3600"}``
        (requests and seconds), ``none`` for no limit.
    """

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    connect_timeout: float = Field(default=CONNECT_TIMEOUT, gt=0, le=MOST_CONNECT_TIMEOUT)
    read_timeout: float = Field(default=READ_TIMEOUT, gt=0, le=MOST_READ_TIMEOUT)
    rate_limits: dict[str, str] = Field(default_factory=dict)

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _from_a_form(cls, limits: Any) -> Any:
        """Read the text that a form without a field for objects stores (Airflow before 3.2)."""
        if not isinstance(limits, str):
            return limits
        try:
            return json.loads(limits)
        except (ValueError, RecursionError):
            raise ValueError("is not a JSON object") from None

    @field_validator("rate_limits")
    @classmethod
    def _can_be_read(cls, limits: dict[str, str]) -> dict[str, str]:
        for endpoint, text in limits.items():
            parse_windows(text, argument=endpoint)
        return limits


AnyExtra = TypeVar("AnyExtra", bound=ConnectionExtra)


def _from_here(read: Callable[Parameters, Read]) -> Callable[Parameters, Read]:
    """Remove a function's frames from its errors: their variables hold the key, and crash reporters show variables."""

    @functools.wraps(read)
    def reading(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Read:
        try:
            return read(*args, **kwargs)
        except ConfigurationError as error:
            failure = error.with_traceback(None)
        del args, kwargs
        raise failure

    return reading


@_from_here
def check_type(connection: Connection, expected: str, needed_by: str) -> None:
    """
    Check that a connection is of a gateway's type.

    :raises ConfigurationError: naming both types.
    """
    if connection.conn_type != expected:
        raise ConfigurationError(
            f"connection {connection.conn_id!r} has the type {connection.conn_type!r}; "
            f"{needed_by} needs one of type {expected!r}"
        )


@_from_here
def read_extra(
    connection: Connection, model: type[AnyExtra], *, endpoints: Collection[str] | None = None
) -> AnyExtra:
    """
    Read ``extra``.

    :param endpoints: of the gateway, since a limit for another would silently limit nothing; None checks no names.
    :raises ConfigurationError: when it is not a JSON object or a field has a wrong value; values are not shown.
    """
    data: Any = {}
    if connection.extra:
        try:
            data = json.loads(connection.extra)
        except (ValueError, RecursionError):
            data = None
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: extra is not a JSON object; "
            'write for instance {"read_timeout": 60}, or leave it empty'
        )
    # The connection form stores a field that was left empty as null or as an empty text.
    filled = {name: value for name, value in data.items() if value is not None and value != ""}
    try:
        extra = model.model_validate(filled)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    else:
        if endpoints is not None:
            _check_endpoints(connection, extra.rate_limits, endpoints)
        return extra
    name = ".".join(str(part) for part in first["loc"])
    raise ConfigurationError(f"connection {connection.conn_id!r}: extra field {name!r}: {first['msg']}")


def _check_endpoints(connection: Connection, limits: Mapping[str, str], known: Collection[str]) -> None:
    for endpoint in limits:
        if endpoint not in known:
            raise ConfigurationError(
                f"connection {connection.conn_id!r}: extra field 'rate_limits': no endpoint {endpoint!r}; "
                f"the endpoints are {', '.join(sorted(known))}"
            )


@_from_here
def read_base_url(connection: Connection, default: str) -> str:
    """
    Read the base URL from ``host``, version path included; empty means the gateway's own.

    The gateway's own address without its version path, or with the beginning of it, is completed.

    :param default: the gateway's own base URL.
    :raises ConfigurationError: for anything but https, or http on loopback: a key must not travel in clear.
    """
    host = (connection.host or "").strip()
    where = f"connection {connection.conn_id!r}: host"
    if (connection.schema or "").casefold() not in ("", "http", "https"):
        # Airflow puts the path of a connection's URI there; leaving it out would call another address.
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: schema is neither http nor https; put the whole base URL, its path "
            "included, into host (percent-encoded where the connection is written as a URI)"
        )
    if not host:
        return default
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port if parts.port is not None else connection.port
    except ValueError:
        parts, port = urlsplit(""), None
    name = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not (is_address(name) or is_host_name(name)):
        example = default.partition("://")[2]
        raise ConfigurationError(f"{where} is not a URL; write for instance {example!r}, or leave it empty")
    if "@" in parts.netloc or "?" in host or "#" in host:
        raise ConfigurationError(
            f"{where} may hold no user, password, query or fragment; the key goes into 'password'"
        )
    if not _PATH.fullmatch(parts.path):
        raise ConfigurationError(f"{where} has a path with a blank or another character that no URL has")
    if port is not None and not 0 < port < 65_536:
        raise ConfigurationError(f"{where} has a port that does not exist; give 1 to 65535, or none")
    if parts.scheme == "http" and not is_loopback(name):
        raise ConfigurationError(
            f"{where} uses http, which would send the key unencrypted; use https "
            "(http is allowed on 127.0.0.1, ::1 and localhost, for the sandbox)"
        )
    shown = f"[{name}]" if ":" in name else name
    own, path = urlsplit(default), parts.path.rstrip("/")
    if name == own.hostname and own.path.startswith(f"{path}/"):
        path = own.path
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{path}"


def is_host_name(name: str) -> bool:
    """Say whether a text can be looked up as the name of a host; one in another script has its ``xn--`` form."""
    labels = name.removesuffix(".").split(".")
    return len(name) < 254 and all(_LABEL.fullmatch(label) for label in labels)


def is_address(name: str) -> bool:
    """Say whether a text is an IP address, without a zone."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return "%" not in name


@_from_here
def read_credentials(connection: Connection, *, needs_login: bool) -> Credentials:
    """
    Read the key from ``password`` and, where the gateway has one, the login from ``login``.

    :raises ConfigurationError: for one that is missing, blank or cannot be one.
    """
    key = (connection.password or "").strip()
    login = (connection.login or "").strip()
    if not key:
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: password is empty; put the API key from the gateway's dashboard there"
        )
    if not fits_a_header(key):
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: password holds a character that no API key has, such as a blank or a "
            "line break; copy the key again"
        )
    if needs_login and not login:
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: login is empty; put the account's e-mail address there"
        )
    if needs_login and not fits_a_header(login):
        raise ConfigurationError(
            f"connection {connection.conn_id!r}: login holds a character that no login has, such as a blank or a line "
            "break; copy it again"
        )
    return Credentials(api_key=key, login=login or None)
