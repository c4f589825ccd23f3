"""The watchdog's messages, in English or French: an SMS in GSM-7, or sentences that are spoken twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from airflow_provider_voicepartner.constants import LONGEST_SPOKEN, WATCH_NAMES, WATCH_SEGMENTS
from airflow_provider_voicepartner.contacts.languages import Language
from airflow_provider_voicepartner.gateways.gsm import count_segments, cut_to_segments, to_gsm7
from airflow_provider_voicepartner.gateways.placeholders import without_braces
from airflow_provider_voicepartner.hooks.clocks import at_their_clock
from airflow_provider_voicepartner.incidents.clearing import ClearText
from airflow_provider_voicepartner.incidents.model import Alert
from airflow_provider_voicepartner.incidents.titles import Words, readable, title_in
from airflow_provider_voicepartner.notifications.message import as_repeat
from airflow_provider_voicepartner.watchdog.findings import Finding, Kind, Recovery, listed

_PARTS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "api": "API", "metadatabase": "database", "scheduler": "scheduler", "triggerer": "triggerer",
        "dag_processor": "DAG processor",
    },
    "fr": {
        "api": "API", "metadatabase": "base de données", "scheduler": "scheduler", "triggerer": "triggerer",
        "dag_processor": "DAG processor",
    },
}  # fmt: skip
_FOUND: Final[Mapping[Language, Mapping[Kind, str]]] = {
    "en": {
        Kind.DAG_FAILED: "DAG {0} failed{1}", Kind.TASKS_FAILED: "DAG {0}, failed{1}", Kind.SILENT: "silent: {all}",
        Kind.REFUSED: "the API refuses the watchdog: {rest}",
        Kind.IMPORT_ERROR: "{0} cannot be imported any more: {second}",
        Kind.NO_RUN: "no run of DAG {0} by {second}",
        Kind.NO_SUCCESS: "no successful run of DAG {0} by {second}", Kind.PEER_SILENT: "the watchdog {0} is silent",
        Kind.STORE_DOWN: "the watchdog cannot reach its store",
        Kind.PAGES_LATE: "a page is late, escalations do not go on: see the log of the watchdog",
    },
    "fr": {
        Kind.DAG_FAILED: "le DAG {0} a échoué{1}", Kind.TASKS_FAILED: "DAG {0}, échec{1}",
        Kind.SILENT: "plus de signe de vie : {all}", Kind.REFUSED: "l'API refuse le watchdog : {rest}",
        Kind.IMPORT_ERROR: "{0} ne s'importe plus : {second}",
        Kind.NO_RUN: "pas de run du DAG {0} à {second}",
        Kind.NO_SUCCESS: "pas de run réussi du DAG {0} à {second}", Kind.PEER_SILENT: "le watchdog {0} ne répond plus",
        Kind.STORE_DOWN: "le watchdog n'atteint plus sa base",
        Kind.PAGES_LATE: "une astreinte est en retard, les escalades n'avancent plus : voir le log du watchdog",
    },
}  # fmt: skip
_OVER: Final[Mapping[Language, Mapping[Kind, str]]] = {
    "en": {
        Kind.SILENT: "alive again: {all}", Kind.REFUSED: "alive again: {all}",
        Kind.IMPORT_ERROR: "{0} can be imported again", Kind.NO_RUN: "DAG {0} has run",
        Kind.NO_SUCCESS: "DAG {0} has succeeded",
        Kind.PEER_SILENT: "the watchdog {0} is alive again", Kind.STORE_DOWN: "the watchdog reaches its store again",
        Kind.PAGES_LATE: "escalations go on",
    },
    "fr": {
        Kind.SILENT: "de nouveau en vie : {all}", Kind.REFUSED: "de nouveau en vie : {all}",
        Kind.IMPORT_ERROR: "{0} s'importe de nouveau", Kind.NO_RUN: "le DAG {0} a tourné",
        Kind.NO_SUCCESS: "le DAG {0} a réussi",
        Kind.PEER_SILENT: "le watchdog {0} répond de nouveau",
        Kind.STORE_DOWN: "le watchdog atteint de nouveau sa base",
        Kind.PAGES_LATE: "les escalades avancent de nouveau",
    },
}  # fmt: skip
_WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "colon": ": ",
        "more": "and {0} more alerts",
        "again": "I repeat.",
        "clear": "all clear",
        "many": "{0} problems: ",
    },
    "fr": {
        "colon": " : ",
        "more": "et {0} autres alertes",
        "again": "Je répète.",
        "clear": "fin d'alerte",
        "many": "{0} problèmes : ",
    },
}


@dataclass(frozen=True, slots=True)
class Message:
    """
    What is said, in both languages.

    :param english: one sentence, without a full stop.
    :param french: the same.
    :param link: empty for none.
    """

    english: str
    french: str
    link: str = ""

    def in_language(self, language: Language) -> str:
        """Return the sentence."""
        return self.french if language == "fr" else self.english


def of_finding(finding: Finding, more: int = 0) -> Message:
    """
    Say what was found.

    :param more: alerts of its incidents that nobody was told of.
    """
    return _message(lambda language: _found(finding, language) + _and_more(more, language), finding.link)


def words_of(finding: Finding, alert: Alert) -> Words:
    """Return what one alert of a finding says in French, and as it is spoken, for pages and later messages."""
    happened = alert.occurrence
    names = {
        Kind.TASKS_FAILED: (happened.dag_id, happened.task_id), Kind.SILENT: (happened.run_id,)
    }.get(finding.kind, finding.names)  # fmt: skip
    message = of_finding(replace(finding, names=names))
    return Words(
        french=message.french,
        spoken=_sentence(message.english),
        spoken_french=_sentence(message.french),
    )


def of_title(title: str, words: Words, more: int, link: str) -> Message:
    """
    Say again what an incident is about, with the alerts since.

    :param title: of the incident.
    :param words: of the title, in French.
    :param more: alerts, apart from the one of the title.
    """
    return _message(
        lambda language: at_their_clock(title_in(language, title, words), None) + _and_more(more, language),
        link,
    )


def of_many(findings: Sequence[Finding], more: int = 0) -> Message:
    """Say several things in one message: how many they are, and the first of them."""

    def said(language: Language) -> str:
        first = "; ".join(_found(one, language) for one in findings[:WATCH_NAMES])
        return f"{_WORDS[language]['many'].format(len(findings))}{first}{_and_more(more, language)}"

    return _message(said, findings[0].link)


def of_recoveries(recoveries: Sequence[Recovery]) -> Message:
    """
    Say that something is over.

    :param recoveries: at least one, all of one kind.
    """

    def said(language: Language) -> str:
        form = _OVER[language].get(recoveries[0].kind, _OVER[language][Kind.SILENT])
        if "{all}" in form:
            over = _filled(form, [name for one in recoveries for name in one.names], language)
        else:
            over = "; ".join(_filled(form, one.names, language) for one in recoveries)
        return f"{_WORDS[language]['clear']}, {over}"

    return _message(said, "")


def all_clear_of(message: Message, language: str | None) -> ClearText:
    """
    Return an all clear as the store holds it.

    :param language: ``fr`` or ``en`` for everybody; None for the language of each person.
    """
    return ClearText(
        english=sms(message, "en", is_repeat=False),
        french=sms(message, "fr", is_repeat=False),
        spoken=spoken(message, "en", is_repeat=False),
        spoken_french=spoken(message, "fr", is_repeat=False),
        language=language,
    )


def sms(message: Message, language: Language, *, is_repeat: bool) -> str:
    """
    Return the text of an SMS; a link that does not fit is left out, and then the end is cut.

    :param is_repeat: begin with the sentence that says that it may have arrived before.
    """
    text = f"Airflow (watchdog){_WORDS[language]['colon']}{message.in_language(language)}"
    text = _plain(as_repeat(text, language) if is_repeat else text)
    with_link = f"{text} {message.link}" if message.link and _plain(message.link) == message.link else text
    if count_segments(with_link).segments <= WATCH_SEGMENTS:
        return with_link
    return cut_to_segments(text, WATCH_SEGMENTS)


def spoken(message: Message, language: Language, *, is_repeat: bool) -> str:
    """Return the text of a call: names as they are spoken, all of it twice."""
    again = _WORDS[language]["again"]
    said = without_braces(_sentence(message.in_language(language)))
    most = (LONGEST_SPOKEN - len(again) - len("  ")) // 2
    said = said if len(said) <= most else f"{said[: most - 1].rsplit(' ', 1)[0].rstrip('.,;: ')}."
    text = f"{said} {again} {said}"
    return as_repeat(text, language, is_spoken=True) if is_repeat else text


def _sentence(said: str) -> str:
    return f"Airflow. {readable(said[:1].upper() + said[1:])}."


def _message(said: Callable[[Language], str], link: str) -> Message:
    return Message(said("en"), said("fr"), link)


def _found(finding: Finding, language: Language) -> str:
    return _filled(_FOUND[language][finding.kind], finding.names, language)


def _filled(form: str, names: Sequence[str], language: Language) -> str:
    rest, colon = names[1:], _WORDS[language]["colon"]
    return form.format(
        names[0] if names else "",
        f"{colon}{listed(rest)}" if rest else "",
        all=", ".join(_PARTS[language].get(name, name) for name in names),
        second=rest[0] if rest else "",
        rest=" ".join(rest),
    )


def _and_more(more: int, language: Language) -> str:
    return f", {_WORDS[language]['more'].format(more)}" if more > 0 else ""


def _plain(text: str) -> str:
    return without_braces(" ".join(to_gsm7(text).text.split()))
