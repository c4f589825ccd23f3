"""The FastAPI application: three gateways, the control API, and the pages that describe them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from airflow_provider_voicepartner.sandbox import (
    control,
    octopush_routes,
    pages,
    smspartner_routes,
    voicepartner_routes,
)
from airflow_provider_voicepartner.sandbox.gate import Gate
from airflow_provider_voicepartner.sandbox.world import World

_DESCRIPTION = """
A local server that speaks the HTTP APIs of SMS Partner, Voice Partner and Octopush, and sends nothing.

| gateway | base URL | credentials |
| --- | --- | --- |
| SMS Partner | `/smspartner/v1` | `apiKey`: `sandbox-key` |
| Voice Partner | `/voicepartner/v1` | `apiKey`: `sandbox-key` |
| Octopush | `/octopush/v1/public` | `api-login`: `sandbox@example.org`, `api-key`: `sandbox-key` |

Everything under `/_sandbox` is the sandbox's own: no vendor has it.
"""


def create_app(world: World) -> FastAPI:
    """Return the application that serves a world."""
    app = FastAPI(
        title="Messaging gateway sandbox", version="1.0", description=_DESCRIPTION, redirect_slashes=False,
        docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.include_router(smspartner_routes.router(world))
    app.include_router(voicepartner_routes.router(world))
    app.include_router(octopush_routes.router(world))
    app.include_router(control.router(world))
    _add_pages(app, world)
    app.add_middleware(Gate, world=world)
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(RequestValidationError, _not_valid)
    return app


def _add_pages(app: FastAPI, world: World) -> None:
    @app.get("/", include_in_schema=False)
    async def home() -> HTMLResponse:
        return HTMLResponse(pages.home(app.openapi(), strict=world.settings.strict))

    @app.get("/docs", include_in_schema=False)
    async def described(request: Request) -> HTMLResponse:
        return HTMLResponse(pages.described(app.openapi(), str(request.base_url).rstrip("/")))


async def _not_valid(_: Request, error: Exception) -> Response:
    """Say what is wrong with a request to the control API, without what was sent: not all of it can be shown."""
    found = error.errors() if isinstance(error, RequestValidationError) else ()
    return JSONResponse(
        {"detail": [{name: each[name] for name in ("loc", "msg", "type")} for each in found]}, 422
    )


async def _not_served(request: Request, error: Exception) -> Response:
    """Answer for a page or a method that does not exist, in the gateway's own shape."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "Internal error"
    headers = error.headers if isinstance(error, HTTPException) else None
    path = request.url.path
    if path.startswith("/octopush/"):
        value: dict[str, Any] = {"code": status, "message": detail}
    elif path.startswith(("/smspartner/", "/voicepartner/")):
        value = {"success": False, "code": status, "message": detail}
    else:
        value = {"detail": detail}
    return JSONResponse(value, status, headers=headers)
