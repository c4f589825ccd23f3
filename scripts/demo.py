"""
Run ``outreach_campaign`` through Airflow against the sandbox, and show what happened.

Everything it makes lives in ``.demo/`` beside the Makefile; everything it starts it stops, also on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
DEMO = PROJECT / ".demo"
LOG = DEMO / "airflow.log"
SPEED = 60

# Two mobiles do not get their SMS, and one landline is busy when it is called.
OUTCOMES = [
    {"number": "+33612345602", "gateway": "smspartner", "outcome": "not_delivered"},
    {"number": "+33612345603", "gateway": "smspartner", "outcome": "not_delivered"},
    {"number": "+33142685308", "outcome": "busy"},
]
GATEWAYS = {
    "smspartner": ("SMS Partner", "smspartner/v1"),
    "voicepartner": ("Voice Partner", "voicepartner/v1"),
    "octopush": ("Octopush", "octopush/v1/public"),
}


def main() -> int:
    """Run the demo; 0 when the DAG succeeded."""
    # SIGINT too: a shell that starts us in the background makes it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    began = time.monotonic()
    shutil.rmtree(DEMO, ignore_errors=True)
    (DEMO / "dags").mkdir(parents=True)
    shutil.copytree(PROJECT / "example_dags", DEMO / "dags", dirs_exist_ok=True)
    try:
        with sandbox() as url:
            say(f"The sandbox listens on {url}, its clock {SPEED} times as fast as ours.")
            call(url, "/_sandbox/outcomes", OUTCOMES)
            set_environment(url)
            with receiver() as public_url:
                say(
                    f"The receiver listens on {public_url}: gateways call it to tell what became of a message."
                )
                os.environ["AIRFLOW__VOICEPARTNER__PUBLIC_URL"] = public_url
                command("callbacks", "register", "--conn-id", "octopush_default")
                say(
                    "Octopush's account was given the receiver's address; the others get one with each batch."
                )
                say("Airflow runs the DAG outreach_campaign (its log: .demo/airflow.log) ...")
                state, reports = run_dag()
            show(state, reports)
            say(f"Took {time.monotonic() - began:.0f} s.")
            return 0 if state == "success" else 1
    except Interrupted:
        say("Interrupted; what was started is stopped.")
        return 130
    except Exception as error:
        say(
            f"The demo failed: {type(error).__name__}: {error}\nLook into .demo/airflow.log and .demo/sandbox.log"
        )
        return 1


class Interrupted(BaseException):
    """
    Somebody stopped the demo.

    Not a KeyboardInterrupt: Python remembers one that passes ``exec`` of a text, as imports of others use it, and then
    ends by SIGINT although it was caught.
    """


def _interrupt(number: int, frame: object) -> None:
    raise Interrupted


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def sandbox() -> Iterator[str]:
    """Start the sandbox as a process of its own on a free port; stop it whatever happens."""
    command = [
        sys.executable,
        "-m",
        "airflow_provider_voicepartner.sandbox",
        "--port",
        "0",
        "--speed",
        str(SPEED),
    ]
    with open(DEMO / "sandbox.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=PROJECT, start_new_session=True
        )
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+?:\d+", process.stdout.readline())
            if found is None:
                raise RuntimeError("the sandbox did not start")
            yield found.group()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """Start the receiver as a process of its own on a free port; stop it whatever happens."""
    with open(DEMO / "receiver.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_voicepartner", "receiver", "--port", "0"],
            stdout=subprocess.PIPE, stderr=log, text=True, cwd=PROJECT, start_new_session=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            found = None
            while found is None and (line := process.stdout.readline()):
                log.write(line)
                found = re.search(r"http://\S+?:\d+", line)
            if found is None:
                raise RuntimeError("the receiver did not start, see .demo/receiver.log")
            yield found.group()
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def command(*words: str) -> None:
    """Run one of the provider's own commands, its output going to a log."""
    with open(DEMO / "commands.log", "a", encoding="utf-8") as log:
        subprocess.run(
            [sys.executable, "-m", "airflow_provider_voicepartner", *words],
            stdout=log, stderr=log, cwd=PROJECT, check=True, timeout=120,
        )  # fmt: skip


def call(url: str, path: str, body: Any = None) -> Any:
    """Ask the sandbox's control API."""
    import requests

    method = "GET" if body is None else "POST"
    answer = requests.request(method, url + path, json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


def set_environment(url: str) -> None:
    """Give Airflow a home of its own, and point the three connections at the sandbox; nothing else is special."""
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(DEMO / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DEMO / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{DEMO / 'voicepartner.db'}",
        "AIRFLOW__VOICEPARTNER__CONTACTS": str(DEMO / "dags" / "data" / "contacts.toml"),
        "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": secrets.token_urlsafe(32),
        "NO_PROXY": "127.0.0.1",
    }
    for gateway, (_, path) in GATEWAYS.items():
        connection = {"conn_type": gateway, "password": "sandbox-key", "host": f"{url}/{path}"}
        if gateway == "octopush":
            connection["login"] = "sandbox@example.org"
        os.environ[f"AIRFLOW_CONN_{gateway.upper()}_DEFAULT"] = json.dumps(connection)


def run_dag() -> tuple[str, dict[str, Any]]:
    """Run the DAG in this process, Airflow's output going to the log; return its state and the tasks' XComs."""
    with open(LOG, "w", encoding="utf-8") as log, _output_to(log):
        from airflow.dag_processing.dagbag import DagBag
        from airflow.utils.db import initdb

        initdb()
        bag = DagBag(dag_folder=str(DEMO / "dags"), bundle_name="dags-folder")
        run = bag.dags["outreach_campaign"].test(
            run_conf={"folder": str(DEMO / "out"), "wait_for_calls": True}
        )
        reports = {ti.task_id: ti.xcom_pull(ti.task_id) for ti in run.get_task_instances()}
    return str(run.state), reports


@contextlib.contextmanager
def _output_to(log: Any) -> Iterator[None]:
    """Send everything that this process and its children print to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def show(state: str, reports: dict[str, Any]) -> None:
    """Print who was reached, by gateway, as Airflow knows it."""
    rows = [("TASK", "GATEWAY", "SENT", "LEFT OUT", "DELIVERED", "FAILED", "COST", "RESULT KNOWN BY")]
    for task_id, title in (
        ("send_sms", "SMS"),
        ("call_mobiles", "call to mobiles"),
        ("call_landlines", "call to landlines"),
        ("drop_voicemail", "voicemail drop"),
    ):
        report = reports.get(task_id)
        if not report:
            rows.append((title, "-", "0", "", "", "", "", "skipped: nobody was left"))
            continue
        counts = report["counts"]
        known = report.get("delivery") or reports.get("wait_for_sms") or {}
        by = "asking and calls" if task_id == "send_sms" else "calls to the receiver"
        delivered = known.get("delivered", 0)
        failed = known.get("expected", 0) - delivered
        left_out = counts["recipients"] - counts["accepted"]
        rows.append(
            (title, GATEWAYS[report["gateway"]][0], str(counts["accepted"]), str(left_out), str(delivered), str(failed),
             f"{report['cost']} {report['currency']}", by)
        )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    say(f"\nDAG run: {state}\n")
    for row in rows:
        say("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    say("\nLook closer:")
    say("  .demo/out/                  the run's files: delivery reports, people who got no SMS and why")
    say("  .demo/airflow.log           what Airflow said; its home and database are in .demo/airflow")
    say("  .demo/voicepartner.db       what the gateways told, by recipient (docs/store.md)")
    say("  example_dags/outreach_campaign.py   the DAG; change the connections and it sends for real")
    say("  make sandbox                a sandbox for your own DAGs, see docs/sandbox.md\n")


if __name__ == "__main__":
    sys.exit(main())
