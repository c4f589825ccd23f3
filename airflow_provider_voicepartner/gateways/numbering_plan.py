"""
Line types, and the numbering plan that France and its overseas departments share.

In this plan one national spelling belongs to several country codes: ``0612345678`` is +33, but ``0690123456`` is a
Guadeloupe number, +590, and ``0508411010`` one of Saint-Pierre's six digits, +508 411010. The library ``phonenumbers``
judges. Its patterns leave the last four digits free (this is checked, not assumed), so what it says about one number
holds for ten thousand: the first of them costs a question to the library, the others cost a look-up. No range is
written by hand but 0508, which the library does not know.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import NamedTuple

REGIONS = ("FR", "GP", "MQ", "GF", "RE", "PM")
"""Who may own a national number; GP answers for BL and MF, RE for YT."""

SHARED_BY = frozenset({*REGIONS, "BL", "MF", "YT"}) - {"PM"}
"""The regions where users write national numbers of the whole plan; St-Pierre-et-Miquelon writes six digits."""

_FREE_DIGITS = re.compile(r"\\d\{(\d)\}$")
_KINDS = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip",
    "pager", "uan", "voicemail",
)  # fmt: skip

_FRANCE = "33"
_PM, _SHORT = "508", 6
"""Saint-Pierre-et-Miquelon's code, which its six digits have before them in the national spelling, too."""


class LineType(StrEnum):
    """What kind of line a number reaches."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    EITHER = "either"
    """One of the two; the country's plan does not say (+1)."""
    VOIP = "voip"
    """Voice over IP, such as French 09 numbers."""
    OTHER = "other"
    """Premium rate, shared cost, toll-free, company-wide, pager and the like: no subscriber's own line."""

    @property
    def can_receive_sms(self) -> bool:
        """True where a text message may arrive."""
        return self is LineType.MOBILE or self is LineType.EITHER

    @property
    def can_be_called(self) -> bool:
        """True for a subscriber's own line; the rest may cost the caller a fortune (premium rate) or reaches nobody."""
        return self is not LineType.OTHER


def read_line_type(kind: int) -> LineType:
    """Translate a ``phonenumbers.PhoneNumberType``."""
    from phonenumbers import PhoneNumberType

    return {
        PhoneNumberType.MOBILE: LineType.MOBILE,
        PhoneNumberType.FIXED_LINE: LineType.LANDLINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE: LineType.EITHER,
        PhoneNumberType.VOIP: LineType.VOIP,
    }.get(kind, LineType.OTHER)


_FIXED = (LineType.LANDLINE, LineType.VOIP)


class Block(NamedTuple):
    """
    Ten thousand numbers that share their fate: where they belong, and what kind of line they are.

    :param before: what stands before the nine digits in E.164: ``+590``; of Saint-Pierre's six digits only ``+``, since
        the nine begin with their country code.
    :param region: two letters; empty for numbers of nobody.
    """

    before: str
    region: str
    line_type: LineType

    def country_code(self, digits: str) -> str:
        """Return the country code, such as ``+508``, of nine digits of this block."""
        return self.before if len(self.before) > 1 else f"+{digits[:-_SHORT]}"


NOBODYS = Block("", "", LineType.OTHER)
"""Numbers that belong to nobody."""


class Blocks(dict[bytes, Block]):
    """
    What the library says about nine digits, by the first five; it is asked when a block is met for the first time.

    Where no pattern that looks further than three digits can match, one question answers for a hundred blocks.

    :param codes: the country codes that may own these digits.
    :param detailed: all patterns that look at the fourth or fifth digit.
    """

    def __init__(self, codes: tuple[str, ...], detailed: re.Pattern[str]) -> None:
        super().__init__()
        self._codes = codes
        self._detailed = detailed
        self._hundreds: dict[bytes, Block | None] = {}

    def __missing__(self, head: bytes) -> Block:
        """Ask the library about any number of the block."""
        block = self[head] = self.hundred(head[:3]) or ask(head.decode() + "0000", self._codes)
        return block

    def hundred(self, head: bytes) -> Block | None:
        """
        Return what holds for all hundred blocks that begin with three digits; None where they differ.

        :param head: three digits, the first of them no 0.
        """
        if head not in self._hundreds:
            numbers = (f"{head.decode()}{block:02d}0000" for block in range(100))
            plain = not any(map(self._detailed.fullmatch, numbers))
            self._hundreds[head] = ask(head.decode() + "000000", self._codes) if plain else None
        return self._hundreds[head]


def ask(digits: str, codes: tuple[str, ...]) -> Block:
    """
    Ask the library who owns nine digits.

    Where it names several departments, the one of which fewer numbers begin alike wins: the library gives all of 0976
    to Guyane and 0939 5 to 7 to Guadeloupe, and parts of these to the others.

    :param digits: without the leading 0.
    :param codes: the country codes that may own them. Several stand for the national spelling, in which 0508 is
        followed by a number of Saint-Pierre-et-Miquelon, and never by one of +33.
    """
    if digits.startswith(_PM) and len(codes) > 1:
        return _asked(digits[-_SHORT:], _PM)._replace(before="+") if is_short(digits) else NOBODYS
    owners = {code: block for code in codes if (block := _owner(digits, code)) is not NOBODYS}
    if len(owners) < 2 or _FRANCE in owners:
        return next(iter(owners.values()), NOBODYS)
    return owners[min(owners, key=lambda code: _share(digits[:3], code))]


@cache
def _share(head: str, code: str) -> int:
    """Count the hundred blocks behind three digits that the library gives to a country code."""
    return sum(_asked(f"{head}{block:02d}0000", code) is not NOBODYS for block in range(100))


def is_short(digits: str) -> bool:
    """Say whether nine digits are 508 and a number of Saint-Pierre-et-Miquelon."""
    return digits.startswith(_PM) and _asked(digits[-_SHORT:], _PM) is not NOBODYS


def is_of_france(digits: str) -> bool:
    """Say whether nine digits behind +33 are somebody's."""
    return _owner(digits, _FRANCE) is not NOBODYS


def nobodys_code(digits: str) -> str:
    """Return what stands before nine digits that are nobody's, so that all spellings of them become one."""
    return "+" if digits.startswith(_PM) else f"+{_FRANCE}"


def _owner(digits: str, code: str) -> Block:
    """
    Say what nine digits are behind a country code.

    For +33 the library's patterns of landlines and of VoIP are coarse, and hold numbers of overseas for valid too
    (0269…, 0596…, 0976…). Those are nobody's behind +33; of landlines all that begin with the same three digits.
    """
    block = _asked(digits, code)
    if code != _FRANCE or block.line_type not in _FIXED:
        return block
    if block.line_type is LineType.LANDLINE:
        return NOBODYS if digits.startswith(_PM) or _has_overseas_lines(digits[:3]) else block
    return NOBODYS if _is_overseas(digits) else block


@cache
def _has_overseas_lines(head: str) -> bool:
    """Say whether a landline of any overseas department begins with three digits."""
    return any(_is_overseas(f"{head}{block:02d}0000") for block in range(100))


def _is_overseas(digits: str) -> bool:
    return any(_asked(digits, code).line_type in _FIXED for code in country_codes() if code != _FRANCE)


def _asked(digits: str, code: str) -> Block:
    import phonenumbers

    if not _claimed(code).fullmatch(digits):
        return NOBODYS
    number = phonenumbers.PhoneNumber(country_code=int(code), national_number=int(digits))
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:
        return NOBODYS
    return Block(f"+{code}", phonenumbers.region_code_for_number(number) or "", read_line_type(kind))


@cache
def country_codes() -> tuple[str, ...]:
    """Return the plan's country codes, +33 first."""
    import phonenumbers

    return tuple(str(phonenumbers.country_code_for_region(region)) for region in REGIONS)


def _patterns(code: str, kinds: tuple[str, ...]) -> list[str]:
    """Return the library's patterns for a country code, each split into its alternatives."""
    import phonenumbers

    found: list[str] = []
    for region in phonenumbers.region_codes_for_country_code(int(code)):
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        if metadata is None or metadata.leading_digits is not None:
            return [".*"]  # Regions that differ in a way unknown here: assume the worst.
        descriptions = [getattr(metadata, kind) for kind in kinds]
        for description in descriptions:
            if description is not None and description.national_number_pattern is not None:
                found += alternatives(description.national_number_pattern)
    return found


@cache
def _claimed(code: str) -> re.Pattern[str]:
    """What a country code may own: the library needs not be asked about the rest."""
    return _any_of(_patterns(code, _KINDS))


def _any_of(parts: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{part})" for part in parts) or "(?!)")


@cache
def tables() -> dict[bytes, Blocks]:
    """
    Return the blocks by what stands before the last nine digits: ``0``, ``+33``, ``0033``, ``+330``, ``00330``, ….

    Empty when this version's patterns look at the last four digits: then every number goes to the library.
    """
    codes = country_codes()
    free = {part: _free_digits(part) for code in codes for part in _patterns(code, (*_KINDS, "general_desc"))}
    if min(free.values()) < 4:
        return {}
    detailed = _any_of([*(part for part, digits in free.items() if digits < 6), _PM + r"\d{6}"])
    found = {b"0": Blocks(codes, detailed)}
    for code in codes:
        blocks = Blocks((code,), detailed)
        for before in (f"+{code}", f"00{code}", f"+{code}0", f"00{code}0"):
            found[before.encode()] = blocks
    return found


def owner(digits: str) -> Block:
    """Say who owns nine digits written nationally."""
    blocks = tables().get(b"0")
    return ask(digits, country_codes()) if blocks is None else blocks[digits[:5].encode()]


def _free_digits(part: str) -> int:
    r"""Count the digits at the end of a pattern that may be any: 4 for ``69[01]\d{4}``."""
    found = _FREE_DIGITS.search(part)
    return int(found[1]) if found else 0


def alternatives(pattern: str) -> list[str]:
    r"""Split a pattern at the bars outside its parentheses: ``1\d{8}|(?:2|3)\d{8}`` has two alternatives."""
    depth, parts = 0, [""]
    for character in pattern:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
