"""What settles a batch of which nobody knew whether it was sent."""

from __future__ import annotations

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
