"""
The receiver: the web application that gateways call. It stores their reports, and answers 200 only after the commit.

Anybody may reach it. A URL that we did not sign gets the same empty 404 whatever is wrong with it, before its body is
read. A body that cannot be read is stored as a dead letter and answered with 200, because vendors disable URLs that
refuse.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from airflow_provider_voicepartner.constants import (
    BODY_TIMEOUT,
    COMMIT_TIMEOUT,
    HEALTH_INTERVAL,
    LARGEST_CALLBACK,
    MOST_DISCARDED,
)
from airflow_provider_voicepartner.delivery.group_commit import GroupWriter, NotStoredError
from airflow_provider_voicepartner.delivery.inbound import (
    CampaignKey,
    DeadLetter,
    InboundRecord,
    dead_letter_of,
    key_in,
    of_reference,
    read_events,
)
from airflow_provider_voicepartner.delivery.receiver_monitoring import RateLimitedLog, ReceiverCounts
from airflow_provider_voicepartner.delivery.tokens import (
    BatchToken,
    CallbackToken,
    CallbackTokens,
    InvalidTokenError,
    utc_now,
)
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.gateway import Gateway, own_modules
from airflow_provider_voicepartner.gateways.model import CallbackEvent
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_provider_voicepartner.db.transactions import Store

log = logging.getLogger(__name__)


REFUSED: Final = "the store refused the event that was read from it"

_METHODS: Final = ("GET", "POST")
_NO_ANSWER: Final = "the store did not answer in time"


Answer = tuple[int, Iterable[tuple[bytes, bytes]]]
"""A status and headers; the body is always empty, as vendors require."""


class BodyError(Exception):
    """
    A body that is refused.

    :param status: of the answer.
    :param what: the counter's name.
    """

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what


class Receiver:
    """
    The handlers of the receiver's routes; one for each process.

    :param writer: makes reports durable.
    :param tokens: verifies URLs.
    :param gateways: by name; they parse the calls. None for those of this package.
    """

    def __init__(
        self, writer: GroupWriter, tokens: CallbackTokens, gateways: Mapping[str, Gateway] | None = None
    ) -> None:
        self.gateways = own_modules() if gateways is None else gateways
        self.writer = writer
        self.counts = ReceiverCounts(tuple(self.gateways))
        self._tokens = tokens
        self._log = RateLimitedLog(log)
        self._health: tuple[float, str] = (-HEALTH_INTERVAL, "")
        self._health_check: asyncio.Task[None] | None = None

    async def callback(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one call of a gateway; plain ASGI, as pydantic and dependencies would cost more than the rest."""
        status, headers = await self._answer(scope, receive)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-length", b"0"), *headers],
            }
        )
        await send({"type": "http.response.body"})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        gateway_name, token_text = scope["path_params"]["gateway"], scope["path_params"]["token"]
        query: bytes = scope["query_string"]
        if scope["method"] not in _METHODS:
            return 405, [(b"allow", ", ".join(_METHODS).encode())]
        try:
            token = self._tokens.read(gateway_name, token_text, now=utc_now())
            gateway = self.gateways[gateway_name]
        except (InvalidTokenError, KeyError):
            self.counts.refused += 1
            self._log.warning("calls to URLs that are invalid or expired were refused")
            return 404, ()
        headers = dict(scope["headers"])
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await read_body(headers, receive)
        except BodyError as error:
            return self._refuse_body(gateway.INFO.name, error)
        except TimeoutError:
            return self._refuse_body(gateway.INFO.name, BodyError(408, "too_slow"))
        call = CallbackRequest(
            method=scope["method"],
            query=query.decode("latin-1"),
            body=body,
            content_type=headers.get(b"content-type", b"").decode("latin-1"),
        )
        return await self._store(gateway.INFO.name, self.read(gateway, token, call))

    def _refuse_body(self, gateway: str, error: BodyError) -> Answer:
        self.counts.add(error.what, gateway)
        self._log.warning(
            f"bodies that were too large, too slow or cut off were refused, at URLs for {gateway}"
        )
        return error.status, [(b"connection", b"close")]

    async def _store(self, gateway: str, items: Sequence[InboundRecord | DeadLetter]) -> Answer:
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                is_replaced = await self.writer.write(items)
        except (NotStoredError, TimeoutError) as error:
            self.counts.add("not_kept", gateway)
            self._log.error("calls could not be stored and were answered with 503", str(error) or _NO_ANSWER)
            return 503, [(b"retry-after", b"5")]
        self.counts.add("kept", gateway)
        if is_replaced:
            self._count_dead_letter(gateway, "were refused by the store")
        return 200, ()

    def _count_dead_letter(self, gateway: str, what: str, why: str = "") -> None:
        self.counts.add("dead_letters", gateway)
        self._log.warning(f"calls of {gateway} {what} and are stored as dead letters", why)

    def read(
        self, gateway: Gateway, token: CallbackToken, call: CallbackRequest
    ) -> Sequence[InboundRecord | DeadLetter]:
        """
        Parse a call: return its events, or one dead letter if it cannot be read.

        :param gateway: that called.
        :param token: from the URL.
        :param call: as it came.
        """
        received_at = time.time()
        try:
            events = read_events(gateway, call)
        except InvalidCallbackError as error:
            why = str(error)
        except Exception as error:  # a bug in a parser must not lose a call that is made only once
            why = f"reading it failed with {type(error).__name__}"
        else:
            recipients = token.recipients if isinstance(token, BatchToken) else None
            records = [
                InboundRecord(
                    key=key_of(gateway.INFO.name, token, event),
                    event=event,
                    received_at=received_at,
                    call=call,
                    recipients=recipients,
                )
                for event in events
            ]
            if any(record.is_unmatched for record in records):
                self._count_dead_letter(gateway.INFO.name, "name no campaign")
            return records
        self._count_dead_letter(gateway.INFO.name, "could not be read", why)
        return [dead_letter(gateway.INFO.name, token, call, why=why, received_at=received_at)]

    async def health(self, request: Request) -> Response:
        """Say whether the store can be written; it is checked once a second at most, however many requests come."""
        if time.monotonic() - self._health[0] >= HEALTH_INTERVAL:
            if self._health_check is None or self._health_check.done():
                self._health_check = asyncio.create_task(self._check_store())
            # A client that disconnects must not cancel the check for the others.
            await asyncio.shield(self._health_check)
        # The reason is in the log: anybody may read the answer.
        if self._health[1]:
            return JSONResponse({"status": "unavailable"}, status_code=503)
        return JSONResponse({"status": "ok"})

    async def _check_store(self) -> None:
        problem = ""
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT):
                await self.writer.write(())
        except (NotStoredError, TimeoutError) as error:
            problem = str(error) or _NO_ANSWER
            self._log.error("the store cannot be written", problem)
        self._health = (time.monotonic(), problem)

    async def metrics(self, request: Request) -> Response:
        """Return the counters in Prometheus' text format."""
        return PlainTextResponse(self.counts.exposition(self.writer), media_type="text/plain; version=0.0.4")


def create_app(
    open_store: Callable[[], Store],
    tokens: CallbackTokens,
    *,
    prefix: str = "",
    gateways: Mapping[str, Gateway] | None = None,
    routes: Sequence[Route] = (),
) -> FastAPI:
    """
    Make the application: ``{prefix}/callbacks/{gateway}/{token}``, ``{prefix}/health`` and ``{prefix}/metrics``.

    :param open_store: opens the store; called with the first request, and again as long as it fails.
    :param tokens: verifies URLs.
    :param prefix: ``/voicepartner``, unless the application is mounted there.
    :param gateways: by name; they parse the calls. None for those of this package.
    :param routes: more of them, below the same path; their paths stay out of access logs.
    """
    receiver = Receiver(GroupWriter(open_store, on_refused=replacement_for), tokens, gateways)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(receiver.writer.close)

    app = FastAPI(
        title="Voice Partner provider: receiver of gateways' reports",
        lifespan=lifespan,
        redirect_slashes=False,  # the redirect would repeat the token
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # gateways get their URLs from us, and nobody else calls them
    )
    app.state.receiver = receiver
    app.router.routes += [
        Route(f"{prefix}/callbacks/{{gateway}}/{{token}}", Application(receiver.callback)),
        Route(f"{prefix}/health", receiver.health, methods=["GET"]),
        Route(f"{prefix}/metrics", receiver.metrics, methods=["GET"]),
        *routes,
    ]
    app.add_exception_handler(404, _not_found)
    app.add_middleware(_HidePaths, prefix=prefix, gateways=frozenset(receiver.gateways))
    return app


class Application:
    """An instance, not a function: Starlette then calls it as an ASGI application, with every method."""

    def __init__(self, call: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._call(scope, receive, send)


class _HidePaths:
    """
    Keeps paths that may hold a token, and all queries, out of access logs.

    Airflow's API server and uvicorn read both from the scope when the answer begins or has ended. A path with a slash
    too many, or without a route, may hold a token too; so only the receiver's own path and the gateway's name are left.
    """

    def __init__(self, app: ASGIApp, prefix: str, gateways: Collection[str]) -> None:
        self._app, self._prefix, self._gateways = app, prefix, gateways
        self._shown = tuple(f"{prefix}/{name}" for name in ("health", "metrics"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        _correct_root_path(scope)
        hidden = self._hidden(scope)

        def hide() -> None:
            scope["path"], scope["raw_path"] = hidden, hidden.encode("utf-8", "replace")
            scope["query_string"] = b""

        async def hide_and_send(message: Message) -> None:
            # uvicorn logs when the answer begins, Airflow when it has ended.
            hide()
            await send(message)

        if scope["type"] == "websocket":
            # There is no websocket route, and uvicorn logs a line of its own for each that is refused.
            await hide_and_send({"type": "websocket.close"})
            return
        try:
            await self._app(scope, receive, hide_and_send)
        finally:
            hide()

    def _hidden(self, scope: Scope) -> str:
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root)
        if path in self._shown:
            return f"{root}{path}"
        gateway = path.removeprefix(f"{self._prefix}/callbacks/").partition("/")[0]
        place = f"/callbacks/{gateway}" if gateway in self._gateways else ""
        return f"{root}{self._prefix}{place}/***"


def _correct_root_path(scope: Scope) -> None:
    """
    Find the routes behind a proxy that strips a path prefix, too.

    If ``[api] base_url`` has a path, Airflow expects it at the beginning of every path, whether the proxy passes it on
    or strips it. In the second case no route would match.
    """
    root, path = scope.get("root_path", ""), scope["path"]
    while root and not f"{path}/".startswith(f"{root}/"):
        _, slash, rest = root[1:].partition("/")
        root = f"{slash}{rest}"
    scope["root_path"] = root


async def _not_found(request: Request, error: Exception) -> Response:
    return Response(status_code=404)


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, *, limit: int = LARGEST_CALLBACK
) -> bytes:
    """
    Read a body, holding no more of it than the limit.

    A little more is read and discarded: a client whose connection is closed while it writes does not see the answer.

    :raises BodyError: with more than ``limit`` bytes, declared or received, and when the client disconnects.
    """
    declared = headers.get(b"content-length", b"")[:20]
    if declared.isdigit() and int(declared) > limit + MOST_DISCARDED:
        raise BodyError(413, "too_large")
    body, size, more = b"", 0, True
    while more and size <= limit + MOST_DISCARDED:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyError(400, "gone")
        chunk = message.get("body", b"")
        size += len(chunk)
        body = body + chunk if size <= limit else b""
        more = message.get("more_body", False)
    if size > limit:
        raise BodyError(413, "too_large")
    return body


def key_of(gateway: str, token: CallbackToken, event: CallbackEvent) -> CampaignKey | None:
    """Return the campaign of an event: the batch that the URL was made for, else the one that the gateway names."""
    if isinstance(token, BatchToken):
        return of_reference(gateway, token.reference)
    return key_in(event)


def dead_letter(
    gateway: str, token: CallbackToken, call: CallbackRequest, *, why: str, received_at: float
) -> DeadLetter:
    """Make the dead letter of a call that could not be read."""
    return DeadLetter(
        gateway=gateway,
        campaign=of_reference(gateway, token.reference).campaign if isinstance(token, BatchToken) else None,
        method=call.method,
        content_type=call.content_type,
        query=call.query,
        body=call.body,
        why=why,
        received_at=received_at,
    )


def replacement_for(item: InboundRecord | DeadLetter) -> DeadLetter | None:
    """Make the dead letter of an event that the store refuses, so that a person can look at it."""
    return None if isinstance(item, DeadLetter) else dead_letter_of(item, REFUSED)
