"""A gateway behind an Airflow connection: authentication, HTTP and errors, the same for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

import pendulum
import requests

from airflow_provider_voicepartner.compat import BaseHook, Connection, mask_secret
from airflow_provider_voicepartner.constants import CALLED_BACK_WITHIN
from airflow_provider_voicepartner.exceptions import (
    DeliveryUnconfirmedError,
    VoicePartnerProviderError,
    from_gateway,
    nobody_taken,
)
from airflow_provider_voicepartner.gateways.checks import check_count
from airflow_provider_voicepartner.gateways.dates import check_lead
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.limits import Windows, parse_windows
from airflow_provider_voicepartner.gateways.model import (
    Balance,
    CallbackUrls,
    Cancellation,
    DeliveryReport,
    Kind,
    Message,
    Receipt,
    Recipient,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse, Credentials, scrub
from airflow_provider_voicepartner.hooks.batch_urls import BatchUrls
from airflow_provider_voicepartner.hooks.callbacks import (
    callback_config,
)
from airflow_provider_voicepartner.hooks.checking import checked, plan_valid_recipients
from airflow_provider_voicepartner.hooks.connection import (
    ConnectionExtra,
    check_type,
    read_base_url,
    read_credentials,
    read_extra,
)
from airflow_provider_voicepartner.hooks.evidence import find_calls
from airflow_provider_voicepartner.hooks.forms import connection_form_widgets, ui_field_behaviour
from airflow_provider_voicepartner.hooks.http import (
    HttpSender,
    asked_wait,
    new_session,
)
from airflow_provider_voicepartner.hooks.http_log import hide_from_http_logs
from airflow_provider_voicepartner.hooks.lookup import look_up
from airflow_provider_voicepartner.hooks.mixins import check_is_no_path
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.sending.records import Proof
from airflow_provider_voicepartner.sending.transport import Turn

_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""Taken off the time for which a gateway recognises a repeat: its clock is not ours."""

Answer = TypeVar("Answer")
Built = TypeVar("Built")

_URL = re.compile(r"[a-z][a-z0-9+.\-]*:\\*/\\*/[^\s'\"<>]*", re.IGNORECASE)


@dataclass(repr=False)
class _Held:
    """A connection that is not shown with what holds it: Airflow's own ``repr`` of one has the password in it."""

    connection: Connection | None
    checked: bool = False


class GatewayHook(BaseHook):
    """
    Base of every gateway's hook.

    Subclasses name their gateway and the fields of their connection; each call of the gateway is one typed method that
    builds a request, runs it and parses the answer.

    :param conn_id: the Airflow connection; its type must be this hook's.
    :param connection: the connection itself, where it has been looked up already (triggers, callbacks).
    """

    gateway: ClassVar[Gateway]
    extra_model: ClassVar[type[ConnectionExtra]] = ConnectionExtra

    # What follows is taken from the gateway's INFO.
    conn_name_attr: ClassVar[str] = "conn_id"
    conn_type: ClassVar[str]
    default_conn_name: ClassVar[str]
    hook_name: ClassVar[str]
    send_endpoints: ClassVar[Mapping[Kind, str]]
    polls_delivery: ClassVar[bool]
    most_people_a_poll: ClassVar[int]
    simulates: ClassVar[bool]
    simulation_tells_price: ClassVar[bool]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take over what is known of the gateway."""
        super().__init_subclass__(**kwargs)
        if "gateway" not in vars(cls):
            return
        info = cls.gateway.INFO
        cls.conn_type, cls.hook_name = info.name, info.label
        cls.default_conn_name = f"{info.name}_default"
        cls.send_endpoints = info.sends
        cls.polls_delivery, cls.most_people_a_poll = info.polls, info.most_polled
        cls.simulates, cls.simulation_tells_price = info.simulates, info.simulation_tells_price
        # Airflow before 3.2 looks for these two in the class itself, not in its bases.
        for name in ("get_ui_field_behaviour", "get_connection_form_widgets"):
            setattr(cls, name, GatewayHook.__dict__[name])

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
        :raises RetryableNotSentError: when it was not found, and may be where nobody could ask.
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
            rate_limit_wait=self.gateway.INFO.rate_limit_wait,
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

    def run(self, request: ApiRequest, *, turn: Turn | None = None) -> ApiResponse:
        """
        Authenticate and send a request of the gateway, also one that has no method here yet.

        It is repeated only if ``request.safe_to_repeat``, or when it provably was not taken (no connection, HTTP 429).

        :param request: without the key.
        :param turn: at the rate limit, of the request's endpoint; None waits for one.
        :returns: the answer, unread, whatever its status.
        :raises ConfigurationError: nothing was sent, and would not be: the key, the login or the request is unusable.
        :raises RetryableNotSentError: nothing was sent.
        :raises SendOutcomeUnknownError: it left, and no answer came.
        """
        sender = self.sender
        return sender.send(checked(self.gateway.authenticate, request, self.credentials), turn=turn)

    def call(
        self, request: ApiRequest, parse: Callable[[ApiResponse], Answer], *, turn: Turn | None = None
    ) -> Answer:
        """
        Run a request and read its answer.

        :param request: without the key.
        :param parse: one of the gateway's ``parse_*`` functions.
        :param turn: at the rate limit, of the request's endpoint; None waits for one.
        :raises VoicePartnerProviderError: what the answer proves, see ``exceptions``.
        """
        response = self.run(request, turn=turn)
        failure: VoicePartnerProviderError
        try:
            return parse(response)
        except GatewayError as error:
            wait = asked_wait(response.headers, self.sender.now())
            failure = from_gateway(error, retry_after=wait, where=self._where_to_look(error))
        raise failure

    def _where_to_look(self, error: GatewayError) -> str:
        """Say which connection a refusal is about, where it is about one."""
        if error.status == 404 and not urlsplit(self.sender.base_url).path:
            example = urlsplit(self.gateway.INFO.base_url).path
            return f"The host of connection {self.conn_id!r} has no path; a base URL ends for instance with {example}"
        if error.kind in (ErrorKind.CONFIGURATION, ErrorKind.CREDIT):
            return f"Look at connection {self.conn_id!r} and its account"
        return ""

    def send_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        send_at: datetime | None = None,
        callbacks: CallbackUrls | None = None,
        simulate: bool = False,
    ) -> Receipt:
        """
        Send one batch. The one call that messages and bills people: it arrives at most once.

        :param message: what is said; must be one of the gateway's kinds.
        :param recipients: 1 to 500, all different.
        :param reference: our own id of the batch.
        :param send_at: aware and in the future; None sends at once.
        :param callbacks: where the gateway reports, for gateways that take it per request.
        :param simulate: ask for price and checks only; nothing is sent or billed.
        :raises ConfigurationError: an argument that no gateway would take; nothing was sent.
        :raises NotSentError: nothing was sent, or it was refused; also where everybody was refused by name.
        :raises SendOutcomeUnknownError: in doubt.
        """
        request = self.build_batch(
            message, recipients, reference=reference, send_at=send_at, callbacks=callbacks, simulate=simulate
        )
        receipt = self.deliver(request, message, recipients)
        if receipt.gateway_id is None:
            raise nobody_taken(self.gateway.INFO.name, request.endpoint, receipt)
        return receipt

    def deliver(
        self,
        request: ApiRequest,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        turn: Turn | None = None,
    ) -> Receipt:
        """
        Send a request of :meth:`build_batch` and read the answer; errors as there.

        :param request: as built.
        :param message: the same as for building.
        :param recipients: the same as for building.
        :param turn: at the rate limit, of the request's endpoint; None waits for one.
        """
        return self.call(
            request,
            lambda response: self.gateway.parse_batch(response, message, recipients),
            turn=turn,
        )

    def money_left(self) -> Decimal | None:
        """Return the account's balance in money; None where the gateway counts something else."""
        balance = self.get_balance()
        return balance.amount if len(balance.unit) == 3 and balance.unit.isupper() else None

    def can_look_up(self, message: Message, reference: str) -> bool:
        """Say whether there is anywhere to look whether a batch was sent: at the gateway, or in what it called back."""
        return self.tag_of(message, reference) is not None or self._is_called_back

    def find_proof(
        self, message: Message, reference: str, recipients: Sequence[Recipient], since: datetime | None
    ) -> Proof | None:
        """
        Look for what shows that a batch was sent, and to whom of it: here, what was called back about it.

        :param message: what the batch says.
        :param reference: our own id of the batch.
        :param recipients: of the batch.
        :param since: when it was claimed; None where that is not known.
        :returns: None when nothing at all is listed; a proof of nobody when something is, and nothing of it counts.
        :raises VoicePartnerProviderError: there was no proper answer.
        """
        return find_calls(self.gateway, reference, recipients) if self._is_called_back else None

    def known_within(self, message: Message) -> timedelta | None:
        """Return how long after its claim a batch may still come to be found; None where there is nothing to ask."""
        return CALLED_BACK_WITHIN if self._is_called_back else None

    def can_disprove(self, message: Message) -> bool:
        """Say whether a look-up that lists nothing may be believed after that: here never, since calls get lost."""
        return False

    @property
    def _is_called_back(self) -> bool:
        return self._batch_urls is not None and self.gateway.INFO.reports == "batch"

    def tag_of(self, message: Message, reference: str) -> str | None:
        """Return what the gateway can be asked by about a batch whose id is not known; None where there is no such."""
        return None

    def repeats_safely(self, age: timedelta) -> bool:
        """Say whether the gateway recognises a request that it took so long ago, and refuses to take it twice."""
        known = self.gateway.INFO.refuses_repeats_for
        return known is not None and timedelta(0) <= age < known - _CLOCKS_DIFFER

    def build_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        send_at: datetime | None = None,
        callbacks: CallbackUrls | None = None,
        simulate: bool = False,
    ) -> ApiRequest:
        """
        Build the request of :meth:`send_batch` without sending it: every check of arguments happens here.
        Without ``callbacks`` the gateway is given the receiver's URLs, where one is configured.
        """
        now, info = pendulum.instance(self.sender.now()), self.gateway.INFO
        checked(check_count, len(recipients), most=info.most_recipients)
        if send_at is not None:
            checked(check_lead, send_at, now, shortest=info.shortest_lead, longest=info.longest_lead)
        if callbacks is None and not simulate and self._batch_urls is not None:
            callbacks = self._batch_urls.make(reference, recipients, now=now, send_at=send_at)
        callbacks = callbacks or CallbackUrls()
        request = checked(
            self.gateway.build_batch,
            self.with_defaults(message),
            recipients,
            reference=reference,
            now=now,
            send_at=send_at,
            callbacks=callbacks,
            simulate=simulate,
        )
        # Whoever knows such a URL may report through it, so an answer that quotes it is not shown as it is.
        urls = {url for url in (callbacks.delivery, callbacks.replies) if url}
        return replace(request, private=(*request.private, *urls)) if urls else request

    @cached_property
    def _batch_urls(self) -> BatchUrls | None:
        """Where the gateway reports to, read once: the secret may come from a command or a secrets backend."""
        config = callback_config()
        return None if config is None else BatchUrls(config, self.gateway.INFO)

    def with_defaults(self, message: Message) -> Message:
        """Fill in what the message leaves open from the connection's fields; subclasses say what."""
        return message

    def send_to(
        self,
        to: Any,
        message: Message,
        *,
        send_at: datetime | None = None,
        reference: str | None = None,
        callbacks: CallbackUrls | None = None,
    ) -> Receipt:
        """
        Check a list of recipients and send them a message; errors as in :meth:`send_batch`.

        :param to: a number, a comma-separated text, a list of numbers or of dicts with ``phone_number``; 1 to 500. All
            must be valid; a repeated one is sent to once.
        :raises InvalidRecipientError: naming the rows that are not; nothing was sent.
        """
        check_is_no_path("message" if message.kind == "sms" else "text", getattr(message, "text", None))
        plan = plan_valid_recipients(to, message, most=self.gateway.INFO.most_recipients)
        return self.send_batch(
            message,
            plan.recipients,
            reference=reference or new_reference(),
            send_at=send_at,
            callbacks=callbacks,
        )

    def get_balance(self) -> Balance:
        """Read what is left on the account."""
        return self.call(self.gateway.build_balance(), self.gateway.parse_balance)

    def poll_delivery(self, gateway_id: str) -> tuple[DeliveryReport, ...]:
        """
        Ask what became of every recipient of a batch; only where ``polls_delivery``.

        :raises RejectedError: with ``kind`` ``NOT_FOUND`` when the gateway does not know the batch (yet).
        """
        raise DeliveryUnconfirmedError(
            f"{self.gateway.INFO.label} tells delivery results only by calling a URL"
        )

    def poll_people(self, people: Sequence[tuple[str, str]]) -> tuple[DeliveryReport, ...]:
        """Ask what became of up to ``most_people_a_poll`` people of any batches; only where that is above 0."""
        raise DeliveryUnconfirmedError(f"{self.gateway.INFO.label} cannot be asked about people")

    def poll_by_tag(self, tag: str) -> tuple[DeliveryReport, ...]:
        """Ask what became of a batch whose id is not known; only where :meth:`tag_of` gives something to ask by."""
        raise DeliveryUnconfirmedError(f"{self.gateway.INFO.label} cannot be asked by a tag")

    def cancel_campaign(self, gateway_id: str, *, kind: Kind) -> Cancellation:
        """
        Take back a scheduled batch.

        :param gateway_id: the gateway's id, from the receipt.
        :param kind: what it was; some gateways have an endpoint for each.
        :raises RejectedError: with ``kind`` ``TOO_LATE`` or ``NOT_FOUND`` where the gateway says so.
        """
        request = checked(self.gateway.build_cancel, gateway_id, kind)
        return self.call(request, lambda response: self.gateway.parse_cancel(response, gateway_id))

    def account_urls(self) -> Mapping[str, str | None]:
        """Read the URLs of the whole account, by what is reported to each; only where ``INFO.reports`` says so."""
        raise NotImplementedError(f"{self.gateway.INFO.label} has no URL for the whole account")

    def set_account_urls(self, url: str) -> None:
        """Set all of :meth:`account_urls` to one URL."""
        raise NotImplementedError(f"{self.gateway.INFO.label} has no URL for the whole account")

    def test_connection(self) -> tuple[bool, str]:
        """Read the balance, once: a person waits. The message never holds a URL, a key or a login."""
        try:
            sender, usual = self.sender, self.sender.attempts
            try:
                sender.attempts = 1
                balance = self.get_balance()
            finally:
                sender.attempts = usual
        except Exception as error:
            known = isinstance(error, VoicePartnerProviderError)
            return False, self._presentable(str(error) if known else f"failed with {type(error).__name__}")
        return True, self._presentable(
            f"Connected to {self.gateway.INFO.label}: {balance.amount} {balance.unit} left"
        )

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
