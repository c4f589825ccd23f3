"""How many SMS a text needs, by each gateway's own arithmetic."""

from __future__ import annotations

import unicodedata
from math import ceil

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("^{}\\[~]|€")
_OCTOPUSH_DOUBLE = frozenset("{}[]~^|€&$@¨\n\r\t")

# SMS Partner rewrites these before it counts. Its own table has odd rows (ç becomes Ç); they are kept.
_SMSPARTNER_REWRITES = str.maketrans(
    {
        **dict.fromkeys("’`", "'"), **dict.fromkeys("ûü", "u"), **dict.fromkeys("ïî", "i"),
        **dict.fromkeys("ôöó", "o"), **dict.fromkeys("ëê", "e"), **dict.fromkeys("[{", "("),
        **dict.fromkeys("]}", ")"), **dict.fromkeys("ÄÀÁÂÃ", "A"), **dict.fromkeys("ÈÊË", "E"),
        **dict.fromkeys("ÜÙÚÛ", "U"), **dict.fromkeys("äáâã", "a"), **dict.fromkeys("ÖÔ", "O"),
        **dict.fromkeys("«»", '"'), **dict.fromkeys("^~|\\¨§", None),
        "ą": "à", "ÿ": "y", "ç": "Ç", "µ": "u", "ñ": "n", "Ñ": "N", "Î": "I", "Ý": "Y", "œ": "oe", "°": ".",
        "“": "'",
    }
)  # fmt: skip

STOP_MENTION_LENGTH = 14
"""What Octopush appends to a French marketing SMS that has no opt-out mention, blank included."""


def _linked(length: int, alone: int, part: int) -> int:
    return 1 if length <= alone else ceil(length / part)


def smspartner_length(text: str, *, unicode: bool) -> int:
    """Return the length SMS Partner counts: after its rewriting, with ``:br:`` counted as 2 and the euro sign too."""
    length = 2 * text.count(":br:")
    text = text.replace(":br:", "").replace(":euro:", "€")
    if unicode:
        return length + len(text.encode("utf-16-le")) // 2
    text = text.translate(_SMSPARTNER_REWRITES)
    return length + sum(2 if character in _GSM_EXTENDED else 1 for character in text)


def smspartner_parts(text: str, *, unicode: bool) -> int:
    """Return how many SMS the text takes: 160 then 153 characters each, 70 then 67 in unicode."""
    length = smspartner_length(text, unicode=unicode)
    return _linked(length, 70, 67) if unicode else _linked(length, 160, 153)


def smspartner_losses(text: str) -> list[str]:
    """Return the characters that would not survive without ``isUnicode`` (the sandbox counts each as one)."""
    kept = text.replace(":euro:", "€").translate(_SMSPARTNER_REWRITES)
    return sorted(
        {character for character in kept if character not in _GSM and character not in _GSM_EXTENDED}
    )


def octopush_parts(text: str, *, optimize: bool, extra: int = 0) -> int:
    """Return how many SMS Octopush says the text needs: 160 then 153 characters, or 70 then 63 in unicode.

    :param optimize: ``auto_optimize_text``: accents outside the GSM alphabet are dropped before counting.
    :param extra: characters the gateway appends by itself, such as the opt-out mention.
    """
    if optimize:
        text = "".join(_without_accent(character) for character in text)
    if any(c not in _GSM and c not in _GSM_EXTENDED and c not in _OCTOPUSH_DOUBLE for c in text):
        return _linked(len(text.encode("utf-16-le")) // 2 + extra, 70, 63)
    return _linked(sum(2 if c in _OCTOPUSH_DOUBLE else 1 for c in text) + extra, 160, 153)


def _without_accent(character: str) -> str:
    if character in _GSM:
        return character
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return plain if plain and all(c in _GSM for c in plain) else character
