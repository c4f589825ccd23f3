"""Which paths lead to the receiver, wherever it is mounted, and what whoever writes an access log sees of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import uvicorn
from fastapi import FastAPI

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.delivery.receiver import create_app
from airflow_provider_voicepartner.delivery.tokens import CallbackTokens
from tests.support.receiver import SECRET, Calls, rows

TOKEN = Calls(0).batch_path("voicepartner").rpartition("/")[2]
REPORT = json.dumps({"status": "delivered", "campaignId": "1", "phoneNumber": "+33600000001"}).encode()


@contextlib.contextmanager
def serving(config: uvicorn.Config) -> Iterator[int]:
    """Serve an application in a thread, as Airflow does; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(20)


class Called:
    """One call of the application, and what an access log saw when the answer began and when it had ended."""

    def __init__(
        self,
        tmp_path: Path,
        path: str,
        *,
        root: str = "",
        prefix: str = "",
        query: str = "",
        fails: Exception | None = None,
    ) -> None:
        self.url = f"sqlite:///{tmp_path / 'store.db'}"
        app = create_app(lambda: open_store(self.url), CallbackTokens([SECRET]), prefix=prefix)
        self.status, self.began = 0, ("", "", b"", b"")
        self.headers: dict[bytes, bytes] = {}
        self.scope: dict[str, Any] = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "root_path": root,
            "query_string": query.encode(), "headers": [], "http_version": "1.1", "scheme": "http",
        }  # fmt: skip

        async def receive() -> Any:
            if fails is not None:
                raise fails
            return {"type": "http.request", "body": REPORT, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status, self.headers, self.began = message["status"], dict(message["headers"]), self.seen

        with contextlib.suppress(OSError):  # the server's own, after it has answered
            asyncio.run(app(self.scope, receive, send))
        app.state.receiver.writer.close()

    @property
    def seen(self) -> tuple[str, str, bytes, bytes]:
        scope = self.scope
        return scope["root_path"], scope["path"], scope["raw_path"], scope["query_string"]


@pytest.mark.parametrize(
    ("root", "prefix", "before"),
    [
        ("", "/voicepartner", "/voicepartner"), ("/voicepartner", "", "/voicepartner"),
        ("/air/voicepartner", "", "/air/voicepartner"), ("/air/voicepartner", "", "/voicepartner"),
        ("/air/flow/voicepartner", "", "/flow/voicepartner"), ("/air/voicepartner", "", ""),
    ],
)  # fmt: skip
def test_a_good_address_leads_here_wherever_that_is(
    root: str, prefix: str, before: str, tmp_path: Path
) -> None:
    called = Called(
        tmp_path, f"{before}/callbacks/voicepartner/{TOKEN}", root=root, prefix=prefix, query="x=planted"
    )
    assert called.status == 200
    hidden = f"{before}/callbacks/voicepartner/***"
    assert called.began[1:] == called.seen[1:] == (hidden, hidden.encode(), b"")
    store = open_store(called.url)
    assert len(rows(store, "delivery_report")) == 1
    store.close()


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/callbacks/voicepartner/TOKEN/", "/callbacks/voicepartner/***"),
        ("/callbacks/voicepartner//TOKEN", "/callbacks/voicepartner/***"),
        ("/callbacks/voicepartner/TOKEN/***", "/callbacks/voicepartner/***"),
        ("/callbacks//voicepartner/TOKEN", "/***"),
        ("//callbacks/voicepartner/TOKEN", "/***"), ("/callbacks/TOKEN", "/***"), ("/callbacks/TOKEN/x", "/***"),
        ("/TOKEN", "/***"), ("/health/TOKEN", "/***"), ("/TOKEN/health", "/***"), ("/callbacks/***", "/***"),
        ("/callbacks/smspartner/TOKEN", "/callbacks/smspartner/***"), ("/openapi.json/", "/***"), ("/docs", "/***"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mounted", [True, False])
def test_an_address_that_leads_nowhere_is_hidden_and_no_redirect_repeats_it(
    path: str, hidden: str, mounted: bool, tmp_path: Path
) -> None:
    where = {"root": "/voicepartner"} if mounted else {"prefix": "/voicepartner"}
    called = Called(tmp_path, f"/voicepartner{path.replace('TOKEN', TOKEN)}", query="x=planted", **where)
    assert called.status == 404
    assert b"location" not in called.headers
    hidden = f"/voicepartner{hidden}"
    assert called.began[1:] == called.seen[1:] == (hidden, hidden.encode(), b"")


@pytest.mark.parametrize("protocol", ["auto", "websockets-sansio"])
@pytest.mark.parametrize("path", ["", "/", "?phone=0612345678", "/../x"])
def test_a_websocket_is_refused_and_its_path_hidden(
    protocol: str, path: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("websockets", reason="a server can only speak what is installed; Airflow 3 brings it")
    caplog.set_level("INFO")
    app = FastAPI()
    app.mount(
        "/voicepartner",
        create_app(lambda: open_store(f"sqlite:///{tmp_path}/s.db"), CallbackTokens([SECRET])),
    )
    config = uvicorn.Config(app, log_config=None, ws=protocol)
    with serving(config) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(
            f"GET /voicepartner/callbacks/voicepartner/{TOKEN}{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            .encode()
        )  # fmt: skip
        assert b" 403 " in client.recv(1_000)
    assert '"WebSocket /voicepartner/callbacks/voicepartner/***" 403' in unquote(caplog.text)
    assert TOKEN not in caplog.text
    assert "0612345678" not in caplog.text


def test_a_call_that_ends_with_an_error_is_hidden_too(tmp_path: Path) -> None:
    where = f"/voicepartner/callbacks/voicepartner/{TOKEN}"
    called = Called(tmp_path, where, prefix="/voicepartner", query="x=planted", fails=OSError("planted"))
    assert called.status == 500
    hidden = "/voicepartner/callbacks/voicepartner/***"
    assert called.began[1:] == called.seen[1:] == (hidden, hidden.encode(), b"")


@pytest.mark.parametrize("name", ["health", "metrics"])
def test_what_holds_no_token_is_shown_without_its_query(name: str, tmp_path: Path) -> None:
    called = Called(tmp_path, f"/voicepartner/{name}", prefix="/voicepartner", query="x=planted")
    assert called.seen[1:] == (f"/voicepartner/{name}", f"/voicepartner/{name}".encode(), b"")
