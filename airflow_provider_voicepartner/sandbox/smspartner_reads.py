"""SMS Partner: statuses, cancel, credit and the STOP list.

What the vendor leaves open, and what the sandbox does: a cancelled campaign is not found any more (code 4); a number
that was left out of a send is not found in it; ``bulk-status-by-tag`` takes ``page`` from 1 and ``total`` counts
numbers, not pages; a simulated send (``sandbox=1``) has statuses like any other.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_voicepartner.sandbox.campaigns import Campaign, Line
from airflow_provider_voicepartner.sandbox.clock import paris_text
from airflow_provider_voicepartner.sandbox.numbers import (
    country_of,
    is_international,
    may_get_sms,
    national,
)
from airflow_provider_voicepartner.sandbox.smspartner import MOST_NUMBERS
from airflow_provider_voicepartner.sandbox.smspartner_form import RefusedError, check_key, read_body
from airflow_provider_voicepartner.sandbox.wire import Answer, Call, whole
from airflow_provider_voicepartner.sandbox.world import World

CANCEL_SECONDS = 5 * 60
_NOT_FOUND = "Numéro introuvable"


def _read_query(call: Call) -> dict[str, str]:
    check_key(call.world.settings.smspartner, call.query.get("apiKey"))
    return call.query


def _visible(world: World, campaign: Campaign | None) -> Campaign | None:
    hidden_for = world.settings.smspartner.visible_after
    if campaign is None or campaign.cancelled or world.now() < campaign.created + hidden_for:
        return None
    return campaign


def _campaign(world: World, message_id: str | None) -> Campaign:
    if not message_id:
        raise RefusedError(3, "messageId is missing.")
    campaign = _visible(world, world.campaigns["smspartner"].get(message_id))
    if campaign is None:
        raise RefusedError(4, "The message was not found.")
    return campaign


def _changed(world: World, campaign: Campaign, line: Line) -> float:
    return world.clock.calendar_of(campaign.changed_at(line, world.now()))


def message_status(call: Call) -> Answer:
    """One number of one send. The status is under ``statut`` here, the id is text, the date is written out."""
    query, world = _read_query(call), call.world
    if not query.get("phoneNumber"):
        raise RefusedError(2, "phoneNumber is missing.")
    campaign = _campaign(world, query.get("messageId"))
    number = call.number(query["phoneNumber"])
    line = campaign.find(number) if number else None
    if line is None:
        raise RefusedError(4, "The message was not found.")
    return Answer(
        {
            "success": True,
            "code": 200,
            "number": national(line.number),
            "messageId": campaign.id,
            "stopSms": line.stopped,
            "date": paris_text(_changed(world, campaign, line)),
            "statut": campaign.word_of(line, world.now()),
            "cost": float(line.cost),
            "countryCode": country_of(line.number)[1].upper(),
            "currency": "EUR",
        }
    )


def multi_status(call: Call) -> Answer:
    """Up to 500 (number, id) pairs. ``stopSms`` is ``"0"`` or ``"1"``; an unknown pair carries a text as its status."""
    body, world = read_body(call), call.world
    pairs = body.get("SMSStatut_List", body.get("SMSStatus_List"))
    if not isinstance(pairs, list) or not pairs:
        raise RefusedError(5, "SMSStatut_List is missing or empty.")
    if len(pairs) > MOST_NUMBERS:
        raise RefusedError(50, f"More than {MOST_NUMBERS} numbers.")
    return Answer(
        {"success": True, "code": 200, "StatutResponse_List": [_pair_status(world, p) for p in pairs]}
    )


def _pair_status(world: World, pair: object) -> dict[str, Any]:
    if not isinstance(pair, dict):
        raise RefusedError(6, "An entry of SMSStatut_List must be an object.")
    number, message_id = pair.get("phoneNumber"), whole(pair.get("messageId"))
    campaign = _visible(world, world.campaigns["smspartner"].get(str(message_id)))
    known = isinstance(number, str) and is_international(number)
    line = campaign.find(str(number)) if campaign is not None and known else None
    found = {
        "phoneNumber": number,
        "messageId": str(pair.get("messageId")) if message_id is None else message_id,
    }
    if campaign is None or line is None:
        return {"success": False, "code": 4, **found, "status": _NOT_FOUND}
    return {
        "success": True,
        "code": 200,
        **found,
        "status": campaign.word_of(line, world.now()),
        "date": str(int(_changed(world, campaign, line))),
        "stopSms": str(int(line.stopped)),
        "isSpam": "0",
    }


def _entry(world: World, campaign: Campaign, line: Line) -> dict[str, Any]:
    return {
        "phoneNumber": line.number,
        "status": campaign.word_of(line, world.now()),
        "stopSMS": line.stopped,
        "date": str(int(_changed(world, campaign, line))),
    }


def bulk_status(call: Call) -> Answer:
    """Every number of one send. ``message_id`` is text, the flag is ``stopSMS``."""
    campaign = _campaign(call.world, _read_query(call).get("messageId"))
    entries = [_entry(call.world, campaign, line) for line in campaign.lines]
    return Answer({"success": True, "code": 200, "message_id": campaign.id, "StatutResponse_List": entries})


def bulk_status_by_tag(call: Call) -> Answer:
    """Every number of every send under a tag, by pages, without the id of the send."""
    query, world = _read_query(call), call.world
    if not query.get("tag"):
        raise RefusedError(3, "tag is missing.")
    page = whole(query.get("page", "1"))
    if not page:
        raise RefusedError(6, "page must be a number from 1.")
    tagged = world.by_reference["smspartner"].get(query["tag"], [])
    lines = [(campaign, line) for campaign in tagged if _visible(world, campaign) for line in campaign.lines]
    if not lines:
        raise RefusedError(4, "No message has this tag.")
    size = world.settings.smspartner.page_size
    entries = [_entry(world, *pair) for pair in lines[(page - 1) * size : page * size]]
    return Answer(
        {
            "success": True,
            "code": 200,
            "currentPage": page,
            "total": len(lines),
            "StatutResponse_List": entries,
        }
    )


def message_cancel(call: Call) -> Answer:
    """Cancel a deferred send, up to 5 minutes before it leaves. Codes 5, 6 and 7 have a meaning of their own here."""
    query, world = _read_query(call), call.world
    if not query.get("messageId"):
        raise RefusedError(3, "messageId is missing.")
    campaign = world.campaigns["smspartner"].get(query["messageId"])
    if campaign is None:
        raise RefusedError(4, "The message was not found.")
    if campaign.cancelled:
        raise RefusedError(5, "The message was already cancelled.")
    if campaign.leaves_at() <= world.now():
        raise RefusedError(7, "The message was already sent.")
    if campaign.leaves_at() - world.now() < CANCEL_SECONDS:
        raise RefusedError(6, "It is less than 5 minutes before the message leaves.")
    world.cancel(campaign, refund=world.settings.smspartner.refund_on_cancel)
    return Answer({"success": True, "code": 200, "message": "L'envoi du SMS a été annulé."})


def me(call: Call) -> Answer:
    """The credit: counts as ints, money as text."""
    _read_query(call)
    world = call.world
    settings, balance, now = world.settings.smspartner, world.credit["smspartner"], world.now()
    waiting = sum(
        len(campaign.lines)
        for campaign in world.campaigns["smspartner"].values()
        if not campaign.cancelled and not campaign.simulated and campaign.leaves_at() > now
    )
    return Answer(
        {
            "success": True,
            "code": 200,
            "user": {"username": "ops@example.org", "firstname": "Sandbox", "lastname": "Account"},
            "credits": {
                "creditSms": int(balance / settings.price_premium) if settings.price_premium else 0,
                "creditSmsECO": int(balance / settings.price_low_cost) if settings.price_low_cost else 0,
                "creditHlr": int(balance * 200),
                "toSend": waiting,
                "balance": f"{balance:.3f}",
                "currency": "EUR",
            },
        }
    )


def stop_list(call: Call) -> Answer:
    """The STOP list, whole."""
    _read_query(call)
    data = [
        {"id": stop_id, "phoneNumber": number, "createdAt": paris_text(created)}
        for stop_id, (number, created) in call.world.stop_list.items()
    ]
    return Answer({"success": True, "code": 200, "nbData": len(data), "data": data})


def stop_add(call: Call) -> Answer:
    """Put a number on the STOP list; code 3 when it is there already."""
    body, world = read_body(call), call.world
    given = body.get("phoneNumber")
    if given is None or given == "":
        raise RefusedError(2, "phoneNumber is missing.")
    number = call.number(given)
    if number is None or not may_get_sms(number):
        raise RefusedError(9, "The phone number is not valid.")
    if number in world.opted_out("smspartner"):
        raise RefusedError(3, "This number is already on the STOP list.")
    return Answer({"success": True, "code": 200, "stopId": world.opt_out("smspartner", number)})


def stop_delete(call: Call) -> Answer:
    """Take a number off the STOP list, by the id from the list. A GET that changes something."""
    query = _read_query(call)
    if not query.get("id"):
        raise RefusedError(3, "id is missing.")
    stop_id = whole(query["id"])
    if stop_id is None or call.world.stop_list.pop(stop_id, None) is None:
        raise RefusedError(4, "This id is not on the STOP list.")
    return Answer({"success": True, "code": 200})
