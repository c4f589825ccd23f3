"""The plugin: the receiver in the API server if it is enabled, and nothing in all other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.get_provider_info import get_provider_info
from airflow_provider_voicepartner.plugins.receiver import _MountedApps

PROJECT = Path(__file__).resolve().parents[2]
SECRET = "planted-callback-secret-4714"

IMPORTED = """
import json, sys, time
from airflow_provider_voicepartner.compat import AirflowPlugin
heavy = ("fastapi", "starlette", "sqlalchemy", "uvicorn", "requests", "pydantic", "itsdangerous", "pendulum")
for module in list(sys.modules):
    if module.partition(".")[0] in heavy:
        del sys.modules[module]
before = set(sys.modules)
started = time.perf_counter()
from airflow_provider_voicepartner.plugins.receiver import VoicePartnerReceiverPlugin
plugin = VoicePartnerReceiverPlugin()
took = time.perf_counter() - started
new = set(sys.modules) - before
print(json.dumps({"ms": took * 1000, "heavy": sorted(m for m in new if m.partition(".")[0] in heavy), "new": len(new)}))
"""

PATHS = """
import json, sys
from fastapi import FastAPI
from starlette.testclient import TestClient
from airflow.api_fastapi.app import init_plugins
from airflow.api_fastapi.common.http_access_log import HttpAccessLogMiddleware
from tests.support.receiver import Calls
root, given, *paths = json.loads(sys.argv[1])
app = FastAPI(root_path=root)
init_plugins(app)
app.add_middleware(HttpAccessLogMiddleware)
token = Calls(0).batch_path("voicepartner").rpartition("/")[2]
report = {"status": "delivered", "campaignId": "1", "phoneNumber": "+33699999942"}
with TestClient(app, raise_server_exceptions=False) as client:
    answers = [client.post(given + path.replace("TOKEN", token), json=report) for path in paths]
    print("found" + json.dumps([answer.status_code for answer in answers]))
print("token " + token[:20])
"""

MOUNTED = """
import json, sys
from fastapi import FastAPI
from starlette.testclient import TestClient
from airflow.api_fastapi.app import init_plugins
from airflow.api_fastapi.common.http_access_log import HttpAccessLogMiddleware
from tests.support.receiver import Calls
app = FastAPI()
init_plugins(app)
app.add_middleware(HttpAccessLogMiddleware)
calls = Calls(0)
path = calls.batch_path("voicepartner")
report = {"status": "delivered", "campaignId": "1", "phoneNumber": "+33699999942"}
voicemail = {"campaign_token": "planted-query", "delivered_quantity": 1, "total_quantity": 2}
with TestClient(app) as client:
    found = {
        "mounted": [route.path for route in app.routes if route.path == "/voicepartner"],
        "good": client.post(path, json=report).status_code,
        "get": client.get(path, params=voicemail).status_code,
        "bad": client.post(path[:-1], json=report).status_code,
        "health": client.get("/voicepartner/health").status_code,
    }
print("found" + json.dumps(found))
print("token " + path.rpartition("/")[2][:20])
"""


def run(code: str, tmp_path: Path, *arguments: str, **config: str) -> tuple[str, str]:
    """Run Python in a process of its own, with options of ``[voicepartner]``; return what it wrote."""
    options: Mapping[str, str] = {
        f"AIRFLOW__VOICEPARTNER__{name.upper()}": value for name, value in config.items()
    }
    env = {**os.environ, "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{tmp_path / 'store.db'}", **options}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=env,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout, done.stderr


def mounted(tmp_path: Path, code: str = MOUNTED, *arguments: str, **config: str) -> tuple[Any, str]:
    """Build what the API server builds, call it, and return what was answered and everything that was logged."""
    out, err = run(code, tmp_path, *arguments, **config)
    (found,) = [line for line in out.splitlines() if line.startswith("found")]
    logged = "\n".join(line for line in (out + err).splitlines() if not line.startswith("token "))
    (token,) = [line.split()[1] for line in out.splitlines() if line.startswith("token ")]
    assert token not in logged
    return json.loads(found.removeprefix("found")), logged


def test_both_ways_to_be_found_lead_to_it() -> None:
    (plugin,) = get_provider_info()["plugins"]
    (point,) = [point for point in entry_points(group="airflow.plugins") if point.name == plugin["name"]]
    loaded = point.load()
    assert f"{loaded.__module__}.{loaded.__qualname__}" == plugin["plugin-class"]
    assert loaded.name == plugin["name"]


@pytest.mark.airflow3
@pytest.mark.slow
def test_importing_it_costs_next_to_nothing(tmp_path: Path) -> None:
    found = [
        json.loads(run(IMPORTED, tmp_path, receiver_enabled="True")[0].splitlines()[-1]) for _ in range(3)
    ]
    assert [one["heavy"] for one in found] == [[], [], []]
    assert min(one["ms"] for one in found) < 5
    assert found[0]["new"] <= 3


@pytest.mark.airflow3
def test_the_api_server_takes_reports_and_logs_no_token(tmp_path: Path) -> None:
    found, logged = mounted(tmp_path, receiver_enabled="True", callback_secret=SECRET)
    assert found == {"mounted": ["/voicepartner"], "good": 200, "get": 200, "bad": 404, "health": 200}
    assert "/voicepartner/callbacks/voicepartner/***" in logged  # Airflow's own access log
    for planted in (SECRET, "+33699999942", "planted-query"):
        assert planted not in logged


PATHS_WITH_A_TOKEN = {
    "/callbacks/voicepartner/TOKEN": 200, "/callbacks/voicepartner/TOKEN?x=planted-query": 200,
    "/callbacks/voicepartner/TOKEN/": 404, "/callbacks/voicepartner//TOKEN": 404, "//callbacks/voicepartner/TOKEN": 404,
    "/callbacks//voicepartner/TOKEN": 404, "/callbacks/voicepartner/TOKEN/more": 404, "/callbacks/TOKEN": 404,
    "/callbacks/TOKEN/voicepartner": 404, "/callback/voicepartner/TOKEN": 404, "/TOKEN": 404, "/health/TOKEN": 404,
    "/TOKEN/callbacks/voicepartner/x": 404, "/callbacks/voicepartner/TOKEN/***": 404, "/callbacks/octopush/TOKEN": 404,
    "/callbacks/voicepartner%2FTOKEN": 200, "/Callbacks/voicepartner/TOKEN": 404, "/metrics?x=planted-query": 405,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.airflow3
@pytest.mark.parametrize(
    ("root", "given"),
    [("", "/voicepartner"), ("/air/flow", "/air/flow/voicepartner"), ("/air/flow", "/voicepartner"),
     ],
    ids=["at the root", "below a path", "below a path that the proxy takes off"],
)  # fmt: skip
def test_no_path_writes_a_token_to_airflows_access_log(root: str, given: str, tmp_path: Path) -> None:
    told = json.dumps([root, given, *PATHS_WITH_A_TOKEN])
    found, logged = mounted(tmp_path, PATHS, told, receiver_enabled="True", callback_secret=SECRET)
    assert dict(zip(PATHS_WITH_A_TOKEN, found, strict=True)) == PATHS_WITH_A_TOKEN
    assert logged.count("voicepartner/***") >= len(PATHS_WITH_A_TOKEN) - 4
    assert "planted-query" not in logged


def configure(monkeypatch: pytest.MonkeyPatch, **config: str) -> None:
    for name in ("receiver_enabled", "callback_secret", "public_url"):
        monkeypatch.delenv(f"AIRFLOW__VOICEPARTNER__{name.upper()}", raising=False)
    for name, value in config.items():
        monkeypatch.setenv(f"AIRFLOW__VOICEPARTNER__{name.upper()}", value)


def test_it_is_mounted_only_if_enabled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(monkeypatch, callback_secret=SECRET)
    assert list(_MountedApps()) == []
    assert caplog.records == []


def test_the_application_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, callback_secret=SECRET, receiver_enabled="True")
    apps, gathered = _MountedApps(), []
    gathered.extend(apps)
    assert gathered[0]["app"] is apps[0]["app"]
    assert len(apps) == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"receiver_enabled": "True"}, "callback_secret is not set"),
        ({"receiver_enabled": "True", "callback_secret": "short"}, "fewer than 16 characters"),
        ({"receiver_enabled": "perhaps", "callback_secret": SECRET}, "receiver_enabled must be True or False"),
    ],
)  # fmt: skip
def test_a_broken_configuration_leaves_airflow_alone(
    config: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(monkeypatch, **config)
    assert list(_MountedApps()) == []
    (line,) = [record.getMessage() for record in caplog.records]
    assert said in line
    assert SECRET not in line
    assert "\n" not in line


@pytest.mark.airflow3
@pytest.mark.slow
def test_a_store_that_is_away_does_not_keep_the_api_server_from_starting(tmp_path: Path) -> None:
    found, _ = mounted(
        tmp_path, receiver_enabled="True", callback_secret=SECRET,
        store_url="postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1",
    )  # fmt: skip
    assert found == {"mounted": ["/voicepartner"], "good": 503, "get": 503, "bad": 404, "health": 503}
