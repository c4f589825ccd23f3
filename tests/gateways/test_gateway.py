"""What is known of a vendor: everything that is stated is used, and nothing that others read can be changed."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.info import SENDER_FIELD, GatewayInfo, own_gateways
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
    return GatewayInfo(**given | facts)  # type: ignore[arg-type]  # checked when it is made


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


TABLES: dict[str, dict[str, object]] = {
    "sends": {"sms": "send"},
    "endpoints": {"send": "5/60"},
    "fields": {"sender": SENDER_FIELD},
    "options": {"sms": "acme.options.SmsOptions"},
    "empty_report": {"id": "{reference}"},
}


@pytest.mark.parametrize("table", TABLES)
def test_no_table_can_be_changed(table: str) -> None:
    mine = dict(TABLES[table])
    made = info(**{table: mine})
    mine["other"] = "1/1"
    assert "other" not in getattr(made, table)
    with pytest.raises(TypeError):
        getattr(made, table)["other"] = "1/1"


WRONG: dict[str, list[object]] = {
    "name": ["", "Acme", "acme-sms", "4cme", "a" * 41, None, 4],
    "label": ["", "  ", None, "A\ncme"],
    "base_url": [
        "", "http://api.example.org", "https://", "https://api.example.org/", "https://api.example.org/v1?x=1",
        "https://me:secret@api.example.org", "https://api.example.org:99999", "api.example.org", None,
    ],
    "hook": ["", "AcmeHook", "acme.", "acme:Hook", None],
    "sends": [{}, {"fax": "send"}, {"sms": "elsewhere"}, None, "sms"],
    "endpoints": [{}, {"send": "0/60"}, {"send": "5/0"}, {"send": "5"}, {"send": None}, {"": "5/60"}, None],
    "limits_example": ["", "{", "[]", '{"elsewhere": "5/60"}', '{"send": "0/1"}', None],
    "fields": [{"sender": "text"}, {"rate_limits": SENDER_FIELD}, {"a b": SENDER_FIELD}, {1: SENDER_FIELD}, None],
    "login": ["", 1],
    "login_hint": [None],
    "credentials": [(), ("cookie",), "header", ["header"], None],
    "options": [{"tts": "acme.Options"}, {"sms": "Options"}, {"sms": None}, None],
    "body": ["xml", None],
    "most_recipients": [0, -1, 501, 1.5, True, "500", None],
    "shortest_lead": [timedelta(seconds=-1), 900, None],
    "longest_lead": [timedelta(0), timedelta(days=-1), 900],
    "polls": [None, 1, "yes"],
    "most_polled": [-1, 10, True, None],
    "reports": ["sometimes", None, True],
    "reports_replies": [True, None],
    "answer_options": [{"tts": {}}, {"sms": None}, {"sms": {1: 2}}, None],
    "empty_report": [{"id": 0}, None],
    "listed_by_tag": [None],
    "refuses_repeats_for": [timedelta(0), timedelta(hours=-24), 86_400],
    "simulates": [None, "yes"],
    "simulation_tells_price": [True],
    "currency": ["", "eur", "EURO", 978],
    "rate_limit_wait": [-1, float("nan"), float("inf"), "60", True],
}  # fmt: skip


def test_each_fact_is_tried() -> None:
    assert set(WRONG) == {fact.name for fact in dataclasses.fields(GatewayInfo)}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_fact_that_cannot_be_one_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"^INFO\.{name}: must be ") as caught:
        info(**{name: value})
    assert "secret" not in str(caught.value)


def test_a_fact_that_is_missing_is_named() -> None:
    with pytest.raises(TypeError, match="base_url"):
        GatewayInfo(name="acme")  # type: ignore[call-arg]  # what is tested
