"""
Questions to people in the store: who was asked, when Airflow may be given an answer, and what people are told.

Answers are taken in by the module ``question_answers``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import (
    ANSWER_HOLD,
    ANSWERED_WITHIN,
    DELIVERY_LEASE,
    QUESTIONS_A_LOOK,
    QUESTIONS_LISTED,
)
from airflow_provider_voicepartner.incidents.codes import free_code
from airflow_provider_voicepartner.incidents.keys import fit
from airflow_provider_voicepartner.incidents.question_model import (
    Asked,
    Asking,
    DueReply,
    Ending,
    Heard,
    Question,
    Stage,
)
from airflow_provider_voicepartner.incidents.question_statements import (
    conclude,
    fit_person,
    is_read,
    question_of,
    statements,
)
from airflow_provider_voicepartner.incidents.titles import Words, title_in

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store


class QuestionStore:
    """
    The questions of a store. May be used by many threads.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`. Its clock counts.
    :param choose: picks one of several codes; injected by tests.
    """

    def __init__(self, store: Store, *, choose: Callable[[Sequence[int]], int] = random.choice) -> None:
        self._store, self._choose = store, choose

    # Asking

    def open(self, asking: Asking) -> Question:
        """
        Open a question, or join the one of the same try, which another notifier opened.

        A question of an earlier try is over: the task asks anew.

        :returns: as it is now; somebody may have decided it already.
        """
        sql = statements()
        with self._store.write() as connection:
            code = free_code(connection, self._choose)
            now = self._store.now(connection)
            values = {
                "ti_id": asking.ti_id,
                "dag_id": fit(asking.dag_id),
                "run_id": fit(asking.run_id),
                "task_id": fit(asking.task_id),
                "map_index": asking.map_index,
                "options": json.dumps(list(asking.options)),
                "most": asking.most,
                "link": asking.link,
                "code": code,
                "answerable_at": now + ANSWER_HOLD,
                "ends_at": None if asking.seconds is None else now + asking.seconds,
                "now": now,
            }
            if connection.execute(sql.open, values).rowcount > 0:
                for row in connection.execute(sql.lock_others, values).mappings().all():
                    conclude(connection, question_of(row), Stage.ENDED, now, outcome=Ending.ASKED_AGAIN)
            return question_of(connection.execute(sql.of_task, values).mappings().one())

    def ask(self, question: int, people: Iterable[Asked]) -> None:
        """Store who is asked, before the message leaves: nobody else may answer."""
        sql = statements()
        with self._store.write() as connection:
            now = self._store.now(connection)
            for one in people:
                row = {
                    "question": question,
                    "phone_number": one.phone_number,
                    "kind": one.kind,
                    "person": fit_person(one.person),
                    "conn_id": fit(one.conn_id),
                    "language": one.language[:10],
                    "reference": one.reference,
                    "at": now,
                }
                connection.execute(sql.ask, row)

    def was_asked(
        self, question: int, phone_numbers: Iterable[str], kind: str, *, gateway: str, gateway_id: str | None
    ) -> None:
        """Store by which batch numbers were asked; the time before an answer is given to Airflow begins again."""
        sql = statements()
        with self._store.write() as connection:
            now = self._store.now(connection)
            hold = {"question": question, "answerable_at": now + ANSWER_HOLD}
            connection.execute(sql.hold, hold)
            for number in phone_numbers:
                batch = {"gateway": gateway, "gateway_id": gateway_id}
                connection.execute(
                    sql.name_batch, {"question": question, "phone_number": number, "kind": kind, **batch}
                )

    def was_not_asked(self, question: int, phone_numbers: Iterable[str], kind: str) -> None:
        """Take numbers back that certainly got no message."""
        with self._store.write() as connection:
            for number in phone_numbers:
                connection.execute(
                    statements().take_back, {"question": question, "phone_number": number, "kind": kind}
                )

    # Airflow

    def to_deliver(self, most: int = QUESTIONS_A_LOOK) -> list[Question]:
        """Return decided questions whose answer may be given to Airflow now, the longest due first."""
        with self._store.read() as connection:
            values = {"now": self._store.now(connection), "most": most}
            return [
                question_of(row) for row in connection.execute(statements().to_deliver, values).mappings()
            ]

    def to_check(self, seconds: float, most: int = QUESTIONS_A_LOOK) -> list[Question]:
        """Return open questions that were not looked at in Airflow for so long; these are then noted as looked at."""
        sql = statements()
        with self._store.write() as connection:
            now = self._store.now(connection)
            values = {"before": now - seconds, "most": most}
            found = [question_of(row) for row in connection.execute(sql.to_check, values).mappings()]
            for one in found:
                connection.execute(sql.checked, {"question": one.id, "now": now})
            return found

    def claim(self, question: Question) -> bool:
        """Claim the giving of an answer to Airflow, for a minute; False where somebody else does it."""
        with self._store.write() as connection:
            until = self._store.now(connection) + DELIVERY_LEASE
            values = {"question": question.id, "version": question.version, "until": until}
            return bool(connection.execute(statements().claim, values).rowcount == 1)

    def postpone(self, question: Question, seen: str) -> None:
        """Hold an answer back for a while, because of what Airflow said of the task: ``running`` or ``parked``."""
        with self._store.write() as connection:
            now = self._store.now(connection)
            values = {"question": question.id, "seen": seen, "answerable_at": now + ANSWER_HOLD}
            connection.execute(statements().postpone, values)

    def delivered(self, question: Question) -> None:
        """Note that Airflow took the answer."""
        self._end(question, Stage.DELIVERED)

    def end(
        self,
        question: Question,
        outcome: Ending,
        *,
        chosen: Sequence[str] = (),
        who: str = "",
        at: float | None = None,
    ) -> None:
        """
        Note that a question is over without an answer of ours.

        :param chosen: what was answered in Airflow.
        :param who: who answered there; empty for nobody, such as a default.
        :param at: when, in Unix seconds.
        """
        self._end(question, Stage.ENDED, outcome=outcome, chosen=chosen, who=who, at=at)

    def _end(self, question: Question, state: Stage, **more: Any) -> None:
        with self._store.write() as connection:
            row = connection.execute(statements().lock, {"question": question.id}).mappings().one_or_none()
            if row is not None and question_of(row).state.is_live:
                conclude(connection, question_of(row), state, self._store.now(connection), **more)

    # What people are told

    def claim_replies(self, most: int = QUESTIONS_A_LOOK) -> list[DueReply]:
        """
        Return what people who answered are to be told, each to one caller only.

        Who dies over it leaves somebody without a word, and nobody with two.
        """
        sql, found = statements(), []
        with self._store.write() as connection:
            for row in connection.execute(sql.due_replies, {"most": most}).mappings().all():
                if connection.execute(sql.claim_reply, {"digest": row["digest"]}).rowcount != 1:
                    continue
                heard = Heard(row["heard"])
                choices = self._choices(connection, row) if _needs_choices(heard) else ()
                found.append(
                    DueReply(
                        heard=heard,
                        question=question_of(row),
                        person=row["person"],
                        phone_number=row["phone_number"],
                        conn_id=row["conn_id"],
                        language=row["language"],
                        is_own=heard is Heard.DECIDED,
                        choices=choices,
                    )
                )
        return found

    @staticmethod
    def _choices(connection: Connection, reply: Any) -> tuple[tuple[int, str], ...]:
        sql, values = statements(), {"phone_number": reply["phone_number"]}
        questions = [
            (int(row["code"]), question_of(row).name)
            for row in connection.execute(sql.open_of, values).mappings()
            if row["code"] is not None
        ]
        incidents = [
            (int(code), title_in(reply["language"], title, Words.from_text(words)))
            for code, title, words in connection.execute(sql.incidents_of, values)
            if code is not None
        ]
        return tuple(dict.fromkeys([*questions, *incidents]))

    # Reading

    def get(self, question: int) -> Question | None:
        """Return one question; None where there is none with this id."""
        with self._store.read() as connection:
            row = connection.execute(statements().get, {"question": question}).mappings().one_or_none()
            return None if row is None else question_of(row)

    def find(self, *, only_live: bool = True, most: int = QUESTIONS_LISTED) -> list[Question]:
        """Return questions, the newest first."""
        query = statements().live if only_live else statements().all
        with self._store.read() as connection:
            return [question_of(row) for row in connection.execute(query, {"most": most}).mappings()]

    def number_of(self, question: int, phone_number: str, kind: str) -> int | None:
        """Return the number of somebody who is asked, within the question, from 1; for a link."""
        values = {"question": question, "phone_number": phone_number, "kind": kind}
        with self._store.read() as connection:
            found = connection.execute(statements().number_of, values).scalar()
            return None if found is None else int(found)

    def person_of(self, question: int, number: int) -> tuple[str, str] | None:
        """Return name and language of whom a link was sent to; None where nobody has that number any more."""
        values = {"question": question, "number": number}
        with self._store.read() as connection:
            found = connection.execute(statements().person_of, values).one_or_none()
            return None if found is None else (str(found.person), str(found.language))

    def note_reader(self) -> None:
        """Note that answers are read now."""
        with self._store.write() as connection:
            connection.execute(statements().note_reader, {"at": self._store.now(connection)})

    def has_reader(self) -> bool:
        """Say whether somebody read answers a short time ago: else no question may say that it can be answered."""
        with self._store.read() as connection:
            return is_read(connection, self._store.now(connection))

    def first_asked(self) -> float | None:
        """Return since when answers may matter, in Unix seconds; None where nobody was asked lately."""
        with self._store.read() as connection:
            values = {"since": self._store.now(connection) - ANSWERED_WITHIN}
            found = connection.execute(statements().first_asked, values).scalar()
            return None if found is None else float(found)


def _needs_choices(heard: Heard) -> bool:
    return heard in (Heard.AMBIGUOUS, Heard.UNKNOWN_CODE)
