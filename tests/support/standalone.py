"""A whole Airflow in a throw-away home, by its REST API; what listens to its metrics, spans and mails."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import requests

from tests.conftest import KEYS, LOGIN

PROJECT = Path(__file__).resolve().parent.parent.parent
LIMIT = 240.0
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")


def free_port() -> int:
    """Return a port of loopback that nobody listens to."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def until(what: Callable[[], Any], seconds: float, why: str) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, why
        time.sleep(0.5)
    return found


class Airflow:
    """A running Airflow, by its REST API."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self._session = requests.Session()
        self._session.trust_env = False

    def log_in(self) -> None:
        """Get a token."""
        token = self._session.get(f"{self.url}/auth/token", timeout=10).json()["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def is_healthy(self) -> bool:
        """Say whether all of its parts are at work."""
        try:
            told = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (requests.RequestException, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all((told.get(part) or {}).get("status") == "healthy" for part in parts)

    def get(self, path: str) -> Any:
        """Return the JSON of an answer; an empty dict of one that is an error, or comes too late."""
        try:
            answer = self._session.get(f"{self.url}/api/v2/{path}", timeout=20)
        except requests.RequestException:
            return {}
        return answer.json() if answer.ok else {}

    def post(self, path: str, body: Any) -> Any:
        """Post JSON, and return the answer's."""
        answer = self._session.post(f"{self.url}/api/v2/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def states(self, dag: str, run: str) -> dict[str, str]:
        """Return the states of a run's tasks."""
        told = self.get(f"dags/{dag}/dagRuns/{run}/taskInstances").get("task_instances", [])
        return {ti["task_id"]: ti["state"] for ti in told}

    def run(self, dag: str, **conf: Any) -> str:
        """Start a run, once the DAG was found; of a busy SQLite, which Airflow answers with 500, it is asked again."""
        until(lambda: self.get(f"dags/{dag}").get("dag_id"), LIMIT, f"the DAG {dag} was not found")
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"logical_date": None, "conf": conf, "dag_run_id": run_id}

        def is_there() -> bool:
            answer = self._session.post(f"{self.url}/api/v2/dags/{dag}/dagRuns", json=body, timeout=60)
            return answer.ok or answer.status_code == HTTPStatus.CONFLICT

        until(is_there, LIMIT, f"{dag} could not be started")
        return run_id

    def fail(self, dag: str, run: str) -> None:
        """Mark a run as failed, as a person does."""
        url = f"{self.url}/api/v2/dags/{dag}/dagRuns/{run}"
        self._session.patch(url, json={"state": "failed"}, timeout=60).raise_for_status()

    def ended(self, dag: str, run: str) -> str:
        """Wait for the end of a run, and return its state."""

        def state() -> Any:
            found = self.get(f"dags/{dag}/dagRuns/{run}").get("state")
            return found if found in ("success", "failed") else None

        found: str = until(state, LIMIT, f"the run of {dag} did not end")
        return found


def sent(sandbox: Any) -> Mapping[str, Sequence[str]]:
    """Return the texts that each number was sent or called with."""
    found: dict[str, list[str]] = defaultdict(list)
    for request in list(sandbox.world.requests):
        body = json.loads(request.body or b"{}") if "send" in request.path else {}
        for number in str(body.get("phoneNumbers", "")).split(","):
            found[number].append(body.get("message") or body.get("text", ""))
    return found


@contextlib.contextmanager
def held(sandbox: Any) -> Iterator[None]:
    """Hold the sandbox's clock for a block: nothing that was sent arrives, and nobody answers."""
    world = sandbox.world

    def set_speed(speed: float) -> None:
        with world.lock:
            world.clock.set_speed(speed)
            world.changed.notify_all()

    speed = world.clock.speed
    set_speed(0.0)
    try:
        yield
    finally:
        set_speed(speed)


@contextlib.contextmanager
def airflow_command(command: str, home: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Run ``airflow standalone``, or another command, in a session of its own, and end that whole session."""
    with (home / f"{command}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "airflow"), command],
            cwd=home, env=env, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)


def environment(home: Path, port: int, sandbox: Any) -> dict[str, str]:
    """Return the environment of an Airflow whose gateways are the sandbox."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    url = f"http://127.0.0.1:{port}"
    connections = {
        name: {"conn_type": name, "password": key, "login": LOGIN, "host": sandbox.gateway_url(name)}
        for name, key in KEYS.items()
    }
    return clean | {
        # It starts its parts by name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{home / 'voicepartner.db'}",
        "AIRFLOW__VOICEPARTNER__PUBLIC_URL": url,
        **{f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(value) for name, value in connections.items()},
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), *_entry_points(home)]),
    }


def _entry_points(home: Path) -> list[str]:
    """Return a folder with the cluster policy's entry point, where the environment was set up before there was one."""
    group, module = "airflow.policy", "airflow_provider_voicepartner.notifications.all_dags"
    if any(point.value == module for point in entry_points(group=group)):
        return []
    folder = home / "entry points"
    info = folder / "voicepartner_policy-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: voicepartner-policy\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nvoicepartner_alerts = {module}\n")
    return [str(folder)]


@dataclass
class Telemetry:
    """
    What Airflow reports of itself.

    :param packets: of DogStatsD.
    :param exports: of OpenTelemetry, the path of each and its bytes.
    :param mails: what its mail server was given.
    """

    statsd_port: int = 0
    smtp_port: int = 0
    otlp_url: str = ""
    packets: list[bytes] = field(default_factory=list, repr=False)
    exports: list[tuple[str, bytes]] = field(default_factory=list, repr=False)
    mails: list[str] = field(default_factory=list, repr=False)

    def all(self) -> bytes:
        """Return everything that came."""
        return b"\n".join([*self.packets, *(body for _, body in self.exports)])


class _MailServer(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to hand a mail over."""

    def handle(self) -> None:
        """Take the mails of one connection."""
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                mail = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.mails.append(mail.decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@contextlib.contextmanager
def telemetry() -> Iterator[Telemetry]:
    """Listen to DogStatsD on UDP, to OpenTelemetry on HTTP, and to mails."""
    found = Telemetry()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress}
            found.exports.append(
                (self.path, unpack.get(self.headers.get("Content-Encoding", ""), bytes)(body))
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd,
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as otlp,
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), _MailServer) as smtp,
    ):
        smtp.mails = found.mails  # type: ignore[attr-defined]
        smtp.daemon_threads = True
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(0.5)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    found.packets.append(statsd.recv(65_536))

        threads = [threading.Thread(target=each) for each in (listen, otlp.serve_forever, smtp.serve_forever)]
        for thread in threads:
            thread.start()
        found.statsd_port, found.smtp_port = statsd.getsockname()[1], smtp.server_address[1]
        found.otlp_url = f"http://127.0.0.1:{otlp.server_address[1]}"
        try:
            yield found
        finally:
            ended.set()
            otlp.shutdown()
            smtp.shutdown()
            for thread in threads:
                thread.join(5)


def telemetry_environment(found: Telemetry, metrics: str) -> dict[str, str]:
    """
    Return the environment of an Airflow that reports spans by OpenTelemetry, and metrics as it is told.

    :param metrics: ``dogstatsd`` or ``opentelemetry``; Airflow takes one.
    """
    common = {
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": found.otlp_url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        "OTEL_SERVICE_NAME": "airflow",
    }
    if metrics == "opentelemetry":
        return common | {"AIRFLOW__METRICS__OTEL_ON": "True"}
    return common | {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_DATADOG_ENABLED": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(found.statsd_port),
    }


@dataclass(frozen=True)
class Running:
    """A whole Airflow with its gateways, and what it reports of itself."""

    airflow: Airflow
    home: Path
    env: Mapping[str, str] = field(repr=False)
    sandbox: Any
    telemetry: Telemetry
    metrics: str


@contextlib.contextmanager
def running_airflow(
    home: Path, metrics: str, *, dags: Sequence[Path], env: Mapping[str, str], **settings: Any
) -> Iterator[Running]:
    """
    Run a whole Airflow for a block, until it is healthy and logged in to.

    :param home: empty.
    :param metrics: as for :func:`telemetry_environment`.
    :param dags: files for its DAG folder.
    :param env: more of its environment.
    :param settings: of the sandbox.
    """
    from airflow_provider_voicepartner.sandbox import running_sandbox

    (home / "dags").mkdir()
    for path in dags:
        shutil.copy(path, home / "dags")
    port = free_port()
    keys = {name: {"api_key": key} for name, key in KEYS.items()}
    keys["octopush"]["api_login"] = LOGIN
    with running_sandbox(port=0, seed=1, settings=keys, **settings) as sandbox, telemetry() as told:
        mail = {"disable_ssl": True, "disable_tls": True}
        smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": told.smtp_port, "extra": mail}
        whole = environment(home, port, sandbox) | telemetry_environment(told, metrics) | dict(env)
        whole["AIRFLOW_CONN_SMTP_DEFAULT"] = json.dumps(smtp)
        with airflow_command("standalone", home, whole):
            airflow = Airflow(f"http://127.0.0.1:{port}", home)
            until(airflow.is_healthy, LIMIT, "Airflow did not become healthy")
            airflow.log_in()
            yield Running(airflow, home, whole, sandbox, told, metrics)


@dataclass
class Parts:
    """The processes of an Airflow, each in a session of its own."""

    home: Path
    env: Mapping[str, str] = field(repr=False)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start a part."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command or [str(Path(sys.executable).parent / "airflow"), name],
                cwd=self.home, env=self.env, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kill a part, and what it started."""
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


@contextlib.contextmanager
def running_parts(home: Path, port: int, env: Mapping[str, str]) -> Iterator[tuple[Parts, Airflow]]:
    """
    Run the parts of an Airflow for a block, until it is healthy and logged in to, so that each can be killed by itself.

    :param port: of its API server.
    :param env: of :func:`environment`, and more.
    """
    parts = Parts(home, env)
    migrate = [str(Path(sys.executable).parent / "airflow"), "db", "migrate"]
    subprocess.run(migrate, cwd=home, env=env, check=True, capture_output=True, timeout=300)
    try:
        for name in PARTS:
            parts.start(name)
        airflow = Airflow(f"http://127.0.0.1:{port}", home)
        until(airflow.is_healthy, LIMIT, "Airflow did not become healthy")
        airflow.log_in()
        yield parts, airflow
    finally:
        for name in list(parts.running):
            parts.kill(name)


@contextlib.contextmanager
def running_watchdog(running: Running, *, to: str) -> Iterator[None]:
    """Run the watchdog for a block, as people run it."""
    config = running.home / "watchdog.toml"
    config.write_text(
        f'[airflow]\nurl = "{running.airflow.url}"\n[tell]\nconn_id = "smspartner_default"\nto = "{to}"\n'
        "[times]\nsilent_after = 120.0\n"
    )
    with (running.home / "watchdog.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_voicepartner", "watchdog", "--config", str(config)],
            env=dict(running.env), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            has_begun = b"answers to questions"
            until(
                lambda: any(has_begun in path.read_bytes() for path in running.home.glob("voicepartner.db*")),
                LIMIT,
                "the watchdog reads no answers",
            )
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def written_by(home: Path, *, but_for: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """
    Give everything that an Airflow wrote, its databases as SQL, but for its DAG files.

    :param but_for: beginnings of names of files.
    """
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home)
        if not path.is_file() or name.parts[0] == "dags" or path.name.startswith(tuple(but_for)):
            continue
        yield str(name), path.read_bytes()
        if path.suffix == ".db":
            # A value may lie on two pages of the file.
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                yield f"{name} as SQL", "\n".join(database.iterdump()).encode()
