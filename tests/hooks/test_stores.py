"""Several machines without a shared store are noticed, by the executor that Airflow is configured with."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_voicepartner.hooks import stores
from airflow_provider_voicepartner.hooks.stores import (
    shared_store_problem,
    warn_of_machines_without_a_shared_store,
)
from airflow_provider_voicepartner.hooks.turnstile import open_shared_store

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
    monkeypatch.setattr(stores, "_warned_of", set())
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
    open_shared_store().close()
    assert "CeleryExecutor runs tasks on several machines" in caplog.text
