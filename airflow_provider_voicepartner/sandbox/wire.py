"""What the three APIs have in common on the wire: bodies that must be JSON objects, answers, checks of values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from airflow_provider_voicepartner.sandbox.numbers import to_international, with_plus
from airflow_provider_voicepartner.sandbox.records import RequestRecord
from airflow_provider_voicepartner.sandbox.world import World

RECORD = "sandbox.record"
"""Where the middleware puts the request's record in the ASGI scope."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: a JSON value, or nothing for a 204."""

    value: dict[str, Any] | None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return it for FastAPI."""
        if self.value is None:
            return Response(status_code=self.status, headers=self.headers)
        return JSONResponse(self.value, self.status, headers=self.headers)


class NotJsonError(Exception):
    """The body is not a JSON object sent as JSON."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a handler sees it; the world's lock is held."""

    world: World
    record: RequestRecord
    content_type: str

    @property
    def query(self) -> dict[str, str]:
        """The query parameters."""
        return self.record.query

    def tolerates(self, oddity: str) -> bool:
        """Tell whether something odd is let pass: it is remarked and accepted, unless the setting ``strict`` is on.

        :param oddity: what is odd and what the sandbox makes of it, as a sentence.
        """
        if self.world.settings.strict:
            return False
        self.record.warn(oddity)
        return True

    def json(self) -> dict[str, Any]:
        """Return the body, without the fields that are odd and can be left out: ``null`` and ``""``.

        :raises NotJsonError: when it is not a JSON object, or (strict) is not declared as JSON.
        """
        try:
            value = json.loads(self.record.body, parse_constant=_refuse_constant)
            if b"\\u" in self.record.body:
                json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        except (ValueError, RecursionError) as error:
            raise NotJsonError("The body is not valid JSON.") from error
        if not isinstance(value, dict):
            raise NotJsonError("The body must be a JSON object.")
        declared = self.content_type.split(";")[0].strip().lower() == "application/json"
        if not declared and not self.tolerates("The body is JSON, but the Content-Type does not say so."):
            raise NotJsonError("Content-Type must be application/json.")
        return self.given(value)

    def given(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return fields without those that are ``null`` or ``""``, which vendors' own clients send for "not given"."""
        empty = sorted(name for name, value in fields.items() if value is None or value == "")
        if not empty or not self.tolerates(f"Empty, so taken as not given: {', '.join(empty)}."):
            return fields
        return {name: value for name, value in fields.items() if name not in empty}

    def number(self, text: object) -> str | None:
        """Return a phone number in international form, or ``None``; ``336…`` without a plus is odd."""
        if not isinstance(text, str):
            return None
        number = to_international(text.strip())
        bare = None if number else with_plus(text.strip())
        if bare and self.tolerates("A number without a plus is taken for an international one."):
            return bare
        return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


Handler = Callable[[Call], Answer]


async def answer(request: Request, world: World, handler: Handler) -> Response:
    """Run a handler under the world's lock, with everything settled that has come due."""
    await request.body()
    with world.lock:
        world.settle()
        call = Call(world, request.scope[RECORD], request.headers.get("content-type", ""))
        return handler(call).response()


def is_url(value: object) -> bool:
    """Tell whether a value is an absolute http or https URL."""
    if not isinstance(value, str) or re.search(r"\s", value):
        return False
    try:
        url = urlsplit(value)
        return url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return False


def whole(value: object) -> int | None:
    """Return an int given as a number or as digits; ``None`` for anything else, booleans too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return None


def parsed(text: str, form: str) -> datetime | None:
    """Return the (naive) date a text shows in a form, or ``None``."""
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def json_body(example: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return what the OpenAPI page shows for a body that the handler itself parses."""
    names = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    properties = {name: {"type": names.get(type(value), "string")} for name, value in example.items()}
    schema = {"type": "object", "properties": properties, "required": list(required), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def query_parameters(**parameters: tuple[bool, str]) -> dict[str, Any]:
    """Return what the OpenAPI page shows for query parameters that the handler itself reads."""
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": required,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, (required, text) in parameters.items()
        ]
    }


def success_example(
    value: dict[str, Any] | list[Any] | None, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI page shows as a successful answer."""
    if value is None:
        return {status: {"description": "Done; the body is empty."}}
    return {status: {"description": "Success.", "content": {"application/json": {"example": value}}}}
