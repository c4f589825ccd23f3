"""The configured store, opened for a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.hooks.turnstile import default_store_url, store_url
from airflow_provider_voicepartner.store.engine import open_store

if TYPE_CHECKING:
    from airflow_provider_voicepartner.store.engine import Store


@contextmanager
def configured_store(purpose: str) -> Iterator[Store]:
    """
    Open the store while a block lasts.

    :param purpose: what it is needed for, for errors.
    :raises StoreUnavailableError: it cannot be used.
    """
    configured = store_url()
    store = open_store(configured or default_store_url(), purpose=purpose, upgrade=configured is None)
    try:
        yield store
    finally:
        store.close()
