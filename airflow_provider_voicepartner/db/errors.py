"""What can be wrong with the store, and how its errors name it without secrets."""

from __future__ import annotations

import re
from typing import Final

_VALUES: Final = re.compile(r"^(?:DETAIL|CONTEXT|LINE \d+|QUERY):", re.MULTILINE)


class StoreUnavailableError(Exception):
    """
    The store cannot be reached, or cannot be used now. Nothing was reserved or recorded, as far as is known.

    Its text says what the store is needed for and where it is, and never holds the URL's password.
    """


class StoreDataError(StoreUnavailableError):
    """The store takes other values, and refused one of these: another try with the same values ends likewise."""


class StoreUrlError(StoreUnavailableError):
    """The store's URL, or what is installed, has to change before another try can succeed."""


def reason_of(error: BaseException, secrets: tuple[str, ...] = ()) -> str:
    """Say in one line what a driver complained about, without secrets."""
    inner = getattr(error, "orig", None) or error
    # What PostgreSQL says behind these words are the values, and those are numbers and texts.
    said = _VALUES.split(str(inner), maxsplit=1)[0]
    text = " ".join(said.split()) or type(inner).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return text[:300]


def unavailable(
    name: str, purpose: str, reason: str, kind: type[StoreUnavailableError] = StoreUnavailableError
) -> StoreUnavailableError:
    """
    Make the error of a store that cannot be used.

    :param name: where it is.
    :param purpose: what it is needed for.
    :param reason: what the driver complained about, without secrets.
    """
    return kind(
        f"the store {name} cannot be used, and it is needed for {purpose}: {reason}. "
        "Check that it exists, runs and can be reached and written from here"
    )
