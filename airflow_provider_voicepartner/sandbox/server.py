"""The sandbox as a running server: on loopback, in this thread or in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_voicepartner.sandbox.app import create_app
from airflow_provider_voicepartner.sandbox.clock import Clock
from airflow_provider_voicepartner.sandbox.deliverer import Deliverer, is_loopback
from airflow_provider_voicepartner.sandbox.gate import TRANSPORT
from airflow_provider_voicepartner.sandbox.settings import Settings
from airflow_provider_voicepartner.sandbox.state_file import StateFile
from airflow_provider_voicepartner.sandbox.world import World


class Connection(H11Protocol):
    """A connection whose requests can get at its transport, so that a fault can close it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Put the transport where :class:`~.gate.Gate` finds it.

        The server's own log of requests stays off, whatever the logging of the process says: it shows whole paths, and
        Voice Partner's keys are in them.
        """
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self.access_log = False
        self.app_state = {**self.app_state, TRANSPORT: transport}


class _Server(uvicorn.Server):
    """A server that tells when it listens, and that ends quietly when it is told to stop."""

    def __init__(self, config: uvicorn.Config, world: World, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._world, self._on_start = world, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._world.faults.clear()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take SIGINT and SIGTERM as a request to stop; unlike uvicorn, do not raise them again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Sandbox:
    """A sandbox server and its state.

    :param host: a loopback address or ``localhost``.
    :param port: where to listen; 0 takes a free port.
    :param seed: source of everything that looks random (default 0).
    :param speed: sandbox seconds per wall second; 0 stands still until the clock is advanced (default 1).
    :param state_file: where to keep the state; ``None`` keeps it in memory only.
    :param settings: settings to start with, and to go back to at a reset.
    :param callback_workers: how many callbacks are made at once (default 1, which keeps their order).
    :param clock: a clock of your own; ``speed`` is then not used.
    :raises ValueError: when the host is not loopback.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        speed: float = 1.0,
        state_file: str | Path | None = None,
        settings: Settings | dict[str, Any] | None = None,
        callback_workers: int = 1,
        clock: Clock | None = None,
    ) -> None:
        if not is_loopback(host):
            raise ValueError(
                f"the sandbox only listens on loopback, such as 127.0.0.1, not on {host!r}: it knows no real keys and "
                "protects nothing"
            )
        chosen = Settings.model_validate(settings) if isinstance(settings, dict) else settings
        self.world = World(seed=seed, clock=clock or Clock(speed=speed), settings=chosen)
        self._socket = _listening_socket(host, port)
        bound = self._socket.getsockname()
        self.port: int = bound[1]
        self.url = f"http://[{bound[0]}]:{self.port}" if ":" in bound[0] else f"http://{bound[0]}:{self.port}"
        self._started = threading.Event()
        self._deliverer = Deliverer(self.world, workers=callback_workers)
        self._state_file = StateFile(self.world, Path(state_file)) if state_file is not None else None
        config = uvicorn.Config(
            create_app(self.world), http=Connection, ws="none", loop="asyncio", lifespan="off", log_config=None,
            access_log=False, timeout_graceful_shutdown=2, timeout_keep_alive=30, server_header=False,
        )  # fmt: skip
        self._server = _Server(config, self.world, self._started.set)
        self._thread: threading.Thread | None = None

    def gateway_url(self, gateway: str) -> str:
        """Return the base URL of ``smspartner``, ``voicepartner`` or ``octopush``."""
        paths = {
            "smspartner": "smspartner/v1",
            "voicepartner": "voicepartner/v1",
            "octopush": "octopush/v1/public",
        }
        return f"{self.url}/{paths[gateway]}"

    def serve(self, on_start: Callable[[str], None] = lambda url: None) -> None:
        """Serve in this thread until SIGINT, SIGTERM or :meth:`stop`.

        :param on_start: called with the URL once it listens.
        """

        def started() -> None:
            self._started.set()
            on_start(self.url)

        self._server._on_start = started
        try:
            if self._state_file is not None:
                self._state_file.start()
            self._deliverer.start()
            try:
                self._server.run(sockets=[self._socket])
            finally:
                self._deliverer.stop()
                if self._state_file is not None:
                    self._state_file.stop()
        finally:
            self._socket.close()

    def start(self) -> None:
        """Serve in a thread of its own; return once it listens."""
        failure: list[BaseException] = []

        def run() -> None:
            try:
                self.serve()
            except BaseException as error:  # handed to the thread that waits
                failure.append(error)
            finally:
                self._started.set()

        self._thread = threading.Thread(target=run, name="sandbox", daemon=True)
        self._thread.start()
        self._started.wait(timeout=30)
        if failure:
            raise failure[0]

    def stop(self) -> None:
        """Stop serving; requests that hang are let go. May be called again."""
        self.world.faults.clear()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=15)

    def wait_for_callbacks(self, timeout: float = 10.0) -> bool:
        """Wait until every callback that is due has been made; tell whether that happened in time."""
        return self.world.wait_until_quiet(timeout)

    def advance(self, seconds: float) -> None:
        """Move the clock forward; everything that comes due happens at once."""
        with self.world.lock:
            self.world.clock.advance(seconds)
            self.world.settle()
            self.world.changed.notify_all()


def _listening_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio only switches delays off (TCP_NODELAY) for sockets that say they are TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


@contextlib.contextmanager
def running_sandbox(**options: Any) -> Generator[Sandbox, None, None]:
    """Run a sandbox in a thread while a ``with`` block lasts; takes what :class:`Sandbox` takes."""
    sandbox = Sandbox(**options)
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()
