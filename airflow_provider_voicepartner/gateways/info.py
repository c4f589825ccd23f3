"""All facts about one vendor, as plain data: registry, rate limits, forms, callbacks and docs are derived from them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from airflow_provider_voicepartner.gateways import GATEWAYS
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.info_checks import check_info
from airflow_provider_voicepartner.gateways.limits import Windows, parse_windows

Kind = Literal["sms", "tts", "voicemail"]
Reporting = Literal["batch", "account", "never"]
CredentialPlace = Literal["body", "query", "path", "header", "basic"]
NO_LIMIT: Final = "none"
_CLOCKS_DIFFER: Final = timedelta(hours=1)
"""Taken off the time for which a gateway recognises a repeat: its clock is not ours."""


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
    :param label: the product's name, for people.
    :param base_url: https, version path included, no slash at its end.
    :param hook: the dotted path of the hook's class.
    :param sends: the endpoint that sends each kind of message; what is missing cannot be sent.
    :param endpoints: every endpoint, as requests name it, with its documented rate limit: ``5/60, 2000/3600`` is 5
        requests a minute and 2,000 an hour, ``none`` that no limit is published.
    :param limits_example: other rate limits as a user would write them for this gateway, a JSON object.
    :param fields: the connection's own fields, by name.
    :param login: the label of the form's login; None where the key is all that proves who we are.
    :param login_hint: what the form shows in an empty login.
    :param credentials: where the key may travel: in the body, the query, the path, a header of the vendor's, or as HTTP
        basic authentication of login and key.
    :param options: the dotted path of the settings' model, by kind of message.
    :param body: how bodies are written: ``json`` or ``form`` (urlencoded).
    :param most_recipients: of one request, 1 to 500.
    :param shortest_lead: how long before its time a scheduled batch must arrive there; 0 where nothing is documented.
    :param longest_lead: how far ahead a batch may be scheduled; None where nothing is documented.
    :param polls: True where the gateway can be asked what became of a batch.
    :param most_polled: about how many recipients, of any batches, one question may be; 0 where only whole batches can
        be asked about.
    :param reports: calls a URL that comes with each ``batch``, one that is set for the whole ``account``, or ``never``.
    :param reports_replies: True where it takes a URL for replies and STOP with each batch.
    :param empty_report: the fields of a call about a batch of nobody, which is harmless; ``callbacks check`` makes it.
        ``{reference}`` stands for the batch. Empty where the vendor reports no whole batches to a URL of the batch.
    :param listed_by_tag: True where a batch can be looked up by an id of ours, which proves that it was sent.
    :param refuses_repeats_for: how long a second request with the same reference is recognised and refused; None never.
    :param simulates: True where the gateway can check a batch without sending it.
    :param simulation_tells_price: True where that check tells the true price.
    :param currency: of the costs that answers tell, ISO 4217; None where no answer tells a cost.
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
    most_recipients: int = 500
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
        return None if self.refuses_repeats_for is None else self.refuses_repeats_for - _CLOCKS_DIFFER

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
