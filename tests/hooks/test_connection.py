"""What a connection of ours holds is read strictly, and never shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_voicepartner.compat import Connection
from airflow_provider_voicepartner.constants import CONNECT_TIMEOUT, READ_TIMEOUT
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways import octopush, smspartner, voicepartner
from airflow_provider_voicepartner.gateways.validation import is_loopback
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.connection import (
    ConnectionExtra,
    read_base_url,
    read_credentials,
    read_extra,
)
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook

DEFAULT = "https://api.smspartner.fr/v1"
HOOKS: list[type[GatewayHook]] = [SmsPartnerHook, VoicePartnerHook, OctopushHook]


def connection(**fields: Any) -> Connection:
    return Connection(conn_id="mine", **{"conn_type": "smspartner", "password": "k", **fields})


def base_url(**fields: Any) -> str:
    return read_base_url(connection(**fields), DEFAULT)


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read()
    assert caught.value.__context__ is None
    assert "connection 'mine'" in str(caught.value)
    return str(caught.value)


# The key and the login.


def test_the_key_is_read_from_the_password_without_blanks_around_it() -> None:
    credentials = read_credentials(connection(password=" key-4711\n"), needs_login=False)
    assert credentials.api_key == "key-4711"
    assert credentials.login is None


@pytest.mark.parametrize("password", [None, "", "  ", "\n"])
def test_a_missing_key_is_refused(password: str | None) -> None:
    message = refusal(lambda: read_credentials(connection(password=password), needs_login=False))
    assert "password is empty; put the API key" in message


@pytest.mark.parametrize(
    "password", ["plan\nted", "plan\tted", "plan ted", "planté-key", "plan\x00ted", "plan\u200bted"]
)
def test_a_key_that_was_badly_copied_is_refused_and_not_shown(password: str) -> None:
    message = refusal(lambda: read_credentials(connection(password=password), needs_login=False))
    assert "password holds a character that no API key has" in message
    assert "copy the key again" in message
    assert "plan" not in message


@pytest.mark.parametrize("login", [None, "", "  "])
def test_octopush_needs_a_login(login: str | None) -> None:
    message = refusal(lambda: read_credentials(connection(login=login), needs_login=True))
    assert "login is empty; put the account's e-mail address" in message


@pytest.mark.parametrize("login", ["planted@exa mple.org", "planted\r\nx-evil: 1", "plantéd@example.org"])
def test_a_login_that_cannot_be_one_is_refused_and_not_shown(login: str) -> None:
    message = refusal(lambda: read_credentials(connection(login=login), needs_login=True))
    assert "login holds a character that no login has" in message
    assert "plant" not in message


def test_credentials_do_not_show_themselves() -> None:
    credentials = read_credentials(
        connection(password="planted", login="planted@example.org"), needs_login=True
    )
    assert "planted" not in repr(credentials)
    assert "planted" not in str(credentials)


# The base URL.


@pytest.mark.parametrize("host", [None, "", "  "])
@pytest.mark.parametrize("gateway", [smspartner, voicepartner, octopush])
def test_without_a_host_it_is_the_gateways_own(gateway: Any, host: str | None) -> None:
    url = read_base_url(connection(host=host), gateway.INFO.base_url)
    assert url == gateway.INFO.base_url
    assert url.startswith("https://")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"host": "https://api.example.org/v1"}, "https://api.example.org/v1"),
        ({"host": "https://api.example.org/v1/"}, "https://api.example.org/v1"),
        ({"host": " https://api.example.org/v1// "}, "https://api.example.org/v1"),
        ({"host": "HTTPS://API.example.org/V1"}, "https://api.example.org/V1"),
        ({"host": "api.example.org"}, "https://api.example.org"),
        ({"host": "api.example.org/v1"}, "https://api.example.org/v1"),
        ({"host": "api.example.org:8443/v1"}, "https://api.example.org:8443/v1"),
        ({"host": "api.example.org/v1", "port": 8443}, "https://api.example.org:8443/v1"),
        ({"host": "https://api.example.org:1/v1", "port": 2}, "https://api.example.org:1/v1"),
        ({"host": "api.example.org", "schema": "https"}, "https://api.example.org"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8025}, "http://127.0.0.1:8025"),
        ({"host": "http://127.0.0.1:8025/smspartner/v1"}, "http://127.0.0.1:8025/smspartner/v1"),
        ({"host": "http://127.8.9.10"}, "http://127.8.9.10"),
        ({"host": "http://localhost:8025"}, "http://localhost:8025"),
        ({"host": "http://LOCALHOST"}, "http://localhost"),
        ({"host": "http://[::1]:8025/x"}, "http://[::1]:8025/x"),
        ({"host": "https://[2001:db8::1]/x"}, "https://[2001:db8::1]/x"),
        ({"host": "https://xn--mnchen-3ya.example/v1"}, "https://xn--mnchen-3ya.example/v1"),
    ],
)
def test_hosts_as_people_write_them(fields: dict[str, Any], expected: str) -> None:
    assert base_url(**fields) == expected


@pytest.mark.parametrize(
    "host",
    [
        "http://api.example.org",
        "http://10.0.0.1",
        "http://127.evil.com",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
        "http://0.0.0.0",
        "http://[::2]",
    ],
)
def test_plain_http_is_refused_off_this_machine(host: str) -> None:
    message = refusal(lambda: base_url(host=host))
    assert "host uses http" in message
    assert "use https" in message


def test_a_bare_host_with_the_schema_http_is_refused_off_this_machine() -> None:
    assert "host uses http" in refusal(lambda: base_url(host="api.example.org", schema="http"))


@pytest.mark.parametrize(
    "host",
    [
        "https://planted@api.example.org",
        "https://planted:planted@api.example.org/v1",
        "https://@api.example.org",
        "https://api.example.org/v1?apiKey=planted",
        "https://api.example.org/v1?",
        "https://api.example.org/v1#planted",
        "http://127.0.0.1@evil.com",
        "http://evil.com@127.0.0.1",
    ],
)
def test_a_key_in_the_host_is_refused_and_not_shown(host: str) -> None:
    message = refusal(lambda: base_url(host=host))
    assert "the key goes into 'password'" in message
    assert "planted" not in message


@pytest.mark.parametrize(
    "host",
    [
        "ftp://api.example.org",
        "file:///etc/passwd",
        "https://",
        "https://:443",
        "https://[::1",
        "https://exa mple.org",
        "https://example.org\\@evil.com",
        "https://localhost%00.example.org",
        "https://*.example.org",
        "https://" + "a" * 64 + ".org",
        "https://a..org",
        "https://[::1%25eth0]",
        "https://example.org:http",
        "https://example.org:65536",
        "https://münchen.example",
        "planted and no URL",
    ],
)
def test_what_is_no_url_is_refused_with_an_example(host: str) -> None:
    message = refusal(lambda: base_url(host=host))
    if "@" not in host:
        assert "host is not a URL; write for instance 'api.smspartner.fr/v1', or leave it empty" in message
    assert host not in message


@pytest.mark.parametrize("path", ["/v 1", "/v1\u00a0x", "/v1/é", "/v1\\x"])
def test_a_path_with_characters_that_no_url_has_is_refused(path: str) -> None:
    assert "host has a path" in refusal(lambda: base_url(host=f"https://api.example.org{path}"))


@pytest.mark.parametrize(
    "fields", [{"host": "https://a.org:0"}, {"host": "a.org", "port": 0}, {"host": "a.org", "port": 70_000}]
)
def test_a_port_that_does_not_exist_is_refused(fields: dict[str, Any]) -> None:
    assert "give 1 to 65535" in refusal(lambda: base_url(**fields))


def test_a_path_that_airflow_put_into_the_schema_is_not_lost_silently() -> None:
    message = refusal(lambda: base_url(host="127.0.0.1", port=8025, schema="smspartner/v1"))
    assert "put the whole base URL, its path included, into host" in message


_HOSTS = st.one_of(
    st.text(max_size=40),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            [
                "",
                "http://",
                "https://",
                "HTTP://",
                "http:",
                "//",
                "http:///",
                "ftp://",
                "http://[",
                "https://x@",
            ]
        ),
        st.one_of(
            st.sampled_from(["localhost", "127.0.0.1", "::1]", "evil.com", "127.0.0.1\\@evil.com"]),
            st.text(max_size=15),
        ),
        st.one_of(
            st.sampled_from(["", "/", ":80", ":x", "@evil.com", "#@evil.com", "?", ".evil.com"]),
            st.text(max_size=15),
        ),
    ),
)


@given(
    host=_HOSTS, schema=st.sampled_from([None, "", "http", "https"]), port=st.none() | st.integers(-1, 70_000)
)
@example(host="http://127.0.0.1\t@evil.com", schema=None, port=None)
@example(host="http://localhost\n.evil.com", schema=None, port=None)
@example(host="https://\ud800", schema=None, port=None)
def test_whatever_the_host_says_the_key_goes_to_https_or_to_this_machine(
    host: str, schema: str | None, port: int | None
) -> None:
    with suppress(ConfigurationError):
        accepted = base_url(host=host, schema=schema, port=port)
        assert_is_safe(accepted)


def assert_is_safe(url: str) -> None:
    # Judged by the library that will use it.
    prepared = requests.Request("GET", f"{url}/me").prepare().url
    parts = urlsplit(prepared or "")
    assert parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    assert "@" not in parts.netloc
    assert parts.path.endswith("/me")


# The other fields.


def extra(text: str | None, model: type[ConnectionExtra] = ConnectionExtra) -> ConnectionExtra:
    given = connection()
    given.extra = text
    return read_extra(given, model)


@pytest.mark.parametrize(
    "text",
    ["[]", "[1]", '"text"', "5", "true", "text", "{", '{"read_timeout": 60', "\x00", "null"],
)
def test_extra_must_be_an_object(text: str) -> None:
    message = refusal(lambda: extra(text))
    assert "extra is not a JSON object" in message
    assert '{"read_timeout": 60}' in message


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_without_extra_the_timeouts_are_5_and_30_seconds(text: str | None) -> None:
    found = extra(text)
    assert (found.connect_timeout, found.read_timeout) == (5.0, 30.0) == (CONNECT_TIMEOUT, READ_TIMEOUT)


@pytest.mark.parametrize(
    ("value", "seconds"), [(60, 60.0), (0.5, 0.5), ("60", 60.0), ("2.5", 2.5), ("", 30.0), (None, 30.0)]
)
def test_a_timeout_may_be_a_number_or_its_text_or_left_empty_in_the_form(value: Any, seconds: float) -> None:
    assert extra(json.dumps({"read_timeout": value})).read_timeout == seconds


@pytest.mark.parametrize("field", ["connect_timeout", "read_timeout"])
@pytest.mark.parametrize("value", [0, -1, 601, "planted", "inf", "nan", [], {"planted": 1}])
def test_a_timeout_out_of_range_is_refused_by_name_without_its_value(field: str, value: Any) -> None:
    message = refusal(lambda: extra(json.dumps({field: value})))
    assert f"extra field {field!r}: Input should be" in message
    assert "planted" not in message


def test_extra_may_be_nested_too_deep_to_follow() -> None:
    deep = SimpleNamespace(conn_id="mine", extra="[" * 100_000)
    assert "extra is not a JSON object" in refusal(lambda: read_extra(deep, ConnectionExtra))


def test_fields_that_are_not_ours_are_left_alone() -> None:
    assert extra('{"team": "data", "read_timeout": 7}').read_timeout == 7.0


@pytest.mark.parametrize("hook", HOOKS)
def test_a_field_of_the_wrong_kind_is_refused_before_anything_is_sent(
    hook: type[GatewayHook], set_connection: Callable[..., str]
) -> None:
    name = next(name for name in hook.extra_model.model_fields if name not in ConnectionExtra.model_fields)
    set_connection(hook.conn_type, extra={name: {"planted": 1}})
    with pytest.raises(ConfigurationError, match=f"extra field '{name}'") as caught:
        hook().check_connection()
    assert "planted" not in str(caught.value)


# As Airflow hands them over.


def test_a_connection_in_json(set_connection: Callable[..., str]) -> None:
    set_connection(
        "smspartner",
        "json_form",
        host="http://127.0.0.1:8025/smspartner/v1",
        extra={"read_timeout": 7, "sender": "MyApp"},
    )
    hook = SmsPartnerHook("json_form")
    hook.check_connection()
    assert hook.sender.base_url == "http://127.0.0.1:8025/smspartner/v1"
    assert (hook.sender.connect_timeout, hook.sender.read_timeout) == (5.0, 7.0)
    assert hook.extra.sender == "MyApp"


def test_a_connection_as_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_URI_FORM",
        "octopush://me%40example.org:pl%2Bnt%2Fed@http%3A%2F%2F127.0.0.1%3A8025%2Foctopush%2Fv1%2Fpublic?read_timeout=7",
    )
    hook = OctopushHook("uri_form")
    hook.check_connection()
    assert hook.sender.base_url == "http://127.0.0.1:8025/octopush/v1/public"
    assert hook.sender.read_timeout == 7.0
    assert (hook.credentials.api_key, hook.credentials.login) == ("pl+nt/ed", "me@example.org")


def test_a_uri_whose_host_is_not_percent_encoded_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_URI_FORM", "smspartner://:planted@127.0.0.1:8025/smspartner/v1")
    with pytest.raises(ConfigurationError, match="percent-encoded") as caught:
        SmsPartnerHook("uri_form").check_connection()
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_refuses_another_gateways_connection(
    hook: type[GatewayHook], set_connection: Callable[..., str]
) -> None:
    other = next(name for name in ("smspartner", "octopush") if name != hook.conn_type)
    set_connection(other, "other", password="planted-key")
    with pytest.raises(ConfigurationError) as caught:
        hook("other").check_connection()
    message = str(caught.value)
    assert f"connection 'other' has the type {other!r}" in message
    assert f"{hook.__name__} needs one of type {hook.conn_type!r}" in message
    assert "planted" not in message


OWN = {
    "https://api.smspartner.fr/v1": ("https://api.smspartner.fr", "api.smspartner.fr/", "https://api.smspartner.fr/v1/"),
    "https://api.octopush.com/v1/public": ("https://api.octopush.com", "https://api.octopush.com/v1",
                                           "api.octopush.com/v1/public"),
}  # fmt: skip


@pytest.mark.parametrize(("own", "written"), [(own, text) for own, texts in OWN.items() for text in texts])
def test_the_gateways_own_address_without_its_version_path_is_completed(own: str, written: str) -> None:
    assert read_base_url(connection(host=written), own) == own


@pytest.mark.parametrize(
    "written", ["https://api.smspartner.fr/v2", "https://api.smspartner.fr/v", "https://proxy.example.org"]
)
def test_another_address_is_left_as_it_is(written: str) -> None:
    assert read_base_url(connection(host=written), "https://api.smspartner.fr/v1") == written
