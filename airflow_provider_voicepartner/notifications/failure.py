"""Why an alert reached nobody, in words that may be logged and raised: no whole number, no text, no key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    NotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)

NOT_SENT: Final = "the alert was not sent"
OUTCOME_UNKNOWN: Final = "it is unknown whether the alert was sent"


@dataclass(frozen=True, slots=True)
class AlertFailure:
    """
    An alert that is not known to have reached anybody.

    :param who: the notifier and its connection.
    :param why: holds no secret.
    :param in_doubt: True where it may have arrived all the same.
    """

    who: str
    why: str
    in_doubt: bool

    @classmethod
    def of(cls, why: BaseException | str, who: str, *, has_left: bool) -> AlertFailure:
        """
        Describe what went wrong: our own errors whole, since they hold no secret; of others only the kind.

        :param has_left: True where a request may have reached the gateway.
        """
        is_ours = isinstance(why, VoicePartnerProviderError | str)
        return cls(
            who,
            str(why) if is_ours else type(why).__name__,
            has_left and not isinstance(why, NotSentError | ConfigurationError),
        )

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.who}: {OUTCOME_UNKNOWN if self.in_doubt else NOT_SENT}: {self.why}"


def nobody_told(failures: Sequence[AlertFailure]) -> VoicePartnerProviderError:
    """Return the error of a callback that is to fail because nobody, or perhaps nobody, was told."""
    lines = "; ".join(map(str, failures))
    if any(failure.in_doubt for failure in failures):
        return SendOutcomeUnknownError(f"nobody knows whether anybody was told: {lines}")
    return NotSentError(f"nobody was told: {lines}")
