"""
From a row of a file to the request: each person gets their own text, as one who fills it in by hand would write it.

What is expected is written here from parts, without our templates, and counted as the sandbox counts.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.compat import Connection
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.operators.planning import plan_of
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sandbox.text import octopush_parts, smspartner_parts
from tests.support.batches import cut_batches
from tests.support.examples import examples
from tests.support.tasks import CALM

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
NAMES = ("prénom", "n", "ville du jour")
NUMBERS = [f"+3361234567{tail}" for tail in range(6)]

# Pieces that have been, or could be, read as something else than themselves.
pieces = st.sampled_from(
    [
        "a", "Zoé", "e\u0301", "\u0301", "ô", "’", "œ", "ç", "€", "^", "|", "~", "[", "]", "\\", "{", "}", "{{", "}}",
        "{n}", "{{n}}", "{prénom}", "{0}", "{first_name}", "{param1}", "%s", "%(n)s", "%", "$n", "{{ ds }}", "\n",
        "\r\n", "\r", ":br:", ":euro", ":", "é😀", "👩‍👩‍👧", "ẹ", "\u1100", "\u1161", " ", "", "12", "0612345678", '"',
        "'", ",", ";", "\t", "x" * 50, "é" * 48, "\u200b", "\ufeff", "\u00a0", "None", "=1+1", "#", "\u2028", "\x0b",
    ]
)  # fmt: skip
values = st.lists(pieces, max_size=3).map("".join)
literals = st.one_of(
    st.lists(pieces, max_size=3).map("".join), st.sampled_from(["x" * 100, "x" * 150, "x" * 159, "é" * 300])
)
# A template as parts: text, the place of a field, text, and so on.
templates = st.tuples(
    literals, st.integers(0, 2), literals, st.one_of(st.none(), st.tuples(st.integers(0, 2), literals))
).map(lambda parts: [*parts[:3], *(parts[3] or ())])
rows = st.lists(st.tuples(values, values, values), min_size=1, max_size=5)

ENTRIES = ("list", "csv", "csv of Windows", "csv with a mark", "csv with semicolons", "jsonl")


def filled_in(template: Sequence[Any], row: Sequence[str]) -> str:
    return normalize("NFC", "".join(row[part] if isinstance(part, int) else part for part in template))


def written(template: Sequence[Any]) -> str:
    """Return the template as a user writes it."""
    return "".join(
        f"{{{NAMES[part]}}}" if isinstance(part, int) else part.replace("{", "{{").replace("}", "}}")
        for part in template
    )


def entered(entry: str, people: list[dict[str, str]], folder: Path) -> Any:
    """Return rows in one of the ways in which they come."""
    if entry == "list":
        return people
    path = folder / f"people.{entry.split(maxsplit=1)[0]}"
    if entry == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in people), encoding="utf-8")
        return str(path)
    # Python's writer leaves a carriage return without quotes, which ends a line for every reader.
    has_returns = any("\r" in value for row in people for value in row.values())
    text = io.StringIO(newline="")
    table = csv.DictWriter(
        text,
        list(people[0]),
        delimiter=";" if "semicolons" in entry else ",",
        lineterminator="\r\n" if "Windows" in entry else "\n",
        quoting=csv.QUOTE_ALL if "mark" in entry or has_returns else csv.QUOTE_MINIMAL,
    )
    table.writeheader()
    table.writerows(people)
    path.write_bytes(text.getvalue().encode("utf-8-sig" if "mark" in entry else "utf-8"))
    return str(path)


def received(body: Any, text: str) -> list[set[str]]:
    """Return what each recipient of a request gets: one text, or one for each way to fill placeholders in."""
    if "SMSList" in body:
        return [{sms["message"]} for sms in body["SMSList"]]
    assert text
    found = []
    for recipient in body["recipients"]:
        fields = {name: value for name, value in recipient.items() if name != "phone_number"}
        said = set()
        for order in itertools.permutations(fields):
            told = body["text"]
            for name in order:
                told = told.replace(f"{{{name}}}", fields[name])
            said.add(told)
        found.append(said)
    return found


def hook_of(gateway: str) -> GatewayHook:
    login = "planted-login@example.org" if gateway == "octopush" else None
    connection = Connection(conn_id="c", conn_type=gateway, password="planted-key", login=login)
    hook: GatewayHook = (OctopushHook if gateway == "octopush" else SmsPartnerHook)(connection=connection)
    hook.sender.now = lambda: NOW
    return hook


def planned(hook: GatewayHook, to: Any, text: str, options: dict[str, Any]) -> Any:
    task = SendSmsOperator(
        task_id="t", conn_id="c", to=to, message=text, options=options, on_invalid="skip", on_empty="skip"
    )
    message = hook.with_defaults(task.message_to_send())
    return message, plan_of(task.sending_arguments(), hook, message)


@pytest.mark.parametrize(
    ("gateway", "options"),
    [
        ("smspartner", {}),
        ("smspartner", {"is_unicode": True}),
        ("octopush", {}),
        ("octopush", {"auto_optimize_text": False}),
    ],
)
@settings(CALM, max_examples=examples(120), suppress_health_check=[*HealthCheck])
@given(template=templates, told=rows, entry=st.sampled_from(ENTRIES), size=st.integers(1, 3))
@example(template=["{", 0, "}"], told=[("n", "", ""), ("{n}", "x", "")], entry="csv", size=2)
@example(
    template=["x" * 158, 0, ""], told=[("a", "", ""), ("€", "", ""), ("ab", "", "")], entry="csv", size=3
)
@example(template=["Bonjour ", 0, ""], told=[('a "b"\nc, d', "", "")], entry="csv of Windows", size=1)
def test_each_gets_their_own_text_and_pays_for_it(
    tmp_path_factory: pytest.TempPathFactory,
    gateway: str,
    options: dict[str, Any],
    template: list[Any],
    told: list[tuple[str, str, str]],
    entry: str,
    size: int,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    hook = hook_of(gateway)
    text = written(template)
    people = [
        {"phone_number": number, **dict(zip(NAMES, row, strict=True))}
        for number, row in zip(NUMBERS, told, strict=False)
    ]
    with pytest.MonkeyPatch.context() as patch:
        cut_batches(size, patch)
        try:
            message, plan = planned(hook, entered(entry, people, folder), text, options)
        except ConfigurationError:
            return
        alone = [planned(hook, [row], text, options)[1] for row in people]
    expected = {
        number: filled_in(template, row)
        for number, row, one in zip(NUMBERS, told, alone, strict=False)
        if one is not None and one.recipients
    }
    got: dict[str, set[str]] = {}
    weight = 0
    for batch in plan.batches() if plan else ():
        request = hook.build_batch(message, batch.recipients, reference="k3v9x0q2w7ha")
        assert request.body is not None
        numbers = [recipient.phone_number for recipient in batch.recipients]
        got |= dict(zip(numbers, received(request.body, text), strict=True))
        weight += plan.segments_of(batch.index)[0]
    assert list(got) == list(expected)
    for number, said in expected.items():
        if gateway == "smspartner":
            said = said.replace("\r\n", "\n").replace("\r", "\n").replace("\n", ":br:").replace("€", ":euro:")
        assert got[number] == {said}
    assert weight == sum(one.segments for one in alone if one is not None)
    for number, said in expected.items():
        if PLAIN.issuperset(said):
            (one,) = (plan for row, plan in zip(people, alone, strict=True) if row["phone_number"] == number)
            assert one.segments == counted_by_hand(gateway, said, options)


PLAIN = frozenset("aZéxàôù 0123456789,;'\"%=")
"""Of which all readings of the vendors' pages say the same."""


def counted_by_hand(gateway: str, said: str, options: dict[str, Any]) -> int:
    if gateway == "smspartner":
        return max(1, smspartner_parts(said, unicode=bool(options.get("is_unicode"))))
    return octopush_parts(said, optimize=options.get("auto_optimize_text", True))
