"""
Errors, by what a user may do next: try again, mend something, or look first because nobody knows.

Those that a retry cannot mend, or must not touch, are also ``AirflowFailException``: Airflow then fails the task at
once, however many ``retries`` it has left, also when the error comes out of a hook inside a ``@task`` function.
"""

from __future__ import annotations

from airflow_provider_voicepartner.compat import AirflowException, AirflowFailException
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError, RecipientProblem
from airflow_provider_voicepartner.gateways.model import Receipt


class VoicePartnerProviderError(AirflowException):
    """Base of every error of this provider."""


class NotSentError(VoicePartnerProviderError):
    """
    Provably nothing left, or it was refused: nobody was messaged, nothing was billed.

    :param code: the gateway's own code, where it gave one.
    :param kind: what the gateway's answer proves, where there was an answer.
    :param recipients: the recipients that were refused one by one, where the answer tells.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        kind: ErrorKind | None = None,
        recipients: tuple[RecipientProblem, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind
        self.recipients = recipients


class RetryableNotSentError(NotSentError):
    """
    Nothing was sent and a later try may succeed: no connection, the gateway's rate limit, or no store.

    :param retry_after: seconds to wait as the gateway asked, None where it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        kind: ErrorKind | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, kind=kind)
        self.retry_after = retry_after


class RejectedError(NotSentError, AirflowFailException):
    """The gateway refused: validation, credit, credentials, opt-out. The same request would be refused again."""


class SendOutcomeUnknownError(VoicePartnerProviderError, AirflowFailException):
    """In doubt: a request left, nobody knows whether it was taken, and nothing will tell. Never repeated by itself."""


class OutcomePendingError(VoicePartnerProviderError):
    """
    In doubt, and the gateway may still come to know what it took: a retry asks it again, and sends nothing twice.

    :param retry_after: seconds after which it is worth asking.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CampaignInterruptedError(VoicePartnerProviderError):
    """The task was told to stop, or a later attempt took over. What was sent is recorded; a retry sends the rest."""


class DeliveryFailedError(VoicePartnerProviderError, AirflowFailException):
    """Fewer people got the message than the sensor was told to demand."""


class DeliveryUnconfirmedError(VoicePartnerProviderError, AirflowFailException):
    """Nobody can say whether the message arrived: no report came, or none can come."""


class WaitGivenUpError(VoicePartnerProviderError):
    """The triggerer could not find out what became of a campaign. A retry waits anew, and sends nothing."""


class ConfigurationError(VoicePartnerProviderError, AirflowFailException):
    """An argument, a connection or what is recorded is wrong; nothing was sent for it. Names it and the fix."""


class InvalidRecipientError(ConfigurationError):
    """A recipient cannot be reached by this message: its row, the reason and the fix are named."""


class BudgetExceededError(VoicePartnerProviderError, AirflowFailException):
    """Sending on would pass ``max_cost``. What was sent before is recorded; a higher ``max_cost`` continues."""


def ends_retries(error: BaseException) -> bool:
    """Say whether Airflow fails the task at once for an error, however many ``retries`` it has left."""
    return isinstance(error, AirflowFailException)


def nobody_taken(gateway: str, endpoint: str, receipt: Receipt) -> RejectedError:
    """Turn the receipt of a batch in which everybody was refused into the error for whoever sends just that batch."""
    problems = tuple(
        RecipientProblem(refused.phone_number or None, refused.code, refused.reason)
        for refused in receipt.refused
    )
    why = "; ".join(dict.fromkeys(problem.reason for problem in problems))
    codes = {problem.code for problem in problems}
    return RejectedError(
        f"{gateway} {endpoint}: each of the {len(problems)} recipients was refused, and nothing was sent: {why}",
        code=codes.pop() if len(codes) == 1 else None,
        kind=ErrorKind.REJECTED,
        recipients=problems,
    )


def from_gateway(
    error: GatewayError, *, retry_after: float | None = None, where: str = ""
) -> VoicePartnerProviderError:
    """
    Turn what a gateway's answer proves into the error that a user acts on.

    :param error: as the gateway's parser raised it.
    :param retry_after: seconds that the gateway asked for, where it did.
    :param where: what to look at for a refusal, as a sentence.
    """
    match error.kind:
        case ErrorKind.UNKNOWN:
            return SendOutcomeUnknownError(
                f"{error}. The gateway may have taken it: check there before you send again"
            )
        case ErrorKind.RETRYABLE:
            return RetryableNotSentError(
                str(error), code=error.code, kind=error.kind, retry_after=retry_after
            )
        case _:
            text = f"{error}. {where}" if where else str(error)
            return RejectedError(text, code=error.code, kind=error.kind, recipients=error.recipients)
