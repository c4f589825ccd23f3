"""Personal texts: ``{placeholders}`` in a message, filled in from a recipient's fields."""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

# Any letters, since a French file has columns such as "prénom".
_PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")


def placeholders(text: str) -> list[str]:
    """Return the names of a text's placeholders, each once, in order of appearance."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def fill_in(text: str, fields: Mapping[str, str]) -> str:
    """
    Fill a recipient's fields into a text, in one pass: a field's own braces are never read again.

    :raises InvalidArgumentError: when a field is missing, since half a name must never be sent.
    """
    missing = [name for name in placeholders(text) if name not in fields]
    if missing:
        raise InvalidArgumentError(
            "message",
            f"needs the field {missing[0]!r}, which a recipient does not have; add it to each recipient of 'to', "
            "or take the placeholder out",
        )
    return _PLACEHOLDER.sub(lambda found: fields[found.group(1)], text)


def rename(text: str, names: Mapping[str, str]) -> str:
    """Give placeholders other names, for gateways that know only a fixed set; the rest stays as it is."""
    return _PLACEHOLDER.sub(
        lambda found: "{" + names[found.group(1)] + "}" if found.group(1) in names else found.group(), text
    )
