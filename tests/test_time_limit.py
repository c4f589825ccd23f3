"""A test that waits for ever fails, and the run goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

HANGS = """
import threading
import pytest

def test_hangs():
    threading.Event().wait()

@pytest.mark.timeout(60)
def test_may_take_longer():
    threading.Event().wait(1.5)
"""


def test_a_broken_wait_fails_and_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(HANGS, encoding="utf-8")
    options = ("-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(tmp_path), "-o", "timeout=1")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr


def test_every_test_has_a_limit_and_slow_ones_a_longer(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.pluginmanager.hasplugin("timeout")
    assert 0 < float(pytestconfig.getini("timeout")) <= 600
