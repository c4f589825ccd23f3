"""The requests that Voice Partner takes, and where its key goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from airflow_provider_voicepartner.gateways.dates import require_future_slot
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    CallbackUrls,
    Kind,
    Message,
    Recipient,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.validation import check_callback_url, check_numbers, check_secret
from airflow_provider_voicepartner.gateways.voicepartner.messages import prepare, read_audio_token
from airflow_provider_voicepartner.gateways.wire import ApiRequest, Credentials

FILE_NAME_LENGTHS: Final = range(3, 51)

_KEY_PLACE: Final = "{api_key}"


def authenticate(request: ApiRequest, credentials: Credentials) -> ApiRequest:
    """
    Put the key where Voice Partner wants it: into the path where the path says ``{api_key}``, else into the body.

    The vendor's tables name a parameter ``apiKey`` for its GET and DELETE calls, but its samples and clients all
    put the key into the path; so do we.

    :raises InvalidArgumentError: for a missing or unusable key (``password``), and for a GET or DELETE without a
        place for it (``path``).
    """
    key = check_secret(credentials.api_key, argument="password", what="the API key")
    if not key.strip("."):
        raise InvalidArgumentError("password", "is no API key, and would change the address; copy it again")
    if _KEY_PLACE in request.path:
        return replace(request, path=request.path.replace(_KEY_PLACE, quote(key, safe="")))
    if request.method in ("GET", "DELETE"):
        raise InvalidArgumentError(
            "path", f"has no place for the key; write {_KEY_PLACE} where the vendor's address holds it"
        )
    return replace(request, body={**(request.body or {}), "apiKey": key})


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
    Build ``tts/send`` for a ``VoiceMessage`` and ``campaign/send`` for a ``Voicemail``.

    Neither knows an idempotency key: sending the request twice is two campaigns and two charges.

    :param recipients: 1 to 500; the vendor documents the limit for voicemail drops and enforces it by
        ``PHONE_NUMBER_SIZE_ERROR``, so it applies to calls too.
    :param reference: not sent, since the API has no field for it; put it into the path of ``callbacks.delivery``,
        so that the report names the batch.
    :param send_at: goes out in Europe/Paris, moved up to the next full minute, since seconds are always 00 on the
        wire.
    :param callbacks: ``delivery`` gets one POST per number for a call, one GET in all for a voicemail drop; an option
        ``notify_url`` goes before it. There are no replies.
    :param simulate: refused, since Voice Partner has no simulation.
    :raises InvalidArgumentError: naming the argument and the fix.
    """
    endpoint, fields = prepare(message)
    if simulate:
        raise InvalidArgumentError(
            "simulate", "Voice Partner has no simulation; point the connection's host at the sandbox instead"
        )
    numbers = phone_numbers_of(recipients)
    check_numbers(numbers)
    check_callback_url(callbacks.delivery, argument="callbacks.delivery")
    body: dict[str, Any] = {"phoneNumbers": ",".join(numbers), **fields}
    if callbacks.delivery is not None:
        body.setdefault("notifyUrl", callbacks.delivery)
    if send_at is not None:
        body["scheduledDate"] = _write_date(send_at, now)
    return ApiRequest(
        endpoint=endpoint,
        method="POST",
        path=endpoint,
        safe_to_repeat=False,
        body=body,
        private=tuple(text for text in (body.get("text"), body.get("tokenAudio")) if text),
    )


def _write_date(send_at: datetime, now: datetime) -> str:
    moment = require_future_slot(send_at, now, step=1)
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02} {moment.hour:02}:{moment.minute:02}:00"


def build_audios() -> ApiRequest:
    """Build the request that lists the usable audio files: those that were added on the dashboard and validated."""
    return ApiRequest(endpoint="audios", method="GET", path=f"audios/{_KEY_PLACE}", safe_to_repeat=True)


def build_rename_audio(*, audio_token: str, filename: str) -> ApiRequest:
    """
    Build the request that renames an audio file; repeating it has the same outcome.

    :param audio_token: the file's token.
    :param filename: its new name, 3 to 50 characters.
    :raises InvalidArgumentError: for a blank token or a name too short or too long.
    """
    token = read_audio_token(audio_token)
    if len(filename) not in FILE_NAME_LENGTHS or not filename.strip():
        raise InvalidArgumentError("filename", f"has {len(filename)} characters; Voice Partner takes 3 to 50")
    return ApiRequest(
        endpoint="audio-file/rename",
        method="POST",
        path="audio-file/rename",
        safe_to_repeat=True,
        body={"tokenAudio": token, "filename": filename},
        private=(token,),
    )


def build_balance() -> ApiRequest:
    """Build the request that reads the credit; the vendor allows 5 a minute."""
    return ApiRequest(endpoint="me", method="GET", path=f"me/{_KEY_PLACE}", safe_to_repeat=True)


def build_cancel(gateway_id: str, kind: Kind) -> ApiRequest:
    """
    Build the request that takes back a scheduled call or voicemail drop; both kinds share one address.

    Not marked safe to repeat, although a second cancel does no harm: after a first one that succeeded, the second is
    answered with 404 or 400, which cannot be distinguished from a wrong id, and the refunded credit is never learnt. So
    an unclear answer is reported as such, and asking again is the caller's decision.

    :param gateway_id: the campaign's id as the receipt gave it.
    :raises InvalidArgumentError: for an id that cannot be one.
    """
    if kind not in ("tts", "voicemail"):
        raise InvalidArgumentError("kind", "Voice Partner sends no SMS, so it has none to cancel")
    campaign_id = gateway_id.strip()
    if not campaign_id.strip("."):
        raise InvalidArgumentError("gateway_id", "is empty; give the id from the receipt of the send")
    return ApiRequest(
        endpoint="campaign/cancel",
        method="DELETE",
        path=f"campaign/cancel/{_KEY_PLACE}/{quote(campaign_id, safe='', errors='replace')}",
        safe_to_repeat=False,
    )
