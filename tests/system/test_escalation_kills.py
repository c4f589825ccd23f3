"""
SIGKILL of a worker, the triggerer, the API server and the watchdog at 50 drawn moments of escalations.

Each kill has an incident of its own, and each incident is judged by itself: every step is done once, none is lost, and
all are in their order. Moments follow from the seed, the process and the number of the kill.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from airflow_provider_voicepartner.contacts.policy import By, Policy, Step
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.pages import PageStore
from airflow_provider_voicepartner.sandbox import running_sandbox
from airflow_provider_voicepartner.sandbox.faults import Fault
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from tests.conftest import KEYS, LOGIN
from tests.support.escalations import incident_row, open_incident, page_rows
from tests.support.standalone import LIMIT, Airflow, Parts, environment, free_port, running_parts, until

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

SEED = 1
DAG = "runs_escalations"
KILLS = {"worker": 13, "triggerer": 13, "api-server": 12, "watchdog": 12}
PEOPLE = {
    "anne": "+33612347001",
    "bruno": "+33612347002",
    "chloe": "+33612347003",
    "boss": "+33612347004",
}
WATCHER = "+33612347099"
"""Who hears of what the watchdog finds: nobody whom a step pages."""
WAIT = 4.0
"""Seconds of a step; far shorter than users may write."""
POLICY = Policy(
    name="killed",
    steps=tuple(Step((name,), By.SMS, WAIT) for name in ("anne", "bruno", "chloe")),
    sms="smspartner_default",
)
LAST_MOMENT = 3 * WAIT
"""Seconds after the opening within which a kill is drawn: no escalation is over by then."""
ANSWERS_AFTER = 0.5
"""Seconds that the gateway takes to answer a send that it took."""
AMID_PAGES = ("worker", "api-server", "watchdog")
"""Half of their kills are drawn within the time in which a page is on its way."""
MOST_MISSES = 5
CONFIG = """
[airflow]
url = "{url}"
[tell]
conn_id = "smspartner_default"
to = "{to}"
[times]
silent_after = 600.0
"""


@dataclass(frozen=True)
class Trial:
    """
    A kill that was in time.

    :param what: the process, the seed, the number and the moment; names it in messages.
    :param title: of its incident, which no other one has.
    """

    what: str
    incident: int
    title: str


@dataclass
class Scene:
    """An Airflow in parts, its gateways, and a store whose escalations one kind of runner runs."""

    parts: Parts
    airflow: Airflow
    sandbox: Any
    store: Store
    watchdog: Parts | None = None
    trials: list[Trial] = field(default_factory=list)

    def is_over(self, incident: int) -> bool:
        """Say whether all steps of an incident were done."""
        return incident_row(self.store, incident).due_at is None

    def has_page_on_its_way(self) -> bool:
        """Say whether somebody has claimed a page, and not said what became of it, for less than 2 s."""
        with self.store.read() as connection:
            now = self.store.now(connection)
        return any(row.phase == "claimed" and now - row.claimed_at < 2.0 for row in page_rows(self.store))

    def goes_on_since(self, moment: float) -> bool:
        """
        Say whether a step was done since a moment, and none is late: a kill must not meet the last one's repair.

        :param moment: Unix seconds; the store's clock is this machine's.
        """
        pages = PageStore(self.store, new_reference=new_reference)
        is_over = pages.next_due() is None
        return is_over or (
            not pages.late_by() and any(row.claimed_at > moment for row in page_rows(self.store))
        )

    def kill(self, process: str) -> None:
        """Kill a process, and start it again as a service manager does; Airflow starts its workers itself."""
        if process == "worker":
            kill_worker(self.parts.running["scheduler"].pid, self.store)
            return
        parts = self.parts if self.watchdog is None else self.watchdog
        log = parts.home / f"{process}.log"
        starts = log.read_bytes().count(b"Watching")
        parts.kill(process)
        killed = time.time()
        start(parts, process)
        is_back: dict[str, Callable[[], bool]] = {
            "triggerer": lambda: self.triggerer_heartbeat() > killed,
            "api-server": self.airflow.is_healthy,
            "watchdog": lambda: log.read_bytes().count(b"Watching") > starts,
        }
        until(is_back[process], LIMIT, f"{process} did not come back")

    def triggerer_heartbeat(self) -> float:
        """Return when the triggerer last gave a sign of life, in Unix seconds."""
        told = self.airflow.get("monitor/health").get("triggerer") or {}
        last = told.get("latest_triggerer_heartbeat")
        return datetime.fromisoformat(last).timestamp() if last else 0.0

    def is_lost(self, trial: Trial) -> bool:
        """Say whether somebody was not sent a page of an incident, as where its sender died before it left."""
        return {person for person, text in self.sent() if trial.title in text} != set(PEOPLE)

    def sent(self) -> list[tuple[str, str]]:
        """Return the people whom the gateway was asked to message and the texts, the oldest first."""
        names = {number.lstrip("+"): name for name, number in PEOPLE.items()}
        with self.sandbox.world.lock:
            campaigns = list(self.sandbox.world.campaigns["smspartner"].values())
        return [
            (names.get(line.number.lstrip("+"), ""), campaign.text or "")
            for campaign in campaigns
            for line in campaign.lines
        ]


def start(parts: Parts, process: str) -> None:
    """Start a process of an Airflow, or the watchdog."""
    command = [sys.executable, "-m", "airflow_provider_voicepartner", "watchdog", "--config"]
    parts.start(process, *([*command, str(parts.home / "watchdog.toml")] if process == "watchdog" else ()))


def busy_worker(scheduler: int) -> psutil.Process | None:
    """Return a worker that runs a task."""
    for process in psutil.Process(scheduler).children():
        if is_busy(process):
            return process
    return None


def is_busy(process: psutil.Process) -> bool:
    try:
        title = " ".join(process.cmdline()).strip()
    except psutil.Error:
        return False
    return title.startswith("airflow worker -- LocalExecutor") and not title.endswith("<idle>")


def kill_worker(scheduler: int, store: Store) -> None:
    """Kill the worker that runs a task, or the next one, and what it started, as the end of its machine does."""
    end = time.monotonic() + LIMIT
    while True:
        assert time.monotonic() < end, f"no worker runs a task: {page_rows(store)[-5:]}"
        worker = busy_worker(scheduler)
        if worker is None:
            time.sleep(0.02)
            continue
        try:
            worker.suspend()
            # One that is idle may hold the lock of the executor's queue, and Airflow would wait for it for ever.
            if is_busy(worker):
                for process in [worker, *worker.children(recursive=True)]:
                    process.kill()
                return
            worker.resume()
        except psutil.NoSuchProcess:
            continue


def active_runs(airflow: Airflow) -> list[str]:
    """Return the runs of the DAG that are not over."""
    found = airflow.get(f"dags/{DAG}/dagRuns?state=running&state=queued").get("dag_runs", [])
    return [str(run["dag_run_id"]) for run in found]


def lost_runs(airflow: Airflow, scheduler: int) -> set[str]:
    """Return runs whose task is queued while no worker works."""
    runs = {run for run in active_runs(airflow) if airflow.states(DAG, run) == {"page": "queued"}}
    return set() if busy_worker(scheduler) else runs


def end_lost_runs(airflow: Airflow, scheduler: int) -> None:
    """End runs whose worker died before their task began, as a person does: the executor forgets them for ever."""
    if lost := lost_runs(airflow, scheduler):
        time.sleep(3.0)  # what is taken within that time is not lost
        for run in lost & lost_runs(airflow, scheduler):
            airflow.fail(DAG, run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Parts, Airflow, Any]]:
    """Return an Airflow in parts for all kills, and the sandbox."""
    home, outside = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("outside")
    (home / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "standalone" / "runs_escalations.py", home / "dags")
    contacts = {
        "last_resort": "boss",
        "people": {name: {"phone": number, "language": "en"} for name, number in PEOPLE.items()},
    }
    (outside / "contacts.json").write_text(json.dumps(contacts), encoding="utf-8")
    port = free_port()
    keys = {name: {"api_key": key} for name, key in KEYS.items()}
    keys["octopush"]["api_login"] = LOGIN
    with running_sandbox(port=0, seed=1, settings=keys) as sandbox:
        sandbox.world.faults.add(Fault(kind="slow", times=None, path="send", seconds=ANSWERS_AFTER))
        env = environment(home, port, sandbox) | {
            "AIRFLOW__VOICEPARTNER__CONTACTS": str(outside / "contacts.json"),
            # As little as Airflow takes, so that each death is noticed soon.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
        }
        with running_parts(home, port, env) as (parts, airflow):
            until(lambda: airflow.get(f"dags/{DAG}").get("dag_id"), LIMIT, "the DAG was not found")
            yield parts, airflow, sandbox


@contextmanager
def scene_of(process: str, whole: tuple[Parts, Airflow, Any], home: Path) -> Iterator[Scene]:
    """Give the place in which a process is killed; the watchdog runs the escalations of a store of its own."""
    parts, airflow, sandbox = whole
    if process != "watchdog":
        end_lost_runs(airflow, parts.running["scheduler"].pid)
        with closing(open_store(parts.env["AIRFLOW__VOICEPARTNER__STORE_URL"])) as store:
            yield Scene(parts, airflow, sandbox, store)
        return
    url = f"sqlite:///{home / 'watched.db'}"
    (home / "watchdog.toml").write_text(CONFIG.format(url=airflow.url, to=WATCHER), encoding="utf-8")
    watchdog = Parts(home, {**parts.env, "AIRFLOW__VOICEPARTNER__STORE_URL": url})
    with closing(open_store(url)) as store:
        start(watchdog, process)
        try:
            log = home / "watchdog.log"
            until(lambda: b"Watching" in log.read_bytes(), LIMIT, "the watchdog did not start")
            yield Scene(parts, airflow, sandbox, store, watchdog)
        finally:
            watchdog.kill(process)


def kill_once(scene: Scene, process: str, number: int) -> bool:
    """Open an incident and kill a process at a drawn moment; False where its last step was over by then."""
    draw = Random(f"{SEED} {process} {number}")
    moment, is_amid_page = draw.uniform(0.0, LAST_MOMENT), process in AMID_PAGES and draw.random() < 0.5
    more = draw.uniform(0.0, ANSWERS_AFTER if is_amid_page else 2.0)
    what = f"{process}, seed {SEED}, kill {number} after {moment:.1f} s" + (
        f" and {more:.2f} s into a page" if is_amid_page else ""
    )
    title = f"Escalation {number} of {process} broke"
    if process == "worker":
        # The next one may die as early, and only two runs may be active.
        end_lost_runs(scene.airflow, scene.parts.running["scheduler"].pid)
    incident = open_incident(scene.store, policy=None, title=title)
    scene.trials.append(Trial(what, incident, title))
    pages = PageStore(scene.store, new_reference=new_reference)
    assert pages.start(incident, POLICY)
    time.sleep(moment)
    if is_amid_page:
        end = time.monotonic() + LIMIT
        while not scene.has_page_on_its_way() and not scene.is_over(incident):
            assert time.monotonic() < end, f"{what}: no page leaves"
            time.sleep(0.02)
        time.sleep(more)
    elif process == "worker":
        until(
            lambda: busy_worker(scene.parts.running["scheduler"].pid), LIMIT, f"{what}: no worker runs a task"
        )
        time.sleep(more)
    is_in_time = not scene.is_over(incident)
    killed = time.time()
    scene.kill(process)
    until(
        lambda: scene.goes_on_since(killed),
        LIMIT,
        f"{what}: no runner goes on: {page_rows(scene.store)[-9:]}",
    )
    return is_in_time


def problems_of(trial: Trial, scene: Scene) -> list[str]:
    """Judge one incident: what its pages say, and what the gateway was asked to send."""
    rows = page_rows(scene.store, trial.incident)
    got = [person for person, text in scene.sent() if trial.title in text]
    steps = list(PEOPLE)
    found = []
    # The last resort is asked again where it certainly was not reached.
    done = [
        row
        for at, row in enumerate(rows)
        if row.phase != "not_sent" or row.step < len(steps) - 1 or at == len(rows) - 1
    ]
    if [(row.round, row.step, row.person) for row in done] != [
        (0, at, name) for at, name in enumerate(steps)
    ]:
        found.append("a step is lost, is done twice or out of its order")
    if len(set(got)) != len(got):
        found.append("somebody is paged twice")
    if got != sorted(got, key=steps.index):
        found.append("the pages arrived out of their order")
    for row in done:
        if row.phase == "sent" and row.person not in got:
            found.append(f"{row.person} was not sent what is said to be sent")
        if row.phase == "not_sent" and row.person in got:
            found.append(f"{row.person} was sent what is said not to be")
        # What is in doubt and did not arrive is made good by the step that follows.
        following = steps[row.step + 1 :]
        if row.person not in got and following and not set(following) & set(got):
            found.append(f"nobody was paged after {row.person}, who was not")
    where = [(row.person, row.phase) for row in rows]
    return [f"{trial.what}: {one}: {where}, arrived: {got}" for one in found]


@pytest.mark.parametrize("process", KILLS)
def test_a_killed_process_pages_nobody_twice_and_loses_no_step(
    process: str, whole: tuple[Parts, Airflow, Any], tmp_path: Path
) -> None:
    begun = time.monotonic()
    with scene_of(process, whole, tmp_path) as scene:
        kills = 0
        for number in range(KILLS[process] + MOST_MISSES):
            kills += kill_once(scene, process, number)
            if kills == KILLS[process]:
                break
        assert kills == KILLS[process], "too many kills came after the end of their escalation"
        for trial in scene.trials:
            until(
                lambda trial=trial: scene.is_over(trial.incident),
                LIMIT,
                f"{trial.what}: the escalation stands still: {page_rows(scene.store, trial.incident)}",
            )
        problems = [problem for trial in scene.trials for problem in problems_of(trial, scene)]
        assert not problems, "\n".join(problems)
        titles = [trial.title for trial in scene.trials]
        theirs = [text for person, text in scene.sent() if person and f" of {process} broke" in text]
        assert all(any(title in text for title in titles) for text in theirs)
        phases = [row.phase for trial in scene.trials for row in page_rows(scene.store, trial.incident)]
        lost = sum(scene.is_lost(trial) for trial in scene.trials)
    counts = {phase: phases.count(phase) for phase in sorted(set(phases))}
    print(
        f"\n{process}: {kills} kills in {time.monotonic() - begun:.0f} s, pages: {counts}, not arrived: {lost}"
    )


def test_another_run_goes_on_where_a_worker_dies_before_its_task_has_begun(
    whole: tuple[Parts, Airflow, Any], tmp_path: Path
) -> None:
    parts, airflow, _ = whole
    scheduler = parts.running["scheduler"].pid
    with scene_of("worker", whole, tmp_path) as scene:
        until(lambda: not active_runs(airflow), LIMIT, "a run goes on")
        until(lambda: busy_worker(scheduler) is None, LIMIT, "a worker works on")
        title = "A worker that never began broke it"
        incident = open_incident(scene.store, policy=None, title=title)
        # Without the API server no task begins: its worker dies while Airflow has it queued, and it stays so.
        parts.kill("api-server")
        assert PageStore(scene.store, new_reference=new_reference).start(incident, POLICY)
        kill_worker(scheduler, scene.store)
        start(parts, "api-server")
        until(airflow.is_healthy, LIMIT, "the API server did not come back")
        lost = min(active_runs(airflow))  # the first one: its name begins with when it was made
        assert airflow.states(DAG, lost) == {"page": "queued"}
        until(lambda: scene.is_over(incident), LIMIT, f"nobody goes on: {page_rows(scene.store, incident)}")
        assert not problems_of(Trial("a worker before its task", incident, title), scene)
        assert airflow.states(DAG, lost) == {"page": "queued"}
