"""The type of a connection picks the hook, and tells what it can send."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import Kind
from airflow_provider_voicepartner.hooks import registry
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.registry import gateway_names, hook_class, hook_for
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook

CLASSES = {"smspartner": SmsPartnerHook, "voicepartner": VoicePartnerHook, "octopush": OctopushHook}


@pytest.mark.parametrize("conn_type", CLASSES)
def test_each_connection_type_has_its_hook(conn_type: str, set_connection: Callable[..., str]) -> None:
    set_connection(conn_type, "mine")
    hook = hook_for("mine")
    assert type(hook) is CLASSES[conn_type] is hook_class(conn_type)
    assert hook.conn_id == "mine"
    assert hook.conn_type == hook.gateway.INFO.name == conn_type
    assert hook.hook_name == hook.gateway.INFO.label


def test_the_connection_is_looked_up_once(
    set_connection: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection("smspartner", "mine")
    hook = hook_for("mine")
    monkeypatch.delenv("AIRFLOW_CONN_MINE")
    hook.check_connection()


def test_no_other_type_is_ours() -> None:
    assert set(gateway_names()) == set(CLASSES)
    with pytest.raises(KeyError):
        hook_class("http")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("INFO = GatewayInfo(name='Ac me', label='Acme')", "TypeError: .*base_url"),
        ("INFO = replace(acme, rate_limit_wait=-1.0)", r"INFO\.rate_limit_wait: must be seconds from 0"),
        ("raise KeyError('no such setting')", "KeyError"),
        ("AcmeHook = GatewayInfo", "is no hook of a gateway of type 'acme'"),
        ("AcmeHook = GatewayHook", "is no hook of a gateway of type 'acme'"),
        ("", "AttributeError"),
    ],
)
def test_a_hook_that_cannot_be_used_fails_the_task_with_what_is_wrong(
    source: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    set_connection: Callable[..., str],
) -> None:
    names = (
        "from dataclasses import replace\n"
        "from airflow_provider_voicepartner.gateway_api import GatewayHook, GatewayInfo\n"
        "from airflow_provider_voicepartner.gateways.octopush import INFO as acme\n"
    )
    (tmp_path / "odd_gateway.py").write_text(names + source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_gateway", raising=False)
    monkeypatch.setattr(registry, "_outside", lambda: {"acme": "odd_gateway.AcmeHook"})
    registry._hook_at.cache_clear()
    with pytest.raises(ConfigurationError, match=said):
        hook_class("acme")
    assert set(registry.every_gateway()) == set(CLASSES)
    assert "The gateway acme cannot be used" in caplog.text
    set_connection("smspartner", "mine")
    with pytest.raises(ConfigurationError, match="does not offer; use a connection of type octopush, voice"):
        hook_for("mine", kind="tts")


def test_a_connection_of_another_type_is_refused_with_those_that_fit(
    set_connection: Callable[..., str],
) -> None:
    set_connection("http", "web", password="planted-key")
    with pytest.raises(ConfigurationError) as caught:
        hook_for("web")
    assert str(caught.value) == (
        "conn_id: connection 'web' has the type 'http'; use one of octopush, smspartner, voicepartner"
    )


@pytest.mark.parametrize(
    ("conn_type", "kind", "what", "able"),
    [
        ("smspartner", "tts", "text-to-speech calls", "octopush, voicepartner"),
        ("smspartner", "voicemail", "voicemail drops", "voicepartner"),
        ("voicepartner", "sms", "SMS", "octopush, smspartner"),
        ("octopush", "voicemail", "voicemail drops", "voicepartner"),
    ],
)
def test_a_gateway_that_cannot_send_that_is_refused_with_those_that_can(
    conn_type: str, kind: Kind, what: str, able: str, set_connection: Callable[..., str]
) -> None:
    set_connection(conn_type, "mine")
    with pytest.raises(ConfigurationError) as caught:
        hook_for("mine", kind=kind, who="MyOperator")
    assert str(caught.value).startswith("conn_id: MyOperator sends " + what)
    assert str(caught.value).endswith("use a connection of type " + able)


@pytest.mark.parametrize(
    ("conn_type", "kind"),
    [
        ("smspartner", "sms"),
        ("voicepartner", "tts"),
        ("voicepartner", "voicemail"),
        ("octopush", "sms"),
        ("octopush", "tts"),
    ],
)
def test_a_gateway_that_can_send_that_is_taken(
    conn_type: str, kind: Kind, set_connection: Callable[..., str]
) -> None:
    set_connection(conn_type, "mine")
    assert hook_for("mine", kind=kind).conn_type == conn_type
