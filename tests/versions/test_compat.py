"""What Airflow moved is found on each Airflow that is promised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_voicepartner import compat


@pytest.mark.parametrize("name", compat.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(compat, name) is getattr(compat, name)
    assert name in compat._PLACES or name in ("get_async_connection", "mask_secret", "Picklable")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = compat.Nothing


def test_a_name_that_this_airflow_lacks_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compat._PLACES, "Moved", ("airflow.nowhere", "airflow.sdk.nowhere"))
    with pytest.raises(ImportError, match=r"^Moved: .*airflow\.nowhere, airflow\.sdk\.nowhere"):
        _ = compat.Moved


def test_errors_are_those_that_airflow_acts_on() -> None:
    from airflow.exceptions import AirflowFailException, AirflowSkipException

    from airflow_provider_voicepartner.exceptions import RejectedError

    assert issubclass(RejectedError, AirflowFailException)
    assert compat.AirflowSkipException is AirflowSkipException


def test_a_secret_is_masked() -> None:
    compat.mask_secret("planted-secret-0816")
    assert "planted" not in str(compat.redact("it is planted-secret-0816"))


def test_a_connection_is_found_from_an_event_loop(set_connection: Any) -> None:
    set_connection("smspartner", host="https://example.org/v1")
    connection = asyncio.run(compat.get_async_connection("smspartner_default"))
    assert (connection.conn_type, connection.host) == ("smspartner", "https://example.org/v1")
