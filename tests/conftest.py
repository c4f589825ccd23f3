"""Airflow in a throw-away home, and the sandbox, for all tests."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.examples import examples

# A busy machine draws slowly, and that is no fault of what is tested.
settings.register_profile(
    "ours", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ours")

pytest_plugins = ["tests.support.postgres"]

PROJECT = Path(__file__).resolve().parent.parent
_VERSIONS = PROJECT / "tests" / "versions"

# Tests commit thousands of small transactions, and no disk needs to keep one: where there is memory enough, they
# write there. Half a gigabyte is what all of them need at once.
_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 * 2**30:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

# Before anything imports Airflow: it reads its home and its configuration once.
_home = Path(tempfile.mkdtemp(prefix="voicepartner-tests-"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AIRFLOW__"))]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": str(_home),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(_home / "dags"),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_home / 'airflow.db'}",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(_home / "logs"),
    "NO_PROXY": "127.0.0.1,localhost",
}
(_home / "dags").mkdir()

KEYS = {
    "smspartner": "planted-key-sms-4711",
    "voicepartner": "planted-key-voice-4712",
    "octopush": "planted-key-octo-4713",
}
LOGIN = "planted-login@example.org"

collect_ignore = [] if sys.version_info >= (3, 11) else ["tests"]


SLOW_SECONDS = 3_600


CASES_ON_AIRFLOW_2 = 4
"""So many of a test's cases are run there: the same Python has run all of them on Airflow 3."""


def part_sampled(items: Iterable[pytest.Item], *, is_airflow_2: bool = False) -> None:
    """Mark as slow the cases of a sampled test that are not drawn; the same ones are drawn each time."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled") or (is_airflow_2 and not item.path.is_relative_to(_VERSIONS)):
            cases.setdefault(item.nodeid.split("[")[0], []).append(item)
    for name, every in cases.items():
        marker = every[0].get_closest_marker("sampled")
        wanted = CASES_ON_AIRFLOW_2 if marker is None else marker.args[0]
        names = sorted(item.nodeid for item in every)
        drawn = set(Random(name).sample(names, min(wanted, len(names))))
        for item in every:
            if item.nodeid not in drawn:
                item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by what is slow
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Part sampled cases, give slow tests their time, and leave out what needs Airflow 3 on Airflow 2."""
    from airflow import __version__

    is_airflow_2 = __version__.startswith("2.")
    part_sampled(items, is_airflow_2=is_airflow_2)
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
    if is_airflow_2:
        for item in items:
            if item.get_closest_marker("airflow3"):
                item.add_marker(pytest.mark.skip(reason="needs Airflow 3"))


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """Return the throw-away AIRFLOW_HOME."""
    return _home


@pytest.fixture(scope="session")
def _new_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a store with its tables and nothing in them; to make the tables takes longer than most tests."""
    from airflow_provider_voicepartner.db.engine import open_store

    path = tmp_path_factory.mktemp("store") / "store.db"
    open_store(f"sqlite:///{path}").close()
    assert [made.name for made in path.parent.iterdir()] == ["store.db"]
    return path.read_bytes()


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _new_store: bytes) -> None:
    """Give each test a store of its own: what one learns of a rate limit must not make another wait."""
    path = tmp_path / "store.db"
    path.touch(mode=0o640)
    path.write_bytes(_new_store)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{path}")


@pytest.fixture(autouse=True)
def _no_alerts_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the alerts of other tests: without a store, what one told would keep another from telling it."""
    from airflow_provider_voicepartner.incidents.process_memory import ProcessMemory

    monkeypatch.setattr("airflow_provider_voicepartner.hooks.incidents._memory", ProcessMemory())


@pytest.fixture(autouse=True)
def _cheap_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash fingerprints at no cost: what makes it dear to try out numbers would make it dear to test."""
    monkeypatch.setattr("airflow_provider_voicepartner.sending.records.COST", 2)


@pytest.fixture
def one_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look a batch in doubt up once and at once, where the gateway is not slow to know it."""
    monkeypatch.setattr("airflow_provider_voicepartner.sending.reconcile.LOOK_UP_AFTER", (0.0,))


@pytest.fixture
def set_connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Define an Airflow connection for one test: ``set_connection("smspartner", host=…)`` returns its id."""

    def define(conn_type: str, conn_id: str | None = None, **fields: Any) -> str:
        name = conn_id or f"{conn_type}_default"
        values: dict[str, Any] = {"conn_type": conn_type, "password": KEYS.get(conn_type, "k"), **fields}
        if conn_type == "octopush":
            values.setdefault("login", LOGIN)
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{name.upper()}", json.dumps({k: v for k, v in values.items() if v is not None})
        )
        return name

    return define


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[Any]:
    from airflow_provider_voicepartner.sandbox import running_sandbox

    settings = {
        "strict": True,  # what a vendor may refuse must not be sent
        "smspartner": {"api_key": KEYS["smspartner"]},
        "voicepartner": {"api_key": KEYS["voicepartner"]},
        "octopush": {"api_key": KEYS["octopush"], "api_login": LOGIN},
    }
    with running_sandbox(port=0, seed=1, speed=0, settings=settings) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_running_sandbox: Any, set_connection: Callable[..., str]) -> Any:
    """
    Return a fresh sandbox, with one connection a gateway pointed at it.

    Its clock stands still until a test advances it.
    """
    _running_sandbox.world.reset(seed=1)  # the keys are among the settings it started with, and survive
    for gateway in KEYS:
        set_connection(gateway, host=_running_sandbox.gateway_url(gateway))
    return _running_sandbox
