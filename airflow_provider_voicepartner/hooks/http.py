"""One request over HTTP, repeated only when a second arrival does no harm or the first provably did not arrive."""

from __future__ import annotations

import json
import ssl
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from random import Random
from typing import Any
from urllib.parse import urlencode

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from airflow_provider_voicepartner.constants import (
    LARGEST_ANSWER,
    LONGEST_REPEAT_WAIT,
    LONGEST_RETRY_AFTER,
    MOST_LATE_SLOTS,
    READ_TIMEOUTS_AN_ANSWER,
    REQUEST_ATTEMPTS,
)
from airflow_provider_voicepartner.exceptions import (
    CampaignInterruptedError,
    ConfigurationError,
    NotSentError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.info import BodyFormat
from airflow_provider_voicepartner.gateways.wire import ApiRequest, ApiResponse
from airflow_provider_voicepartner.hooks.cancellable_body import (
    CancellableBody,
    Gate,
    OutgoingRequest,
    TooLateError,
    current_request,
)
from airflow_provider_voicepartner.hooks.http_session import read_environment
from airflow_provider_voicepartner.sending.transport import Slot

_CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}

# Should a later urllib3 name them otherwise, such an error is in doubt: the safe side.
_CONNECTING = frozenset({"_validate_conn", "_prepare_proxy"})
_TRANSIENT_READ_STATUS = frozenset({408, 425, 500, 502, 503, 504})


def provably_not_sent(error: BaseException) -> bool:
    """
    Say whether an error proves that no byte of the request left: no connection, or no trusted one.

    A connection that breaks later proves nothing, not even when the server closed it before it read a byte.
    """
    return any(
        isinstance(cause, (NewConnectionError, ConnectTimeoutError, ssl.SSLCertVerificationError))
        or _came_before_the_request(cause)
        for cause in _causes(error)
    )


def _came_before_the_request(error: BaseException) -> bool:
    """Say whether an error comes out of the part of urllib3 that shakes hands or opens a proxy's tunnel."""
    return any(
        frame.f_code.co_name in _CONNECTING and frame.f_globals.get("__name__") == "urllib3.connectionpool"
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        cause = queue.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            # requests and urllib3 keep the inner error in args and in .reason, not always in __cause__.
            queue += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def asked_wait(headers: object, now: datetime) -> float | None:
    """
    Read how long a gateway asks us to wait: ``Retry-After`` (seconds or a date), else ``X-RateLimit-Reset``.

    :param headers: the answer's headers, names in lower case.
    :param now: the present, aware.
    :returns: seconds, from 0 to a day; None where nothing readable was said.
    """
    if not hasattr(headers, "get"):
        return None
    text = (headers.get("retry-after") or "").strip()
    if text:
        try:
            return _bounded(int(text))
        except ValueError:
            pass
        try:
            date = parsedate_to_datetime(text)
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            return _bounded((date - now).total_seconds())
        except (ValueError, OverflowError):  # the second for a year of thirty digits
            pass
    reset = (headers.get("x-ratelimit-reset") or "").strip()
    if reset.isascii() and reset.isdigit() and len(reset) <= 12:
        # One client reads it as Unix seconds; a small value can only be a span.
        value = float(reset)
        return _bounded(value - now.timestamp() if value > 1_000_000_000 else value)
    return None


def _bounded(seconds: float) -> float:
    """Limit a wait to one day, whatever a header says."""
    return float(max(0, min(seconds, LONGEST_RETRY_AFTER)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """
    How often a request that may be repeated is repeated, and after what wait.

    :param attempts: arrivals at most, from 1.
    :param longest_wait: seconds; a longer wait is left to Airflow's retry.
    :param rate_limit_wait: seconds after a 429 that does not say how long; None backs off from 1 s.
    """

    attempts: int = REQUEST_ATTEMPTS
    longest_wait: float = LONGEST_REPEAT_WAIT
    rate_limit_wait: float | None = None

    def is_over(self, attempt: int, asked: float | None) -> bool:
        """
        Say whether no attempt follows.

        :param attempt: the number of the one that failed, from 1.
        :param asked: seconds that the gateway asked for, or ``rate_limit_wait``.
        """
        return attempt >= self.attempts or (asked is not None and asked > self.longest_wait)

    def wait_after(self, attempt: int, asked: float | None, jitter: float) -> float:
        """
        Return the seconds before the next attempt.

        :param jitter: around 1; keeps workers from repeating together where the gateway asked for nothing.
        """
        return min(jitter * 2.0 ** (attempt - 1), self.longest_wait) if asked is None else asked


class _RepeatError(Exception):
    """An attempt that may be repeated; ``wait`` seconds where the gateway asked for them."""

    def __init__(self, failure: VoicePartnerProviderError, wait: float | None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.wait = wait


@dataclass(kw_only=True)
class HttpSender:
    """
    Sends requests that carry their key, and repeats what may be repeated.

    :param gateway: the name that errors use.
    :param base_url: version path included, no trailing slash.
    :param connect_timeout: seconds.
    :param read_timeout: seconds.
    :param secrets: what to scrub from everything shown.
    :param retry: when what may be repeated is.
    :param session: pooled.
    :param sleep: waits; injected by tests.
    :param now: the present, aware; injected by tests.
    :param random: jitter; injected by tests.
    :param on_response: is shown every answer with its request, for what it says of rate limits; must not raise.
    :param gate: the rate limit, which lets requests pass one by one; None means no limit.
    :param may_leave: called before each request and before its body; raises ``CampaignInterruptedError`` to stop it.
    :param body: how bodies are written; values of a form are text, or lists of text.
    :param names_a_send: says whether an answer names a message, so that a refusal with such an answer is none.
    """

    gateway: str
    base_url: str = field(repr=False)  # users paste the key into the host by mistake
    connect_timeout: float
    read_timeout: float
    secrets: tuple[str, ...] = field(default=(), repr=False)
    retry: RetryPolicy = RetryPolicy()
    session: requests.Session
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    random: Random | None = None
    on_response: Callable[[ApiRequest, ApiResponse], None] | None = None
    gate: Gate | None = None
    may_leave: Callable[[], None] | None = None
    names_a_send: Callable[[ApiResponse], bool] | None = None
    body: BodyFormat = "json"

    @cached_property
    def _environment(self) -> dict[str, Any]:
        """Proxies, certificates and the like, read once: the environment of a task does not change."""
        return read_environment(self.session, self.base_url)

    def send(self, request: ApiRequest, *, slot: Slot | None = None) -> ApiResponse:
        """
        Send one request and return the answer, whatever its status, but for what the errors below say.

        :param request: with its key.
        :param slot: acquired by the caller at the rate limit; it is confirmed right before the request leaves, and
            released if it does not leave. None acquires one, as each repeat does.
        :raises RetryableNotSentError: no connection; still 429 after the repeats; a read that keeps failing; or a slot
            that is too far away.
        :raises CampaignInterruptedError: ``may_leave`` held it back; nothing was sent, or its first try was refused.
        :raises SendOutcomeUnknownError: it left, it is not safe to repeat, and no answer came.
        :raises ConfigurationError: it cannot be put on the wire, or the environment's proxy or certificates cannot be
            used; nothing was sent.
        """
        attempt = 1
        while True:
            try:
                return self._attempt(request, slot)
            except _RepeatError as error:
                failed = error
            # Outside the except block: a chained requests exception would carry the URL, and the key with it.
            if self.retry.is_over(attempt, failed.wait):
                raise failed.failure
            jitter = (self.random or Random()).uniform(0.75, 1.25)
            self.sleep(self.retry.wait_after(attempt, failed.wait, jitter))
            attempt, slot = attempt + 1, None

    def _attempt(self, request: ApiRequest, slot: Slot | None) -> ApiResponse:
        outgoing = OutgoingRequest(
            request.endpoint,
            has_body=request.body is not None,
            gate=self.gate,
            slot=slot,
            may_leave=self.may_leave,
            sleep=lambda seconds: self.sleep(seconds),
        )
        try:
            response = self._exchange_in_time(request, outgoing)
        except BaseException:
            outgoing.give_up()
            raise
        if self.on_response is not None:
            self.on_response(request, response)
        if response.status == 429:
            if not request.safe_to_repeat and (found := self._named_in(response)):
                raise SendOutcomeUnknownError(
                    f"{self.gateway} {request.endpoint}: refused by the gateway's rate limit (HTTP 429), but "
                    f"{found}. The gateway may have accepted it: check there before you send again"
                )
            wait = asked_wait(response.headers, self.now())
            if wait is None:
                wait = self.retry.rate_limit_wait
            raise _RepeatError(
                RetryableNotSentError(
                    f"{self.gateway} {request.endpoint}: refused by the gateway's rate limit (HTTP 429)",
                    code="429",
                    kind=ErrorKind.RETRYABLE,
                    retry_after=wait,
                ),
                wait,
            )
        if request.safe_to_repeat and response.status in _TRANSIENT_READ_STATUS and not _has_json(response):
            raise _RepeatError(
                RetryableNotSentError(
                    f"{self.gateway} {request.endpoint}: the gateway failed (HTTP {response.status}): "
                    f"{response.excerpt()!r}",
                    kind=ErrorKind.RETRYABLE,
                ),
                None,
            )
        return response

    def _named_in(self, response: ApiResponse) -> str | None:
        """Say what in a refusal suggests an accepted message; an answer that cannot be read may name one."""
        if self.names_a_send is None:
            return None
        try:
            return "the answer names a message" if self.names_a_send(response) else None
        except Exception as error:  # of a gateway outside this package; its text may show the answer
            return f"its answer could not be read ({type(error).__name__})"

    def _exchange_in_time(self, request: ApiRequest, outgoing: OutgoingRequest) -> ApiResponse:
        """Exchange a request when its slot is due, and start over each time the slot expires first."""
        _ = self._environment  # an unusable proxy must not cost a slot
        for _ in range(MOST_LATE_SLOTS):
            outgoing.prepare()
            response, failure = self._exchange(request, outgoing)
            if response is not None:
                return response
            if failure is not None:
                # Outside the except block of requests, whose exceptions carry the URL, and the key with it.
                raise failure
        raise RetryableNotSentError(
            f"{self.gateway} {request.endpoint}: each of {MOST_LATE_SLOTS} slots at the rate limit had passed "
            "before the request could leave: this machine is too busy, or freezes often; nothing was sent"
        )

    def _exchange(
        self, request: ApiRequest, outgoing: OutgoingRequest
    ) -> tuple[ApiResponse | None, Exception | None]:
        """Return an answer, or a failure, or neither: the slot expired, and the request did not leave."""
        prepared = self._prepare(request, outgoing)
        if prepared is None:
            return None, ConfigurationError(
                f"{self.gateway} {request.endpoint}: the request cannot be put on the wire; nothing was sent. "
                "Check the connection's host, login and password"
            )
        private = (*self.secrets, *request.private)
        token = current_request.set(outgoing)
        try:
            # The session's own send would look for redirects and cookies too, at half of the cost of a request, and
            # would fail on a malformed redirect although the request may have been accepted.
            adapter = self.session.get_adapter(self.base_url)
            timeout = self.connect_timeout, self.read_timeout
            with adapter.send(prepared, timeout=timeout, **self._environment) as answer:
                body = _read_body(answer, timedelta(seconds=self.read_timeout * READ_TIMEOUTS_AN_ANSWER))
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return ApiResponse(
                    status=answer.status_code, body=body, headers=headers, private=private
                ), None
        except TooLateError:
            return None, None
        except (CampaignInterruptedError, NotSentError) as held_back:
            return None, held_back
        except Exception as error:
            # Every kind: one that got away from here would be an ordinary failure, and Airflow would send again.
            return None, self._failure(request, outgoing, error)
        finally:
            current_request.reset(token)

    def _prepare(self, request: ApiRequest, outgoing: OutgoingRequest) -> requests.PreparedRequest | None:
        """Put a request together, or return None for one that HTTP has no way to write."""
        try:
            prepared = self.session.prepare_request(
                requests.Request(
                    request.method,
                    f"{self.base_url}/{request.path}",
                    params=dict(request.params),
                    headers=self._headers(request),
                )
            )
            if request.body is not None:
                prepared.prepare_body(body := self._written(request.body), None)
                prepared.body = CancellableBody(body, outgoing)  # type: ignore[assignment]  # requests takes files
            return prepared
        except (requests.RequestException, HTTPError, ValueError, TypeError):
            return None

    def _written(self, body: Mapping[str, Any]) -> bytes:
        return (urlencode(body, doseq=True) if self.body == "form" else json.dumps(body)).encode()

    def _headers(self, request: ApiRequest) -> dict[str, str]:
        headers = dict(request.headers)
        if request.body is not None:
            headers.setdefault("Content-Type", _CONTENT_TYPES[self.body])
        return headers

    def _failure(self, request: ApiRequest, outgoing: OutgoingRequest, error: Exception) -> Exception:
        """Judge a request without an answer. The message names kinds of errors only: their texts hold URLs."""
        what = f"{self.gateway} {request.endpoint}"
        if provably_not_sent(error):
            return _RepeatError(
                RetryableNotSentError(
                    f"{what}: no connection to the gateway ({_kind_of(error)}); nothing was sent"
                ),
                None,
            )
        if request.body is not None and not outgoing.has_left:
            # The body was not read, so it has not left, wherever the connection broke.
            return _RepeatError(
                RetryableNotSentError(
                    f"{what}: the connection broke before the request left ({_kind_of(error)}); nothing was sent"
                ),
                None,
            )
        if request.safe_to_repeat:
            return _RepeatError(
                RetryableNotSentError(
                    f"{what}: no answer from the gateway ({_kind_of(error)}); a read, nothing was sent"
                ),
                None,
            )
        return SendOutcomeUnknownError(
            f"{what}: the request was sent and no answer came ({_kind_of(error)}). The gateway may have accepted it: "
            "check there before you send again"
        )


def _read_body(answer: requests.Response, longest: timedelta) -> bytes:
    """Read an answer with a bound on size and time: a read timeout alone bounds only the gap between two bytes."""
    deadline = time.monotonic() + longest.total_seconds()
    body = bytearray()
    # read1 gives what is there; read and iter_content would wait until a chunk is full, however slowly it drips.
    while part := answer.raw.read1(65_536, decode_content=True):
        body += part
        if len(body) > LARGEST_ANSWER or time.monotonic() > deadline:
            raise requests.exceptions.ChunkedEncodingError("the answer does not end")
    return bytes(body)


def _has_json(response: ApiResponse) -> bool:
    """Tell an answer that explains itself from an error page: the first goes to the gateway's own reading."""
    try:
        return isinstance(json.loads(response.body), dict)
    except ValueError:
        return False


def _kind_of(error: BaseException) -> str:
    """Name the innermost kinds of an error, without their texts."""
    names = list(dict.fromkeys(type(cause).__name__ for cause in _causes(error)))
    return names[0] if len(names) == 1 else f"{names[0]}, {names[-1]}"
