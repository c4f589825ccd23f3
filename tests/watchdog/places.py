"""One Airflow that a test makes up, one real store, and the watchdogs that look at both."""

from __future__ import annotations

from typing import Any

from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.watchdog.config import WatchdogConfig
from airflow_provider_voicepartner.watchdog.loop import Watchdog
from airflow_provider_voicepartner.watchdog.telling import Connections, Teller
from tests.support.watched import Clock, WatchedAirflow, configured

ANNE, BOB = "+33612345678", "+33612345699"
FALLBACK = f"[[tell.fallback]]\nconn_id = 'octopush'\nto = '{BOB}'\n"


class Place:
    """One Airflow, one store, and its watchdogs."""

    def __init__(self, sandbox: Any, url: str) -> None:
        self.sandbox, self.url = sandbox, url
        self.clock = Clock()
        self.airflow = WatchedAirflow(self.clock)
        self.is_store_down = False

    def open(self) -> Store:
        """Open the store, in the clock of the test."""
        if self.is_store_down:
            raise StoreUnavailableError("the store cannot be used")
        return open_store(self.url, purpose="tests", clock=self.clock)

    def watchdog(self, text: str = "", *, config: WatchdogConfig | None = None) -> Watchdog:
        """Start one."""
        config = config or configured(text)
        return Watchdog(
            config,
            make_api=lambda: self.airflow,
            open_store=self.open,
            teller=Teller(config.tell, Connections()),
            clock=self.clock,
        )

    def looks(self, watchdog: Watchdog, seconds: float = 60.0) -> None:
        """Let it look every 10 seconds, and after two minutes each minute."""
        passed = 0.0
        while passed < seconds:
            step = 10 if passed < 120 else 60
            passed += step
            self.clock.advance(step)
            watchdog.look()

    def sent(self, gateway: str = "smspartner") -> dict[str, int]:
        """Return how often each number was told."""
        return dict(self.sandbox.world.tallies[gateway].numbers)

    def texts(self, gateway: str = "smspartner") -> list[str]:
        """Return all texts, the oldest first."""
        return [
            line.text or campaign.text
            for campaign in self.sandbox.world.campaigns[gateway].values()
            for line in campaign.lines
        ]

    @property
    def incidents(self) -> IncidentStore:
        """The incidents."""
        return IncidentStore(self.open())
