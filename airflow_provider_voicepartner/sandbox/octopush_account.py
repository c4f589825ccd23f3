"""Octopush: the balance, and the account's parameters with the account-wide callback URLs."""

from __future__ import annotations

from typing import Any

from airflow_provider_voicepartner.sandbox.octopush import (
    BAD_QUERY,
    BAD_URL,
    NOT_TYPE,
    UNKNOWN_KEY,
    RefusedError,
    check_headers,
    read_body,
)
from airflow_provider_voicepartner.sandbox.wire import Answer, Call, is_url

_DEFAULTS: dict[str, dict[str, Any]] = {
    "sms_campaign_alert_parameters": {
        "alert_type": "sms_premium", "alert_bound": 150, "alert_email_to": "", "alert_phone_number_to": "",
    },
    "campaign_parameters": {
        "sender_for_sms_premium": "", "sender_for_voice_sms": "", "phone_number_for_test_sms": "",
    },
    "callbacks": {
        "callback_url_for_deliveries": None, "callback_url_for_inbounds": None,
        "callback_url_for_blacklisted_numbers": None, "callback_url_for_visits": None,
        "email_for_inbounds": "", "api_version": "2", "use_metadata_node_for_inbound": False,
    },
}  # fmt: skip

_OLDER_NAMES = {
    "callback_url_for_sms_deliveries": "callback_url_for_deliveries",
    "callback_url_for_vocal_sms_deliveries": "callback_url_for_deliveries",
    "callback_url_for_voice_sms_deliveries": "callback_url_for_deliveries",
    "sender_for_vocal_sms": "sender_for_voice_sms",
    "alert_emails_to": "alert_email_to",
}


def check_balance(call: Call) -> Answer:
    """The balance in euros, or in units of a product for a country."""
    check_headers(call)
    query, settings = call.query, call.world.settings.octopush
    country, product = query.get("country_code"), query.get("product_name")
    if (country is None) != (product is None):
        raise RefusedError(BAD_QUERY, "country_code and product_name go together.")
    if query.get("with_details", "false").lower() not in ("0", "1", "true", "false"):
        raise RefusedError(BAD_QUERY, "with_details must be true or false.")
    credit = call.world.credit["octopush"]
    value: dict[str, Any] = {"amount": float(credit), "unit": "euros"}
    if product is not None:
        prices = {
            "sms_premium": settings.price_sms_premium, "sms_low_cost": settings.price_sms_low_cost,
            "vocal_sms": settings.price_voice, "hlr": settings.price_sms_low_cost,
        }  # fmt: skip
        if product not in prices or country is None or len(country) != 2:
            raise RefusedError(BAD_QUERY, "country_code or product_name is not known.")
        value = {"amount": int(credit / prices[product]) if prices[product] else 0, "unit": product}
    if query.get("with_details", "false").lower() in ("1", "true"):
        pack = {
            "id": "1f0a4c18-0000-11eb-b80e-02455c12550a",
            "credit": value["amount"],
            "expiration_date": "2035-12-08T16:45:14+01:00",
        }
        value["wallet_packs"] = [pack]
    return Answer(value)


def _parameters(call: Call) -> dict[str, dict[str, Any]]:
    stored = call.world.parameters
    return {section: {**defaults, **stored.get(section, {})} for section, defaults in _DEFAULTS.items()}


def read_parameters(call: Call) -> Answer:
    """The account's defaults and callback URLs."""
    check_headers(call)
    return Answer(_parameters(call))


def edit_parameters(call: Call) -> Answer:
    """Change some of the account's parameters; older names of a parameter are taken too. A URL is cleared by null."""
    changes: dict[str, dict[str, Any]] = {}
    for section, values in read_body(call).items():
        if section not in _DEFAULTS:
            if call.tolerates(f"{section} is ignored; no section has this name."):
                continue
            raise RefusedError(UNKNOWN_KEY, f"{section} is not known.")
        if not isinstance(values, dict):
            raise RefusedError(NOT_TYPE, f"{section} must be an object.")
        for given, value in values.items():
            name = _OLDER_NAMES.get(given, given)
            if name in _DEFAULTS[section]:
                _check_parameter(name, value)
                changes.setdefault(section, {})[name] = value
            elif not call.tolerates(f"{section}.{given} is ignored; no parameter has this name."):
                raise RefusedError(UNKNOWN_KEY, f"{section}.{given} is not known.")
    for section, values in changes.items():
        call.world.parameters.setdefault(section, {}).update(values)
    return Answer(_parameters(call))


def _check_parameter(name: str, value: object) -> None:
    if name.startswith("callback_url") and value not in (None, "") and not is_url(value):
        raise RefusedError(BAD_URL, f"{name} is not a URL.")
    if name == "use_metadata_node_for_inbound" and not isinstance(value, bool):
        raise RefusedError(NOT_TYPE, f"{name} must be true or false.")
