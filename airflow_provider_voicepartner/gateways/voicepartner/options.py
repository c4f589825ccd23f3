"""Voice Partner's own settings of a call and of a voicemail drop."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from airflow_provider_voicepartner.gateways.validation import EMAIL, CallbackUrl, GatewayOptions


def _require_email(address: str) -> str:
    if not EMAIL.fullmatch(address):
        raise ValueError("is not an e-mail address")
    return address


EmailAddress = Annotated[str, AfterValidator(_require_email)]


class TtsOptions(GatewayOptions):
    """
    Settings of a call (``tts/send``).

    :param speech_rate: speed of speech, 0.5 to 2, the vendor's default is 1; only with a text. The vendor would
        silently clamp a value out of range, so it is refused here.
    :param notify_url: where one report per number is POSTed; goes before the URL that the caller of
        ``build_batch`` gives.
    """

    speech_rate: Annotated[float, Field(ge=0.5, le=2, allow_inf_nan=False)] | None = None
    notify_url: CallbackUrl | None = None


class VoicemailOptions(GatewayOptions):
    """
    Settings of a voicemail drop (``campaign/send``).

    :param email_for_notification: gets a mail at the end of the campaign. The vendor's table lists it as required
        while its own sample leaves it out, so it may be left out here too.
    :param notify_url: where one report for the whole campaign is sent, by GET; goes before the URL that the caller of
        ``build_batch`` gives.
    """

    email_for_notification: EmailAddress | None = None
    notify_url: CallbackUrl | None = None
