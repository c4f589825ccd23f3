"""The account's defaults and callback URLs, which Octopush keeps for the whole account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_voicepartner.gateways.callback_urls import URL_RULE, is_callback_url
from airflow_provider_voicepartner.gateways.checks import E164, EMAIL, SENDER
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.octopush import codes
from airflow_provider_voicepartner.gateways.octopush.refusals import build_refusal, decode_answer
from airflow_provider_voicepartner.gateways.reading import as_bool, as_int, as_object, as_text, pick
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse

_READ: Final = "user/campaign-parameters"
_EDIT: Final = "user/campaign-parameters/edit"

_ALERTS: Final = "sms_campaign_alert_parameters"
_SENDERS: Final = "campaign_parameters"
_CALLBACKS: Final = "callbacks"
_GROUPS: Final = (_ALERTS, _SENDERS, _CALLBACKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignParameters:
    """
    An account's defaults; None where the answer does not tell.

    :param alert_type: product whose low balance raises an alert, such as ``sms_premium``.
    :param alert_bound: units below which it does.
    :param alert_emails_to: who is told by mail.
    :param alert_phone_number_to: who is told by SMS, in E.164.
    :param sender_for_sms_premium: default sender of SMS.
    :param sender_for_voice_sms: default sender of calls, described as 3 to 11 digits.
    :param phone_number_for_test_sms: where test messages go.
    :param callback_url_for_deliveries: for delivery reports of every channel; None also where an older answer
        names two different URLs.
    :param callback_url_for_sms_deliveries: for delivery reports of SMS.
    :param callback_url_for_voice_deliveries: for delivery reports of calls.
    :param callback_url_for_inbounds: for replies.
    :param callback_url_for_blacklisted_numbers: for opt-outs.
    :param callback_url_for_visits: for opened links.
    :param email_for_inbounds: who gets replies by mail.
    :param api_version: of the callbacks.
    :param use_metadata_node_for_inbound: True when replies come nested.
    """

    alert_type: str | None = None
    alert_bound: int | None = None
    alert_emails_to: tuple[str, ...] = ()
    alert_phone_number_to: str | None = field(default=None, repr=False)
    sender_for_sms_premium: str | None = None
    sender_for_voice_sms: str | None = None
    phone_number_for_test_sms: str | None = field(default=None, repr=False)
    callback_url_for_deliveries: str | None = field(default=None, repr=False)
    callback_url_for_sms_deliveries: str | None = field(default=None, repr=False)
    callback_url_for_voice_deliveries: str | None = field(default=None, repr=False)
    callback_url_for_inbounds: str | None = field(default=None, repr=False)
    callback_url_for_blacklisted_numbers: str | None = field(default=None, repr=False)
    callback_url_for_visits: str | None = field(default=None, repr=False)
    email_for_inbounds: str | None = field(default=None, repr=False)
    api_version: str | None = None
    use_metadata_node_for_inbound: bool | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


def build_parameters() -> ApiRequest:
    """Build the request that reads the account's defaults and callback URLs."""
    return ApiRequest(endpoint=_READ, method="GET", path=_READ, safe_to_repeat=True)


def build_edit_parameters(
    *,
    alert_type: str | None = None,
    alert_bound: int | None = None,
    alert_email_to: str | None = None,
    alert_phone_number_to: str | None = None,
    sender_for_sms_premium: str | None = None,
    sender_for_voice_sms: str | None = None,
    phone_number_for_test_sms: str | None = None,
    callback_url_for_deliveries: str | None = None,
    callback_url_for_inbounds: str | None = None,
    callback_url_for_blacklisted_numbers: str | None = None,
    callback_url_for_visits: str | None = None,
    email_for_inbounds: str | None = None,
) -> ApiRequest:
    """
    Build the request that changes some of the account's defaults; only those that are given are sent.

    The callback URLs are the only way to learn what became of a message. They hold for the whole account, so another
    program on the same account is affected too. The vendor wants an answer within a second, with an empty body.

    :param alert_type: product whose low balance raises an alert, such as ``sms_premium``.
    :param alert_bound: units below which it does, 0 or more.
    :param callback_url_for_deliveries: https URL for delivery reports of every channel; an empty text takes it
        away, as for the other texts. None leaves a setting as it is.
    :raises InvalidArgumentError: for a value that is not what its name says, and when nothing is given.
    """
    senders = {
        "sender_for_sms_premium": _check(
            "sender_for_sms_premium", sender_for_sms_premium, SENDER, "3 to 11 letters or digits"
        ),
        "sender_for_voice_sms": _check(
            "sender_for_voice_sms", sender_for_voice_sms, SENDER, "3 to 11 digits, without +"
        ),
        "phone_number_for_test_sms": _check(
            "phone_number_for_test_sms", phone_number_for_test_sms, E164, "a number in E.164"
        ),
    }
    if alert_bound is not None and alert_bound < 0:
        raise InvalidArgumentError("alert_bound", "is negative; give 0 or more")
    alerts = {
        "alert_type": alert_type,
        "alert_bound": alert_bound,
        "alert_email_to": _check("alert_email_to", alert_email_to, EMAIL, "an e-mail address"),
        "alert_phone_number_to": _check(
            "alert_phone_number_to", alert_phone_number_to, E164, "a number in E.164"
        ),
    }
    callbacks = {
        "callback_url_for_deliveries": _check_url("callback_url_for_deliveries", callback_url_for_deliveries),
        "callback_url_for_inbounds": _check_url("callback_url_for_inbounds", callback_url_for_inbounds),
        "callback_url_for_blacklisted_numbers": _check_url(
            "callback_url_for_blacklisted_numbers", callback_url_for_blacklisted_numbers
        ),
        "callback_url_for_visits": _check_url("callback_url_for_visits", callback_url_for_visits),
        "email_for_inbounds": _check("email_for_inbounds", email_for_inbounds, EMAIL, "an e-mail address"),
    }
    groups: dict[str, dict[str, Any]] = {_ALERTS: alerts, _SENDERS: senders, _CALLBACKS: callbacks}
    given = {
        group: {name: value for name, value in values.items() if value is not None}
        for group, values in groups.items()
    }
    body = {group: values for group, values in given.items() if values}
    if not body:
        raise InvalidArgumentError("parameters", "are all left out; give at least one to change")
    return ApiRequest(
        endpoint=_EDIT,
        method="PATCH",
        path=_EDIT,
        safe_to_repeat=True,
        body=body,
        private=_private_texts(body),
    )


def _private_texts(body: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the callback URLs: an unguessable part of theirs is the only thing that protects a receiver."""
    return tuple(
        str(value) for name, value in body.get(_CALLBACKS, {}).items() if name.startswith("callback_")
    )


def _check(argument: str, value: str | None, pattern: re.Pattern[str], what: str) -> str | None:
    if value and not pattern.fullmatch(value):
        raise InvalidArgumentError(argument, f"is not {what}; an empty text takes the setting away")
    return value


def _check_url(argument: str, value: str | None) -> str | None:
    if not value:
        return value
    if not is_callback_url(value):
        raise InvalidArgumentError(argument, f"{URL_RULE}; an empty text takes it away")
    return value


def parse_parameters(response: ApiResponse) -> CampaignParameters:
    """
    Read the account's defaults; older names of a setting are taken for the present ones.

    :raises GatewayError: for anything but an answer with at least one of the three groups of settings.
    """
    data = decode_answer(_READ, response, safe_to_repeat=True)
    if not 200 <= response.status < 300 or not any(isinstance(data.get(group), dict) for group in _GROUPS):
        raise build_refusal(
            _READ,
            response,
            codes.PARAMETERS,
            data,
            safe_to_repeat=True,
            problem="the answer holds none of the groups of settings",
        )
    alerts, senders, callbacks = (as_object(data.get(group)) for group in _GROUPS)
    unified = as_text(callbacks.get("callback_url_for_deliveries"))
    sms = unified or as_text(callbacks.get("callback_url_for_sms_deliveries"))
    voice = unified or as_text(
        pick(callbacks, "callback_url_for_voice_sms_deliveries", "callback_url_for_vocal_sms_deliveries")
    )
    return CampaignParameters(
        alert_type=as_text(alerts.get("alert_type")),
        alert_bound=as_int(alerts.get("alert_bound")),
        alert_emails_to=_read_emails(pick(alerts, "alert_email_to", "alert_emails_to")),
        alert_phone_number_to=as_text(alerts.get("alert_phone_number_to")),
        sender_for_sms_premium=as_text(senders.get("sender_for_sms_premium")),
        sender_for_voice_sms=as_text(pick(senders, "sender_for_voice_sms", "sender_for_vocal_sms")),
        phone_number_for_test_sms=as_text(senders.get("phone_number_for_test_sms")),
        callback_url_for_deliveries=sms if sms == voice else None,
        callback_url_for_sms_deliveries=sms,
        callback_url_for_voice_deliveries=voice,
        callback_url_for_inbounds=as_text(callbacks.get("callback_url_for_inbounds")),
        callback_url_for_blacklisted_numbers=as_text(callbacks.get("callback_url_for_blacklisted_numbers")),
        callback_url_for_visits=as_text(callbacks.get("callback_url_for_visits")),
        email_for_inbounds=as_text(callbacks.get("email_for_inbounds")),
        api_version=as_text(callbacks.get("api_version")),
        use_metadata_node_for_inbound=as_bool(callbacks.get("use_metadata_node_for_inbound")),
        raw=data,
    )


def _read_emails(value: Any) -> tuple[str, ...]:
    """Read one address, or the list that one page of the vendor documents."""
    items = value if isinstance(value, list) else [value]
    return tuple(address for item in items if (address := as_text(item)) is not None)


def parse_edit_parameters(response: ApiResponse) -> Mapping[str, Any]:
    """
    Read the answer to a change: any 2xx that is empty or JSON, since the vendor documents no body.

    :returns: the answer's fields, empty when there is no body.
    :raises GatewayError: for anything else, such as a page of HTML.
    """
    successful = 200 <= response.status < 300
    if successful and not response.body.strip():
        return {}
    data = decode_answer(_EDIT, response, safe_to_repeat=True)
    refused = as_text(data.get("code")) not in (None, "0", str(response.status))
    if not successful or refused:
        raise build_refusal(
            _EDIT,
            response,
            codes.EDIT_PARAMETERS,
            data,
            safe_to_repeat=True,
            problem="refused without a reason",
        )
    return data
