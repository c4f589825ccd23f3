"""Personal texts as Octopush fills them in: seven fields with fixed names, given with each recipient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from airflow_provider_voicepartner.gateways.checks import check_encodable
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, composed, shown_name, there_are

LONGEST_TEXT: Final = 1224
LONGEST_FIELD: Final = 50
FREE_NAMES: Final = tuple(f"param{number}" for number in range(1, 6))
SERVICE_NAMES: Final = frozenset({"first_name", "last_name", *FREE_NAMES})
_SERVICE_PLACEHOLDER: Final = re.compile(rf"\{{({'|'.join(sorted(SERVICE_NAMES))})\}}")


@dataclass(frozen=True, slots=True)
class PersonalText:
    """
    A text in the service's own placeholders.

    :param text: with the service's names in it.
    :param names: the user's field name -> the service's name, for the fields that the text uses.
    """

    text: str
    names: Mapping[str, str]


@lru_cache(maxsize=32)
def personalise(template: TextTemplate, *, argument: str) -> PersonalText:
    """
    Put a text into the service's placeholders: a name that it does not know takes a free ``param1`` to ``param5``.

    :param template: the text as the user wrote it; the same one is looked at only once.
    :param argument: what the user calls the text, for the error.
    :raises InvalidArgumentError: for more fields than the service has.
    """
    used = template.names
    names = {name: name for name in used if name in SERVICE_NAMES}
    others = [name for name in used if name not in SERVICE_NAMES]
    free = [name for name in FREE_NAMES if name not in names]
    if len(others) > len(free):
        raise InvalidArgumentError(
            argument,
            f"uses {len(others)} fields besides first_name and last_name, and Octopush has room for {len(free)}; use "
            "fewer placeholders, or map one task over the texts",
        )
    names |= dict(zip(others, free, strict=False))
    return PersonalText(template.renamed(names), names)


def check_no_service_name(text: str, *, argument: str) -> None:
    """
    Refuse braces that are meant as they are, and that the service would replace by nothing.

    :param text: what is to be read, with nothing left to fill in.
    :raises InvalidArgumentError: when it holds ``{first_name}`` or another name of the service in braces.
    """
    found = _SERVICE_PLACEHOLDER.search(text)
    if found:
        raise InvalidArgumentError(
            argument,
            f"holds {found.group()} in braces that are to be sent, and Octopush replaces it by a recipient's field; "
            "write it in other words",
        )


def check_joins_as_is(template: TextTemplate, recipient: Recipient, own: str) -> None:
    """
    Refuse a field that is one character with the text next to it: an accent in the one, and its letter in the other.

    The service puts them side by side as they are, which would make the SMS unicode, and cost more than was counted.

    :param own: the person's text as it was counted, in NFC.
    :raises InvalidArgumentError: the problem is read after the recipient.
    """
    if own.isascii() or len(own) == template.length_with(recipient.fields):
        return
    raise InvalidArgumentError(
        "to",
        "has a field that begins or ends within a character, such as an accent without its letter; write the whole "
        "character into the field or into the text",
    )


def fields_of(recipient: Recipient, personal: PersonalText) -> dict[str, str]:
    """
    Return one recipient's fields under the service's names, only those that the text uses.

    :raises InvalidArgumentError: for a field that is missing or longer than 50 characters; the problem is read after
        the recipient.
    """
    fields = {}
    for name, service_name in personal.names.items():
        value = recipient.fields.get(name)
        if value is None:
            raise InvalidArgumentError(
                "to",
                f"has no field {shown_name(name)}, which the text needs ({there_are(recipient.fields)}); add it, or "
                "take it out of the text",
            )
        value = composed(value)
        check_encodable(value, argument="to", what=f"has a field {shown_name(name)} that ")
        if len(value) > LONGEST_FIELD:
            raise InvalidArgumentError(
                "to",
                f"has a field {shown_name(name)} with {len(value)} characters; Octopush takes {LONGEST_FIELD}, so "
                "shorten it",
            )
        fields[service_name] = value
    return fields
