"""What the gateways tell a client by themselves: the request each callback is, in each documented shape."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from airflow_provider_voicepartner.sandbox.campaigns import Campaign, Line
from airflow_provider_voicepartner.sandbox.clock import paris, paris_text
from airflow_provider_voicepartner.sandbox.numbers import national
from airflow_provider_voicepartner.sandbox.outcomes import PENDING
from airflow_provider_voicepartner.sandbox.world import Job, World

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Callback:
    """A request the sandbox makes to a client's receiver."""

    gateway: str
    what: str
    campaign: str
    number: str
    url: str
    method: str = "POST"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def render(world: World, job: Job) -> list[Callback]:
    """Return the requests a job amounts to: none when nobody gave a URL, several for a long reply."""
    what, gateway, campaign_id, index, facts = job
    campaign = world.campaigns[gateway].get(campaign_id)
    line = campaign.lines[index] if campaign is not None else None
    if what == "inbound":
        return _inbound(world, gateway, campaign, line, facts)
    if campaign is None or line is None:
        return []
    if what == "link":
        return _visits(campaign, line, press=facts["press"])
    if gateway == "smspartner":
        return _smspartner_report(world, what, campaign, line)
    if what == "summary":
        return _voicemail_summary(world, campaign)
    if gateway == "voicepartner":
        return _call_report(world, what, campaign, line)
    return _octopush_report(world, what, campaign, line)


def _visits(campaign: Campaign, line: Line, *, press: bool) -> list[Callback]:
    """Return what a phone does with the last link of a message: it opens the page, and perhaps presses its button."""
    text = (campaign.text if line.text is None else line.text) or ""
    links = re.findall(r"https?://\S+", text)
    if not links:
        return []
    about = (campaign.gateway, "link", campaign.id, line.number, links[-1])
    visits = [Callback(*about, "GET")]
    if press:
        visits.append(Callback(*about, "POST", b"action=acknowledge", {"Content-Type": _FORM}))
    return visits


def _json_post(
    gateway: str, what: str, campaign: str, number: str, url: str, value: dict[str, Any]
) -> Callback:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Callback(gateway, what, campaign, number, url, "POST", body, {"Content-Type": _JSON})


def _word_and_moment(what: str, campaign: Campaign, line: Line) -> tuple[str, float]:
    if what == "pending" or line.word is None:
        return PENDING[campaign.gateway], campaign.leaves_at()
    return line.word, line.done_at


def _smspartner_report(world: World, what: str, campaign: Campaign, line: Line) -> list[Callback]:
    """``urlDlr``: lower-case words, the id as text under yet another name, the cost as text."""
    if campaign.report_url is None:
        return []
    word, moment = _word_and_moment(what, campaign, line)
    value = {
        "status": word.lower() if word in ("Delivered", "Not delivered", "Waiting") else word,
        "msgId": campaign.id,
        "date": int(world.clock.calendar_of(moment)),
        "phone": line.number,
        "cost": str(line.cost),
        "currency": "EUR",
        "tag": campaign.reference or "",
    }
    return [_json_post("smspartner", what, campaign.id, line.number, campaign.report_url, value)]


def _call_report(world: World, what: str, campaign: Campaign, line: Line) -> list[Callback]:
    """``notifyUrl`` of a call: one POST per number, ``additionnal_status`` with two n."""
    if campaign.report_url is None:
        return []
    word, moment = _word_and_moment(what, campaign, line)
    answered = line.picked_up and what != "pending"
    value: dict[str, Any] = {
        "campaignId": campaign.id,
        "status": word,
        "additionnal_status": "VOICE_ANSWERED" if answered else "VOICE_NOT_ANSWERED",
        "phoneNumber": _written(line.number, world.settings.voicepartner.callback_number),
        "sendAt": paris_text(world.clock.calendar_of(campaign.leaves_at())),
        "doneAt": paris_text(world.clock.calendar_of(moment)),
        "duration": round(campaign.details.get("duration", 0)) if answered else 0,
    }
    if campaign.details.get("audio"):
        value["audioFileComplementaire"] = {"status": "Deposit"}
    return [_json_post("voicepartner", what, campaign.id, line.number, campaign.report_url, value)]


def _written(number: str, form: str) -> str:
    digits = number.lstrip("+")
    if form == "06":
        return national(number)
    if form == "006":
        return "00" + national(number).lstrip("0+")
    return {"0033": "00", "+33": "+", "33": ""}[form] + digits


def _voicemail_summary(world: World, campaign: Campaign) -> list[Callback]:
    """``notifyUrl`` of a voicemail drop: one GET for the whole campaign, everything in the query."""
    if campaign.report_url is None:
        return []
    day = paris(world.clock.calendar_of(campaign.leaves_at())).strftime("%Y%m%d")
    delivered = sum(line.word == "delivered" for line in campaign.lines)
    query = urlencode(
        {
            "campaign_token": campaign.id,
            "campaign_id": f"NDA_{day}_{campaign.serial:05d}",
            "delivered_quantity": delivered,
            "total_quantity": len(campaign.lines),
        }
    )
    url = urlsplit(campaign.report_url)
    if url.query and world.settings.voicepartner.notify_joiner == "auto":
        full = urlunsplit((url.scheme, url.netloc, url.path, f"{url.query}&{query}", ""))
    else:
        full = f"{campaign.report_url}?{query}"
    return [Callback("voicepartner", "summary", campaign.id, "", full, "GET")]


def _octopush_report(world: World, what: str, campaign: Campaign, line: Line) -> list[Callback]:
    """The account's delivery URL: the newest shape, or one of two older ones; JSON, or as a form."""
    url = callback_url(world, "deliveries")
    if url is None:
        return []
    word, moment = _word_and_moment(what, campaign, line)
    settings = world.settings.octopush
    voice, connected = campaign.kind == "call", line.word == "DELIVERED" and what != "pending"
    talked = round(campaign.details.get("duration", 0)) if connected else 0
    charged = campaign.details.get("charged", 30) if connected else 0
    date = paris_text(world.clock.calendar_of(moment))
    value: dict[str, Any] = {
        "message_id": campaign.id, "number": line.number, "status": word, "delivery_date": date,
    }  # fmt: skip
    if settings.delivery_shape == "older":
        if voice:
            value |= {"call_duration": str(talked), "charged_duration": str(charged)}
    else:
        meta: dict[str, Any] = {"call_duration": talked, "charged_duration": charged} if voice else {}
        if voice and line.pressed_keys is not None and campaign.details.get("keys") and connected:
            meta = {"pressed_keys_code": line.pressed_keys, **meta}
        value |= {"channel": "voice_sms" if voice else "sms", "meta_data": meta}
        if settings.delivery_shape == "newest":
            value |= {"list_name": campaign.details.get("list_name", ""), "unit_price": float(line.cost)}
    if settings.delivery_encoding == "form":
        body = urlencode(_flat(value)).encode()
        return [
            Callback("octopush", what, campaign.id, line.number, url, "POST", body, {"Content-Type": _FORM})
        ]
    return [_json_post("octopush", what, campaign.id, line.number, url, value)]


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    """Write a nested object as a form does: ``meta_data[call_duration]=21``."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            flat |= {f"{name}[{inner}]": content for inner, content in item.items()}
        else:
            flat[name] = item
    return flat


def callback_url(world: World, what: str) -> str | None:
    """Return the account-wide Octopush URL for ``deliveries``, ``inbounds`` or ``blacklisted_numbers``."""
    url = world.parameters.get("callbacks", {}).get(f"callback_url_for_{what}")
    return url if isinstance(url, str) and url else None


def _inbound(
    world: World, gateway: str, campaign: Campaign | None, line: Line | None, facts: dict[str, Any]
) -> list[Callback]:
    number = facts.get("number") or (line.number if line else "")
    date = world.clock.calendar_of(facts["moment"])
    if gateway == "octopush":
        return _octopush_inbound(world, campaign, number, facts, date)
    if gateway != "smspartner" or campaign is None or campaign.reply_url is None:
        return []
    if campaign.kind == "vn":
        return _long_number_reply(world, campaign, number, facts["text"], date)
    value = {
        "type": "stop" if facts["stop"] else "response",
        "phone_number": number,
        "text": facts["text"],
        "message_id": int(campaign.id),
    }
    return [_json_post("smspartner", "inbound", campaign.id, number, campaign.reply_url, value)]


def _long_number_reply(
    world: World, campaign: Campaign, number: str, text: str, date: float
) -> list[Callback]:
    """A reply to a rented number has other names, and a long one comes in parts, one call each."""
    parts = [text[start : start + 153] for start in range(0, len(text), 153)] if len(text) > 160 else [text]
    random = world.random_for("reply", campaign.id, number, text)
    reference = f"{random.randrange(256):02d}"
    calls = []
    for place, part in enumerate(parts, start=1):
        value = {
            "msisdn": number.lstrip("+"),
            "to": (campaign.sender or "").lstrip("+"),
            "messageId": f"02000000{random.getrandbits(32):08X}",
            "text": part,
            "type": "text",
            "keyword": (text.split() or [""])[0].upper(),
            "message-timestamp": paris_text(date),
        }
        if len(parts) > 1:
            value |= {
                "concat": "true", "concat-ref": reference, "concat-total": str(len(parts)),
                "concat-part": str(place),
            }  # fmt: skip
        calls.append(
            _json_post("smspartner", "inbound", campaign.id, number, campaign.reply_url or "", value)
        )
    return calls


def _octopush_inbound(
    world: World, campaign: Campaign | None, number: str, facts: dict[str, Any], date: float
) -> list[Callback]:
    url = callback_url(world, "blacklisted_numbers" if facts["stop"] else "inbounds")
    if url is None:
        return []
    ticket, text, when = campaign.id if campaign else "", facts["text"], paris_text(date)
    value: dict[str, Any]
    if facts["stop"]:
        value = {"message_id": ticket, "number": number, "text": text, "stop_date": when}
    elif world.parameters["callbacks"].get("use_metadata_node_for_inbound"):
        value = {"text": text, "reception_date": when, "metadata": {"number": number, "message_id": ticket}}
    else:
        value = {
            "message_id": ticket, "number": number, "text": text, "sim_card_number": "36180",
            "reception_date": when,
        }  # fmt: skip
    return [_json_post("octopush", "inbound", ticket, number, url, value)]
