"""
Answers of humans to pages: what a text or a pressed key asks for, and which incident it is about.

A text is an answer only if each of its words is one that is known: ``pas ok`` must not acknowledge.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from airflow_provider_voicepartner.constants import LONGEST_ANSWER
from airflow_provider_voicepartner.incidents.escalation import Action, Phase
from airflow_provider_voicepartner.incidents.titles import Words

ACKNOWLEDGE_KEY: Final = "1"
ESCALATE_KEY: Final = "2"
CLOSE_KEY: Final = "3"
_KEYS: Final = {
    ACKNOWLEDGE_KEY: Action.ACKNOWLEDGE,
    ESCALATE_KEY: Action.ESCALATE,
    CLOSE_KEY: Action.CLOSE,
}

_WORDS: Final = {
    Action.ACKNOWLEDGE: "a ack acknowledge acknowledged ok okay oui yes yep pris prends prend recu vu mine taken got "
    "accept accepte accepted confirme confirm",
    Action.ESCALATE: "e escalate escalade escalader non no nope next suivant passe passer transfere pass",
    Action.CLOSE: "c close closed clos ferme fermer fermee resolu resolue resolved fixed done fini termine "
    "regle repare",
}
_ACTIONS: Final = {word: action for action, words in _WORDS.items() for word in words.split()}
# Words that people write around it, and that change nothing.
_FILLER_WORDS: Final = (
    "j je m me l le la les c est en it i ai am have has got the on im ive merci thanks thank you svp please bien d "
    "accord dac compte charge this that its ca moi by cest ve"
)
_SHORT: Final = frozenset(word for word in _ACTIONS if len(word) == 1)
"""Letters that ask for something beside numbers alone: ``12c`` closes, and the one of "c'est ok" does not."""
_SHORT_FILLERS: Final = frozenset("ac")
"""Those of them that begin words which people write around an answer."""
FILLERS: Final = frozenset(_FILLER_WORDS.split()) - set(_ACTIONS)
_TOKEN: Final = re.compile(r"\d+|[a-z]+")
# Between words: signs that people write, and what telephones add, such as the colour of a thumb.
_BETWEEN: Final = re.compile(r"[\s.,;:!?'’\"()#*/&+…👍👌✅🙏\U0001f3fb-\U0001f3ff-]*")
# What telephones put around a text to say in which direction it is written, or where a line may break.
_UNSEEN: Final = frozenset(
    "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)


class Channel(StrEnum):
    """How somebody answered."""

    SMS = "sms"
    CALL = "call"
    LINK = "link"
    CLI = "cli"
    AIRFLOW = "airflow"


class Verdict(StrEnum):
    """Why an answer changes nothing, before an incident is asked."""

    NOT_UNDERSTOOD = "not_understood"
    AMBIGUOUS = "ambiguous"
    """Several incidents are open, and the answer does not say which is meant."""
    UNKNOWN_CODE = "unknown_code"
    NOTHING_OPEN = "nothing_open"


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """
    What an answer asks for.

    :param action: None where it was not understood.
    :param code: of the incident; None where none was given.
    """

    action: Action | None = None
    code: int | None = None


NOT_UNDERSTOOD: Final = ReadAnswer()


def read_text(text: str) -> ReadAnswer:
    """
    Read a text message, in French or English: ``1``, ``ok``, ``12``, ``12 2``, ``12c``, ``1 pris``.

    :param text: anything.
    :returns: without an action where a word is not known, or two of them ask for different things.
    """
    tokens = words_of(text)
    if not tokens:
        return NOT_UNDERSTOOD
    actions, codes = set[Action](), set[int]()
    is_short = all(token in _SHORT or token.isdigit() for token in tokens)
    for token in tokens:
        if token in _ACTIONS and (is_short or token not in _SHORT):
            actions.add(_ACTIONS[token])
        elif token in _KEYS:
            actions.add(_KEYS[token])
        elif is_code(token):
            codes.add(int(token))
        elif token not in FILLERS and token not in _SHORT_FILLERS:
            return NOT_UNDERSTOOD
    if len(codes) > 1 or len(actions) > 1 or not (codes or actions):
        return NOT_UNDERSTOOD
    return ReadAnswer(next(iter(actions), Action.ACKNOWLEDGE), next(iter(codes), None))


def read_keys(keys: str) -> ReadAnswer:
    """
    Read the keys that were pressed during a call: ``1`` acknowledges, ``2`` passes on, ``3`` closes.

    :param keys: perhaps the same key several times; ``*`` and ``#`` mean nothing.
    """
    pressed = set(keys.strip()) - set("*# ,")
    return ReadAnswer(_KEYS.get(next(iter(pressed)))) if len(pressed) == 1 else NOT_UNDERSTOOD


def words_of(text: str) -> list[str]:
    """
    Return the words and numbers of an answer, in small letters without accents, in their order.

    :param text: anything.
    :returns: nothing where it is longer than an answer, or has signs that people do not write between words.
    """
    plain = _plain(text[: LONGEST_ANSWER + 1])
    if len(plain) > LONGEST_ANSWER or _BETWEEN.fullmatch(_TOKEN.sub("", plain)) is None:
        return []
    return _TOKEN.findall(plain)


def is_code(token: str) -> bool:
    """Say whether a word of an answer is a code, and no key."""
    return token.isdigit() and 2 <= len(token) <= 9 and not token.startswith("0")


def _plain(text: str) -> str:
    """Return a text in small letters without accents and signs that nobody sees, its digits as ASCII."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    seen = (letter for letter in apart if unicodedata.category(letter)[:1] != "M" and letter not in _UNSEEN)
    return "".join(str(unicodedata.decimal(letter, letter)) for letter in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAbout:
    """
    An incident that the number which answers was paged about.

    :param phase: of its escalation.
    :param person: who was paged, by name.
    :param paged_at: when that number was paged last, in Unix seconds.
    :param is_named: whether the gateway says that the answer is to a page of this incident.
    """

    incident: int
    code: int | None
    phase: Phase
    person: str
    paged_at: float
    is_named: bool = False
    title: str = field(default="", repr=False)
    words: Words = field(default_factory=Words, repr=False)


def choose(answer: ReadAnswer, asked: Sequence[AskedAbout], *, by_call: bool = False) -> AskedAbout | Verdict:
    """
    Say which incident an answer is about.

    Where several wait for an answer, only a code decides: people answer in one thread of messages, and gateways count
    the answer to the last of them. A key is pressed within one call.

    :param asked: all that the number was asked about, at least one.
    :param by_call: True for pressed keys.
    """
    if answer.action is None:
        return Verdict.NOT_UNDERSTOOD
    there = [one for one in asked if one.phase is not Phase.CLOSED]
    named = [one for one in asked if one.is_named]
    if answer.code is not None:
        coded = [one for one in there if one.code == answer.code]
        if coded:
            return coded[0]
        return Verdict.UNKNOWN_CODE if there else _last(asked)
    if by_call and named:
        return named[0]
    waiting = [one for one in there if one.phase is not Phase.ACKNOWLEDGED]
    if answer.action is Action.ACKNOWLEDGE:
        if len(waiting) > 1:
            return Verdict.AMBIGUOUS
        if named and (named[0].phase is not Phase.CLOSED or waiting):
            return Verdict.AMBIGUOUS if named[0].phase is Phase.CLOSED else named[0]
        return waiting[0] if waiting else _last(there or asked)
    # To pass on or to close may be meant for one that somebody has.
    if len(there) > 1:
        return Verdict.AMBIGUOUS
    return there[0] if there else _last(asked)


def _last(asked: Sequence[AskedAbout]) -> AskedAbout:
    return max(asked, key=lambda one: one.paged_at)
