"""
All facts about one vendor, as plain data: registry, rate limits, forms, callbacks and docs are derived from them.

What a vendor's package says is checked when it is registered, since it may come from another distribution. Nothing in
here imports a library, so that metadata and forms stay cheap.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH, REPEAT_SAFETY_MARGIN
from airflow_provider_voicepartner.gateways import GATEWAYS
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.rate_limits import NO_LIMIT, Windows, parse_windows

Kind = Literal["sms", "tts", "voicemail"]
Reporting = Literal["batch", "account", "never"]
CredentialPlace = Literal["body", "query", "path", "header", "basic"]
BodyFormat = Literal["json", "form"]
JsonType = Literal["string", "number", "boolean", "object"]
OWN_FIELDS: Final = frozenset({"connect_timeout", "read_timeout", "rate_limits"})
"""Of each gateway's connection form."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,39}")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


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
    type: JsonType = "string"
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
    :param answer_options: the settings with which people's answers are reported: replies to an SMS, keys pressed in a
        call. A kind that is missing cannot be answered.
    :param empty_report: the fields of a call about a batch of nobody, which is harmless; ``callbacks check`` makes it.
        ``{reference}`` stands for the batch. Empty where the vendor reports no whole batches to a URL of the batch.
    :param listed_by_tag: True where a batch can be looked up by an id of ours, which proves that it was sent.
    :param refuses_repeats_for: how long a second request with the same reference is recognised and refused; None never.
    :param simulates: True where the gateway can check a batch without sending it.
    :param simulation_tells_price: True where that check tells the true price.
    :param currency: of the costs in answers to sends, ISO 4217; None if none of them has a cost, also where a poll
        tells it later.
    :param rate_limit_wait: seconds that all workers wait after an HTTP 429 that does not say how long. None makes the
        rate limiter wait 60 s, and requests without it, such as those of notifiers, back off from 1 s.
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
    body: BodyFormat = "json"
    most_recipients: int = MAX_RECIPIENTS_PER_BATCH
    shortest_lead: timedelta = timedelta(0)
    longest_lead: timedelta | None = None
    polls: bool = False
    most_polled: int = 0
    reports: Reporting = "never"
    reports_replies: bool = False
    answer_options: Mapping[Kind, Mapping[str, Any]] = field(default_factory=dict)
    empty_report: Mapping[str, str] = field(default_factory=dict)
    listed_by_tag: bool = False
    refuses_repeats_for: timedelta | None = None
    simulates: bool = False
    simulation_tells_price: bool = False
    currency: str | None = None
    rate_limit_wait: float | None = None

    def __post_init__(self) -> None:
        """Keep anybody from changing a table that all others read, and refuse what would only fail much later."""
        for name in ("sends", "endpoints", "fields", "options", "answer_options", "empty_report"):
            table = getattr(self, name)
            if not isinstance(table, Mapping):
                raise InvalidArgumentError(f"INFO.{name}", "must be a mapping")
            object.__setattr__(self, name, MappingProxyType(dict(table)))
        _check_info(self)

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


def default_connections(kind: Kind) -> tuple[str, ...]:
    """Return the ids of the default connections of our gateways that send a kind of message, the first one first."""
    return tuple(f"{name}_default" for name, info in own_gateways().items() if kind in info.kinds)


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


def _check_info(info: GatewayInfo) -> None:
    """
    Check every fact by itself and beside the others.

    :raises InvalidArgumentError: whose ``argument`` is ``INFO.`` and the field's name.
    """
    for name, (is_good, needed) in _rules(info).items():
        value, is_true = getattr(info, name), False
        try:
            is_true = is_good(value)
        except (TypeError, ValueError, AttributeError):
            is_true = False
        if not is_true:
            raise InvalidArgumentError(f"INFO.{name}", f"must be {needed}")


def _rules(info: GatewayInfo) -> Mapping[str, tuple[Callable[[Any], bool], str]]:
    kinds, reporting = get_args(Kind), get_args(Reporting)
    places, bodies = get_args(CredentialPlace), get_args(BodyFormat)
    return {
        "name": (
            lambda it: bool(_NAME.fullmatch(it)),
            "1 to 40 lower-case letters and digits, a letter first",
        ),
        "label": (_is_said, "the product's name"),
        "base_url": (_is_base_url, "an https URL without a slash, a query or a login at its end"),
        "hook": (_is_dotted, "the dotted path of the hook's class"),
        "endpoints": (
            _are_limits,
            "rate limits by endpoint, such as {'send': '5/60, 2000/3600', 'me': 'none'}",
        ),
        "sends": (
            lambda it: len(it) > 0 and set(it) <= set(kinds) and set(it.values()) <= set(info.endpoints),
            f"an endpoint of 'endpoints' for each of {', '.join(kinds)} that it sends",
        ),
        "limits_example": (
            lambda it: _are_limits_of(json.loads(it), info.endpoints),
            "a JSON object of rate limits by endpoint",
        ),
        "fields": (
            lambda it: (
                all(name.isidentifier() and _is_form_field(one) for name, one in it.items())
                and not OWN_FIELDS & set(it)
            ),
            f"a FormField for each name, which is not one of {', '.join(sorted(OWN_FIELDS))}",
        ),
        "login": (lambda it: it is None or _is_said(it), "the label of the login, or None"),
        "login_hint": (lambda it: isinstance(it, str), "a text"),
        "credentials": (
            lambda it: isinstance(it, tuple) and len(it) > 0 and set(it) <= set(places),
            f"a tuple of {', '.join(places)}",
        ),
        "options": (
            lambda it: set(it) <= set(info.sends) and all(map(_is_dotted, it.values())),
            "the dotted path of a model for each kind of message that it sends",
        ),
        "body": (lambda it: it in bodies, " or ".join(map(repr, bodies))),
        "most_recipients": (
            lambda it: type(it) is int and 1 <= it <= MAX_RECIPIENTS_PER_BATCH,
            "a whole number from 1 to 500",
        ),
        "shortest_lead": (lambda it: it >= timedelta(0), "a timedelta from 0"),
        "longest_lead": (
            lambda it: it is None or it > info.shortest_lead,
            "a timedelta above shortest_lead, or None",
        ),
        "polls": (_is_flag, "True or False"),
        "most_polled": (
            lambda it: type(it) is int and (it == 0 or (it > 0 and info.polls)),
            "a whole number, 0 where polls is False",
        ),
        "reports": (lambda it: it in reporting, f"one of {', '.join(reporting)}"),
        "reports_replies": (
            lambda it: _is_flag(it) and (not it or info.reports == "batch"),
            "True or False, and False unless reports is 'batch'",
        ),
        "answer_options": (
            lambda it: (
                set(it) <= set(info.sends)
                and all(isinstance(name, str) for table in it.values() for name in dict(table))
            ),
            "settings by name, for each kind of message that can be answered",
        ),
        "empty_report": (
            lambda it: all(isinstance(part, str) for pair in it.items() for part in pair),
            "texts by name",
        ),
        "listed_by_tag": (_is_flag, "True or False"),
        "refuses_repeats_for": (lambda it: it is None or it > timedelta(0), "a timedelta above 0, or None"),
        "simulates": (_is_flag, "True or False"),
        "simulation_tells_price": (
            lambda it: _is_flag(it) and (not it or info.simulates),
            "True or False, and False unless simulates is True",
        ),
        "currency": (lambda it: it is None or bool(_CURRENCY.fullmatch(it)), "an ISO 4217 code, or None"),
        "rate_limit_wait": (
            lambda it: it is None or (type(it) in (int, float) and math.isfinite(it) and it >= 0),
            "seconds from 0, or None",
        ),
    }


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_said(value: str) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_dotted(value: str) -> bool:
    return bool(_DOTTED.fullmatch(value))


def _is_base_url(value: str) -> bool:
    url = urlsplit(value)
    is_bare = not (url.query or url.fragment or url.username or url.password) and url.port != 0
    return url.scheme == "https" and bool(url.hostname) and is_bare and not value.endswith(("/", "?", "#"))


def _are_limits(value: Mapping[str, str]) -> bool:
    for limits in value.values():
        parse_windows(limits)
    return len(value) > 0 and all(map(_is_said, value))


def _are_limits_of(value: Mapping[str, str], endpoints: Mapping[str, str]) -> bool:
    return value == {} or (_are_limits(value) and set(value) <= set(endpoints))


def _is_form_field(field: Any) -> bool:
    return (
        _is_said(field.label)
        and isinstance(field.description, str)
        and field.type in get_args(JsonType)
        and isinstance(field.rules, Mapping)
    )
