"""Every knob of the sandbox, validated, with the defaults a new sandbox starts with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

GATEWAYS = ("smspartner", "voicepartner", "octopush")
Gateway = Literal["smspartner", "voicepartner", "octopush"]


class _Knobs(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Delays(_Knobs):
    """How long a message lives before its final report, in sandbox seconds: drawn between the two bounds."""

    sms: tuple[float, float] = (2.0, 15.0)
    voice: tuple[float, float] = (10.0, 45.0)
    voicemail: tuple[float, float] = (10.0, 45.0)
    reply: tuple[float, float] = (5.0, 60.0)


class Callbacks(_Knobs):
    """How callbacks are delivered, and how badly."""

    enabled: bool = True
    duplicates: float = Field(0.0, ge=0, le=1, description="Share of reports that are posted twice.")
    loss: float = Field(0.0, ge=0, le=1, description="Share of reports that are never posted.")
    disorder: float = Field(0.0, ge=0, le=1, description="Share of reports that are overtaken by later ones.")
    disorder_seconds: float = Field(30.0, ge=0, description="How far a report may be put out of order.")
    extra_delay: float = Field(0.0, ge=0, description="Sandbox seconds between the outcome and its callback.")
    send_pending: bool = Field(False, description="Also post a first report that is not final.")
    timeout: float = Field(5.0, gt=0, le=60, description="Wall seconds to wait for the receiver.")
    allow_remote: bool = Field(False, description="Also deliver to hosts that are not loopback.")


class SmsPartner(_Knobs):
    """The SMS Partner account."""

    api_key: str = "sandbox-key"
    credit: Decimal = Decimal("1000")
    price_premium: Decimal = Decimal("0.045")
    price_low_cost: Decimal = Decimal("0.03")
    error_status: Literal["200", "400"] = Field(
        "200", description="HTTP status of refusals: 200 with success false, or 400 (401 for the key)."
    )
    errors_key: Literal["errors", "error"] = Field(
        "errors", description="Name of the list of a validation error."
    )
    account_code: int | None = Field(
        None, description="Refuse every send with this code (20, 30, 40, 96...)."
    )
    closed_prefixes: list[str] = Field(default_factory=list, description="Prefixes without a price: code 13.")
    senders: list[str] | None = Field(
        None, description="Allowed senders (code 992 otherwise); null allows all."
    )
    unicode_enabled: bool = True
    low_cost_enabled: bool = True
    commercial_hours: Literal["off", "hold", "refuse"] = Field(
        "off", description="Marketing account: hold sends outside Mon-Sat 8h-20h, or refuse them (22, 23)."
    )
    visible_after: float = Field(
        0.0, ge=0, description="Sandbox seconds before a send can be looked up (code 4)."
    )
    page_size: int = Field(20, ge=1, le=500)
    refund_on_cancel: bool = False
    virtual_numbers: list[str] = Field(default_factory=lambda: ["33644630000"])


class Limit(_Knobs):
    """At most ``requests`` in any ``seconds``."""

    requests: int = Field(ge=1)
    seconds: float = Field(gt=0)


def _voicepartner_limits() -> dict[str, list[Limit]]:
    hourly, minutely = Limit(requests=2000, seconds=3600), Limit(requests=5, seconds=60)
    return {
        "tts/send": [hourly],
        "campaign/send": [minutely, hourly],
        "audios": [Limit(requests=360, seconds=60)],
        "me": [minutely],
        "audio-file/rename": [minutely],
    }


class VoicePartner(_Knobs):
    """The Voice Partner account."""

    api_key: str = "sandbox-key"
    credit: Decimal = Decimal("1000")
    price_tts: Decimal = Decimal("0.06")
    price_voicemail: Decimal = Decimal("0.15")
    error_status: Literal["400", "200"] = Field(
        "400", description="HTTP status of refusals: 400/401/404, or 200 with success false."
    )
    senders: list[str] = Field(default_factory=lambda: ["0600000000", "+33600000000"])
    email_required: bool = Field(False, description="Refuse a voicemail drop without emailForNotification.")
    rate_limits: bool = True
    limits: dict[str, list[Limit]] = Field(default_factory=_voicepartner_limits)
    callback_number: Literal["0033", "+33", "33", "06", "006"] = Field(
        "0033", description="How phoneNumber is written in the callback of a call."
    )
    notify_joiner: Literal["auto", "?"] = Field(
        "auto", description="How the voicemail callback joins its query to a notifyUrl that already has one."
    )
    campaign_status_route: bool = Field(
        False, description="Answer GET campaign/{key}/{id}, which the vendor does not document."
    )


class Octopush(_Knobs):
    """The Octopush account."""

    api_login: str = "sandbox@example.org"
    api_key: str = "sandbox-key"
    credit: Decimal = Decimal("1000")
    price_voice: Decimal = Decimal("0.05")
    price_sms_premium: Decimal = Decimal("0.0495")
    price_sms_low_cost: Decimal = Decimal("0.03")
    delivery_shape: Literal["newest", "unified", "older"] = "newest"
    delivery_encoding: Literal["json", "form"] = "json"
    stop_mention: Literal["append", "refuse"] = Field(
        "append", description="French marketing SMS without an opt-out mention: append it or refuse."
    )
    refund_on_cancel: bool = False
    cancels_per_month: int = Field(1000, ge=0)


class Settings(_Knobs):
    """All settings; ``PATCH /_sandbox/settings`` takes any part of them."""

    strict: bool = Field(
        False,
        description="Refuse what is odd but understood. By default it is accepted and remarked under `warnings`.",
    )
    failure_rate: float = Field(
        0.0, ge=0, le=1, description="Share of messages, seeded, that are not delivered."
    )
    delays: Delays = Field(default_factory=Delays)
    callbacks: Callbacks = Field(default_factory=Callbacks)
    smspartner: SmsPartner = Field(default_factory=SmsPartner)
    voicepartner: VoicePartner = Field(default_factory=VoicePartner)
    octopush: Octopush = Field(default_factory=Octopush)

    def patched(self, changes: dict[str, Any]) -> Settings:
        """Return these settings with ``changes``, a nested dict, laid over them.

        :raises pydantic.ValidationError: when a name is unknown or a value is not allowed.
        """
        return Settings.model_validate(_overlaid(self.model_dump(), changes))


def _overlaid(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _overlaid(merged[name], value) if both else value
    return merged
