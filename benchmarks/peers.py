"""Other ways to send the same campaign, each as far as it can be measured in a minute; what is scaled says so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.environment import PROJECT, TEXT
from benchmarks.results import Way

_BATCHES = 3
_INSTALLING = 120.0


def bodies(batches: int, batch: int = 500) -> list[str]:
    """Return a body for each batch, such as one would write by hand."""
    made = []
    for index in range(batches):
        first = 33_610_000_000 + index * batch
        numbers = ",".join(f"+{first + at}" for at in range(batch))
        made.append(json.dumps({"apiKey": "a-key-of-a-benchmark", "phoneNumbers": numbers, "message": TEXT}))
    return made


def one_by_one(url: str, recipients: int, sample: int) -> Way:
    """Send to a few people with a request for each, as most examples do, and scale."""
    import requests

    started = time.monotonic()
    for number in range(sample):
        body = {
            "apiKey": "a-key-of-a-benchmark",
            "phoneNumbers": f"+336{10_000_000 + number}",
            "message": TEXT,
        }
        requests.post(f"{url}/v1/send", json=body, timeout=30).raise_for_status()
    seconds = (time.monotonic() - started) / sample * recipients
    return Way(
        name="one request per recipient (requests.post)",
        seconds=seconds,
        how=f"{sample} recipients, scaled; no record of who was reached",
    )


def apprise(url: str, folder: Path, batches: int, *, install: bool) -> Way:
    """Install Apprise into a throw-away environment, send three batches, and scale."""
    name = "Apprise, Octopush plugin, batch=yes"
    if not install:
        return Way(name=name, seconds=None, how="left out: a quick run installs nothing")
    python = folder / "apprise" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    script = PROJECT / "benchmarks" / "apprise_batches.py"
    try:
        _run(sys.executable, "-m", "venv", str(folder / "apprise"))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "apprise")
        version = _run(str(python), "-c", "import apprise; print(apprise.__version__)").strip()
        seconds = float(_run(str(python), str(script), url, str(_BATCHES)))
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        return Way(
            name=name, seconds=None, how=f"left out: could not be installed or run ({type(error).__name__})"
        )
    # It pauses between batches, not after the last one.
    between = seconds / (_BATCHES - 1)
    return Way(
        name=f"Apprise {version}, Octopush plugin, batch=yes",
        seconds=between * (batches - 1),
        how=f"{_BATCHES} batches, scaled: it waits 5.5 s between two, whatever the gateway allows; "
        "its address replaced by the gateway's, nothing else",
    )


def install_segment_counter(folder: Path) -> str | None:
    """Install a counter of SMS segments from the index into a folder; None where that cannot be done."""
    try:
        _run(
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--target", str(folder), "smsutil",
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError):
        return None
    return str(folder)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_INSTALLING)
    return done.stdout
