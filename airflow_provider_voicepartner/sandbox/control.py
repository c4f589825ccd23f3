"""The control API under ``/_sandbox``: look at what happened, and say what is to happen."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_voicepartner.sandbox.campaigns import Campaign
from airflow_provider_voicepartner.sandbox.faults import Fault
from airflow_provider_voicepartner.sandbox.outcomes import Rule
from airflow_provider_voicepartner.sandbox.settings import GATEWAYS, Gateway
from airflow_provider_voicepartner.sandbox.world import World

_Limit = Annotated[int, Query(ge=1, le=10_000)]
_Offset = Annotated[int, Query(ge=0)]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Advance(_Order):
    """How far to move the clock."""

    seconds: float = Field(ge=0, description="Sandbox seconds.")


class Speed(_Order):
    """How fast messages live."""

    speed: float = Field(ge=0, description="Sandbox seconds per wall second; 0 stands still.")


class Reset(_Order):
    """What to keep when everything is forgotten."""

    seed: int | None = Field(None, description="A new seed; null keeps the present one.")
    keep_settings: bool = False


class Credit(_Order):
    """Money for an account."""

    gateway: Gateway
    amount: Decimal = Field(description="Euros to add; with `set`, the new balance.")
    set: bool = False


class Inbound(_Order):
    """An SMS from a recipient."""

    gateway: Literal["smspartner", "octopush"]
    number: str = Field(pattern=r"^\+[1-9][0-9]{6,14}$")
    text: str = "STOP"
    stop: bool = Field(False, description="It is an opt-out: the number is on the opt-out list from now on.")
    campaign: str | None = Field(None, description="The send it answers; null: the latest to this number.")


class Audio(_Order):
    """A Voice Partner audio file, as if added and validated on the vendor's dashboard."""

    token: str = Field(min_length=1)
    name: str = Field(min_length=3, max_length=50)
    duration: float = Field(10, gt=0, description="Seconds.")
    size: str = "88.2Ko"


def _campaign_view(world: World, campaign: Campaign) -> dict[str, Any]:
    return {
        "gateway": campaign.gateway, "campaign": campaign.id, "kind": campaign.kind,
        "reference": campaign.reference, "messages": len(campaign.lines), "cost": str(campaign.cost),
        "sender": campaign.sender, "text": campaign.text, "simulated": campaign.simulated,
        "cancelled": campaign.cancelled, "created": world.clock.calendar_of(campaign.created),
        "leaves": world.clock.calendar_of(campaign.leaves_at()), "report_url": campaign.report_url,
        "reply_url": campaign.reply_url, "refused": campaign.refused, "warnings": campaign.warnings,
        "details": campaign.details,
    }  # fmt: skip


def _messages(
    world: World, gateway: str | None, campaign: str | None, reference: str | None, number: str | None
) -> Any:
    now = world.now()
    for kept in _campaigns(world, gateway, campaign, reference):
        for line in kept.lines:
            if number in (None, line.number):
                yield {
                    "gateway": kept.gateway, "campaign": kept.id, "kind": kept.kind, "reference": kept.reference,
                    "number": line.number, "text": kept.text if line.text is None else line.text,
                    "parts": line.parts, "cost": str(line.cost), "simulated": kept.simulated,
                    "cancelled": kept.cancelled, "status": kept.word_of(line, now),
                    "final": line.word is not None and now >= line.done_at and not kept.cancelled,
                }  # fmt: skip


def _campaigns(world: World, gateway: str | None, campaign: str | None, reference: str | None) -> Any:
    for name in GATEWAYS if gateway is None else (gateway,):
        known = world.campaigns[name]
        if campaign is not None:
            found = known.get(campaign)
            chosen = [] if found is None else [found]
        elif reference is not None:
            chosen = world.by_reference[name].get(reference, [])
        else:
            chosen = list(known.values())
        yield from (kept for kept in chosen if reference in (None, kept.reference))


def router(world: World) -> APIRouter:
    """Return the routes under ``/_sandbox``."""
    routes = APIRouter(prefix="/_sandbox")
    _add_views(routes, world)
    _add_orders(routes, world)
    _add_faults(routes, world)
    _add_time(routes, world)
    return routes


def _add_views(routes: APIRouter, world: World) -> None:
    seen: list[str | Enum] = ["Sandbox: what happened"]

    @routes.get("", summary="The sandbox at a glance", tags=seen)
    async def status() -> dict[str, Any]:
        """Seed, time, credit, how much was received and sent, what is still to come."""
        with world.lock:
            world.settle()
            return {
                "seed": world.seed,
                "clock": {"calendar": world.clock.calendar(), "now": world.now(), "speed": world.clock.speed},
                "credit": {gateway: str(amount) for gateway, amount in world.credit.items()},
                "requests": world.requests.total,
                "sent": {gateway: tally.messages for gateway, tally in world.tallies.items()},
                "callbacks": {
                    "made": world.delivered,
                    "waiting": len(world.outbox) + world.in_flight,
                    "planned": len(world.events),
                },
                "opted_out": {"smspartner": len(world.stop_list), "octopush": len(world.blacklist)},
                "faults": len(world.faults.view()),
                "hanging": world.faults.hanging(),
            }

    @routes.get("/requests", summary="The requests that came in, latest first", tags=seen)
    async def requests(
        gateway: Gateway | None = None,
        method: str | None = None,
        path: str | None = None,
        taken: bool | None = None,
        fault: str | None = None,
        limit: _Limit = 100,
        offset: _Offset = 0,
    ) -> dict[str, Any]:
        """The last 5,000, keys masked. `path` is a part of the path; `fault` a kind of fault that struck."""
        with world.lock:
            found = (
                record
                for record in reversed(world.requests)
                if gateway in (None, record.gateway)
                and method in (None, record.method)
                and (path is None or path in record.path)
                and (taken is None or taken == (record.campaign is not None))
                and fault in (None, record.fault)
            )
            shown = [record.view() for record in islice(found, offset, offset + limit)]
            return {"total": world.requests.total, "requests": shown}

    @routes.get("/campaigns", summary="The sends that were taken", tags=seen)
    async def campaigns(
        gateway: Gateway | None = None,
        campaign: str | None = None,
        reference: str | None = None,
        limit: _Limit = 100,
        offset: _Offset = 0,
    ) -> dict[str, Any]:
        """With the numbers that were left out and the remarks a strict reader would make."""
        with world.lock:
            found = islice(_campaigns(world, gateway, campaign, reference), offset, offset + limit)
            return {"campaigns": [_campaign_view(world, kept) for kept in found]}

    @routes.get("/messages", summary="The messages that were taken, with their status", tags=seen)
    async def messages(
        gateway: Gateway | None = None,
        campaign: str | None = None,
        reference: str | None = None,
        number: str | None = None,
        limit: _Limit = 1000,
        offset: _Offset = 0,
    ) -> dict[str, Any]:
        """One entry per number. In a URL the plus of a number is `%2B`."""
        with world.lock:
            world.settle()
            found = islice(_messages(world, gateway, campaign, reference, number), offset, offset + limit)
            return {"messages": list(found)}

    @routes.get("/counts", summary="How often each number was really sent a message", tags=seen)
    async def counts(
        gateway: Gateway | None = None,
        at_least: Annotated[int, Query(ge=1)] = 1,
        number: str | None = None,
        reference: str | None = None,
    ) -> dict[str, Any]:
        """By gateway, and by reference (tag, request_id or notifyUrl). Simulated sends are not counted, cancelled ones
        are taken out again. `at_least=2` shows who got a message twice.
        """
        with world.lock:
            return {
                name: tally.view(at_least=at_least, number=number, reference=reference)
                for name, tally in world.tallies.items()
                if gateway in (None, name)
            }

    @routes.get("/callbacks", summary="The callbacks that were made, latest first", tags=seen)
    async def callbacks(
        gateway: Gateway | None = None,
        campaign: str | None = None,
        number: str | None = None,
        limit: _Limit = 100,
        offset: _Offset = 0,
    ) -> dict[str, Any]:
        """With what the receiver answered and how long it took. Octopush wants an empty answer in under 1 s."""
        with world.lock:
            found = (
                made
                for made in reversed(world.deliveries)
                if gateway in (None, made["gateway"])
                and campaign in (None, made["campaign"])
                and number in (None, made["number"])
            )
            return {"total": world.delivered, "callbacks": list(islice(found, offset, offset + limit))}

    @routes.post("/callbacks/wait", summary="Wait until every callback that is due has been made", tags=seen)
    async def wait(timeout: Annotated[float, Query(gt=0, le=300)] = 10.0) -> dict[str, Any]:
        """`quiet` is false when the timeout (wall seconds) came first."""
        quiet = await asyncio.to_thread(world.wait_until_quiet, timeout)
        return {"quiet": quiet}


def _add_orders(routes: APIRouter, world: World) -> None:
    orders: list[str | Enum] = ["Sandbox: what is to happen"]

    @routes.get("/outcomes", summary="The outcome rules in force", tags=orders)
    async def outcomes() -> dict[str, Any]:
        """Without a rule a message is delivered."""
        with world.lock:
            return {"outcomes": [rule.model_dump(exclude_none=True) for rule in world.rules.all()]}

    @routes.post("/outcomes", summary="Say what becomes of messages to a number", tags=orders)
    async def set_outcomes(rules: Annotated[Rule | list[Rule], Body()]) -> dict[str, Any]:
        """One rule or a list. They hold for messages taken from now on."""
        listed = rules if isinstance(rules, list) else [rules]
        with world.lock:
            world.edits += 1
            for rule in listed:
                world.rules.set(rule)
        return {"set": len(listed)}

    @routes.delete("/outcomes", summary="Remove outcome rules", tags=orders)
    async def remove_outcomes(number: str | None = None) -> dict[str, Any]:
        """Those of one number, or all."""
        with world.lock:
            world.edits += 1
            return {"removed": world.rules.remove(number)}

    @routes.post("/inbound", summary="Let a recipient answer, or opt out", tags=orders)
    async def inbound(order: Inbound) -> dict[str, Any]:
        """The reply goes to urlResponse (SMS Partner) or to the account's callback URL (Octopush)."""
        with world.lock:
            world.edits += 1
            if order.campaign is None:
                campaign = world.last_campaign_to(order.gateway, order.number)
            else:
                campaign = world.campaigns[order.gateway].get(order.campaign)
            line = None if campaign is None else campaign.find(order.number)
            if campaign is None or line is None:
                if order.gateway == "smspartner" or order.campaign is not None:
                    raise HTTPException(404, "No such message went to this number.")
                campaign_id = ""
            else:
                campaign_id = campaign.id
                line.stopped = line.stopped or order.stop
            facts = {"text": order.text, "stop": order.stop, "number": order.number}
            world.plan(world.now(), ("inbound", order.gateway, campaign_id, 0, facts))
            world.settle()
            world.changed.notify_all()
            return {"campaign": campaign_id or None}

    @routes.post("/credit", summary="Top up an account", tags=orders)
    async def credit(order: Credit) -> dict[str, Any]:
        """Adds to the balance, or sets it."""
        with world.lock:
            world.edits += 1
            if order.set:
                world.credit[order.gateway] = order.amount
            else:
                world.credit[order.gateway] += order.amount
            return {"gateway": order.gateway, "credit": str(world.credit[order.gateway])}

    @routes.post("/audios", summary="Add a Voice Partner audio file", tags=orders)
    async def add_audio(audio: Audio) -> dict[str, Any]:
        """As if it had been added and validated on the vendor's dashboard."""
        with world.lock:
            world.edits += 1
            described = audio.model_dump(exclude={"token"})
            world.audios[audio.token] = {**described, "created": world.clock.calendar()}
        return {"token": audio.token}

    @routes.get("/settings", summary="All settings", tags=orders)
    async def settings() -> dict[str, Any]:
        """Account, prices, limits, delays, shapes of answers and callbacks."""
        with world.lock:
            return world.settings.model_dump(mode="json")

    @routes.patch("/settings", summary="Change settings", tags=orders)
    async def change_settings(changes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Any part of them, nested as they are shown. The two `credit` settings only count at a reset: see /credit."""
        with world.lock:
            try:
                world.settings = world.settings.patched(changes)
            except ValidationError as error:
                raise RequestValidationError(
                    error.errors(include_context=False, include_url=False)
                ) from error
            world.edits += 1
            return world.settings.model_dump(mode="json")


def _add_faults(routes: APIRouter, world: World) -> None:
    trouble: list[str | Enum] = ["Sandbox: trouble"]

    @routes.get("/faults", summary="The faults in force", tags=trouble)
    async def faults() -> dict[str, Any]:
        """And how many requests are kept hanging."""
        return {"faults": world.faults.view(), "hanging": world.faults.hanging()}

    @routes.post("/faults", summary="Make trouble on the next requests", tags=trouble)
    async def add_faults(faults: Annotated[Fault | list[Fault], Body()]) -> dict[str, Any]:
        """One fault or a list. The oldest that fits a request strikes; the others wait for the next one."""
        listed = faults if isinstance(faults, list) else [faults]
        return {"ids": [world.faults.add(fault) for fault in listed]}

    @routes.delete("/faults", summary="Drop all faults", tags=trouble)
    async def clear_faults() -> dict[str, Any]:
        """Requests that hang are answered."""
        world.faults.clear()
        return {"faults": []}

    @routes.delete("/faults/{fault_id}", summary="Drop one fault", tags=trouble)
    async def remove_fault(fault_id: int) -> dict[str, Any]:
        """By the id that was given when it was added."""
        if not world.faults.remove(fault_id):
            raise HTTPException(404, "No such fault is in force.")
        return {"removed": fault_id}

    @routes.post("/faults/release", summary="Answer the requests that hang", tags=trouble)
    async def release() -> dict[str, Any]:
        """Those that a `timeout` or `slow` fault keeps."""
        return {"released": world.faults.release()}


def _add_time(routes: APIRouter, world: World) -> None:
    times: list[str | Enum] = ["Sandbox: time and state"]

    def hands() -> dict[str, Any]:
        return {"calendar": world.clock.calendar(), "now": world.now(), "speed": world.clock.speed}

    @routes.get("/clock", summary="The sandbox's time", tags=times)
    async def clock() -> dict[str, Any]:
        """`calendar` is the date clients see; `now` is the moment messages live in."""
        with world.lock:
            return hands()

    @routes.post("/clock/advance", summary="Move the clock forward", tags=times)
    async def advance(order: Advance) -> dict[str, Any]:
        """Everything that comes due happens at once."""
        with world.lock:
            world.edits += 1
            world.clock.advance(order.seconds)
            world.settle()
            world.changed.notify_all()
            return hands()

    @routes.post("/clock/speed", summary="Change how fast messages live", tags=times)
    async def speed(order: Speed) -> dict[str, Any]:
        """0 stands still until the clock is advanced."""
        with world.lock:
            world.edits += 1
            world.clock.set_speed(order.speed)
            world.changed.notify_all()
            return hands()

    @routes.post("/reset", summary="Forget everything", tags=times)
    async def reset(order: Reset | None = None) -> dict[str, Any]:
        """Campaigns, rules, faults, credit, opt-outs, logs, ids; the clock shows the wall's time again."""
        order = order or Reset()
        world.reset(seed=order.seed, keep_settings=order.keep_settings)
        world.edits += 1
        return {"seed": world.seed}
