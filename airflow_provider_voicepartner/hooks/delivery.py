"""
What people answered, for tasks: the reading side of the delivery store.

A DAG that an event started gets numbers and texts from here. They are never part of the event, nor of XCom.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore, StoredEvent
    from airflow_provider_voicepartner.store.engine import Store

log = logging.getLogger(__name__)

PURPOSE: Final = "reading replies and delivery reports"

CLOCKS_APART: Final = timedelta(minutes=10)
"""How far the clocks of the receiver and of Airflow's database may be apart."""


def open_configured_store() -> Store:
    """
    Open the store of ``[voicepartner] store_url``, else the SQLite file under ``AIRFLOW_HOME``.

    :raises ConfigurationError: its address, what is installed, or the version of its tables has to change.
    :raises StoreUnavailableError: it cannot be reached now.
    """
    # Inside, because DAG files import this module, and these bring SQLAlchemy and requests along.
    from airflow_provider_voicepartner.hooks.turnstile import default_store_url, store_url
    from airflow_provider_voicepartner.store.engine import StoreUrlError, open_store

    url = store_url()
    try:
        return open_store(url or default_store_url(), purpose=PURPOSE, upgrade=url is None)
    except StoreUrlError as error:
        raise ConfigurationError(f"[voicepartner] store_url: {error}") from None


class DeliveryHook:
    """
    Reads what came back: replies, opt-outs, pressed keys and finished campaigns, with numbers and texts.

    It needs no Airflow connection: the store is that of ``[voicepartner] store_url``. What it returns does not show
    numbers and texts when it is logged; keep them out of XCom and of your own log lines.
    """

    @cached_property
    def store(self) -> DeliveryStore:
        """The delivery store, opened when it is first asked."""
        from airflow_provider_voicepartner.delivery.store import DeliveryStore

        return DeliveryStore(open_configured_store())

    def get_events(self, ids: Collection[int]) -> list[StoredEvent]:
        """
        Read events, in the order in which they came in.

        :param ids: ``id`` of the payloads of
            :class:`~airflow_provider_voicepartner.triggers.events.DeliveryEventTrigger`.
        :returns: each once; those that were purged are missing, and the log says how many.
        """
        found = self.store.events_by_id(ids)
        if missing := len(set(ids)) - len(found):
            log.warning("%d events are no longer in the store; they were purged", missing)
        return found

    def get_run_events(self, asset: Any, *, context: Mapping[str, Any] | None = None) -> list[StoredEvent]:
        """
        Read the events that started this DAG run, in the order in which they came in.

        An event is in one run only. A triggerer that is killed may tell Airflow once more what it told last; the
        asset's history shows what was told before, and such an event is left out.

        :param asset: on which the ``DeliveryEventTrigger`` is; the task must name it in its ``inlets``.
        :param context: of the task; None takes that of the task that runs.
        :raises ConfigurationError: the task does not name the asset in its ``inlets``.
        """
        if context is None:
            from airflow.providers.common.compat.sdk import get_current_context

            context = get_current_context()
        triggering = context["triggering_asset_events"]
        events = [event for event in triggering.get(asset, ()) if _id_of(event)]
        if not events:
            return []
        try:
            history = context["inlet_events"][asset]
        except KeyError:
            name = getattr(asset, "name", "the asset")
            raise ConfigurationError(
                f"the task must name the asset {name!r} in its inlets, as in @task(inlets=[…]): its history tells "
                "which events another run has had"
            ) from None
        oldest = min(datetime.fromisoformat(event.extra["payload"]["received_at"]) for event in events)
        newest = max(event.timestamp for event in events)
        told = history.after((oldest - CLOCKS_APART).isoformat()).before(newest.isoformat())
        return self.get_events(told_first(events, told))

    def get_opt_outs(self, *, since: datetime | None = None) -> list[str]:
        """
        Read who said STOP, whichever gateway told, in E.164.

        A purge of the store forgets them, so carry them into a list of your own.

        :param since: aware; leaves out what was received before. None reads all.
        """
        return self.store.opt_outs(since=0.0 if since is None else since.timestamp())


def told_first(events: Iterable[Any], history: Iterable[Any]) -> list[int]:
    """
    Return the ids of what asset events tell for the first time.

    :param events: asset events with a ``timestamp`` and our payload.
    :param history: all asset events of the same asset that may have told the same.
    """
    first: dict[int, datetime] = {}
    for event in history:
        if number := _id_of(event):
            first[number] = min(event.timestamp, first.get(number, event.timestamp))
    return sorted(
        {
            number
            for event in events
            if (number := _id_of(event)) and event.timestamp <= first.get(number, event.timestamp)
        }
    )


def _id_of(event: Any) -> int | None:
    """Return the id of our event; None for an asset event that is not ours, such as one made in the UI."""
    payload = (event.extra or {}).get("payload")
    if not isinstance(payload, dict) or not {"id", "kind", "received_at"} <= payload.keys():
        return None
    return payload["id"] if isinstance(payload["id"], int) else None
