"""
The same storm through Alertmanager, Debian's package: alerts posted by as many processes, counted at its webhook.

It answers a client at once and groups later, so its clients wait less than a callback of ours; it has to run beside
Airflow, and a gateway's receiver beside it. ``python -m benchmarks.alertmanager URL FIRST STEP COUNT`` is one client.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.environment import PROJECT

_PACKAGE = "prometheus-alertmanager"
_INSTALLING = 120.0
_STARTING = 20.0
_GROUPING = 40.0
_CONFIGURATION = """
route:
  receiver: phones
  group_by: [dag_id]
  group_wait: 0s
  group_interval: 5s
receivers:
  - name: phones
    webhook_configs:
      - url: {url}
        send_resolved: false
"""


def install(folder: Path) -> list[str] | None:
    """
    Return the command that starts Alertmanager; None where it is not installed and cannot be unpacked either.

    The package reads its templates below /usr/share. Unpacked, it sees its own there, and nothing else does: it gets a
    mount namespace to itself, which needs no rights.
    """
    if found := shutil.which(_PACKAGE):
        return [found]
    folder.mkdir(exist_ok=True)
    root = folder / "root"
    seen = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    seen += ['mount --bind "$0/usr/share" /usr/share && exec "$0/usr/bin/' + _PACKAGE + '" "$@"', str(root)]
    try:
        subprocess.run(["apt-get", "update"], check=False, capture_output=True, timeout=_INSTALLING)
        subprocess.run(
            ["apt-get", "download", _PACKAGE],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=_INSTALLING,
        )
        package = next(folder.glob(f"{_PACKAGE}_*.deb"))
        subprocess.run(["dpkg", "-x", package, root], check=True, capture_output=True)
        subprocess.run([*seen, "--version"], check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError, StopIteration):
        return None
    return seen


@dataclass
class _Webhook:
    """
    What Alertmanager sends on: to whom a phone would ring.

    :param came: when each message came, and how many alerts it names.
    """

    came: list[tuple[float, int]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Listen, and yield the address."""
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                came.append((time.monotonic(), len(body["alerts"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()


def measure(program: list[str], folder: Path, failures: int, processes: int) -> dict[str, float]:
    """
    Post a storm.

    It is told to send the first message of a group at once, not 30 s later, and the next after 5 s, not 5 minutes.

    :returns: ``p99`` of a post in milliseconds, ``messages`` until one names all failures, ``first``: seconds until the
        first of them.
    """
    webhook = _Webhook()
    with webhook.running() as hook, _running(program, folder, hook) as url:
        begun = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.alertmanager", url]
        clients = [
            subprocess.Popen(
                [*command, str(number), str(processes), str(failures)],
                cwd=PROJECT, stdout=subprocess.PIPE, text=True,
            )
            for number in range(processes)
        ]  # fmt: skip
        told = [json.loads(client.communicate(timeout=_GROUPING)[0]) for client in clients]
        while max((named for _, named in webhook.came), default=0) < failures:
            if time.monotonic() > begun + _GROUPING:
                raise RuntimeError("Alertmanager did not name all alerts in time")
            time.sleep(0.05)
    took = sorted(second for answer in told for second in answer["took"])
    posted = min(answer["begun"] for answer in told)
    return {
        "p99": took[int(len(took) * 0.99)] * 1000,
        "messages": float(len(webhook.came)),
        "first": webhook.came[0][0] - posted,
    }


@contextmanager
def _running(program: list[str], folder: Path, hook: str) -> Iterator[str]:
    configuration = folder / "alertmanager.yml"
    configuration.write_text(_CONFIGURATION.format(url=hook), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*program, f"--config.file={configuration}", f"--storage.path={folder / 'alertmanager-data'}",
         f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _await(port)
        yield url
    finally:
        process.terminate()
        process.wait()


def _await(port: int) -> None:
    end = time.monotonic() + _STARTING
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def post(url: str, first: int, step: int, count: int) -> dict[str, Any]:
    """Post the failures of one process, each with a new connection, as tasks that fail do."""
    import requests

    begun, took = time.monotonic(), []
    for index in range(first, count, step):
        labels = {"alertname": "TaskFailed", "dag_id": "etl", "task_id": "load", "map_index": str(index)}
        alert = {"labels": labels, "annotations": {"error": "ValueError: no rows"}}
        at = time.monotonic()
        requests.post(f"{url}/api/v2/alerts", json=[alert], timeout=30).raise_for_status()
        took.append(time.monotonic() - at)
    return {"begun": begun, "took": took}


if __name__ == "__main__":
    address, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(post(address, *map(int, numbers))))
