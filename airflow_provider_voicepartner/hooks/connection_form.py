"""The connection form of a gateway, made of what is known of it; no hook is imported for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_voicepartner.constants import (
    CONNECT_TIMEOUT,
    MOST_CONNECT_TIMEOUT,
    MOST_READ_TIMEOUT,
    READ_TIMEOUT,
)
from airflow_provider_voicepartner.gateways.info import FormField, GatewayInfo

_TIMEOUTS: Final[Mapping[str, FormField]] = {
    "connect_timeout": FormField(
        label="Connect timeout (s)",
        description=f"Seconds to wait for a connection; {CONNECT_TIMEOUT:.0f} when empty.",
        type="number",
        rules={"exclusiveMinimum": 0, "maximum": int(MOST_CONNECT_TIMEOUT)},
    ),
    "read_timeout": FormField(
        label="Read timeout (s)",
        description=f"Seconds to wait for an answer; {READ_TIMEOUT:.0f} when empty.",
        type="number",
        rules={"exclusiveMinimum": 0, "maximum": int(MOST_READ_TIMEOUT)},
    ),
}


def form_of(info: GatewayInfo) -> dict[str, Any]:
    """Return the form as the provider's metadata writes it: plain data, made anew each time."""
    hidden = ["port", "schema"] if info.login else ["port", "schema", "login"]
    relabeling = {"password": "API key", "host": "Base URL"}
    placeholders = {
        "password": "the key of the gateway's dashboard",
        "host": f"{info.base_url} (leave empty), or a sandbox's URL",
    }
    if info.login:
        relabeling["login"] = info.login
        placeholders["login"] = info.login_hint
    return {
        "ui-field-behaviour": {
            "hidden-fields": hidden,
            "relabeling": relabeling,
            "placeholders": placeholders,
        },
        "conn-fields": {name: _as_schema(field) for name, field in fields_of(info).items()},
    }


def fields_of(info: GatewayInfo) -> dict[str, FormField]:
    """Return the fields of ``extra`` by name: the gateway's own, and those that every gateway has."""
    limits = FormField(
        label="Rate limits",
        description="Other limits than the documented ones, by endpoint, as requests/seconds: "
        f'{info.limits_example}; "none" for no limit.',
        type="object",
    )
    return {**info.fields, **_TIMEOUTS, "rate_limits": limits}


def _as_schema(field: FormField) -> dict[str, Any]:
    # Airflow's form takes "null" among the types of a field that may stay empty.
    return {
        "label": field.label,
        "description": field.description,
        "schema": {"type": [field.type, "null"], **field.rules},
    }


def connection_type_of(info: GatewayInfo) -> dict[str, Any]:
    """Return the entry of a gateway among the ``connection-types`` of a provider's metadata."""
    return {
        "connection-type": info.name,
        "hook-class-name": info.hook,
        "hook-name": info.label,
        **form_of(info),
    }


def ui_field_behaviour(info: GatewayInfo) -> dict[str, Any]:
    """Return what an Airflow before 3.2 asks the hook for: hidden fields, labels and placeholders."""
    behaviour = form_of(info)["ui-field-behaviour"]
    return {name.replace("-", "_"): value for name, value in behaviour.items()}


def connection_form_widgets(info: GatewayInfo) -> dict[str, Any]:
    """Return the fields of ``extra`` for an Airflow before 3.2; none where nothing could show them."""
    try:
        from wtforms import StringField
    except ImportError:
        return {}
    widget = {}
    try:
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget

        widget = {"widget": BS3TextFieldWidget()}
    except ImportError:
        pass  # Airflow 3.0 and 3.1 show the fields themselves.
    return {
        name: StringField(field.label, description=field.description, **widget)
        for name, field in fields_of(info).items()
    }
