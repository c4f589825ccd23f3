"""The watchdog's clock and Airflow's may be far apart: every failure is found all the same, and has its grace."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_voicepartner.watchdog.airflow_api import RestApi
from airflow_provider_voicepartner.watchdog.config import AirflowAccess, Expectation, Secrets
from airflow_provider_voicepartner.watchdog.rest import RestClient

FAILED_AGO = 5.0


class Airflow(BaseHTTPRequestHandler):
    """An API that has one failed run, and a clock."""

    ahead = 0.0
    """Of the watchdog's clock, in seconds."""
    has_date = True

    def date_time_string(self, timestamp: Any = None) -> str:
        """Return what stands in the header."""
        return super().date_time_string(time.time() - type(self).ahead) if self.has_date else "yesterday"

    def do_GET(self) -> None:
        """List the runs that ended since then."""
        now = datetime.now(UTC) - timedelta(seconds=type(self).ahead)
        ended = now - timedelta(seconds=FAILED_AGO)
        since = parse_qs(urlsplit(self.path).query).get("end_date_gte", ["2000-01-01T00:00:00Z"])[0]
        found = ended >= datetime.fromisoformat(since.replace("Z", "+00:00"))
        run = {"dag_id": "etl", "dag_run_id": "r1", "end_date": ended.isoformat(), "state": "failed"}
        body = json.dumps({"dag_runs": [run] if found else [], "total_entries": int(found)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


@pytest.fixture
def api() -> Iterator[Callable[..., RestApi]]:
    """Return what connects to an Airflow whose clock is behind."""
    servers = []

    def connect(ahead: float, *, has_date: bool = True) -> RestApi:
        handler = type("Handler", (Airflow,), {"ahead": ahead, "has_date": has_date})
        server = HTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        access = AirflowAccess(url=f"http://127.0.0.1:{server.server_port}", token_env="X")
        return RestApi(RestClient(access, Secrets(token="t")), "v2")

    yield connect
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("ahead", [0.0, 120.0, -120.0, 3_600.0, -3_600.0, 864_000.0])
def test_a_failure_is_found_and_has_just_been(
    api: Callable[..., RestApi], ahead: float, caplog: pytest.LogCaptureFixture
) -> None:
    watched = api(ahead)
    watched.health()
    (run,) = watched.failed_runs(datetime.now(UTC) - timedelta(seconds=600))
    assert abs(time.time() - FAILED_AGO - run.ended_at) < 7
    assert watched.failed_runs(datetime.now(UTC) + timedelta(seconds=60)) == []
    assert caplog.text.count("set both by NTP") == (abs(ahead) > 60)


def test_a_date_that_cannot_be_read_is_none(api: Callable[..., RestApi]) -> None:
    watched = api(120.0, has_date=False)
    watched.health()
    assert len(watched.failed_runs(datetime.now(UTC) - timedelta(seconds=600))) == 1


@pytest.mark.parametrize(
    ("zone", "day", "by", "since"),
    [
        ("America/New_York", "2026-03-08", "03:00", "02:30"),
        ("Europe/Paris", "2026-03-29", "03:00", "02:30"),
        ("Europe/Paris", "2026-03-29", "02:45", "02:15"),
        ("Europe/Paris", "2026-10-25", "02:45", "02:15"),
        ("Europe/Paris", "2026-10-25", "03:00", "02:30"),
        ("Australia/Lord_Howe", "2026-10-04", "02:30", "02:10"),
    ],
)
def test_on_the_night_of_another_hour_runs_count_before_they_are_due(
    zone: str, day: str, by: str, since: str
) -> None:
    expected = Expectation(dag_id="sales", by=by, since=since, time_zone=zone)
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    found, moment = [], begin
    while moment < begin + timedelta(days=3):
        moment += timedelta(minutes=5)
        due = expected.due_between(found[-1][0] if found else begin, moment)
        found += [] if due is None else [due]
    assert len(found) == 3
    for at, counts_from in found:
        assert timedelta(minutes=15) <= at - counts_from <= timedelta(hours=2)
