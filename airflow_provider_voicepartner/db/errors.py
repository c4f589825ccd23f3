"""Errors of the store; their texts hold no secrets."""

from __future__ import annotations

import re
from typing import Final

from airflow_provider_voicepartner.constants import LONGEST_QUOTE

_VALUES: Final = re.compile(r"^(?:DETAIL|CONTEXT|LINE \d+|QUERY):", re.MULTILINE)


class StoreUnavailableError(Exception):
    """
    The store cannot be reached, or cannot be used now. As far as is known, nothing was written.

    Its text says what the store is needed for and where it is, without the URL's password.
    """


class StoreDataError(StoreUnavailableError):
    """The store refused a value, and accepts others: another try with the same values fails again."""


class StoreUrlError(StoreUnavailableError):
    """The store's URL, or an installed package, has to change before another try can succeed."""


def reason_of(error: BaseException, secrets: tuple[str, ...] = ()) -> str:
    """Return a driver's error in one line, without secrets."""
    inner = getattr(error, "orig", None) or error
    # After these words PostgreSQL quotes values: numbers and texts.
    message = _VALUES.split(str(inner), maxsplit=1)[0]
    text = " ".join(message.split()) or type(inner).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return text[:LONGEST_QUOTE]


def unavailable(
    name: str, purpose: str, reason: str, kind: type[StoreUnavailableError] = StoreUnavailableError
) -> StoreUnavailableError:
    """
    Make the error of a store that cannot be used.

    :param name: where it is.
    :param purpose: what it is needed for.
    :param reason: the driver's error, without secrets.
    """
    return kind(
        f"the store {name}, needed for {purpose}, cannot be used: {reason}. "
        "Check that it exists, is running, and can be reached and written from here"
    )
