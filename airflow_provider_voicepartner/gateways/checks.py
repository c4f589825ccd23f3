"""What no gateway takes, refused before anything is sent. Errors name argument and fix, but no number and no text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import MAX_RECIPIENTS_PER_BATCH, Message

E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_ALL_E164 = re.compile(r"\+[1-9][0-9]{6,14}(?:,\+[1-9][0-9]{6,14})*+")
SENDER: Final = re.compile(r"[A-Za-z0-9]{3,11}")
EMAIL: Final = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


def check_count(count: int, *, argument: str = "to") -> None:
    """
    Check how many recipients one request carries: 1 to 500, with every gateway.

    :raises InvalidArgumentError: for none, or too many.
    """
    if not count:
        raise InvalidArgumentError(argument, "is empty; give at least one recipient")
    if count > MAX_RECIPIENTS_PER_BATCH:
        raise InvalidArgumentError(
            argument, f"holds {count} recipients; a request takes {MAX_RECIPIENTS_PER_BATCH}, so split them"
        )


def check_numbers(numbers: Sequence[str]) -> None:
    """
    Check the numbers that one request goes to: 1 to 500, each in E.164.

    :raises InvalidArgumentError: with the position of a bad number, from 1.
    """
    check_count(len(numbers))
    joined = ",".join(numbers)
    # All at once, which is ten times as fast; a number that holds a comma must not pass as two.
    if joined.count("+") == len(numbers) and _ALL_E164.fullmatch(joined):
        return
    for position, number in enumerate(numbers, start=1):
        check_number(number, argument="to", position=position)


def check_number(number: str, *, argument: str, position: int | None = None) -> None:
    """
    Check that a number is in E.164, which every endpoint takes.

    :param position: in a list of recipients, from 1; None for a number that stands alone.
    :raises InvalidArgumentError: when it is not.
    """
    if not E164.fullmatch(number):
        which = "the number" if position is None else f"recipient {position}"
        raise InvalidArgumentError(argument, f"{which} is not in E.164; write it such as +33612345678")


def check_sender(sender: str | None) -> None:
    """
    Check a sender ID: 3 to 11 letters or digits; None leaves it to the gateway.

    :raises InvalidArgumentError: for any other.
    """
    if sender is not None and not SENDER.fullmatch(sender):
        problem = (
            "has characters that gateways refuse"
            if 3 <= len(sender) <= 11
            else f"has {len(sender)} characters"
        )
        raise InvalidArgumentError(
            "sender",
            f"{problem}; give 3 to 11 letters (A-Z, a-z) or digits without blanks or accents, or leave it out",
        )


def check_secret(secret: str | None, *, argument: str, what: str) -> str:
    """
    Check a credential, so that the HTTP client cannot choke on it with an error that shows it.

    :param argument: where the connection holds it.
    :param what: what it is, such as ``the API key``.
    :raises InvalidArgumentError: for a missing one, or one with a blank, a line break or a character beyond ASCII.
    """
    if not secret:
        raise InvalidArgumentError(argument, f"is missing; put {what} into the connection's {argument}")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise InvalidArgumentError(
            argument, f"holds a blank, a line break or another character that is not in {what}; copy it again"
        )
    return secret


def check_encodable(text: str, *, argument: str, what: str = "") -> None:
    """
    Check that a text can be sent at all.

    :param what: which part of the argument, for the error, with a blank behind it.
    :raises InvalidArgumentError: for half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            argument,
            f"{what}holds half of a character pair, which no encoding can carry; decode its source properly",
        ) from None


def check_language(language: str) -> str:
    """
    Check that a text is a language code.

    :returns: the code with ``-`` between its parts, such as ``fr-FR``; case is left as it is.
    :raises InvalidArgumentError: when it is none.
    """
    code = language.strip()
    if not _LANGUAGE.fullmatch(code):
        raise InvalidArgumentError(
            "language", "is not a language code; write it like 'fr-FR', 'fr' or 'en-GB'"
        )
    return code.replace("_", "-")


def check_own_text(check_message: Callable[[Message, bool], None], own: Message) -> None:
    """
    Check the text that one recipient gets.

    :param check_message: the gateway's.
    :param own: with nothing left to fill in.
    :raises InvalidArgumentError: its problem is read after the recipient's number.
    """
    problem: InvalidArgumentError
    try:
        check_message(own, False)
        return
    except InvalidArgumentError as error:
        problem = error
    raise InvalidArgumentError(problem.argument, f"gets a text that cannot be sent: {problem.problem}")
