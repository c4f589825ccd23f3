"""Phone numbers as the three gateways take them: French national, international, or with a leading 00."""

from __future__ import annotations

import re

_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{6,14}")
_WITHOUT_PLUS = re.compile(r"[1-9][0-9]{9,14}")
_FRENCH_NATIONAL = re.compile(r"0[1-9][0-9]{8}")
_FRENCH_MOBILE = re.compile(r"\+33[67][0-9]{8}")
_FRENCH = re.compile(r"\+33[1-9][0-9]{8}")

_COUNTRIES = {
    "1": "us", "7": "ru", "31": "nl", "32": "be", "33": "fr", "34": "es", "39": "it", "41": "ch", "44": "gb",
    "49": "de", "212": "ma", "213": "dz", "216": "tn", "221": "sn", "225": "ci", "262": "re", "351": "pt",
    "352": "lu", "353": "ie", "377": "mc", "508": "pm", "590": "gp", "594": "gf", "596": "mq", "681": "wf",
    "687": "nc", "689": "pf",
}  # fmt: skip


def is_international(text: str) -> bool:
    """Tell whether ``text`` is ``+``, a country code and 7 to 15 digits in all, with nothing else."""
    return _INTERNATIONAL.fullmatch(text) is not None


def to_international(text: str) -> str | None:
    """Return ``+…`` for a French national number, a ``00…`` or a ``+…`` number; ``None`` for anything else."""
    if _FRENCH_NATIONAL.fullmatch(text):
        return "+33" + text[1:]
    if text.startswith("00"):
        text = "+" + text[2:]
    if not is_international(text) or (text.startswith("+33") and not _FRENCH.fullmatch(text)):
        return None
    return text


def with_plus(text: str) -> str | None:
    """Return the international number that digits without a plus stand for (``336…``), or ``None``.

    Ten digits at least, so that a national number that lost its zero is not taken for a foreign one.
    """
    return to_international("+" + text) if _WITHOUT_PLUS.fullmatch(text) else None


def may_get_sms(number: str) -> bool:
    """Tell whether an international number can be a mobile one: known for France, assumed elsewhere."""
    return not number.startswith("+33") or _FRENCH_MOBILE.fullmatch(number) is not None


def national(number: str) -> str:
    """Return ``06…`` for a French number, the number itself for others."""
    return "0" + number[3:] if number.startswith("+33") else number


def country_of(number: str) -> tuple[str, str]:
    """Return the calling code (``"33"``) and the country (``"fr"``; ``"zz"`` when the sandbox does not know it)."""
    digits = number.lstrip("+")
    for length in (3, 2, 1):
        if digits[:length] in _COUNTRIES:
            return digits[:length], _COUNTRIES[digits[:length]]
    return digits[:2], "zz"
