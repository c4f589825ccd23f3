"""
What no gateway takes, refused before anything is sent: texts, numbers, senders, keys, callback URLs and settings.

Errors name the argument and the fix, but no number and no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeVar
from unicodedata import category
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError

E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_ALL_E164 = re.compile(rf"{E164.pattern}(?:,{E164.pattern})*+")
SENDER: Final = re.compile(r"[A-Za-z0-9]{3,11}")
_SENDER_WITH_BLANKS: Final = re.compile(r"(?=.{3,11}\Z)[A-Za-z0-9]+(?: +[A-Za-z0-9]+)*")
EMAIL: Final = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")

WORD_FOR_NOTHING: Final = "None"
_UNSEEN: Final = re.compile(
    # Letters, marks and a symbol by their category: fillers, selectors of a variant, and Braille without a dot.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")

URL_RULE: Final = "must be an https:// URL (http:// only on this machine, such as http://127.0.0.1:8080/...)"


def check_count(count: int, *, argument: str = "to", most: int = MAX_RECIPIENTS_PER_BATCH) -> None:
    """
    Check how many recipients one request carries: at least one.

    :param most: how many the gateway takes.

    :raises InvalidArgumentError: for none, or too many.
    """
    if not count:
        raise InvalidArgumentError(argument, "is empty; give at least one recipient")
    if count > most:
        raise InvalidArgumentError(
            argument, f"holds {count} recipients; a request takes {most}, so split them"
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


def check_sender(
    sender: str | None, *, gateway: str, takes_blanks: bool = False, is_marketing: bool = False
) -> None:
    """
    Check a sender ID: 3 to 11 letters or digits, as the vendors document it; None leaves it to the gateway.

    :param gateway: whose documentation it is, for the error.
    :param takes_blanks: let blanks between letters pass, where the vendor shows such a sender.
    :param is_marketing: refuse digits alone, as the charter of the French operators (AF2M) does for advertising.
    :raises InvalidArgumentError: for any other.
    """
    if sender is None:
        return
    allowed = _SENDER_WITH_BLANKS if takes_blanks else SENDER
    if not allowed.fullmatch(sender):
        problem = "has other characters" if 3 <= len(sender) <= 11 else f"has {len(sender)} characters"
        between = ", with blanks only between them" if takes_blanks else ", without blanks"
        raise InvalidArgumentError(
            "sender",
            f"{problem}; give 3 to 11 letters (A-Z, a-z) or digits{between}, which is what the documentation of "
            f"{gateway} describes, or leave it out",
        )
    if is_marketing and sender.replace(" ", "").isdigit():
        raise InvalidArgumentError(
            "sender",
            "holds digits only, which the charter of the French operators does not allow for marketing; give a name, "
            "or leave it out",
        )


STRAY_CONTROLS: Final = re.compile("[\x80-\x9f]")


OF_A_WRONG_ENCODING: Final = (
    "a control character from U+0080 to U+009F, which is what € and ’ become when Windows-1252 is read as Latin-1; "
    "read it with encoding='cp1252'"
)


def check_said(text: object, *, argument: str, fix: str) -> None:
    """
    Refuse a text of nothing: empty, blank or invisible, or the word that a template makes of a missing value. And one
    that was read in a wrong encoding.

    :param fix: what to do about an empty one.
    :raises InvalidArgumentError: when nothing is said, or other letters than were meant.
    """
    if text is not None and not isinstance(text, str):
        raise InvalidArgumentError(argument, f"is of type {type(text).__name__}, not text; {fix}")
    if text is None or says_nothing(text):
        raise InvalidArgumentError(argument, f"is empty; {fix}")
    if STRAY_CONTROLS.search(text):
        raise InvalidArgumentError(argument, f"holds {OF_A_WRONG_ENCODING}")
    if text.strip() == WORD_FOR_NOTHING:
        raise InvalidArgumentError(
            argument,
            "is the word None alone, which is what a template makes of a value that is missing, such as the XCom of a "
            f"skipped task; {fix}",
        )


def says_nothing(text: str) -> bool:
    """Say whether a text holds nothing that can be seen or spoken: blanks, or invisible characters."""
    return all(
        character.isspace() or category(character) in ("Cc", "Cf") or _UNSEEN.match(character)
        for character in text
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
    if not fits_a_header(secret):
        raise InvalidArgumentError(
            argument, f"holds a blank, a line break or another character that is not in {what}; copy it again"
        )
    return secret


def fits_a_header(secret: str) -> bool:
    """Say whether a credential can travel in any part of a request, without a blank or a character beyond ASCII."""
    return secret.isascii() and secret.isprintable() and " " not in secret


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


def check_own_text(check: Callable[[str], None], text: str) -> None:
    """
    Check the text that one recipient gets.

    :param check: the gateway's check of a text in which nothing is left to fill in.
    :raises InvalidArgumentError: its problem is read after the recipient's number.
    """
    problem: InvalidArgumentError
    try:
        check(text)
        return
    except InvalidArgumentError as error:
        problem = error
    raise InvalidArgumentError(problem.argument, f"gets a text that cannot be sent: {problem.problem}")


def is_callback_url(url: str) -> bool:
    """Say whether a gateway may be given a URL: https, or http on this machine (for the sandbox)."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or any(letter.isspace() or not letter.isprintable() for letter in url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Say whether a host name can only mean this machine."""
    try:
        return host.casefold() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_callback_url(url: str | None, *, argument: str) -> None:
    """
    Check a URL that a caller gave; None leaves the gateway's own setting.

    :raises InvalidArgumentError: naming the rule.
    """
    if url is not None and not is_callback_url(url):
        raise InvalidArgumentError(argument, URL_RULE)


def _require_callback_url(url: str) -> str:
    if not is_callback_url(url):
        raise ValueError(URL_RULE)
    return url


CallbackUrl = Annotated[str, AfterValidator(_require_callback_url)]
"""A callback URL among a message's ``options``."""


class GatewayOptions(BaseModel):
    """Base of each gateway's settings: unknown names are refused, so that a typing error cannot go unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


AnyOptions = TypeVar("AnyOptions", bound=GatewayOptions)


def read_options(model: type[AnyOptions], options: Mapping[str, Any]) -> AnyOptions:
    """
    Check gateway-specific settings.

    :param model: the settings that this call knows.
    :param options: as the user gave them.
    :raises InvalidArgumentError: naming the setting, what is wrong and the settings that exist; without the value.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        problem = (
            "is not a setting of this call"
            if first["type"] == "extra_forbidden"
            else first["msg"].removeprefix("Value error, ")
        )
        known = ", ".join(sorted(model.model_fields))
    raise InvalidArgumentError(f"options[{name!r}]", f"{problem}; the settings are: {known}")
