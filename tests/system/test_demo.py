"""The demo shows what became of every message, and stops what it started, also when it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

PROJECT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.airflow3


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.demo"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=environment,
        start_new_session=True,
    )
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(20)
    assert process.stdout is not None
    process.stdout.close()


def url_in_next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    found = re.search(r"http://\S+?:\d+", process.stdout.readline())
    assert found
    return found.group()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_sandbox_and_no_receiver_behind(
    demo: subprocess.Popen[str], number: signal.Signals
) -> None:
    urls = [f"{url_in_next_line(demo)}/_sandbox", f"{url_in_next_line(demo)}/voicepartner/health"]
    assert [requests.get(url, timeout=10).status_code for url in urls] == [200, 200]
    assert demo.stdout is not None
    assert "Octopush's account" in demo.stdout.readline()
    assert "Airflow runs the DAG" in demo.stdout.readline()
    demo.send_signal(number)
    assert demo.wait(30) == 130
    for url in urls:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=10)


def test_an_interrupt_in_the_middle_of_an_import_is_told_like_any_other(tmp_path: Path) -> None:
    # As `python -m scripts.demo` runs: only with -m does Python remember it.
    (tmp_path / "interrupted.py").write_text("""
import contextlib, signal, sys
from scripts import demo

@contextlib.contextmanager
def sandbox():
    exec("signal.raise_signal(signal.SIGINT)")
    yield ""

demo.sandbox = sandbox
sys.exit(demo.main())
""")
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        timeout=60,
    )
    assert (done.returncode, "Interrupted" in done.stdout) == (130, True)


@pytest.mark.slow
def test_the_demo_shows_what_became_of_the_sms_the_calls_and_the_voicemails(
    demo: subprocess.Popen[str],
) -> None:
    shown, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, shown
    assert "DAG run: success" in shown
    table = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines() if line.startswith("  ")]
    head, *rows = table[:5]
    told = [dict(zip(head, row, strict=True)) for row in rows]
    by_task = {row["TASK"]: (row["SENT"], row["DELIVERED"], row["FAILED"]) for row in told}
    assert by_task == {
        "SMS": ("7", "5", "2"),
        "call to mobiles": ("1", "1", "0"),
        "call to landlines": ("1", "0", "1"),
        "voicemail drop": ("2", "2", "0"),
    }
    assert {row["RESULT KNOWN BY"] for row in told[1:]} == {"calls to the receiver"}
    assert not re.search(r"\+33\d|06\d{8}", shown)  # numbers are in the files alone
