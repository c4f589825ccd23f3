"""What the watchdog tells people of: a finding has one message, and an alert for each incident that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import quote, urlsplit

from airflow_provider_voicepartner.constants import WATCH_NAMES
from airflow_provider_voicepartner.incidents.keys import incident_key, moment_of
from airflow_provider_voicepartner.incidents.model import Alert, Happened, Occurrence
from airflow_provider_voicepartner.watchdog.airflow_api import FailedRun, FailedTask, ImportProblem

_LOCAL: Final = ("localhost", "127.0.0.1", "0.0.0.0", "::1")


class Kind(Enum):
    """What was found; the value is that of an occurrence, and the beginning of an incident's key."""

    DAG_FAILED = Happened.FAILURE.value
    TASKS_FAILED = "failed tasks"
    SILENT = "silent"
    REFUSED = "refused"
    IMPORT_ERROR = "import error"
    NO_RUN = "no run"
    NO_SUCCESS = "no successful run"
    PEER_SILENT = "watchdog silent"
    STORE_DOWN = "store down"
    PAGES_LATE = "pages late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    Something that people are told with one message.

    :param alerts: at least one; their keys identify the incidents.
    :param names: what it is about: a DAG, then its failed tasks; the parts of Airflow; a file, then the error.
    """

    kind: Kind
    alerts: tuple[Alert, ...]
    names: tuple[str, ...]
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """
    What is over.

    :param key: of its incident.
    :param names: as of the finding.
    """

    kind: Kind
    key: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Links:
    """
    The addresses in messages.

    :param base: of Airflow, as browsers reach it; empty for no links.
    :param version: of its API, which tells whose pages they are.
    """

    base: str
    version: str

    def home(self) -> str:
        """Return Airflow's first page."""
        return self.base if _opens_elsewhere(self.base) else ""

    def run(self, dag_id: str, run_id: str) -> str:
        """Return the page of a run."""
        if not self.home():
            return ""
        dag = f"{self.base}/dags/{quote(dag_id, errors='replace')}"
        run = quote(run_id, safe="", errors="replace")
        return f"{dag}/grid?dag_run_id={run}" if self.version == "v1" else f"{dag}/runs/{run}"


def _opens_elsewhere(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host not in (None, *_LOCAL)


def of_run(run: FailedRun) -> Occurrence:
    """Return the occurrence of a failed run, as a DAG's callback reports it."""
    return Occurrence(
        dag_id=run.dag_id,
        run_id=run.run_id,
        what=Happened.FAILURE.value,
        moment=moment_of(run.began_at),
    )


def of_task(task: FailedTask) -> Occurrence:
    """Return the occurrence of a failed task, as its callback reports it."""
    return Occurrence(
        dag_id=task.dag_id,
        run_id=task.run_id,
        task_id=task.task_id,
        map_index=task.map_index,
        try_number=task.try_number,
        what=Happened.FAILURE.value,
    )


def failed_dag(run: FailedRun, tasks: Sequence[str], links: Links) -> Finding:
    """
    Return what is told of a failed run.

    :param tasks: that failed, by name.
    """
    happened, link = of_run(run), links.run(run.dag_id, run.run_id)
    title = f"DAG {run.dag_id} failed{f': {listed(tasks)}' if tasks else ''}"
    alert = Alert(occurrence=happened, key=incident_key(happened), title=title, link=link)
    return Finding(kind=Kind.DAG_FAILED, alerts=(alert,), names=(run.dag_id, *tasks), link=link)


def failed_tasks(tasks: Sequence[FailedTask], links: Links) -> Finding:
    """
    Return what is told of failed tasks of one run that goes on.

    :param tasks: at least one; of mapped ones the first of each.
    """
    link = links.run(tasks[0].dag_id, tasks[0].run_id)
    alerts = tuple(
        Alert(
            occurrence=of_task(task),
            key=incident_key(of_task(task)),
            title=f"task {task.dag_id}.{task.task_id} failed",
            link=link,
        )
        for task in tasks
    )
    names = (tasks[0].dag_id, *dict.fromkeys(task.task_id for task in tasks))
    return Finding(kind=Kind.TASKS_FAILED, alerts=alerts, names=names, link=link)


def silent_parts(parts: Sequence[tuple[str, str]], airflow: str, links: Links) -> Finding:
    """
    Return what is told of silent parts of Airflow.

    :param parts: at least one name, and its last heartbeat.
    :param airflow: the address of this Airflow, since several may share a store.
    """
    alerts = tuple(
        _alert(Kind.SILENT, f"{name.replace('_', ' ')} is silent", name, mark, airflow)
        for name, mark in parts
    )
    return Finding(kind=Kind.SILENT, alerts=alerts, names=tuple(name for name, _ in parts), link=links.home())


def api_problem(problem: str, mark: str, airflow: str, *, is_refused: bool) -> Finding:
    """
    Return what is told of an API that does not answer, or not to the watchdog.

    :param problem: in words that may be shown.
    :param mark: when it began.
    """
    title = "Airflow's API refuses the watchdog" if is_refused else "Airflow's API is silent"
    alert = _alert(Kind.SILENT, f"{title}: {problem}", "api", mark, airflow)
    kind = Kind.REFUSED if is_refused else Kind.SILENT
    return Finding(kind=kind, alerts=(alert,), names=("api", problem) if is_refused else ("api",))


def broken_file(file: ImportProblem, dag_ids: Sequence[str], airflow: str, links: Links) -> Finding:
    """
    Return what is told of a file that used to work.

    :param dag_ids: that Airflow knows from it.
    """
    # Without the error, which may hold anything: the title is logged.
    title = f"{file.file} cannot be imported any more ({listed(dag_ids)})"
    alert = _alert(Kind.IMPORT_ERROR, title, file.file, file.since, airflow)
    return Finding(
        kind=Kind.IMPORT_ERROR, alerts=(alert,), names=(file.file, file.error, *dag_ids), link=links.home()
    )


def missing_run(dag_id: str, by: str, due: str, key: str, *, needs_success: bool, link: str) -> Finding:
    """
    Return what is told of a run that did not come.

    :param by: the time of day.
    :param due: when it was due, ISO 8601.
    :param key: of the expectation.
    """
    happened = Occurrence(dag_id=dag_id, run_id=key, what=Kind.NO_RUN.value, moment=moment_of(due))
    title = f"no {'successful ' if needs_success else ''}run of DAG {dag_id} by {by}"
    alert = Alert(occurrence=happened, key=missing_run_key(key), title=title, link=link)
    kind = Kind.NO_SUCCESS if needs_success else Kind.NO_RUN
    return Finding(kind=kind, alerts=(alert,), names=(dag_id, by), link=link)


def silent_peer(name: str, mark: str) -> Finding:
    """
    Return what is told of another watchdog.

    :param mark: its last heartbeat.
    """
    alert = _alert(Kind.PEER_SILENT, f"the watchdog {name} is silent", name, mark, "")
    return Finding(kind=Kind.PEER_SILENT, alerts=(alert,), names=(name,))


def store_down(mark: str) -> Finding:
    """
    Return what is told of a store that cannot be reached.

    :param mark: when it began.
    """
    alert = _alert(Kind.STORE_DOWN, "the watchdog cannot reach the store", "store", mark, "")
    return Finding(kind=Kind.STORE_DOWN, alerts=(alert,), names=())


def pages_late(mark: str) -> Finding:
    """
    Return what is told of escalations that do not go on.

    :param mark: when it began.
    """
    alert = _alert(Kind.PAGES_LATE, "a page is late: escalations do not go on", "pages", mark, "")
    return Finding(kind=Kind.PAGES_LATE, alerts=(alert,), names=())


def key_of(kind: Kind, name: str, airflow: str) -> str:
    """Return the key of an incident that is about no DAG."""
    return " ".join(part for part in (kind.value, name, airflow) if part)


def missing_run_key(expectation: str) -> str:
    """Return the key of the incident of a run that did not come."""
    return f"{Kind.NO_RUN.value} {expectation}"


def _alert(kind: Kind, title: str, name: str, mark: str, airflow: str) -> Alert:
    happened = Occurrence(run_id=name, what=kind.value, moment=moment_of(mark) or mark)
    return Alert(occurrence=happened, key=key_of(kind, name, airflow), title=title)


def listed(names: Sequence[str], most: int = WATCH_NAMES) -> str:
    """Return the first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} +{len(names) - most}" if len(names) > most else shown
