"""The default text of an alert, in English or French: an SMS of one segment, or sentences that are made to be heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_voicepartner.constants import (
    LEAST_ERROR,
    LONGEST_SPOKEN,
    LONGEST_SPOKEN_QUESTION,
    QUESTION_SEGMENTS,
)
from airflow_provider_voicepartner.contacts.languages import MONTHS, Language, language_of, zone_of
from airflow_provider_voicepartner.gateways.placeholders import without_braces
from airflow_provider_voicepartner.incidents.titles import Words, readable
from airflow_provider_voicepartner.notifications.event import AlertEvent, What, read_event

_WRITTEN_REPEAT: Final = {"en": "Possible repeat: ", "fr": "Doublon possible : "}
_SPOKEN_REPEAT: Final = {
    "en": "This may be a repeat. ",
    "fr": "Ce message est peut-être une répétition. ",
}

_ALL_CLEAR: Final = {"en": "all clear", "fr": "retour à la normale"}
_MORE: Final = {"en": "and {0} more", "fr": "et {0} de plus"}

# What happened, after the name of a task or a DAG.
_HAPPENED: Final[dict[Language, dict[What, str]]] = {
    "en": {
        What.TASK_FAILED: "failed", What.TASK_RETRIED: "failed, will be retried",
        What.TASK_LOST: "failed without an error: killed, or ended by a trigger",
        What.TASK_SKIPPED: "skipped", What.TASK_SUCCEEDED: "succeeded", What.TASK_OTHER: "needs attention",
        What.DAG_FAILED: "failed", What.DAG_SUCCEEDED: "succeeded", What.DAG_OTHER: "needs attention",
        What.DEADLINE: "missed its deadline", What.QUESTION: "asks",
    },
    "fr": {
        What.TASK_FAILED: "a échoué", What.TASK_RETRIED: "a échoué, nouvel essai prévu",
        What.TASK_LOST: "a échoué sans erreur : tuée, ou terminée par un trigger",
        What.TASK_SKIPPED: "a été ignorée", What.TASK_SUCCEEDED: "a réussi", What.TASK_OTHER: "demande attention",
        What.DAG_FAILED: "a échoué", What.DAG_SUCCEEDED: "a réussi", What.DAG_OTHER: "demande attention",
        What.DEADLINE: "a dépassé son échéance", What.QUESTION: "demande",
    },
}  # fmt: skip
_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "dag": "DAG", "a dag": "a DAG", "a task": "a task", "try": "try {0}", "try of": "try {0} of {1}",
        "run": "run {0}", "running": ", running for {0}", "queued": ", queued for {0}",
        "of": " of {0}", "in": " in {0}", "answer": "Answer in Airflow", "again": "I repeat.",
        "option": "Option {0}: {1}.",
        "task": "Task {0} of DAG {1}", "index": ", number {0},", "and": " and ",
        "where": "Answer in Airflow, under Required Actions.", "when": "{0} {1} at {2}",
    },
    "fr": {
        "dag": "le DAG", "a dag": "un DAG", "a task": "une tâche", "try": "essai {0}", "try of": "essai {0} sur {1}",
        "run": "run {0}", "running": ", en cours depuis {0}", "queued": ", en attente depuis {0}",
        "of": " du {0}", "in": " : {0}", "answer": "Répondre dans Airflow", "again": "Je répète.",
        "option": "Choix {0} : {1}.", "task": "La tâche {0} du DAG {1}", "index": ", numéro {0},", "and": " et ",
        "where": "Répondez dans Airflow, sous Required Actions.", "when": "{0} {1} à {2}",
    },
}  # fmt: skip


_UNITS: Final[dict[Language | None, tuple[str, str, str]]] = {
    None: ("s", "min", "h"),
    "en": ("seconds", "minutes", "hours"),
    "fr": ("secondes", "minutes", "heures"),
}
"""Of durations as they are written, and as they are spoken."""


def as_repeat(text: str, language: str | None, *, is_spoken: bool = False) -> str:
    """
    Return a text that begins with a short sentence: the alert may have arrived before.

    :param language: ``fr`` or ``en``, or longer such as ``fr-FR``; English for all others.
    """
    return (_SPOKEN_REPEAT if is_spoken else _WRITTEN_REPEAT)[language_of(language)] + text


def and_more(more: int, language: str | None) -> str:
    """
    Return the words for alerts that were counted and not told: "and 499 more".

    :returns: empty for none.
    """
    return _MORE[language_of(language)].format(more) if more > 0 else ""


def with_more(text: str, more: int, language: str | None, *, segments: int) -> str:
    """
    Return a text of the user's own with the number of alerts that were counted, cut to a number of segments.

    :param more: how many; 0 only cuts.
    """
    from airflow_provider_voicepartner.gateways.gsm import cut_to_segments

    end = f" ({and_more(more, language)})" if more > 0 else ""
    if not end or _is_within(text + end, segments):
        return cut_to_segments(text + end, segments)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if _is_within(f"{text[:middle].rstrip()}...{end}", segments):
            low = middle
        else:
            high = middle - 1
    return f"{text[:low].rstrip()}...{end}"


def spoken_with_more(text: str, more: int, language: str | None, *, longest: int) -> str:
    """
    Return a spoken text of the user's own with the number of alerts that were counted, cut to a length.

    :param more: how many; 0 only cuts.
    """
    end = f" {_sentence(and_more(more, language))}" if more > 0 else ""
    return f"{text[: longest - len(end)].rstrip()}{end}" if end else text[:longest]


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def words_of(event: AlertEvent) -> Words:
    """Return what :func:`title_of` says in French, and as it is spoken."""
    return Words(
        french=_titled(event, "fr"), spoken=_spoken(event, "en", ""), spoken_french=_spoken(event, "fr", "")
    )


def title_of(event: AlertEvent) -> str:
    """Return one line about an event, in English, for lists: what happened, and the first line of the error."""
    return _titled(event, "en")


def _titled(event: AlertEvent, language: Language) -> str:
    return f"{_written(event, language)}{f': {event.error}' if event.error else ''}"


def default_text(
    context: Any,
    language: str | None = None,
    *,
    segments: int | None = None,
    is_repeat: bool = False,
    more: int = 0,
    answer: str = "",
    answer_link: str = "",
    answer_by_link: str = "",
    time_zone: str | None = None,
) -> str:
    """
    Describe in one line what happened, in GSM-7: what, the run, the first line of the error, and a link.

    What does not fit is left out or cut: first the run, then the end of the error. The link is whole or missing.

    :param context: of any callback, or nothing at all. Nothing here may raise.
    :param segments: the most it may take; None means 1, and 3 for a question with options.
    :param is_repeat: begin with the sentence of :func:`as_repeat`.
    :param more: alerts that were counted and not told.
    :param answer: how a question can be answered; empty for in Airflow.
    :param answer_link: where a question can be answered; empty for in Airflow.
    :param answer_by_link: said in place of ``answer`` where that link fits.
    :param time_zone: of those who are told, such as ``Europe/Paris``; None tells times in UTC.
    """
    event, words = read_event(context), language_of(language)
    event = replace(event, link=answer_link or event.link)
    link = event.link if _plain(event.link) == event.link else ""
    head = _plain(f"Airflow: {_written(event, words, time_zone)}")
    head = as_repeat(head, words) if is_repeat else head
    head = " ".join(filter(None, (head, and_more(more, words))))
    if event.what is What.QUESTION:
        subject, most = _plain(event.subject), segments or QUESTION_SEGMENTS
        if answer_link:
            text = _fit(head, subject, _plain(_choices(event, answer_by_link or answer)), link, most)
            if link and text.endswith(link):
                return text
            link = ""
        return _fit(head, subject, _plain(_choices(event, answer or _WORDS[words]["answer"])), link, most)
    run = f", {_WORDS[words]['run'].format(event.run_id)}" if event.run_id else ""
    whole = [_plain(f"{head}{run}{f': {event.error}' if event.error else ''}"), link]
    if _is_within(" ".join(filter(None, whole)), segments or 1):
        return " ".join(filter(None, whole))
    return _fit(head, _plain(event.error), "", link, segments or 1)


def all_clear_text(context: Any, language: str | None = None) -> str:
    """Say in one segment that what failed has succeeded; the run and a link only where they fit."""
    event, words = read_event(context, asks_for_tasks=False), language_of(language)
    head = _plain(f"Airflow: {_ALL_CLEAR[words]}, {_written(event, words)}")
    run = _plain(f", {_WORDS[words]['run'].format(event.run_id)}") if event.run_id else ""
    link = event.link if _plain(event.link) == event.link else ""
    return _fit(head + run if _is_within(head + run, 1) else head, "", "", link, 1)


def _due(event: AlertEvent, language: Language, time_zone: str | None, *, is_spoken: bool = False) -> str:
    """Return when a deadline was, by the clock of those who are told where it is known, else in UTC."""
    if event.due_at is None:
        return event.due
    zone = zone_of(time_zone)
    try:
        moment = datetime.fromtimestamp(event.due_at, zone or UTC)
    except (ValueError, OverflowError, OSError):
        return event.due
    clock = f"{moment:%H:%M}{'' if zone else ' UTC'}"
    if not is_spoken:
        return f"{moment:%Y-%m-%d} {clock}"
    return _WORDS[language]["when"].format(moment.day, MONTHS[language].split()[moment.month - 1], clock)


def _written(event: AlertEvent, language: Language, time_zone: str | None = None) -> str:
    words, happened = _WORDS[language], _HAPPENED[language][event.what]
    if event.what is What.DEADLINE:
        due = words["of"].format(_due(event, language, time_zone)) if event.due else ""
        return f"{event.dag_id or words['a dag']} {happened}{due}{_since(event, language)}"
    if event.what in (What.DAG_FAILED, What.DAG_SUCCEEDED, What.DAG_OTHER):
        if event.what is What.DAG_OTHER and event.state:
            happened = event.state
        tasks = words["in"].format(", ".join(event.failed_tasks)) if event.failed_tasks else ""
        name = f"{words['dag']} {event.dag_id}" if event.dag_id else words["a dag"]
        return f"{name} {happened}{tasks}"
    if event.what is What.TASK_OTHER and event.state:
        happened = event.state
    name = ".".join(part for part in (event.dag_id, event.task_id or words["a task"]) if part)
    index = f"[{event.map_index}]" if event.map_index >= 0 else ""
    tries = _tries(event, language)
    return f"{name}{index} {happened}{f' ({tries})' if tries else ''}"


def _tries(event: AlertEvent, language: Language) -> str:
    if event.of_tries > 1 and event.what in (What.TASK_FAILED, What.TASK_RETRIED, What.TASK_LOST):
        return _WORDS[language]["try of"].format(event.tries, event.of_tries)
    return _WORDS[language]["try"].format(event.tries) if event.tries > 1 else ""


def _since(event: AlertEvent, language: Language, *, is_spoken: bool = False) -> str:
    """Return for how long a run has been under way at its deadline: of several deadlines it tells which one."""
    if not event.seconds or event.state not in ("running", "queued"):
        return ""
    return _WORDS[language][event.state].format(_duration(event.seconds, language, is_spoken=is_spoken))


def _duration(seconds: int, language: Language, *, is_spoken: bool) -> str:
    minutes, units = round(seconds / 60), _UNITS[language if is_spoken else None]
    if minutes < 2:
        return f"{seconds} {units[0]}"
    if minutes < 120:
        return f"{minutes} {units[1]}"
    rest = f" {minutes % 60} {units[1]}" if minutes % 60 else ""
    return f"{minutes // 60} {units[2]}{rest}"


def _choices(event: AlertEvent, answer: str) -> str:
    numbered = " ".join(f"{number} {option}" for number, option in enumerate(event.options, 1))
    return f"{numbered}. {answer}"


def _plain(text: str) -> str:
    """Return a text in GSM-7, in one line."""
    from airflow_provider_voicepartner.gateways.gsm import to_gsm7

    return without_braces(" ".join(to_gsm7(text).text.split()))


def _is_within(text: str, segments: int) -> bool:
    from airflow_provider_voicepartner.gateways.gsm import count_segments

    return count_segments(text).segments <= segments


def _fit(head: str, said: str, tail: str, link: str, segments: int) -> str:
    """
    Put a text together whose middle is cut so that all of it fits.

    :param head: stays whole, if it fits by itself.
    :param said: the error, or the question.
    :param tail: stays whole, if it fits beside a bit of the middle.
    :param link: likewise; left out before all else.
    """
    from airflow_provider_voicepartner.gateways.gsm import cut_to_segments

    middle = f"{said}." if tail and said and not said.endswith((".", "?", "!")) else said
    for end in dict.fromkeys((_end(tail, link), _end(tail, ""))):
        short = middle if len(middle) <= LEAST_ERROR else f"{said[:LEAST_ERROR].rstrip()}..."
        if not _is_within(_joined(head, short) + end, segments):
            continue
        if _is_within(_joined(head, middle) + end, segments):
            return _joined(head, middle) + end
        length = LEAST_ERROR
        while _is_within(f"{_joined(head, said[: length + 1].rstrip())}...{end}", segments):
            length += 1
        return f"{_joined(head, said[:length].rstrip())}...{end}"
    return cut_to_segments(_joined(head, middle) + _end(tail, ""), segments)


def _end(tail: str, link: str) -> str:
    """Return what stands after the middle: how to answer, and where."""
    if tail:
        return f" {tail}{f': {link}' if link else ''}"
    return f" {link}" if link else ""


def _joined(head: str, said: str) -> str:
    return f"{head}: {said}" if said else head


# Spoken


def spoken_text(
    context: Any,
    language: str | None = None,
    *,
    more: int = 0,
    answer: str = "",
    time_zone: str | None = None,
) -> str:
    """
    Describe what happened in sentences that are made to be heard: names without underscores, all said twice.

    :param context: as for :func:`default_text`.
    :param more: alerts that were counted and not told.
    :param answer: how a question can be answered; empty for in Airflow.
    :param time_zone: as for :func:`default_text`.
    """
    event, words = read_event(context), language_of(language)
    end = f" {_sentence(and_more(more, words))}" if more > 0 else ""
    if event.what is not What.QUESTION:
        return _said_twice(_spoken(event, words, answer, time_zone), words, end)
    room = _room_for(LONGEST_SPOKEN_QUESTION, words, end)
    over = len(_spoken(event, words, answer)) - room
    if over > 0:
        # Of a question what it is about is cut first, and not how to answer it.
        event = replace(event, subject=event.subject[: max(0, len(event.subject) - over - 1)].rstrip())
    return _said_twice(_spoken(event, words, answer), words, end, longest=LONGEST_SPOKEN_QUESTION)


def spoken_all_clear(context: Any, language: str | None = None) -> str:
    """Say in sentences that are made to be heard that what failed has succeeded."""
    event, words = read_event(context, asks_for_tasks=False), language_of(language)
    said = _spoken(event, words, "").replace("Airflow.", f"Airflow. {_sentence(_ALL_CLEAR[words])}", 1)
    return _said_twice(said, words)


def _room_for(longest: int, language: Language, end: str) -> int:
    """Return how long sentences may be that are said twice."""
    return (longest - len(_WORDS[language]["again"]) - 2) // 2 - len(end)


def _said_twice(text: str, language: Language, end: str = "", *, longest: int = LONGEST_SPOKEN) -> str:
    """
    Return sentences twice, cut to what a call says.

    :param end: stays whole.
    """
    again = _WORDS[language]["again"]
    most = _room_for(longest, language, end)
    said = without_braces(" ".join(text.split()))
    if len(said) > most:
        said = f"{said[: most - 1].rsplit(' ', 1)[0].rstrip('.,;: ')}."
    return f"{said}{end} {again} {said}{end}"


def _spoken(event: AlertEvent, language: Language, answer: str, time_zone: str | None = None) -> str:
    words, happened = _WORDS[language], _HAPPENED[language][event.what]
    dag = f"{words['dag']} {readable(event.dag_id)}" if event.dag_id else words["a dag"]
    if event.what in (What.DEADLINE, What.DAG_FAILED, What.DAG_SUCCEEDED, What.DAG_OTHER):
        due = words["of"].format(_due(event, language, time_zone, is_spoken=True)) if event.due else ""
        if event.what is What.DAG_OTHER and event.state:
            happened = event.state
        tasks = words["and"].join(map(readable, event.failed_tasks))
        said = (
            f"Airflow. {dag[0].upper()}{dag[1:]} {happened}{due}{_since(event, language, is_spoken=True)}"
            f"{words['in'].format(tasks) if tasks else ''}."
        )
        return f"{said} {_as_sentence(readable(event.error))}"
    if event.what is What.TASK_OTHER and event.state:
        happened = event.state
    task = readable(event.task_id) or words["a task"]
    name = words["task"].format(task, readable(event.dag_id)) if event.dag_id else task
    index = words["index"].format(event.map_index) if event.map_index >= 0 else ""
    tries = _tries(event, language)
    if event.what is What.QUESTION:
        options = " ".join(words["option"].format(*one) for one in enumerate(event.options, 1))
        where = answer or words["where"]
        return f"Airflow. {name}{index} {happened}: {_as_sentence(event.subject)} {options} {where}"
    return f"Airflow. {name}{index} {happened}{f', {tries}' if tries else ''}. {_as_sentence(readable(event.error))}"


def _as_sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."
