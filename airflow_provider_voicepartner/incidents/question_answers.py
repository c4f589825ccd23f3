"""
Answers to questions: which one an answer is about, and whether it decides.

Only a number that was asked may answer by phone, and only with an option that there is. Of two answers at the same
moment the first that is stored has it; the other is told who decided.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import (
    ANSWERED_WITHIN,
    MOST_SAID_ANSWERS,
    SAID_ANSWERS_SECONDS,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.choices import (
    ReadReply,
    choose_options,
    read_pressed,
    read_reply,
)
from airflow_provider_voicepartner.incidents.question_model import (
    Answered,
    Ending,
    Heard,
    PhoneReply,
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

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store


class QuestionAnswers:
    """
    Takes in answers to the questions of a store. May be used by many threads.

    :param store: an open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def by_phone(self, reply: PhoneReply) -> Answered | None:
        """
        Take in an answer that came by phone.

        :returns: None for one from a number that was not asked lately, one that was taken in before, and one that is
            about an incident.
        """
        sql = statements()
        values = {"phone_number": reply.phone_number}
        with self._store.read() as connection:
            # Most replies are to campaigns: without a question to that number nothing is written.
            if connection.execute(sql.any_asked, values).first() is None:
                return None
        with self._store.write() as connection:
            now = self._store.now(connection)
            rows = connection.execute(
                sql.asked_of, {**values, "until": reply.received_at, "since": now - ANSWERED_WITHIN}
            ).mappings()
            asked = list({int(row["id"]): row for row in rows}.values())
            heard = self._hear(connection, reply, asked, now) if asked else None
            if heard is None:
                return None
            answered, row = heard
            is_new = self._note(connection, reply.digest, reply.channel, answered, row, now)
            if not is_new:
                return None
            if answered.heard is Heard.DECIDED:
                chosen = choose_options(_read(reply), answered.question.options, most=answered.question.most)
                self._decide(connection, answered, chosen, reply.channel, now)
                return replace(answered, question=_get(connection, answered.question.id))
            return answered

    def _hear(
        self, connection: Connection, reply: PhoneReply, asked: Sequence[Any], now: float
    ) -> tuple[Answered, Any] | None:
        """Say what an answer is about, and what comes of it; None where it is none of our business."""
        read = _read(reply)
        of_incident = connection.execute(
            statements().incidents_of, {"phone_number": reply.phone_number}
        ).all()
        live = [row for row in asked if row["state"] == Stage.OPEN]
        if reply.channel is Channel.CALL:
            about = [row for row in asked if _is_named(row, reply)]
        elif read.code is not None:
            about = [row for row in live if row["code"] == read.code]
            about = about or [row for row in asked if row["last_code"] == read.code]
            if not about and (of_incident or not live):
                return None
            if not about:
                return self._answered(Heard.UNKNOWN_CODE, live[0]), live[0]
        elif len(live) > 1 or (live and of_incident):
            return self._answered(Heard.AMBIGUOUS, live[0]), live[0]
        else:
            about = live or ([] if of_incident else list(asked[:1]))
        if not about:
            return None
        row = connection.execute(statements().lock, {"question": about[0]["id"]}).mappings().one_or_none()
        if row is None:
            return None
        place = {**about[0], **row}
        chosen = choose_options(read, json.loads(row["options"]), most=int(row["most"]))
        if row["state"] != Stage.OPEN:
            # Thanks, and other words afterwards, are no answers.
            return (self._answered(Heard.ALREADY, place), place) if chosen else None
        if not chosen:
            return self._answered(Heard.NOT_UNDERSTOOD, place), place
        if row["ends_at"] is not None and now >= row["ends_at"]:
            conclude(connection, question_of(row), Stage.ENDED, now, outcome=Ending.EXPIRED)
            ended = {**place, "state": Stage.ENDED.value, "outcome": Ending.EXPIRED.value, "code": None}
            return self._answered(Heard.ALREADY, ended), ended
        return self._answered(Heard.DECIDED, place), place

    @staticmethod
    def _answered(heard: Heard, row: Any) -> Answered:
        return Answered(heard=heard, question=question_of(row), person=row["person"])

    def by_name(
        self, question: int, option: str, who: str, channel: Channel, *, digest: str
    ) -> Answered | None:
        """
        Take in the answer of somebody who was recognised by a link, a login or the command line.

        :param option: its text, its number or a word for it.
        :returns: None where there is no such question.
        """
        sql = statements()
        with self._store.write() as connection:
            now = self._store.now(connection)
            row = connection.execute(sql.lock, {"question": question}).mappings().one_or_none()
            if row is None:
                return None
            found = question_of(row)
            chosen: tuple[str, ...] = (option,) if option in found.options else ()
            chosen = chosen or choose_options(read_reply(option), found.options, most=found.most)
            heard = Heard.DECIDED if found.state is Stage.OPEN else Heard.ALREADY
            if heard is Heard.DECIDED and not chosen:
                heard = Heard.NOT_UNDERSTOOD
            if heard is Heard.DECIDED and found.ends_at is not None and now >= found.ends_at:
                conclude(connection, found, Stage.ENDED, now, outcome=Ending.EXPIRED)
                heard = Heard.ALREADY
            answered = Answered(heard=heard, question=found, person=fit_person(who))
            if not self._note(connection, digest, channel, answered, None, now):
                return Answered(heard=Heard.ALREADY, question=_get(connection, question), person=who)
            if heard is Heard.DECIDED:
                self._decide(connection, answered, chosen, channel, now)
            return replace(answered, question=_get(connection, question))

    def _note(
        self,
        connection: Connection,
        digest: str,
        channel: Channel,
        answered: Answered,
        row: Any,
        now: float,
    ) -> bool:
        """Note an answer, and whether it is to be answered; False where it was noted before, by whomever."""
        sql = statements()
        reply = "none"
        if row is not None and self._may_say(connection, row["phone_number"], now):
            is_over = answered.heard is not Heard.DECIDED and not (
                answered.heard is Heard.ALREADY and answered.question.state is Stage.DECIDED
            )
            # What is so is known once Airflow has taken the answer.
            reply = "due" if is_over else "waiting"
        values = {
            "digest": digest,
            "question": answered.question.id,
            "person": answered.person,
            "channel": channel.value,
            "outcome": answered.heard.value,
            "reply": reply,
            "phone_number": "" if row is None else row["phone_number"],
            "conn_id": "" if row is None else row["conn_id"],
            "language": "" if row is None else row["language"],
            "at": now,
        }
        return bool(connection.execute(sql.note, values).rowcount == 1)

    @staticmethod
    def _may_say(connection: Connection, phone_number: str, now: float) -> bool:
        values = {"phone_number": phone_number, "since": now - SAID_ANSWERS_SECONDS}
        said = int(connection.execute(statements().count_said, values).scalar_one())
        return said < MOST_SAID_ANSWERS

    @staticmethod
    def _decide(
        connection: Connection, answered: Answered, chosen: Sequence[str], channel: Channel, now: float
    ) -> None:
        values = {
            "question": answered.question.id,
            "version": answered.question.version,
            "chosen": json.dumps(list(chosen)),
            "who": answered.person,
            "how": channel.value,
            "now": now,
        }
        if connection.execute(statements().decide, values).rowcount != 1:
            raise StoreUnavailableError("the row of a question changed while it was locked; look again")


def has_open_question(connection: Connection, phone_number: str, code: int | None, now: float) -> bool:
    """
    Say whether an answer by text message is a question's business, and no incident's.

    Without a code it is, as soon as the number was asked one that is open: an answer that may mean both must do
    neither, and whoever wrote it is told so once. Not while nobody reads answers to questions: nobody would be told.

    :param code: that the answer gives.
    """
    values = {"phone_number": phone_number, "since": now - ANSWERED_WITHIN}
    rows = connection.execute(statements().codes_of, values).all()
    if code is None:
        is_open = any(state == Stage.OPEN for _, _, state in rows)
        return is_open and is_read(connection, now)
    return any(code in (now_code, last_code) for now_code, last_code, _ in rows)


def _read(reply: PhoneReply) -> ReadReply:
    return read_pressed(reply.text) if reply.channel is Channel.CALL else read_reply(reply.text)


def _is_named(row: Any, reply: PhoneReply) -> bool:
    if reply.reference is not None and row["reference"] == reply.reference:
        return True
    is_same = row["gateway"] == reply.gateway and row["gateway_id"] == reply.gateway_id
    return reply.gateway_id is not None and is_same


def _get(connection: Connection, question: int) -> Question:
    return question_of(connection.execute(statements().get, {"question": question}).mappings().one())
