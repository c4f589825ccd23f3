"""The requests that Octopush takes besides sends, and where its credentials go."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, Literal, get_args

from airflow_provider_voicepartner.gateways.checks import check_secret
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Kind
from airflow_provider_voicepartner.gateways.wire import ApiRequest, Credentials

Product = Literal["sms_low_cost", "sms_premium", "vocal_sms", "hlr"]

_CANCEL: Final[dict[str, str]] = {"sms": "sms-campaign/cancel", "tts": "voice-campaign/cancel"}
_COUNTRY = re.compile(r"[A-Z]{2}")


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
    too late, and nobody could tell the two apart.

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
