"""The rows of incidents as values, and the values as rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_provider_voicepartner.constants import ROWS_A_STATEMENT
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.info import Kind
from airflow_provider_voicepartner.incidents.keys import at_most_text, fit, parse_at_most
from airflow_provider_voicepartner.incidents.model import AtMost, Incident, Occurrence, State, Told
from airflow_provider_voicepartner.incidents.routes import Route, claims_as_text, read_claims, read_times
from airflow_provider_voicepartner.incidents.statements import statements
from airflow_provider_voicepartner.incidents.titles import Words

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_WORD_LENGTH: Final = 40
_PERSON_LENGTH: Final = 120
_NUMBER_LENGTH: Final = 64


def occurrence_columns(occurrence: Occurrence) -> dict[str, Any]:
    """Return an occurrence as columns, each as long as the store takes it."""
    return {
        "dag_id": fit(occurrence.dag_id),
        "run_id": fit(occurrence.run_id),
        "task_id": fit(occurrence.task_id),
        "map_index": occurrence.map_index,
        "try_number": occurrence.try_number,
        "what": fit(occurrence.what, _WORD_LENGTH),
        "moment": fit(occurrence.moment, _WORD_LENGTH),
    }


def told_columns(told: Told) -> dict[str, Any]:
    """Return somebody who was told as columns."""
    return {
        "conn_id": fit(told.conn_id),
        "kind": told.kind,
        "person": fit(told.person, _PERSON_LENGTH),
        "phone_number": fit(told.phone_number, _NUMBER_LENGTH),
    }


def told_in(row: Any) -> Told:
    """Read somebody who was told of a mapping of such columns."""
    return Told(
        conn_id=row["conn_id"],
        kind=cast(Kind, row["kind"]),
        person=row["person"],
        phone_number=row["phone_number"],
    )


def incident_of(row: Any) -> Incident:
    """Read an incident of a mapping of its columns."""
    names = [name for name in Incident.__dataclass_fields__ if name not in ("state", "words")]
    values: dict[str, Any] = {name: row[name] for name in names}
    read = {"state": State(row["state"]), "owner": row["owner"] or "", "words": Words.from_text(row["words"])}
    return Incident(**{**values, **read})


def told_of(connection: Connection, incident: int, route: str | None = None) -> tuple[Told, ...]:
    """Read who was told of an incident, on one route, or on all and by pages; each recipient of a connection once."""
    found: dict[Told, None] = {}
    for row in connection.execute(statements().told_of, {"incident": incident}).mappings():
        if route in (None, row["route"]):
            found[told_in(row)] = None
    if route is None:
        for conn_id, kind, person in connection.execute(statements().paged, {"incident": incident}):
            found[Told(conn_id=conn_id, kind=cast(Kind, kind), person=person)] = None
    return tuple(found)


def route_of(row: Any) -> Route:
    """Read a route of a mapping of its columns."""
    return Route(
        at_most=_at_most(row["at_most"]),
        told_at=read_times(row["told_at"]),
        claims=read_claims(row["claims"]),
        untold=int(row["untold"]),
        untold_since=row["untold_since"],
    )


def read_route(connection: Connection, incident: int, mark: str) -> tuple[Route, str]:
    """Read a route and the marks of its audience; a new one where there is none yet."""
    place = {"incident": incident, "route": mark}
    row = connection.execute(statements().route, place).mappings().one_or_none()
    return (Route(), "") if row is None else (route_of(row), row["audience"])


def put_route(
    connection: Connection, incident: int, mark: str, route: Route, *, audience: str, now: float
) -> None:
    """Write a route."""
    values = {
        "incident": incident,
        "route": mark,
        "audience": audience,
        "at_most": at_most_text(route.at_most),
        "told_at": json.dumps(route.told_at),
        "claims": claims_as_text(route.claims),
        "untold": route.untold,
        "untold_since": route.untold_since,
        "next_message_at": route.next_message_at(now),
    }
    connection.execute(statements().put_route, values)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split values into what one statement takes."""
    for start in range(0, len(values), ROWS_A_STATEMENT):
        yield values[start : start + ROWS_A_STATEMENT]


def _at_most(text: str) -> AtMost | None:
    try:
        return parse_at_most(text or None)
    except InvalidArgumentError:
        return AtMost()
