"""The sandbox's state in a JSON file: written whole to a file beside it, then moved into place.

The log of requests and of callbacks is not in it, nor are faults; everything that clients can see through the APIs is.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any

from airflow_provider_voicepartner.sandbox.campaigns import Campaign
from airflow_provider_voicepartner.sandbox.outcomes import Rule
from airflow_provider_voicepartner.sandbox.records import Tally
from airflow_provider_voicepartner.sandbox.settings import GATEWAYS, Settings
from airflow_provider_voicepartner.sandbox.world import World

VERSION = 1


class StateFileError(Exception):
    """The state file cannot be read."""


def dump(world: World) -> dict[str, Any]:
    """Return the state as JSON values."""
    with world.lock:
        now = world.now()
        unmade = [[now, job] for job in world.outbox]
        return {
            "version": VERSION,
            "seed": world.seed,
            "clock": world.clock.dump(),
            "settings": world.settings.model_dump(mode="json"),
            "credit": {gateway: str(amount) for gateway, amount in world.credit.items()},
            "campaigns": [
                campaign.dump() for campaigns in world.campaigns.values() for campaign in campaigns.values()
            ],
            "rules": [rule.model_dump() for rule in world.rules.all()],
            "events": unmade
            + [[moment, job] for moment, _, job in sorted(world.events, key=lambda e: e[:2])],
            "serials": world.serials,
            "stop_list": [[stop_id, *entry] for stop_id, entry in world.stop_list.items()],
            "blacklist": sorted(world.blacklist),
            "request_ids": world.request_ids,
            "cancels": world.cancels,
            "parameters": world.parameters,
            "windows": {name: list(times) for name, times in world.windows.items()},
            "audios": world.audios,
        }


def load(world: World, state: dict[str, Any]) -> None:
    """Put a dumped state in place of the world's own."""
    with world.lock:
        world.reset(seed=state["seed"])
        world.clock.load(state["clock"])
        world.settings = Settings.model_validate(state["settings"])
        world.credit = {gateway: Decimal(amount) for gateway, amount in state["credit"].items()}
        for dumped in state["campaigns"]:
            _put(world, Campaign.load(dumped))
        for rule in state["rules"]:
            world.rules.set(Rule.model_validate(rule))
        world.serials = state["serials"]
        world.stop_list = {stop_id: (number, created) for stop_id, number, created in state["stop_list"]}
        world.blacklist = set(state["blacklist"])
        world.request_ids = state["request_ids"]
        world.cancels = state["cancels"]
        world.parameters = state["parameters"]
        world.windows = {name: deque(times) for name, times in state["windows"].items()}
        world.audios = state["audios"]
        for moment, (what, gateway, campaign_id, index, facts) in state["events"]:
            world.plan(moment, (what, gateway, campaign_id, index, facts))
        world.changed.notify_all()


def _put(world: World, campaign: Campaign) -> None:
    world.campaigns[campaign.gateway][campaign.id] = campaign
    if campaign.reference is not None:
        world.by_reference[campaign.gateway].setdefault(campaign.reference, []).append(campaign)
    if not campaign.simulated and not campaign.cancelled:
        tallies: dict[str, Tally] = world.tallies
        tallies[campaign.gateway].add(campaign)


class StateFile:
    """Keeps a world in a file: read when it starts, written while it runs and when it stops.

    :param every: wall seconds between two writes at least (default 1); a large state is written less often, so that
        writing never takes more than a twentieth of the time.
    """

    def __init__(self, world: World, path: Path, *, every: float = 1.0) -> None:
        self._world, self._path, self._every = world, path, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="sandbox-state", daemon=True)
        self._written: tuple[int, ...] = ()

    def start(self) -> None:
        """Read the file, if there is one, and keep it from then on.

        :raises StateFileError: when the file is not a state of this version.
        """
        if self._path.exists():
            try:
                state = json.loads(self._path.read_bytes())
                if state["version"] != VERSION:
                    raise ValueError(f"version {state['version']}")
                load(self._world, state)
            except (ValueError, KeyError, TypeError) as error:
                raise StateFileError(f"{self._path} is not a state file of this sandbox: {error}") from error
        self._thread.start()

    def save(self) -> None:
        """Write the file now."""
        with self._world.lock:
            self._written = self._mark()
            text = json.dumps(dump(self._world), ensure_ascii=False)
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def stop(self) -> None:
        """Write the file a last time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self.save()

    def _mark(self) -> tuple[int, ...]:
        """Return counts that change whenever something worth keeping happens."""
        world = self._world
        totals = [len(world.campaigns[gateway]) for gateway in GATEWAYS]
        return (
            world.requests.total,
            world.event_serial,
            len(world.events),
            len(world.outbox),
            world.edits,
            *totals,
        )

    def _keep(self) -> None:
        pause = self._every
        while not self._stop.wait(pause):
            with self._world.lock:
                changed = self._mark() != self._written
            if changed:
                started = time.monotonic()
                self.save()
                pause = max(self._every, 20 * (time.monotonic() - started))
