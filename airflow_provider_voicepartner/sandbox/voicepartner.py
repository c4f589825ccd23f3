"""Voice Partner: calls that speak a text, voicemail drops, audio files, cancel, credit.

What the vendor leaves open, and what the sandbox does: one malformed number refuses the whole call
(``DESTINATION_INVALID``); a number given twice is called twice, and charged twice; what is wrong and has no vendor code
gets a code from 900 to 999, which no vendor uses; a send that has left, or was never scheduled, cannot be cancelled
(400); one already cancelled is not found (404).
"""

from __future__ import annotations

import re
import string
from collections import deque
from decimal import Decimal
from math import ceil
from random import Random
from typing import Any

from airflow_provider_voicepartner.sandbox.campaigns import Campaign, Line
from airflow_provider_voicepartner.sandbox.clock import PARIS, paris
from airflow_provider_voicepartner.sandbox.numbers import country_of, to_international
from airflow_provider_voicepartner.sandbox.settings import VoicePartner
from airflow_provider_voicepartner.sandbox.wire import Answer, Call, NotJsonError, is_url, parsed
from airflow_provider_voicepartner.sandbox.world import World

MOST_NUMBERS = 500

DATE_UNREADABLE, DATE_PAST, LANGUAGE, EMAIL, FILENAME, UNKNOWN_FIELD, WRONG_TYPE = (
    901,
    902,
    903,
    904,
    905,
    906,
    907,
)

_TTS = frozenset({
    "apiKey", "text", "tokenAudio", "lang", "phoneNumbers", "speechRate", "speed", "notifyUrl",
    "scheduledDate",
})  # fmt: skip
_DROP = frozenset({
    "apiKey", "tokenAudio", "emailForNotification", "phoneNumbers", "sender", "scheduledDate",
    "notifyUrl",
})  # fmt: skip
_RENAME = frozenset({"apiKey", "tokenAudio", "filename"})
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{1,2}:[0-9]{1,2}:00")
_DECIMAL = re.compile(r"[0-9]+([.,][0-9]+)?")
_SYMBOLS = string.ascii_letters + string.digits


class RefusedError(Exception):
    """The gateway says no, with a word or a number, and an HTTP status."""

    def __init__(self, code: str | int, message: str, status: int = 400, **headers: str) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def refusal(settings: VoicePartner, refused: RefusedError) -> Answer:
    """Return a refusal: 400, 401 or 404, or HTTP 200 if the settings say so; a 429 stays a 429."""
    value = {"success": False, "code": refused.code, "message": refused.message}
    status = 200 if settings.error_status == "200" and refused.status != 429 else refused.status
    return Answer(value, status, refused.headers)


def check_key(call: Call, key: object) -> None:
    """Refuse a missing or wrong key: HTTP 401, code 10."""
    if key is None or key == "":
        raise RefusedError(10, "The apiKey is missing.", 401)
    if key != call.world.settings.voicepartner.api_key:
        raise RefusedError(10, "The apiKey is wrong.", 401)


def read_body(call: Call, known: frozenset[str]) -> dict[str, Any]:
    """Return a POST's body with its key checked and no field that is not known."""
    try:
        body = call.json()
    except NotJsonError as error:
        raise RefusedError(400, str(error)) from error
    check_key(call, body.get("apiKey"))
    unknown = ", ".join(sorted(body.keys() - known))
    if unknown and not call.tolerates(f"Ignored, because no field has this name: {unknown}."):
        raise RefusedError(UNKNOWN_FIELD, f"Not known: {unknown}.")
    return body


def limit(call: Call, name: str) -> dict[str, str]:
    """Count a request against the limits of an endpoint; return the rate headers.

    The window slides on the sandbox's clock. Requests that are refused for another reason count too.
    """
    world = call.world
    settings = world.settings.voicepartner
    rules = settings.limits.get(name, [])
    if not settings.rate_limits or not rules:
        return {}
    now = world.now()
    times = world.windows.setdefault(name, deque())
    while times and times[0] <= now - max(rule.seconds for rule in rules):
        times.popleft()
    tightest: tuple[int, int, float] | None = None
    for rule in rules:
        inside = [moment for moment in times if moment > now - rule.seconds]
        remaining = rule.requests - len(inside)
        frees = (inside[0] if inside else now) + rule.seconds
        if remaining <= 0:
            headers = _rate_headers(
                world, rule.requests, 0, inside[len(inside) - rule.requests] + rule.seconds
            )
            message = f"More than {rule.requests} requests in {rule.seconds:g} s."
            raise RefusedError(429, message, 429, **headers)
        if tightest is None or remaining < tightest[1]:
            tightest = (rule.requests, remaining, frees)
    times.append(now)
    if tightest is None:
        return {}
    headers = _rate_headers(world, tightest[0], tightest[1] - 1, tightest[2])
    return {header.replace("_", "-"): value for header, value in headers.items()}


def _rate_headers(world: World, most: int, remaining: int, frees: float) -> dict[str, str]:
    reset = ceil(world.clock.calendar_of(frees))
    return {
        "X_RateLimit_Limit": str(most),
        "X_RateLimit_Remaining": str(remaining),
        "X_RateLimit_Reset": str(reset),
    }


def _text_field(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise RefusedError(WRONG_TYPE, f"{name} must be a text.")
    return value


def _numbers(call: Call, body: dict[str, Any]) -> list[str]:
    text = _text_field(body, "phoneNumbers")
    if text is None:
        raise RefusedError("PHONE_NUMBER_REQUIRED", "phoneNumbers is missing.")
    given = text.split(",")
    if len(given) > MOST_NUMBERS:
        raise RefusedError("PHONE_NUMBER_SIZE_ERROR", f"More than {MOST_NUMBERS} numbers.")
    numbers = []
    for place, entry in enumerate(given, start=1):
        number = call.number(entry)
        if number is None:
            raise RefusedError("DESTINATION_INVALID", f"Number {place} of {len(given)} is not valid.")
        numbers.append(number)
    return numbers


def _date(call: Call, body: dict[str, Any]) -> float | None:
    """Return ``scheduledDate`` in Unix seconds: a blank between day and hour, and 00 seconds; else it is odd."""
    text = _text_field(body, "scheduledDate")
    if text is None:
        return None
    given = parsed(text, "%Y-%m-%d %H:%M:%S") or parsed(text, "%Y-%m-%dT%H:%M:%S")
    if given is None or not (
        _DATE.fullmatch(text) or call.tolerates("scheduledDate should be YYYY-mm-dd H:m:00.")
    ):
        raise RefusedError(DATE_UNREADABLE, "scheduledDate must be YYYY-mm-dd H:m:00.")
    date = given.replace(tzinfo=PARIS).timestamp()
    if date < call.world.clock.calendar():
        raise RefusedError(DATE_PAST, "scheduledDate is in the past.")
    return date


def _notify_url(body: dict[str, Any]) -> str | None:
    url = body.get("notifyUrl")
    if url is not None and not is_url(url):
        raise RefusedError("NOTIFY_URL_INVALID", "notifyUrl is not a URL.")
    return url


def _audio(call: Call, token: str) -> dict[str, Any]:
    audio = call.world.audios.get(token)
    if audio is None:
        raise RefusedError("AUDIO_FILE_NOT_FOUND", "No usable audio file has this token.")
    return audio


def _speech_rate(call: Call, body: dict[str, Any]) -> float:
    """Return ``speechRate``, drawn into 0.5 to 2 as the gateway does, never refused for being outside."""
    rate = body.get("speechRate", 1)
    if (
        isinstance(rate, str)
        and _DECIMAL.fullmatch(rate)
        and call.tolerates("speechRate should be a number.")
    ):
        rate = float(rate.replace(",", "."))
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise RefusedError(WRONG_TYPE, "speechRate must be a number.")
    return min(2.0, max(0.5, rate))


def _spoken_seconds(text: str, rate: float) -> float:
    """Return how long a text takes to speak: a letter count, plus half a second for each comma."""
    return max(1.0, round(len(text) / 14 / rate + 0.5 * text.count(","), 1))


def _id_maker(length: int) -> Any:
    def make(random: Random, serial: int) -> str:
        return (
            "".join(random.choices(_SYMBOLS, k=length - 2))
            + _SYMBOLS[serial // 62 % 62]
            + _SYMBOLS[serial % 62]
        )

    return make


def _take(call: Call, campaign: Campaign, date: float | None, id_length: int) -> None:
    world = call.world
    campaign.warnings = call.record.warnings
    campaign.cost = sum((line.cost for line in campaign.lines), Decimal(0))
    if campaign.cost > world.credit["voicepartner"]:
        raise RefusedError("NOT_CREDIT", "There is not enough credit.")
    campaign.due = None if date is None else world.clock.moment_of(date)
    campaign.details["scheduled"] = date is not None
    world.take(campaign, _id_maker(id_length))
    call.record.campaign = campaign.id


def _detail(campaign: Campaign, price: Decimal, duration: float | None) -> dict[str, Any]:
    """Return the costs by calling code; a call's entry has two fields more than a voicemail's."""
    detail: dict[str, Any] = {}
    for line in campaign.lines:
        code, country = country_of(line.number)
        entry = detail.setdefault(code, {"nbSms": 0, "cost_unity": float(price), "cost": Decimal(0)})
        entry["nbSms"] += 1
        entry["cost"] += line.cost
        if duration is not None:
            entry |= {"country_code": country, "duration": duration}
    for entry in detail.values():
        entry["cost"] = float(entry["cost"])
    return detail


def tts_send(call: Call) -> Answer:
    """Call numbers and speak a text, or play an audio file (then the text is ignored)."""
    body = read_body(call, _TTS)
    headers = limit(call, "tts/send")
    text, token = _text_field(body, "text"), _text_field(body, "tokenAudio")
    numbers = _numbers(call, body)
    if text is None and token is None:
        raise RefusedError("TOKEN_AUDIO_REQUIRED", "Either text or tokenAudio is needed.")
    language, rate = _text_field(body, "lang") or "fr", _speech_rate(call, body)
    if not re.fullmatch(r"[a-z]{2}([-_][A-Za-z]{2})?", language):
        raise RefusedError(LANGUAGE, "lang is not a language.")
    duration = _audio(call, token)["duration"] * 1.0 if token else _spoken_seconds(text or "", rate)
    price = call.world.settings.voicepartner.price_tts
    url, date = _notify_url(body), _date(call, body)
    campaign = Campaign(
        "voicepartner", "call", [Line(number, 1, price) for number in numbers], None if token else text,
        reference=url, report_url=url, details={"duration": duration, "audio": token, "lang": language, "rate": rate},
    )  # fmt: skip
    if "speed" in body:
        call.record.warn("speed is ignored; the field is speechRate.")
    if token and text:
        call.record.warn("text is ignored because tokenAudio is given.")
    _take(call, campaign, date, 10)
    value = {
        "success": True, "campaignId": campaign.id, "cost": float(campaign.cost), "currency": "EUR",
        "nbSms": len(campaign.lines), "lang": language, "duration": duration,
        "detail": _detail(campaign, price, duration),
    }  # fmt: skip
    return Answer(value, headers=headers)


def campaign_send(call: Call) -> Answer:
    """Drop an audio file on the voicemail of 1–500 numbers."""
    body = read_body(call, _DROP)
    headers = limit(call, "campaign/send")
    settings = call.world.settings.voicepartner
    token = _text_field(body, "tokenAudio")
    numbers = _numbers(call, body)
    if token is None:
        raise RefusedError("TOKEN_AUDIO_REQUIRED", "tokenAudio is missing.")
    audio = _audio(call, token)
    email, sender = _text_field(body, "emailForNotification"), _text_field(body, "sender")
    if email is None and settings.email_required:
        raise RefusedError(EMAIL, "emailForNotification is missing.")
    if email is not None and not re.fullmatch(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+", email):
        raise RefusedError(EMAIL, "emailForNotification is not an address.")
    if sender is not None:
        _check_sender(call, sender)
    url, date = _notify_url(body), _date(call, body)
    price = settings.price_voicemail
    campaign = Campaign(
        "voicepartner", "voicemail", [Line(number, 1, price) for number in numbers], sender=sender, reference=url,
        report_url=url, details={"duration": audio["duration"], "audio": token},
    )  # fmt: skip
    _take(call, campaign, date, 6)
    value = {
        "success": True, "campaignId": campaign.id, "cost": float(campaign.cost), "currency": "EUR",
        "nbSms": len(campaign.lines), "audioFile": {"filename": f"{audio['name']}.wav", "size": audio["size"]},
        "detail": _detail(campaign, price, None),
    }  # fmt: skip
    return Answer(value, headers=headers)


def _check_sender(call: Call, sender: str) -> None:
    settings, number = call.world.settings.voicepartner, call.number(sender)
    if number is None and " " in sender and call.tolerates("sender should have no blanks."):
        number = call.number(sender.replace(" ", ""))
    if number is None or not re.fullmatch(r"\+33[67][0-9]{8}|\+(?!33)[0-9]+", number):
        raise RefusedError("SENDER_INVALID", "sender must be a mobile number.")
    if number not in {to_international(allowed) for allowed in settings.senders}:
        raise RefusedError("SENDER_NOT_AUTHORIZED", "sender has not been validated on the account.")


def audios(call: Call, key: str | None) -> Answer:
    """The audio files that were added and validated. There is no ``success`` in this answer."""
    check_key(call, key)
    headers = limit(call, "audios")
    datas = [
        {
            "name": audio["name"],
            "token": token,
            "size": audio["size"],
            "duration": f"{int(audio['duration']) // 60}:{int(audio['duration']) % 60:02d}",
            "created_at": {
                "date": paris(audio["created"]).strftime("%Y-%m-%d %H:%M:%S.%f"),
                "timezone_type": 3,
                "timezone": "Europe/Paris",
            },
        }
        for token, audio in call.world.audios.items()
    ]
    return Answer({"nb_datas": len(datas), "datas": datas}, headers=headers)


def rename(call: Call) -> Answer:
    """Give an audio file another name, of 3 to 50 characters."""
    body = read_body(call, _RENAME)
    headers = limit(call, "audio-file/rename")
    token, name = _text_field(body, "tokenAudio"), _text_field(body, "filename")
    if token is None:
        raise RefusedError("TOKEN_AUDIO_REQUIRED", "tokenAudio is missing.")
    audio = _audio(call, token)
    if name is None or not 3 <= len(name) <= 50:
        raise RefusedError(FILENAME, "filename must have 3 to 50 characters.")
    audio["name"] = name
    return Answer({"success": True, "filename": name, "tokenAudio": token}, headers=headers)


def cancel(call: Call, key: str, campaign_id: str) -> Answer:
    """Cancel a deferred send of either kind; its price is given back, as text."""
    check_key(call, key)
    world = call.world
    campaign = world.campaigns["voicepartner"].get(campaign_id)
    if campaign is None or campaign.cancelled:
        raise RefusedError(404, "There is no such campaign.", 404)
    if campaign.due is None or campaign.due <= world.now():
        raise RefusedError(400, "The campaign has left already.")
    back = world.cancel(campaign, refund=True)
    value = {"success": True, "campaignId": campaign.id, "assignedCredit": _plain(back), "currency": "EUR"}
    return Answer(value)


def _plain(amount: Decimal) -> str:
    """Write money as the gateway does: no zeros at the end, no exponent (``"19"``, ``"1.8"``)."""
    text = f"{amount:.4f}"
    return text.rstrip("0").rstrip(".")


def me(call: Call, key: str | None) -> Answer:
    """The credit, as text, in ``€`` here and only here; the seconds may be above 59."""
    check_key(call, key)
    headers = limit(call, "me")
    if call.query.get("_format", "json") != "json":
        raise RefusedError(WRONG_TYPE, "The sandbox speaks JSON only.")
    credit, settings = call.world.credit["voicepartner"], call.world.settings.voicepartner
    seconds = int(credit / settings.price_tts * 30) if settings.price_tts else 0
    details = {
        "tts": {"h": seconds // 3600, "m": seconds % 3600 // 60, "s": seconds % 60},
        "tts_fixe": {"h": seconds // 1800, "m": seconds % 1800 // 30, "s": seconds % 30 * 2},
        "voice": {"message": int(credit / settings.price_voicemail) if settings.price_voicemail else 0},
    }
    value = {"success": True, "credit": _plain(credit), "currency": "€", "details": details}
    return Answer(value, headers=headers)


def campaign_status(call: Call, key: str, campaign_id: str) -> Answer:
    """Not documented by the vendor: off unless switched on. Nothing in its answer is promised by anyone."""
    if not call.world.settings.voicepartner.campaign_status_route:
        raise RefusedError(404, "There is no such page.", 404)
    check_key(call, key)
    campaign = call.world.campaigns["voicepartner"].get(campaign_id)
    if campaign is None:
        raise RefusedError(404, "There is no such campaign.", 404)
    now = call.world.now()
    ends = max(line.done_at for line in campaign.lines)
    status = "cancelled" if campaign.cancelled else "finished" if ends <= now else "pending"
    value = {
        "success": True,
        "status": status,
        "endDate": int(call.world.clock.calendar_of(ends)),
        "contractual": False,
    }
    return Answer(value)
