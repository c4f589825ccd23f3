"""
The one reader of Airflow's configuration section ``[voicepartner]``, and the one opener of the store it names.

Each option has one function, which reads it when it is called, so that importing this module reads nothing.
The options are documented in :mod:`~airflow_provider_voicepartner.get_provider_info`, and in ``docs/settings.md``.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from airflow_provider_voicepartner import compat
from airflow_provider_voicepartner.constants import LONGEST_STORE_WAIT, SHORTEST_SECRET, STORE_WAIT
from airflow_provider_voicepartner.db import engine
from airflow_provider_voicepartner.db.errors import StoreUnavailableError, StoreUrlError
from airflow_provider_voicepartner.db.transactions import StoreRetry
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.gateways.info import default_connections
from airflow_provider_voicepartner.gateways.validation import URL_RULE, is_callback_url

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.delivery.store import DeliveryStore

log = logging.getLogger(__name__)

SECTION: Final = "voicepartner"

SENDING: Final = "knowing what was sent, and keeping to the gateways' rate limits across processes"
RECEIVING: Final = "keeping what gateways report"
READING: Final = "reading replies and delivery reports"
WAITING: Final = "knowing what became of a message"
WATCHING: Final = "knowing which failures people were told of"
ALERTING: Final = "telling people once of what fails"
ASKING: Final = "asking questions that can be answered by phone"
ANSWERING: Final = "giving people's answers to Airflow"
"""What the store is needed for, as its errors say it."""

_LOCAL_EXECUTORS: Final = frozenset({"LocalExecutor", "SequentialExecutor", "DebugExecutor"})
_TEAM: Final = re.compile(r"^[\w-]+=")
_warned_of: set[str] = set()


# Options


def store_url() -> str | None:
    """Return ``store_url``, None where it is not set."""
    return _read("store_url") or None


def store_wait() -> float:
    """
    Return ``store_wait``: the seconds that a campaign waits for a store which cannot be reached.

    :raises ConfigurationError: it is no number of seconds.
    """
    text = _read("store_wait")
    try:
        seconds = float(text) if text else STORE_WAIT
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= LONGEST_STORE_WAIT:
        return seconds
    raise ConfigurationError(
        f"[{SECTION}] store_wait: must be from 0 to {LONGEST_STORE_WAIT} seconds, not {text!r}"
    )


def public_url() -> str:
    """
    Return ``public_url`` without a slash at its end; empty when it is not set.

    :raises ConfigurationError: gateways cannot report to such an address.
    """
    url = _read("public_url").strip().rstrip("/")
    if not url:
        return ""
    wrong = f"[{SECTION}] public_url"
    if not is_callback_url(url):
        raise ConfigurationError(f"{wrong} {URL_RULE}")
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ConfigurationError(
            f"{wrong} must be a host and at most a path, such as https://hooks.example.org; gateways add to it"
        )
    return url


def callback_secrets() -> tuple[str, ...]:
    """Return the secrets of ``callback_secret``, newest first, registered with Airflow's masker."""
    return _read_secrets("callback_secret")


def opt_out_keys() -> tuple[str, ...]:
    """
    Return the keys of ``opt_out_key``, newest first, registered with Airflow's masker.

    :returns: empty where the store's own key is to be taken.
    :raises ConfigurationError: one of them is too short.
    """
    keys = _read_secrets("opt_out_key")
    if any("-long-random-text" in key for key in keys):
        raise ConfigurationError(
            f"[{SECTION}] opt_out_key is an example of the documentation; make one of your own"
        )
    if any(len(key) < SHORTEST_SECRET for key in keys):
        raise ConfigurationError(f"[{SECTION}] opt_out_key must have at least {SHORTEST_SECRET} characters")
    return keys


def receiver_is_enabled() -> bool:
    """
    Return ``receiver_enabled``: whether the receiver is to be a part of Airflow's API server.

    :raises ConfigurationError: the option is neither true nor false.
    """
    try:
        return bool(compat.conf.getboolean(SECTION, "receiver_enabled", fallback=False))
    except Exception:  # Airflow's own error shows the value, whatever it is
        pass
    raise ConfigurationError(f"[{SECTION}] receiver_enabled must be True or False")


def contacts() -> str | None:
    """Return ``contacts``: where people and rotas are defined; None where it is not set."""
    return _read("contacts").strip() or None


def alert_to() -> str:
    """Return ``alert_to``: whom the alert for all DAGs goes to; empty where there is none."""
    return _read("alert_to").strip()


def alert_conn_id() -> str:
    """Return ``alert_conn_id``: the connection of alerts that no DAG defines."""
    return _read("alert_conn_id").strip() or default_connections("sms")[0]


def alert_dags() -> tuple[str, ...]:
    """Return ``alert_dags``: globs of ids, ``!`` before those of DAGs that are left out; empty for all DAGs."""
    return tuple(filter(None, re.split(r"[\s,]+", _read("alert_dags"))))


def alert_at_most() -> str | None:
    """Return ``alert_at_most``, as ``at_most`` of a notifier; None tells of every alert."""
    text = _read("alert_at_most").strip() or "1/15m"
    return None if text.lower() == "none" else text


def alert_group_by() -> tuple[str, ...] | None:
    """Return ``alert_group_by``, as ``group_by`` of a notifier: None where it is not set, empty for one incident."""
    names = tuple(filter(None, re.split(r"[\s,]+", _read("alert_group_by"))))
    if not names:
        return None
    return () if names == ("none",) else names


def alert_fallback() -> tuple[tuple[str, str], ...]:
    """
    Return ``alert_fallback``: what is tried when nobody was reached, as pairs of ``sms`` or ``call`` and a connection.

    :raises ConfigurationError: it is nothing of that form.
    """
    found = []
    for entry in filter(None, re.split(r"[\s,]+", _read("alert_fallback"))):
        kind, _, conn_id = entry.partition(":")
        if kind not in ("sms", "call") or not conn_id:
            raise ConfigurationError(
                f"[{SECTION}] alert_fallback: {entry!r} is neither sms:CONNECTION nor call:CONNECTION; write such "
                f"as sms:{default_connections('sms')[-1]}, call:{default_connections('tts')[0]}"
            )
        found.append((kind, conn_id))
    return tuple(found)


def _read(option: str) -> str:
    return compat.conf.get(SECTION, option, fallback="") or ""


def _read_secrets(option: str) -> tuple[str, ...]:
    secrets = tuple(secret for secret in re.split(r"[\s,]+", _read(option)) if secret)
    for secret in secrets:
        compat.mask_secret(secret)
    return secrets


# The store


def default_store_url() -> str:
    """Return the address of a SQLite file beside Airflow's own, for one machine."""
    from airflow.configuration import AIRFLOW_HOME

    return f"sqlite:///{Path(AIRFLOW_HOME).absolute() / 'voicepartner.db'}"


def open_store(purpose: str) -> Store:
    """
    Open the store of ``store_url``, else the SQLite file under ``AIRFLOW_HOME``.

    :param purpose: what it is needed for, for errors.
    :raises StoreUrlError: its address, what is installed, or the version of its tables has to change.
    :raises StoreUnavailableError: it cannot be reached now.
    """
    url = store_url()
    return engine.open_store(url or default_store_url(), purpose=purpose, upgrade=url is None)


def open_configured_store(purpose: str) -> Store:
    """
    Open the store as :func:`open_store` does, for code that users call.

    :raises ConfigurationError: its address, what is installed, or the version of its tables has to change.
    :raises StoreUnavailableError: it cannot be reached now.
    """
    try:
        return open_store(purpose)
    except StoreUrlError as error:
        problem = error
    raise ConfigurationError(f"[{SECTION}] store_url: {problem}")


def open_receiver_store() -> Store:
    """Open the store that reports go to, as :func:`open_store` does."""
    return open_store(RECEIVING)


def open_delivery_store() -> DeliveryStore:
    """Open the store of delivery reports; errors as in :func:`open_configured_store`."""
    # Inside, because DAG files import this module, and the tables bring SQLAlchemy along.
    from airflow_provider_voicepartner.delivery.store import DeliveryStore

    return DeliveryStore(open_configured_store(WAITING))


def connect_store(purpose: str) -> Store:
    """Open the store as :func:`open_store` does, but leave its tables as they are."""
    return engine.connect_store(store_url() or default_store_url(), purpose=purpose)


def open_sending_store(retry: StoreRetry | None = None) -> Store:
    """
    Open the store for a campaign.

    Without a configured one, a folder that cannot be written to is no reason not to send: the limits are then kept
    within this process alone, no later attempt knows what this one sent, and the log says so.

    :param retry: with a configured store that cannot be reached; None has none.
    :raises ConfigurationError: the configured address cannot be used.
    :raises RetryableNotSentError: the configured store cannot be reached now.
    """
    is_configured = store_url() is not None
    warn_of_machines_without_a_shared_store()
    problem: StoreUnavailableError
    waiting = StoreRetry(seconds=0) if retry is None or not is_configured else retry
    try:
        return waiting.run(lambda: open_store(SENDING))
    except StoreUnavailableError as error:
        problem = error
    if not is_configured:
        log.warning(
            "%s. Rate limits are kept within this process only, a retry does not find what this attempt sends, and "
            "mapped tasks refuse, since their instances do not know of each other's lists",
            problem,
        )
        return engine.open_store("sqlite://", purpose=SENDING)
    if isinstance(problem, StoreUrlError):
        raise ConfigurationError(f"[{SECTION}] store_url: {problem}")
    raise RetryableNotSentError(f"[{SECTION}] store_url: {problem}. Nothing was sent")


# Machines that share no store


def unshared_store_problem() -> str | None:
    """Say why the workers of this Airflow cannot share the store; None where they can."""
    return shared_store_problem(store_url(), compat.conf.get("core", "executor", fallback=""))


def shared_store_problem(store_url: str | None, executor: str) -> str | None:
    """
    Say why the workers of an Airflow cannot share a store; None where they can.

    :param store_url: ``[voicepartner] store_url``; None or empty for the default file.
    :param executor: ``[core] executor``: one or several, with their modules, aliases and teams as Airflow reads them.
    """
    spread = [name for name in _executors(executor) if name not in _LOCAL_EXECUTORS]
    if not spread or (store_url or "").strip().startswith(("postgresql:", "postgresql+", "postgres:")):
        return None
    kept = "a file of each machine's own" if not store_url else "a file, which one machine can use"
    return (
        f"{spread[0]} runs tasks on several machines, and [voicepartner] store_url is "
        f"{'not set' if not store_url else 'SQLite'}: {kept}. Set [voicepartner] store_url to one PostgreSQL database "
        "on every machine, so that they keep to rate limits together and know what each of them sent"
    )


def _executors(text: str) -> list[str]:
    """Return the names of the classes that ``[core] executor`` names."""
    names = (_TEAM.sub("", entry.strip()) for entry in re.split("[,;]", text))
    # An entry is a name, a path to a class, or an alias and one of the two.
    return [name.rpartition(":")[2].rpartition(".")[2].strip() for name in names if name]


def warn_of_machines_without_a_shared_store() -> str | None:
    """
    Warn once in each process, if this Airflow's workers cannot share a store.

    :returns: the problem, each time; None where there is none.
    """
    problem = unshared_store_problem()
    if problem is not None and problem not in _warned_of:
        _warned_of.add(problem)
        log.warning("%s", problem)
    return problem
