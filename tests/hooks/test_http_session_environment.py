"""Proxies and certificates that cannot be used: said with the variable's name, before any connection."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.hooks.http import HttpSender
from airflow_provider_voicepartner.hooks.http_session import new_session
from airflow_provider_voicepartner.sending.transport import Slot
from tests.support.servers import FakeTime, answer, counting_server

SEND = ApiRequest(endpoint="send", method="POST", path="send", safe_to_repeat=False, body={})
SECRET = "planted-proxy-password"
VARIABLES = [
    "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
]  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def sender_for(url: str = "https://gateway.invalid/v1") -> HttpSender:
    time = FakeTime()
    return HttpSender(
        gateway="smspartner", base_url=url, connect_timeout=2.0, read_timeout=2.0, session=new_session(),
        sleep=time.sleep, now=time.now,
    )  # fmt: skip


class NoSlots:
    """A rate limit that nobody is to ask: no slot may be lost on a request that cannot leave."""

    def __init__(self) -> None:
        self.given_back: list[Slot] = []

    def release(self, slot: Slot) -> None:
        self.given_back.append(slot)


def refused(sender: HttpSender) -> str:
    sender.gate = gate = NoSlots()  # type: ignore[assignment]  # half a gate
    slot = Slot(0.0)
    with pytest.raises(ConfigurationError) as caught:
        sender.send(SEND, slot=slot)
    assert gate.given_back == [slot]
    assert sender.sleep.__self__.slept == []  # type: ignore[attr-defined]  # a FakeTime
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        "http://", f"http://user:{SECRET}@", "http://[::1", f"http://user:{SECRET}@host:port",
        f"http://user:{SECRET}@host:99999999", f"ftp://user:{SECRET}@proxy:21", "://", " ",
    ],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    told = refused(sender_for())
    assert told.startswith(f"the proxy in the environment variable {name} cannot be used")
    assert "http://proxy.example.org:3128" in told


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "SOCKS5"])
def test_a_socks_proxy_without_its_package_is_told_what_to_install(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert importlib.util.find_spec("socks") is None, "this test needs an environment without PySocks"
    monkeypatch.setenv("https_proxy", f"{scheme}://user:{SECRET}@proxy:1080")
    told = refused(sender_for())
    assert "environment variable https_proxy" in told
    assert "pip install 'requests[socks]'" in told


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("content", "told"), [(None, "are not there"), ("", "cannot be read"), ("nonsense", "cannot be read")]
)
def test_certificates_that_cannot_be_used_are_named_by_their_variable(
    name: str, content: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv(name, str(bundle))
    said = refused(sender_for())
    assert f"the environment variable {name} names certificates that {told}" in said
    assert str(bundle) in said


def test_a_session_that_names_such_certificates_is_named_itself(tmp_path: Path) -> None:
    sender = sender_for()
    sender.session.verify = str(tmp_path / "gone.pem")
    assert "the session's verify names certificates that are not there" in refused(sender)
    other = sender_for()
    other.session.cert = str(tmp_path / "gone.pem")
    assert "the certificates that the session names" in refused(other)


def test_a_session_with_a_proxy_of_its_own_is_named_itself() -> None:
    sender = sender_for()
    sender.session.proxies["https"] = f"http://user:{SECRET}@"
    assert refused(sender).startswith("the session's proxy cannot be used")


def test_what_is_wrong_is_said_each_time_and_mended_without_a_new_sender(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sender = sender_for()
    monkeypatch.setenv("https_proxy", "http://")
    refused(sender)
    refused(sender)
    with counting_server(answer(407, "")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        sender.gate, sender.retry = None, replace(sender.retry, attempts=1)
        with pytest.raises(Exception, match="no connection to the gateway"):
            sender.send(SEND)
        assert len(proxy.received) == 1


@pytest.mark.parametrize("bundle", ["there", "a folder", "gone, and not asked for"])
def test_what_can_be_used_or_is_not_needed_is_not_complained_about(
    bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    path = {"there": certifi.where(), "a folder": str(tmp_path)}.get(bundle, "/nowhere/at/all")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    monkeypatch.setenv("https_proxy", "http://")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with counting_server(answer(200)) as server:
        scheme = "http" if path.startswith("/nowhere") else "https"
        sender = sender_for(f"{scheme}://127.0.0.1:{server.port}")
        sender.retry = replace(sender.retry, attempts=1)
        if scheme == "http":
            assert sender.send(SEND).status == 200
        else:
            with pytest.raises(Exception, match="no connection to the gateway"):
                sender.send(SEND)
