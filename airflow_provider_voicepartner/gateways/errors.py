"""What a gateway's answer means when it is not a success, and what is wrong with an argument before it is sent."""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any


class ErrorKind(Enum):
    """
    What may be concluded from a failed request; decides whether anything may be sent again.

    :cvar RETRYABLE: provably not accepted, and a later try may succeed (rate limit, temporary refusal).
    :cvar REJECTED: provably refused; the same request would be refused again.
    :cvar CONFIGURATION: provably refused because of the account or the connection (key, IP allow-list, sender, closed
        account).
    :cvar CREDIT: provably refused because the account has too little credit.
    :cvar DUPLICATE: refused because the gateway accepted this very request before: proof that it was sent, if it was
        made before.
    :cvar NOT_FOUND: the message, campaign or file is not known (yet).
    :cvar TOO_LATE: can no longer be changed: already sent, or about to be.
    :cvar UNKNOWN: nobody can tell whether the gateway accepted the request.
    """

    RETRYABLE = "retryable"
    REJECTED = "rejected"
    CONFIGURATION = "configuration"
    CREDIT = "credit"
    DUPLICATE = "duplicate"
    NOT_FOUND = "not_found"
    TOO_LATE = "too_late"
    UNKNOWN = "unknown"


class _CopiedByFieldsError(Exception):
    """
    An error that copying and pickling rebuild from its fields.

    The default is to call ``__init__`` with the finished message alone, which fails where it takes anything else.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]  # not in typeshed


class InvalidArgumentError(_CopiedByFieldsError, ValueError):
    """
    An argument that no gateway would take; raised before anything is sent.

    :param argument: the argument's name, as the user writes it.
    :param problem: what is wrong with it, and the fix; holds no number and no text.
    """

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem


class InvalidCallbackError(ValueError):
    """A callback that has none of the documented shapes."""


@dataclass(frozen=True, slots=True)
class RecipientProblem:
    """One recipient that the gateway refused: its number in E.164 if known, the gateway's code, and why."""

    phone_number: str | None = field(repr=False)
    code: str | None
    reason: str


class GatewayError(_CopiedByFieldsError):
    """
    A gateway's answer that is not a success.

    :param gateway: its connection type.
    :param endpoint: which call, such as ``campaign/send``.
    :param kind: what may be concluded.
    :param summary: one sentence, scrubbed.
    :param code: the gateway's own code as text, where it gave one.
    :param status: the HTTP status.
    :param recipients: the recipients that were refused one by one, where the answer says so.
    """

    def __init__(
        self,
        gateway: str,
        endpoint: str,
        kind: ErrorKind,
        summary: str,
        *,
        code: str | None = None,
        status: int | None = None,
        recipients: tuple[RecipientProblem, ...] = (),
    ) -> None:
        marks = [f"code {code}"] if code is not None else []
        marks += [f"HTTP {status}"] if status is not None else []
        super().__init__(f"{gateway} {endpoint}: {summary}" + (f" ({', '.join(marks)})" if marks else ""))
        self.gateway = gateway
        self.endpoint = endpoint
        # One that is none of ours would pass for a refusal.
        self.kind = ErrorKind(kind)
        self.summary = summary
        self.code = code
        self.status = status
        self.recipients = recipients


@dataclass(frozen=True, slots=True)
class Codes:
    """
    What one endpoint's error codes mean; the same number means different things on different endpoints.

    :param kinds: code as text -> kind.
    :param meanings: code as text -> a short English meaning, used when the gateway gives no message.
    """

    kinds: Mapping[str, ErrorKind]
    meanings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Mapping[int | str, tuple[ErrorKind, str]]) -> Codes:
        """Build from ``{code: (kind, meaning)}``."""
        return cls(
            MappingProxyType({str(code): kind for code, (kind, _) in table.items()}),
            MappingProxyType({str(code): meaning for code, (_, meaning) in table.items()}),
        )

    def kind(self, code: str | None, default: ErrorKind) -> ErrorKind:
        """Return what a code means here, or ``default`` for one that is not documented."""
        return default if code is None else self.kinds.get(code, default)

    def meaning(self, code: str | None) -> str | None:
        """Return a short meaning of a code, or None."""
        return None if code is None else self.meanings.get(code)
