"""Start DAGs on what gateways send back: replies, opt-outs, pressed keys and finished campaigns become asset events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Collection, Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from weakref import WeakValueDictionary

from airflow.triggers.base import TriggerEvent

from airflow_provider_voicepartner.compat import BaseEventTrigger
from airflow_provider_voicepartner.constants import EVENT_POLL_INTERVAL, LEAST_EVENT_POLL_INTERVAL
from airflow_provider_voicepartner.delivery.events import EventFilter
from airflow_provider_voicepartner.delivery.inbound import KINDS
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.registry import gateway_names

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer

CLASSPATH: Final = "airflow_provider_voicepartner.triggers.events.DeliveryEventTrigger"

_TOO_OLD: Final = (
    "DeliveryEventTrigger needs Airflow 3.3 or later, whose shared streams report when an event is committed"
)


class DeliveryEventTrigger(BaseEventTrigger):
    """
    Turn what comes back from the gateways into asset events, for an ``AssetWatcher``. Needs Airflow 3.3.

    Each event arrives once per asset, in the order in which events came in, across restarts. A kill at the wrong moment
    may repeat one, which does no harm to a task that reads its events with
    :meth:`~airflow_provider_voicepartner.hooks.delivery.DeliveryHook.take_events`. The payload is ``{"id",
    "kind", "gateway", "campaign", "at", "received_at"}``: never a number or a text.

    :param kinds: of ``reply``, ``opt_out``, ``pressed_keys``, ``completion``; one or several. Default: all.
    :param gateway: its connection type, such as that of the connection; None for all.
    :param campaign: one campaign only: ``ref:`` and a batch's reference, or ``id:`` and its id at the gateway.
    :param poll_interval: seconds between two reads of the store, at least 0.1; default 5.
    :param start: where the very first start begins: ``now``, with what comes in next, or ``oldest``, with all that the
        store holds. A later start goes on where the last ended.
    :raises ConfigurationError: for an argument that cannot be, and on Airflow before 3.3.
    """

    _alive: ClassVar[WeakValueDictionary[str, DeliveryEventTrigger]] = WeakValueDictionary()

    def __init__(
        self,
        *,
        kinds: str | Collection[str] = KINDS,
        gateway: str | None = None,
        campaign: str | None = None,
        poll_interval: float = EVENT_POLL_INTERVAL,
        start: Literal["now", "oldest"] = "now",
    ) -> None:
        if not hasattr(BaseEventTrigger, "create_shared_stream_producer"):
            raise ConfigurationError(_TOO_OLD)
        super().__init__()
        self.kinds = _checked_kinds(kinds)
        self.gateway = gateway
        self.campaign = campaign
        self.poll_interval = poll_interval
        self.start = start
        if gateway is not None and gateway not in gateway_names():
            raise ConfigurationError(f"gateway must be one of {', '.join(gateway_names())}, or None for all")
        if campaign is not None and not campaign.startswith(("ref:", "id:")):
            raise ConfigurationError(
                "campaign must be 'ref:' and a batch's reference, or 'id:' and its gateway_id"
            )
        if not poll_interval >= LEAST_EVENT_POLL_INTERVAL:
            raise ConfigurationError(f"poll_interval must be at least {LEAST_EVENT_POLL_INTERVAL} seconds")
        if start not in ("now", "oldest"):
            raise ConfigurationError("start must be 'now' or 'oldest'")

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and what ``__init__`` needs."""
        return CLASSPATH, {
            "kinds": list(self.kinds),
            "gateway": self.gateway,
            "campaign": self.campaign,
            "poll_interval": self.poll_interval,
            "start": self.start,
        }

    @property
    def wanted(self) -> EventFilter:
        """Which events it tells."""
        return EventFilter(kinds=self.kinds, gateway=self.gateway, campaign=self.campaign)

    @property
    def cursor_key(self) -> str:
        """The key of the cursor in the asset's state store: the same for the same choice of events."""
        chosen = json.dumps([list(self.kinds), self.gateway, self.campaign])
        return f"voicepartner.events.{hashlib.sha256(chosen.encode()).hexdigest()[:12]}"

    def shared_stream_key(self) -> Hashable:
        """
        Return a key of this trigger's own.

        A shared stream has one cursor, and a trigger that joins late misses earlier events. So each trigger has its own
        stream and cursor, for the sake of Airflow's reports on which events it has committed. Only the reading of the
        store is shared.
        """
        arguments = _as_text(self.serialize()[1])
        # Airflow makes the stream from the arguments alone, and it needs the asset's state store, which we were given.
        self._alive[arguments] = self
        return CLASSPATH, arguments, self.trigger_id

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return the stream of the trigger with these arguments."""
        from airflow_provider_voicepartner.triggers.event_reader import shared_reader
        from airflow_provider_voicepartner.triggers.event_stream import EventStream

        trigger = cls._alive[_as_text(kwargs)]
        return EventStream(
            shared_reader(),
            _states_of(trigger.asset_state_store),
            key=trigger.cursor_key,
            wanted=trigger.wanted,
            poll_interval=trigger.poll_interval,
            from_oldest=trigger.start == "oldest",
        )

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Turn each event of the store into the event that Airflow commits."""
        async for event in shared_stream:
            yield TriggerEvent(event.to_json())

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Refuse: Airflow runs this where it has no shared streams."""
        raise ConfigurationError(_TOO_OLD)
        yield  # makes it the generator that Airflow expects


def _checked_kinds(kinds: str | Collection[str]) -> tuple[str, ...]:
    chosen = {kinds} if isinstance(kinds, str) else set(kinds)
    if not chosen or chosen - set(KINDS):
        raise ConfigurationError(f"kinds must be one or more of {', '.join(KINDS)}")
    # In one order, because Airflow tells triggers apart by their arguments.
    return tuple(kind for kind in KINDS if kind in chosen)


def _as_text(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, sort_keys=True)


def _states_of(accessors: Any) -> list[Any]:
    """
    Return the state store of each asset that the trigger is on.

    Two watchers with equal triggers share one, which then has two assets, and Airflow does not give it their names.
    """
    found = [*getattr(accessors, "_by_name", {}).values(), *getattr(accessors, "_by_uri", {}).values()]
    if accessors is not None and not found:
        found = [accessors]
    if not found:
        raise ConfigurationError(
            "DeliveryEventTrigger works on an AssetWatcher only: AssetWatcher(trigger=…)"
        )
    return found
