"""What settles a batch of which nobody knew whether it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Evidence(StrEnum):
    """Why a batch that was in doubt is taken for what it is; a batch that was simply answered has none."""

    LOOK_UP = "look_up"
    """The gateway knew our reference: it was sent."""
    CALLED_BACK = "called_back"
    """The gateway called back about it: it was sent."""
    REPEAT_REFUSED = "repeat_refused"
    """The gateway refused the same request as one that it had: it was sent."""
    REPEAT_ACCEPTED = "repeat_accepted"
    """The gateway, which refuses repeats, took the same request: it had not been sent, and now it was."""
    SENT_AGAIN = "sent_again"
    """Nothing proved anything, and the user chose ``resend``: perhaps it was sent twice."""
    ASSUMED = "assumed"
    """Nothing proved anything, and the user chose ``assume_sent``: perhaps it was not sent at all."""


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What a look-up shows of a batch.

    :param evidence: where it was found.
    :param accepted: recipients of this batch that were certainly taken: each once, without an error, after its claim. 0
        where something is known under its reference, but nothing that counts.
    """

    evidence: Evidence
    accepted: int
