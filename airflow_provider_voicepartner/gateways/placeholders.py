"""
Personal texts: ``{placeholders}`` in a message, filled in from a recipient's fields.

No brace is ever sent by accident: one that is neither part of a placeholder nor written double is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final
from unicodedata import normalize

from airflow_provider_voicepartner.constants import FIELDS_SHOWN, TEMPLATES_CACHED
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

# A doubled brace, a placeholder (whose name may be anything but a brace), or a brace that is neither.
_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_LOOKS_LIKE_A_NAME: Final = re.compile(r"[^\W\d][\w .,:!'’/#-]{0,39}")
HOW_TO_SEND_BRACES: Final = (
    "write {{ and }} for braces that are to be sent "
    "(in a template of Airflow within {% raw %} and {% endraw %})"
)
"""The end of errors about braces."""

_OTHER_BRACKETS: Final = str.maketrans("{}", "()")


class TextTemplate:
    """
    A text, taken apart once, so that filling it in is fast. ``names`` holds the names of its placeholders.

    :param text: with ``{placeholders}``; ``{{`` and ``}}`` stand for single braces, as in Python's format strings. A
        name is compared in NFC and without blanks around it, and else exactly.
    :param argument: what the user calls the text, for errors.
    :raises InvalidArgumentError: for any other brace; names its place, and shows nothing of the text but a name.
    """

    __slots__ = ("_argument", "_parts", "_slots", "literals", "names", "plain", "slots")

    def __init__(self, text: str, *, argument: str = "message") -> None:
        self._argument = argument
        self._parts: list[str] = [""]
        self._slots: list[tuple[int, str]] = []
        end = 0
        for found in _BRACES.finditer(text):
            self._add(text[end : found.start()])
            self._take(found)
            end = found.end()
        self._add(text[end:])
        self.names: tuple[str, ...] = tuple(dict.fromkeys(name for _, name in self._slots))
        """The names of its placeholders, each once, in order of appearance."""
        self.slots: tuple[str, ...] = tuple(name for _, name in self._slots)
        """The names of its placeholders, as often as they stand there."""
        self.literals: tuple[str, ...] = tuple(self._parts[::2])
        """What stands before, between and behind its placeholders: one more than there are slots."""
        self.plain: str = "".join(self._parts)
        """What is sent whatever the fields hold; the whole text where there are no placeholders."""

    def _add(self, literal: str) -> None:
        self._parts[-1] += literal

    def _take(self, found: re.Match[str]) -> None:
        brace = found.group()
        if brace in ("{{", "}}"):
            self._add(brace[0])
            return
        name = field_name(found.group(1) or "")
        if not name:
            raise InvalidArgumentError(
                self._argument,
                f"has a brace at character {found.start() + 1} that is no part of a placeholder such as "
                f"{{first_name}}; take it out, or {HOW_TO_SEND_BRACES}",
            )
        self._slots.append((len(self._parts), name))
        self._parts += ["", ""]

    def fill_in(self, fields: Mapping[str, str]) -> str:
        """
        Fill a recipient's fields in, in one pass: a field's own braces are never read again.

        :returns: the text in NFC.
        :raises InvalidArgumentError: when a field is missing, since half a name must never be sent.
        """
        if not self._slots:
            return self.plain
        parts = self._parts.copy()
        try:
            for at, name in self._slots:
                parts[at] = fields[name]
        except KeyError:
            missing = next(name for name in self.names if name not in fields)
        else:
            return composed("".join(parts))
        raise InvalidArgumentError(
            self._argument,
            f"needs the field {shown_name(missing)}, which a recipient does not have ({there_are(fields)}); add it to "
            f"each recipient of 'to', correct the placeholder, or {HOW_TO_SEND_BRACES}",
        )

    def length_with(self, fields: Mapping[str, str]) -> int:
        """Return the length of the filled-in text whose parts, each in NFC, only stand side by side."""
        return sum(map(len, self._parts)) + sum(len(composed(fields[name])) for _, name in self._slots)

    def renamed(self, names: Mapping[str, str]) -> str:
        """Return the text with its placeholders under other names, for gateways that know only a fixed set."""
        parts = self._parts.copy()
        for at, name in self._slots:
            parts[at] = "{" + names[name] + "}"
        return "".join(parts)

    def check_known(self, fields: Collection[str], *, whose: str) -> None:
        """
        Refuse the text when a placeholder names no field.

        :param fields: that there are.
        :param whose: what they are the fields of, such as ``the list``.
        """
        for name in self.names:
            if name not in fields:
                raise InvalidArgumentError(
                    self._argument,
                    f"has the placeholder {shown_name(name)}, and {whose} has no such field "
                    f"({there_are(fields)}); correct it, or {HOW_TO_SEND_BRACES}",
                )


@lru_cache(maxsize=TEMPLATES_CACHED)
def read_template(text: str, argument: str = "message") -> TextTemplate:
    """Return a text taken apart; the same text only once. Errors are those of :class:`TextTemplate`."""
    return TextTemplate(text, argument=argument)


def composed(text: str) -> str:
    """Return a text in NFC: ``e`` and an accent become ``é``, which counts and costs less."""
    return text if text.isascii() else normalize("NFC", text)


_AROUND: Final = " \t\r\n\v\f\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff\u200b" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


def field_name(name: str) -> str:
    """Return a field's name as it is compared: in NFC, and without blanks and byte order marks around it."""
    return composed(name).strip(_AROUND)


def shown_name(name: str) -> str:
    """Return a name as an error may show it; what does not look like one may be part of somebody's data."""
    digits = sum(map(str.isdigit, name))
    return (
        f"{name!r}"
        if _LOOKS_LIKE_A_NAME.fullmatch(name) and digits < 5
        else "(hidden: it looks like no name)"
    )


def there_are(fields: Collection[str]) -> str:
    """Say which fields there are, as an error may show them: the first 20."""
    shown = [shown_name(name) for name in sorted(fields)[:FIELDS_SHOWN]]
    more = f" and {len(fields) - len(shown)} more" if len(fields) > len(shown) else ""
    return f"there are {', '.join(shown)}{more}" if shown else "there are none"


def without_braces(text: str) -> str:
    """Return a text with parentheses for its braces, which would name fields, and cost double in an SMS."""
    return text.translate(_OTHER_BRACKETS)
