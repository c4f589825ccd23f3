"""Octopush behind an Airflow connection: calls and text messages, balance, account-wide callback addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Final, Literal

from airflow_provider_voicepartner.exceptions import checked
from airflow_provider_voicepartner.gateways import octopush
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import (
    Balance,
    Cancellation,
    Message,
    Purpose,
    Receipt,
    SmsMessage,
    VoiceMessage,
)
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.connection import ConnectionExtra

_ACCOUNT_URLS: Final = {
    "deliveries": "callback_url_for_deliveries",
    "replies": "callback_url_for_inbounds",
    "opt-outs": "callback_url_for_blacklisted_numbers",
}


class OctopushExtra(ConnectionExtra):
    """
    Fields of an Octopush connection.

    :param sender: sender ID of messages that give none.
    """

    sender: str | None = None


class OctopushHook(GatewayHook):
    """
    Calls Octopush. Its results come by account-wide callback only; nothing polls.

    Connection: type ``octopush``, the account's e-mail in ``login``, the API key in ``password``; ``host`` only for
    another base URL.
    """

    gateway: ClassVar[Gateway] = octopush
    extra_model: ClassVar[type[ConnectionExtra]] = OctopushExtra

    def with_defaults(self, message: Message) -> Message:
        """Fill in the connection's sender."""
        sender = self.extra.sender
        return (
            replace(message, sender=sender)
            if isinstance(message, (SmsMessage, VoiceMessage)) and not message.sender and sender
            else message
        )

    def send_sms(
        self,
        to: Any,
        message: str,
        *,
        sender: str | None = None,
        purpose: Purpose = "alert",
        options: Mapping[str, Any] | None = None,
        send_at: datetime | None = None,
        reference: str | None = None,
    ) -> Receipt:
        """
        Send a text message (``POST /sms-campaign/send``). Arrives at most once.

        :param to: a number, a comma-separated text, a list of numbers or of dicts with ``phone_number``; 1 to 500.
        :param message: 1 to 1,224 characters; ``{placeholders}`` are filled in from personal fields.
        :param sender: 3 to 11 letters or digits.
        :param purpose: ``marketing`` is Octopush's ``wholesale``.
        :param options: see :class:`~airflow_provider_voicepartner.gateways.octopush.SmsOptions`.
        :param send_at: aware and in the future; None sends at once.
        :param reference: our own id of the batch, its ``request_id`` there; made up when None.
        """
        sms = SmsMessage(text=message, sender=sender, purpose=purpose, options=options or {})
        return self.send_to(to, sms, send_at=send_at, reference=reference)

    def send_tts_call(
        self,
        to: Any,
        text: str,
        *,
        language: str | None = None,
        sender: str | None = None,
        purpose: Purpose = "alert",
        options: Mapping[str, Any] | None = None,
        send_at: datetime | None = None,
        reference: str | None = None,
    ) -> Receipt:
        """
        Call people and speak a text (``POST /voice-campaign/send``). Arrives at most once.

        :param to: a number, a comma-separated text, a list of numbers or of dicts with ``phone_number``; 1 to 500.
        :param text: 1 to 1,224 characters.
        :param language: such as ``fr-FR``, which is the default.
        :param sender: caller ID, 3 to 11 letters or digits; the vendor advises digits.
        :param options: see :class:`~airflow_provider_voicepartner.gateways.octopush.VoiceOptions`.
        :param send_at: aware and in the future; None calls at once.
        :param reference: our own id of the batch, its ``request_id`` there; made up when None.
        """
        message = VoiceMessage(
            text=text, language=language, sender=sender, purpose=purpose, options=options or {}
        )
        return self.send_to(to, message, send_at=send_at, reference=reference)

    def check_balance(
        self,
        *,
        country_code: str | None = None,
        product_name: Literal["sms_low_cost", "sms_premium", "vocal_sms", "hlr"] | None = None,
        with_details: bool = False,
    ) -> Balance:
        """
        Read the balance, in money or in units of a product (``GET /wallet/check-balance``).

        :param country_code: ISO 3166 code; needs ``product_name`` too.
        :param product_name: needs ``country_code`` too.
        :param with_details: adds the wallet's packs.
        """
        request = checked(
            octopush.build_balance,
            country_code=country_code,
            product_name=product_name,
            with_details=with_details,
        )
        return self.call(request, octopush.parse_balance)

    def get_campaign_parameters(self) -> octopush.CampaignParameters:
        """Read the account's defaults and callback addresses (``GET /user/campaign-parameters``)."""
        return self.call(octopush.build_parameters(), octopush.parse_parameters)

    def edit_campaign_parameters(self, **parameters: Any) -> Mapping[str, Any]:
        """
        Change the account's defaults and callback addresses (``PATCH /user/campaign-parameters/edit``).

        :param parameters: those of :func:`~airflow_provider_voicepartner.gateways.octopush.build_edit_parameters`; only
            the given ones are changed.
        """
        return self.call(
            checked(octopush.build_edit_parameters, **parameters), octopush.parse_edit_parameters
        )

    def account_urls(self) -> Mapping[str, str | None]:
        """Read where the account reports deliveries, replies and opt-outs to."""
        shown = self.get_campaign_parameters()
        return {what: getattr(shown, name) for what, name in _ACCOUNT_URLS.items()}

    def set_account_urls(self, url: str) -> None:
        """Have everything reported to one URL."""
        self.edit_campaign_parameters(**dict.fromkeys(_ACCOUNT_URLS.values(), url))

    def cancel_sms(self, ticket: str) -> Cancellation:
        """Take back a scheduled text campaign of fewer than 3 recipients, until 10 minutes before its time."""
        return self.cancel_campaign(ticket, kind="sms")

    def cancel_tts_call(self, ticket: str) -> Cancellation:
        """Take back a scheduled call campaign of fewer than 3 recipients, until 10 minutes before its time."""
        return self.cancel_campaign(ticket, kind="tts")
