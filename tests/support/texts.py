"""Ways to hand texts and recipients to an operator, and what the gateway then says to each recipient."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from tests.support.gateways import last_body
from tests.support.tasks import context

ANNA, BEN = "+33612345678", "+33612345679"


PEOPLE = [
    {"phone_number": ANNA, "first_name": "Anna", "nom": "Petit", "prénom": "Zoé", "ville du jour": "Lyon"},
    {"phone_number": BEN, "first_name": "Ben", "nom": "", "prénom": "Noé", "ville du jour": "Metz"},
]


ENTRIES = ("list", "csv", "tsv", "jsonl", "parquet")


def written(entry: str, people: list[dict[str, Any]], folder: Path) -> Any:
    """Return rows in one of the ways in which they come."""
    path = folder / f"people.{entry}"
    if entry == "list":
        return people
    if entry in ("csv", "tsv"):
        text = io.StringIO()
        rows = csv.DictWriter(text, list(people[0]), delimiter="," if entry == "csv" else "\t")
        rows.writeheader()
        rows.writerows(people)
        path.write_text(text.getvalue(), encoding="utf-8")
    elif entry == "jsonl":
        path.write_text("\n".join(map(json.dumps, people)), encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(people), path)
    return str(path)


def said(sandbox: Any) -> list[str]:
    """Return what each recipient of the last request gets, as the gateway puts it together."""
    body = last_body(sandbox)
    if "SMSList" in body:
        return [sms["message"] for sms in body["SMSList"]]
    if "message" in body:
        return [body["message"]] * len(body["phoneNumbers"].split(","))
    if "recipients" not in body:
        return [body["text"]]
    texts = []
    for recipient in body["recipients"]:
        text = body["text"]
        for name, value in recipient.items():
            text = text.replace(f"{{{name}}}", value)
        texts.append(text)
    return texts


def operator(kind: str, text: str, to: Any, **more: Any) -> SendingOperator:
    if kind == "smspartner":
        return SendSmsOperator(task_id="t", to=to, message=text, **more)
    if kind == "octopush":
        return SendSmsOperator(task_id="t", to=to, message=text, conn_id="octopush_default", **more)
    return TtsCallOperator(
        task_id="t", to=to, text=text, conn_id=f"{kind.split(maxsplit=1)[0]}_default", **more
    )


def render_and_run(task: SendingOperator, **names: Any) -> Any:
    given = context(**names)
    task.render_template_fields(given)
    return task.execute(given)
