"""
What the watchdog asks Airflow: what failed, what cannot be imported, what ran, and who is alive.

Airflow 3 is asked by its REST API v2, and Airflow 2 by v1.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote

from airflow_provider_voicepartner.constants import LONGEST_QUOTE, MOST_WATCH_PAGES, WATCH_PAGE
from airflow_provider_voicepartner.watchdog.rest import ApiRefusedError, RestClient

log = logging.getLogger(__name__)

PARTS: Final = ("metadatabase", "scheduler", "triggerer", "dag_processor")
"""What Airflow tells the health of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTask:
    """
    A task instance that failed for good.

    :param map_index: -1 for one that is not mapped.
    :param try_number: of the last try.
    :param ended_at: Unix seconds.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int = 0
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRun:
    """
    A DAG run that failed.

    :param began_at: as Airflow writes it; a run that is cleared begins again.
    :param ended_at: Unix seconds.
    """

    dag_id: str
    run_id: str
    began_at: str = ""
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """
    A file that cannot be imported.

    :param file: its bundle and its path, as Airflow names them.
    :param since: when it was seen, as Airflow writes it; the same while it lasts.
    :param error: the last line of the traceback.
    """

    file: str
    since: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """
    What Airflow tells of one of its parts.

    :param is_healthy: as Airflow says; None where there is none of this part.
    :param heartbeat: the last one, as Airflow writes it; empty where there is none.
    """

    is_healthy: bool | None
    heartbeat: str = ""


class AirflowApi(Protocol):
    """What the watchdog asks. Each raises ``ApiSilentError`` or ``ApiRefusedError``."""

    @property
    def version(self) -> str:
        """``v1`` or ``v2``; it is asked for when it is first needed."""

    def health(self) -> Mapping[str, Sign]:
        """Return a sign of each part."""

    def failed_runs(self, since: datetime) -> Sequence[FailedRun]:
        """Return the runs that failed since then, the oldest first."""

    def failed_tasks(self, since: datetime) -> Sequence[FailedTask]:
        """Return the task instances that failed since then."""

    def failed_tasks_of(self, dag_id: str, run_id: str) -> Sequence[FailedTask]:
        """Return the failed task instances of a run, at most a page of them."""

    def import_errors(self) -> Sequence[ImportProblem]:
        """Return the files that cannot be imported."""

    def dags_in(self, files: Collection[str]) -> Mapping[str, Collection[str]]:
        """Return which DAGs Airflow knows from these files, stale ones too; no entry for a file without any."""

    def has_run(self, dag_id: str, since: datetime, *, has_succeeded: bool) -> bool:
        """Say whether a run has started since then, and has succeeded where that is asked for."""


class RestApi:
    """
    Airflow's REST API, of either version.

    :param client: asks.
    :param version: None finds out, with the first answer.
    """

    def __init__(self, client: RestClient, version: Literal["v1", "v2"] | None = None) -> None:
        self._client, self._version = client, version

    @property
    def version(self) -> str:
        """``v1`` or ``v2``; it is asked for when it is first needed."""
        if self._version is None:
            try:
                self._client.get_openly("/api/v2/monitor/health")
                self._version = "v2"
            except ApiRefusedError:
                self._client.get_openly("/api/v1/health")
                self._version = "v1"
        return self._version

    def health(self) -> Mapping[str, Sign]:
        """Return a sign of each part."""
        is_new = self.version == "v2"
        answer = self._client.get_openly("/api/v2/monitor/health" if is_new else "/api/v1/health")
        return {part: _sign(part, _table(answer).get(part)) for part in PARTS}

    def failed_runs(self, since: datetime) -> Sequence[FailedRun]:
        """Return the runs that failed since then, the oldest first."""
        rows = self._failed("dagRuns", "dag_runs", "states", since, order_by="end_date")
        return [
            FailedRun(
                dag_id=_text(row, "dag_id"),
                run_id=_text(row, "dag_run_id"),
                began_at=_text(row, "start_date"),
                ended_at=self._here(row.get("end_date")),
            )
            for row in rows
        ]

    def failed_tasks(self, since: datetime) -> Sequence[FailedTask]:
        """Return the task instances that failed since then."""
        # v1 cannot sort them.
        order_by = "end_date" if self.version == "v2" else None
        rows = self._failed("dagRuns/~/taskInstances", "task_instances", "state", since, order_by=order_by)
        return [self._task(row) for row in rows]

    def failed_tasks_of(self, dag_id: str, run_id: str) -> Sequence[FailedTask]:
        """Return the failed task instances of a run, at most a page of them."""
        path = f"dags/{api_part(dag_id)}/dagRuns/{api_part(run_id)}/taskInstances"
        answer = self._get(path, {"state": "failed", "limit": WATCH_PAGE})
        return [self._task(row) for row in _rows(answer, "task_instances")]

    def import_errors(self) -> Sequence[ImportProblem]:
        """Return the files that cannot be imported."""
        rows = self._pages("import_errors", lambda at: self._get("importErrors", {"limit": WATCH_PAGE, **at}))
        return [
            ImportProblem(
                file=_file(row, "filename"),
                since=_text(row, "timestamp"),
                error=_last_line(_text(row, "stack_trace")),
            )
            for row in rows
        ]

    def dags_in(self, files: Collection[str]) -> Mapping[str, Collection[str]]:
        """Return which DAGs Airflow knows from these files, stale ones too; no entry for a file without any."""
        is_new = self.version == "v2"
        all_of_them = {"exclude_stale": "false"} if is_new else {"only_active": "false"}
        rows = self._pages(
            "dags",
            lambda at: self._get("dags", {"limit": WATCH_PAGE, "order_by": "dag_id", **all_of_them, **at}),
        )
        found: dict[str, list[str]] = {}
        for row in rows:
            for file in dict.fromkeys((_file(row, "relative_fileloc"), _text(row, "fileloc"))):
                if file in files:
                    found.setdefault(file, []).append(_text(row, "dag_id"))
        return found

    def has_run(self, dag_id: str, since: datetime, *, has_succeeded: bool) -> bool:
        """Say whether a run has started since then, and has succeeded where that is asked for."""
        asked: dict[str, Any] = {"start_date_gte": _moment(since), "limit": 1}
        if has_succeeded:
            asked["state"] = "success"
        try:
            return bool(_rows(self._get(f"dags/{api_part(dag_id)}/dagRuns", asked), "dag_runs"))
        except ApiRefusedError as error:
            if error.status == 404:  # there is no such DAG, and so no run of it
                return False
            raise

    def _here(self, text: Any) -> float:
        """Return a time of Airflow's clock, as this machine's has it."""
        seconds = _seconds(text)
        return seconds and seconds + self._client.ahead

    def _task(self, row: Mapping[str, Any]) -> FailedTask:
        return FailedTask(
            dag_id=_text(row, "dag_id"),
            run_id=_text(row, "dag_run_id"),
            task_id=_text(row, "task_id"),
            map_index=_number(row, "map_index", -1),
            try_number=_number(row, "try_number", 0),
            ended_at=self._here(row.get("end_date")),
        )

    def _failed(
        self, path: str, name: str, state: str, since: datetime, *, order_by: str | None
    ) -> Iterator[Mapping[str, Any]]:
        # Times of this machine's clock, as Airflow's has them.
        asked: dict[str, Any] = {"end_date_gte": _moment(since - timedelta(seconds=self._client.ahead))}
        if order_by:
            asked["order_by"] = order_by
        if self.version == "v2":
            asked |= {"state": "failed", "limit": WATCH_PAGE}
            return self._pages(name, lambda at: self._get(f"dags/~/{path}", {**asked, **at}))
        asked |= {state: ["failed"], "page_limit": WATCH_PAGE}
        return self._pages(
            name,
            lambda at: self._client.post(
                f"/api/v1/dags/~/{path}/list", {**asked, "page_offset": at["offset"]}, with_token=False
            ),
        )

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Any:
        version = self.version
        return self._client.get(f"/api/{version}/{path}", parameters, with_token=version == "v2")

    def _pages(self, name: str, ask: Callable[[dict[str, int]], Any]) -> Iterator[Mapping[str, Any]]:
        offset = 0
        for _ in range(MOST_WATCH_PAGES):
            answer = ask({"offset": offset})
            rows = _rows(answer, name)
            yield from rows
            offset += len(rows)
            if not rows or offset >= _count(answer):
                return
        log.warning("Airflow's API has more than %d %s; the rest is not looked at", offset, name)


def _table(answer: Any) -> Mapping[str, Any]:
    if isinstance(answer, Mapping):
        return answer
    raise ApiRefusedError("Airflow's API answers something else than it documents; check url", status=200)


def _rows(answer: Any, name: str) -> Sequence[Mapping[str, Any]]:
    rows = _table(answer).get(name)
    return [_table(row) for row in rows] if isinstance(rows, list) else _rows_missing(name)


def _rows_missing(name: str) -> Sequence[Mapping[str, Any]]:
    raise ApiRefusedError(f"Airflow's API answers without {name}; check url and api", status=200)


def _count(answer: Any) -> int:
    count = _table(answer).get("total_entries")
    return count if type(count) is int else 0


def _sign(part: str, told: Any) -> Sign:
    told = told if isinstance(told, Mapping) else {}
    status = told.get("status")
    return Sign(
        is_healthy=None if status is None else status == "healthy",
        heartbeat=_text(told, f"latest_{part}_heartbeat"),
    )


def _file(row: Mapping[str, Any], name: str) -> str:
    """Return a path with its bundle, which Airflow 2 has not."""
    bundle = _text(row, "bundle_name")
    return f"{bundle}:{_text(row, name)}" if bundle else _text(row, name)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    # JSON may hold half a character, which no address and no database takes.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _number(row: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = row.get(name)
    return value if type(value) is int else otherwise


def _seconds(text: Any) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _last_line(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[-1][:LONGEST_QUOTE] if lines else ""


def api_part(text: str) -> str:
    """Return one part of a path; dots alone would lead elsewhere."""
    return quote(text, safe="").replace(".", "%2E") if set(text) <= {"."} else quote(text, safe="")
