"""For whom a message of an alert is written: people are told in their own language and time zone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Message


class Audience(NamedTuple):
    """
    Recipients for whom one message is written.

    :param language: ``fr`` or ``en``; None where it is not known.
    :param time_zone: such as ``Europe/Paris``; None where it is not known.
    :param alone: the number of the only one; empty where others may be told the same.
    """

    language: str | None = None
    time_zone: str | None = None
    alone: str = ""


class MessageFor:
    """
    The message of each recipient, written once for each audience; audiences who would read the same get the same.

    :param write: writes the message of an audience.
    :param audience_of: says for whom the message of a number is written.
    """

    def __init__(self, write: Callable[[Audience], Message], audience_of: Callable[[str], Audience]) -> None:
        self._write = write
        self._audience_of = audience_of
        self._written: dict[Audience, Message] = {}

    def __call__(self, phone_number: str) -> Message:
        """Return the message of a number, in E.164."""
        audience = self._audience_of(phone_number)
        if audience not in self._written:
            new = self._write(audience)
            others = () if audience.alone else self._written.values()
            self._written[audience] = next((one for one in others if one == new), new)
        return self._written[audience]
