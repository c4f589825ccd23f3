"""What the processes of a run tell each other: a throw-away Airflow, a connection to the gateway, orders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PROJECT = Path(__file__).resolve().parent.parent
GATEWAY = "BENCHMARK_GATEWAY"
ORDER = "BENCHMARK_ORDER"
STORE = "AIRFLOW__VOICEPARTNER__STORE_URL"
IN_MEMORY = "sqlite://"
BODIES = "BENCHMARK_BODIES"
TEXT = "Votre commande est prete, elle vous attend au magasin."
PERSONAL_TEXT = "Bonjour {first_name}, votre commande est prete, elle vous attend au magasin de {city}."
LONGEST = 300.0


def environment(home: Path, url: str) -> dict[str, str]:
    """Return this process's environment, with an Airflow home of its own and a connection to the gateway."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    (home / "dags").mkdir(parents=True, exist_ok=True)
    connection = {"conn_type": "smspartner", "host": f"{url}/v1", "password": "a-key-of-a-benchmark"}
    return clean | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW_CONN_SMSPARTNER_DEFAULT": json.dumps(connection),
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(PROJECT),
        GATEWAY: url,
        BODIES: str(home / "bodies.json"),
    }


@dataclass(frozen=True)
class Child:
    """Where a run's processes live, and how they are started."""

    home: Path
    env: dict[str, str]

    def run(self, module: str, *arguments: object, env: dict[str, str] | None = None) -> Any:
        """Run a module to its end and return what it tells: the JSON in its last line."""
        process = self.start(module, *arguments, env=env, stdout=subprocess.PIPE)
        try:
            told, _ = process.communicate(timeout=LONGEST)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            log = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{module} failed; the end of its log:\n{log}")
        return json.loads(told.splitlines()[-1])

    def start(
        self,
        module: str,
        *arguments: object,
        env: dict[str, str] | None = None,
        stdout: int | IO[Any] = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Start a module as a process of its own."""
        with self._log.open("w", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *map(str, arguments)],
                cwd=self.home, env=self.env | (env or {}), stdout=stdout, stderr=log, text=True,
            )  # fmt: skip

    @property
    def _log(self) -> Path:
        return self.home / "child.log"
