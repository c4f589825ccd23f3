"""
The delivery store's SQL, for SQLite and PostgreSQL.

Any number of keys is passed as one parameter, a list of lists in JSON: ten thousand parameters are more than some
databases allow, and a statement with another text each time is planned anew each time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

DELIVERY_REPORT: Final = (
    "gateway", "campaign", "phone_number", "status", "gateway_status", "detail", "at", "duration", "cost",
    "pressed_keys", "opted_out", "gateway_campaign", "received_at", "seq",
)  # fmt: skip
CAMPAIGN_REPORT: Final = (
    "gateway", "campaign", "delivered", "total", "gateway_campaign", "received_at", "seq",
)  # fmt: skip

BATCH_RECIPIENTS: Final = ("gateway", "reference", "marks", "ends")
OPT_OUT: Final = ("key", "person", "said_at", "gateway")

_EVENT: Final = (
    "id", "seq", "kind", "gateway", "campaign", "phone_number", "text", "sent_to", "at", "part", "parts",
    "parts_reference", "received_at",
)  # fmt: skip
_DEAD_LETTER: Final = (
    "gateway", "campaign", "method", "content_type", "query", "body", "why", "received_at",
)  # fmt: skip

_SKIP_KNOWN_DIGEST: Final = "ON CONFLICT (digest) DO NOTHING"
_SKIP_KNOWN: Final = "ON CONFLICT ({key}) DO NOTHING"
_EARLIEST: Final = (
    "ON CONFLICT ({key}) DO UPDATE SET said_at = excluded.said_at, gateway = excluded.gateway "
    "WHERE excluded.said_at < voicepartner_opt_out.said_at"
)
_KEPT_INCIDENT: Final = "changed_at >= :before OR (state <> 'closed' AND policy IS NOT NULL)"
_REPLACE: Final = "ON CONFLICT ({key}) DO UPDATE SET {rest}"


@dataclass(frozen=True, slots=True)
class Old:
    """
    Statements about the rows of one table that are older than ``before``.

    :param count: counts them.
    :param delete: deletes at most ``limit`` of them.
    """

    count: Any
    delete: Any


class Insert:
    """
    Inserts rows into a table, any number of them with one statement, in their order.

    PostgreSQL gets them as one parameter in JSON, which takes a third of the time of a statement for each. SQLite does
    not always read a fraction from JSON unchanged, and is fast either way.

    :param table: of the schema.
    :param columns: of the rows.
    :param conflict: the ``ON CONFLICT`` clause, if any.
    """

    def __init__(self, table: Any, columns: tuple[str, ...], conflict: str, *, is_postgres: bool) -> None:
        from sqlalchemy import text
        from sqlalchemy.dialects import postgresql

        make_dialect: Callable[[], Any] = postgresql.dialect
        key = [column.name for column in table.primary_key]
        rest = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
        names = ", ".join(columns)
        if is_postgres:
            kinds = [table.c[name].type.compile(dialect=make_dialect()) for name in columns]
            values = ", ".join(
                # Bytes are passed in base64: JSON has only text.
                f"decode(v ->> {place}, 'base64')" if kind == "BYTEA" else f"CAST(v ->> {place} AS {kind})"
                for place, kind in enumerate(kinds)
            )
            rows = "json_array_elements(CAST(:rows AS json)) WITH ORDINALITY AS t (v, n)"
            source = f"SELECT {values} FROM {rows} ORDER BY n"
        else:
            source = f"VALUES ({', '.join('?' for _ in columns)})"
        self._columns = columns
        self._is_postgres = is_postgres
        self._sql = (
            f"INSERT INTO {table.name} ({names}) {source} {conflict.format(key=', '.join(key), rest=rest)}"
        )
        self._statement = text(self._sql)

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert the rows, if there are any; return how many were inserted or replaced."""
        if not rows:
            return 0
        if self._is_postgres:
            values = rows_as_json([[_as_json(row[name]) for name in self._columns] for row in rows])
            return connection.execute(self._statement, {"rows": values}).rowcount
        # Straight to the driver: SQLAlchemy would process each value of each row first.
        tuples = [tuple(row[name] for name in self._columns) for row in rows]
        return connection.exec_driver_sql(self._sql, tuples).rowcount


class Statements:
    """The statements, built once; SQLAlchemy is imported here."""

    def __init__(self, *, is_postgres: bool) -> None:
        from sqlalchemy import text

        from airflow_provider_voicepartner.db import schema

        reports, campaigns = schema.delivery_report.name, schema.campaign_report.name
        events, letters = schema.event.name, schema.dead_letter.name
        keys = _keys(2, is_postgres=is_postgres)
        mine = "r.gateway = k.c0 AND r.campaign = k.c1"

        self.advance = text(
            f"INSERT INTO {schema.sequence.name} (name, value) VALUES ('delivery', 1) "
            f"ON CONFLICT (name) DO UPDATE SET value = {schema.sequence.name}.value + 1"
            # Saves a round trip to the server; SQLite has none, and knows RETURNING only since 3.35.
            + (" RETURNING value" if is_postgres else "")
        )
        self._returns_number = is_postgres
        self.cursor = text(f"SELECT value FROM {schema.sequence.name} WHERE name = 'delivery'")
        self.lock = text(f"{self.cursor.text} FOR UPDATE")
        self.known_reports = text(
            f"SELECT {_columns(DELIVERY_REPORT)} FROM {_keys(3, is_postgres=is_postgres)} JOIN {reports} r "
            f"ON {mine} AND r.phone_number = k.c2"
        ).columns(*(schema.delivery_report.c[name] for name in DELIVERY_REPORT))
        self.known_campaigns = text(
            f"SELECT {_columns(CAMPAIGN_REPORT)} FROM {keys} JOIN {campaigns} r ON {mine}"
        )
        self.add_report = Insert(
            schema.delivery_report, DELIVERY_REPORT, _SKIP_KNOWN, is_postgres=is_postgres
        )
        self.put_report = Insert(schema.delivery_report, DELIVERY_REPORT, _REPLACE, is_postgres=is_postgres)
        self.put_campaign = Insert(schema.campaign_report, CAMPAIGN_REPORT, _REPLACE, is_postgres=is_postgres)
        self.add_event = Insert(
            schema.event, (*_EVENT[1:], "digest"), _SKIP_KNOWN_DIGEST, is_postgres=is_postgres
        )
        self.events_by_digest = text(
            f"SELECT digest, text, at, received_at FROM {_keys(1, is_postgres=is_postgres)} "
            f"JOIN {events} ON digest = k.c0"
        )
        self.complete_event = text(
            f"UPDATE {events} SET text = :text, at = :at, received_at = :received_at WHERE digest = :digest"
        )
        self.add_dead_letter = Insert(schema.dead_letter, _DEAD_LETTER, "", is_postgres=is_postgres)
        # Counted with OFFSET, not computed from the newest id: dead letters that were deleted leave gaps.
        self.prune_dead_letters = text(
            f"DELETE FROM {letters} WHERE id <= (SELECT id FROM {letters} ORDER BY id DESC LIMIT 1 OFFSET :kept)"
        )
        # One URL must not push out the dead letters of all others.
        self.prune_dead_letters_of = text(
            f"DELETE FROM {letters} WHERE campaign = :campaign AND gateway = :gateway AND id NOT IN (SELECT id FROM "
            f"{letters} WHERE campaign = :campaign AND gateway = :gateway ORDER BY id DESC LIMIT :kept)"
        )
        self.count_events = text(
            f"SELECT gateway, campaign, count(*) FROM {keys} JOIN {events} r ON {mine} GROUP BY gateway, campaign"
        )
        self.marks_of_batches = text(
            f"SELECT gateway, reference, marks FROM {keys} JOIN {schema.batch_recipients.name} "
            "ON gateway = k.c0 AND reference = k.c1"
        )
        self.put_recipients = Insert(
            schema.batch_recipients, BATCH_RECIPIENTS, _REPLACE, is_postgres=is_postgres
        )
        self.put_opt_out = Insert(schema.opt_out, OPT_OUT, _EARLIEST, is_postgres=is_postgres)
        self.totals = text(
            "SELECT r.gateway, r.campaign, r.delivered, r.total, r.gateway_campaign "
            f"FROM {keys} JOIN {campaigns} r ON {mine}"
        )
        self.reports = text(f"SELECT {_columns(DELIVERY_REPORT)} FROM {keys} JOIN {reports} r ON {mine}")
        self.any_report = text(
            f"SELECT k.c0 FROM {keys} WHERE EXISTS (SELECT 1 FROM {reports} r WHERE {mine}) "
            f"OR EXISTS (SELECT 1 FROM {campaigns} r WHERE {mine})"
        )
        # One statement sees one snapshot: the cursor and the rows are of the same commit.
        self.changes = text(
            f"WITH wanted (gateway, campaign) AS (SELECT gateway, campaign FROM {reports} WHERE seq > :since "
            f"UNION SELECT gateway, campaign FROM {campaigns} WHERE seq > :since UNION SELECT k.c0, k.c1 FROM {keys}) "
            "SELECT 'cursor' AS what, '' AS gateway, '' AS campaign, '' AS said, value AS number, 0 AS total "
            f"FROM {schema.sequence.name} WHERE name = 'delivery' "
            "UNION ALL SELECT 'count', r.gateway, r.campaign, r.status, count(*), 0 FROM wanted w "
            f"JOIN {reports} r ON r.gateway = w.gateway AND r.campaign = w.campaign "
            "GROUP BY r.gateway, r.campaign, r.status "
            "UNION ALL SELECT 'total', r.gateway, r.campaign, r.gateway_campaign, r.delivered, r.total FROM wanted w "
            f"JOIN {campaigns} r ON r.gateway = w.gateway AND r.campaign = w.campaign"
        )
        self.events_by_id = text(
            f"SELECT {', '.join(f'e.{name}' for name in _EVENT)} FROM {_keys(1, is_postgres=is_postgres)} "
            f"JOIN {events} e ON e.id = CAST(k.c0 AS BIGINT) ORDER BY e.id"
        )
        self.opt_outs = text(
            f"SELECT DISTINCT phone_number FROM {events} WHERE kind = 'opt_out' AND received_at >= :since "
            "ORDER BY phone_number"
        )
        stops = f"SELECT phone_number, gateway, at, received_at FROM {events} WHERE kind = 'opt_out'"
        self.stops = text(f"{stops} AND received_at < :before AND phone_number <> ''")
        self.stops_of = text(f"{stops} AND received_at < :before AND phone_number = :number")
        self.opt_outs_by_hash = text(
            f"SELECT key, person, said_at, gateway FROM {keys} JOIN {schema.opt_out.name} "
            "ON key = k.c0 AND person = k.c1"
        )
        self.keys_of_opt_outs = text(f"SELECT DISTINCT key FROM {schema.opt_out.name}")
        self.own_key = text(f"SELECT value FROM {schema.own_key.name} WHERE name = :name")
        self.make_own_key = text(
            f"INSERT INTO {schema.own_key.name} (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"
        )
        self.letters = text(f"SELECT id, {', '.join(_DEAD_LETTER)} FROM {letters} ORDER BY id")
        self.delete_letter = text(f"DELETE FROM {letters} WHERE id = :id")
        self.reports_of_person = text(
            f"SELECT {_columns(DELIVERY_REPORT)} FROM {reports} r WHERE phone_number = :number ORDER BY received_at"
        ).columns(*(schema.delivery_report.c[name] for name in DELIVERY_REPORT))
        self.events_of_person = text(
            f"SELECT {', '.join(_EVENT)} FROM {events} WHERE phone_number = :number ORDER BY id"
        )
        self.erase_reports = text(f"DELETE FROM {reports} WHERE phone_number = :number")
        self.erase_events = text(f"DELETE FROM {events} WHERE phone_number = :number")
        told, pages = schema.incident_told.name, schema.page.name
        asked, answered = schema.question_asked.name, schema.question_answer.name
        answers = schema.answer.name
        # The names by which the store knows the number. Two people may share it; both are that number's.
        names = (
            f"(SELECT person FROM {pages} WHERE phone_number = :number AND person <> '' "
            f"UNION SELECT person FROM {asked} WHERE phone_number = :number AND person <> '')"
        )
        is_theirs = f"phone_number = :number OR (phone_number = '' AND person IN {names})"
        self.told_of_person = text(
            f"SELECT incident, conn_id, kind, person, phone_number, at FROM {told} "
            f"WHERE {is_theirs} ORDER BY at"
        )
        clears = schema.all_clear.name
        self.all_clears_of_person = text(
            f"SELECT incident, conn_id, kind, person, phone_number, phase, since FROM {clears} "
            f"WHERE {is_theirs} ORDER BY since"
        )
        self.erase_all_clears = text(f"DELETE FROM {clears} WHERE {is_theirs}")
        self.answers_of_person = text(
            f"SELECT incident, person, channel, action, result, at FROM {answers} WHERE person IN {names} "
            f"UNION ALL SELECT question, person, channel, 'question', outcome, at FROM {answered} "
            f"WHERE phone_number = :number ORDER BY at"
        )
        self.pages_of_person = text(
            f"SELECT incident, number, person, kind, conn_id, phase, phone_number, at FROM {pages} "
            "WHERE phone_number = :number ORDER BY at"
        )
        self.erase_told = text(f"DELETE FROM {told} WHERE {is_theirs}")
        # What was decided stays, without the name of whoever did.
        self.erase_answers = text(f"UPDATE {answers} SET person = '' WHERE person IN {names}")
        incidents = schema.incident.name
        # What was closed needs its escalation no more, which names everybody in it; an open one needs it.
        self.erase_escalations = text(
            f"UPDATE {incidents} SET escalation = NULL, owner = NULL, version = version + 1 "
            f"WHERE state = 'closed' AND id IN (SELECT incident FROM {pages} WHERE phone_number = :number)"
        )
        # In the order of their ids, as everybody locks incidents who locks several.
        self.lock_incidents_of_person = text(
            f"SELECT id FROM {incidents} WHERE id IN (SELECT incident FROM {pages} WHERE phone_number = :number "
            f"OR said IN {names} UNION SELECT incident FROM {told} WHERE phone_number = :number OR person IN {names}) "
            "ORDER BY id FOR UPDATE"
        )
        self.erase_said = text(f"UPDATE {pages} SET said = '' WHERE said IN {names} AND phase <> 'claimed'")
        # The page stays, for the escalation counts it.
        self.questions_of_person = text(
            f"SELECT question, person, kind, conn_id, phone_number, at FROM {asked} "
            "WHERE phone_number = :number ORDER BY question, kind"
        )
        self.erase_questions = text(f"DELETE FROM {asked} WHERE phone_number = :number")
        # What was decided stays, without the number of whoever did.
        self.erase_question_answers = text(
            f"UPDATE {answered} SET phone_number = '', person = '', reply = 'none' WHERE phone_number = :number"
        )
        self.erase_pages = text(
            f"UPDATE {pages} SET phone_number = NULL, person = '' WHERE phone_number = :number"
        )
        self.all_marks = text(f"SELECT {', '.join(BATCH_RECIPIENTS)} FROM {schema.batch_recipients.name}")
        self.old = {
            "delivery reports": _old(text, reports, "gateway, campaign, phone_number", "received_at"),
            "campaign reports": _old(text, campaigns, "gateway, campaign", "received_at"),
            "events": _old(text, events, "id", "received_at"),
            "dead letters": _old(text, letters, "id", "received_at"),
            "recipients of batches": _old(text, schema.batch_recipients.name, "gateway, reference", "ends"),
            "lists of mapped tasks": _old(
                text, schema.mapped_list.name, "task, map_index, fingerprint", "at"
            ),
            # A campaign is deleted before its attempts and batches: batches without a campaign mean nothing, but a
            # campaign without its batches would mean that nothing was sent.
            "campaigns of the ledger": _old(text, schema.campaign.name, "id", "at"),
            "attempts of the ledger": _orphans(
                text, schema.attempt.name, "campaign, number", schema.campaign.name
            ),
            "batches of the ledger": _orphans(
                text, schema.batch.name, "campaign, generation, position", schema.campaign.name
            ),
            "questions": _old(text, schema.question.name, "id", "changed_at"),
            "people who were asked": _old(
                text, schema.question_asked.name, "question, phone_number, kind", "at"
            ),
            "answers to questions": _old(text, schema.question_answer.name, "digest", "at"),
            # An incident is deleted before what belongs to it: an open one without an escalation is one that nobody
            # reports on any more.
            "incidents": _where(text, schema.incident.name, "id", f"NOT ({_KEPT_INCIDENT})"),
            "alerts of incidents": _of_incidents(
                text, schema.incident_alert, schema.incident.name, "OR at < :before"
            ),
            "counts of incidents": _of_incidents(text, schema.incident_route, schema.incident.name),
            "people told of incidents": _of_incidents(text, schema.incident_told, schema.incident.name),
            "all clears": _of_incidents(text, schema.all_clear, schema.incident.name),
            "pages": _of_incidents(text, schema.page, schema.incident.name),
            "answers": _old(text, schema.answer.name, "digest", "at"),
            "silences": _old(text, schema.silence.name, "id", "ends_at"),
            "reservations": _old(text, schema.rate_slot.name, "id", "at"),
        }

    def next_number(self, connection: Connection) -> int:
        """Take the number of this commit, and with it the lock of all writers."""
        advanced = connection.execute(self.advance)
        found = advanced if self._returns_number else connection.execute(self.cursor)
        return int(found.scalar_one())


def _keys(width: int, *, is_postgres: bool) -> str:
    """Return the FROM item of the parameter ``keys``: a table ``k`` with columns ``c0``, ``c1`` …"""
    if is_postgres:
        columns = ", ".join(f"v ->> {place} AS c{place}" for place in range(width))
        return f"(SELECT {columns} FROM json_array_elements(CAST(:keys AS json)) AS t (v)) AS k"
    columns = ", ".join(f"json_extract(value, '$[{place}]') AS c{place}" for place in range(width))
    return f"(SELECT {columns} FROM json_each(:keys)) AS k"


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(f"r.{name}" for name in names)


def _old(text: Any, table: str, key: str, time: str) -> Old:
    some = f"SELECT {key} FROM {table} WHERE {time} < :before LIMIT :limit"
    return Old(
        count=text(f"SELECT count(*) FROM {table} WHERE {time} < :before"),
        delete=text(f"DELETE FROM {table} WHERE ({key}) IN ({some})"),
    )


def _where(text: Any, table: str, key: str, condition: str) -> Old:
    """Return statements about the rows of a condition."""
    return Old(
        count=text(f"SELECT count(*) FROM {table} WHERE {condition}"),
        delete=text(
            f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT :limit)"
        ),
    )


def _of_incidents(text: Any, table: Any, incidents: str, more: str = "") -> Old:
    """Return statements about the rows of deleted incidents, and of incidents that would be deleted."""
    key = ", ".join(column.name for column in table.primary_key)
    kept = f"SELECT id FROM {incidents} WHERE {_KEPT_INCIDENT}"
    # An alert that was silenced opened no incident.
    own = "incident <> 0 AND " if more else ""
    return _where(text, table.name, key, f"({own}incident NOT IN ({kept})) {more}")


def _orphans(text: Any, table: str, key: str, campaigns: str) -> Old:
    """Return statements about the rows of deleted campaigns, and of campaigns that would be deleted."""
    which = f"FROM {table} WHERE campaign NOT IN (SELECT id FROM {campaigns} WHERE at >= :before)"
    some = f"SELECT {key} {which} LIMIT :limit"
    return Old(
        count=text(f"SELECT count(*) {which}"),
        delete=text(f"DELETE FROM {table} WHERE ({key}) IN ({some})"),
    )


def _as_json(value: Any) -> Any:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def rows_as_json(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as one parameter of a statement."""
    return json.dumps(rows, separators=(",", ":"))
