"""
What is told after a look: a pure function of what is remembered, what was seen, and which failures somebody told.

A failure gets a grace, so that its own callback can be first. Of a DAG run one message is told, which names its tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from airflow_provider_voicepartner.constants import MOST_WATCH_GRACE, PAGES_LATE_AFTER, WATCH_OVERLAP
from airflow_provider_voicepartner.incidents.model import Occurrence
from airflow_provider_voicepartner.watchdog.airflow_api import FailedRun, FailedTask
from airflow_provider_voicepartner.watchdog.config import WatchdogConfig
from airflow_provider_voicepartner.watchdog.findings import (
    Finding,
    Kind,
    Links,
    Recovery,
    api_problem,
    broken_file,
    failed_dag,
    failed_tasks,
    key_of,
    missing_run,
    missing_run_key,
    of_run,
    of_task,
    pages_late,
    silent_parts,
    silent_peer,
    store_down,
)
from airflow_provider_voicepartner.watchdog.observing import (
    Observation,
    RunKey,
    due_runs,
    mark_of_run,
    mark_of_task,
)
from airflow_provider_voicepartner.watchdog.state import Seen, WatchState


@dataclass(slots=True, kw_only=True)
class Checked:
    """
    What follows from a look.

    :param state: to be remembered, once people were told.
    """

    state: WatchState
    findings: list[Finding] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)


def unsettled(state: WatchState, seen: Observation, config: WatchdogConfig) -> list[Occurrence]:
    """Return the failures of which has to be known whether somebody told, as callbacks may have reported them."""
    found: dict[Occurrence, None] = {}
    for run in seen.runs or ():
        if config.dags.covers(run.dag_id) and mark_of_run(run) not in state.done:
            found |= dict.fromkeys(_reported_as(of_run(run)))
            for task in seen.tasks_of.get((run.dag_id, run.run_id), ()):
                found |= dict.fromkeys(_reported_as(of_task(task)))
    for task in seen.tasks or ():
        if config.dags.covers(task.dag_id) and mark_of_task(task) not in state.done:
            found |= dict.fromkeys(_reported_as(of_task(task)))
    return list(found)


def _reported_as(occurrence: Occurrence) -> tuple[Occurrence, ...]:
    """Return an occurrence with and without what a callback may not know."""
    if occurrence.task_id:
        return occurrence, replace(occurrence, try_number=0)
    return occurrence, replace(occurrence, moment="")


def check(
    state: WatchState,
    seen: Observation,
    known: Collection[Occurrence],
    config: WatchdogConfig,
    *,
    beats: Mapping[str, str] | None = None,
    is_store_down: bool = False,
    late_by: float | None = None,
) -> Checked:
    """
    Compare a look with what is remembered.

    :param known: of :func:`unsettled`, those that somebody told.
    :param late_by: for how many seconds a step of an escalation is due; None where the store does not say.
    :param beats: the last heartbeats of other watchdogs, by name; None where the store does not say.
    """
    checked = Checked(state=state)
    links = Links(config.airflow.links_begin_with, seen.version)
    _check_failures(checked, seen, known, config, links)
    _check_parts(checked, seen, config, links)
    _check_files(checked, seen, config, links)
    _check_expectations(checked, seen, config, links)
    _check_peers(checked, seen.at, beats, config)
    _check_store(checked, seen.at, config, is_down=is_store_down)
    _check_pages(checked, seen.at, config, late_by)
    return checked


# Failures


def _check_failures(
    checked: Checked, seen: Observation, known: Collection[Occurrence], config: WatchdogConfig, links: Links
) -> None:
    if seen.runs is None or seen.tasks is None:
        return
    failures = _Failures(checked.state, seen, known, config)
    for run in seen.runs:
        if config.dags.covers(run.dag_id):
            failed = failures.look_at_run(run)
            if failed is not None:
                checked.findings.append(failed_dag(run, failed, links))
    for tasks in failures.lonely_tasks():
        checked.findings.append(failed_tasks(tasks, links))
    oldest = (checked.state.looked_at or seen.at) - 2 * WATCH_OVERLAP
    kept = {mark: at for mark, at in checked.state.done.items() if at >= oldest}
    checked.state = replace(
        checked.state, looked_at=seen.at, waiting=failures.waiting, done=kept | failures.done
    )


class _Failures:
    """What failed, as far as this look knows."""

    def __init__(
        self, state: WatchState, seen: Observation, known: Collection[Occurrence], config: WatchdogConfig
    ) -> None:
        self._state, self._seen, self._known, self._config = state, seen, known, config
        self._failed_runs = {(run.dag_id, run.run_id) for run in seen.runs or ()}
        # What failed before the watchdog was ever started is not its business.
        self._is_first = state.looked_at is None
        self.waiting: dict[str, float] = {}
        self.done: dict[str, float] = {}

    def look_at_run(self, run: FailedRun) -> tuple[str, ...] | None:
        """Return the failed tasks of a run that people are to be told of; None where they are not."""
        mark, tasks = mark_of_run(run), self._tasks_of((run.dag_id, run.run_id))
        told = {task.task_id for task in tasks if self._is_told(task)}
        names = tuple(dict.fromkeys(task.task_id for task in tasks))
        is_told = self._is_first or mark in self._state.done or self._is_known(of_run(run))
        if is_told or (names and told.issuperset(names)):
            self._settle(mark, tasks)
            return None
        if self._is_in_grace(mark, run.ended_at):
            self._note_told(tasks)
            return None
        self._settle(mark, tasks)
        return (*(name for name in names if name not in told), *(name for name in names if name in told))

    def lonely_tasks(self) -> list[list[FailedTask]]:
        """Return the tasks that people are to be told of and whose run has not failed, run by run."""
        tasks = [
            task
            for task in self._seen.tasks or ()
            if self._config.dags.covers(task.dag_id) and (task.dag_id, task.run_id) not in self._failed_runs
        ]
        # Of a mapped task one instance speaks for all.
        told = {mark_of_task(task) for task in tasks if self._is_told(task)}
        due: dict[RunKey, dict[str, FailedTask]] = {}
        for task in sorted(tasks, key=lambda task: (task.dag_id, task.run_id, task.ended_at, task.map_index)):
            mark = mark_of_task(task)
            if not self._is_first and mark not in told:
                if self._is_in_grace(mark, task.ended_at):
                    continue
                due.setdefault((task.dag_id, task.run_id), {}).setdefault(task.task_id, task)
            self.done[mark] = self._seen.at
        return [list(of_one_run.values()) for of_one_run in due.values()]

    def _tasks_of(self, run: RunKey) -> list[FailedTask]:
        found = [task for task in self._seen.tasks or () if (task.dag_id, task.run_id) == run]
        return list(dict.fromkeys([*self._seen.tasks_of.get(run, ()), *found]))

    def _is_told(self, task: FailedTask) -> bool:
        return mark_of_task(task) in self._state.done or self._is_known(of_task(task))

    def _is_known(self, occurrence: Occurrence) -> bool:
        return any(one in self._known for one in _reported_as(occurrence))

    def _is_in_grace(self, mark: str, ended_at: float) -> bool:
        since = self._state.waiting.get(mark, self._seen.at)
        if self._seen.at - ended_at > MOST_WATCH_GRACE:
            # It failed while nobody looked; the next look would not even find it.
            return False
        if 0 <= self._seen.at - since < self._config.times.grace:
            self.waiting[mark] = since
            return True
        return False

    def _settle(self, mark: str, tasks: list[FailedTask]) -> None:
        self.done |= dict.fromkeys([mark, *map(mark_of_task, tasks)], self._seen.at)

    def _note_told(self, tasks: list[FailedTask]) -> None:
        self.done |= {mark_of_task(task): self._seen.at for task in tasks if self._is_told(task)}


# Airflow's parts, and the API


def _check_parts(checked: Checked, seen: Observation, config: WatchdogConfig, links: Links) -> None:
    parts = dict(checked.state.parts)
    airflow = config.airflow.url
    _check_api(checked, parts, seen, config)
    signs = seen.signs or {}
    base = signs.get("metadatabase")
    silent: list[tuple[str, str]] = []
    for name, sign in signs.items():
        # Without its database Airflow knows nothing of the others.
        if name != "metadatabase" and base is not None and base.is_healthy is False:
            continue
        before = parts.get(name)
        if sign.is_healthy is None:
            continue
        if sign.is_healthy:
            if before is not None and before.is_told:
                checked.recoveries.append(
                    Recovery(kind=Kind.SILENT, key=key_of(Kind.SILENT, name, airflow), names=(name,))
                )
            is_same = before is not None and before.mark == sign.heartbeat and not before.is_told
            parts[name] = before if before is not None and is_same else Seen(sign.heartbeat, seen.at)
            continue
        if before is None or before.mark != sign.heartbeat:
            before = Seen(sign.heartbeat, seen.at, before is not None and before.is_told)
        if not before.is_told and seen.at - before.since >= config.times.silent_after:
            silent.append((name, sign.heartbeat or _iso(before.since)))
            before = replace(before, is_told=True)
        parts[name] = before
    if silent:
        checked.findings.append(silent_parts(silent, airflow, links))
    checked.state = replace(checked.state, parts=parts)


def _check_api(checked: Checked, parts: dict[str, Seen], seen: Observation, config: WatchdogConfig) -> None:
    before = parts.pop("api", None)
    if not seen.problem:
        if before is not None and before.is_told:
            key = key_of(Kind.SILENT, "api", config.airflow.url)
            checked.recoveries.append(Recovery(kind=Kind.SILENT, key=key, names=("api",)))
        return
    before = before or Seen(_iso(seen.at), seen.at)
    if not before.is_told and seen.at - before.since >= config.times.silent_after:
        checked.findings.append(
            api_problem(seen.problem, before.mark, config.airflow.url, is_refused=seen.is_refused)
        )
        before = replace(before, is_told=True)
    parts["api"] = before


# Files that cannot be imported


def _check_files(checked: Checked, seen: Observation, config: WatchdogConfig, links: Links) -> None:
    if seen.files is None:
        return
    before, files = checked.state.files, dict[str, Seen]()
    for problem in seen.files:
        known = before.get(problem.file)
        dag_ids = sorted(one for one in seen.dags_of.get(problem.file, ()) if config.dags.covers(one))
        if known is not None and known.mark:
            files[problem.file] = known
        elif not dag_ids:
            # It never worked, or it was broken before the watchdog came.
            files[problem.file] = Seen(problem.since or _iso(seen.at), seen.at)
        else:
            waiting = known or Seen("", seen.at)
            # A file that is being copied is broken for a moment.
            if seen.at - waiting.since >= config.times.grace:
                checked.findings.append(broken_file(problem, dag_ids, config.airflow.url, links))
                waiting = Seen(problem.since or _iso(seen.at), seen.at, is_told=True)
            files[problem.file] = waiting
    for file, known in before.items():
        if file not in files and known.is_told:
            key = key_of(Kind.IMPORT_ERROR, file, config.airflow.url)
            checked.recoveries.append(Recovery(kind=Kind.IMPORT_ERROR, key=key, names=(file,)))
    checked.state = replace(checked.state, files=files)


# Runs that did not come


def _check_expectations(checked: Checked, seen: Observation, config: WatchdogConfig, links: Links) -> None:
    state = checked.state
    expected = {one.key: state.expected.get(one.key, seen.at) for one in config.expect}
    missing = {key: one for key, one in state.missing.items() if key in expected}
    for due in due_runs(config, state, seen.at):
        one, key = due.expectation, due.expectation.key
        has_run = seen.has_run.get(key)
        if has_run is None:
            continue
        before = missing.get(key)
        if has_run:
            if before is not None:
                kind = Kind.NO_SUCCESS if one.needs == "success" else Kind.NO_RUN
                checked.recoveries.append(Recovery(kind=kind, key=missing_run_key(key), names=(one.dag_id,)))
            missing.pop(key, None)
        elif due.due_at > expected[key]:
            link = links.home() and f"{links.base}/dags/{one.dag_id}"
            needs_success = one.needs == "success"
            checked.findings.append(
                missing_run(one.dag_id, one.by, _iso(due.due_at), key, needs_success=needs_success, link=link)
            )
            missing[key] = Seen(_iso(due.due_at), due.counts_from, is_told=True)
        expected[key] = max(expected[key], due.due_at)
    checked.state = replace(state, expected=expected, missing=missing)


# Other watchdogs, and the store


def _check_peers(
    checked: Checked, now: float, beats: Mapping[str, str] | None, config: WatchdogConfig
) -> None:
    if beats is None:
        return
    peers = dict[str, Seen]()
    for name in config.heartbeat.peers:
        mark, before = beats.get(name, ""), checked.state.peers.get(name)
        if before is None or before.mark != mark:
            if before is not None and before.is_told:
                key = key_of(Kind.PEER_SILENT, name, "")
                checked.recoveries.append(Recovery(kind=Kind.PEER_SILENT, key=key, names=(name,)))
            before = Seen(mark, now)
        elif not before.is_told and now - before.since >= config.heartbeat.peer_silent_after:
            checked.findings.append(silent_peer(name, mark))
            before = replace(before, is_told=True)
        peers[name] = before
    checked.state = replace(checked.state, peers=peers)


def _check_store(checked: Checked, now: float, config: WatchdogConfig, *, is_down: bool) -> None:
    parts = dict(checked.state.parts)
    before = parts.pop("store", None)
    if is_down:
        before = before or Seen(_iso(now), now)
        if not before.is_told and now - before.since >= config.times.silent_after:
            checked.findings.append(store_down(before.mark))
            before = replace(before, is_told=True)
        parts["store"] = before
    elif before is not None and before.is_told:
        key = key_of(Kind.STORE_DOWN, "store", "")
        checked.recoveries.append(Recovery(kind=Kind.STORE_DOWN, key=key, names=()))
    checked.state = replace(checked.state, parts=parts)


def _check_pages(checked: Checked, now: float, config: WatchdogConfig, late_by: float | None) -> None:
    parts = dict(checked.state.parts)
    before = parts.get("pages")
    if late_by is None:
        return
    if late_by >= PAGES_LATE_AFTER:
        before = before or Seen(_iso(now), now)
        if not before.is_told and now - before.since >= config.times.silent_after:
            checked.findings.append(pages_late(before.mark))
            before = replace(before, is_told=True)
        parts["pages"] = before
    else:
        parts.pop("pages", None)
        if before is not None and before.is_told:
            key = key_of(Kind.PAGES_LATE, "pages", "")
            checked.recoveries.append(Recovery(kind=Kind.PAGES_LATE, key=key, names=()))
    checked.state = replace(checked.state, parts=parts)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
