"""One module reads our section of the configuration and opens the store; machines that share none are noticed."""

from __future__ import annotations

import ast
import logging

import pytest

from airflow_provider_voicepartner import settings
from airflow_provider_voicepartner.get_provider_info import get_provider_info
from airflow_provider_voicepartner.settings import (
    open_sending_store,
    shared_store_problem,
    warn_of_machines_without_a_shared_store,
)
from tests.support.source import PACKAGE, calls, trees

CONF_READERS = {
    "get",
    "getboolean",
    "getint",
    "getfloat",
    "getlist",
    "has_option",
    "getsection",
    "get_mandatory_value",
}
LOCAL = [
    "LocalExecutor", "SequentialExecutor", "DebugExecutor", "", " LocalExecutor ",
    "airflow.executors.local_executor.LocalExecutor", "mine:airflow.executors.local_executor.LocalExecutor",
    "mine:LocalExecutor", "LocalExecutor,airflow.executors.debug_executor.DebugExecutor",
    "LocalExecutor;team1=LocalExecutor", "LocalExecutor;team-1=mine:LocalExecutor,DebugExecutor",
]  # fmt: skip
SPREAD = {
    "CeleryExecutor": "CeleryExecutor",
    "KubernetesExecutor": "KubernetesExecutor",
    "CeleryKubernetesExecutor": "CeleryKubernetesExecutor",
    "LocalKubernetesExecutor": "LocalKubernetesExecutor",
    "airflow.providers.celery.executors.celery_executor.CeleryExecutor": "CeleryExecutor",
    "LocalExecutor,CeleryExecutor": "CeleryExecutor",
    "LocalExecutor, mine:airflow.providers.edge3.executors.EdgeExecutor": "EdgeExecutor",
    "LocalExecutor;team1=CeleryExecutor": "CeleryExecutor",
    "LocalExecutor;team1=LocalExecutor,theirs:plugins.theirs.TheirExecutor": "TheirExecutor",
    "plugins.mine.MyLocalExecutor": "MyLocalExecutor",
}
SHARED = [
    "postgresql://user:pass@host/base", "postgres://host/base", "postgresql+psycopg://host/base",
    "postgresql+psycopg2://host/base", " postgresql://host/base",
]  # fmt: skip


@pytest.mark.parametrize("executor", LOCAL)
@pytest.mark.parametrize("url", [None, "", "sqlite:////srv/store.db", *SHARED])
def test_one_machine_needs_no_shared_store(executor: str, url: str | None) -> None:
    assert shared_store_problem(url, executor) is None


@pytest.mark.parametrize("executor", SPREAD)
@pytest.mark.parametrize("url", SHARED)
def test_several_machines_with_postgresql_share_one(executor: str, url: str) -> None:
    assert shared_store_problem(url, executor) is None


@pytest.mark.parametrize("executor", SPREAD)
@pytest.mark.parametrize(
    ("url", "told"),
    [(None, "is not set"), ("", "is not set"), ("sqlite:////srv/planted.db", "is SQLite"), ("sqlite://", "is SQLite")],
)  # fmt: skip
def test_several_machines_without_one_are_told_what_to_set(executor: str, url: str | None, told: str) -> None:
    problem = shared_store_problem(url, executor)
    assert problem is not None
    assert problem.startswith(f"{SPREAD[executor]} runs tasks on several machines")
    assert f"[voicepartner] store_url {told}" in problem
    assert "PostgreSQL" in problem
    assert "planted" not in problem


@pytest.fixture
def celery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_warned_of", set())
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")


def test_it_is_said_once_in_each_process_and_known_each_time(
    celery: None, caplog: pytest.LogCaptureFixture
) -> None:
    told = [warn_of_machines_without_a_shared_store() for _ in range(3)]
    assert told[0] is not None
    assert told == [told[0]] * 3
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [told[0]]


def test_it_is_not_said_where_all_is_well(
    celery: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "postgresql://host/base")
    assert warn_of_machines_without_a_shared_store() is None
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", "")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    assert warn_of_machines_without_a_shared_store() is None
    assert caplog.text == ""


def test_whoever_opens_the_shared_store_says_it(celery: None, caplog: pytest.LogCaptureFixture) -> None:
    open_sending_store().close()
    assert "CeleryExecutor runs tasks on several machines" in caplog.text


def _options_read(path: str) -> set[str]:
    """Return the options of our section that a module reads; an unknown name where it computes one."""
    return {
        node.args[1].value if isinstance(node.args[1], ast.Constant) else ast.unparse(node.args[1])
        for place, node, name in calls()
        if place == path and name in CONF_READERS and len(node.args) > 1 and _is_our_section(node.args[0])
    }


def _is_our_section(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return text == "voicepartner"
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == "SECTION"
    return False


def test_no_other_module_reads_our_section() -> None:
    readers = {
        path
        for path, node, name in calls()
        if name in CONF_READERS and len(node.args) > 1 and _is_our_section(node.args[0])
    }
    assert readers == {"settings.py"}
    # Nor by another way to the same values.
    assert [
        path
        for path, tree in trees().items()
        if any(
            isinstance(node, ast.Constant) and "AIRFLOW__VOICEPARTNER" in str(node.value)
            for node in ast.walk(tree)
        )
    ] == []


def test_each_option_is_documented_and_each_documented_one_is_read() -> None:
    read = {
        node.args[0].value
        for path, node, name in calls()
        if path == "settings.py" and name in {"_read", "_read_secrets"} and isinstance(node.args[0], ast.Constant)
    }  # fmt: skip
    read |= _options_read("settings.py") - {"option"}
    assert read == set(get_provider_info()["config"]["voicepartner"]["options"])


def test_no_other_module_opens_the_store() -> None:
    openers = {
        path
        for path, node, name in calls()
        if name in {"open_store", "connect_store"} and isinstance(node.func, ast.Attribute)
    }
    named = {
        path
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == f"{PACKAGE}.store.engine"
        and {alias.name for alias in node.names} & {"open_store", "connect_store"}
    }
    assert (openers, named) == ({"settings.py"}, set())
    makers = {path for path, _, name in calls() if name in {"create_engine", "Store"}}
    assert makers == {"db/databases.py", "db/engine.py"}
