"""The receiver's OpenAPI page, written by hand: its routes read what gateways send, whatever that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from airflow_provider_voicepartner import __version__
from airflow_provider_voicepartner.gateways.info import GatewayInfo

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"


def describe(title: str, prefix: str, gateways: Sequence[GatewayInfo], largest_body: int) -> dict[str, Any]:
    """
    Return the page.

    :param title: of the application.
    :param prefix: of all paths.
    :param gateways: whose callbacks are taken.
    :param largest_body: in bytes.
    """
    names = [info.name for info in gateways]
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "paths": {
            f"{prefix}/callbacks/{{gateway}}/{{token}}": {
                "parameters": [
                    _path("gateway", {"type": "string", "enum": names}),
                    _path("token"),
                ],
                "get": _callback("Take a report whose fields are in the query", "callbackByGet"),
                "post": _callback("Take a report", "callbackByPost")
                | {"requestBody": _body(largest_body, gateways)},
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


def _body(largest: int, gateways: Sequence[GatewayInfo]) -> dict[str, Any]:
    fields = {
        "type": "object",
        "description": f"Fields as each gateway documents them, at most {largest} bytes; others are kept too",
        "properties": {name: {"description": meaning} for name, meaning in _fields_of(gateways).items()},
        "additionalProperties": True,
    }
    return {"content": {kind: {"schema": fields} for kind in (_JSON, _FORM, _MULTIPART)}}


def _fields_of(gateways: Sequence[GatewayInfo]) -> dict[str, str]:
    """Return what each field of a call means, and to whom."""
    meanings: dict[str, dict[str, list[str]]] = {}
    for info in gateways:
        for name, meaning in info.callback_fields.items():
            meanings.setdefault(name, {}).setdefault(meaning, []).append(info.label)
    return {
        name: "; ".join(f"{', '.join(labels)}: {meaning}" for meaning, labels in each.items())
        for name, each in meanings.items()
    }


def _json(description: str, statuses: list[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"status": {"type": "string", "enum": statuses}},
        "required": ["status"],
    }
    return {"description": description, "content": {_JSON: {"schema": schema}}}
