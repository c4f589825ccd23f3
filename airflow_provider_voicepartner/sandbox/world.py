"""The whole state of the sandbox: accounts, campaigns, opt-outs and what is still to happen to them.

One re-entrant lock guards all of it. Requests run in the server's event loop and hold the lock while they work; the
callback workers take it to see what has come due. Nothing waits while it holds the lock.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from airflow_provider_voicepartner.sandbox.campaigns import Campaign, Line
from airflow_provider_voicepartner.sandbox.clock import Clock
from airflow_provider_voicepartner.sandbox.faults import FaultBook
from airflow_provider_voicepartner.sandbox.outcomes import Fate, RuleBook, decide
from airflow_provider_voicepartner.sandbox.records import RequestLog, Tally
from airflow_provider_voicepartner.sandbox.settings import GATEWAYS, Settings

KEPT_DELIVERIES = 5_000

Job = tuple[str, str, str, int, dict[str, Any]]
"""A callback to be made: what happened, gateway, campaign id, place of the line, and more facts."""


class World:
    """Everything the sandbox knows.

    :param seed: source of ids, delays and of which report gets lost: the same seed and the same requests in the
        same order always give the same answers (default 0).
    :param clock: where time is read.
    :param settings: what a new sandbox starts with, and what :meth:`reset` goes back to.
    """

    def __init__(
        self, *, seed: int = 0, clock: Clock | None = None, settings: Settings | None = None
    ) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        """Tells the callback workers that there may be something to do."""
        self.settled = threading.Condition(self.lock)
        """Tells whoever waits for quiet that there may be some."""
        self.clock = clock or Clock()
        self.faults = FaultBook(self.lock)
        self.edits = 0
        """How often the control API changed something."""
        self.initial_settings = (settings or Settings()).model_copy(deep=True)
        self._begin(seed, self.initial_settings.model_copy(deep=True))

    def _begin(self, seed: int, settings: Settings) -> None:
        self.seed = seed
        self.settings = settings
        self.credit: dict[str, Decimal] = {
            "smspartner": settings.smspartner.credit,
            "voicepartner": settings.voicepartner.credit,
            "octopush": settings.octopush.credit,
        }
        self.campaigns: dict[str, dict[str, Campaign]] = {gateway: {} for gateway in GATEWAYS}
        self.by_reference: dict[str, dict[str, list[Campaign]]] = {gateway: {} for gateway in GATEWAYS}
        self.tallies: dict[str, Tally] = {gateway: Tally() for gateway in GATEWAYS}
        self.rules = RuleBook()
        self.requests = RequestLog()
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=KEPT_DELIVERIES)
        self.delivered = 0
        self.in_flight = 0
        self.outbox: deque[Job] = deque()
        self.events: list[tuple[float, int, Job]] = []
        self.event_serial = 0
        self.serials: dict[str, int] = {}
        self.stop_list: dict[int, tuple[str, float]] = {}
        self.blacklist: set[str] = set()
        self.request_ids: dict[str, float] = {}
        self.cancels: list[float] = []
        self.parameters: dict[str, dict[str, Any]] = {}
        self.windows: dict[str, deque[float]] = {}
        self.audios: dict[str, dict[str, Any]] = {
            "a1b2c3d4": {"name": "rappel-rdv", "size": "88.2Ko", "duration": 12, "created": 1_898_847_011.0},
            "e5f6a7b8": {"name": "incident", "size": "51.4Ko", "duration": 7, "created": 1_898_933_411.0},
        }

    def reset(self, *, seed: int | None = None, keep_settings: bool = False) -> None:
        """Forget everything and begin anew; faults are dropped and hanging requests let go."""
        with self.lock:
            self.faults.clear()
            settings = self.settings if keep_settings else self.initial_settings.model_copy(deep=True)
            self.clock.restart()
            self._begin(self.seed if seed is None else seed, settings)
            self.changed.notify_all()

    def now(self) -> float:
        """Return the present moment of message life."""
        return self.clock.now()

    def next_serial(self, name: str) -> int:
        """Return 1, 2, 3… for each name."""
        self.serials[name] = self.serials.get(name, 0) + 1
        return self.serials[name]

    def random_for(self, *name: object) -> Random:
        """Return a random source that depends on the seed and on the name alone."""
        return Random("/".join(str(part) for part in (self.seed, *name)))

    def take(self, campaign: Campaign, make_id: Callable[[Random, int], str], *, charge: bool = True) -> None:
        """Take a campaign: give it an id, charge it, decide what becomes of each line, plan its callbacks."""
        campaign.serial = self.next_serial(campaign.gateway)
        random = self.random_for(campaign.gateway, campaign.serial)
        campaign.id = make_id(random, campaign.serial)
        campaign.created = self.now()
        self.campaigns[campaign.gateway][campaign.id] = campaign
        if campaign.reference is not None:
            self.by_reference[campaign.gateway].setdefault(campaign.reference, []).append(campaign)
        if charge and not campaign.simulated:
            self.credit[campaign.gateway] -= campaign.cost
            self.tallies[campaign.gateway].add(campaign)
        self._decide(campaign, random)
        self.changed.notify_all()

    def _decide(self, campaign: Campaign, random: Random) -> None:
        leaves, gateway = campaign.leaves_at(), campaign.gateway
        posts = not campaign.simulated and campaign.kind != "voicemail"
        for index, line in enumerate(campaign.lines):
            rule = self.rules.find(gateway, line.number)
            fate = decide(
                rule, gateway, campaign.kind, random, self.settings.delays, self.settings.failure_rate
            )
            if gateway == "octopush" and line.number in self.blacklist:
                line.word = "BLACKLISTED_NUMBER"
            else:
                line.word = fate.word
            line.done_at, line.picked_up = leaves + fate.delay, fate.picked_up
            line.pressed_keys = fate.pressed_keys
            if posts:
                self._plan_reports(campaign, index, line, leaves, random)
                if fate.reply is not None or fate.stop:
                    self._plan_answer(campaign, index, line, fate, random)
                if fate.link is not None:
                    job = ("link", gateway, campaign.id, index, {"press": fate.link == "press"})
                    self.plan(line.done_at + self.settings.delays.reply[0], job)
        if campaign.kind == "voicemail" and not campaign.simulated and campaign.report_url:
            final = [line.done_at for line in campaign.lines if line.word is not None]
            if final:
                self._plan_report(max(final), ("summary", gateway, campaign.id, 0, {}), random)

    def _plan_reports(
        self, campaign: Campaign, index: int, line: Line, leaves: float, random: Random
    ) -> None:
        if campaign.report_url is None and campaign.gateway != "octopush":
            return
        if self.settings.callbacks.send_pending:
            self.plan(leaves, ("pending", campaign.gateway, campaign.id, index, {}))
        if line.word is not None:
            self._plan_report(line.done_at, ("report", campaign.gateway, campaign.id, index, {}), random)

    def _plan_report(self, moment: float, job: Job, random: Random) -> None:
        """Plan a report, with the losses, duplicates and delays that are set."""
        knobs = self.settings.callbacks
        moment += knobs.extra_delay
        if knobs.loss and random.random() < knobs.loss:
            return
        if knobs.disorder and random.random() < knobs.disorder:
            moment += knobs.disorder_seconds * random.random()
        self.plan(moment, job)
        if knobs.duplicates and random.random() < knobs.duplicates:
            self.plan(moment + 1, job)

    def _plan_answer(self, campaign: Campaign, index: int, line: Line, fate: Fate, random: Random) -> None:
        low, high = self.settings.delays.reply
        moment = line.done_at + low + (high - low) * random.random()
        facts = {"text": fate.reply if fate.reply is not None else "STOP", "stop": fate.stop}
        for again in range(fate.reply_times):
            self.plan(moment + again, ("inbound", campaign.gateway, campaign.id, index, facts))

    def plan(self, moment: float, job: Job) -> None:
        """Let something happen at a moment."""
        self.event_serial += 1
        heapq.heappush(self.events, (moment, self.event_serial, job))

    def settle(self) -> None:
        """Let everything happen that has come due: opt-outs take effect, callbacks go to the outbox."""
        now, events = self.now(), self.events
        while events and events[0][0] <= now:
            moment, _, job = heapq.heappop(events)
            what, gateway, campaign_id, index, facts = job
            campaign = self.campaigns[gateway].get(campaign_id)
            if campaign is not None and campaign.cancelled:
                continue
            facts = {**facts, "moment": moment}
            if what == "inbound":
                self._answer_arrives(gateway, campaign, index, facts)
            self.outbox.append((what, gateway, campaign_id, index, facts))

    def _answer_arrives(
        self, gateway: str, campaign: Campaign | None, index: int, facts: dict[str, Any]
    ) -> None:
        if not facts["stop"]:
            return
        number = facts.get("number")
        if campaign is not None and number is None:
            campaign.lines[index].stopped = True
            number = campaign.lines[index].number
        if number is not None:
            self.opt_out(gateway, number)

    def opt_out(self, gateway: str, number: str) -> int:
        """Put a number on the gateway's opt-out list; return its place on SMS Partner's STOP list (else 0)."""
        if gateway == "octopush":
            self.blacklist.add(number)
        if gateway != "smspartner":
            return 0
        for stop_id, (listed, _) in self.stop_list.items():
            if listed == number:
                return stop_id
        stop_id = 4000 + self.next_serial("stop")
        self.stop_list[stop_id] = (number, self.clock.calendar())
        return stop_id

    def opted_out(self, gateway: str) -> set[str]:
        """Return the numbers on the gateway's opt-out list."""
        if gateway == "octopush":
            return self.blacklist
        return {number for number, _ in self.stop_list.values()} if gateway == "smspartner" else set()

    def cancel(self, campaign: Campaign, *, refund: bool) -> Decimal:
        """Cancel a campaign that has not left; return what was given back."""
        campaign.cancelled = True
        if campaign.simulated:
            return Decimal(0)
        self.tallies[campaign.gateway].add(campaign, -1)
        given_back = campaign.cost if refund else Decimal(0)
        self.credit[campaign.gateway] += given_back
        return given_back

    def last_campaign_to(self, gateway: str, number: str) -> Campaign | None:
        """Return the latest campaign that went to a number."""
        for campaign in reversed(self.campaigns[gateway].values()):
            if campaign.find(number) is not None and not campaign.simulated:
                return campaign
        return None

    def wait_until_quiet(self, timeout: float = 10.0) -> bool:
        """Wait, up to ``timeout`` wall seconds, until every callback that is due has been made."""
        with self.lock:
            self.changed.notify_all()
            return self.settled.wait_for(self.is_quiet, timeout)

    def is_quiet(self) -> bool:
        """Tell whether every callback that is due has been made."""
        due = bool(self.events) and self.events[0][0] <= self.now()
        return not due and not self.outbox and not self.in_flight
