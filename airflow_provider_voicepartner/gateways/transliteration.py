"""Other letters for those that GSM-7 lacks: one ``ç`` or ``’`` can make a text cost three times as much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from unicodedata import category, normalize

from airflow_provider_voicepartner.gateways.alphabet import BASIC, EXTENSION
from airflow_provider_voicepartner.gateways.graphemes import clusters

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
