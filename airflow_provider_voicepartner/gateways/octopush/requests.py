"""The requests that Octopush takes, and where its credentials go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, get_args

from airflow_provider_voicepartner.constants import SHORTEST_SCRUBBED_FIELD
from airflow_provider_voicepartner.gateways.dates import require_future_second
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    CallbackUrls,
    Kind,
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    columns_of,
    have_fields,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.octopush.messages import (
    PURPOSES,
    PersonalText,
    PreparedMessage,
    contact_of,
    prepare,
)
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate
from airflow_provider_voicepartner.gateways.validation import (
    E164,
    EMAIL,
    SENDER,
    URL_RULE,
    check_numbers,
    check_secret,
    is_callback_url,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest, Credentials

Product = Literal["sms_low_cost", "sms_premium", "vocal_sms", "hlr"]

_CANCEL: Final[dict[str, str]] = {"sms": "sms-campaign/cancel", "tts": "voice-campaign/cancel"}
_COUNTRY = re.compile(r"[A-Z]{2}")

READ_PARAMETERS: Final = "user/campaign-parameters"
EDIT_PARAMETERS: Final = "user/campaign-parameters/edit"

_ALERTS: Final = "sms_campaign_alert_parameters"
_SENDERS: Final = "campaign_parameters"
_CALLBACKS: Final = "callbacks"
PARAMETER_GROUPS: Final = (_ALERTS, _SENDERS, _CALLBACKS)


def authenticate(request: ApiRequest, credentials: Credentials) -> ApiRequest:
    """
    Put the login and the key into the headers ``api-login`` and ``api-key``.

    :raises InvalidArgumentError: for a missing or unusable one (``login``, ``password``).
    """
    login = check_secret(
        credentials.login, argument="login", what="the account's or sub-account's e-mail address"
    )
    key = check_secret(credentials.api_key, argument="password", what="the API key")
    return replace(request, headers={**request.headers, "api-login": login, "api-key": key})


def build_batch(
    message: Message,
    recipients: Sequence[Recipient],
    *,
    reference: str,
    now: datetime,
    send_at: datetime | None = None,
    callbacks: CallbackUrls = NO_CALLBACKS,
    simulate: bool = False,
) -> ApiRequest:
    """
    Build ``sms-campaign/send`` or ``voice-campaign/send``.

    :param recipients: 1 to 500; only the fields that the text uses are sent with them.
    :param reference: goes out as ``request_id``: for 24 hours the service refuses a second request with the same
        id, which proves that the first was accepted. Whether a refused request uses up its id is not documented, so a
        batch that was refused and is sent again, corrected, needs a new reference.
    :param send_at: goes out as ISO 8601 in Europe/Paris with its offset, moved up to the next full second.
    :param callbacks: not sent: callback URLs are set for the whole account, see ``build_edit_parameters``.
    :param simulate: ask for the checks only: nothing is sent, and the answer's figures are made up. Such a request
        gets an id of its own, since it is not documented whether a simulated request uses up its id.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    check_numbers(phone_numbers_of(recipients))
    prepared = prepare(message, have_fields(recipients))
    contacts = _contacts(message, recipients, prepared)
    body: dict[str, Any] = {
        "text": prepared.personal.text,
        "recipients": contacts,
        "purpose": PURPOSES[message.purpose],
        "request_id": f"{reference}-simulated" if simulate else reference,
        **prepared.settings,
    }
    if message.sender is not None:
        body["sender"] = message.sender
    if send_at is not None:
        body["send_at"] = require_future_second(send_at, now).isoformat(timespec="seconds")
    if simulate:
        body["simulation_mode"] = True
    said = None if isinstance(message, Voicemail) else message.text
    endpoint = "sms-campaign/send" if isinstance(message, SmsMessage) else "voice-campaign/send"
    return ApiRequest(
        endpoint=endpoint,
        method="POST",
        path=endpoint,
        safe_to_repeat=False,
        body=body,
        private=_private_texts(said or "", prepared.personal.text, contacts),
    )


def _contacts(
    message: Message, recipients: Sequence[Recipient], prepared: PreparedMessage
) -> list[dict[str, str]]:
    """Return recipients as the service takes them; those that it may refuse are looked at one by one."""
    numbers, personal = phone_numbers_of(recipients), prepared.personal
    if prepared.compiled is None:
        return [{"phone_number": number} for number in numbers]
    try:
        columns = columns_of(recipients, personal.names)
        doubtful: Iterable[int] = prepared.compiled.doubtful(columns)
    except KeyError:  # It is said who lacks what.
        columns, doubtful = {}, range(len(recipients))
    names = ("phone_number", *(personal.names[name] for name in columns))
    rows = zip(numbers, *columns.values(), strict=True)
    contacts = [dict(zip(names, row, strict=True)) for row in rows]
    for at in doubtful:
        contacts[at] = _contact_at(message, recipients[at], prepared.template, personal, position=at + 1)
    return contacts


def _contact_at(
    message: Message, recipient: Recipient, template: TextTemplate, personal: PersonalText, *, position: int
) -> dict[str, str]:
    """Return one recipient as the service takes it; an error names the recipient's position, from 1."""
    problem: InvalidArgumentError
    try:
        return contact_of(message, recipient, template, personal)
    except InvalidArgumentError as error:
        problem = error
    raise InvalidArgumentError("to", f"recipient {position} {problem.problem}")


def _private_texts(text: str, sent: str, contacts: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Return what must not show up in an error: the text in both spellings, and personal fields unless too short."""
    values = {
        value
        for contact in contacts
        for name, value in contact.items()
        if name != "phone_number" and len(value) >= SHORTEST_SCRUBBED_FIELD
    }
    return tuple(dict.fromkeys([text, sent, *sorted(values)]))


def build_balance(
    *, country_code: str | None = None, product_name: Product | None = None, with_details: bool = False
) -> ApiRequest:
    """
    Build the request that reads the balance: money, or units of one product in one country.

    :param country_code: two capital letters, such as ``FR``; goes with ``product_name``.
    :param product_name: ``sms_low_cost``, ``sms_premium``, ``vocal_sms`` or ``hlr``; goes with ``country_code``.
    :param with_details: add the packs of credit and their expiry.
    :raises InvalidArgumentError: for one of the first two without the other, or a value that is not theirs.
    """
    params: dict[str, str] = {}
    if (country_code is None) != (product_name is None):
        missing = "country_code" if country_code is None else "product_name"
        raise InvalidArgumentError(
            missing, "is missing; give country_code and product_name together or neither"
        )
    if country_code is not None and product_name is not None:
        if not _COUNTRY.fullmatch(country_code):
            raise InvalidArgumentError(
                "country_code", "is not a country code of two capital letters, such as 'FR'"
            )
        if product_name not in get_args(Product):
            raise InvalidArgumentError("product_name", f"is none of {', '.join(get_args(Product))}")
        params = {"country_code": country_code, "product_name": product_name}
    if with_details:
        params["with_details"] = "1"
    return ApiRequest(
        endpoint="wallet/check-balance",
        method="GET",
        path="wallet/check-balance",
        safe_to_repeat=True,
        params=params,
    )


def build_cancel(gateway_id: str, kind: Kind) -> ApiRequest:
    """
    Build the request that takes back a scheduled batch: a DELETE with a body.

    The vendor cancels only a draft or scheduled campaign of **fewer than 3 recipients** that leaves in **more than 10
    minutes**, and at most **1000 a month** per API user. Whether a cancel refunds is not documented.

    Not marked safe to repeat, although a second cancel does no harm: it would be refused like a cancel that came
    too late, and the two could not be distinguished.

    :param gateway_id: the ticket as the receipt gave it.
    :param kind: ``sms`` or ``tts``, which have different addresses.
    :raises InvalidArgumentError: for an empty ticket, or a kind that Octopush does not send.
    """
    if kind not in _CANCEL:
        raise InvalidArgumentError("kind", "Octopush leaves no voicemail, so it has none to cancel")
    if not gateway_id.strip():
        raise InvalidArgumentError("gateway_id", "is empty; give the ticket from the receipt of the send")
    return ApiRequest(
        endpoint=_CANCEL[kind],
        method="DELETE",
        path=_CANCEL[kind],
        safe_to_repeat=False,
        body={"ticket_number": gateway_id.strip()},
    )


def build_parameters() -> ApiRequest:
    """Build the request that reads the account's defaults and callback URLs."""
    return ApiRequest(endpoint=READ_PARAMETERS, method="GET", path=READ_PARAMETERS, safe_to_repeat=True)


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
        endpoint=EDIT_PARAMETERS,
        method="PATCH",
        path=EDIT_PARAMETERS,
        safe_to_repeat=True,
        body=body,
        private=_private_urls(body),
    )


def _private_urls(body: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
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
