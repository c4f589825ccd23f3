"""What is known of a vendor: everything that is stated is used, and nothing that others read can be changed."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_voicepartner.gateways.info import GatewayInfo, own_gateways
from airflow_provider_voicepartner.gateways.model import SmsMessage
from airflow_provider_voicepartner.hooks.registry import hook_class

PROJECT = Path(__file__).resolve().parents[2]
KEY, LOGIN = "planted-key", "someone@example.com"


def info(**facts: object) -> GatewayInfo:
    given = {
        "name": "acme",
        "label": "Acme",
        "base_url": "https://api.example.org",
        "hook": "acme.Hook",
        "sends": {"sms": "send"},
        "endpoints": {"send": "5/60"},
        "limits_example": "{}",
        "credentials": ("header",),
    }
    return GatewayInfo(**given | facts)  # type: ignore[arg-type]


def readers() -> Iterator[ast.AST]:
    files = [*(PROJECT / "airflow_provider_voicepartner").rglob("*.py"), PROJECT / "scripts/feature_table.py"]
    for path in files:
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def test_every_fact_is_read_by_somebody() -> None:
    """A fact that nobody reads promises a gateway of another distribution what it does not get."""
    read = {
        node.attr for node in readers() if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert {fact.name for fact in dataclasses.fields(GatewayInfo)} - read == set()


@pytest.mark.parametrize("name", own_gateways())
def test_what_is_said_of_tags_is_what_the_hook_does(name: str) -> None:
    hook = hook_class(name)(conn_id="unused")
    if "sms" in hook.gateway.INFO.kinds:
        tag = hook.tag_of(SmsMessage(text="hello"), "abcdef123456")
        assert (tag is not None) is hook.gateway.INFO.listed_by_tag


@pytest.mark.parametrize(
    ("credentials", "login", "hidden"),
    [
        (("header",), None, {KEY}),
        (("body",), LOGIN, {KEY, LOGIN}),
        (("basic",), LOGIN, {KEY, LOGIN, "c29tZW9uZUBleGFtcGxlLmNvbTpwbGFudGVkLWtleQ=="}),
        (("basic",), None, {KEY, "OnBsYW50ZWQta2V5"}),
    ],
)
def test_every_spelling_of_a_secret_is_hidden(
    credentials: tuple[str, ...], login: str | None, hidden: set[str]
) -> None:
    assert set(info(credentials=credentials).secrets_of(KEY, login)) == hidden


@pytest.mark.parametrize(
    ("documented", "believed"), [(None, None), (timedelta(hours=24), timedelta(hours=23))]
)
def test_a_repeat_is_believed_for_less_than_is_documented(
    documented: timedelta | None, believed: timedelta | None
) -> None:
    assert info(refuses_repeats_for=documented).repeats_safely_for == believed


@pytest.mark.parametrize("table", ["sends", "endpoints", "fields", "options", "empty_report"])
def test_no_table_can_be_changed(table: str) -> None:
    mine = {"send": "5/60"}
    made = info(**{table: mine})
    mine["other"] = "1/1"
    assert "other" not in getattr(made, table)
    with pytest.raises(TypeError):
        getattr(made, table)["other"] = "1/1"
