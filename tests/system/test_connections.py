"""Connections as people make them, in the UI or by command: found in a process of one's own, and missed by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models import Connection

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError, ends_retries
from airflow_provider_voicepartner.hooks import connection
from airflow_provider_voicepartner.hooks.connection import look_up
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.registry import hook_for
from tests.conftest import KEYS, LOGIN
from tests.support.receiver import SECRET


@pytest.fixture(scope="module")
def database(airflow_home: Path) -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def stored(database: None, sandbox: Any) -> Iterator[str]:
    """Store a connection in Airflow's database, as the UI and ``airflow connections add`` do."""
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(
            Connection(
                conn_id="stored", conn_type="octopush", host=sandbox.gateway_url("octopush"), login=LOGIN,
                password=KEYS["octopush"],
            )
        )  # fmt: skip
    yield "stored"
    with create_session() as session:
        session.delete(session.query(Connection).filter_by(conn_id="stored").one())


def test_a_hook_in_ones_own_process_finds_a_stored_connection(stored: str) -> None:
    assert OctopushHook(stored).get_balance().amount > 0
    assert hook_for(stored).get_balance().amount > 0
    assert OctopushHook(stored).test_connection()[0]


def test_callbacks_register_finds_a_stored_connection(
    stored: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    main(["callbacks", "register", "--conn-id", stored])
    assert "Octopush now reports to this receiver" in capsys.readouterr().out
    assert sandbox.world.parameters["callbacks"]["callback_url_for_deliveries"].startswith(
        "https://hooks.example.org/"
    )


def test_a_missing_connection_says_so_and_is_not_retried(
    database: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for ask in (look_up, hook_for, lambda name: OctopushHook(name).get_balance()):
        with pytest.raises(
            ConfigurationError, match="connection 'nowhere' does not exist; add it in the UI"
        ) as caught:
            ask("nowhere")
        assert ends_retries(caught.value)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    with pytest.raises(SystemExit):
        main(["callbacks", "register", "--conn-id", "nowhere"])
    assert "connection 'nowhere' does not exist" in capsys.readouterr().err


def test_where_a_secrets_backend_may_have_failed_a_retry_is_left(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend")
    with pytest.raises(
        RetryableNotSentError, match="'nowhere' was not found, or its secrets backend could not be reached"
    ):
        raise connection.not_found("nowhere", certain=True)


def test_a_database_that_cannot_be_asked_leaves_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no database here")

    monkeypatch.setattr("airflow.secrets.metastore.MetastoreBackend.get_connection", fails)
    with pytest.raises(RetryableNotSentError):
        look_up("nowhere")


@pytest.mark.airflow3
@pytest.mark.parametrize(
    ("error", "expected"),
    [("CONNECTION_NOT_FOUND", ConfigurationError), ("API_SERVER_ERROR", RetryableNotSentError)],
)
def test_a_task_hears_from_its_supervisor_why_there_is_no_connection(
    error: str, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import ErrorType
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse

    answer = ErrorResponse(error=ErrorType(error))
    monkeypatch.setattr(
        task_runner, "SUPERVISOR_COMMS", SimpleNamespace(send=lambda _: answer), raising=False
    )
    assert "airflow.sdk.execution_time.task_runner" in sys.modules
    with pytest.raises(expected, match="'nowhere'"):
        look_up("nowhere")
