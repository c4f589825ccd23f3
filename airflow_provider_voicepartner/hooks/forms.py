"""The connection forms of the three gateways: plain data, read by Airflow's UI without importing a hook."""

from __future__ import annotations

from typing import Any


def _optional(kind: str, **rules: Any) -> dict[str, Any]:
    """Describe a field that may stay empty: Airflow's form takes "null" among the types for that."""
    return {"type": [kind, "null"], **rules}


_TIMEOUTS: dict[str, Any] = {
    "connect_timeout": {
        "label": "Connect timeout (s)",
        "description": "Seconds to wait for a connection; 5 when empty.",
        "schema": _optional("number", exclusiveMinimum=0, maximum=300),
    },
    "read_timeout": {
        "label": "Read timeout (s)",
        "description": "Seconds to wait for an answer; 30 when empty.",
        "schema": _optional("number", exclusiveMinimum=0, maximum=600),
    },
}


def _rate_limits(example: str) -> dict[str, Any]:
    """Describe the field, with an example that names endpoints of its own gateway."""
    return {
        "rate_limits": {
            "label": "Rate limits",
            "description": "Other limits than the documented ones, by endpoint, as requests/seconds: "
            f'{example}; "none" for no limit.',
            "schema": _optional("object"),
        },
    }


_SENDER: dict[str, Any] = {
    "label": "Default sender",
    "description": "Sender ID where a message gives none: 3 to 11 letters or digits.",
    "schema": _optional("string", pattern="^[A-Za-z0-9]{3,11}$"),
}


def _form(base_url: str, fields: dict[str, Any], *, limits: str, login: bool = False) -> dict[str, Any]:
    hidden = ["port", "schema"] if login else ["port", "schema", "login"]
    relabeling = {"password": "API key", "host": "Base URL"}
    placeholders = {
        "password": "the key of the gateway's dashboard",
        "host": f"{base_url} (leave empty), or a sandbox's URL",
    }
    if login:
        relabeling["login"] = "Login (e-mail)"
        placeholders["login"] = "the e-mail address of the account or sub-account"
    return {
        "ui-field-behaviour": {
            "hidden-fields": hidden,
            "relabeling": relabeling,
            "placeholders": placeholders,
        },
        "conn-fields": fields | _TIMEOUTS | _rate_limits(limits),
    }


FORMS: dict[str, dict[str, Any]] = {
    "smspartner": _form(
        "https://api.smspartner.fr/v1",
        {
            "sender": _SENDER,
            "listed_within": {
                "label": "Listed within (s)",
                "description": "Seconds in which a send comes to be listed under its tag: how long a batch in doubt is "
                "looked up again; 900 when empty.",
                "schema": _optional("number", exclusiveMinimum=0, maximum=86_400),
            },
        },
        limits='{"send": "5/1, 300/60", "bulk-status": "60/60"}',
    ),
    "voicepartner": _form(
        "https://api.voicepartner.fr/v1",
        {
            "email_for_notification": {
                "label": "E-mail for voicemail campaigns",
                "description": "Gets Voice Partner's end-of-campaign mail where a voicemail drop gives no address.",
                "schema": _optional("string", format="email"),
            },
        },
        limits='{"campaign/send": "5/60, 2000/3600"}',
    ),
    "octopush": _form(
        "https://api.octopush.com/v1/public",
        {"sender": _SENDER},
        login=True,
        limits='{"sms-campaign/send": "5/1", "voice-campaign/send": "60/60"}',
    ),
}


def ui_field_behaviour(conn_type: str) -> dict[str, Any]:
    """Return what an Airflow before 3.2 asks the hook for: hidden fields, labels and placeholders."""
    behaviour = FORMS[conn_type]["ui-field-behaviour"]
    return {name.replace("-", "_"): value for name, value in behaviour.items()}


def connection_form_widgets(conn_type: str) -> dict[str, Any]:
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
        name: StringField(field["label"], description=field["description"], **widget)
        for name, field in FORMS[conn_type]["conn-fields"].items()
    }
