"""
One row of what users write in ``to``, read into a recipient; used for lists in memory and for files of millions.

The column that holds the numbers is found however its name is spelled. Where there is none, the error names what there
is instead; a column is suggested and never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, cast

from airflow_provider_voicepartner.constants import (
    KEPT_ITEM,
    LONGEST_COLUMN_NAME,
    MOST_NAME_DIGITS,
    SHOWN_COLUMNS,
)
from airflow_provider_voicepartner.gateways.compiled_message import STANDS_ALONE, STRAY
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.numbering_plan import LineType
from airflow_provider_voicepartner.gateways.phone_numbers import (
    InvalidNumberError,
    NumberReader,
    PhoneNumber,
    parse_number,
)
from airflow_provider_voicepartner.gateways.placeholders import composed, field_name
from airflow_provider_voicepartner.gateways.validation import OF_A_WRONG_ENCODING, STRAY_CONTROLS
from airflow_provider_voicepartner.recipients.rejects import RejectedRow
from airflow_provider_voicepartner.recipients.text_blocks import UnreadableFileError

Line = Literal["mobile", "any"]

NUMBER_FIELD = "phone_number"

_MISSING = frozenset({"NaTType", "NAType"})
"""The types of what pandas has in cells in which nothing stands; pandas itself is not imported here."""

FAILED_FORMULAS = frozenset(
    (
        "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!", "#CALC!",
        "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!", "#EXTERNAL!", "#PYTHON!",
        "#NUL!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#PROPAGATION!", "#CHAMP!",
    )
)  # fmt: skip
"""What a cell shows whose formula failed; in a CSV of a French Excel in French."""

WANTED_LINES: Mapping[Line, tuple[LineType, ...]] = {
    "mobile": tuple(line for line in LineType if line.can_receive_sms),
    "any": tuple(line for line in LineType if line.can_be_called),
}
"""The kinds of line that each choice takes."""

_USUAL: Final = frozenset(
    (
        "phone_number", "phone number", "phonenumber", "phone", "phone_no", "mobile", "mobile_phone", "mobile phone",
        "cell", "cellphone", "gsm", "msisdn", "tel", "tél", "telephone", "téléphone", "portable", "tel_portable",
        "telephone_portable", "téléphone portable", "numero", "numéro", "number", "to", "recipient",
    )
)  # fmt: skip
"""Names, folded, that columns of numbers often have: they are suggested, never guessed."""


class InvalidRowError(InvalidNumberError):
    """A row that is no recipient for another reason than its number's spelling; the reason holds no field values."""


class UnreadableRow(NamedTuple):
    """
    Stands in place of a row that could not be taken apart.

    :param reason: what is wrong and the fix; holds nothing of the row.
    :param number: what seems to be its number; only for the user's own file.
    """

    reason: str
    number: str = ""

    def __repr__(self) -> str:
        """Leave the number out."""
        return f"UnreadableRow({self.reason!r})"


def formula_failed(shown: str) -> str:
    """Return the reason for a row with a cell that shows a failed formula."""
    return f"is in a row with a formula that failed ({shown}); correct it"


class SecondNumber:
    """
    Finds numbers in the other cells of a row whose columns have no names: that person would get nothing.

    :param region: where numbers without a country code are from.
    """

    REASON: Final = (
        "is in a row with a second number, which would get nothing; write each number on a line of its own, or give "
        "the columns names, in a header or in dicts"
    )

    def __init__(self, region: str = "FR") -> None:
        self._region = region

    def __call__(self, cell: object) -> bool:
        """Tell whether a cell is a valid number."""
        if not isinstance(cell, str) or not LIKE_A_NUMBER.search(cell):
            return False
        try:
            parse_number(cell, region=self._region)
        except InvalidNumberError:
            return False
        return True


LIKE_A_NUMBER: Final = re.compile(r"(?m)^[^\S\n]*[+(]{0,2}\d[\d./()\- \t\u00a0\u202f]{6,}\s*$")
"""Finds a line that may be a number, to spare the others a closer look."""


class RowReader:
    """
    Reads rows, one at a time, fast enough for millions.

    :param line: ``mobile`` takes what can receive an SMS; ``any`` takes what can be called without surprise: not
        premium rate, shared cost, toll-free numbers and the like.
    :param region: where numbers without a country code are from, two letters.
    :param fields: the personal fields to keep; None keeps all. Other fields are not read.
    :raises InvalidArgumentError: for another line or an unknown region.
    """

    def __init__(self, *, line: Line, region: str = "FR", fields: frozenset[str] | None = None) -> None:
        if line not in WANTED_LINES:
            raise InvalidArgumentError("line", f"{line!r} is not known; give 'mobile' or 'any'")
        self.numbers = NumberReader(region)
        self._read_number = self.numbers.read
        self._wanted = WANTED_LINES[line]
        self._fields = fields
        self._kept_names = tuple(sorted((fields or frozenset()) - {NUMBER_FIELD}))

    def read(self, item: object) -> Recipient:
        """
        Read one row.

        :param item: a number, a mapping with a ``phone_number`` and personal fields, or a recipient.
        :raises InvalidNumberError: when nobody can be reached with it.
        """
        if isinstance(item, str):
            return Recipient(self._check(self._read_number(item)))
        if isinstance(item, Recipient):
            return Recipient(self._check(self._read_number(item.phone_number)), self.fields_of(item))
        if isinstance(item, Mapping):
            return self._read_mapping(item)
        if isinstance(item, PhoneNumber):
            return Recipient(self._check(item))
        if isinstance(item, UnreadableRow):
            raise InvalidRowError(item.reason)
        if is_blank(item):
            raise InvalidRowError("is empty")
        return Recipient(self._check(self._read_number(cast(Any, item))))  # it says why not

    def _read_mapping(self, item: Mapping[object, object]) -> Recipient:
        if NUMBER_FIELD not in item:
            raise InvalidRowError(f"has no field {NUMBER_FIELD!r}; add it")
        written = item[NUMBER_FIELD]
        if is_blank(written):
            raise InvalidRowError("is empty")
        number = self._check(self._read_number(cast(Any, written)))
        return Recipient(number, self.fields_of(item))

    def fields_of(self, item: object) -> Mapping[str, str]:
        """
        Return a row's personal fields, as text, only those to keep.

        :raises InvalidRowError: for a field that cannot be shown as text.
        """
        if not (self._fields is None or self._kept_names):
            return {}
        if isinstance(item, Recipient):
            item = item.fields
        if not isinstance(item, Mapping):
            return {}
        if self._fields is None:
            return {_name(k): _value(k, v) for k, v in item.items() if k != NUMBER_FIELD}
        values = {k: _value(k, item[k]) for k in self._kept_names if k in item}
        if len(values) == len(self._kept_names):
            return values
        written = _as_written(item)
        return {k: _value(k, item[written[k]]) for k in self._kept_names if k in written}

    def _check(self, number: PhoneNumber) -> str:
        if number.line_type in self._wanted:
            return number.e164
        if number.line_type is LineType.OTHER:
            raise InvalidRowError(
                "is a premium rate, shared cost, toll-free or other special number, not a person's line; take it out"
            )
        if number.line_type is LineType.LANDLINE:
            raise InvalidRowError("is a landline, which cannot get an SMS; take it out, or call it instead")
        raise InvalidRowError(
            "is not a mobile number, so it cannot get an SMS; take it out, or call it instead"
        )


KEPT_AS_IT_IS: Final = STANDS_ALONE.without(("#", *STRAY))
"""Characters of a field that is kept as it is: in NFC, of no failed formula, and nothing that may not be sent."""


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidRowError(f"has a field whose name is of type {type(name).__name__}; names are text")
    return field_name(name)


def _as_written(item: Mapping[object, object]) -> dict[str, object]:
    """Return a row's names: as they are compared -> as they are written. One that is written exactly so comes first."""
    written: dict[str, object] = {field_name(name): name for name in item if isinstance(name, str)}
    return written | {name: name for name in written if name in item}


def _value(name: object, value: object) -> str:
    if isinstance(value, str):
        if value[:1] == "#" and value.strip() in FAILED_FORMULAS:
            raise InvalidRowError(formula_failed(value.strip()))
        if not value.isascii() and STRAY_CONTROLS.search(value):
            raise InvalidRowError(f"has a field with {OF_A_WRONG_ENCODING}")
        return composed(value)
    if is_blank(value):
        return ""
    if isinstance(value, (date, time)):
        return str(value)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and math.isfinite(value):
        return number_as_text(value)
    kind = type(value).__name__
    # A long name, or one with digits, may be somebody's data: a file read without its header.
    shown = repr(name) if isinstance(name, str) and name.isidentifier() and len(name) <= 40 else "of it"
    raise InvalidRowError(f"has a field {shown} of type {kind}; give it as the text that shall be shown")


def number_as_text(number: float | Decimal) -> str:
    """
    Write a number as people read it: all decimals of a ``Decimal``, a whole float without ``.0``, no exponent.

    :param number: finite.
    """
    if isinstance(number, float):
        return str(int(number)) if number.is_integer() else format(Decimal(repr(float(number))), "f")
    return format(number, "f") if isinstance(number, Decimal) else str(int(number))


def names_in(items: Iterable[object], wanted: frozenset[str]) -> frozenset[str]:
    """
    Return the names of the personal fields of some rows, as they are compared.

    :param wanted: stop when all of these were seen; empty stops at the first field.
    """
    names: set[str] = set()
    for item in items:
        fields = item.fields if isinstance(item, Recipient) else item
        if isinstance(fields, Mapping):
            names.update(
                field_name(name) for name in fields if isinstance(name, str) and name != NUMBER_FIELD
            )
            if names and wanted <= names:
                break
    return frozenset(names)


def is_blank(item: object) -> bool:
    """Tell whether there is nothing: blanks, or a value that is missing."""
    if isinstance(item, str):
        return not item or item.isspace()
    return is_missing(item)


def is_missing(item: object) -> bool:
    """Tell whether something stands for what is not there: None, and NaN, NaT and NA of data frames."""
    if item is None:
        return True
    if isinstance(item, Decimal):
        return item.is_nan()
    if isinstance(item, float):
        return math.isnan(item)
    return type(item).__name__ in _MISSING  # NaT calls itself a date.


def check_rows(rows: Iterable[tuple[int, object]], reader: RowReader) -> Iterator[Recipient | RejectedRow]:
    """
    Read numbered rows as they come; nothing is kept, so that a file of any length can go through.

    :param rows: row numbers, from 1, with what stands in each.
    :param reader: what reads one row.
    :returns: for each row a recipient, or what is wrong with it.
    """
    read = reader.read
    for row, item in rows:
        try:
            yield read(item)
        except InvalidNumberError as error:
            yield RejectedRow(row=row, reason=error.reason, number=number_as_given(item))


def number_as_given(item: object) -> str:
    """Return what stands in place of a row's number, for the user's own file of rejects."""
    if isinstance(item, Recipient):
        item = item.phone_number
    elif isinstance(item, PhoneNumber):
        item = item.e164
    elif isinstance(item, UnreadableRow):
        item = item.number
    elif isinstance(item, Mapping):
        item = item.get(NUMBER_FIELD)
    return str(item)[:KEPT_ITEM] if isinstance(item, (str, int, float, Decimal)) else ""


def _folded(name: str) -> str:
    return " ".join(field_name(name).casefold().split())


def find_column(column: str, names: Sequence[str]) -> int | None:
    """
    Return the place of a column, from 0; None where there is none of that name.

    A name that is written exactly so comes first, then one that differs in nothing but blanks, case, Unicode form or a
    byte order mark.

    :raises UnreadableFileError: for two of the same name.
    """
    for spell in (str, field_name, _folded):
        wanted = spell(column)
        found = [at for at, name in enumerate(names) if spell(name) == wanted]
        if len(found) > 1:
            raise UnreadableFileError(f"has the column {column!r} twice; rename one")
        if found:
            return found[0]
    return None


def what_there_is(names: Iterable[object]) -> str:
    """
    Say which names there are, and which one may be meant: to be read after ``has no column 'x'``.

    Names that look like somebody's data are not shown: a file without a header begins with such.
    """
    texts = [field_name(str(name)) for name in names]
    if not texts:
        return "there is none"
    if any(_is_data(text) for text in texts):
        many = "1 column" if len(texts) == 1 else f"{len(texts)} columns"
        return f"the {many} there begin with a number, not with a name: without a header give column=0 for the first"
    shown = ", ".join(repr(_cut(text)) for text in texts[:SHOWN_COLUMNS])
    more = f" and {len(texts) - SHOWN_COLUMNS} more" if len(texts) > SHOWN_COLUMNS else ""
    usual = next((text for text in texts if _folded(text) in _USUAL), None)
    advice = (
        f"give column={usual!r} if that is it" if usual else "say with column= which one holds the numbers"
    )
    return f"there is {shown}{more}: {advice}"


def _is_data(text: str) -> bool:
    return "@" in text or sum(character.isdecimal() for character in text) > MOST_NAME_DIGITS


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_COLUMN_NAME else text[:LONGEST_COLUMN_NAME] + "…"
