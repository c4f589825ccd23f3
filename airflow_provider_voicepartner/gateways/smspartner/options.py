"""The settings that only this gateway has, as users write them in a message's ``options``."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from airflow_provider_voicepartner.gateways.callback_urls import CallbackUrl
from airflow_provider_voicepartner.gateways.options import GatewayOptions
from airflow_provider_voicepartner.gateways.smspartner.checks import TAG_LENGTH

REFERENCE_LENGTH = 12
_USER_TAG_LENGTH = TAG_LENGTH - REFERENCE_LENGTH - len("-")
_VIRTUAL_NUMBER = re.compile(r"[1-9][0-9]{6,14}")


class Gamme(IntEnum):
    """The vendor's ranges of SMS (its English docs say ``range``, its API takes ``gamme`` only)."""

    PREMIUM = 1
    LOW_COST = 2


def _read_gamme(value: Any) -> Any:
    if isinstance(value, Gamme):
        return value
    known = {"premium": Gamme.PREMIUM, "low_cost": Gamme.LOW_COST, "1": Gamme.PREMIUM, "2": Gamme.LOW_COST}
    found = None if isinstance(value, bool) else known.get(str(value).strip().casefold())
    if found is None:
        raise ValueError("must be 'premium' (1) or 'low_cost' (2)")
    return found


def _check_user_tag(value: str) -> str:
    if not re.fullmatch(rf"[a-z0-9]{{1,{_USER_TAG_LENGTH}}}", value):
        raise ValueError(
            f"must be 1 to {_USER_TAG_LENGTH} lower-case letters or digits: the gateway takes {TAG_LENGTH} characters, "
            "and our own reference of the batch needs the rest"
        )
    return value


def _read_virtual_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("must be a text")
    return re.sub(r"[\s.]", "", str(value)).removeprefix("+")


def _check_virtual_number(value: str) -> str:
    if not _VIRTUAL_NUMBER.fullmatch(value):
        raise ValueError("must be the rented number with its country code, such as 33600000000")
    return value


class SmsOptions(GatewayOptions):
    """
    What may stand in ``SmsMessage.options`` for this gateway. Every setting may be left out.

    :param gamme: ``premium`` (1, the gateway's default) or ``low_cost`` (2: one SMS of 160 characters, no automatic
        STOP). The vendor's newest docs no longer list it, so ``low_cost`` may be refused with code 51.
    :param is_stop_sms: True has the gateway append its STOP mention, Premium only. Left out: on for the purpose
        ``marketing``, off for ``alert``.
    :param is_unicode: send any character, 70 to an SMS; the account must be enabled for it.
    :param tag: 1 to 7 lower-case letters or digits, put before our own reference in the gateway's tag.
    :param sandbox: True checks and counts, but sends and charges nothing.
    :param url_dlr: gets the delivery reports in place of the URL that the provider would give.
    :param url_response: gets replies and STOPs in place of the URL that the provider would give.
    :param virtual_number: a rented long number, ``336…``, to send from. One recipient per request, at once, without
        ``sender``, ``gamme`` and ``is_unicode``.
    """

    gamme: Annotated[Gamme, BeforeValidator(_read_gamme)] | None = None
    is_stop_sms: bool | None = None
    is_unicode: bool = False
    tag: Annotated[str, AfterValidator(_check_user_tag)] | None = None
    sandbox: bool = False
    url_dlr: CallbackUrl | None = None
    url_response: CallbackUrl | None = None
    virtual_number: (
        Annotated[str, BeforeValidator(_read_virtual_number), AfterValidator(_check_virtual_number)] | None
    ) = None
