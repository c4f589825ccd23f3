"""Personal texts as Octopush fills them in: seven fields with fixed names, given with each recipient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from airflow_provider_voicepartner.gateways.checks import check_encodable
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.placeholders import fill_in, placeholders, rename

LONGEST_TEXT: Final = 1224
LONGEST_FIELD: Final = 50
FREE_NAMES: Final = tuple(f"param{number}" for number in range(1, 6))
SERVICE_NAMES: Final = frozenset({"first_name", "last_name", *FREE_NAMES})


@dataclass(frozen=True, slots=True)
class PersonalText:
    """
    A text in the service's own placeholders.

    :param text: with the service's names in it.
    :param names: the user's field name -> the service's name, for the fields that the text uses.
    """

    text: str
    names: Mapping[str, str]


def personalise(text: str, recipients_have_fields: bool, *, argument: str) -> PersonalText:
    """
    Put a text into the service's placeholders: a name that it does not know takes a free ``param1`` to ``param5``.

    :param text: as the user wrote it.
    :param argument: what the user calls the text, for the error.
    :param recipients_have_fields: False when nobody carries fields; braces are then plain text.
    :raises InvalidArgumentError: for more fields than the service has, and for a text whose placeholders the service
        would replace by nothing, because recipients carry no fields.
    """
    used = placeholders(text)
    if not recipients_have_fields:
        blanked = [name for name in used if name in SERVICE_NAMES]
        if blanked:
            raise InvalidArgumentError(
                argument,
                f"holds {{{blanked[0]}}}, which Octopush replaces by a recipient's field, but the recipients carry no "
                "fields; give them that field in 'to', or take it out of the text",
            )
        return PersonalText(text, {})
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
    return PersonalText(rename(text, names), names)


def fields_of(recipient: Recipient, text: str, personal: PersonalText) -> dict[str, str]:
    """
    Return one recipient's fields under the service's names, only those that the text uses.

    :param text: as the user wrote it.
    :raises InvalidArgumentError: for a field that is missing or longer than 50 characters, and for a text that gets
        longer than 1224 characters once it is filled in; the problem is read after the recipient.
    """
    fields = {}
    for name, service_name in personal.names.items():
        value = recipient.fields.get(name)
        if value is None:
            raise InvalidArgumentError(
                "to",
                f"has no field {name!r}, which the text needs; add it, or take it out of the text",
            )
        check_encodable(value, argument="to", what=f"has a field {name!r} that ")
        if len(value) > LONGEST_FIELD:
            raise InvalidArgumentError(
                "to",
                f"has a field {name!r} with {len(value)} characters; Octopush takes {LONGEST_FIELD}, so shorten it",
            )
        fields[service_name] = value
    length = len(fill_in(text, recipient.fields)) if fields else 0
    if length > LONGEST_TEXT:
        raise InvalidArgumentError(
            "to",
            f"gets a text of {length} characters once filled in; Octopush takes {LONGEST_TEXT}, so shorten it",
        )
    return fields
