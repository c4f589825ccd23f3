"""
What is known of one vendor, and what its package can do; whoever calls it need not know which vendor it is.

``GatewayInfo`` holds all facts as plain data: registry, rate limits, forms, callbacks and docs are derived from them.
``Gateway`` is what a package offers beside it. A package loads its modules with the first name that is asked for, so
that metadata and forms stay cheap; so nothing in here imports a library.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH, REPEAT_SAFETY_MARGIN
from airflow_provider_voicepartner.gateways import GATEWAYS
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.info_checks import check_info
from airflow_provider_voicepartner.gateways.rate_limits import Windows, parse_windows

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.compiled_message import CompiledMessage
    from airflow_provider_voicepartner.gateways.model import (
        Balance,
        CallbackEvent,
        CallbackUrls,
        Cancellation,
        Message,
        Receipt,
        Recipient,
    )
    from airflow_provider_voicepartner.gateways.wire import (
        ApiRequest,
        ApiResponse,
        CallbackRequest,
        Credentials,
    )

Kind = Literal["sms", "tts", "voicemail"]
Reporting = Literal["batch", "account", "never"]
CredentialPlace = Literal["body", "query", "path", "header", "basic"]
NO_LIMIT: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """
    One field of a connection form, which is stored in the connection's ``extra``. It may stay empty.

    :param label: what the form calls it.
    :param description: what it does, with its unit and what an empty one means.
    :param type: its JSON type.
    :param rules: further rules of its JSON schema, such as ``pattern`` or ``maximum``.
    """

    label: str
    description: str
    type: Literal["string", "number", "boolean", "object"] = "string"
    rules: Mapping[str, Any] = field(default_factory=dict)


SENDER_FIELD: Final = FormField(
    label="Default sender",
    description="Sender ID where a message gives none: 3 to 11 letters or digits.",
    rules={"pattern": "^[A-Za-z0-9]{3,11}$"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayInfo:
    """
    What is known of one vendor's API. A fact that cannot be one is refused at once, by its name.

    :param name: the connection type: lower-case letters and digits.
    :param label: the product's name, as shown.
    :param base_url: https, version path included, no slash at its end.
    :param hook: the dotted path of the hook's class.
    :param sends: the endpoint that sends each kind of message; a kind that is missing cannot be sent.
    :param endpoints: every endpoint, as requests name it, with its documented rate limit: ``5/60, 2000/3600`` is 5
        requests a minute and 2,000 an hour, ``none`` that no limit is published.
    :param limits_example: rate limits as a user would write them for this gateway, a JSON object; the form shows it.
    :param fields: the connection's own fields, by name.
    :param login: the label of the form's login; None if the API needs no login.
    :param login_hint: what the form shows in an empty login.
    :param credentials: where the key travels: ``body``, ``query``, ``path``, ``header`` (a bearer token, too), or
        ``basic``, which is HTTP basic authentication with login and key.
    :param options: the dotted path of the settings' model, by kind of message.
    :param body: how bodies are written: ``json`` or ``form`` (urlencoded).
    :param most_recipients: of one request, 1 to 500.
    :param shortest_lead: how long before its time a scheduled batch must be sent there; 0 if nothing is documented.
    :param longest_lead: how far ahead a batch may be scheduled; None where nothing is documented.
    :param polls: True if the gateway can be polled for the delivery reports of a batch.
    :param most_polled: about how many recipients, of any batches, one poll may name; 0 if only whole batches can be
        polled.
    :param reports: how callbacks come: to a URL sent with each ``batch``, to one set for the ``account``, or ``never``.
    :param reports_replies: True where it takes a URL for replies and STOP with each batch.
    :param empty_report: the fields of a call about a batch of nobody, which is harmless; ``callbacks check`` makes it.
        ``{reference}`` stands for the batch. Empty where the vendor reports no whole batches to a URL of the batch.
    :param listed_by_tag: True where a batch can be looked up by an id of ours, which proves that it was sent.
    :param refuses_repeats_for: how long a second request with the same reference is recognised and refused; None never.
    :param simulates: True where the gateway can check a batch without sending it.
    :param simulation_tells_price: True where that check tells the true price.
    :param currency: of the costs in answers, ISO 4217; None if no answer has a cost.
    :param rate_limit_wait: seconds to wait after an HTTP 429 that does not say how long; None backs off from 1 s.
    """

    name: str
    label: str
    base_url: str
    hook: str
    sends: Mapping[Kind, str]
    endpoints: Mapping[str, str]
    limits_example: str
    fields: Mapping[str, FormField] = field(default_factory=dict)
    login: str | None = None
    login_hint: str = ""
    credentials: tuple[CredentialPlace, ...]
    options: Mapping[Kind, str] = field(default_factory=dict)
    body: Literal["json", "form"] = "json"
    most_recipients: int = MAX_RECIPIENTS_PER_BATCH
    shortest_lead: timedelta = timedelta(0)
    longest_lead: timedelta | None = None
    polls: bool = False
    most_polled: int = 0
    reports: Reporting = "never"
    reports_replies: bool = False
    empty_report: Mapping[str, str] = field(default_factory=dict)
    listed_by_tag: bool = False
    refuses_repeats_for: timedelta | None = None
    simulates: bool = False
    simulation_tells_price: bool = False
    currency: str | None = None
    rate_limit_wait: float | None = None

    def __post_init__(self) -> None:
        """Keep anybody from changing a table that all others read, and refuse what would only fail much later."""
        for name in ("sends", "endpoints", "fields", "options", "empty_report"):
            table = getattr(self, name)
            if not isinstance(table, Mapping):
                raise InvalidArgumentError(f"INFO.{name}", "must be a mapping")
            object.__setattr__(self, name, MappingProxyType(dict(table)))
        check_info(self, kinds=get_args(Kind), reporting=get_args(Reporting))

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it can send."""
        return frozenset(self.sends)

    @property
    def repeats_safely_for(self) -> timedelta | None:
        """For how long a repeat is sure to be refused: less than is documented, since clocks differ. None for never."""
        return None if self.refuses_repeats_for is None else self.refuses_repeats_for - REPEAT_SAFETY_MARGIN

    def limits_of(self, endpoint: str) -> Windows:
        """Return the documented limits of an endpoint; none where nothing is documented."""
        return parse_windows(self.endpoints.get(endpoint, NO_LIMIT))

    def secrets_of(self, api_key: str, login: str | None = None) -> tuple[str, ...]:
        """Return every text that must never be shown: key, login, and both as basic authentication writes them."""
        known = [api_key, login or ""]
        if "basic" in self.credentials:
            known.append(base64.b64encode(f"{login or ''}:{api_key}".encode()).decode())
        return tuple(secret for secret in known if secret)


@cache
def own_gateways() -> Mapping[str, GatewayInfo]:
    """Return what is known of each gateway of this package, by name."""
    package = __name__.rpartition(".")[0]
    return MappingProxyType({name: import_module(f"{package}.{name}").INFO for name in GATEWAYS})


class Gateway(Protocol):
    """One HTTP API; each gateway package (a module) is an instance of it."""

    @property
    def INFO(self) -> GatewayInfo:
        """All that is known of its vendor."""

    def authenticate(self, request: ApiRequest, credentials: Credentials) -> ApiRequest:
        """Put the key where this gateway wants it; done last, right before the request leaves."""

    def check_message(self, message: Message, recipients_have_fields: bool) -> None:
        """
        Refuse a message that the gateway would refuse, before anything is sent.

        :param recipients_have_fields: True when recipients carry personal fields; without, placeholders are refused.
        :raises InvalidArgumentError: naming the argument and the fix.
        """

    def check_recipient(self, message: Message, recipient: Recipient) -> None:
        """
        Refuse a recipient with personal fields for whom ``build_batch`` would refuse the batch; planning asks.

        :raises InvalidArgumentError: its problem is read after the number, such as ``has a field …``, and names no
            position.
        """

    def compile_message(self, message: Message) -> CompiledMessage | None:
        """
        Work out once what ``check_recipient``, ``segments_of`` and ``build_batch`` need of a message with placeholders.

        :param message: one that ``check_message`` takes for recipients with personal fields.
        :returns: what decides as they do, for many recipients at a time; None where all get the same text.
        """

    def segments_of(self, message: Message, text: str) -> Sequence[int] | None:
        """
        Return how many SMS a text takes, as this gateway counts them.

        :param message: whose settings and purpose count.
        :param text: as one recipient gets it, with nothing left to fill in.
        :returns: each at least 1: one count where the rule is known, else one for each way to read what the vendor
            documents, always as many and in the same order, the likeliest first. None where nothing is documented.
        """

    def build_batch(
        self,
        message: Message,
        recipients: Sequence[Recipient],
        *,
        reference: str,
        now: datetime,
        send_at: datetime | None = None,
        callbacks: CallbackUrls = ...,
        simulate: bool = False,
    ) -> ApiRequest:
        """
        Build the request that sends one batch.

        :param message: what is said.
        :param recipients: 1 to 500.
        :param reference: our own id of the batch: 12 characters, lower-case letters and digits.
        :param now: the present, aware.
        :param send_at: aware and in the future; None sends at once.
        :param callbacks: where to report, for gateways that take it per request.
        :param simulate: ask for the price and the checks only, where the gateway offers that.
        :raises InvalidArgumentError: naming the argument and the fix.
        """

    def parse_batch(
        self, response: ApiResponse, message: Message, recipients: Sequence[Recipient]
    ) -> Receipt:
        """
        Read the answer to a batch.

        :returns: its counts add up to the batch's size, and never say more than the answer proves. Without an id when
            everybody in the batch is refused by name.
        :raises GatewayError: for anything else; its kind says whether the batch may have left.
        """

    def names_a_send(self, response: ApiResponse) -> bool:
        """
        Say whether the answer to a send names a campaign or a recipient that was accepted, whatever its status.

        Such an answer is never a plain refusal, not even at HTTP 429. Of the answers to other calls it says nothing.
        """

    def knows_status(self, word: str) -> bool:
        """Say whether a word is one of the gateway's delivery statuses; an error text in its place is not."""

    def build_balance(self) -> ApiRequest:
        """Build the request that reads the balance; also the cheapest check of a key."""

    def parse_balance(self, response: ApiResponse) -> Balance:
        """Read the balance, strictly: an answer without one is a failure."""

    def build_cancel(self, gateway_id: str, kind: Kind) -> ApiRequest:
        """Build the request that takes back a scheduled batch."""

    def parse_cancel(self, response: ApiResponse, gateway_id: str) -> Cancellation:
        """Read the answer to a cancel."""

    def parse_callback(self, callback: CallbackRequest) -> tuple[CallbackEvent, ...]:
        """
        Read what the gateway sent to a callback URL, in every documented shape and encoding.

        :raises InvalidCallbackError: and nothing else, whatever came in.
        """


def attribute(package: str, modules: Sequence[str], names: Collection[str], name: str) -> Any:
    """
    Return a public name of a gateway package from whichever of its modules defines it.

    :param package: the package's dotted name.
    :param modules: that define its public names.
    :param names: its public names.
    :param name: which.
    :raises AttributeError: it is no public name.
    """
    if name in names:
        for module in modules:
            found = import_module(f"{package}.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


@cache
def own_modules() -> Mapping[str, Gateway]:
    """Return the gateways of this package, each a package, by name."""
    package = __name__.rpartition(".")[0]
    return MappingProxyType({name: import_module(f"{package}.{name}") for name in GATEWAYS})
