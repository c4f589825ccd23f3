"""
The signed last part of the address at which somebody answers a page: which page, and until when.

Whoever has the address may answer for the person whom the page went to, so it is signed, ends, and names no number.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from airflow_provider_voicepartner.constants import LINK_SIGNATURE_BYTES, LONGEST_LINK_TOKEN

_PAGES: Final = "voicepartner.pages"
QUESTIONS: Final = "voicepartner.questions"
"""The salt of links that answer a question: ``incident`` is then a question's id, ``number`` of somebody asked."""
# Incident, number of the page, and the minute in which it ends.
_LAYOUT: Final = struct.Struct(">QII")


@dataclass(frozen=True, slots=True)
class PageLink:
    """
    What an address is for.

    :param incident: its id.
    :param number: of the page within it.
    """

    incident: int
    number: int


class PageLinks:
    """
    Makes and reads tokens.

    :param secrets: newest first, at least one: the first signs, all are believed.
    :param salt: of what they answer; a token of another kind is not believed.
    """

    def __init__(self, secrets: Sequence[str], *, salt: str = _PAGES) -> None:
        self._keys = [
            hmac.new(secret.encode("utf-8", "surrogatepass"), salt.encode(), hashlib.sha256).digest()
            for secret in secrets
        ]

    def make(self, link: PageLink, *, expires: float) -> str:
        """
        Make the token of a page.

        :param expires: Unix seconds; the whole minute counts.
        """
        payload = _LAYOUT.pack(link.incident, link.number, int(expires // 60) + 1).lstrip(b"\0")
        return _encoded(payload + self._signature(self._keys[0], payload))

    def read(self, token: str, *, now: float) -> PageLink | None:
        """
        Read a token out of an address; any text may be given.

        :param now: Unix seconds.
        :returns: None for one that is not ours, or has ended; nothing says which.
        """
        if len(token) > LONGEST_LINK_TOKEN or not token.isascii():
            return None
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        payload, signature = raw[:-LINK_SIGNATURE_BYTES], raw[-LINK_SIGNATURE_BYTES:]
        # Base64 has several spellings of the same bytes; only the one that we wrote is ours.
        is_ours = any(hmac.compare_digest(self._signature(key, payload), signature) for key in self._keys)
        if not is_ours or _encoded(raw) != token or len(payload) > _LAYOUT.size:
            return None
        incident, number, ends = _LAYOUT.unpack(payload.rjust(_LAYOUT.size, b"\0"))
        return PageLink(incident, number) if now < ends * 60 else None

    @staticmethod
    def _signature(key: bytes, payload: bytes) -> bytes:
        return hmac.new(key, payload, hashlib.sha256).digest()[:LINK_SIGNATURE_BYTES]


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode("ascii").rstrip("=")
