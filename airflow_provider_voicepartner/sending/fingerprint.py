"""What identifies a send: a reference for each batch, and a fingerprint that tells one campaign from another."""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from airflow_provider_voicepartner.gateways.model import Message
from airflow_provider_voicepartner.gateways.wire import Credentials

REFERENCE_LENGTH = 12
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_BITS = 128

# No number is that long, so that neither mark can be taken for one.
_FIELDS_FOLLOW: Final = b"\xff" * 8
_HEAD: Final = struct.Struct(">Q8s")


def new_reference() -> str:
    """
    Make the id of a batch, before it is sent: 12 lower-case letters and digits, 62 bits of chance.

    Short and plain enough for every gateway (SMS Partner's tag: 20 characters, lower case, no blank).
    """
    # One question to the system, since each lets another thread in first; so many bits that all are as likely.
    chance = secrets.randbits(_BITS) % len(_LETTERS) ** REFERENCE_LENGTH
    letters = []
    for _ in range(REFERENCE_LENGTH):
        chance, letter = divmod(chance, len(_LETTERS))
        letters.append(_LETTERS[letter])
    return "".join(letters)


def account_key(gateway: str, credentials: Credentials) -> bytes:
    """
    Return a key that only those have who know the account's own, for hashes of what must not be guessed.

    :param gateway: the connection type.
    :param credentials: the account.
    """
    return hashlib.sha256(f"{gateway}\0{credentials.login or ''}\0{credentials.api_key}".encode()).digest()


class CampaignFingerprint:
    """
    Tells whether two attempts of a task would send the same thing: gateway, message, recipients, time.

    No key is in it, so that a rotated one goes on with the rest. It is never written down as it is: who reads it could
    try out phone numbers until one fits (see :class:`~airflow_provider_voicepartner.sending.records.Plan`).

    :param gateway: the connection type.
    :param credentials: the account, of which the login counts, where there is one.
    :param message: what is said.
    :param send_at: when, or None.
    """

    def __init__(
        self, gateway: str, credentials: Credentials, message: Message, send_at: datetime | None
    ) -> None:
        said = {part.name: _plain(getattr(message, part.name)) for part in fields(message)}
        self._digest = hashlib.sha256()
        self._digest.update(
            _line(
                [gateway, credentials.login, said, send_at.astimezone(UTC).isoformat() if send_at else None]
            )
        )

    def copy(self) -> CampaignFingerprint:
        """Return another one that has been fed the same so far."""
        twin = CampaignFingerprint.__new__(CampaignFingerprint)
        twin._digest = self._digest.copy()
        return twin

    def feed(self, packed: bytes) -> None:
        """
        Add recipients.

        :param packed: see :func:`pack_recipients`; in the order of sending, however they are parted.
        """
        self._digest.update(packed)

    def hexdigest(self) -> str:
        """Return 32 hexadecimal digits."""
        return self._digest.hexdigest()[:32]


def pack_recipients(numbers: Sequence[int], fields: Sequence[Mapping[str, str]] | None = None) -> bytes:
    """
    Write recipients as bytes, no two lists of them alike.

    :param numbers: in E.164, without the ``+``.
    :param fields: of each, where any has some.
    """
    if fields is None:
        return struct.pack(f">{len(numbers)}Q", *numbers)
    return b"".join(
        struct.pack(">Q", number) + (_FIELDS_FOLLOW + _pack_fields(values) if values else b"")
        for number, values in zip(numbers, fields, strict=True)
    )


def pack_columns(numbers: Sequence[int], columns: Mapping[str, Sequence[str]]) -> bytes:
    """
    Write recipients with fields as :func:`pack_recipients` does, from columns.

    :param numbers: in E.164, without the ``+``.
    :param columns: the name of a field -> its value for each recipient; at least one.
    """
    names = sorted(columns)
    parts = "".join(f"{len(name)}:{name.replace('%', '%%')}%d:%s" for name in names)
    cells = itertools.chain.from_iterable((map(len, columns[name]), columns[name]) for name in names)
    texts = list(map(f"{len(names)};{parts}".__mod__, zip(*cells, strict=True)))
    try:
        encoded = list(map(str.encode, texts))
    except UnicodeEncodeError:
        encoded = [text.encode(errors="surrogatepass") for text in texts]
    heads = map(_HEAD.pack, numbers, itertools.repeat(_FIELDS_FOLLOW))
    return b"".join(itertools.chain.from_iterable(zip(heads, encoded, strict=False)))


def _pack_fields(values: Mapping[str, str]) -> bytes:
    # With all lengths, so that no text can pose as the next field or recipient.
    parts = [f"{len(name)}:{name}{len(values[name])}:{values[name]}" for name in sorted(values)]
    return f"{len(parts)};{''.join(parts)}".encode(errors="surrogatepass")


def _line(value: object) -> bytes:
    # Ends with a newline, which JSON text never holds: no two lists give the same bytes.
    return json.dumps(value, sort_keys=True, default=str).encode() + b"\n"


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
