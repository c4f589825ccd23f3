"""Octopush's URLs, as the OpenAPI page shows them. There is none that tells what became of a campaign."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_voicepartner.sandbox import octopush, octopush_account
from airflow_provider_voicepartner.sandbox.octopush import RefusedError
from airflow_provider_voicepartner.sandbox.wire import (
    Answer,
    Call,
    Handler,
    answer,
    json_body,
    success_example,
)
from airflow_provider_voicepartner.sandbox.world import World

_FRAME = {
    "text": "Server room above 30 degrees", "recipients": [{"phone_number": "+33600112233"}], "sender": "MyApp",
    "purpose": "alert", "send_at": "2031-05-06T14:15:00+02:00", "request_id": "5f0c9a0e-1",
    "simulation_mode": False, "auto_remove_blacklisted_numbers": False,
}  # fmt: skip
_VOICE = {**_FRAME, "voice_gender": "female", "voice_language": "en-GB", "get_back_pressed_keys": False}
_SMS = {**_FRAME, "type": "sms_premium", "with_replies": False, "auto_optimize_text": True}
_CALLED = {
    "ticket_number": "voice_6543aa10c9d21", "number_of_contacts": 1, "total_cost": 0.05, "estimated_duration": 30,
    "residual_credit": 41.85,
}  # fmt: skip
_SENT = {
    "sms_ticket": "sms_6543aa10c9d21", "number_of_contacts": 1, "total_cost": 0.0495, "number_of_sms_needed": 1,
    "residual_credit": 41.8,
}  # fmt: skip
_TICKET = json_body({"ticket_number": "voice_6543aa10c9d21"}, "ticket_number")
_CALLBACKS = {"callbacks": {"callback_url_for_deliveries": "http://127.0.0.1:8026/octopush"}}
_HEADERS: list[dict[str, Any]] = [
    {"name": name, "in": "header", "required": True, "schema": {"type": "string", "default": default}}
    for name, default in (("api-login", "sandbox@example.org"), ("api-key", "sandbox-key"))
]


def _shown(extra: dict[str, Any] | None = None, *query: str) -> dict[str, Any]:
    optional = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in query]
    return {**(extra or {}), "parameters": [*_HEADERS, *optional]}


def router(world: World) -> APIRouter:
    """Return the routes under ``/octopush/v1/public``."""
    routes = APIRouter(prefix="/octopush/v1/public", tags=["Octopush"])

    async def run(request: Request, handler: Handler) -> Response:
        def refusing(call: Call) -> Answer:
            try:
                return handler(call)
            except RefusedError as refused:
                return refused.answer()

        return await answer(request, world, refusing)

    @routes.post(
        "/voice-campaign/send",
        status_code=201,
        summary="Call recipients and speak a text",
        openapi_extra=_shown(json_body(_VOICE, "text", "recipients", "voice_gender", "voice_language")),
        responses=success_example(_CALLED, 201),
    )
    async def voice_send(request: Request) -> Response:
        """Results come to the account's delivery URL only. A `request_id` is refused again for 24 hours."""
        return await run(request, octopush.voice_send)

    @routes.delete(
        "/voice-campaign/cancel",
        status_code=204,
        summary="Cancel a scheduled voice campaign",
        openapi_extra=_shown(_TICKET),
        responses=success_example(None, 204),
    )
    async def voice_cancel(request: Request) -> Response:
        """A DELETE with a JSON body. Fewer than 3 recipients, more than 10 minutes ahead."""
        return await run(request, lambda call: octopush.cancel(call, "call"))

    @routes.post(
        "/sms-campaign/send",
        status_code=201,
        summary="Send a text to recipients",
        openapi_extra=_shown(json_body(_SMS, "text", "recipients")),
        responses=success_example(_SENT, 201),
    )
    async def sms_send(request: Request) -> Response:
        """The ticket is called `sms_ticket` in this answer, and `ticket_number` everywhere else."""
        return await run(request, octopush.sms_send)

    @routes.delete(
        "/sms-campaign/cancel",
        status_code=204,
        summary="Cancel a scheduled SMS campaign",
        openapi_extra=_shown(_TICKET),
        responses=success_example(None, 204),
    )
    async def sms_cancel(request: Request) -> Response:
        """A DELETE with a JSON body. Fewer than 3 recipients, more than 10 minutes ahead."""
        return await run(request, lambda call: octopush.cancel(call, "sms"))

    @routes.get(
        "/wallet/check-balance",
        summary="Read the balance",
        openapi_extra=_shown(None, "with_details", "country_code", "product_name"),
        responses=success_example({"amount": 41.85, "unit": "euros"}),
    )
    async def check_balance(request: Request) -> Response:
        """In euros; with `country_code` and `product_name` together, in units of that product."""
        return await run(request, octopush_account.check_balance)

    @routes.get(
        "/user/campaign-parameters",
        summary="Read the account's parameters",
        openapi_extra=_shown(),
        responses=success_example(_CALLBACKS),
    )
    async def read_parameters(request: Request) -> Response:
        """Defaults and callback URLs."""
        return await run(request, octopush_account.read_parameters)

    @routes.patch(
        "/user/campaign-parameters/edit",
        summary="Change the account's parameters",
        openapi_extra=_shown(json_body(_CALLBACKS)),
        responses=success_example(_CALLBACKS),
    )
    async def edit_parameters(request: Request) -> Response:
        """Among them the callback URLs, which are account-wide: no send takes one."""
        return await run(request, octopush_account.edit_parameters)

    return routes
