"""``watchdog``: asks Airflow what failed, and tells people what no callback told."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime

from airflow_provider_voicepartner.cli.commands import CommandError, say, write_log
from airflow_provider_voicepartner.constants import ALERT_QUESTION_TIMEOUT, REPLY_TIMEOUT
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.hooks.contacts import contacts_within
from airflow_provider_voicepartner.settings import ANSWERING, WATCHING, open_store
from airflow_provider_voicepartner.watchdog.airflow_api import RestApi
from airflow_provider_voicepartner.watchdog.config import Secrets, WatchdogConfig, load_config
from airflow_provider_voicepartner.watchdog.hitl import HitlApi
from airflow_provider_voicepartner.watchdog.loop import Watchdog
from airflow_provider_voicepartner.watchdog.questions import run_questions
from airflow_provider_voicepartner.watchdog.rest import ApiError, RestClient
from airflow_provider_voicepartner.watchdog.signs import DeadManSwitch
from airflow_provider_voicepartner.watchdog.telling import Connections, Teller, told_twice

log = logging.getLogger(__name__)


def run(arguments: Namespace) -> None:
    """Watch until the process is stopped; with ``--check`` only say whether it could."""
    config, secrets = load_config(arguments.config)
    if arguments.check:
        _check(config, secrets)
        return
    write_log()
    watchdog = make_watchdog(config, secrets)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    say(f"Watching {config.airflow.url} every {config.times.interval:g} s, as {config.name}.")
    sys.stdout.flush()  # a file would show it only when the process ends
    with answering(config, secrets, stop):
        watchdog.run(stop)


@contextlib.contextmanager
def answering(config: WatchdogConfig, secrets: Secrets, stop: threading.Event) -> Iterator[None]:
    """
    Give people's answers to Airflow meanwhile, in a thread: it does not wait for a look, nor a look for it.

    :param stop: ends it; set it before this ends.
    """
    thread = threading.Thread(
        target=run_questions,
        args=(stop,),
        kwargs={
            "open_store": lambda: open_store(ANSWERING),
            "make_api": lambda: HitlApi(RestClient(config.airflow, secrets)),
            "connections": Connections(),
        },
        name="answers to questions",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        thread.join(REPLY_TIMEOUT)


def make_watchdog(config: WatchdogConfig, secrets: Secrets) -> Watchdog:
    """
    Make a watchdog whose connections are looked up.

    :raises CommandError: nobody can ever be told, or the store's address or tables have to change.
    """
    teller = Teller(config.tell, Connections())
    problems = teller.prepare()
    if sum(problem.is_final for problem in problems) == len(config.tell.channels):
        raise CommandError("; ".join(problem.text for problem in problems))
    for problem in problems:
        log.error("%s", problem.text)
    _check_store()
    return Watchdog(
        config,
        make_api=lambda: _api(config, secrets),
        open_store=_open_store,
        teller=teller,
        switch=DeadManSwitch(secrets.dead_man_url) if secrets.dead_man_url else None,
    )


def _open_store() -> Store:
    return open_store(WATCHING)


def _check_store() -> None:
    try:
        _open_store().close()
        return
    except StoreUrlError as error:
        problem = str(error)
    except StoreUnavailableError as error:
        # It may come back, and people are to be told meanwhile.
        log.error("%s", error)
        return
    raise CommandError(problem)


def _api(config: WatchdogConfig, secrets: Secrets) -> RestApi:
    return RestApi(RestClient(config.airflow, secrets), config.airflow.api)


def _check(config: WatchdogConfig, secrets: Secrets) -> None:
    """Ask Airflow once, look connections and contacts up, open the store; send nothing."""
    problems = [problem.text for problem in Teller(config.tell, Connections()).prepare()]
    try:
        api = _api(config, secrets)
        signs = api.health()
        for name, sign in signs.items():
            state = {True: "healthy", False: "not healthy", None: "none"}[sign.is_healthy]
            say(f"{name.replace('_', ' ')}: {state}")
        say(f"import errors: {len(api.import_errors())}")
    except ApiError as error:
        problems.append(f"airflow: {error}")
    try:
        _open_store().close()
    except StoreUnavailableError as error:
        problems.append(str(error))
    if problems:
        raise CommandError("; ".join(problems))
    contacts = contacts_within(ALERT_QUESTION_TIMEOUT).directory if config.tell.policy else None
    if contacts is not None and (twice := told_twice(config.tell, contacts, datetime.now(UTC))):
        say(f"Note: {twice}")
    say(f"{config.name} can watch {config.airflow.url} and tell people in {len(config.tell.channels)} ways.")
