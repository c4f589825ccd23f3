"""Resolve the pinned versions anew: one file for the newest Airflow, one for 2.11."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

TARGETS = {
    "constraints.txt": ("apache-airflow==3.3.2", "requirements-dev.txt"),
    "constraints-airflow2.txt": ("apache-airflow==2.11.2", "requirements-test.txt"),
}


def main() -> None:
    """Resolve each set with uv, in an environment of its own that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        for target, (airflow, requirements) in TARGETS.items():
            resolve(Path(folder) / "bin" / "uv", target, airflow, requirements)


def resolve(uv: Path, target: str, airflow: str, requirements: str) -> None:
    """Write one constraints file: names and versions only, no address of any package index."""
    pin = Path(uv).parent / "airflow.txt"
    pin.write_text(f"{airflow}\nuv\n", encoding="utf-8")
    command = [
        *(str(uv), "pip", "compile", "--quiet", "--python-version", "3.11", "--extra", "sandbox"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *("pyproject.toml", requirements, str(pin)),
    ]
    resolved = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT).stdout
    head = (
        f"# Versions that the tests passed with, on Python 3.11. Made by `make constraints`, for {airflow}.\n"
    )
    (PROJECT / target).write_text(head + resolved, encoding="utf-8")
    sys.stdout.write(f"{target}: {resolved.count('==')} versions\n")


if __name__ == "__main__":
    main()
