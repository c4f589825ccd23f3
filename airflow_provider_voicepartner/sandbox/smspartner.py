"""SMS Partner: the three ways to send (``send``, ``bulk-send``, ``vn/send``).

What the vendor leaves open, and what the sandbox does: a number that is malformed (9), opted out (14), given twice (15)
or without a price (13) is left out and the rest is sent; ``send`` says nothing of it, ``bulk-send`` says so on that
entry; when none is left the whole call is refused with code 55 and a list that gives each number's own code as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from airflow_provider_voicepartner.sandbox.campaigns import Campaign, Line
from airflow_provider_voicepartner.sandbox.clock import paris, paris_text
from airflow_provider_voicepartner.sandbox.hours import next_opening, refusal_code
from airflow_provider_voicepartner.sandbox.numbers import may_get_sms
from airflow_provider_voicepartner.sandbox.smspartner_form import Form, RefusedError, read_body
from airflow_provider_voicepartner.sandbox.text import smspartner_length, smspartner_losses, smspartner_parts
from airflow_provider_voicepartner.sandbox.wire import Answer, Call
from airflow_provider_voicepartner.sandbox.world import World

MOST_NUMBERS = 500
MOST_PARTS = 10

_OPTIONS = frozenset({
    "apiKey", "gamme", "sender", "tag", "scheduledDeliveryDate", "time", "minute", "urlResponse",
    "urlDlr", "isStopSms", "isUnicode", "sandbox", "_format", "range", "webhookUrl",
})  # fmt: skip
_SEND = _OPTIONS | {"phoneNumbers", "message"}
_BULK = _OPTIONS | {"SMSList"}
_ENTRY = frozenset({"phoneNumber", "message"})
_VN = frozenset({
    "apiKey", "to", "from", "virtualNumber", "message", "tag", "urlResponse", "urlDlr", "sandbox", "isStopSms",
    "_format",
})  # fmt: skip

_REASONS = {
    9: "The phone number is not valid.",
    13: "No price is known for this destination.",
    14: "This number is on the STOP list.",
    15: "This number is already in the list.",
}


@dataclass(frozen=True, slots=True)
class _Options:
    """What a send asks for besides its text and numbers; the campaign has no lines yet."""

    campaign: Campaign
    unicode: bool
    low_cost: bool
    date: float | None


def _parts_of(call: Call, text: str, options: _Options) -> int:
    if options.low_cost and smspartner_length(text, unicode=options.unicode) > 160:
        raise RefusedError(42, "A Low Cost message has at most 160 characters.")
    parts = smspartner_parts(text, unicode=options.unicode)
    if parts > MOST_PARTS:
        raise RefusedError(52, f"The message needs {parts} SMS, more than {MOST_PARTS}.")
    if not options.unicode and (losses := smspartner_losses(text)):
        call.record.warn(f"Not in the SMS alphabet, and isUnicode is not set: {' '.join(losses)}")
    return parts


def _number_code(call: Call, given: object, seen: set[str], stops: set[str]) -> tuple[str, int]:
    """Return the number in international form and why it is left out (0: it is not)."""
    world, number = call.world, call.number(given)
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
    campaign.warnings = call.record.warnings
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


def _unusable(call: Call, numbers: list[object]) -> str | None:
    """Return the first number if none of them can be sent to at all."""
    if any((number := call.number(given)) and may_get_sms(number) for given in numbers):
        return None
    return str(numbers[0])


def _options(call: Call, form: Form, known: frozenset[str], numbers: list[object]) -> _Options:
    """Read the options of a send and refuse it if a field is wrong; numbers that are all wrong are named with it."""
    sender, low_cost, date = form.sender(), form.low_cost(), form.date()
    unicode, simulated = form.unicode(), form.flag("sandbox")
    form.flag("isStopSms")
    campaign = Campaign(
        "smspartner", "sms", [], sender=sender, reference=form.tag(), simulated=simulated,
        report_url=form.url("urlDlr"), reply_url=form.url("urlResponse"),
    )  # fmt: skip
    form.known_fields(known)
    if form.found and (unusable := _unusable(call, numbers)) is not None:
        place = 1 if form.found[0].field == "message" else 0
        form.wrong("phoneNumbers", f"This phone number is not valid ({unusable})")
        form.found.insert(place, form.found.pop())
    form.finish()
    return _Options(campaign, unicode, low_cost, _account_must_send(call.world, date))


def send(call: Call) -> Answer:
    """One text to 1–500 numbers."""
    body = read_body(call)
    if "SMSList" in body:  # some of the vendor's pages post the bulk body here
        return _send_list(call, body)
    numbers = body.get("phoneNumbers")
    if numbers is None or numbers == "":
        raise RefusedError(2, "phoneNumbers is missing.")
    form = Form(call, body)
    text = form.text()
    if not isinstance(numbers, str):
        form.wrong("phoneNumbers", "phoneNumbers must be a text, with commas.")
        form.finish()
    given: list[object] = [*str(numbers).split(",")]
    if len(given) > MOST_NUMBERS:
        raise RefusedError(50, f"More than {MOST_NUMBERS} numbers.")
    options = _options(call, form, _SEND, given)
    campaign, settings = options.campaign, call.world.settings.smspartner
    parts = _parts_of(call, text, options)
    cost = parts * (settings.price_low_cost if options.low_cost else settings.price_premium)
    seen: set[str] = set()
    stops = call.world.opted_out("smspartner")
    for entry in given:
        number, code = _number_code(call, entry, seen, stops)
        if code:
            campaign.refused.append(_left_out(number, code))
        else:
            campaign.lines.append(Line(number, parts, cost))
    if not campaign.lines:
        raise RefusedError(55, "There is no number left to send to.", campaign.refused)
    campaign.text = text
    _take(call, campaign, options.date)
    return Answer(_taken(campaign, options.date, "nb_sms"))


def bulk_send(call: Call) -> Answer:
    """A text of its own for each of 1–500 numbers. ``nbSMS`` here, and ``nbSms`` on each entry."""
    return _send_list(call, read_body(call))


def _entries(call: Call, form: Form) -> list[dict[str, Any]]:
    """Return the entries of a list, each an object with a number and a text; the first wrong one is named."""
    entries = form.body.get("SMSList")
    if not isinstance(entries, list) or not entries:
        raise RefusedError(2, "SMSList is missing, is empty or is not a list.")
    if len(entries) > MOST_NUMBERS:
        raise RefusedError(50, f"More than {MOST_NUMBERS} numbers.")
    for entry in entries:
        known = isinstance(entry, dict) and entry.keys() <= _ENTRY
        if not known and not (
            isinstance(entry, dict)
            and call.tolerates("An entry of SMSList has other fields than phoneNumber and message.")
        ):
            form.wrong("SMSList", "An entry has phoneNumber and message.")
            form.finish()
        Form(call, entry, form.found).text()
        if form.found:
            break
    return entries


def _send_list(call: Call, body: dict[str, Any]) -> Answer:
    form = Form(call, body)
    entries = _entries(call, form)
    options = _options(call, form, _BULK, [entry.get("phoneNumber") for entry in entries])
    campaign, settings = options.campaign, call.world.settings.smspartner
    price = settings.price_low_cost if options.low_cost else settings.price_premium
    listed: list[dict[str, Any]] = []
    seen: set[str] = set()
    stops = call.world.opted_out("smspartner")
    for entry in entries:
        text = entry["message"]
        parts = _parts_of(call, text, options)
        number, code = _number_code(call, entry.get("phoneNumber"), seen, stops)
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
    _take(call, campaign, options.date)
    return Answer({**_taken(campaign, options.date, "nbSMS"), "SMSResponse_List": listed})


def _own_number(call: Call, form: Form) -> str:
    """Return the rented number a text is sent from; it has no plus."""
    own = form.body.get("from")
    if own is None and (own := form.body.get("virtualNumber")) is not None:
        if not call.tolerates("virtualNumber is taken for from."):
            form.wrong("virtualNumber", "The field is from.")
    elif isinstance(own, str) and own.startswith("+") and call.tolerates("from should have no plus."):
        own = own[1:]
    if own not in call.world.settings.smspartner.virtual_numbers:
        form.wrong("from", "from must be one of your virtual numbers, without a plus.")
    return str(own)


def vn_send(call: Call) -> Answer:
    """One SMS from a rented long number; ``from`` has no plus."""
    body = read_body(call)
    to = body.get("to")
    if to is None or to == "":
        raise RefusedError(2, "to is missing.")
    form = Form(call, body)
    text, own = form.text(), _own_number(call, form)
    form.flag("isStopSms")
    campaign = Campaign(
        "smspartner", "vn", [], text, sender=own, reference=form.tag(), simulated=form.flag("sandbox"),
        report_url=form.url("urlDlr"), reply_url=form.url("urlResponse"),
    )  # fmt: skip
    form.known_fields(_VN)
    form.finish()
    _account_must_send(call.world, None)
    parts = _parts_of(call, text, _Options(campaign, unicode=False, low_cost=False, date=None))
    number, code = _number_code(call, to, set(), call.world.opted_out("smspartner"))
    if code:
        raise RefusedError(55, "There is no number left to send to.", [_left_out(number, code)])
    campaign.lines.append(Line(number, parts, parts * call.world.settings.smspartner.price_premium))
    _take(call, campaign, None)
    return Answer(_taken(campaign, None, "nb_sms"))
