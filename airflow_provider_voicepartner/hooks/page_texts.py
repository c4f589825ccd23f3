"""What the messages of an escalation say, in English or French: what broke, how to answer, who has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from airflow_provider_voicepartner.constants import LEAST_PAGE_TITLE, LONGEST_SPOKEN, PAGE_SEGMENTS
from airflow_provider_voicepartner.contacts.languages import Language, language_of
from airflow_provider_voicepartner.gateways.gsm import count_segments, cut_to_segments, to_gsm7
from airflow_provider_voicepartner.gateways.placeholders import without_braces
from airflow_provider_voicepartner.hooks.clocks import at_their_clock
from airflow_provider_voicepartner.incidents.answers import ACKNOWLEDGE_KEY, CLOSE_KEY, ESCALATE_KEY, Verdict
from airflow_provider_voicepartner.incidents.escalation import Purpose, Result
from airflow_provider_voicepartner.incidents.pages import ClaimedPage
from airflow_provider_voicepartner.incidents.titles import spoken_title, title_in

_WORDS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "more": " ({0} alerts)", "lapsed": "Nobody has it any more (was {0}). ",
        "reply": "Reply {0} to take it, {1} to pass it on", "link": "Take it: {0}",
        "command": "Take it: incident ack {0}", "no title": "Incident {0}",
        "unheard": "No answer is heard",
        "owned": "{0} has it", "passed_on": "{0} passed it on", "closed": "{0} closed it",
        "acknowledged": "You have it. Reply {2} when it is solved, {1} to pass it on",
        "already yours": "You have it already",
        "already_owned": "{0} has it already", "escalated": "Passed on", "already_passed_on": "Passed on already",
        "you closed": "Closed", "already_closed": "{0} closed it already", "already over": "It is over already",
        "ambiguous": "Which one? Reply with its number: ", "unknown_code": "No open incident has that number. Open: ",
        "not_understood": "Not understood. Reply {0} to take it, {1} to pass it on, {2} to close it",
        "press": "Press {0} to take it, {1} to pass it on.", "no keys": "Answer the text message, or in Airflow.",
        "again": "I repeat.",
    },
    "fr": {
        "more": " ({0} alertes)", "lapsed": "Plus personne ne s'en occupe (c'était {0}). ",
        "reply": "Répondez {0} pour prendre, {1} pour passer", "link": "Prendre : {0}",
        "command": "Prendre : incident ack {0}", "no title": "Incident {0}",
        "unheard": "Aucune réponse n'est lue",
        "owned": "{0} s'en occupe", "passed_on": "{0} l'a transmis", "closed": "{0} l'a clos",
        "acknowledged": "C'est pour vous. Répondez {2} une fois résolu, {1} pour passer",
        "already yours": "Vous vous en occupez déjà",
        "already_owned": "{0} s'en occupe déjà", "escalated": "Transmis", "already_passed_on": "Déjà transmis",
        "you closed": "Clos", "already_closed": "{0} l'a déjà clos", "already over": "C'est déjà fini",
        "ambiguous": "Lequel ? Répondez son numéro : ",
        "unknown_code": "Aucun incident ouvert n'a ce numéro. Ouverts : ",
        "not_understood": "Pas compris. Répondez {0} pour prendre, {1} pour passer, {2} pour clore",
        "press": "Appuyez sur {0} pour prendre, sur {1} pour passer.",
        "no keys": "Répondez au SMS, ou dans Airflow.", "again": "Je répète.",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ways:
    """
    How somebody can answer.

    :param by_phone: whether replies, or keys in a call, come back.
    :param link: the signed address of a page that acknowledges; empty for none.
    """

    by_phone: bool = False
    link: str = ""


def sms_text(claimed: ClaimedPage, ways: Ways) -> str:
    """
    Return a text message, in GSM-7 and at most two segments; what broke is cut, how to answer is not.

    :param claimed: what the message is for.
    :param ways: how to answer.
    """
    words, page = _WORDS[language_of(claimed.page.language)], claimed.page
    title = _title(claimed, words)
    if page.purpose is Purpose.PAGE:
        more = words["more"].format(claimed.incident.alerts) if claimed.incident.alerts > 1 else ""
        lapsed = words["lapsed"].format(claimed.incident.last_owner) if claimed.incident.last_owner else ""
        return _fitted(lapsed, title, more, _how(claimed, ways, words))
    if page.purpose is Purpose.ANSWER:
        return _answer(claimed, title, words)
    return _fitted("", title, "", f"{words[page.purpose.value].format(page.said)}.")


def spoken_page(claimed: ClaimedPage, ways: Ways) -> str:
    """Return what a call says, twice: what broke, and which keys to press where the gateway tells them."""
    words = _WORDS[language_of(claimed.page.language)]
    incident = claimed.incident
    title = _title(claimed, words)
    said = spoken_title(claimed.page.language, title, incident.words)
    said = at_their_clock(said, claimed.page.time_zone, title=incident.title)
    said = without_braces(said).rstrip(".")
    keys = words["press"].format(ACKNOWLEDGE_KEY, ESCALATE_KEY) if ways.by_phone else words["no keys"]
    again = words["again"]
    most = (LONGEST_SPOKEN - len(again) - len("  ")) // 2 - len(keys) - len(". ")
    if len(said) > most:
        said = said[: most + 1].rpartition(" ")[0].rstrip(".,;: ") or said[:most]
    once = f"{said}. {keys}"
    return f"{once} {again} {once}"


def _title(claimed: ClaimedPage, words: dict[str, str]) -> str:
    incident = claimed.incident
    title = title_in(claimed.page.language, incident.title, incident.words)
    title = at_their_clock(title, claimed.page.time_zone)
    return title.strip() or words["no title"].format(incident.id)


def _how(claimed: ClaimedPage, ways: Ways, words: dict[str, str]) -> str:
    take, give = ACKNOWLEDGE_KEY, ESCALATE_KEY
    if claimed.incident.others and claimed.incident.code is not None:
        take, give = f"{claimed.incident.code}", f"{claimed.incident.code} {ESCALATE_KEY}"
    parts = [words["reply"].format(take, give)] if ways.by_phone else []
    if ways.link:
        parts.append(words["link"].format(ways.link) if not parts else ways.link)
    if parts or not claimed.incident.id:
        return ". ".join(parts) or words["unheard"]
    return words["command"].format(claimed.incident.id)


def _answer(claimed: ClaimedPage, title: str, words: dict[str, str]) -> str:
    page, result = claimed.page, claimed.result
    if result in (Verdict.AMBIGUOUS, Verdict.UNKNOWN_CODE):
        listed = ". ".join(f"{code}: {one}" for code, one in claimed.choices)
        return _cut(words[result] + listed)
    name = {
        Result.ALREADY_OWNED.value: "already yours" if page.said == page.person else "already_owned",
        Result.ALREADY_CLOSED.value: "already_closed" if page.said else "already over",
        Result.CLOSED.value: "you closed",
    }.get(result, result)
    if name not in words:
        name = Verdict.NOT_UNDERSTOOD.value
    keys = (ACKNOWLEDGE_KEY, ESCALATE_KEY, CLOSE_KEY)
    said = words[name].format(*((page.said,) if "{2}" not in words[name] else keys))
    return _fitted("", "" if name == Verdict.NOT_UNDERSTOOD else title, "", f"{said}.")


def _plain(text: str) -> str:
    return without_braces(" ".join(to_gsm7(text).text.split()))


def _cut(text: str) -> str:
    return cut_to_segments(_plain(text), PAGE_SEGMENTS)


def _fitted(head: str, title: str, more: str, tail: str) -> str:
    """Put a text together whose title is cut so that the rest is whole."""
    head, title, more, tail = _plain(head), _plain(title), _plain(more), _plain(tail)
    head = f"{head} " if head else ""
    more = f" {more}" if more else ""

    def whole(said: str) -> str:
        return f"{head}{said}{more}{'' if said.endswith('.') else '.'} {tail}" if said else f"{head}{tail}"

    if count_segments(whole(title)).segments <= PAGE_SEGMENTS:
        return whole(title)
    length = len(title)
    while (
        length > LEAST_PAGE_TITLE
        and count_segments(whole(f"{title[:length].rstrip()}...")).segments > PAGE_SEGMENTS
    ):
        length -= 1
    # A link may be longer than all that there is room for; it stays whole.
    return whole(f"{title[:length].rstrip()}...")
