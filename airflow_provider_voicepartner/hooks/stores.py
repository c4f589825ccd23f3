"""Opens the configured store for those who keep delivery reports, and notices machines that cannot share theirs."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.compat import conf
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.turnstile import default_store_url, store_url
from airflow_provider_voicepartner.store.engine import StoreUrlError, open_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore
    from airflow_provider_voicepartner.store.engine import Store

log = logging.getLogger(__name__)

PURPOSE = "knowing what became of a message"

_LOCAL_EXECUTORS = frozenset({"LocalExecutor", "SequentialExecutor", "DebugExecutor"})
_TEAM = re.compile(r"^[\w-]+=")
_warned_of: set[str] = set()


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
    problem = shared_store_problem(store_url(), conf.get("core", "executor", fallback=""))
    if problem is not None and problem not in _warned_of:
        _warned_of.add(problem)
        log.warning("%s", problem)
    return problem


def open_configured_store() -> Store:
    """
    Open the configured store, else the SQLite file under ``AIRFLOW_HOME``.

    :raises ConfigurationError: the configured address cannot be used, or its tables are of another version.
    :raises StoreUnavailableError: it cannot be reached now.
    """
    url = store_url()
    try:
        return open_store(url or default_store_url(), purpose=PURPOSE, upgrade=url is None)
    except StoreUrlError as error:
        problem = error
    raise ConfigurationError(f"[voicepartner] store_url: {problem}")


def open_delivery_store() -> DeliveryStore:
    """Open the store of delivery reports; errors as in :func:`open_configured_store`."""
    from airflow_provider_voicepartner.delivery.store import DeliveryStore

    return DeliveryStore(open_configured_store())
