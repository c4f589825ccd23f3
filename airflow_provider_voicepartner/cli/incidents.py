"""``incident``, ``silence`` and ``question``: what broke, who knows, and what people answered."""

from __future__ import annotations

import getpass
import json
import secrets
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.cli.store import read_age
from airflow_provider_voicepartner.constants import LONGEST_CONTACT_NAME
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.events import iso_time
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.hooks.clocks import airflows_clock
from airflow_provider_voicepartner.hooks.paging import Pager
from airflow_provider_voicepartner.incidents.acting import digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.escalation import Action, Result
from airflow_provider_voicepartner.incidents.model import Incident, State
from airflow_provider_voicepartner.incidents.question_answers import QuestionAnswers
from airflow_provider_voicepartner.incidents.question_model import Heard, Question, Stage
from airflow_provider_voicepartner.incidents.questions import QuestionStore
from airflow_provider_voicepartner.incidents.silences import Silence, Silences, matchers_text, read_matchers
from airflow_provider_voicepartner.incidents.store import IncidentStore
from airflow_provider_voicepartner.settings import open_configured_store, open_store
from airflow_provider_voicepartner.watchdog.question_texts import what_is_so

# What broke, and who knows


def list_incidents(arguments: Namespace) -> None:
    """List incidents, each in one line, the newest first."""
    states = list(State) if arguments.closed else [State.OPEN, State.ACKNOWLEDGED]
    with _incidents() as incidents:
        found = incidents.find(states)
    for incident in found:
        say(_incident_line(incident))
    if not found:
        say("There is no incident." if arguments.closed else "There is no open incident.")


def show_incident(arguments: Namespace) -> None:
    """
    Show one incident.

    :raises CommandError: there is none with this id.
    """
    with _incidents() as incidents:
        incident, told = incidents.get(arguments.id), incidents.told_of(arguments.id)
    if incident is None:
        raise CommandError(f"ID: there is no incident {arguments.id}; see incident list")
    say(_incident_line(incident))
    facts = {
        "key": incident.key,
        "changed": iso_time(incident.changed_at),
        "alerts that nobody was told of yet": str(incident.untold),
        "code": "" if incident.code is None else str(incident.code),
        "policy": incident.policy or "",
        "owner": incident.owner,
        "link": incident.link,
    }
    for name, value in facts.items():
        if value:
            say(f"  {name}: {value}")
    for one in told:
        who = one.person or mask_number(one.phone_number)
        say(f"  told: {who} by {one.kind} through {one.conn_id}")


@contextmanager
def _incidents() -> Iterator[IncidentStore]:
    with closing(open_store("incidents")) as store:
        yield IncidentStore(store)


def _incident_line(incident: Incident) -> str:
    alerts = "1 alert" if incident.alerts == 1 else f"{incident.alerts} alerts"
    return f"{incident.id}  {incident.state}  {iso_time(incident.opened_at)}  {alerts}  {incident.title}"


# What a page asks for, from a shell

_SAID: Final = {
    Result.ACKNOWLEDGED: "incident {0}: {1} has it",
    Result.ESCALATED: "incident {0}: passed on",
    Result.CLOSED: "incident {0}: closed",
    Result.ALREADY_OWNED: "incident {0}: {1} has it already",
    Result.ALREADY_PASSED_ON: "incident {0}: passed on already",
    Result.ALREADY_CLOSED: "incident {0}: closed already",
}


def acknowledge(arguments: Namespace) -> None:
    """Acknowledge an incident, which stops its pages."""
    _act(arguments, Action.ACKNOWLEDGE)


def escalate(arguments: Namespace) -> None:
    """Go on to the next step at once."""
    _act(arguments, Action.ESCALATE)


def close(arguments: Namespace) -> None:
    """Close an incident."""
    _act(arguments, Action.CLOSE)


def _close_plain(store: Store, incident: int) -> None:
    """Close an incident that pages nobody."""
    is_closed = IncidentStore(store).close_by_hand(incident)
    if is_closed is None:
        raise CommandError(f"there is no incident {incident}")
    say(_SAID[Result.CLOSED if is_closed else Result.ALREADY_CLOSED].format(incident))


def _act(arguments: Namespace, action: Action) -> None:
    who = (arguments.who or getpass.getuser()).strip()
    if not who or len(who) > LONGEST_CONTACT_NAME or not who.isprintable():
        raise CommandError(f"--as: give a name of 1 to {LONGEST_CONTACT_NAME} printable characters")
    store = open_configured_store("incidents")
    try:
        pager = Pager(store)
        done = pager.act(
            arguments.incident, action, who, Channel.CLI, digest=digest_of("cli", secrets.token_hex())
        )
        if done is None and action is Action.CLOSE:
            _close_plain(store, arguments.incident)
            return
        if done is None:
            raise CommandError(f"there is no incident {arguments.incident} that pages people")
        if action is Action.ESCALATE:
            pager.run_due(incident=arguments.incident)
        say(_SAID[Result(done.outcome)].format(done.incident, done.owner or "nobody"))
    finally:
        store.close()


# Which alerts are sent to nobody for a time


def add_silence(arguments: Namespace) -> None:
    """Add a silence, and say until when it lasts."""
    matchers = read_matchers(arguments.match)
    seconds = read_age(arguments.duration, "--for").total_seconds()
    begins_at = None if arguments.begins is None else read_moment(arguments.begins)
    with _silences() as silences:
        added = silences.add(
            matchers, seconds=seconds, begins_at=begins_at, author=_user(), comment=arguments.comment
        )
    say(f"Silence {added.id} lasts from {iso_time(added.begins_at)} to {iso_time(added.ends_at)}.")


def list_silences(arguments: Namespace) -> None:
    """List silences, each in one line."""
    with _silences() as silences:
        found = silences.find(ended=arguments.ended)
    for silence in found:
        say(_silence_line(silence))
    if not found:
        say("There is no silence.")


def end_silence(arguments: Namespace) -> None:
    """
    End a silence.

    :raises CommandError: none with this id is in force or to come.
    """
    with _silences() as silences:
        is_ended = silences.end(arguments.id)
    if not is_ended:
        raise CommandError(f"ID: no silence {arguments.id} is in force or to come; see silence list")
    say(f"Silence {arguments.id} has ended.")


def read_moment(text: str) -> float:
    """
    Read a time as Unix seconds.

    :raises CommandError: it is no time, or has no offset.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        pass
    raise CommandError("--from: is no time with an offset; write it as in 2031-05-06T22:00+02:00")


@contextmanager
def _silences() -> Iterator[Silences]:
    with closing(open_store("silences")) as store:
        yield Silences(store)


def _silence_line(silence: Silence) -> str:
    said = f"{silence.id}  {iso_time(silence.begins_at)} to {iso_time(silence.ends_at)}  "
    said += matchers_text(silence.matchers)
    by = f"  by {silence.author}" if silence.author else ""
    return f"{said}{by}{f': {silence.comment}' if silence.comment else ''}"


def _user() -> str:
    try:
        return getpass.getuser()
    except Exception:  # a user without a name
        return ""


# Questions of HITL operators that can be answered by phone

_ANSWERING: Final = "answering questions"


def list_questions(_: Namespace) -> None:
    """List questions, the newest first; the last hundred."""
    with closing(open_store(_ANSWERING)) as store:
        questions = QuestionStore(store).find(only_live=False)
        for question in questions:
            say(_question_line(question))
        live = sum(question.state.is_live for question in questions)
        say(f"{live} of {len(questions)} questions wait in the store {store.name}.")


def answer_question(arguments: Namespace) -> None:
    """Answer a question as somebody."""
    who = (arguments.who or getpass.getuser()).strip()
    with closing(open_store(_ANSWERING)) as store:
        done = QuestionAnswers(store).by_name(
            arguments.id, arguments.option, who, Channel.CLI, digest=digest_of("command", uuid4().hex)
        )
        has_reader = QuestionStore(store).has_reader()
    if done is None:
        raise CommandError(f"there is no question {arguments.id} in the store {store.name}")
    question = done.question
    if done.heard is Heard.NOT_UNDERSTOOD:
        options = ", ".join(f"{number} {option}" for number, option in enumerate(question.options, 1))
        raise CommandError(f"the question {question.id} has no such option; its options are: {options}")
    if done.heard is not Heard.DECIDED:
        raise CommandError(
            f"the question {question.id} is over: {what_is_so(question, 'en', airflows_clock(), person=who)}"
        )
    say(f"{question.name}: {', '.join(question.chosen)}, decided by {who}.")
    say(
        "The watchdog gives it to Airflow."
        if has_reader
        else "No watchdog is running: Airflow gets the answer once there is one."
    )


def _question_line(question: Question) -> str:
    options = json.dumps(list(question.options), ensure_ascii=False)
    state = question.state.value if question.state.is_live else question.outcome or question.state.value
    chosen = f"  {', '.join(question.chosen)} by {question.who or '-'}" if question.chosen else ""
    code = question.code if question.state is Stage.OPEN and question.code is not None else "-"
    return (
        f"{question.id}  {iso_time(question.asked_at)}  {question.name}  {question.run_id}  code {code}  {state}  "
        f"{options}{chosen}"
    )
