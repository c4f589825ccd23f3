"""
An answer of a human, applied once: who has it, who is told, and what the answer itself is answered with.

An answer by phone counts only from a number that was paged. Of two at the same moment the first that is stored has it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.constants import (
    ANSWERED_WITHIN,
    MOST_SAID_ANSWERS,
    PAGES_REMEMBERED,
    SAID_ANSWERS_SECONDS,
)
from airflow_provider_voicepartner.contacts.targets import Target
from airflow_provider_voicepartner.incidents.answers import (
    AskedAbout,
    Channel,
    ReadAnswer,
    Verdict,
    choose,
)
from airflow_provider_voicepartner.incidents.escalation import (
    Action,
    Became,
    Escalation,
    Phase,
    Purpose,
    Result,
    Turn,
    act,
    told,
)
from airflow_provider_voicepartner.incidents.model import State
from airflow_provider_voicepartner.incidents.pages import ClaimedPage, Locked, PageStore, lock
from airflow_provider_voicepartner.incidents.question_answers import has_open_question
from airflow_provider_voicepartner.incidents.titles import Words, title_in

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

Numbers = Callable[[Sequence[str]], Sequence[Target]]
"""The numbers for text messages of people, by name."""

_TOLD_OF = {
    Result.ACKNOWLEDGED: Purpose.OWNED,
    Result.ESCALATED: Purpose.PASSED_ON,
    Result.CLOSED: Purpose.CLOSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneAnswer:
    """
    An answer that came by phone.

    :param digest: of what it was read from; a repeat has the same one.
    :param gateway: that brought it.
    :param reference: of the batch that it answers, where the gateway says so.
    :param gateway_id: the gateway's id of that batch, where it says so.
    """

    digest: str
    channel: Channel
    phone_number: str
    read: ReadAnswer
    gateway: str = ""
    reference: str | None = None
    gateway_id: str | None = None

    def __repr__(self) -> str:
        """Show no number."""
        return f"PhoneAnswer({self.channel}, {self.read})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """
    What came of an answer.

    :param outcome: a value of ``Result`` or of ``Verdict``.
    :param incident: its id; 0 where none was found.
    :param person: who answered.
    :param owner: who has it now; empty for nobody.
    :param pages: messages that the caller has to send: who is told, and what the answer is answered with.
    """

    outcome: str
    incident: int = 0
    person: str = ""
    owner: str = ""
    pages: tuple[ClaimedPage, ...] = ()


def digest_of(*parts: object) -> str:
    """Return the digest of what an answer was read from."""
    return sha256(json.dumps(list(map(str, parts))).encode()).hexdigest()


class Answers:
    """
    Applies answers. May be used by many threads.

    :param store: an open store.
    :param pages: of the same store.
    """

    def __init__(self, store: Store, pages: PageStore) -> None:
        self._store, self._pages = store, pages

    def by_phone(self, answer: PhoneAnswer, numbers: Numbers) -> Answered | None:
        """
        Apply an answer that came by phone.

        :param numbers: of the people who are to be told.
        :returns: None for an answer from a number that was not paged lately, for one that was applied before, and for
            one that is, or may be, about a question to people.
        """
        sql = _statements()
        with self._store.read() as connection:
            # Most replies are to campaigns: without a page to that number nothing is written.
            if connection.execute(sql.any_page, {"phone_number": answer.phone_number}).first() is None:
                return None
        _read_contacts(numbers)
        with self._store.write() as connection:
            now = self._store.now(connection)
            if answer.channel is Channel.SMS and has_open_question(
                connection, answer.phone_number, answer.read.code, now
            ):
                return None
            asked = self._asked(connection, answer, now)
            if not asked or not self._note(connection, answer.digest, answer.channel, now):
                return None
            chosen = choose(answer.read, asked, by_call=answer.channel is Channel.CALL)
            if isinstance(chosen, Verdict) or answer.read.action is None:
                return self._refuse(connection, answer, asked, str(chosen), now, numbers)
            locked = lock(connection, chosen.incident)
            if locked is None or locked.state is None:
                return None
            done = self._act(
                connection, locked, locked.state, answer.read.action, chosen.person, now, numbers, answer
            )
            self._conclude(connection, answer.digest, done, answer.read.action)
            return done

    def by_name(
        self,
        incident: int,
        action: Action,
        who: str,
        channel: Channel,
        numbers: Numbers,
        *,
        digest: str,
    ) -> Answered | None:
        """
        Apply what somebody asks for who was recognised by a link, a login or the command line.

        :param who: a name of the contacts, or of a user.
        :returns: None where there is no such incident with an escalation.
        """
        _read_contacts(numbers)
        with self._store.write() as connection:
            now = self._store.now(connection)
            locked = lock(connection, incident)
            if locked is None or locked.state is None:
                return None
            if not self._note(connection, digest, channel, now):
                return _what_is_so(locked, who)
            done = self._act(connection, locked, locked.state, action, who, now, numbers, None)
            self._conclude(connection, digest, done, action)
            return done

    def _asked(self, connection: Connection, answer: PhoneAnswer, now: float) -> list[AskedAbout]:
        values = {"phone_number": answer.phone_number, "since": now - ANSWERED_WITHIN}
        by_incident, unnamed = dict[int, AskedAbout](), set[int]()
        for row in connection.execute(_statements().asked, values):
            is_named = (answer.reference is not None and row.reference == answer.reference) or (
                answer.gateway_id is not None
                and row.gateway == answer.gateway
                and row.gateway_id == answer.gateway_id
            )
            if row.kind != "sms" and row.gateway_id is None:
                unnamed.add(int(row.incident))
            known = by_incident.get(int(row.incident))
            if known is None or (is_named and not known.is_named):
                by_incident[int(row.incident)] = AskedAbout(
                    incident=int(row.incident),
                    code=row.code,
                    phase=_phase(row),
                    person=row.person,
                    paged_at=row.claimed_at,
                    is_named=is_named,
                    title=row.title,
                    words=Words.from_text(row.words),
                )
        asked = list(by_incident.values())
        is_of_a_call = answer.reference is not None or answer.gateway_id is not None
        if answer.channel is Channel.CALL and is_of_a_call and not any(one.is_named for one in asked):
            # Pressed in another call, unless that of a page may have an id that nobody told us.
            return [one for one in asked if answer.reference is None and one.incident in unnamed]
        return asked

    def _act(
        self,
        connection: Connection,
        locked: Locked,
        state: Escalation,
        action: Action,
        who: str,
        now: float,
        numbers: Numbers,
        answer: PhoneAnswer | None,
    ) -> Answered:
        turn = act(state, action, who, now)
        result = turn.result or Result.ALREADY_OWNED
        # The state of an incident that a success closed is nobody's to store again.
        owner = turn.state.owner
        messages = list[Turn]()
        if result.changes:
            targets = self._targets(connection, locked, turn.tell, numbers)
            if answer is not None:
                # Two people may share a number: whoever answered from it is told already.
                targets = [one for one in targets if one.phone_number != answer.phone_number]
            messages.append(told(turn.state, _TOLD_OF[result], targets, who))
        state = messages[-1].state if messages else turn.state
        reply = self._reply(connection, state, answer, who, owner, now, numbers)
        messages += [] if reply is None else [reply]
        pages = tuple(page for one in messages for page in one.pages)
        last = messages[-1].state if messages else state
        claimed: tuple[ClaimedPage, ...] = ()
        if result.changes or pages:
            claimed = self._pages.store_turn(connection, locked, Turn(last, pages), now, result=result.value)
        return Answered(
            outcome=result.value, incident=int(locked.row.id), person=who, owner=owner, pages=claimed
        )

    def _targets(
        self, connection: Connection, locked: Locked, people: Sequence[str], numbers: Numbers
    ) -> Sequence[Target]:
        """Return whom to tell; a person who is not in the contacts any more is told where a page went."""
        found = list(numbers(people)) if people else []
        missing = set(people) - {target.person for target in found}
        if missing:
            for row in connection.execute(_statements().paged, {"incident": locked.row.id}):
                if row.person in missing:
                    missing.remove(row.person)
                    found.append(Target(row.person, row.phone_number))
        return found

    def _reply(
        self,
        connection: Connection,
        state: Escalation,
        answer: PhoneAnswer | None,
        who: str,
        said: str,
        now: float,
        numbers: Numbers,
    ) -> Turn | None:
        """Answer an answer by phone, a few times an hour at most: two robots must not talk for ever."""
        if answer is None:
            return None
        theirs = numbers([who])
        known = [one for one in theirs if one.phone_number == answer.phone_number]
        if not known:
            # Whoever pressed a key on a landline is told by a text message to their mobile.
            is_sms = answer.channel is Channel.SMS
            known = [Target(who, answer.phone_number)] if is_sms else list(theirs)
        if not known:
            return None
        values = {"phone_number": known[0].phone_number, "since": now - SAID_ANSWERS_SECONDS}
        if int(connection.execute(_statements().count_said, values).scalar_one()) >= MOST_SAID_ANSWERS:
            return None
        return told(state, Purpose.ANSWER, known[:1], said)

    def _refuse(
        self,
        connection: Connection,
        answer: PhoneAnswer,
        asked: Sequence[AskedAbout],
        outcome: str,
        now: float,
        numbers: Numbers,
    ) -> Answered | None:
        """Answer what cannot be applied with how to say it."""
        about = max(asked, key=lambda one: (one.phase is not Phase.CLOSED, one.paged_at))
        done = Answered(outcome=outcome, incident=about.incident, person=about.person)
        locked = lock(connection, about.incident)
        if locked is not None and locked.state is not None:
            reply = self._reply(connection, locked.state, answer, about.person, "", now, numbers)
            language = reply.pages[0].language if reply is not None and reply.pages else None
            choices = tuple(
                (one.code, title_in(language, one.title, one.words))
                for one in sorted(asked, key=lambda one: (one.paged_at, one.incident))
                if one.code is not None and one.phase is not Phase.CLOSED
            )
            if reply is not None and reply.pages:
                pages = self._pages.store_turn(
                    connection, locked, reply, now, result=outcome, choices=choices
                )
                done = Answered(outcome=outcome, incident=about.incident, person=about.person, pages=pages)
        self._conclude(connection, answer.digest, done, answer.read.action)
        return done

    @staticmethod
    def _note(connection: Connection, digest: str, channel: Channel, now: float) -> bool:
        """Note an answer; False where it was noted before, by whomever."""
        values = {"digest": digest, "channel": channel.value, "at": now}
        return bool(connection.execute(_statements().note, values).rowcount == 1)

    @staticmethod
    def _conclude(connection: Connection, digest: str, done: Answered, action: Action | None) -> None:
        connection.execute(
            _statements().conclude,
            {
                "digest": digest,
                "incident": done.incident or None,
                "person": done.person,
                "action": "" if action is None else action.value,
                "result": done.outcome,
            },
        )


def _read_contacts(numbers: Numbers) -> None:
    """Let contacts be read that take long, since every other writer waits for a transaction of SQLite."""
    numbers(())


def _phase(row: Any) -> Phase:
    if row.state == State.CLOSED:
        return Phase.CLOSED
    return Phase.ACKNOWLEDGED if row.state == State.ACKNOWLEDGED else Phase.RUNNING


def _what_is_so(locked: Locked, who: str) -> Answered:
    state = locked.state
    phase = Phase.RUNNING if state is None else state.phase
    outcome = {
        Phase.CLOSED: Result.ALREADY_CLOSED,
        Phase.ACKNOWLEDGED: Result.ALREADY_OWNED,
    }.get(phase, Result.ALREADY_PASSED_ON)
    owner = "" if state is None else state.owner
    return Answered(outcome=outcome.value, incident=int(locked.row.id), person=who, owner=owner)


@cache
def _statements() -> _Statements:
    return _Statements()


class _Statements:
    """The SQL of answers, made once."""

    def __init__(self) -> None:
        from sqlalchemy import and_, bindparam, func, or_, select, text

        from airflow_provider_voicepartner.db.schema import answer, incident, page

        row, mine = incident.c, page.c
        is_mine = mine.phone_number == bindparam("phone_number")
        was_asked = and_(mine.purpose == Purpose.PAGE.value, mine.phase != Became.NOT_SENT.value, is_mine)
        self.any_page = select(mine.incident).where(was_asked).limit(1)
        self.asked = (
            select(
                mine.incident, mine.person, mine.kind, mine.reference, mine.gateway, mine.gateway_id,
                mine.claimed_at, row.code, row.state, row.title, row.words,
            )
            .join(incident, row.id == mine.incident)
            .where(
                and_(
                    was_asked,
                    row.escalation.is_not(None),
                    or_(row.state != State.CLOSED.value, mine.claimed_at >= bindparam("since")),
                )
            )
            .order_by(mine.claimed_at.desc(), mine.incident.desc(), mine.number.desc())
            .limit(PAGES_REMEMBERED)
        )  # fmt: skip
        self.paged = (
            select(mine.person, mine.phone_number)
            .where(
                and_(
                    mine.incident == bindparam("incident"),
                    mine.kind == "sms",
                    mine.purpose == Purpose.PAGE.value,
                    mine.phone_number.is_not(None),
                )
            )
            .order_by(mine.number.desc())
        )
        self.count_said = select(func.count()).where(
            and_(is_mine, mine.purpose == Purpose.ANSWER.value, mine.claimed_at >= bindparam("since"))
        )
        self.note = text(
            f"INSERT INTO {answer.name} (digest, person, channel, action, result, at) "
            "VALUES (:digest, '', :channel, '', '', :at) ON CONFLICT (digest) DO NOTHING"
        )
        self.conclude = text(
            f"UPDATE {answer.name} SET incident = :incident, person = :person, action = :action, "
            "result = :result WHERE digest = :digest"
        )
