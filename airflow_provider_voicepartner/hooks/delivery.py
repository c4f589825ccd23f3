"""
Replies, opt-outs and other events for tasks: the reading side of the delivery store.

A DAG that an event started gets numbers and texts from here. They are never part of the event, nor of XCom.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import RUNS_REMEMBERED
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.settings import READING, open_configured_store, opt_out_keys

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store
    from airflow_provider_voicepartner.delivery.events import EventFilter, StorePosition
    from airflow_provider_voicepartner.delivery.store import DeliveryStore, StoredEvent
    from airflow_provider_voicepartner.sending.report import CampaignReport

log = logging.getLogger(__name__)


class DeliveryHook:
    """
    Reads what came back: replies, opt-outs, pressed keys and finished campaigns, with numbers and texts.

    It needs no Airflow connection: the store is that of ``[voicepartner] store_url``. What it returns does not show
    numbers and texts when it is logged; keep them out of XCom and of your own log lines.
    """

    @cached_property
    def _store(self) -> Store:
        return open_configured_store(READING)

    @cached_property
    def _delivery(self) -> DeliveryStore:
        from airflow_provider_voicepartner.delivery.store import DeliveryStore

        return DeliveryStore(self._store, opt_out_keys=opt_out_keys())

    def take_events(self, asset: Any, *, context: Mapping[str, Any] | None = None) -> list[StoredEvent]:
        """
        Return the events that this task has to process: all that came in and that no earlier run has claimed.

        Each event is claimed by one run. A retry, or a run that is cleared, gets the events that it had. An asset event
        only starts the DAG: Airflow may deliver it twice, or attach it to a later run than the one it belongs to.

        :param asset: with the watchers that chose the events, as in the DAG's ``schedule``. The task must name it in
            its ``inlets``, and the DAG must have ``max_active_runs=1``.
        :param context: of the task; None takes that of the task that runs.
        :returns: in the order in which they came in; empty where earlier runs have them all.
        :raises ConfigurationError: naming what the DAG lacks.
        """
        from airflow_provider_voicepartner.delivery.events import SummaryReader

        if context is None:
            from airflow_provider_voicepartner.compat import get_current_context

            context = get_current_context()
        wanted = _wanted_of(asset)
        shares = _Shares.of(asset, context)
        reader = SummaryReader(self._store)
        stretches = shares.share_of(
            context["run_id"], head=reader.head(), first=_first_event_of_run(asset, context, wanted)
        )
        return self.get_events(
            [number for since, until in stretches for number in reader.ids(wanted, since=since, until=until)]
        )

    def get_events(self, ids: Collection[int]) -> list[StoredEvent]:
        """
        Read events, in the order in which they came in.

        :param ids: ``id`` of the payloads of
            :class:`~airflow_provider_voicepartner.triggers.events.DeliveryEventTrigger`.
        :returns: each once; those that were purged are missing, and the log says how many.
        """
        found = self._delivery.events_by_id(ids)
        if missing := len(set(ids)) - len(found):
            log.warning("%d events are no longer in the store; they were purged", missing)
        return found

    def get_batches(self, campaign: Any) -> list[dict[str, Any]]:
        """
        Read all batches of a campaign: those that its report lists, and those of a large one, which are in the store.

        :param campaign: the report of a sending operator, as XCom holds it; of a mapped task, all of its reports.
        :returns: in the order of sending, each as ``batches`` of a report lists it, with ``reference``, ``gateway_id``,
            ``accepted`` and ``state``.
        :raises ConfigurationError: it is no such report; or its batches are in another store, or were purged.
        :raises StoreUnavailableError: the store cannot be reached.
        """
        from airflow_provider_voicepartner.sending.report import read_batches, read_report

        report = read_report(campaign)
        batches = read_batches(self._store, report) if report.stored else report.batches
        return [batch.to_json() for batch in batches]

    def get_opt_outs(self, *, since: datetime | None = None) -> list[str]:
        """
        Read the numbers that opted out at any gateway, in E.164.

        A purge of the store keeps only their hashes, so copy them to a list of your own, or use
        :meth:`get_opted_out`.

        :param since: aware; leaves out what was received before. None reads all.
        """
        return self._delivery.opt_outs(since=0.0 if since is None else since.timestamp())

    def get_opted_out(self, among: Collection[str]) -> set[str]:
        """
        Read which numbers of a list ever opted out, also those of which a purge kept only the hash.

        :param among: numbers, written as ``to`` takes them: ``+33612345678``, ``06 12 34 56 78``.
        :returns: those that did, as they are written in the list.
        :raises ConfigurationError: one of them is no phone number, so that its opt-out cannot be known; or
            ``[voicepartner] opt_out_key`` is not the one that the hashes were made with.
        """
        from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
        from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, parse_number
        from airflow_provider_voicepartner.gateways.validation import E164

        if isinstance(among, str):
            raise ConfigurationError("among: is a single text; give a list of numbers")
        written: dict[str, list[str]] = {}
        for position, number in enumerate(among, start=1):
            try:
                # As gateways report numbers, also those that no plan knows.
                is_written_so = isinstance(number, str) and E164.fullmatch(number)
                e164 = number if is_written_so else parse_number(number).e164
                written.setdefault(e164, []).append(number)
            except InvalidNumberError as error:
                reason = error.reason
            else:
                continue
            raise ConfigurationError(f"among[{position}]: {reason}")
        try:
            out = self._delivery.opted_out(written)
        except InvalidArgumentError as error:
            problem = error
        else:
            return {number for person in out for number in written[person]}
        raise ConfigurationError(f"[voicepartner] {problem}")


@dataclass(frozen=True, slots=True)
class _Shares:
    """
    Which run of a task has claimed which events, in the asset's state store.

    Written by one run at a time, since the DAG has one at a time. One value, so that it changes as a whole; and not the
    task's own state, which some versions of Airflow forget when a task is cleared.
    """

    state: Any
    key: str
    task: str

    @classmethod
    def of(cls, asset: Any, context: Mapping[str, Any]) -> _Shares:
        dag, task = context["dag"], context["task"]
        if dag.max_active_runs != 1:
            raise ConfigurationError(
                f"the DAG {dag.dag_id!r} must have max_active_runs=1: two runs at once could take the same events"
            )
        try:
            state = context["asset_state_store"][asset]
        except KeyError:
            raise ConfigurationError(
                f"the task {task.task_id!r} must name the asset {asset.name!r} in its inlets, as in @task(inlets=[…]), "
                "and needs Airflow 3.3: the asset's state records which events were taken"
            ) from None
        name = f"{dag.dag_id}.{task.task_id}"
        return cls(state, f"voicepartner.taken.{hashlib.sha256(name.encode()).hexdigest()[:12]}", name)

    def share_of(self, run_id: str, *, head: StorePosition, first: int | None) -> list[tuple[int, int]]:
        """
        Return what a run may take, in stretches: after one ``id``, up to another.

        All that came in since the last run. If Airflow gave the run events older than those that the first run began
        with, it gets these too: it waited, or failed, while a person or a later event started the first run.

        :param head: of the store, now.
        :param first: the first event that Airflow attached to this run.
        """
        try:
            taken = _ClaimedEvents.from_json(self.state.get(self.key))
        except (TypeError, KeyError, ValueError):
            raise ConfigurationError(
                f"the asset's state {self.key!r} cannot be read; delete it to begin with the next event"
            ) from None
        if had := [(since, until) for run, since, until in taken.runs if run == run_id]:
            return had
        begin, until = taken.begin, taken.until
        if taken.seq is None or head.seq < taken.seq:  # the very first run, or another store
            begin = until = head.event if first is None else first - 1
        share = [(until, max(until, head.event))]
        if first is not None and first <= begin:
            share.insert(0, (first - 1, begin))
            begin = first - 1
        runs = [*taken.runs, *((run_id, *stretch) for stretch in share)][-RUNS_REMEMBERED:]
        now = _ClaimedEvents(seq=head.seq, begin=begin, until=share[-1][1], runs=runs)
        self.state.set(self.key, {"task": self.task, **now.to_json()})
        return share


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClaimedEvents:
    """
    What the runs of a task have claimed.

    :param seq: how far the store was; None before the first run.
    :param begin: no run has claimed an event up to this ``id``.
    :param until: all between have been given to some run.
    :param runs: the last of them, each with a stretch of what it has; one run may have two.
    """

    seq: int | None
    begin: int
    until: int
    runs: Sequence[tuple[str, int, int]]

    @classmethod
    def from_json(cls, record: Any) -> _ClaimedEvents:
        """
        Read what :meth:`to_json` made; None is before the first run.

        :raises KeyError, TypeError, ValueError: it did not.
        """
        if record is None:
            return cls(seq=None, begin=0, until=0, runs=())
        runs = [(str(run), int(since), int(until)) for run, since, until in record["runs"]]
        return cls(seq=int(record["seq"]), begin=int(record["begin"]), until=int(record["until"]), runs=runs)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        runs = [list(run) for run in self.runs]
        return {"seq": self.seq, "begin": self.begin, "until": self.until, "runs": runs}


def _wanted_of(asset: Any) -> list[EventFilter]:
    triggers = [watcher.trigger for watcher in getattr(asset, "watchers", ())]
    wanted = [trigger.wanted for trigger in triggers if hasattr(trigger, "wanted")]
    if not wanted:
        raise ConfigurationError(
            "take_events needs the asset with its watcher: Asset(…, watchers=[AssetWatcher(…, "
            "trigger=DeliveryEventTrigger(…))])"
        )
    return wanted


def _first_event_of_run(
    asset: Any, context: Mapping[str, Any], wanted: Collection[EventFilter]
) -> int | None:
    """Return the lowest ``id`` that the run's asset events tell; they may also be others', or made in the UI."""
    payloads = [
        (event.extra or {}).get("payload") for event in context["triggering_asset_events"].get(asset, ())
    ]
    kinds = {kind for choice in wanted for kind in choice.kinds}
    ids = [
        payload["id"]
        for payload in payloads
        if isinstance(payload, dict) and payload.get("kind") in kinds and isinstance(payload.get("id"), int)
    ]
    return min(ids, default=None)


def with_stored_batches(report: CampaignReport) -> CampaignReport:
    """
    Return a report that lists all of its batches, also those that the operator left in the store.

    :raises ConfigurationError: they are in another store, or were purged; else as :func:`open_configured_store`.
    :raises StoreUnavailableError: the store cannot be reached now.
    """
    if not report.stored:
        return report
    from airflow_provider_voicepartner.sending.report import with_batches

    with closing(open_configured_store(READING)) as store:
        return with_batches(store, report)
