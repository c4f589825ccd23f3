"""Which column holds the numbers: found however its name is spelled, and where there is none, what there is instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from airflow_provider_voicepartner.constants import LONGEST_COLUMN_NAME, MOST_NAME_DIGITS, SHOWN_COLUMNS
from airflow_provider_voicepartner.gateways.placeholders import field_name
from airflow_provider_voicepartner.sending.text_blocks import UnreadableFileError

_USUAL: Final = frozenset(
    (
        "phone_number", "phone number", "phonenumber", "phone", "phone_no", "mobile", "mobile_phone", "mobile phone",
        "cell", "cellphone", "gsm", "msisdn", "tel", "tél", "telephone", "téléphone", "portable", "tel_portable",
        "telephone_portable", "téléphone portable", "numero", "numéro", "number", "to", "recipient",
    )
)  # fmt: skip
"""Names, folded, that columns of numbers often have: they are suggested, never guessed."""


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
