"""What Voice Partner answers, read tolerantly and judged strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pendulum

from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import (
    Balance,
    Cancellation,
    Message,
    Receipt,
    Recipient,
    Voicemail,
)
from airflow_provider_voicepartner.gateways.parsing import (
    as_count,
    as_currency,
    as_decimal,
    as_int,
    as_object,
    as_objects,
    as_price,
    as_text,
    in_doubt_if_named,
    transport_kind,
)
from airflow_provider_voicepartner.gateways.voicepartner import INFO, codes
from airflow_provider_voicepartner.gateways.voicepartner.refusals import (
    accepted_answer,
    campaign_id,
    names_a_send,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFile:
    """
    A validated audio file of the account.

    :param token: what ``audio_token`` takes.
    :param name: as shown on the dashboard.
    :param size: as the vendor writes it, in French units: ``88.2Ko``.
    :param duration: seconds, None where the answer does not say.
    :param created_at: aware, None where the answer does not say.
    """

    token: str = field(repr=False)
    name: str
    size: str | None = None
    duration: int | None = None
    created_at: pendulum.DateTime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedAudio:
    """The answer to a rename: the file and its new name."""

    token: str = field(repr=False)
    name: str
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@in_doubt_if_named(names_a_send)
def parse_batch(response: ApiResponse, message: Message, recipients: Sequence[Recipient]) -> Receipt:
    """
    Read the answer to ``tts/send`` or ``campaign/send``.

    ``accepted`` is the vendor's count of messages, but never more than were asked for; without a count it is all
    of them. Which numbers were dropped is never reported, nor whether they were: those beyond the count are in doubt.

    :raises GatewayError: for anything but a success with a campaign id. An answer that contradicts itself, or that
        leaves out the success flag, is in doubt: nobody can tell whether the calls will be made.
    """
    voicemail = isinstance(message, Voicemail)
    endpoint = "campaign/send" if voicemail else "tts/send"
    meanings = codes.CAMPAIGN_SEND if voicemail else codes.TTS_SEND
    data = accepted_answer(
        endpoint, response, meanings, safe_to_repeat=False, sends=True, recipients=recipients
    )
    gateway_id = campaign_id(data)
    if gateway_id is None:
        summary = "the answer says success but names no campaign, so nobody can tell whether it was accepted"
        raise GatewayError(INFO.name, endpoint, ErrorKind.UNKNOWN, summary, status=response.status)
    count = as_count(data.get("nbSms"))
    accepted = len(recipients) if count is None else min(count, len(recipients))
    cost = as_price(data.get("cost"))
    return Receipt(
        gateway_id=gateway_id,
        accepted=accepted,
        in_doubt=len(recipients) - accepted,
        cost=cost,
        currency=None if cost is None else _currency(data),
        segments=count,
        duration=as_decimal(data.get("duration")),
        raw=data,
    )


def parse_balance(response: ApiResponse) -> Balance:
    """
    Read the credit.

    ``details`` may hold ``tts_mobile_seconds`` and ``tts_landline_seconds`` (speaking time left) and
    ``voicemail_messages`` (drops left), as the vendor counts them.

    :raises GatewayError: for anything but a success with a credit.
    """
    data = accepted_answer("me", response, codes.ME, safe_to_repeat=True)
    amount = as_decimal(data.get("credit"))
    if amount is None:
        raise _unreadable("me", response, "the answer holds no credit", safe_to_repeat=True)
    counters = as_object(data.get("details"))
    counts = {
        "tts_mobile_seconds": _seconds(counters.get("tts")),
        "tts_landline_seconds": _seconds(counters.get("tts_fixe")),
        "voicemail_messages": as_int(as_object(counters.get("voice")).get("message")),
    }
    details = {name: value for name, value in counts.items() if value is not None}
    return Balance(amount=amount, unit=_currency(data), details=details, raw=data)


def parse_cancel(response: ApiResponse, gateway_id: str) -> Cancellation:
    """
    Read the answer to a cancel.

    A second cancel is not documented; 404 (``NOT_FOUND``) and 400 (``TOO_LATE``) are errors here and never a success:
    they also mean that the campaign has left, or that the id is wrong.

    :param gateway_id: the campaign, as it was asked.
    :raises GatewayError: for anything but a success, and for an answer about another campaign.
    """
    data = accepted_answer("campaign/cancel", response, codes.CAMPAIGN_CANCEL, safe_to_repeat=False)
    named = campaign_id(data)
    if named is not None and named != gateway_id.strip():
        raise _unreadable(
            "campaign/cancel", response, "the answer names another campaign", safe_to_repeat=False
        )
    refunded = as_decimal(data.get("assignedCredit"))
    currency = None if refunded is None else _currency(data)
    return Cancellation(gateway_id=gateway_id, refunded=refunded, currency=currency, raw=data)


def parse_audios(response: ApiResponse) -> tuple[AudioFile, ...]:
    """
    Read the list of audio files; this answer has no success flag, and no paging is documented.

    :raises GatewayError: for anything but a list of files with tokens.
    """
    data = accepted_answer("audios", response, codes.AUDIOS, safe_to_repeat=True, flag_promised=False)
    listed = data.get("datas")
    if not isinstance(listed, list) and not (listed is None and as_int(data.get("nb_datas")) == 0):
        raise _unreadable("audios", response, "the answer holds no list of files", safe_to_repeat=True)
    items = as_objects(listed)
    files = tuple(file for item in items if (file := _audio_file(item)) is not None)
    if len(files) != len(listed or ()):
        raise _unreadable("audios", response, "the answer lists a file without a token", safe_to_repeat=True)
    return files


def _audio_file(item: Mapping[str, Any]) -> AudioFile | None:
    token = as_text(item.get("token"))
    if token is None:
        return None
    clock = _CLOCK.fullmatch(as_text(item.get("duration")) or "")
    hours, minutes, seconds = (int(part or 0) for part in clock.groups()) if clock else (0, 0, 0)
    return AudioFile(
        token=token,
        name=as_text(item.get("name")) or "",
        size=as_text(item.get("size")),
        duration=hours * 3600 + minutes * 60 + seconds if clock else None,
        created_at=_created_at(item.get("created_at")),
        raw=item,
    )


def _created_at(value: Any) -> pendulum.DateTime | None:
    if not isinstance(value, dict):
        return read_date(as_text(value))
    local, zone = read_date(as_text(value.get("date"))), as_text(value.get("timezone"))
    # The vendor documents Europe/Paris; a moment in a zone that nobody announced is left out rather than guessed.
    return local if zone in (None, "Europe/Paris") else None


def parse_rename_audio(response: ApiResponse) -> RenamedAudio:
    """
    Read the answer to a rename.

    :raises GatewayError: for anything but a success that names the file and its new name.
    """
    data = accepted_answer("audio-file/rename", response, codes.AUDIO_RENAME, safe_to_repeat=True)
    token, name = as_text(data.get("tokenAudio")), as_text(data.get("filename"))
    if token is None or name is None:
        raise _unreadable(
            "audio-file/rename", response, "the answer does not name the renamed file", safe_to_repeat=True
        )
    return RenamedAudio(token=token, name=name, raw=data)


def _currency(data: Mapping[str, Any]) -> str:
    """Read the currency: a code everywhere, the symbol on the balance; euro is the only one the vendor names."""
    return as_currency(data.get("currency")) or INFO.currency or ""


def _seconds(value: Any) -> int | None:
    """Add up ``{h, m, s}``; the vendor's own example has more than 59 seconds, so the parts are not checked."""
    parts = as_object(value)
    hours, minutes, seconds = (as_int(parts.get(name, 0)) for name in ("h", "m", "s"))
    if not parts or hours is None or minutes is None or seconds is None:
        return None
    return hours * 3600 + minutes * 60 + seconds


def _unreadable(endpoint: str, response: ApiResponse, problem: str, *, safe_to_repeat: bool) -> GatewayError:
    kind = transport_kind(response.status, safe_to_repeat=safe_to_repeat)
    return GatewayError(INFO.name, endpoint, kind, problem, status=response.status)
