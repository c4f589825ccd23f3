"""
The signed last part of a callback's URL: it says which batch or connection a call is about, and that we made it.

Gateways sign nothing, so whoever knows a callback's URL may report through it. A token is therefore made for one batch
of one gateway and ends, and one that was altered, or is another gateway's, opens nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from itsdangerous import Signer
from itsdangerous.encoding import base64_decode, base64_encode

from airflow_provider_voicepartner.constants import (
    CALLBACK_LIFETIME,
    FEWEST_SECRET_CHARACTERS,
    FEWEST_SECRET_STEPS,
    LONGEST_TOKEN,
    RECIPIENTS_IN_URL,
    SHORTEST_SECRET,
    SIGNERS_REMEMBERED,
    TOKENS_REMEMBERED,
)
from airflow_provider_voicepartner.delivery.recipient_marks import (
    LONG_MARK,
    SHORT_MARK,
    BatchRecipients,
    mark,
    marks_of,
    split,
)

PREFIX: Final = "/voicepartner"
"""The path of a receiver, below which all its routes are."""

_SEPARATOR: Final = b"."
_BATCH, _BATCH_WITH_MARKS, _CONNECTION = "b", "p", "c"


class InvalidTokenError(Exception):
    """The token is not one of ours, is another gateway's, or has expired; the error does not say which."""


class WeakSecretError(ValueError):
    """The secrets cannot be used; the text says why, and holds none of them."""


@dataclass(frozen=True, slots=True)
class BatchToken:
    """
    A batch that a gateway may report about.

    :param reference: our own id of it.
    :param recipients: whom the batch was sent to.
    """

    reference: str
    recipients: BatchRecipients | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ConnectionToken:
    """
    A connection whose account may report about all its campaigns.

    :param conn_id: of the Airflow connection.
    """

    conn_id: str


CallbackToken = BatchToken | ConnectionToken


def expiry(
    *, now: datetime, send_at: datetime | None = None, lifetime: timedelta = CALLBACK_LIFETIME
) -> datetime:
    """
    Return when the URL of a batch expires.

    :param now: the present, aware.
    :param send_at: when the batch is due, aware; None is now.
    :param lifetime: counted from when it is due.
    """
    return max(now, send_at or now) + lifetime


class CallbackTokens:
    """
    Makes and reads tokens.

    :param secrets: newest first. The first one signs; all of them are believed, so that a secret can be changed while
        gateways still hold URLs of the last one.
    :raises WeakSecretError: for none, one of fewer than 16 characters, or one of too little variety.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets:
            raise WeakSecretError("no secret is given; callbacks cannot be signed without one")
        for problem in filter(None, map(_weakness, secrets)):
            raise WeakSecretError(
                f"a secret {problem}; whoever guesses it can forge delivery reports. "
                'Make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        self._secrets = [secret.encode("utf-8", "surrogatepass") for secret in reversed(secrets)]
        self._signers: dict[str, Signer] = {}
        # A batch is reported about up to 500 times through one URL. Only good tokens are in here, so how long a bad
        # one takes tells nothing.
        self._known: dict[tuple[str, str], tuple[CallbackToken, float]] = {}

    def for_batch(
        self, gateway: str, reference: str, *, expires: datetime, recipients: Sequence[str] = ()
    ) -> str:
        """
        Make the token of one batch.

        :param gateway: the connection type.
        :param reference: our own id of the batch.
        :param expires: until when it opens anything, aware; see :func:`expiry`.
        :param recipients: in E.164; the marks of up to 16 become a part of the token, those of a larger batch are read
            from the store, where the caller has to write :meth:`stored_marks`.
        """
        ends = int(expires.timestamp())
        if not 0 < len(recipients) <= RECIPIENTS_IN_URL:
            return self._sign(gateway, f"{_BATCH}:{ends}:{reference}")
        marks = base64_encode(marks_of(self._secrets[-1], recipients, SHORT_MARK)).decode("ascii")
        return self._sign(gateway, f"{_BATCH_WITH_MARKS}:{ends}:{marks}:{reference}")

    def stored_marks(self, recipients: Sequence[str]) -> bytes:
        """Return the marks that the store needs of a batch's recipients, which are in E.164."""
        return marks_of(self._secrets[-1], recipients, LONG_MARK)

    def forget(self, marks: bytes, phone_number: str) -> bytes:
        """Return stored marks without those of a number."""
        removed = {mark(secret, phone_number, LONG_MARK) for secret in self._secrets}
        return b"".join(sorted(split(marks, LONG_MARK) - removed))

    def for_connection(self, gateway: str, conn_id: str) -> str:
        """
        Make the token of an account that has one URL for all its campaigns. It does not end by itself.

        :param gateway: the connection type.
        :param conn_id: of the Airflow connection.
        """
        return self._sign(gateway, f"{_CONNECTION}::{conn_id}")

    def read(self, gateway: str, token: str, *, now: datetime) -> CallbackToken:
        """
        Read a token out of a URL; any text may be given.

        :param gateway: that the URL names.
        :param now: the present, aware.
        :raises InvalidTokenError: with the same text whatever is wrong.
        """
        known = self._known.get((gateway, token)) or self._verified(gateway, token)
        if known is None or now.timestamp() >= known[1]:
            raise InvalidTokenError("the token is not valid")
        return known[0]

    def _sign(self, gateway: str, payload: str) -> str:
        signed: bytes = self._signer(gateway).sign(base64_encode(payload))
        return signed.decode("ascii")

    def _verified(self, gateway: str, token: str) -> tuple[CallbackToken, float] | None:
        """
        Return what was signed and when that ends, or None.

        A token without any signature costs as much as one with a wrong one.
        """
        raw = token[:LONGEST_TOKEN].encode("utf-8", "replace")
        payload, _, signature = raw.rpartition(_SEPARATOR)
        is_ours = self._signer(gateway).verify_signature(payload, signature)
        # Base64 has several spellings of the same bytes; only the one that we wrote is ours.
        if not is_ours or base64_encode(base64_decode(signature)) != signature or len(token) > LONGEST_TOKEN:
            return None
        found = self._read_payload(base64_decode(payload).decode("utf-8", "replace"))
        if len(self._known) >= TOKENS_REMEMBERED:
            self._known.clear()
        self._known[gateway, token] = found
        return found

    def _read_payload(self, payload: str) -> tuple[CallbackToken, float]:
        kind, expires, name = payload.split(":", 2)
        if kind == _CONNECTION:
            return ConnectionToken(name), math.inf
        marks = None
        if kind == _BATCH_WITH_MARKS:
            text, _, name = name.partition(":")
            marks = split(base64_decode(text), SHORT_MARK)
        return BatchToken(name, BatchRecipients(name, tuple(self._secrets), marks)), float(expires)

    def _signer(self, gateway: str) -> Signer:
        signer = self._signers.get(gateway)
        if signer is None:
            signer = Signer(
                self._secrets,
                salt=f"voicepartner.callbacks.{gateway}".encode("utf-8", "replace"),
                sep=_SEPARATOR,
                key_derivation="hmac",
                digest_method=hashlib.sha256,
            )
            if len(self._signers) < SIGNERS_REMEMBERED:  # names come out of URLs that anybody may write
                self._signers[gateway] = signer
        return signer


def _weakness(secret: str) -> str:
    """Say what makes a secret easy to guess; empty where nothing is known to."""
    if len(secret) < SHORTEST_SECRET:
        return f"has fewer than {SHORTEST_SECRET} characters"
    if "-long-random-text" in secret:
        return "is an example of the documentation"
    if secret in (secret + secret)[1:-1]:
        return "repeats a shorter text"
    steps = {ord(after) - ord(before) for before, after in pairwise(secret)}
    if len(set(secret)) < FEWEST_SECRET_CHARACTERS or len(steps) < FEWEST_SECRET_STEPS:
        return "has too little variety"
    return ""


def utc_now() -> datetime:
    """Return the present, aware."""
    return datetime.now(UTC)
