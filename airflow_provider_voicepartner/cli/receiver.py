"""``receiver``: receives the gateways' reports, in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from airflow_provider_voicepartner.cli.commands import CommandError, say, write_log
from airflow_provider_voicepartner.constants import ALERT_TIMEOUT
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.hooks.callbacks import (
    callback_config,
    missing_settings,
    receiver_tokens,
)
from airflow_provider_voicepartner.hooks.registry import every_gateway
from airflow_provider_voicepartner.settings import open_receiver_store

_NEEDED: Final = ("fastapi", "uvicorn")


def run(arguments: Namespace) -> None:
    """Listen until the process is stopped."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise CommandError(
            f"the receiver needs {' and '.join(missing)}: pip install 'airflow-provider-voicepartner[receiver]'"
        )
    tokens, config = receiver_tokens(), callback_config()
    # Fails now and not with the first report: a wrong URL, or tables that have to be upgraded.
    open_receiver_store().close()

    from airflow_provider_voicepartner.delivery.receiver import create_app
    from airflow_provider_voicepartner.delivery.receiver_server import (
        freeze_loaded_objects,
        listen,
        make_server,
    )
    from airflow_provider_voicepartner.hooks.answer_pages import answer_routes
    from airflow_provider_voicepartner.hooks.question_pages import question_routes

    problem = ""
    try:
        listening = listen(arguments.host, arguments.port)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise CommandError(
            f"cannot listen on {arguments.host}, port {arguments.port}: {problem}; give another --host or --port, and "
            "send what public_url leads to there"
        )
    write_log()
    app = create_app(
        open_receiver_store,
        tokens,
        prefix=PREFIX,
        gateways=every_gateway(),
        routes=[
            *answer_routes(open_receiver_store, PREFIX),
            *question_routes(open_receiver_store, PREFIX),
        ],
    )
    freeze_loaded_objects()
    port = listening.getsockname()[1]
    if config is None:
        say(f"{missing_settings()}, so gateways get no URL to report to.")

    def started() -> None:
        say(f"Listening on http://{arguments.host}:{port}{PREFIX}; health at {PREFIX}/health.")
        sys.stdout.flush()  # a file would show it only when the process ends

    with contextlib.suppress(KeyboardInterrupt), _watching(arguments.watchdog):
        make_server(app, started).run(sockets=[listening])


@contextlib.contextmanager
def _watching(config: str | None) -> Iterator[None]:
    """Watch Airflow meanwhile, where a file says how."""
    if config is None:
        yield
        return
    from airflow_provider_voicepartner.cli.watchdog import answering, make_watchdog
    from airflow_provider_voicepartner.watchdog.config import load_config

    known = load_config(config)
    watchdog, stop = make_watchdog(*known), threading.Event()
    # The server raises the signal again that ended it, which would end the process amid a message.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    thread = threading.Thread(target=watchdog.run, args=(stop,), name="watchdog", daemon=True)
    thread.start()
    with answering(*known, stop):
        try:
            yield
        finally:
            stop.set()
            thread.join(ALERT_TIMEOUT)
