"""SMS Partner: the three ways to send (``send``, ``bulk-send``, ``vn/send``).

What the vendor leaves open, and what the sandbox does: a number that is malformed (9), opted out (14), given twice (15)
or without a price (13) is left out and the rest is sent; ``send`` says nothing of it, ``bulk-send`` says so on that
entry; when none is left the whole call is refused with code 55 and a list that gives each number's own code as text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from airflow_provider_voicepartner.sandbox.campaigns import Campaign, Line
from airflow_provider_voicepartner.sandbox.clock import PARIS, paris, paris_text
from airflow_provider_voicepartner.sandbox.hours import next_opening, refusal_code
from airflow_provider_voicepartner.sandbox.numbers import may_get_sms, to_international
from airflow_provider_voicepartner.sandbox.settings import SmsPartner
from airflow_provider_voicepartner.sandbox.text import smspartner_length, smspartner_losses, smspartner_parts
from airflow_provider_voicepartner.sandbox.wire import Answer, Call, NotJsonError, is_url, parsed, whole
from airflow_provider_voicepartner.sandbox.world import World

MOST_NUMBERS = 500
MOST_PARTS = 10

_OPTIONS = frozenset({
    "apiKey", "gamme", "sender", "tag", "scheduledDeliveryDate", "time", "minute", "urlResponse",
    "urlDlr", "isStopSms", "isUnicode", "sandbox", "_format", "range", "webhookUrl",
})  # fmt: skip
_SEND = _OPTIONS | {"phoneNumbers", "message"}
_BULK = _OPTIONS | {"SMSList"}
_VN = frozenset({
    "apiKey", "to", "from", "message", "tag", "urlResponse", "urlDlr", "sandbox", "isStopSms", "_format",
})  # fmt: skip

_REASONS = {
    9: "The phone number is not valid.",
    13: "No price is known for this destination.",
    14: "This number is on the STOP list.",
    15: "This number is already in the list.",
}


class RefusedError(Exception):
    """The gateway says no, with one of its codes."""

    def __init__(self, code: int, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.errors = code, message, errors


def refusal(settings: SmsPartner, refused: RefusedError) -> Answer:
    """Return a refusal: HTTP 200 with ``success`` false, unless the settings say 400 (401 for the key)."""
    value: dict[str, Any] = {"success": False, "code": refused.code}
    if refused.errors is None or refused.code == 55:
        value["message"] = refused.message
    if refused.errors is not None:
        value["errors" if refused.code == 55 else settings.errors_key] = refused.errors
    if refused.code == 90:  # documented: malformed JSON is a 400
        return Answer(value, 400)
    if settings.error_status == "200":
        return Answer(value)
    return Answer(value, 401 if refused.code in (1, 10) else 400)


def check_key(settings: SmsPartner, key: object) -> None:
    """Refuse a missing (1) or wrong (10) key."""
    if key is None or key == "":
        raise RefusedError(1, "The apiKey is missing.")
    if key != settings.api_key:
        raise RefusedError(10, "The apiKey is wrong.")


def read_body(call: Call) -> dict[str, Any]:
    """Return a POST's body with its key checked."""
    settings = call.world.settings.smspartner
    try:
        body = call.json(require_content_type=settings.require_json_content_type)
    except NotJsonError as error:
        raise RefusedError(90, str(error)) from error
    check_key(settings, body.get("apiKey"))
    return body


@dataclass(slots=True)
class _Check:
    """The options of one send, read field by field; what is wrong is collected for one code 9."""

    world: World
    body: dict[str, Any]
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def wrong(self, name: str, message: str) -> None:
        self.errors.append({"elementId": f"children[{name}].data", "message": message})

    def flag(self, name: str) -> bool:
        value = self.body.get(name, 0)
        number = whole(value)
        if number not in (0, 1):
            self.wrong(name, f"{name} must be 0 or 1.")
        return number == 1

    def url(self, name: str) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not is_url(value):
            self.wrong(name, f"{name} is not a URL.")
        return str(value)

    def known_fields(self, known: frozenset[str]) -> None:
        for name in ("range", "webhookUrl"):
            if name in self.body and name in known:
                self.warnings.append(
                    f"{name} is ignored; the field is {'gamme' if name == 'range' else 'urlDlr'}."
                )
        if self.world.settings.smspartner.refuse_unknown_fields:
            for name in self.body.keys() - known:
                self.wrong(name, "This field is not known.")
        if self.body.get("_format", "json") != "json":
            self.wrong("_format", "The sandbox speaks JSON only.")

    def tag(self) -> str | None:
        tag = self.body.get("tag")
        if tag is None:
            return None
        if not isinstance(tag, str) or not tag or len(tag) > 20 or re.search(r"\s", tag):
            self.wrong("tag", "The tag must have 1 to 20 characters and no blank.")
        elif tag != tag.lower():
            self.warnings.append("The tag should be lower case.")
        return str(tag)

    def sender(self) -> str | None:
        sender = self.body.get("sender")
        if sender is None or sender == "":
            return None
        if not isinstance(sender, str) or not 3 <= len(sender) <= 11:
            self.wrong("sender", "The sender must have 3 to 11 characters.")
        elif not re.fullmatch(r"[A-Za-z0-9 ]+", sender):
            raise RefusedError(44, "The sender has a character that is not allowed.")
        else:
            allowed = self.world.settings.smspartner.senders
            if allowed is not None and sender not in allowed:
                raise RefusedError(992, "This sender is not authorised.")
        return str(sender)

    def low_cost(self) -> bool:
        gamme = whole(self.body.get("gamme", 1))
        if gamme not in (1, 2):
            self.wrong("gamme", "gamme must be 1 (Premium) or 2 (Low Cost).")
        if gamme == 2 and not self.world.settings.smspartner.low_cost_enabled:
            raise RefusedError(51, "Low Cost is not available.")
        return gamme == 2

    def date(self) -> float | None:
        """Return when to send, in Unix seconds; the three fields go together."""
        day, hour, minute = (self.body.get(name) for name in ("scheduledDeliveryDate", "time", "minute"))
        if day is None and hour is None and minute is None:
            return None
        if day is None or day == "":
            raise RefusedError(45, "scheduledDeliveryDate is missing.")
        if hour is None or hour == "":
            raise RefusedError(46, "time (the hour) is missing.")
        given = parsed(day, "%d/%m/%Y") if isinstance(day, str) and len(day) == 10 else None
        if given is None:
            raise RefusedError(49, "scheduledDeliveryDate must be dd/MM/yyyy.")
        hours, minutes = whole(hour), whole(minute)
        if minutes is None:
            raise RefusedError(47, "minute is missing or is not a number.")
        if not 0 <= minutes <= 55 or minutes % 5:
            raise RefusedError(48, "minute must be 0 to 55, by 5.")
        if hours is None or not 0 <= hours <= 23:
            self.wrong("time", "time must be an hour from 0 to 23.")
            return None
        date = given.replace(hour=hours, minute=minutes, tzinfo=PARIS).timestamp()
        if date < self.world.clock.calendar():
            self.wrong("scheduledDeliveryDate", "The date is in the past.")
        return date

    def finish(self) -> None:
        if self.errors:
            raise RefusedError(9, "A constraint failed.", self.errors)


def _text_of(value: object) -> str:
    if value is None or value == "":
        raise RefusedError(43, "The message is missing.")
    if not isinstance(value, str):
        raise RefusedError(
            9, "", [{"elementId": "children[message].data", "message": "The message must be a text."}]
        )
    return value


def _parts_of(text: str, *, unicode: bool, low_cost: bool, warnings: list[str]) -> int:
    if low_cost and smspartner_length(text, unicode=unicode) > 160:
        raise RefusedError(42, "A Low Cost message has at most 160 characters.")
    parts = smspartner_parts(text, unicode=unicode)
    if parts > MOST_PARTS:
        raise RefusedError(52, f"The message needs {parts} SMS, more than {MOST_PARTS}.")
    if not unicode and (losses := smspartner_losses(text)):
        warnings.append(f"Not in the SMS alphabet, and isUnicode is not set: {' '.join(losses)}")
    return parts


def _number_code(world: World, given: object, seen: set[str], stops: set[str]) -> tuple[str, int]:
    """Return the number in international form and why it is left out (0: it is not)."""
    number = to_international(given.strip()) if isinstance(given, str) else None
    if number is None or not may_get_sms(number):
        return str(given), 9
    if number in seen:
        return number, 15
    seen.add(number)
    if number in stops or world.rules.is_opted_out("smspartner", number):
        return number, 14
    if any(number.startswith(prefix) for prefix in world.settings.smspartner.closed_prefixes):
        return number, 13
    return number, 0


def _left_out(number: str, code: int) -> dict[str, Any]:
    return {"success": False, "code": str(code), "message": _REASONS[code], "phoneNumber": number}


def _account_must_send(world: World, date: float | None) -> float | None:
    """Refuse what the account may not send now; return when the send leaves, if not at once."""
    settings = world.settings.smspartner
    if settings.account_code is not None:
        raise RefusedError(settings.account_code, "The account may not send.")
    if settings.commercial_hours == "off":
        return date
    moment = paris(world.clock.calendar() if date is None else date)
    code = refusal_code(moment)
    if code is None:
        return date
    if settings.commercial_hours == "refuse":
        raise RefusedError(code, "Marketing messages may not be sent at this time.")
    return next_opening(moment).timestamp()


def _make_id(random: Random, serial: int) -> str:
    return str(8_000_000 + serial * 7 + random.randrange(7))


def _take(call: Call, campaign: Campaign, date: float | None) -> None:
    world = call.world
    campaign.cost = sum((line.cost for line in campaign.lines), Decimal(0))
    if not campaign.simulated and campaign.cost > world.credit["smspartner"]:
        raise RefusedError(11, "There is not enough credit.")
    campaign.due = None if date is None else world.clock.moment_of(date)
    world.take(campaign, _make_id)
    call.record.campaign = campaign.id


def _taken(campaign: Campaign, date: float | None, counted_as: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "success": True,
        "code": 200,
        "message_id": int(campaign.id),
        counted_as: sum(line.parts for line in campaign.lines),
        "cost": float(campaign.cost),
        "currency": "EUR",
    }
    if date is not None:
        value["scheduledDeliveryDate"] = paris_text(date)
    return value


def _options(
    call: Call, body: dict[str, Any], known: frozenset[str]
) -> tuple[Campaign, bool, bool, float | None]:
    """Return an empty campaign with the options of the request, unicode, Low Cost and the date."""
    check = _Check(call.world, body)
    check.known_fields(known)
    check.flag("isStopSms")
    campaign = Campaign(
        "smspartner", "sms", [], sender=check.sender(), reference=check.tag(),
        simulated=check.flag("sandbox"), report_url=check.url("urlDlr"), reply_url=check.url("urlResponse"),
        warnings=check.warnings,
    )  # fmt: skip
    unicode, low_cost, date = check.flag("isUnicode"), check.low_cost(), check.date()
    if unicode and not call.world.settings.smspartner.unicode_enabled:
        check.wrong("isUnicode", "Unicode is not enabled on this account.")
    check.finish()
    return campaign, unicode, low_cost, _account_must_send(call.world, date)


def send(call: Call) -> Answer:
    """One text to 1–500 numbers."""
    body = read_body(call)
    if "SMSList" in body:  # some of the vendor's pages post the bulk body here
        return bulk_send(call)
    numbers = body.get("phoneNumbers")
    if numbers is None or numbers == "":
        raise RefusedError(2, "phoneNumbers is missing.")
    text = _text_of(body.get("message"))
    if not isinstance(numbers, str):
        wrong = {
            "elementId": "children[phoneNumbers].data",
            "message": "phoneNumbers must be a text, with commas.",
        }
        raise RefusedError(9, "", [wrong])
    given = numbers.split(",")
    if len(given) > MOST_NUMBERS:
        raise RefusedError(50, f"More than {MOST_NUMBERS} numbers.")
    campaign, unicode, low_cost, date = _options(call, body, _SEND)
    settings = call.world.settings.smspartner
    parts = _parts_of(text, unicode=unicode, low_cost=low_cost, warnings=campaign.warnings)
    cost = parts * (settings.price_low_cost if low_cost else settings.price_premium)
    seen: set[str] = set()
    stops = call.world.opted_out("smspartner")
    for entry in given:
        number, code = _number_code(call.world, entry, seen, stops)
        if code:
            campaign.refused.append(_left_out(number, code))
        else:
            campaign.lines.append(Line(number, parts, cost))
    if not campaign.lines:
        raise RefusedError(55, "There is no number left to send to.", campaign.refused)
    campaign.text = text
    _take(call, campaign, date)
    return Answer(_taken(campaign, date, "nb_sms"))


def bulk_send(call: Call) -> Answer:
    """A text of its own for each of 1–500 numbers. ``nbSMS`` here, and ``nbSms`` on each entry."""
    body = read_body(call)
    entries = body.get("SMSList")
    if not isinstance(entries, list) or not entries:
        raise RefusedError(2, "SMSList is missing, is empty or is not a list.")
    if len(entries) > MOST_NUMBERS:
        raise RefusedError(50, f"More than {MOST_NUMBERS} numbers.")
    campaign, unicode, low_cost, date = _options(call, body, _BULK)
    settings = call.world.settings.smspartner
    price = settings.price_low_cost if low_cost else settings.price_premium
    listed: list[dict[str, Any]] = []
    seen: set[str] = set()
    stops = call.world.opted_out("smspartner")
    for entry in entries:
        if not isinstance(entry, dict) or not entry.keys() <= {"phoneNumber", "message"}:
            wrong = {
                "elementId": "children[SMSList].data",
                "message": "An entry has phoneNumber and message.",
            }
            raise RefusedError(9, "", [wrong])
        text = _text_of(entry.get("message"))
        parts = _parts_of(text, unicode=unicode, low_cost=low_cost, warnings=campaign.warnings)
        number, code = _number_code(call.world, entry.get("phoneNumber"), seen, stops)
        if code:
            campaign.refused.append(_left_out(number, code))
            listed.append({"success": False, "code": code, "message": _REASONS[code], "phoneNumber": number})
            continue
        line = Line(number, parts, parts * price, text)
        campaign.lines.append(line)
        listed.append(
            {"success": True, "code": 200, "nbSms": parts, "cost": float(line.cost), "phoneNumber": number}
        )
    if not campaign.lines:
        raise RefusedError(55, "There is no number left to send to.", campaign.refused)
    _take(call, campaign, date)
    return Answer({**_taken(campaign, date, "nbSMS"), "SMSResponse_List": listed})


def vn_send(call: Call) -> Answer:
    """One SMS from a rented long number; ``from`` has no plus."""
    body = read_body(call)
    to, own = body.get("to"), body.get("from")
    if to is None or to == "":
        raise RefusedError(2, "to is missing.")
    text = _text_of(body.get("message"))
    check = _Check(call.world, body)
    check.known_fields(_VN)
    settings = call.world.settings.smspartner
    if (
        not isinstance(own, str)
        or not re.fullmatch(r"[1-9][0-9]{6,14}", own)
        or own not in settings.virtual_numbers
    ):
        check.wrong("from", "from must be one of your virtual numbers, without a plus.")
    check.flag("isStopSms")
    campaign = Campaign(
        "smspartner", "vn", [], text, sender=str(own), reference=check.tag(), simulated=check.flag("sandbox"),
        report_url=check.url("urlDlr"), reply_url=check.url("urlResponse"), warnings=check.warnings,
    )  # fmt: skip
    check.finish()
    _account_must_send(call.world, None)
    parts = _parts_of(text, unicode=False, low_cost=False, warnings=campaign.warnings)
    number, code = _number_code(call.world, to, set(), call.world.opted_out("smspartner"))
    if code:
        raise RefusedError(55, "There is no number left to send to.", [_left_out(number, code)])
    campaign.lines.append(Line(number, parts, parts * settings.price_premium))
    _take(call, campaign, None)
    return Answer(_taken(campaign, None, "nb_sms"))
