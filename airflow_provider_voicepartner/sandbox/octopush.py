"""Octopush: voice and SMS campaigns, their cancel, the balance and the account's parameters.

What the vendor leaves open, and what the sandbox does: only 442 is a code of theirs, all others are from 900 to 999,
which no vendor uses; a ``request_id`` is remembered for 24 hours for the whole account, and only if the request was
accepted and not simulated; a ``send_at`` in the past leaves at once; a number given twice is sent to twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import ceil
from random import Random
from typing import Any

from airflow_provider_voicepartner.sandbox.campaigns import Campaign, Line
from airflow_provider_voicepartner.sandbox.clock import PARIS
from airflow_provider_voicepartner.sandbox.numbers import is_international
from airflow_provider_voicepartner.sandbox.text import STOP_MENTION_LENGTH, octopush_parts
from airflow_provider_voicepartner.sandbox.wire import Answer, Call, NotJsonError
from airflow_provider_voicepartner.sandbox.world import World

MOST_NUMBERS, MOST_CHARACTERS, MOST_FIELD_CHARACTERS = 500, 1224, 50
REQUEST_ID_SECONDS = 24 * 3600
CANCEL_SECONDS, CANCEL_RECIPIENTS, CANCEL_MONTH_SECONDS = 10 * 60, 3, 30 * 24 * 3600
BLACKLIST_FEE = Decimal("0.01")
STEP_SECONDS = 30

NOT_LANGUAGE = 442
(
    NOT_JSON, NOT_TEXT, NOT_RECIPIENTS, NOT_NUMBER, NOT_GENDER, NOT_PURPOSE, NOT_SENDER, NOT_DATE, NOT_TYPE,
    UNKNOWN_KEY, DUPLICATE_REQUEST, NO_CREDIT, UNKNOWN_TICKET, NOT_CANCELLABLE, GENDER_NOT_OFFERED, BAD_FIELD,
    BAD_SMS_TYPE, NO_STOP_MENTION, TOO_MANY_CANCELS, NO_RECIPIENT_LEFT, BAD_QUERY, BAD_URL, TOO_LATE,
) = range(901, 924)  # fmt: skip

_BOTH, _FEMALE = frozenset({"male", "female"}), frozenset({"female"})
LANGUAGES: dict[str, frozenset[str]] = {
    **dict.fromkeys((
        "en-US", "en-GB", "el-GR", "pl-PL", "hu-HU", "de-DE", "es-ES", "es-LA", "fr-FR", "it-IT",
        "pt-BR", "ru-RU", "zh-HK", "da-DK", "nl-NL", "en-AU", "il-PH", "fr-CA", "is-IS", "id-ID",
        "ja-JP", "ms-MY", "pt-PT", "es-US",
    ), _BOTH),
    **dict.fromkeys((
        "sv-SE", "arb", "ca-ES", "mn-CN", "en-IN", "en-NZ", "en-ZA", "de-AT", "hi-IN", "ko-KR", "nb-NO",
        "ro-RO", "es-MX",
    ), _FEMALE),
}  # fmt: skip
"""Voices by language: the older list (any gender) and the newer one, which has female voices only for some."""

_COMMON = frozenset({
    "text", "recipients", "sender", "send_at", "purpose", "simulation_mode", "request_id",
    "auto_remove_blacklisted_numbers",
})  # fmt: skip
_VOICE = _COMMON | {"voice_gender", "voice_language", "get_back_pressed_keys"}
_SMS = _COMMON | {"type", "with_replies", "auto_optimize_text", "recipient_tracking", "list_name"}
_PERSONAL = ("first_name", "last_name", "param1", "param2", "param3", "param4", "param5")
_RECIPIENT = frozenset({"phone_number", *_PERSONAL})
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_OFFSET = re.compile(r".{10}T.*(Z|[+-][0-9]{2}:?[0-9]{2})")


class RefusedError(Exception):
    """The gateway says no."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def answer(self) -> Answer:
        """Return the flat shape for 401, the nested one for 400."""
        if self.status == 401:
            return Answer({"code": 401, "message": self.message}, 401)
        return _refused([{"code": self.code, "message": self.message}])


def _refused(errors: list[dict[str, Any]]) -> Answer:
    return Answer({"code": 400, "message": "The payload was refused.", "errors": errors}, 400)


def check_headers(call: Call) -> None:
    """Refuse anything but the account's login and key: 401, before the body is looked at."""
    settings, headers = call.world.settings.octopush, call.record.headers
    if headers.get("api-login") != settings.api_login or headers.get("api-key") != settings.api_key:
        raise RefusedError(401, "The api-login or the api-key header is missing or wrong.", 401)


def read_body(call: Call) -> dict[str, Any]:
    """Return the body of a request whose headers are right."""
    check_headers(call)
    try:
        return call.json()
    except NotJsonError as error:
        raise RefusedError(NOT_JSON, str(error)) from error


@dataclass(slots=True)
class _Check:
    """The fields of one send; what is wrong is collected and refused together."""

    call: Call
    body: dict[str, Any]
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.call.world

    def wrong(self, code: int, message: str) -> None:
        self.errors.append({"code": code, "message": message})

    def known_keys(self, known: frozenset[str], given: dict[str, Any], where: str = "") -> None:
        for name in sorted(given.keys() - known):
            if not self.call.tolerates(f"{where}{name} is ignored; no field has this name."):
                self.wrong(UNKNOWN_KEY, f"{where}{name} is not known.")

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.body.get(name, default)
        if isinstance(value, bool):
            return value
        spelt = _FLAGS.get(str(value).lower())
        if spelt is not None and self.call.tolerates(f"{name} should be true or false."):
            return spelt
        self.wrong(NOT_TYPE, f"{name} must be true or false.")
        return False

    def one_of(self, name: str, allowed: tuple[str, ...], code: int, default: str | None = None) -> str:
        value = self.body.get(name, default)
        small = value.lower() if isinstance(value, str) else value
        if value != small and small in allowed and self.call.tolerates(f"{name} should be in small letters."):
            value = small
        if value not in allowed:
            self.wrong(code, f"{name} must be one of {', '.join(allowed)}.")
        return str(value)

    def text(self) -> str:
        text = self.body.get("text")
        if not isinstance(text, str) or not text:
            self.wrong(NOT_TEXT, "text is missing or empty.")
            return ""
        if len(text) > MOST_CHARACTERS:
            self.wrong(NOT_TEXT, f"text has {len(text)} characters, more than {MOST_CHARACTERS}.")
        return text

    def sender(self) -> str | None:
        sender = self.body.get("sender")
        if sender is None:
            return None
        plain = sender.replace(" ", "") if isinstance(sender, str) else ""
        if not re.fullmatch(r"[A-Za-z0-9]{3,11}", plain) or len(sender) > 11:
            self.wrong(NOT_SENDER, "sender must be 3 to 11 letters and digits.")
        elif plain != sender and not self.call.tolerates("sender should have no blanks."):
            self.wrong(NOT_SENDER, "sender must have no blanks.")
        return sender if isinstance(sender, str) else None

    def date(self) -> float | None:
        text = self.body.get("send_at")
        if text is None:
            return None
        if isinstance(text, str) and _DATE.fullmatch(text):
            try:
                date = datetime.fromisoformat(text)
            except ValueError:
                date = None
            if date and _OFFSET.fullmatch(text):
                return date.timestamp()
            if date and self.call.tolerates(
                "send_at should be ISO 8601 with an offset; without one it is Paris time."
            ):
                return (date if date.tzinfo else date.replace(tzinfo=PARIS)).timestamp()
        self.wrong(NOT_DATE, "send_at must be an ISO 8601 date and time with an offset.")
        return None

    def request_id(self) -> str | None:
        given = self.body.get("request_id")
        if given is None:
            return None
        if not isinstance(given, str) or not given:
            self.wrong(NOT_TYPE, "request_id must be a text that is not empty.")
            return None
        seen = self.world.request_ids.get(given)
        if seen is not None and self.world.now() - seen < REQUEST_ID_SECONDS:
            self.wrong(DUPLICATE_REQUEST, "This request_id was used in the last 24 hours.")
        return given

    def recipients(self) -> list[dict[str, Any]]:
        """Return the recipients, their numbers with a plus; the first wrong one is named, not all 500."""
        given = self.body.get("recipients")
        if not isinstance(given, list) or not given:
            self.wrong(NOT_RECIPIENTS, "recipients is missing, empty or not a list.")
            return []
        if len(given) > MOST_NUMBERS:
            self.wrong(NOT_RECIPIENTS, f"recipients has {len(given)} entries, more than {MOST_NUMBERS}.")
            return []
        read = []
        for place, recipient in enumerate(given):
            before = len(self.errors)
            read.append(self._recipient(f"recipients[{place}]", recipient))
            if len(self.errors) > before:
                return []
        return read

    def _recipient(self, where: str, recipient: object) -> dict[str, Any]:
        if not isinstance(recipient, dict):
            self.wrong(NOT_RECIPIENTS, f"{where} is not an object.")
            return {}
        number = self._number(recipient.get("phone_number"))
        if number is None:
            self.wrong(NOT_NUMBER, f"{where}.phone_number is not an international number.")
        if len(recipient) == 1:
            return {"phone_number": number}
        self.known_keys(_RECIPIENT, recipient, f"{where}.")
        for name in _PERSONAL:
            value = recipient.get(name)
            if value is not None and not (isinstance(value, str) and len(value) <= MOST_FIELD_CHARACTERS):
                self.wrong(
                    BAD_FIELD, f"{where}.{name} must be a text of at most {MOST_FIELD_CHARACTERS} characters."
                )
        return {**recipient, "phone_number": number}

    def _number(self, given: object) -> str | None:
        if isinstance(given, str) and (is_international(given) or given[:1] in "123456789"):
            return given if given.startswith("+") else self.call.number(given)
        return None


def _personal(text: str, recipient: dict[str, Any]) -> str:
    """Put a recipient's fields where the text has ``{first_name}``, ``{param1}`` and so on."""
    if "{" in text and len(recipient) > 1:
        for name in _PERSONAL:
            text = text.replace(f"{{{name}}}", recipient.get(name) or "")
    return text


def _ticket_maker(prefix: str) -> Callable[[Random, int], str]:
    def make(random: Random, serial: int) -> str:
        return f"{prefix}_{random.getrandbits(32):08x}{serial % 16**5:05x}"

    return make


def _wanted(check: _Check, recipients: list[dict[str, Any]], remove: bool) -> list[dict[str, Any]]:
    if not remove:
        return recipients
    world = check.world
    kept = [
        recipient
        for recipient in recipients
        if recipient["phone_number"] not in world.blacklist
        and not world.rules.is_opted_out("octopush", recipient["phone_number"])
    ]
    if recipients and not kept:
        check.wrong(NO_RECIPIENT_LEFT, "Every recipient has opted out.")
    return kept


def _finish(call: Call, check: _Check, campaign: Campaign, prefix: str, removes: bool) -> Answer | None:
    """Take the campaign, or return the refusal."""
    world = call.world
    campaign.simulated = check.flag("simulation_mode")
    campaign.reference, date = check.request_id(), check.date()
    campaign.cost = sum((line.cost for line in campaign.lines), BLACKLIST_FEE if removes else Decimal(0))
    if not check.errors and not campaign.simulated and campaign.cost > world.credit["octopush"]:
        check.wrong(NO_CREDIT, "There is not enough credit.")
    if check.errors:
        return _refused(check.errors)
    campaign.warnings = call.record.warnings
    campaign.due = None if date is None else world.clock.moment_of(date)
    world.take(campaign, _ticket_maker(prefix))
    call.record.campaign = campaign.id
    if campaign.reference is not None and not campaign.simulated:
        world.request_ids[campaign.reference] = world.now()
    return None


def _taken(world: World, campaign: Campaign, **more: object) -> Answer:
    value = {
        "number_of_contacts": len(campaign.lines),
        "total_cost": float(campaign.cost),
        **more,
        "residual_credit": float(world.credit["octopush"]),
    }
    return Answer({"ticket_number" if campaign.kind == "call" else "sms_ticket": campaign.id, **value}, 201)


def voice_send(call: Call) -> Answer:
    """Call 1–500 recipients and speak a text."""
    check = _Check(call, read_body(call))
    check.known_keys(_VOICE, check.body)
    text, recipients = check.text(), check.recipients()
    gender = check.one_of("voice_gender", ("male", "female"), NOT_GENDER)
    language = check.body.get("voice_language")
    voices = LANGUAGES.get(language) if isinstance(language, str) else None
    if voices is None:
        check.wrong(NOT_LANGUAGE, "This voice language is not available.")
    elif gender in _BOTH and gender not in voices:
        check.wrong(GENDER_NOT_OFFERED, f"{language} has no {gender} voice.")
    if any(ord(character) > 0xFFFF for character in text):
        check.wrong(NOT_TEXT, "text has a character that cannot be spoken.")
    seconds = max(1, len(text) / 14)
    steps = ceil(seconds / STEP_SECONDS)
    price = steps * call.world.settings.octopush.price_voice
    removes = check.flag("auto_remove_blacklisted_numbers")
    kept = _wanted(check, recipients, removes)
    campaign = Campaign(
        "octopush", "call", [Line(r["phone_number"], 1, price, _own(text, r)) for r in kept], text, check.sender(),
        details={"duration": seconds, "charged": steps * STEP_SECONDS, "keys": check.flag("get_back_pressed_keys"),
                 "purpose": check.one_of("purpose", ("alert", "wholesale"), NOT_PURPOSE, "wholesale"),
                 "language": language, "gender": gender},
    )  # fmt: skip
    refused = _finish(call, check, campaign, "voice", removes)
    return refused or _taken(call.world, campaign, estimated_duration=steps * STEP_SECONDS)


def _own(text: str, recipient: dict[str, Any]) -> str | None:
    own = _personal(text, recipient)
    return None if own is text or own == text else own


def sms_send(call: Call) -> Answer:
    """Send a text to 1–500 recipients. The ticket is under ``sms_ticket`` here."""
    check = _Check(call, read_body(call))
    check.known_keys(_SMS, check.body)
    settings = call.world.settings.octopush
    text, recipients = check.text(), check.recipients()
    kind = check.one_of("type", ("sms_premium", "sms_low_cost"), BAD_SMS_TYPE, "sms_premium")
    purpose = check.one_of("purpose", ("alert", "wholesale"), NOT_PURPOSE, "wholesale")
    optimize, removes = check.flag("auto_optimize_text", True), check.flag("auto_remove_blacklisted_numbers")
    for name in ("with_replies", "recipient_tracking"):
        check.flag(name)
    list_name = check.body.get("list_name", "")
    if not isinstance(list_name, str) or len(list_name) > 30:
        check.wrong(BAD_FIELD, "list_name must be a text of at most 30 characters.")
    price = settings.price_sms_low_cost if kind == "sms_low_cost" else settings.price_sms_premium
    lacks_stop = purpose == "wholesale" and "STOP au XXXXX" not in text and "STOP au 30101" not in text
    if lacks_stop and settings.stop_mention == "refuse" and any(_is_french(r) for r in recipients):
        check.wrong(NO_STOP_MENTION, "A marketing SMS in France needs the text: STOP au XXXXX")
    lines, same = (
        [],
        {extra: octopush_parts(text, optimize=optimize, extra=extra) for extra in (0, STOP_MENTION_LENGTH)},
    )
    for recipient in _wanted(check, recipients, removes):
        extra = STOP_MENTION_LENGTH if lacks_stop and _is_french(recipient) else 0
        own = _own(text, recipient)
        parts = same[extra] if own is None else octopush_parts(own, optimize=optimize, extra=extra)
        lines.append(Line(recipient["phone_number"], parts, parts * price, own))
    campaign = Campaign(
        "octopush", "sms", lines, text, check.sender(),
        details={"purpose": purpose, "type": kind, "list_name": list_name},
    )  # fmt: skip
    refused = _finish(call, check, campaign, "sms", removes)
    needed = sum(line.parts for line in lines)
    return refused or _taken(call.world, campaign, number_of_sms_needed=needed)


def _is_french(recipient: dict[str, Any]) -> bool:
    return str(recipient["phone_number"]).startswith("+33")


def cancel(call: Call, kind: str) -> Answer:
    """Cancel a scheduled campaign of fewer than 3 recipients, more than 10 minutes before it leaves."""
    body, world = read_body(call), call.world
    ticket = body.get("ticket_number")
    for name in sorted(body.keys() - {"ticket_number"}):
        if not call.tolerates(f"{name} is ignored; no field has this name."):
            raise RefusedError(UNKNOWN_KEY, f"{name} is not known.")
    campaign = world.campaigns["octopush"].get(ticket) if isinstance(ticket, str) else None
    if campaign is None or campaign.kind != kind:
        raise RefusedError(UNKNOWN_TICKET, "No campaign of this kind has this ticket_number.")
    if campaign.cancelled or campaign.leaves_at() <= world.now():
        raise RefusedError(NOT_CANCELLABLE, "The campaign was cancelled already, or has left.")
    if len(campaign.lines) >= CANCEL_RECIPIENTS:
        raise RefusedError(NOT_CANCELLABLE, f"The campaign has {CANCEL_RECIPIENTS} recipients or more.")
    if campaign.leaves_at() - world.now() <= CANCEL_SECONDS:
        raise RefusedError(TOO_LATE, "The campaign leaves in 10 minutes or less.")
    settings = world.settings.octopush
    world.cancels = [moment for moment in world.cancels if moment > world.now() - CANCEL_MONTH_SECONDS]
    if len(world.cancels) >= settings.cancels_per_month:
        raise RefusedError(
            TOO_MANY_CANCELS, f"More than {settings.cancels_per_month} cancellations in a month."
        )
    world.cancels.append(world.now())
    world.cancel(campaign, refund=settings.refund_on_cancel)
    return Answer(None, 204)
