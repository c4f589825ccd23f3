"""Voice Partner's URLs, as the OpenAPI page shows them. Where there is no body, the key is in the path."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_voicepartner.sandbox import voicepartner
from airflow_provider_voicepartner.sandbox.voicepartner import RefusedError, refusal
from airflow_provider_voicepartner.sandbox.wire import (
    Answer,
    Call,
    Handler,
    answer,
    json_body,
    success_example,
)
from airflow_provider_voicepartner.sandbox.world import World

_KEY = {"apiKey": "sandbox-key"}
_TTS = {
    **_KEY, "text": "Hello, this is a call", "phoneNumbers": "+33600000001", "lang": "en", "speechRate": 1,
    "notifyUrl": "http://127.0.0.1:8026/vp", "scheduledDate": "2031-05-06 14:15:00",
}  # fmt: skip
_DROP = {
    **_KEY, "tokenAudio": "a1b2c3d4", "phoneNumbers": "0600000001", "emailForNotification": "ops@example.org",
    "sender": "0600000000", "notifyUrl": "http://127.0.0.1:8026/vp", "scheduledDate": "2031-05-06 14:15:00",
}  # fmt: skip
_RENAME = {**_KEY, "tokenAudio": "a1b2c3d4", "filename": "rappel-janvier"}
_CALLED = {
    "success": True, "campaignId": "Qa7x2kd9vb", "cost": 0.06, "currency": "EUR", "nbSms": 1, "lang": "en",
    "duration": 2.0, "detail": {"33": {"nbSms": 1, "cost_unity": 0.06, "cost": 0.06, "country_code": "fr",
                                       "duration": 2.0}},
}  # fmt: skip
_DROPPED = {
    "success": True, "campaignId": "vm4T81", "cost": 0.15, "currency": "EUR", "nbSms": 1,
    "audioFile": {"filename": "rappel-rdv.wav", "size": "88.2Ko"},
    "detail": {"33": {"nbSms": 1, "cost_unity": 0.15, "cost": 0.15}},
}  # fmt: skip
_AUDIOS = {
    "nb_datas": 1,
    "datas": [{"name": "rappel-rdv", "token": "a1b2c3d4", "size": "88.2Ko", "duration": "0:12"}],
}
_ME = {"success": True, "credit": "42.5", "currency": "€", "details": {"voice": {"message": 283}}}
_CANCELLED = {"success": True, "campaignId": "vm4T81", "assignedCredit": "0.3", "currency": "EUR"}
_KEY_QUERY: dict[str, Any] = {
    "parameters": [{"name": "apiKey", "in": "query", "required": True, "schema": {"type": "string"}}]
}


def router(world: World) -> APIRouter:
    """Return the routes under ``/voicepartner/v1``."""
    routes = APIRouter(prefix="/voicepartner/v1", tags=["Voice Partner"])

    async def run(request: Request, handler: Handler) -> Response:
        def refusing(call: Call) -> Answer:
            try:
                return handler(call)
            except RefusedError as refused:
                return refusal(call.world.settings.voicepartner, refused)

        return await answer(request, world, refusing)

    @routes.post(
        "/tts/send",
        summary="Call numbers and speak a text",
        openapi_extra=json_body(_TTS, "apiKey", "phoneNumbers"),
        responses=success_example(_CALLED),
    )
    async def tts_send(request: Request) -> Response:
        """Either `text` or `tokenAudio`. One POST per number goes to `notifyUrl`. 2000 requests an hour."""
        return await run(request, voicepartner.tts_send)

    @routes.post(
        "/campaign/send",
        summary="Drop a voicemail",
        openapi_extra=json_body(_DROP, "apiKey", "tokenAudio", "phoneNumbers"),
        responses=success_example(_DROPPED),
    )
    async def campaign_send(request: Request) -> Response:
        """One GET for the whole campaign goes to `notifyUrl`. 5 requests a minute and 2000 an hour."""
        return await run(request, voicepartner.campaign_send)

    @routes.get("/audios/{key}", summary="List the audio files", responses=success_example(_AUDIOS))
    async def audios(request: Request, key: str) -> Response:
        """There is no `success` field in this answer. 360 requests a minute."""
        return await run(request, lambda call: voicepartner.audios(call, key))

    @routes.get(
        "/audios",
        summary="List the audio files (key in the query)",
        openapi_extra=_KEY_QUERY,
        responses=success_example(_AUDIOS),
    )
    async def audios_by_query(request: Request) -> Response:
        """The form that the vendor's table shows; its clients put the key in the path."""
        return await run(request, lambda call: voicepartner.audios(call, call.query.get("apiKey")))

    @routes.post(
        "/audio-file/rename",
        summary="Rename an audio file",
        openapi_extra=json_body(_RENAME, "apiKey", "tokenAudio", "filename"),
        responses=success_example({"success": True, "filename": "rappel-janvier", "tokenAudio": "a1b2c3d4"}),
    )
    async def rename(request: Request) -> Response:
        """The name has 3 to 50 characters. 5 requests a minute."""
        return await run(request, voicepartner.rename)

    @routes.delete(
        "/campaign/cancel/{key}/{campaign_id}",
        summary="Cancel a deferred send",
        responses=success_example(_CANCELLED),
    )
    async def cancel(request: Request, key: str, campaign_id: str) -> Response:
        """Of either kind. The price is given back."""
        return await run(request, lambda call: voicepartner.cancel(call, key, campaign_id))

    @routes.get("/me/{key}", summary="Read the credit", responses=success_example(_ME))
    async def me(request: Request, key: str) -> Response:
        """The credit is a text and the currency a sign. 5 requests a minute."""
        return await run(request, lambda call: voicepartner.me(call, key))

    @routes.get(
        "/me",
        summary="Read the credit (key in the query)",
        openapi_extra=_KEY_QUERY,
        responses=success_example(_ME),
    )
    async def me_by_query(request: Request) -> Response:
        """The form that the vendor's table shows; its client puts the key in the path."""
        return await run(request, lambda call: voicepartner.me(call, call.query.get("apiKey")))

    @routes.get(
        "/campaign/{key}/{campaign_id}", summary="Read a campaign's status (not documented by the vendor)"
    )
    async def campaign_status(request: Request, key: str, campaign_id: str) -> Response:
        """404 unless the setting `voicepartner.campaign_status_route` is on. Do not build on it."""
        return await run(request, lambda call: voicepartner.campaign_status(call, key, campaign_id))

    return routes
