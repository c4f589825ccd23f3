"""Settings that only this gateway has: as users write them in a message, and as requests carry them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator

from airflow_provider_voicepartner.gateways.dates import require_future_slot
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.validation import (
    CallbackUrl,
    GatewayOptions,
    check_callback_url,
    check_sender,
)

TAG_LENGTH = 20
MINUTE_STEP = 5

REFERENCE_LENGTH = 12
_USER_TAG_LENGTH = TAG_LENGTH - REFERENCE_LENGTH - len("-")
_VIRTUAL_NUMBER = re.compile(r"[1-9][0-9]{6,14}")

_REFERENCE = re.compile(rf"[a-z0-9]{{{REFERENCE_LENGTH}}}")
_TAG = re.compile(rf"(?:[a-z0-9]{{1,7}}-)?({_REFERENCE.pattern})")


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


def check_range(*, low_cost: bool, is_stop_sms: bool, argument: str = "is_stop_sms") -> None:
    """Check that the automatic STOP mention is asked for in the Premium range only."""
    if low_cost and is_stop_sms:
        raise InvalidArgumentError(
            argument, "works in the Premium range only; write the STOP mention (NoPub=STOP) into the message"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSettings:
    """
    What the sends of one message have in common.

    :param sender: 3 to 11 letters or digits, with blanks between; None sends from an operator's short number. Unused
        from a virtual number, like the next two.
    :param gamme: the range; None leaves the gateway's default, Premium.
    :param is_unicode: any character, 70 to an SMS; the account must be enabled for it.
    :param is_stop_sms: have the STOP mention appended; Premium only. From a virtual number it is documented on the
        vendor's older pages only.
    :param sandbox: nothing is sent or charged.
    :param url_dlr: gets delivery reports; https, or http on loopback.
    :param url_response: gets replies and STOPs; likewise.
    :raises InvalidArgumentError: naming the argument and the fix.
    """

    sender: str | None = None
    gamme: Gamme | None = None
    is_unicode: bool = False
    is_stop_sms: bool = False
    sandbox: bool = False
    url_dlr: str | None = field(default=None, repr=False)
    url_response: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what the gateway would refuse."""
        check_sender(self.sender, gateway=INFO.label, takes_blanks=True)
        check_range(low_cost=self.is_low_cost, is_stop_sms=self.is_stop_sms)
        check_callback_url(self.url_dlr, argument="url_dlr")
        check_callback_url(self.url_response, argument="url_response")

    @property
    def is_low_cost(self) -> bool:
        """True in the Low Cost range, with its single SMS."""
        return self.gamme is Gamme.LOW_COST

    def fields(self, tag: str | None, send_at: datetime | None, now: datetime) -> dict[str, Any]:
        """Return what stands in a body beside numbers and texts."""
        body: dict[str, Any] = {} if self.sender is None else {"sender": self.sender}
        if self.gamme is not None:
            body["gamme"] = int(self.gamme)
        if self.is_unicode:
            body["isUnicode"] = 1
        if send_at is not None:
            body |= schedule_fields(send_at, now=now)
        return body | self.extras(tag)

    def extras(self, tag: str | None) -> dict[str, Any]:
        """Return the part of :meth:`fields` that a send from a virtual number has too."""
        body: dict[str, Any] = {}
        if tag is not None:
            check_tag(tag)
            body["tag"] = tag
        if self.is_stop_sms:
            body["isStopSms"] = 1
        if self.sandbox:
            body["sandbox"] = 1
        if self.url_dlr is not None:
            body["urlDlr"] = self.url_dlr
        if self.url_response is not None:
            body["urlResponse"] = self.url_response
        return body


DEFAULTS: Final = SendSettings()


def schedule_fields(send_at: datetime, *, now: datetime) -> dict[str, str | int]:
    """
    Write a date of sending as the gateway wants it: ``dd/MM/yyyy``, hour and minute, in Europe/Paris.

    The minute must be a multiple of 5 (documented) and is rounded *up*: never earlier than asked. The docs allow hours
    0 to 24; 24 is never used. That the gateway reads Paris time is inferred.

    :param send_at: aware and in the future.
    :param now: the present, aware.
    :returns: ``scheduledDeliveryDate``, ``time`` and ``minute``.
    :raises InvalidArgumentError: for a naive or a past date.
    """
    moment = require_future_slot(send_at, now, step=MINUTE_STEP)
    return {
        "scheduledDeliveryDate": f"{moment.day:02}/{moment.month:02}/{moment.year:04}",
        "time": moment.hour,
        "minute": moment.minute,
    }


def check_tag(tag: str) -> None:
    """Check a tag: 1 to 20 characters, no blank, lower case."""
    if not 1 <= len(tag) <= TAG_LENGTH or re.search(r"\s", tag) or tag != tag.lower():
        raise InvalidArgumentError(
            "tag",
            f"must be 1 to {TAG_LENGTH} characters without blanks and capital letters; shorten or rewrite it",
        )


def join_tag(user_tag: str | None, reference: str) -> str:
    """
    Make the tag of a batch; at most 20 characters, the gateway's limit.

    :param user_tag: the option ``tag``, 1 to 7 lower-case letters or digits, or None.
    :param reference: our own id of the batch.
    :raises InvalidArgumentError: for a reference that is not 12 lower-case letters or digits.
    """
    if not _REFERENCE.fullmatch(reference):
        raise InvalidArgumentError(
            "reference", f"must be {REFERENCE_LENGTH} lower-case letters or digits; make a new one"
        )
    return reference if user_tag is None else f"{user_tag}-{reference}"


def reference_of(tag: str | None) -> str | None:
    """Return our reference out of a tag that came back; a tag that is not ours is returned as it is."""
    ours = _TAG.fullmatch(tag) if tag else None
    return ours.group(1) if ours else tag or None
