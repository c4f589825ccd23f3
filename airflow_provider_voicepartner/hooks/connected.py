"""An Airflow connection as a hook: its key, its extra fields and its form, and requests that are sent with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import requests

from airflow_provider_voicepartner.compat import BaseHook, Connection, mask_secret
from airflow_provider_voicepartner.exceptions import (
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
    checked,
    from_gateway,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import Kind
from airflow_provider_voicepartner.gateways.rate_limits import Windows, parse_windows
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse, Credentials, scrub
from airflow_provider_voicepartner.hooks.connection import (
    ConnectionExtra,
    check_type,
    look_up,
    read_base_url,
    read_credentials,
    read_extra,
)
from airflow_provider_voicepartner.hooks.connection_form import connection_form_widgets, ui_field_behaviour
from airflow_provider_voicepartner.hooks.http import (
    HttpSender,
    RetryPolicy,
    asked_wait,
)
from airflow_provider_voicepartner.hooks.http_session import hide_from_http_logs, new_session
from airflow_provider_voicepartner.sending.transport import Slot

Answer = TypeVar("Answer")

_URL = re.compile(r"[a-z][a-z0-9+.\-]*:\\*/\\*/[^\s'\"<>]*", re.IGNORECASE)


@dataclass(repr=False)
class _Held:
    """A connection that does not show in its holder's repr: Airflow's ``repr`` of a connection has the password."""

    connection: Connection | None
    checked: bool = False


class ConnectedHook(BaseHook):
    """
    Base of every gateway's hook, as far as it is about the connection and about single requests.

    :param conn_id: the Airflow connection; its type must be this hook's.
    :param connection: the connection itself, where it has been looked up already (triggers, callbacks).
    """

    gateway: ClassVar[Gateway]
    extra_model: ClassVar[type[ConnectionExtra]] = ConnectionExtra

    # Set from the gateway's INFO.
    conn_name_attr: ClassVar[str] = "conn_id"
    conn_type: ClassVar[str]
    default_conn_name: ClassVar[str]
    hook_name: ClassVar[str]
    send_endpoints: ClassVar[Mapping[Kind, str]]
    polls_delivery: ClassVar[bool]
    most_recipients_a_poll: ClassVar[int]
    simulates: ClassVar[bool]
    simulation_tells_price: ClassVar[bool]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Copy the facts of the gateway's INFO."""
        super().__init_subclass__(**kwargs)
        if "gateway" not in vars(cls):
            return
        info = cls.gateway.INFO
        cls.conn_type, cls.hook_name = info.name, info.label
        cls.default_conn_name = f"{info.name}_default"
        cls.send_endpoints = info.sends
        cls.polls_delivery, cls.most_recipients_a_poll = info.polls, info.most_polled
        cls.simulates, cls.simulation_tells_price = info.simulates, info.simulation_tells_price
        # Airflow before 3.2 expects these two in the class itself, not in its bases.
        for name in ("get_ui_field_behaviour", "get_connection_form_widgets"):
            setattr(cls, name, ConnectedHook.__dict__[name])

    def __init__(
        self, conn_id: str | None = None, *, connection: Connection | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id or (connection.conn_id if connection else None) or self.default_conn_name
        self._held = _Held(connection)

    @property
    def connection(self) -> Connection:
        """
        The Airflow connection, looked up once.

        :raises ConfigurationError: when there is none, or it is of another gateway's type.
        :raises RetryableNotSentError: when it was not found, and a place that may have it could not be reached.
        """
        held = self._held
        if held.connection is None:
            held.connection = look_up(self.conn_id)
        if not held.checked:
            check_type(held.connection, self.conn_type, type(self).__name__)
            held.checked = True
        return held.connection

    @cached_property
    def credentials(self) -> Credentials:
        """The key and the login, registered with every masker before anything can show them."""
        credentials = read_credentials(self.connection, needs_login=bool(self.gateway.INFO.login))
        secrets = self._secrets_in(credentials)
        mask(secrets)
        hide_from_http_logs(secrets)
        return credentials

    def _secrets_in(self, credentials: Credentials) -> tuple[str, ...]:
        return self.gateway.INFO.secrets_of(credentials.api_key, credentials.login)

    @cached_property
    def extra(self) -> Any:
        """The connection's declared fields, an instance of ``extra_model``."""
        return read_extra(self.connection, self.extra_model, endpoints=self.gateway.INFO.endpoints)

    @cached_property
    def sender(self) -> HttpSender:
        """What sends this hook's requests; tests replace its clock and its sleep."""
        extra = self.extra
        base_url = read_base_url(self.connection, self.gateway.INFO.base_url)
        session = new_session()
        # Plain http is for this machine: a proxy of the environment would carry the key elsewhere in clear.
        session.trust_env = base_url.startswith("https://")
        return HttpSender(
            gateway=self.gateway.INFO.name,
            base_url=base_url,
            connect_timeout=extra.connect_timeout,
            read_timeout=extra.read_timeout,
            secrets=self._secrets_in(self.credentials),
            retry=RetryPolicy(rate_limit_wait=self.gateway.INFO.rate_limit_wait),
            session=session,
            names_a_send=getattr(self.gateway, "names_a_send", None),
            body=self.gateway.INFO.body,
        )

    def rate_limits(self, endpoint: str) -> Windows:
        """
        Return how often an endpoint may be called: as the connection says, else as documented.

        :param endpoint: as :class:`~airflow_provider_voicepartner.gateways.wire.ApiRequest` names it.
        :returns: windows that hold at the same time; none where no limit is known.
        """
        text = self.extra.rate_limits.get(endpoint)
        return self.gateway.INFO.limits_of(endpoint) if text is None else parse_windows(text)

    def get_conn(self) -> requests.Session:
        """Return the pooled session. It carries no key: that is added to each request."""
        return self.sender.session

    def close(self) -> None:
        """Close pooled connections."""
        if "sender" in self.__dict__:
            self.sender.session.close()
        if (urls := self.__dict__.get("_batch_urls")) is not None:
            urls.close()

    def check_connection(self) -> None:
        """
        Read every field of the connection, without any request.

        :raises ConfigurationError: naming the field and the fix.
        """
        _ = self.sender

    def run(self, request: ApiRequest, *, slot: Slot | None = None) -> ApiResponse:
        """
        Authenticate and send a request of the gateway, also one that has no method here yet.

        It is repeated only if ``request.safe_to_repeat``, or if it provably was not accepted (no connection, HTTP 429).

        :param request: without the key.
        :param slot: at the rate limit, of the request's endpoint; None waits for one.
        :returns: the answer, unread, whatever its status.
        :raises ConfigurationError: nothing was sent, and would not be: the key, the login or the request is unusable.
        :raises RetryableNotSentError: nothing was sent.
        :raises SendOutcomeUnknownError: it left, and no answer came.
        """
        sender = self.sender
        return sender.send(checked(self.gateway.authenticate, request, self.credentials), slot=slot)

    def call(
        self, request: ApiRequest, parse: Callable[[ApiResponse], Answer], *, slot: Slot | None = None
    ) -> Answer:
        """
        Run a request and read its answer.

        :param request: without the key.
        :param parse: one of the gateway's ``parse_*`` functions.
        :param slot: at the rate limit, of the request's endpoint; None waits for one.
        :raises VoicePartnerProviderError: what the answer proves, see ``exceptions``.
        """
        response = self.run(request, slot=slot)
        failure: VoicePartnerProviderError
        try:
            return parse(response)
        except GatewayError as error:
            wait = asked_wait(response.headers, self.sender.now())
            failure = from_gateway(error, retry_after=wait, where=self._where_to_look(error))
        except Exception as error:
            # Every kind: one that got away from here would be an ordinary failure, and Airflow would send again. Its
            # text may quote the answer.
            failure = SendOutcomeUnknownError(
                f"{self.gateway.INFO.name} {request.endpoint}: the answer cannot be read ({type(error).__name__}). The "
                "gateway may have accepted it: check there before you send again"
            )
        raise failure

    def _where_to_look(self, error: GatewayError) -> str:
        """Name the connection for a refusal that is about it."""
        if error.status == 404 and not urlsplit(self.sender.base_url).path:
            example = urlsplit(self.gateway.INFO.base_url).path
            return f"The host of connection {self.conn_id!r} has no path; a base URL ends for instance with {example}"
        if error.kind in (ErrorKind.CONFIGURATION, ErrorKind.CREDIT):
            return f"Look at connection {self.conn_id!r} and its account"
        return ""

    def _presentable(self, text: str) -> str:
        """Take secrets and URLs out of a text for the UI: parts of it may be the gateway's own words."""
        credentials: Credentials | None = self.__dict__.get("credentials")
        return _URL.sub("(URL)", scrub(text, self._secrets_in(credentials) if credentials else ()))

    def __repr__(self) -> str:
        """Show which connection, and nothing out of it."""
        return f"{type(self).__name__}(conn_id={self.conn_id!r})"

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the connection form, for Airflow before 3.2; later ones read the provider's metadata."""
        return ui_field_behaviour(cls.gateway.INFO)

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields of ``extra`` in the connection form, for Airflow before 3.2."""
        return connection_form_widgets(cls.gateway.INFO)


def mask(secrets: Sequence[str]) -> None:
    """Register secrets with Airflow's masker, which covers task logs and rendered fields."""
    for secret in secrets:
        mask_secret(secret)
