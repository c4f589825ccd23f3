"""What a hook says of its connection: a request of one's own, the session, the connection test and the form."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_voicepartner import exceptions
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RejectedError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.hooks.connection_form import form_of
from airflow_provider_voicepartner.hooks.registry import hook_class, info_of
from airflow_provider_voicepartner.sandbox.faults import Fault
from tests.conftest import KEYS, LOGIN
from tests.support.hooks import each_hook, hook_of
from tests.support.servers import FakeTime, answer, close_after_reading, counting_server

# A request of one's own, and the session.


def test_a_request_without_a_method_can_be_run(sandbox: Any) -> None:
    read = ApiRequest(endpoint="me", method="GET", path="me", safe_to_repeat=True, params={"page": "1"})
    response = hook_of("smspartner").run(read)
    assert response.status == 200
    assert b'"credits"' in response.body

    audios = ApiRequest(endpoint="audios", method="GET", path="audios/{api_key}", safe_to_repeat=True)
    assert b"a1b2c3d4" in hook_of("voicepartner").run(audios).body

    balance = ApiRequest(endpoint="x", method="GET", path="wallet/check-balance", safe_to_repeat=True)
    assert hook_of("octopush").run(balance).status == 200


def test_an_answer_of_run_is_given_back_whatever_its_status(sandbox: Any) -> None:
    request = ApiRequest(endpoint="no-such", method="GET", path="no-such-thing", safe_to_repeat=True)
    assert hook_of("smspartner").run(request).status == 404


def test_a_request_without_a_place_for_the_key_is_a_configuration_error(sandbox: Any) -> None:
    request = ApiRequest(endpoint="audios", method="GET", path="audios", safe_to_repeat=True)
    with pytest.raises(ConfigurationError, match="path: has no place for the key"):
        hook_of("voicepartner").run(request)
    assert sandbox.world.requests.total == 0


@pytest.mark.parametrize(
    "change", [{"body": {"x": {1, 2}}}, {"headers": {"x-a": "two\r\nlines"}}, {"headers": {"x": 1}}]
)
def test_a_request_that_cannot_be_written_is_a_configuration_error(
    change: dict[str, Any], sandbox: Any
) -> None:
    request = ApiRequest(endpoint="x", method="POST", path="send", safe_to_repeat=False, **change)
    with pytest.raises(ConfigurationError, match="cannot be put on the wire; nothing was sent"):
        hook_of("octopush").run(request)
    assert sandbox.world.requests.total == 0


@each_hook
def test_get_conn_gives_the_pooled_session_without_the_key(conn_type: str, sandbox: Any) -> None:
    hook = hook_of(conn_type)
    session = hook.get_conn()
    assert isinstance(session, requests.Session)
    hook.get_balance()
    assert hook.get_conn() is session
    assert KEYS[conn_type] not in str(session.headers)
    hook.close()
    hook_class(conn_type)().close()  # without ever having connected


def test_a_proxy_of_the_environment_gets_no_request_to_this_machine(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with counting_server(close_after_reading) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert hook_of("smspartner").get_balance().unit == "EUR"
        assert proxy.connections == 0


@each_hook
def test_a_hook_shows_its_connection_id_and_nothing_of_it(conn_type: str, sandbox: Any) -> None:
    hook = hook_of(conn_type)
    assert repr(hook) == f"{type(hook).__name__}(conn_id='{conn_type}_default')"
    assert KEYS[conn_type] not in repr(hook.sender.session)


@each_hook
def test_polling_is_for_gateways_that_can_be_asked(conn_type: str, sandbox: Any) -> None:
    hook = hook_of(conn_type)
    if hook.polls_delivery:
        return
    with pytest.raises(exceptions.DeliveryUnconfirmedError, match="cannot be polled for delivery reports"):
        hook.poll_delivery("123")
    assert sandbox.world.requests.total == 0


# The connection test.


@each_hook
def test_a_good_connection_tells_the_balance(conn_type: str, sandbox: Any) -> None:
    good, message = hook_of(conn_type).test_connection()
    assert good
    assert message.startswith(f"Connected to {hook_class(conn_type).hook_name}: 1000")
    assert message.endswith("EUR left")


@each_hook
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"password": "planted-wrong"}, "key"),
        ({"password": " "}, "password is empty"),
        ({"host": "http://planted.example.org"}, "uses http"),
        ({"host": "planted wrong"}, "is not a URL"),
        ({"host": "http://127.0.0.1:9"}, "no connection to the gateway"),
        ({"extra": "planted"}, "extra is not a JSON object"),
        ({"conn_type": "http"}, "has the type 'http'"),
    ],
    ids=["wrong key", "no key", "http", "no URL", "nobody there", "extra", "type"],
)
def test_a_bad_connection_says_what_is_wrong_at_once_and_shows_nothing(
    conn_type: str, fields: dict[str, Any], expected: str, sandbox: Any, set_connection: Callable[..., str]
) -> None:
    if conn_type != "octopush" or "conn_type" in fields:
        fields = {"login": LOGIN} | fields
    given = {"host": sandbox.gateway_url(conn_type), "conn_type": conn_type} | fields
    set_connection(given.pop("conn_type"), "tested", **given)
    started = time.monotonic()
    good, message = hook_class(conn_type)("tested").test_connection()
    assert time.monotonic() - started < 3
    assert not good
    assert expected.casefold() in message.casefold()
    for hidden in ("://", "planted", LOGIN, KEYS[conn_type]):
        assert hidden not in message


@each_hook
def test_a_connection_that_is_not_there_is_told(conn_type: str) -> None:
    good, message = hook_class(conn_type)("no_such_connection").test_connection()
    assert not good
    assert "'no_such_connection'" in message


@each_hook
def test_a_connection_test_does_not_wait_for_a_rate_limit(conn_type: str, sandbox: Any) -> None:
    sandbox.world.faults.add(Fault(kind="429", times=1))
    hook, clock = hook_of(conn_type), FakeTime()
    hook.sender.sleep = clock.sleep
    good, message = hook.test_connection()
    assert (good, clock.slept) == (False, [])
    assert "rate limit" in message
    assert hook.sender.retry.attempts == 4
    assert hook.test_connection()[0]


@each_hook
def test_a_gateway_that_answers_with_urls_and_the_key_is_not_quoted(
    conn_type: str, set_connection: Callable[..., str]
) -> None:
    key = KEYS[conn_type]
    with counting_server(
        answer(500, f"<p>https://evil.example/{key} https:\\/\\/evil.example {LOGIN}</p>")
    ) as server:
        set_connection(conn_type, host=server.url, login=LOGIN)
        good, message = hook_class(conn_type)().test_connection()
    assert not good
    assert "HTTP 500" in message
    for hidden in ("evil.example", key, LOGIN):
        assert hidden not in message


def test_a_balance_in_a_strange_unit_shows_no_login(set_connection: Callable[..., str]) -> None:
    with counting_server(answer(200, f'{{"amount": "5", "unit": "{LOGIN} http://x.example"}}')) as server:
        set_connection("octopush", host=server.url)
        good, message = hook_class("octopush")().test_connection()
    assert good
    assert message == "Connected to Octopush: 5 *** (URL) left"


@each_hook
def test_the_form_for_airflow_before_3_2_is_that_of_the_metadata(conn_type: str) -> None:
    behaviour = hook_class(conn_type).get_ui_field_behaviour()
    metadata = form_of(info_of(conn_type))["ui-field-behaviour"]
    assert behaviour == {
        "hidden_fields": metadata["hidden-fields"],
        "relabeling": metadata["relabeling"],
        "placeholders": metadata["placeholders"],
    }
    assert behaviour["relabeling"]["password"] == "API key"
    assert ("login" in behaviour["hidden_fields"]) is (conn_type != "octopush")


@each_hook
def test_a_wrong_key_names_the_connection(conn_type: str, sandbox: Any, set_connection: Any) -> None:
    set_connection(conn_type, "mine", host=sandbox.gateway_url(conn_type), password="another-key")
    with pytest.raises(RejectedError, match="Look at connection 'mine' and its account") as caught:
        hook_class(conn_type)("mine").get_balance()
    assert caught.value.kind is ErrorKind.CONFIGURATION
    assert "another-key" not in str(caught.value)


@each_hook
def test_a_base_url_without_a_path_is_named_where_nothing_is_there(
    conn_type: str, sandbox: Any, set_connection: Any
) -> None:
    set_connection(conn_type, "mine", host=sandbox.url)
    with pytest.raises(
        RejectedError, match=r"The host of connection 'mine' has no path; a base URL ends .* with /v1"
    ):
        hook_class(conn_type)("mine").get_balance()
