"""
Errors, by what to do next: retry, fix something, or investigate because the outcome is unknown.

Those that a retry cannot fix, or must not touch, are also ``AirflowFailException``: Airflow then fails the task at
once, however many ``retries`` it has left, also when the error comes out of a hook inside a ``@task`` function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_voicepartner.compat import AirflowException, AirflowFailException
from airflow_provider_voicepartner.gateways.errors import (
    ErrorKind,
    GatewayError,
    InvalidArgumentError,
    RecipientProblem,
)

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Receipt

Built = TypeVar("Built")


class VoicePartnerProviderError(AirflowException):
    """Base of every error of this provider."""


class NotSentError(VoicePartnerProviderError):
    """
    Provably nothing was sent, or it was refused: nobody was messaged, nothing was billed.

    :param code: the gateway's own code, if it gave one.
    :param kind: what the gateway's answer proves, if there was an answer.
    :param recipients: the recipients refused by name, if the answer lists them.
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

    :param retry_after: seconds to wait as the gateway asked, None if it did not say.
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
    """A request was, or may have been, sent; its outcome is unknown. Retries do not apply; only you may repeat it."""


class OutcomePendingError(VoicePartnerProviderError):
    """
    The outcome is unknown, and the gateway may still find out: a retry asks it again. It sends nothing twice, except
    what ``on_unknown`` says to send again.

    :param retry_after: seconds after which asking is worthwhile.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CampaignInterruptedError(VoicePartnerProviderError):
    """The task was stopped, or a later attempt took over. What was sent is recorded; a retry sends the rest."""


class DeliveryFailedError(VoicePartnerProviderError, AirflowFailException):
    """Fewer recipients got the message than ``min_delivery_rate`` requires."""


class DeliveryUnconfirmedError(VoicePartnerProviderError, AirflowFailException):
    """It is unknown whether the message arrived: no report came, or none can come."""


class WaitGivenUpError(VoicePartnerProviderError):
    """The triggerer could not learn the result of a campaign. A retry waits again, and sends nothing."""


class ConfigurationError(VoicePartnerProviderError, AirflowFailException):
    """An argument, a connection or a record is wrong; nothing was sent for it. The message names it and the fix."""


class InvalidRecipientError(ConfigurationError):
    """This message cannot reach a recipient. The error names the row, the reason and the fix."""


class BudgetExceededError(VoicePartnerProviderError, AirflowFailException):
    """
    The next batch would exceed ``max_cost``, or its price is unknown.

    What was sent is recorded; raise ``max_cost``, or give ``unit_price``, and clear the task to resume.
    """


def ends_retries(error: BaseException) -> bool:
    """Say whether Airflow fails the task at once for an error, however many ``retries`` it has left."""
    return isinstance(error, AirflowFailException)


def checked(build: Callable[..., Built], *args: Any, **kwargs: Any) -> Built:
    """
    Build a value; a bad argument is a configuration error, which Airflow does not retry.

    :param build: is called with the other arguments.
    :raises ConfigurationError: naming the argument and the fix.
    """
    problem: InvalidArgumentError
    try:
        return build(*args, **kwargs)
    except InvalidArgumentError as error:
        problem = error
    raise ConfigurationError(str(problem))


def all_refused(gateway: str, endpoint: str, receipt: Receipt) -> RejectedError:
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
                f"{error}. The gateway may have accepted it: check there before you send again"
            )
        case ErrorKind.RETRYABLE:
            return RetryableNotSentError(
                str(error), code=error.code, kind=error.kind, retry_after=retry_after
            )
        case _:
            text = f"{error}. {where}" if where else str(error)
            return RejectedError(text, code=error.code, kind=error.kind, recipients=error.recipients)
