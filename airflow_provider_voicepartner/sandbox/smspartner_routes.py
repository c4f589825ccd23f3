"""SMS Partner's URLs, as the OpenAPI page shows them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_voicepartner.sandbox import smspartner, smspartner_reads
from airflow_provider_voicepartner.sandbox.smspartner_form import RefusedError, refusal
from airflow_provider_voicepartner.sandbox.wire import (
    Answer,
    Call,
    Handler,
    answer,
    json_body,
    query_parameters,
    success_example,
)
from airflow_provider_voicepartner.sandbox.world import World

_KEY = {"apiKey": "sandbox-key"}
_SEND = {
    **_KEY, "phoneNumbers": "+33600000001,+33600000002", "message": "Hello", "sender": "MyApp", "gamme": 1,
    "tag": "rdv2031", "scheduledDeliveryDate": "06/05/2031", "time": 14, "minute": 15, "isStopSms": 0,
    "isUnicode": 0, "sandbox": 0, "urlDlr": "http://127.0.0.1:8026/dlr", "urlResponse": "http://127.0.0.1:8026/in",
}  # fmt: skip
_SENT = {"success": True, "code": 200, "message_id": 8123456, "nb_sms": 2, "cost": 0.09, "currency": "EUR"}
_BULK = {**_KEY, "SMSList": [{"phoneNumber": "+33600000001", "message": "Hello A"}], "sender": "MyApp"}
_VN = {**_KEY, "to": "+33600000001", "from": "33644630000", "message": "Hello", "tag": "rdv2031"}
_PAIRS = {**_KEY, "SMSStatut_List": [{"phoneNumber": "+33600000001", "messageId": 8123456}]}
_ENTRY = {"phoneNumber": "+33600000001", "status": "Delivered", "stopSMS": False, "date": "1935836171"}
_CREDITS = {"creditSms": 1200, "creditSmsECO": 1900, "creditHlr": 8000, "toSend": 3, "balance": "54.120"}
_KEY_QUERY = (True, "The account's key.")
_ID_QUERY = (True, "The message_id of a send.")


def _refusing(handler: Handler) -> Handler:
    def run(call: Call) -> Answer:
        try:
            return handler(call)
        except RefusedError as refused:
            return refusal(call.world.settings.smspartner, refused)

    return run


def router(world: World) -> APIRouter:
    """Return the routes under ``/smspartner/v1``."""
    routes = APIRouter(prefix="/smspartner/v1", tags=["SMS Partner"])

    def add(
        method: str, path: str, handler: Handler, openapi: dict[str, Any], example: dict[str, Any]
    ) -> None:
        run = _refusing(handler)

        def endpoint() -> Callable[[Request], Awaitable[Response]]:
            async def respond(request: Request) -> Response:
                return await answer(request, world, run)

            return respond

        description = handler.__doc__ or ""
        summary = description.partition(".")[0]
        routes.add_api_route(
            path, endpoint(), methods=[method], summary=summary, description=description,
            name=f"smspartner_{handler.__name__}", openapi_extra=openapi, responses=success_example(example),
        )  # fmt: skip

    reads = smspartner_reads
    add("POST", "/send", smspartner.send, json_body(_SEND, "apiKey", "phoneNumbers", "message"), _SENT)
    add("POST", "/bulk-send", smspartner.bulk_send, json_body(_BULK, "apiKey", "SMSList"),
        {"success": True, "code": 200, "message_id": 8123457, "currency": "EUR", "cost": 0.045, "nbSMS": 1,
         "SMSResponse_List": [{"success": True, "code": 200, "nbSms": 1, "cost": 0.045,
                               "phoneNumber": "+33600000001"}]})  # fmt: skip
    add("POST", "/vn/send", smspartner.vn_send, json_body(_VN, "apiKey", "to", "from", "message"), _SENT)
    add("GET", "/message-status", reads.message_status,
        query_parameters(apiKey=_KEY_QUERY, messageId=_ID_QUERY, phoneNumber=(True, "One of its numbers.")),
        {"success": True, "code": 200, "number": "0600000001", "messageId": "8123456", "stopSms": False,
         "date": "2031-05-06 14:16:11", "statut": "Delivered", "cost": 0.045, "countryCode": "FR",
         "currency": "EUR"})  # fmt: skip
    add("POST", "/multi-status", reads.multi_status, json_body(_PAIRS, "apiKey", "SMSStatut_List"),
        {"success": True, "code": 200, "StatutResponse_List": [
            {"success": True, "code": 200, "phoneNumber": "+33600000001", "messageId": 8123456,
             "status": "Waiting", "date": "1935836171", "stopSms": "0", "isSpam": "0"}]})  # fmt: skip
    add("GET", "/bulk-status", reads.bulk_status, query_parameters(apiKey=_KEY_QUERY, messageId=_ID_QUERY),
        {"success": True, "code": 200, "message_id": "8123456", "StatutResponse_List": [_ENTRY]})  # fmt: skip
    add("GET", "/bulk-status-by-tag", reads.bulk_status_by_tag,
        query_parameters(apiKey=_KEY_QUERY, tag=(True, "The tag of the sends."), page=(False, "From 1.")),
        {"success": True, "code": 200, "currentPage": 1, "total": 1, "StatutResponse_List": [_ENTRY]})  # fmt: skip
    add("GET", "/message-cancel", reads.message_cancel, query_parameters(apiKey=_KEY_QUERY, messageId=_ID_QUERY),
        {"success": True, "code": 200, "message": "L'envoi du SMS a été annulé."})  # fmt: skip
    add("GET", "/me", reads.me, query_parameters(apiKey=_KEY_QUERY),
        {"success": True, "code": 200, "user": {"username": "ops@example.org"}, "credits": _CREDITS})  # fmt: skip
    add("GET", "/stop-sms/list", reads.stop_list, query_parameters(apiKey=_KEY_QUERY),
        {"success": True, "code": 200, "nbData": 1, "data": [
            {"id": 4001, "phoneNumber": "+33600000009", "createdAt": "2031-05-06 14:16:11"}]})  # fmt: skip
    add("POST", "/stop-sms/add", reads.stop_add,
        json_body({**_KEY, "phoneNumber": "+33600000009"}, "apiKey", "phoneNumber"),
        {"success": True, "code": 200, "stopId": 4001})  # fmt: skip
    add("GET", "/stop-sms/delete", reads.stop_delete,
        query_parameters(apiKey=_KEY_QUERY, id=(True, "The id from the list.")),
        {"success": True, "code": 200})  # fmt: skip
    return routes
