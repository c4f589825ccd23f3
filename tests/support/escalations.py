"""Incidents, people and clocks for tests of escalations."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.contacts.directory import Directory, Person
from airflow_provider_voicepartner.contacts.policy import By, Policy, Step
from airflow_provider_voicepartner.contacts.targets import Target, numbers_of
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.incidents.pages import PageStore

NUMBERS = {"anne": "+33612345601", "bruno": "+33612345602", "chloe": "+33612345603", "boss": "+33612345604"}
STRANGER = "+33612345699"

DIRECTORY = Directory(
    people={
        name: Person(name=name, phones=(number,), mobiles=(number,), language="en")
        for name, number in NUMBERS.items()
    },
    last_resort=("boss",),
)
POLICY = Policy(
    name="night",
    steps=(Step(("anne",), By.SMS, 300.0), Step(("bruno", "chloe"), By.CALL, 600.0)),
    repeat=1,
    acknowledged_for=7200.0,
    sms="smspartner_default",
    call="octopush_default",
)


@dataclass
class Clock:
    """Unix seconds that a test sets."""

    now: float = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def resolver(names: Sequence[str], by: By, is_last_resort: bool, now: float) -> Sequence[Target]:
    """Return the people of the directory; a name is a person's."""
    return numbers_of(DIRECTORY, DIRECTORY.last_resort if is_last_resort else names, by.kind)


def numbers(people: Sequence[str]) -> Sequence[Target]:
    """Return the numbers of people for text messages."""
    return numbers_of(DIRECTORY, people, "sms")


def page_store(store: Store) -> PageStore:
    """Return the escalations of a store, whose references are counted."""
    count = itertools.count(1)
    return PageStore(store, new_reference=lambda: f"page{next(count):08d}")


_keys = itertools.count(1)


def open_incident(
    store: Store, *, policy: str | None = "night", code: int | None = None, title: str = "sales.load failed"
) -> int:
    """Open an incident as an alert with a policy does; return its id."""
    from sqlalchemy import insert

    from airflow_provider_voicepartner.db.schema import incident

    key = f"key {next(_keys)}"
    values: dict[str, Any] = {
        "key": key, "open_key": key, "dag_id": "sales", "task_id": "load", "what": "failure", "title": title,
        "link": "https://airflow.example.org/x", "state": "open", "alerts": 1, "code": code, "policy": policy,
        "version": 1,
    }  # fmt: skip
    with store.write() as connection:
        now = store.now(connection)
        values |= {"opened_at": now, "changed_at": now}
        for column in incident.columns:
            if not column.nullable and column.name not in values and column.name != "id":
                values[column.name] = "[]" if column.type.python_type is str else 0
        return int(connection.execute(insert(incident).values(**values)).inserted_primary_key[0])  # type: ignore[index]


def incident_row(store: Store, incident: int) -> Any:
    """Return the row of an incident."""
    from sqlalchemy import select

    from airflow_provider_voicepartner.db import schema

    with store.read() as connection:
        return connection.execute(select(schema.incident).where(schema.incident.c.id == incident)).one()


def let_it_be_due(store: Store) -> None:
    """Let the next step of the store's one incident be due now."""
    from sqlalchemy import select

    from airflow_provider_voicepartner.db.schema import incident

    with store.write() as connection:
        now = store.now(connection)
        (state,) = connection.execute(select(incident.c.escalation)).scalars()
        values = {"due_at": now, "escalation": json.dumps({**json.loads(state), "due_at": now})}
        connection.execute(incident.update().values(**values))


def page_rows(store: Store, incident: int | None = None) -> list[Any]:
    """Return the rows of pages, in the order in which they were numbered."""
    from sqlalchemy import select

    from airflow_provider_voicepartner.db.schema import page

    query = select(page).order_by(page.c.incident, page.c.number)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [row for row in rows if incident in (None, row.incident)]


def answer_rows(store: Store) -> list[Any]:
    """Return the rows of answers, the oldest first."""
    from sqlalchemy import select

    from airflow_provider_voicepartner.db.schema import answer

    with store.read() as connection:
        return list(connection.execute(select(answer).order_by(answer.c.at, answer.c.digest)).all())
