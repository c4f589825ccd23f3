"""
What a human chose of a question's options: by number, by the option's own words, or by yes and no.

A text is an answer only if each of its words is one that is known: ``pas approve`` must not approve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from airflow_provider_voicepartner.constants import MOST_CHOICES
from airflow_provider_voicepartner.incidents.answers import FILLERS, is_code, words_of

_YES: Final = frozenset(
    (
        "yes", "y", "yep", "oui", "o", "ok", "okay", "go", "accord", "dac", "approve", "approved", "approuve",
        "approuver", "accept", "accepte", "accepter",
    )
)  # fmt: skip
_NO: Final = frozenset(
    (
        "no",
        "n",
        "nope",
        "non",
        "reject",
        "rejected",
        "rejette",
        "rejeter",
        "refuse",
        "refuser",
        "deny",
        "decline",
    )
)
_KEYS: Final = frozenset("123456789")
_BETWEEN_KEYS: Final = frozenset("*# ,")


@dataclass(frozen=True, slots=True)
class ReadReply:
    """
    An answer, before it is known which question it is about.

    :param words: in small letters without accents, without the code; empty where it cannot be read.
    :param code: of the question; None where none was given.
    """

    words: tuple[str, ...] = ()
    code: int | None = None


def read_reply(text: str) -> ReadReply:
    """
    Read a text message: ``2``, ``47 2``, ``oui``, ``47 approve``.

    :param text: anything.
    :returns: no words where it has two codes, or cannot be read.
    """
    words = words_of(text)
    codes = {int(word) for word in words if is_code(word)}
    if len(codes) > 1:
        return ReadReply()
    return ReadReply(tuple(word for word in words if not is_code(word)), next(iter(codes), None))


def read_pressed(keys: str) -> ReadReply:
    """Read the keys that were pressed during a call, perhaps the same one several times."""
    pressed = set(keys.strip()) - _BETWEEN_KEYS
    return ReadReply(tuple(pressed)) if len(pressed) == 1 and pressed <= _KEYS else ReadReply()


def are_for_phones(options: Sequence[str]) -> bool:
    """Say whether options can be told apart by one digit, and none of them looks like the number of another."""
    if not 1 <= len(options) <= MOST_CHOICES:
        return False
    texts = [words_of(option) for option in options]
    return all(
        len(words) != 1 or not words[0].isdigit() or words == [str(place)]
        for place, words in enumerate(texts, 1)
    )


def choose_options(reply: ReadReply, options: Sequence[str], *, most: int = 1) -> tuple[str, ...]:
    """
    Return what was chosen, in the order of the options; nothing where that is not clear.

    :param options: as they were asked.
    :param most: how many may be chosen.
    """
    by_number = {int(word) for word in reply.words if word.isdigit()}
    said = [word for word in reply.words if not word.isdigit()]
    if by_number - set(range(1, len(options) + 1)):
        return ()
    by_words = _places_of(said, options)
    if by_words is None or (by_number and by_words and by_words != by_number):
        return ()
    places = by_number or by_words
    return tuple(options[place - 1] for place in sorted(places)) if 1 <= len(places) <= most else ()


def _places_of(said: Sequence[str], options: Sequence[str]) -> set[int] | None:
    """Return the places of the options that words mean, from 1; None where a word is not known."""
    known = [word for word in said if word not in FILLERS or word in _YES | _NO]
    for wanted, shorten in ((list(said), False), (known, True)):
        same = [
            place
            for place, option in enumerate(options, 1)
            if wanted and wanted == _essence(option, shorten=shorten)
        ]
        if same:
            return {same[0]} if len(same) == 1 else None
    meant = set[int]()
    for word in known:
        group = _YES if word in _YES else _NO if word in _NO else None
        if group is None:
            return None
        fits = [
            place
            for place, option in enumerate(options, 1)
            if (words := words_of(option)) and group.issuperset(words)
        ]
        if len(fits) != 1:
            return None
        meant.add(fits[0])
    return meant if len(meant) <= 1 else None


def _essence(option: str, *, shorten: bool) -> list[str]:
    words = words_of(option)
    return [word for word in words if word not in FILLERS or word in _YES | _NO] if shorten else words
