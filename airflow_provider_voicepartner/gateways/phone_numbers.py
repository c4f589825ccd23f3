"""Phone numbers as users and gateways write them, read into E.164; ``phonenumbers`` is the judge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from airflow_provider_voicepartner.constants import LONGEST_NUMBER_TEXT, MOST_DIGITS_OF_A_NUMBER
from airflow_provider_voicepartner.gateways import numbering_plan
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.numbering_plan import LineType, read_line_type
from airflow_provider_voicepartner.gateways.validation import E164
from airflow_provider_voicepartner.gateways.wire import mask_number

__all__ = [
    "InvalidNumberError",
    "LineType",
    "NumberReader",
    "PhoneNumber",
    "parse_number",
    "read_wire_number",
]


SEPARATORS = " \t.-/()\u00a0\u00ad".encode("latin-1")
"""What is written between digits, as Latin-1 spells it; never holds a line's end."""

_TIDY = str.maketrans(
    dict.fromkeys(SEPARATORS.decode("latin-1"))
    # Narrow, thin and the other blanks; dashes; marks that a copied contact carries along unseen.
    | {chr(code): None for code in (0x202F, 0x205F, 0x3000, *range(0x2000, 0x200B))}
    | {chr(code): None for code in (*range(0x2010, 0x2016), 0x2212, 0xFF0D)}
    | {chr(code): None for code in (0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060)}
    | {chr(code): None for code in range(0x2066, 0x206A)}
    # Full width, from an East Asian keyboard.
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
    | {chr(0xFF0B): "+", chr(0xFF08): None, chr(0xFF09): None, chr(0xFF0E): None}
)
_DIGITS = re.compile(r"\+?[0-9]+")
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+")
_DECIMAL = re.compile(r"[1-9][0-9]*[.,]0+")
_EXTENSION = re.compile(
    r"[0-9)]\W*(?:;\s*)?(?:ext|extn|extension|poste|x|#)[\s.:=]*[0-9]{1,6}$|#", re.IGNORECASE
)
# What makes a spreadsheet take a number for text: an apostrophe before it, or a formula that is a text.
_TEXT_MARK = re.compile(r"""'\s*([+(]?[0-9].*)|="\s*([+(]?[0-9][^"]*)""" r'"')
_NATIONAL = re.compile(r"0[1-9][0-9]{8}")
_FRENCH = re.compile(r"\+330?([1-9][0-9]{8})")


class InvalidNumberError(ValueError):
    """
    Text that is no phone number which a gateway can reach.

    :param reason: what is wrong and the fix, to be read after the number: ``has letters; …``. Never holds the number.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PhoneNumber(NamedTuple):
    """
    A valid number; a tuple, because a campaign makes a million of them.

    :param e164: such as ``+33612345678``.
    :param region: two letters, such as ``FR`` or ``GP``; ``001`` for numbers of no country.
    :param line_type: what kind of line it reaches.
    """

    e164: str
    region: str
    line_type: LineType

    def __repr__(self) -> str:
        """Show the number masked: it ends up in logs sooner or later."""
        return f"PhoneNumber({mask_number(self.e164)}, {self.region}, {self.line_type})"


_new = tuple.__new__
_ZERO = ord("0")


class NumberReader:
    """
    Reads numbers written in one region, fast enough for millions.

    :param region: where numbers without a country code are from, two letters. ``FR`` and the overseas departments share
        one plan: ``0612345678`` and ``0690123456`` are read in any of them.
    :param tables: what is known of blocks of numbers; None takes those of the region's plan, an empty one makes the
        library judge every number.
    :raises InvalidArgumentError: when there is no such region.
    """

    def __init__(
        self, region: str = "FR", *, tables: Mapping[bytes, numbering_plan.Blocks] | None = None
    ) -> None:
        import phonenumbers

        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise InvalidArgumentError(
                "region", f"{region!r} is not a region; give two capital letters, such as 'FR'"
            )
        self._region = region
        self._shares_plan = region in numbering_plan.SHARED_BY
        if tables is None:
            tables = numbering_plan.tables() if self._shares_plan else {}
        self._tables = tables

    @property
    def tables(self) -> Mapping[bytes, numbering_plan.Blocks]:
        """What is known of blocks of numbers, see ``numbering_plan.tables``; empty outside of the French plan."""
        return self._tables

    def read(self, text: str) -> PhoneNumber:
        """
        Read one number.

        :param text: national or international (``+33…``, ``0033…``, ``33…``), with blanks, dots, dashes, slashes or
            parentheses; full-width digits count as digits, other non-ASCII digits do not.
        :raises InvalidNumberError: for letters, extensions, numbers that a spreadsheet damaged, and everything that
            the library does not hold for valid.
        """
        # The short way: bytes lose their separators and show their digits fastest.
        try:
            packed = text.encode("latin-1").translate(None, SEPARATORS)
        except (AttributeError, UnicodeEncodeError):
            packed = b""
        blocks = self._tables.get(packed[:-9])
        if blocks is None or not packed[1:].isdigit() or packed[-9] == _ZERO:
            packed = self._complete(tidy(text)).encode()
            blocks = self._tables.get(packed[:-9])
            if blocks is None or packed[-9] == _ZERO:
                return self._judge(packed.decode())
        before, region, line_type = blocks[packed[-9:-4]]
        if not region:
            raise InvalidNumberError(self._why_not(packed.decode()))
        return _new(PhoneNumber, (before + packed[-9:].decode(), region, line_type))

    def _complete(self, digits: str) -> str:
        """Put ``+`` before a country code that comes without it or with 00; refuse what lost its leading zero."""
        if not self._shares_plan or digits.startswith("+"):
            return digits
        if digits.startswith("00"):
            return "+" + digits[2:]
        if _NATIONAL.fullmatch(digits):
            return digits
        for code in numbering_plan.country_codes():
            if digits.startswith(code) and len(digits.removeprefix(code).removeprefix("0")) == 9:
                return "+" + digits
        if len(digits) == 9 and numbering_plan.is_short(digits):
            return "0" + digits  # A lost 0 or a + that is missing: it is the same number.
        if len(digits) == 9 and digits[0] != "0":
            raise InvalidNumberError(
                "has no leading 0, which a spreadsheet drops; format the column as text, or write it with +33"
            )
        raise InvalidNumberError(
            f"has {len(digits)} digits; a French number has 10 with its leading 0, others need + and a country code"
        )

    def _judge(self, digits: str) -> PhoneNumber:
        """Ask the library, the long way."""
        found: PhoneNumber | None
        if self._shares_plan and _NATIONAL.fullmatch(digits):
            before, region, line_type = numbering_plan.owner(digits[1:])
            found = PhoneNumber(before + digits[1:], region, line_type) if region else None
        else:
            found = _parse(digits, self._region)
            if found and found.e164.startswith("+33") and not numbering_plan.is_of_france(found.e164[3:]):
                found = None
        if found is None:
            raise InvalidNumberError(self._why_not(digits))
        return found

    def _why_not(self, digits: str) -> str:
        if self._shares_plan and _NATIONAL.fullmatch(digits):
            return "is not a valid number in FR or its overseas departments; correct it or take it out"
        digits = re.sub("^00", "+", digits) if self._shares_plan else digits
        french = _FRENCH.fullmatch(digits)
        if french and (block := numbering_plan.owner(french[1])).region:
            code = block.country_code(french[1])
            return f"starts with +33 but is an overseas number; write it with {code}, or as 0 and nine digits"
        if digits.startswith("+0"):
            return "has a + before a national number; take the + out or put a country code behind it"
        where = "for its country code" if digits.startswith("+") else f"in {self._region}"
        return f"is not a valid number {where}; correct it or take it out"


def _parse(digits: str, region: str) -> PhoneNumber | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not E164.fullmatch(e164):
        return None  # The library knows a few of 6 and of 16 digits and more, which no gateway takes.
    return PhoneNumber(
        e164,
        phonenumbers.region_code_for_number(number) or "",
        read_line_type(phonenumbers.number_type(number)),
    )


def tidy(text: str) -> str:
    """
    Take out what is written between digits.

    :returns: digits, perhaps after one ``+``.
    :raises InvalidNumberError: for anything that is neither a digit nor a usual separator.
    """
    if not isinstance(text, str):
        lost = " (a number loses its leading 0)" if isinstance(text, (int, float)) else ""
        raise InvalidNumberError(f"is of type {type(text).__name__}{lost}; write it as text")
    text = text.strip()
    if marked := _TEXT_MARK.fullmatch(text):
        text = marked[1] or marked[2]
    digits = text.translate(_TIDY)
    if not _DIGITS.fullmatch(digits):
        raise InvalidNumberError(_what_is_wrong(text[:LONGEST_NUMBER_TEXT]))
    if len(digits) > MOST_DIGITS_OF_A_NUMBER:
        raise InvalidNumberError(
            f"has {len(digits)} digits, too many for one number; put commas between numbers"
        )
    if _DECIMAL.fullmatch(text):
        raise InvalidNumberError("ends in .0, so it was read as a number; read or format the column as text")
    return digits


def _what_is_wrong(text: str) -> str:
    if not text:
        return "is empty"
    if text.startswith("@"):
        return "is no number; names of the contacts are for the argument to, and are not looked up in files"
    if _ROUNDED.fullmatch(text):
        return "was rounded by a spreadsheet; format the column as text and export it again"
    digits = text.translate(_TIDY)
    if not digits:
        return "has no digits"
    if _EXTENSION.search(text):
        return "has an extension; a gateway cannot dial one, so give the number alone"
    if any(character.isalpha() for character in digits):
        return "has letters (a letter O is no zero); write it in digits"
    if any(not character.isprintable() for character in digits):
        return "has control characters; take them out"
    if any(character.isnumeric() and not character.isascii() for character in digits):
        return "has digits other than 0 to 9; write it with these"
    if "+" in digits:
        many = digits.count("+") > 1
        return (
            "has more than one +; keep the first" if many else "has a + that is not at its start; correct it"
        )
    strange = next((character for character in digits if character not in "0123456789"), digits[-1])
    return f"has the character {strange!r}; give digits only"


@cache
def _reader(region: str) -> NumberReader:
    return NumberReader(region)


def parse_number(text: str, *, region: str = "FR") -> PhoneNumber:
    """
    Read one number; see ``NumberReader.read``.

    :param text: national or international, as users write it.
    :param region: where a number without a country code is from, two letters; default ``FR``.
    :raises InvalidNumberError: when it is none that a gateway can reach.
    :raises InvalidArgumentError: when there is no such region.
    """
    return _reader(region).read(text)


def shared_country_code(numbers: Sequence[str]) -> str | None:
    """
    Return the country code that all numbers share, such as ``+33``.

    :param numbers: in E.164, at least one.
    :returns: None when they are of several countries, or of a code that several countries share, such as ``+1``.
    """
    code = "+33" if numbers[0].startswith("+33") else _country_code_of(numbers[0])
    # What the first and the last in the alphabet begin with, all between them begin with.
    return code if code and min(numbers).startswith(code) and max(numbers).startswith(code) else None


def _country_code_of(number: str) -> str | None:
    import phonenumbers

    for end in (2, 3, 4):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(number[1:end]), ())
        if regions:
            return number[:end] if len(regions) == 1 else None
    return None


def read_wire_number(value: object) -> str:
    """
    Read a number as a gateway writes it back: ``+33…``, ``0033…``, ``33…``, ``06…``, ``006…``, with blanks.

    Never raises. Spelling is all that counts here: a number that the library does not know is still rewritten, so that
    a report meets the recipient it is about. Eleven digits that begin with 006 or 007 are a French number without its
    country code (an example of Voice Partner's has that form); Australia's 0061… is longer. Nine digits that
    are a country code of three digits and a valid number of six there are that country's: gateways leave out the +,
    and none is known to leave out the 0 alone. Of 6… and 7… this holds for New Caledonia, Wallis and Futuna only, also
    behind 00.

    :returns: E.164, or the text without outer blanks when it cannot be read.
    """
    try:
        text = str(value).strip()
    except ValueError:  # Python refuses to write an int of thousands of digits.
        return ""
    digits = text[:LONGEST_NUMBER_TEXT].translate(_TIDY)
    if not _DIGITS.fullmatch(digits):
        return text
    if abroad := _of_short_country(digits):
        return abroad
    if len(digits) == 11 and digits[:3] in ("006", "007"):
        digits = digits[1:]
    try:
        return _reader("FR").read(digits if len(digits) != 9 or digits[0] == "0" else "0" + digits).e164
    except InvalidNumberError:
        return _rewrite(digits) or text


def _of_short_country(digits: str) -> str | None:
    """Return the E.164 of a country whose numbers have six digits: with its code they look like a French number."""
    import phonenumbers

    found = _SHORT_COUNTRY.fullmatch(digits)
    international = found and (found[1] or found[2])
    if not international or int(international[:3]) not in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        return None
    number = _parse("+" + international, "FR")
    return number.e164 if number else None


# 006 and 007 begin French numbers, too, so there it is only the two territories that are written to.
_SHORT_COUNTRY = re.compile(r"(?:00)?((?:508|681|687)[0-9]{6})|([1-589][0-9]{8})")
_WIRE_FRENCH = re.compile(r"(\+33|0033|33|)0?([1-9][0-9]{8})")
_WIRE_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})")


def _rewrite(digits: str) -> str | None:
    """Rewrite what the library does not hold for valid, by its shape alone."""
    if (found := _WIRE_FRENCH.fullmatch(digits)) and (found[1] or digits.startswith("0")):
        return (numbering_plan.owner(found[2]).before or numbering_plan.nobodys_code(found[2])) + found[2]
    if found := _WIRE_INTERNATIONAL.fullmatch(digits):
        return "+" + found[1]
    found_valid = None if digits.startswith(("0", "+")) or len(digits) < 10 else _parse("+" + digits, "FR")
    return found_valid.e164 if found_valid else None
