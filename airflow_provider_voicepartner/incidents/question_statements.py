"""The SQL of questions, for SQLite and PostgreSQL, and their rows as values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import ANSWERS_READ_WITHIN
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.keys import fit
from airflow_provider_voicepartner.incidents.question_model import Ending, Question, Stage

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_PERSON_LENGTH: Final = 120

_AS_THEY_ARE: Final = (
    "id", "ti_id", "dag_id", "run_id", "task_id", "map_index", "most", "link", "code", "last_code", "outcome",
    "asked_at", "answerable_at", "ends_at", "seen", "checked_at", "decided_at", "changed_at", "version",
)  # fmt: skip


def fit_person(name: str) -> str:
    """Return a name as it is stored."""
    return fit(name, _PERSON_LENGTH)


def is_read(connection: Connection, now: float) -> bool:
    """Say whether somebody read answers to questions a short time ago."""
    at = connection.execute(statements().reader).scalar()
    return at is not None and now - float(at) < ANSWERS_READ_WITHIN


def question_of(row: Any) -> Question:
    """Read a question of a mapping of its columns."""
    return Question(
        **{name: row[name] for name in _AS_THEY_ARE},
        options=tuple(json.loads(row["options"])),
        state=Stage(row["state"]),
        chosen=tuple(json.loads(row["chosen"] or "[]")),
        who=row["who"] or "",
        how=row["how"] or "",
    )


def conclude(
    connection: Connection,
    question: Question,
    state: Stage,
    now: float,
    *,
    outcome: Ending | None = None,
    chosen: Sequence[str] = (),
    who: str = "",
    at: float | None = None,
) -> None:
    """End a question whose row is locked; those who wait for a word get it."""
    sql = statements()
    values: dict[str, Any] = {
        "question": question.id,
        "version": question.version,
        "state": state.value,
        "outcome": "" if outcome is None else outcome.value,
        "chosen": json.dumps(list(question.chosen)),
        "who": question.who,
        "how": question.how,
        "decided_at": question.decided_at,
        "now": now,
    }
    if outcome is not None:
        values |= {
            "chosen": json.dumps(list(chosen)),
            "who": fit_person(who),
            "how": Channel.AIRFLOW.value if outcome is Ending.IN_AIRFLOW else "",
            "decided_at": at,
        }
    if connection.execute(sql.conclude, values).rowcount == 1:
        connection.execute(sql.release_replies, {"question": question.id})


@cache
def statements() -> Statements:
    """Return the statements, built once; SQLAlchemy is imported then."""
    return Statements()


class Statements:
    """All of them. Where a question's row is locked, its answers are written by nobody else."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, func, or_, select, text

        from airflow_provider_voicepartner.db.schema import (
            incident,
            page,
            question,
            question_answer,
            question_asked,
            watch,
        )

        row, asked, answer, mine = question.c, question_asked.c, question_answer.c, page.c
        by_id = row.id == bindparam("question")
        is_live = row.state.in_([Stage.OPEN.value, Stage.DECIDED.value])
        is_number = asked.phone_number == bindparam("phone_number")

        self.open = text(
            f"INSERT INTO {question.name} (ti_id, dag_id, run_id, task_id, map_index, options, most, link, code, "
            "last_code, state, outcome, asked_at, answerable_at, ends_at, seen, checked_at, changed_at, version) "
            "VALUES (:ti_id, :dag_id, :run_id, :task_id, :map_index, :options, :most, :link, :code, :code, 'open', "
            "'', :now, :answerable_at, :ends_at, '', :now, :now, 1) ON CONFLICT (ti_id) DO NOTHING"
        )
        self.of_task = select(question).where(row.ti_id == bindparam("ti_id"))
        # FOR UPDATE is for PostgreSQL; on SQLite a write transaction is alone in the database.
        self.lock_others = (
            select(question)
            .where(
                and_(
                    *(row[name] == bindparam(name) for name in ("dag_id", "run_id", "task_id", "map_index")),
                    row.ti_id != bindparam("ti_id"),
                    is_live,
                )
            )
            .order_by(row.id)
            .with_for_update()
        )
        self.lock = select(question).where(by_id).with_for_update()
        self.get = select(question).where(by_id)
        self.all = select(question).order_by(row.id.desc()).limit(bindparam("most"))
        self.live = select(question).where(is_live).order_by(row.id.desc()).limit(bindparam("most"))

        self.ask = text(
            f"INSERT INTO {question_asked.name} "
            "(question, phone_number, kind, number, person, conn_id, language, reference, at) VALUES "
            f"(:question, :phone_number, :kind, (SELECT coalesce(max(number), 0) + 1 FROM {question_asked.name} "
            "WHERE question = :question), :person, :conn_id, :language, :reference, :at) ON CONFLICT "
            "(question, phone_number, kind) DO UPDATE SET conn_id = excluded.conn_id, reference = excluded.reference"
        )
        self.name_batch = text(
            f"UPDATE {question_asked.name} SET gateway = :gateway, gateway_id = :gateway_id "
            "WHERE question = :question AND phone_number = :phone_number AND kind = :kind"
        )
        self.take_back = text(
            f"DELETE FROM {question_asked.name} WHERE question = :question AND phone_number = :phone_number "
            "AND kind = :kind AND gateway IS NULL"
        )
        self.hold = text(
            f"UPDATE {question.name} SET answerable_at = :answerable_at, version = version + 1 "
            "WHERE id = :question AND answerable_at < :answerable_at"
        )
        self.number_of = select(asked.number).where(
            and_(asked.question == bindparam("question"), is_number, asked.kind == bindparam("kind"))
        )
        self.person_of = select(asked.person, asked.language).where(
            and_(asked.question == bindparam("question"), asked.number == bindparam("number"))
        )
        self.any_asked = select(asked.question).where(is_number).limit(1)
        about = select(question, *(asked[name] for name in ("phone_number", "person", "conn_id", "language",
                                                            "reference", "gateway", "gateway_id", "kind")))  # fmt: skip
        joined = about.join(question_asked, asked.question == row.id)
        self.asked_of = joined.where(
            and_(
                is_number,
                asked.at <= bindparam("until"),
                or_(is_live, row.changed_at >= bindparam("since")),
            )
        ).order_by(row.id.desc())
        self.open_of = (
            select(question)
            .join(question_asked, asked.question == row.id)
            .where(and_(is_number, row.state == Stage.OPEN.value))
            .order_by(row.id)
        )
        self.codes_of = (
            select(row.code, row.last_code, row.state)
            .join(question_asked, asked.question == row.id)
            .where(and_(is_number, or_(is_live, row.changed_at >= bindparam("since"))))
        )
        self.first_asked = select(func.min(row.asked_at)).where(
            or_(is_live, row.changed_at >= bindparam("since"))
        )
        self.incidents_of = (
            select(incident.c.code, incident.c.title, incident.c.words)
            .join(page, mine.incident == incident.c.id)
            .where(
                and_(
                    mine.phone_number == bindparam("phone_number"),
                    mine.purpose == "page",
                    mine.phase != "not_sent",
                    incident.c.state != "closed",
                )
            )
            .distinct()
            .order_by(incident.c.title)
        )

        self.reader = text(f"SELECT at FROM {watch.name} WHERE name = 'answers to questions'")
        self.note_reader = text(
            f"INSERT INTO {watch.name} (name, value, version, at) VALUES ('answers to questions', '{{}}', 1, :at) "
            "ON CONFLICT (name) DO UPDATE SET at = excluded.at"
        )
        self.note = text(
            f"INSERT INTO {question_answer.name} (digest, question, person, channel, outcome, reply, phone_number, "
            "conn_id, language, at) VALUES (:digest, :question, :person, :channel, :outcome, :reply, :phone_number, "
            ":conn_id, :language, :at) ON CONFLICT (digest) DO NOTHING"
        )
        self.count_said = select(func.count()).where(
            and_(
                answer.phone_number == bindparam("phone_number"),
                answer.reply != "none",
                answer.at >= bindparam("since"),
            )
        )
        self.decide = text(
            f"UPDATE {question.name} SET state = 'decided', chosen = :chosen, who = :who, how = :how, "
            "decided_at = :now, changed_at = :now, version = version + 1 "
            "WHERE id = :question AND version = :version AND state = 'open'"
        )
        self.conclude = text(
            f"UPDATE {question.name} SET state = :state, outcome = :outcome, code = NULL, chosen = :chosen, "
            "who = :who, how = :how, decided_at = :decided_at, changed_at = :now, version = version + 1 "
            "WHERE id = :question AND version = :version"
        )
        self.release_replies = text(
            f"UPDATE {question_answer.name} SET reply = 'due' WHERE question = :question AND reply = 'waiting'"
        )
        self.to_deliver = (
            select(question)
            .where(and_(row.state == Stage.DECIDED.value, row.answerable_at <= bindparam("now")))
            .order_by(row.answerable_at, row.id)
            .limit(bindparam("most"))
        )
        self.claim = text(
            f"UPDATE {question.name} SET answerable_at = :until, version = version + 1 "
            "WHERE id = :question AND version = :version AND state = 'decided'"
        )
        self.to_check = (
            select(question)
            .where(and_(row.state == Stage.OPEN.value, row.checked_at <= bindparam("before")))
            .order_by(row.checked_at, row.id)
            .limit(bindparam("most"))
        )
        self.checked = text(f"UPDATE {question.name} SET checked_at = :now WHERE id = :question")
        self.postpone = text(
            f"UPDATE {question.name} SET seen = :seen, answerable_at = :answerable_at, version = version + 1 "
            "WHERE id = :question AND state = 'decided'"
        )
        self.due_replies = (
            select(
                question, answer.digest, answer.outcome.label("heard"), answer.person, answer.phone_number,
                answer.conn_id, answer.language,
            )
            .join(question_answer, answer.question == row.id)
            .where(answer.reply == "due")
            .order_by(answer.at, answer.digest)
            .limit(bindparam("most"))
        )  # fmt: skip
        self.claim_reply = text(
            f"UPDATE {question_answer.name} SET reply = 'sent' WHERE digest = :digest AND reply = 'due'"
        )
