"""
A message worked out once for a campaign, so that many recipients' own texts are checked, counted and written at a time.

The gateway's functions for a single text say what is sent, counted and refused. This module only decides for which
recipients they need not be asked: those whose fields hold plain characters, of which each counts one unit wherever it
stands. All others are looked at one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache, wraps
from operator import add
from typing import Any, Final, TypeVar, cast, get_args

from airflow_provider_voicepartner.constants import MESSAGES_CACHED
from airflow_provider_voicepartner.gateways.model import Message
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate
from airflow_provider_voicepartner.gateways.validation import WORD_FOR_NOTHING, says_nothing

Columns = Mapping[str, Sequence[str]]
"""Personal fields of many recipients: the name of a field -> its value for each recipient, in order."""

Makes = TypeVar("Makes", bound=Callable[..., Any])


class CharacterSet:
    """
    Some characters, and quick answers about texts of nothing else.

    :param characters: which ones; those of Latin-1 are looked for fastest.
    """

    def __init__(self, characters: Iterable[str]) -> None:
        self._characters = frozenset(characters)
        self._latin = bytes(sorted(code for code in map(ord, self._characters) if code < 256))

    @cached_property
    def _others(self) -> re.Pattern[str]:
        return re.compile(f"[^{re.escape(''.join(sorted(self._characters)))}]")

    def holds_all_of(self, text: str) -> bool:
        """Say whether a text has no other character."""
        try:
            return not text.encode("latin-1").translate(None, self._latin)
        except UnicodeEncodeError:
            return not self._others.search(text)

    def places_of_others(self, texts: Sequence[str]) -> set[int]:
        """Return the places of the texts that have another character, from 0."""
        if self.holds_all_of("".join(texts)):
            return set()
        return {at for at, text in enumerate(texts) if not self.holds_all_of(text)}

    def without(self, characters: Iterable[str]) -> CharacterSet:
        """Return the set without some of its characters."""
        return CharacterSet(self._characters.difference(characters))

    def __and__(self, other: CharacterSet) -> CharacterSet:
        """Return what is in both sets."""
        return CharacterSet(self._characters & other._characters)


STANDS_ALONE: Final = CharacterSet(map(chr, (*range(0x300), *range(0x2010, 0x2028), 0x20AC)))
"""Characters that never become one with a neighbour in NFC; not all of them."""
STRAY: Final = tuple(map(chr, range(0x80, 0xA0)))
"""Control characters that no text may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRule:
    """
    How a gateway counts a text of one message whose fields hold nothing but plain characters.

    :param plain: the plain characters. Each stands alone in NFC, counts one unit wherever it stands, and is refused
        nowhere.
    :param fixed: units of the text without its fields.
    :param longest: most units of a text that is taken.
    :param longest_field: most characters of a field; None where only the text is limited.
    """

    plain: CharacterSet
    fixed: int
    longest: int
    longest_field: int | None = None


class CompiledMessage:
    """
    A text with placeholders, ready for many recipients.

    All methods take the fields of some recipients, at least one, with a column for each name of the template.

    :param template: the text, taken apart; it has placeholders.
    :param rule: None where each text has to be looked at.
    :param count: returns how many SMS a text takes, in each way to count; None where texts are no SMS.
    :param of_units: the same for a text of so many units, as the rule counts them.
    """

    __slots__ = ("_count", "_format", "_may_join", "_of_units", "_rule", "_says_something", "template")

    def __init__(
        self,
        template: TextTemplate,
        *,
        rule: TextRule | None,
        count: Callable[[str], Sequence[int]] | None = None,
        of_units: Callable[[int], Sequence[int]] | None = None,
    ) -> None:
        self.template = template
        self._rule = rule
        self._count = count
        self._of_units = of_units
        self._format = "%s".join(part.replace("%", "%%") for part in template.literals)
        # Only its first character can become one with the field before it.
        self._may_join = not all(STANDS_ALONE.holds_all_of(part[:1]) for part in template.literals[1:])
        visible = sum(not says_nothing(character) for character in template.plain)
        self._says_something = visible > len(WORD_FOR_NOTHING)

    def texts(self, columns: Columns) -> list[str]:
        """Return each recipient's own text, as :meth:`~.placeholders.TextTemplate.fill_in` writes it."""
        texts = list(map(self._format.__mod__, zip(*self._slots(columns), strict=True)))
        closer: Iterable[int] = range(len(texts))
        if not self._may_join:
            closer = _found_in(STANDS_ALONE, columns, self.template.names)
        for at in closer:
            texts[at] = self.template.fill_in({name: columns[name][at] for name in self.template.names})
        return texts

    def doubtful(self, columns: Columns) -> list[int]:
        """Return the places of recipients, from 0, whose text or fields the gateway may refuse; in order."""
        rule, size = self._rule, self._size(columns)
        if rule is None:
            return list(range(size))
        closer = _found_in(rule.plain, columns, self.template.names)
        units = self._units(columns)
        if max(units) > rule.longest:
            closer.update(at for at, count in enumerate(units) if count > rule.longest)
        if rule.longest_field is not None:
            for name in self.template.names:
                if max(map(len, columns[name])) > rule.longest_field:
                    closer.update(
                        at for at, value in enumerate(columns[name]) if len(value) > rule.longest_field
                    )
        if not self._says_something:
            closer.update(at for at, text in enumerate(self.texts(columns)) if not _surely_says(text))
        return sorted(closer)

    def segments(self, columns: Columns) -> tuple[int, ...]:
        """
        Return how many SMS all these recipients' own texts take together, in each way to count.

        :raises TypeError: where texts are no SMS.
        """
        if self._count is None:
            raise TypeError("these texts are not counted in SMS")
        closer = (
            set(range(self._size(columns)))
            if self._rule is None or self._of_units is None
            else _found_in(self._rule.plain, columns, self.template.names)
        )
        counts: list[Sequence[int]] = []
        if closer:
            names = self.template.names
            own = ({name: columns[name][at] for name in names} for at in closer)
            counts = [self._count(self.template.fill_in(fields)) for fields in own]
        if self._rule is not None and self._of_units is not None and len(closer) < self._size(columns):
            units = self._units(columns)
            if closer:
                units = [count for at, count in enumerate(units) if at not in closer]
            for length, times in Counter(units).items():
                counts.append([reading * times for reading in self._of_units(length)])
        return tuple(map(sum, zip(*counts, strict=True)))

    def _units(self, columns: Columns) -> list[int]:
        """Count each recipient's text by the rule."""
        assert self._rule is not None
        first, *others = self._slots(columns)
        units = list(map(self._rule.fixed.__add__, map(len, first)))
        for column in others:
            units = list(map(add, units, map(len, column)))
        return units

    def _slots(self, columns: Columns) -> list[Sequence[str]]:
        return [columns[name] for name in self.template.slots]

    def _size(self, columns: Columns) -> int:
        return len(columns[self.template.names[0]])


def _found_in(allowed: CharacterSet, columns: Columns, names: Iterable[str]) -> set[int]:
    """Return the places of recipients with a field that holds another character."""
    return set().union(*(allowed.places_of_others(columns[name]) for name in names))


def _surely_says(text: str) -> bool:
    """Say whether a text begins with a letter or digit and is not the word None; without a look at all of it."""
    return text[:1].isalnum() and text[: len(WORD_FOR_NOTHING) + 1].rstrip() != WORD_FOR_NOTHING


_NAMES: Final = {kind: tuple(part.name for part in fields(kind)) for kind in get_args(Message)}


class _Key:
    """A message as a key: equal to another one of the same values, each of the same type."""

    __slots__ = ("_hash", "_parts", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        names = _NAMES.get(type(message)) or tuple(part.name for part in fields(message))
        said = [getattr(message, name) for name in names]
        self._parts: Hashable = (type(message), *map(_hashable, said))
        self._hash = hash(self._parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._parts == other._parts


def _hashable(value: object) -> Hashable:
    # 1 and True are equal, and not the same setting.
    if isinstance(value, Mapping):
        return tuple((name, type(setting), setting) for name, setting in value.items())
    return type(value), value


def once_a_message(make: Makes) -> Makes:
    """
    Keep what is made of a message, so that all batches and all recipients of a campaign share it.

    :param make: takes a message, and perhaps more that can be a key, all by position. What it raises is not cached.
    """

    @lru_cache(maxsize=MESSAGES_CACHED)
    def cached(key: _Key, *more: Hashable) -> Any:
        return make(key.message, *more)

    @wraps(make)
    def get(message: Message, *more: Hashable) -> Any:
        try:
            key = _Key(message)
        except TypeError:  # A setting that cannot be a key, and that may be changed.
            return make(message, *more)
        return cached(key, *more)

    return cast(Makes, get)
