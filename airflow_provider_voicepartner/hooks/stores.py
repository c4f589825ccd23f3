"""Opens the configured store for those who keep delivery reports, and for those who read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.turnstile import default_store_url, store_url
from airflow_provider_voicepartner.store.engine import StoreUrlError, open_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore
    from airflow_provider_voicepartner.store.engine import Store

PURPOSE = "knowing what became of a message"


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
