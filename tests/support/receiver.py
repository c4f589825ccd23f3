"""The receiver over a real socket: in a thread of the test, or in a process that can be killed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select

from airflow_provider_voicepartner.db import schema
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.receiver import Receiver, create_app
from airflow_provider_voicepartner.delivery.receiver_server import listen, make_server
from airflow_provider_voicepartner.delivery.tokens import PREFIX, CallbackTokens

PROJECT = Path(__file__).resolve().parent.parent.parent
SECRET = "planted-callback-secret-4714"
TABLES = ("delivery_report", "campaign_report", "event", "dead_letter")


@dataclass(frozen=True)
class Answer:
    """What the receiver answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass
class Calls:
    """Calls of gateways to a receiver on a port, one connection for each."""

    port: int
    tokens: CallbackTokens = field(default_factory=lambda: CallbackTokens([SECRET]))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def batch_path(self, gateway: str, reference: str = "k3v9x0q2w7ha", *, days: float = 30) -> str:
        """Return the path that a batch of a gateway reports to."""
        ends = datetime.now(UTC) + timedelta(days=days)
        return f"{PREFIX}/callbacks/{gateway}/{self.tokens.for_batch(gateway, reference, expires=ends)}"

    def account_path(self, conn_id: str = "octopush_default", *, gateway: str = "octopush") -> str:
        """Return the path that an account reports to."""
        return f"{PREFIX}/callbacks/{gateway}/{self.tokens.for_connection(gateway, conn_id)}"

    def send(
        self, method: str, path: str, body: bytes | None = None, content_type: str | None = None
    ) -> Answer:
        """Make one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            headers = {} if content_type is None else {"Content-Type": content_type}
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))

    def post(self, path: str, fields: Any, *, form: bool = False) -> Answer:
        """Report as a gateway does."""
        if form:
            return self.send("POST", path, urlencode(fields).encode(), "application/x-www-form-urlencoded")
        return self.send("POST", path, json.dumps(fields).encode(), "application/json")


@dataclass
class RunningReceiver(Calls):
    """A receiver in a thread, and its store."""

    store: Store = None
    receiver: Receiver = None

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table, by its short name."""
        return rows(self.store, table)

    def stored(self) -> int:
        """Return how many rows of all kinds there are."""
        return sum(len(self.rows(table)) for table in TABLES)


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table, by its short name."""
    with store.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(getattr(schema, table)))]


@contextlib.contextmanager
def running_receiver(
    url: str, *, opened: Any = None, gateways: Any = None, routes: Any = ()
) -> Iterator[RunningReceiver]:
    """
    Run a receiver on a free port of loopback while a block lasts.

    :param url: of the store.
    :param opened: opens the store in place of ``open_store``.
    :param gateways: by name: who reads what; None for those of the package.
    :param routes: more of them.
    """
    store = open_store(url)
    app = create_app(
        opened or (lambda: open_store(url)),
        CallbackTokens([SECRET]),
        prefix=PREFIX,
        gateways=gateways,
        routes=routes,
    )
    listening, started = listen("127.0.0.1", 0), threading.Event()
    server = make_server(app, started.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert started.wait(30)
    try:
        yield RunningReceiver(listening.getsockname()[1], store=store, receiver=app.state.receiver)
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        store.close()


_PROCESS = """
import sys
from airflow_provider_voicepartner.delivery.receiver import create_app
from airflow_provider_voicepartner.delivery.receiver_server import listen, make_server
from airflow_provider_voicepartner.delivery.tokens import PREFIX, CallbackTokens
from airflow_provider_voicepartner.db.engine import open_store
url, secret, port = sys.argv[1:]
listening = listen("127.0.0.1", int(port))
app = create_app(lambda: open_store(url), CallbackTokens([secret]), prefix=PREFIX)
make_server(app, lambda: print(listening.getsockname()[1], flush=True)).run(sockets=[listening])
"""


class ReceiverProcess(Calls):
    """
    A receiver in a process of its own, which never imports Airflow.

    :param url: of the store.
    :param port: where to listen; 0 takes a free one.
    """

    def __init__(self, url: str, *, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROCESS, url, SECRET, str(port)],
            cwd=PROJECT, env={**os.environ}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        super().__init__(int(self._process.stdout.readline()))

    def kill(self) -> None:
        """End it between two instructions, as a crash of the machine would."""
        self._process.send_signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """Ask it to end."""
        if self._process.poll() is None:
            self._process.terminate()
        self._reap()

    def _reap(self) -> None:
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()
