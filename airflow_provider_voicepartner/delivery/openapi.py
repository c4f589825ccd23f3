"""The receiver's OpenAPI page, written by hand: its routes read what gateways send, whatever that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from airflow_provider_voicepartner import __version__

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"

_FIELDS: Final[dict[str, str]] = {
    "status": "SMS Partner, Voice Partner, Octopush: the gateway's word for what happened",
    "msgId": "SMS Partner: the message's id",
    "phone": "SMS Partner: whom the report is about",
    "type": "SMS Partner: response or stop",
    "phone_number": "SMS Partner: who answered",
    "msisdn": "SMS Partner: who answered to a long number",
    "text": "SMS Partner, Octopush: what was answered",
    "phoneNumber": "Voice Partner: who was called",
    "additionnal_status": "Voice Partner: whether somebody picked up",
    "campaign_token": "Voice Partner: the voicemail campaign, in the query",
    "delivered_quantity": "Voice Partner: how many voicemails were left, in the query",
    "total_quantity": "Voice Partner: of how many, in the query",
    "number": "Octopush: whom the call is about",
    "message_id": "Octopush: the campaign's ticket",
    "delivery_date": "Octopush: makes it a delivery report",
    "reception_date": "Octopush: makes it a reply",
    "stop_date": "Octopush: makes it an opt-out",
}


def describe(title: str, prefix: str, gateways: Sequence[str], largest_body: int) -> dict[str, Any]:
    """
    Return the page.

    :param title: of the application.
    :param prefix: of all paths.
    :param gateways: whose callbacks are taken.
    :param largest_body: in bytes.
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "paths": {
            f"{prefix}/callbacks/{{gateway}}/{{token}}": {
                "parameters": [_path("gateway", {"type": "string", "enum": list(gateways)}), _path("token")],
                "get": _callback("Take a report whose fields are in the query", "callbackByGet"),
                "post": _callback("Take a report", "callbackByPost") | {"requestBody": _body(largest_body)},
            },
            f"{prefix}/health": {
                "get": {
                    "summary": "Whether the store can be written",
                    "operationId": "health",
                    "responses": {
                        "200": _json("It can", ["ok"]),
                        "503": _json("It cannot, the log says why", ["unavailable"]),
                    },
                }
            },
            f"{prefix}/metrics": {
                "get": {
                    "summary": "Counters, as Prometheus reads them",
                    "operationId": "metrics",
                    "responses": {
                        "200": {
                            "description": "Text format 0.0.4",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        }
                    },
                }
            },
        },
    }


def _path(name: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": schema
        or {"type": "string", "minLength": 1, "description": "Signed by us; see the documentation"},
    }


def _callback(summary: str, name: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": name,
        "responses": {
            "200": {"description": "Stored, also where nobody could read it; the body is empty"},
            "400": {"description": "The call ended before its body had come"},
            "404": {"description": "The address is not one of ours, or has ended"},
            "408": {"description": "The body did not come in time"},
            "413": {"description": "The body is too large"},
            "503": {"description": "Not stored: the same call may be made again"},
        },
    }


def _body(largest: int) -> dict[str, Any]:
    fields = {
        "type": "object",
        "description": f"Fields as each gateway documents them, at most {largest} bytes; others are kept too",
        "properties": {name: {"description": meaning} for name, meaning in _FIELDS.items()},
        "additionalProperties": True,
    }
    return {"content": {kind: {"schema": fields} for kind in (_JSON, _FORM, _MULTIPART)}}


def _json(description: str, statuses: list[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"status": {"type": "string", "enum": statuses}},
        "required": ["status"],
    }
    return {"description": description, "content": {_JSON: {"schema": schema}}}
