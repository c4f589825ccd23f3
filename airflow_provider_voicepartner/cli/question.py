"""``question list`` and ``question answer``: questions of HITL operators that can be answered by phone."""

from __future__ import annotations

import getpass
import json
from argparse import Namespace
from contextlib import closing
from typing import Final
from uuid import uuid4

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.delivery.events import iso_time
from airflow_provider_voicepartner.incidents.acting import digest_of
from airflow_provider_voicepartner.incidents.answers import Channel
from airflow_provider_voicepartner.incidents.question_answers import QuestionAnswers
from airflow_provider_voicepartner.incidents.question_model import Heard, Question, Stage
from airflow_provider_voicepartner.incidents.questions import QuestionStore
from airflow_provider_voicepartner.settings import open_store
from airflow_provider_voicepartner.watchdog.question_texts import what_is_so
from airflow_provider_voicepartner.watchdog.questions import airflows_clock

_PURPOSE: Final = "answering questions"


def show_all(_: Namespace) -> None:
    """List questions, the newest first; the last hundred."""
    with closing(open_store(_PURPOSE)) as store:
        questions = QuestionStore(store).find(only_live=False)
        for question in questions:
            say(_line(question))
        live = sum(question.state.is_live for question in questions)
        say(f"{live} of {len(questions)} questions wait in the store {store.name}.")


def answer(arguments: Namespace) -> None:
    """Answer a question as somebody."""
    who = (arguments.who or getpass.getuser()).strip()
    with closing(open_store(_PURPOSE)) as store:
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


def _line(question: Question) -> str:
    options = json.dumps(list(question.options), ensure_ascii=False)
    state = question.state.value if question.state.is_live else question.outcome or question.state.value
    chosen = f"  {', '.join(question.chosen)} by {question.who or '-'}" if question.chosen else ""
    code = question.code if question.state is Stage.OPEN and question.code is not None else "-"
    return (
        f"{question.id}  {iso_time(question.asked_at)}  {question.name}  {question.run_id}  code {code}  {state}  "
        f"{options}{chosen}"
    )
