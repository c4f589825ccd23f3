"""What people who answered a question are told, in English or French."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from airflow_provider_voicepartner.constants import REPLY_SEGMENTS
from airflow_provider_voicepartner.contacts.languages import Language
from airflow_provider_voicepartner.gateways.gsm import cut_to_segments, to_gsm7
from airflow_provider_voicepartner.gateways.placeholders import without_braces
from airflow_provider_voicepartner.incidents.question_model import DueReply, Ending, Heard, Question, Stage

_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "noted": "{chosen}, noted", "decided": "{who} decided {chosen}{at}",
        "own": "you decided {chosen}{at}", "somebody": "somebody who was asked", "at": " at {0}",
        "in airflow": "{who} decided {chosen} in Airflow{at}",
        "default": "nobody answered in time, and {chosen} was taken",
        Ending.EXPIRED: "the time to answer is over", Ending.ASKED_AGAIN: "it is asked again; please answer that",
        Ending.TASK_OVER: "it does not wait for an answer any more",
        Ending.REFUSED: "Airflow does not take the answer; please answer in Airflow",
        "late": "too late: ", "not understood": "Not understood. Reply ", "for": "{0} for {1}",
        "ambiguous": "Which one? Reply its code and your answer. ",
        "unknown": "No open question has that code. ",
    },
    "fr": {
        "noted": "{chosen}, c'est noté", "decided": "{who} a décidé {chosen}{at}",
        "own": "vous avez décidé {chosen}{at}", "somebody": "une personne interrogée", "at": " à {0}",
        "in airflow": "{who} a décidé {chosen} dans Airflow{at}",
        "default": "personne n'a répondu à temps, {chosen} a été retenu",
        Ending.EXPIRED: "le délai de réponse est passé",
        Ending.ASKED_AGAIN: "la question est posée à nouveau, répondez à celle-là",
        Ending.TASK_OVER: "plus aucune réponse n'est attendue",
        Ending.REFUSED: "Airflow n'accepte pas la réponse, répondez dans Airflow",
        "late": "trop tard, ", "not understood": "Pas compris. Répondez ", "for": "{0} pour {1}",
        "ambiguous": "Laquelle ? Répondez son code et votre réponse. ",
        "unknown": "Aucune question ouverte n'a ce code. ",
    },
}  # fmt: skip


def reply_text(reply: DueReply, language: Language, clock: Any) -> str:
    """
    Say what is so, in GSM-7.

    :param clock: the time zone in which times are told.
    """
    words = _WORDS[language]
    if reply.heard in (Heard.AMBIGUOUS, Heard.UNKNOWN_CODE):
        head = words["ambiguous" if reply.heard is Heard.AMBIGUOUS else "unknown"]
        return _fit(head + ", ".join(f"{code} {name}" for code, name in reply.choices))
    question = reply.question
    if reply.heard is Heard.NOT_UNDERSTOOD and question.state is Stage.OPEN:
        code = "" if question.code is None else f"{question.code} "
        options = enumerate(question.options, 1)
        return _fit(
            words["not understood"]
            + ", ".join(words["for"].format(f"{code}{number}", option) for number, option in options)
        )
    said = what_is_so(question, language, clock, person=reply.person, is_own=reply.is_own)
    return _fit(f"{question.name}{' ' if language == 'fr' else ''}: {said}.")


def what_is_so(
    question: Question, language: Language, clock: Any, *, person: str = "", is_own: bool = False
) -> str:
    """
    Say who decided, or why nobody can any more.

    :param person: whom it is said to; empty for a number without a name.
    :param is_own: whether that one's answer decided.
    """
    words = _WORDS[language]
    at = "" if question.decided_at is None else _time(question.decided_at, clock)
    said = {
        "chosen": ", ".join(question.chosen),
        "who": question.who or words["somebody"],
        "at": words["at"].format(at) if at else "",
    }
    if question.state is Stage.ENDED:
        late = words["late"] if is_own else ""
        if question.outcome == Ending.IN_AIRFLOW:
            return late + words["in airflow" if question.who else "default"].format(**said)
        return late + words.get(question.outcome, words[Ending.TASK_OVER])
    if is_own:
        return words["noted"].format(**said)
    return words["own" if person and person == question.who else "decided"].format(**said)


def _time(seconds: float, clock: Any) -> str:
    moment = datetime.fromtimestamp(seconds, clock)
    return f"{moment:%H:%M}{' UTC' if not moment.utcoffset() else ''}"


def _fit(text: str) -> str:
    return cut_to_segments(without_braces(" ".join(to_gsm7(text).text.split())), REPLY_SEGMENTS)
