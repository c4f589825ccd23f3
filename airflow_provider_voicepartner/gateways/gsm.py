"""
GSM-7, the encoding that fits most characters into an SMS: its alphabet, and other spellings for what it lacks.

One ``ç`` or ``’`` outside the alphabet can make a text cost three times as much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from unicodedata import category, normalize

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet of GSM 03.38, each character one unit. Its escape is no character."""

EXTENSION = frozenset("\f^{}\\[~]|€")
"""Its extension table, each character an escape and one more unit."""

_JOINER = "\u200d"

_GSM = BASIC | EXTENSION

# What decomposition does not give. é, è, ù, à, É and Ç are in GSM-7 and stay; ç, ê, È and À lose their mark by it.
_TABLE: Mapping[str, str] = MappingProxyType(
    {
        "œ": "oe", "Œ": "OE", "ẞ": "SS", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th",
        "Þ": "Th", "ħ": "h", "Ħ": "H", "ı": "i",
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "`": "'", "´": "'", "ʼ": "'", "‹": "'", "›": "'",
        "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "•": "-", "·": ".", "⁄": "/",
        "…": "...", "°": "o", "×": "x", "÷": "/", "©": "(C)", "®": "(R)", "™": "TM", "¢": "c", "¦": "|", "±": "+/-",
        "≤": "<=", "≥": ">=", "≠": "!=", "→": "->", "←": "<-", "μ": "u",
        "\t": " ", "\v": "\n", "\u2028": "\n", "\u2029": "\n", "\x85": "\n",
    }
)  # fmt: skip


def clusters(text: str) -> Iterator[str]:
    """
    Take a text apart into what a reader sees as single characters: accents, emoji sequences and flags stay whole.

    Simpler than Unicode's own rules, and never finer than one code point.

    :param text: any text; joined, the parts are the text again.
    """
    start = 0
    for position in range(1, len(text)):
        if not _belongs(text, start, position):
            yield text[start:position]
            start = position
    if text:
        yield text[start:]


def _belongs(text: str, start: int, position: int) -> bool:
    """Tell whether the character at ``position`` belongs to the cluster that began at ``start``."""
    character, before = text[position], text[position - 1]
    if character.isascii():
        return character == "\n" and before == "\r"
    if character == _JOINER or before == _JOINER or category(character) in ("Mn", "Mc", "Me"):
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff" or "\U000e0020" <= character <= "\U000e007f":
        return True  # Skin tones, and the tags of regional flags.
    both_flags = _is_flag_letter(character) and _is_flag_letter(before)
    return both_flags and (position - start) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transliterated:
    """
    A text in GSM-7.

    :param text: nothing but GSM-7.
    :param replaced: what was written otherwise -> how; the empty text for what cannot be seen.
    :param lost: what there is no other way to write, each once; ``?`` stands for it.
    """

    text: str = field(repr=False)
    replaced: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def to_gsm7(text: str) -> Transliterated:
    """
    Write a text in GSM-7; what already is, stays as it is.

    :param text: any text.
    :returns: the text, with what was replaced or lost.
    """
    text = normalize("NFC", text)
    if _GSM.issuperset(text):
        return Transliterated(text=text)
    written: list[str] = []
    replaced: dict[str, str] = {}
    lost: dict[str, None] = {}
    for cluster in clusters(text):
        if _GSM.issuperset(cluster):
            written.append(cluster)
            continue
        other = _rewrite(cluster)
        if other is None:
            lost[cluster] = None
            written.append("?")
        else:
            replaced[cluster] = other
            written.append(other)
    return Transliterated(text="".join(written), replaced=MappingProxyType(replaced), lost=tuple(lost))


def _rewrite(cluster: str) -> str | None:
    """Write one visible character otherwise; None when there is no way."""
    parts = [_rewrite_character(character) for character in cluster]
    return None if None in parts else "".join(part for part in parts if part is not None)


def _rewrite_character(character: str) -> str | None:
    if character in _GSM:
        return character
    if character in _TABLE:
        return _TABLE[character]
    if category(character) in ("Mn", "Mc", "Me", "Cc", "Cf"):
        return ""  # A mark that is left over, or nothing that can be seen.
    if category(character) == "Zs":
        return " "
    parts = normalize("NFKD", character)
    if parts == character:
        return None
    written = [_rewrite_character(part) for part in parts]
    return None if None in written else "".join(part for part in written if part is not None)
