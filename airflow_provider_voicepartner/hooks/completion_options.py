"""The options of a wait for a campaign, read and checked; and whether its delivery reports can come at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_voicepartner.constants import (
    CALL_UNCONFIRMED_AFTER,
    NOT_FOUND_GRACE,
    SMS_UNCONFIRMED_AFTER,
    UNLISTED_GRACE,
)
from airflow_provider_voicepartner.exceptions import ConfigurationError, DeliveryUnconfirmedError
from airflow_provider_voicepartner.hooks.callbacks import missing_settings
from airflow_provider_voicepartner.hooks.registry import can_report
from airflow_provider_voicepartner.hooks.storage import check_report_path
from airflow_provider_voicepartner.sending.arguments import is_left_out, literals, read_choice, read_flag

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook

OnUnconfirmed = Literal["fail", "succeed"]

UNCONFIRMED_AFTER: Final[Mapping[str, float]] = {
    "sms": SMS_UNCONFIRMED_AFTER,
    "tts": CALL_UNCONFIRMED_AFTER,
    "voicemail": CALL_UNCONFIRMED_AFTER,
}
"""Seconds: an SMS waits for its handset for two days, a call is over when it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionOptions:
    """
    The options of a wait for a campaign.

    :param conn_id: another connection than the report's.
    :param min_delivery_rate: fail when less than this share (0 to 1) of the accepted recipients got the message.
    :param fail_fast: fail as soon as ``min_delivery_rate`` can no longer be reached.
    :param report_path: path or URI of a CSV file to write one line a recipient to, once complete.
    :param on_unconfirmed: what to do when a recipient is unconfirmed in the end: ``fail`` or ``succeed``.
    :param unconfirmed_after: seconds after sending from which recipients without a report are unconfirmed; None is
        72 hours for SMS, 24 for calls and voicemail.
    :param not_found_grace: seconds after sending during which the gateway may not know the campaign yet.
    :param unlisted_grace: seconds after sending from which recipients whom a gateway does not list, while all that it
        lists are final, are unconfirmed.
    """

    conn_id: str | None = None
    min_delivery_rate: float | None = None
    fail_fast: bool = False
    report_path: str | None = None
    on_unconfirmed: OnUnconfirmed = "fail"
    unconfirmed_after: float | None = None
    not_found_grace: float = NOT_FOUND_GRACE
    unlisted_grace: float = UNLISTED_GRACE

    @classmethod
    def read(
        cls, *, min_delivery_rate: Any = None, on_unconfirmed: Any = "fail", **others: Any
    ) -> CompletionOptions:
        """
        Read what a user gave, texts from templates included.

        :raises ConfigurationError: naming the argument and the fix.
        """
        read: dict[str, Any] = {
            name: _read_seconds(name, value) if name in _SECONDS else value
            for name, value in others.items()
            if not is_left_out(value)
        }
        if "fail_fast" in read:
            read["fail_fast"] = read_flag("fail_fast", read["fail_fast"])
        read["min_delivery_rate"] = _read_rate(min_delivery_rate)
        read["on_unconfirmed"] = read_choice("on_unconfirmed", on_unconfirmed, literals(OnUnconfirmed))
        return cls(**read)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, for a trigger."""
        return asdict(self)


_SECONDS: Final = frozenset({"unconfirmed_after", "not_found_grace", "unlisted_grace"})


def _read_rate(value: Any) -> float | None:
    if is_left_out(value):
        return None
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ConfigurationError(f"min_delivery_rate: {value!r} is not a share from 0 to 1, such as 0.95")
    return rate


def _read_seconds(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"{name}: {value!r} is not a number of seconds, such as 3600")
    return seconds


def check_reports_can_come(hook: type[GatewayHook]) -> None:
    """
    Check that a gateway can be polled, or can call us.

    :raises DeliveryUnconfirmedError: it never reports delivery, or only to a URL, and there is none.
    """
    if hook.polls_delivery or can_report(hook.conn_type):
        return
    info = hook.gateway.INFO
    never = info.reports == "never"
    why = (
        "never reports delivery" if never else f"reports delivery only by callback, and {missing_settings()}"
    )
    raise DeliveryUnconfirmedError(f"{info.label} {why}; all that is known is that it accepted the campaign")


def check_options(options: CompletionOptions) -> None:
    """
    Check what would otherwise fail only at the end of the wait.

    :raises ConfigurationError: a file that is not of delivery reports is at ``report_path``.
    """
    if options.report_path:
        check_report_path(options.report_path)
