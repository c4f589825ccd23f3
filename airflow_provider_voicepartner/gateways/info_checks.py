"""What a gateway says of itself, checked when it is registered: it may come from another distribution."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.rate_limits import parse_windows

OWN_FIELDS: Final = frozenset({"connect_timeout", "read_timeout", "rate_limits"})
"""Of each gateway's connection form."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,39}")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def check_info(info: Any, *, kinds: Collection[str], reporting: Collection[str]) -> None:
    """
    Check every fact by itself and beside the others.

    :param info: of a gateway, all of its fields.
    :param kinds: of messages that there are.
    :param reporting: ways to report that there are.
    :raises InvalidArgumentError: whose ``argument`` is ``INFO.`` and the field's name.
    """
    for name, (is_good, needed) in _rules(info, kinds, reporting).items():
        value, is_true = getattr(info, name), False
        try:
            is_true = is_good(value)
        except (TypeError, ValueError, AttributeError):
            is_true = False
        if not is_true:
            raise InvalidArgumentError(f"INFO.{name}", f"must be {needed}")


def _rules(
    info: Any, kinds: Collection[str], reporting: Collection[str]
) -> Mapping[str, tuple[Callable[[Any], bool], str]]:
    places = ("body", "query", "path", "header", "basic")
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
        "body": (lambda it: it in ("json", "form"), "'json' or 'form'"),
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
        and field.type in ("string", "number", "boolean", "object")
        and isinstance(field.rules, Mapping)
    )
