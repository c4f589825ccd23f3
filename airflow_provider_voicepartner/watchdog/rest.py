"""
Airflow's REST API over HTTP: logging in, and answers in bounded size; an error tells silence from a refusal.

Nothing here shows a password, a token or an answer's text.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
from requests.auth import AuthBase

from airflow_provider_voicepartner.constants import (
    LARGEST_WATCH_ANSWER,
    WATCH_CLOCKS_APART,
    WATCH_PIECE,
    WATCH_TIMEOUT,
)
from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
from airflow_provider_voicepartner.watchdog.config import AirflowAccess, Secrets

log = logging.getLogger(__name__)

_LOG_IN: Final = "/auth/token"


class ApiError(VoicePartnerProviderError):
    """Airflow's API could not be asked."""


class ApiSilentError(ApiError):
    """It does not answer, or says itself that it is broken: it may work later."""


class ApiRefusedError(ApiError):
    """
    It answers, and not what was asked for: a wrong address, user or version.

    :param status: of the answer.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Bearer(AuthBase):
    """A token; as ``auth``, so that no netrc file takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Anonymous(AuthBase):
    """Nobody; so that no netrc file is read."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class RestClient:
    """
    Asks one API server.

    :param access: where it is, and as whom to ask.
    :param secrets: the password or the token.
    :param timeout: seconds to connect, and again for each part of an answer.
    :param clock: Unix seconds.
    """

    def __init__(
        self,
        access: AirflowAccess,
        secrets: Secrets,
        *,
        timeout: float = WATCH_TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access, self._secrets, self._timeout = access, secrets, timeout
        self._clock = clock
        self.ahead = 0.0
        """By how many seconds this machine's clock is ahead of Airflow's, as far as its answers say."""
        self._is_apart = False
        self._session = requests.Session()
        self._token = secrets.token

    def close(self) -> None:
        """Close connections."""
        self._session.close()

    def get(self, path: str, parameters: Mapping[str, Any] | None = None, *, with_token: bool) -> Any:
        """
        Get an answer in JSON.

        :param path: after the server's address.
        :param with_token: log in for a token, as Airflow 3 wants it; else user and password go along.
        :raises ApiSilentError: there is no answer.
        :raises ApiRefusedError: the answer is a refusal, or no JSON.
        """
        return self._ask("GET", path, parameters, None, with_token)

    def post(self, path: str, body: Mapping[str, Any], *, with_token: bool) -> Any:
        """Post a question in JSON; else as :meth:`get`."""
        return self._ask("POST", path, None, body, with_token)

    def patch(self, path: str, body: Mapping[str, Any], *, with_token: bool) -> Any:
        """Change something, in JSON; else as :meth:`get`."""
        return self._ask("PATCH", path, None, body, with_token)

    def get_openly(self, path: str) -> Any:
        """Get what everybody may see; else as :meth:`get`."""
        return self._once("GET", path, None, None, _Anonymous())

    def _ask(self, method: str, path: str, parameters: Any, body: Any, with_token: bool) -> Any:
        if not with_token or self._secrets.token:
            return self._once(method, path, parameters, body, self._login())
        if self._token is None:
            self._token = self._log_in()
        try:
            return self._once(method, path, parameters, body, _Bearer(self._token))
        except ApiRefusedError as error:
            if error.status not in (401, 403):
                raise
        # It has expired, or the server was restarted with another secret, which is a 403 of Airflow.
        self._token = None
        self._token = self._log_in()
        return self._once(method, path, parameters, body, _Bearer(self._token))

    def _compare_clocks(self, date: str | None) -> None:
        """Learn how far apart the clocks are; an answer takes seconds, and its date has whole ones."""
        theirs = _time_of(date)
        if theirs is None:
            return
        ahead = self._clock() - theirs
        self.ahead = ahead if abs(ahead) > self._timeout else 0.0
        is_apart = abs(ahead) > WATCH_CLOCKS_APART
        if is_apart and not self._is_apart:
            log.warning(
                "The clock of this machine is %.0f s %s that of Airflow's API; set both by NTP",
                abs(ahead),
                "ahead of" if ahead > 0 else "behind",
            )
        self._is_apart = is_apart

    def _login(self) -> AuthBase:
        if self._secrets.token:
            return _Bearer(self._secrets.token)
        if self._access.user and self._secrets.password:
            return requests.auth.HTTPBasicAuth(
                self._access.user.encode("utf-8"), self._secrets.password.encode("utf-8")
            )
        return _Anonymous()

    def _log_in(self) -> str:
        if self._access.user is None:
            # An Airflow for one person gives a token to everybody ([core] simple_auth_manager_all_admins).
            answer = self._once("GET", _LOG_IN, None, None, _Anonymous())
        else:
            who = {"username": self._access.user, "password": self._secrets.password}
            answer = self._once("POST", _LOG_IN, None, who, _Anonymous())
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token.isascii() or token.split() != [token]:
            raise ApiRefusedError(f"{_LOG_IN} of Airflow's API gives no token", status=200)
        return token

    def _once(self, method: str, path: str, parameters: Any, body: Any, auth: AuthBase) -> Any:
        problem = ""
        status, data = 0, b""
        try:
            with self._session.request(
                method,
                f"{self._access.url}{path}",
                params=parameters,
                json=body,
                auth=auth,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                headers={"Accept": "application/json"},
            ) as answer:
                status = answer.status_code
                self._compare_clocks(answer.headers.get("Date"))
                data = _read(answer)
        except (requests.RequestException, OSError, ValueError) as error:
            # Its text shows the address, and may show what is in it.
            problem = type(error).__name__
        if problem:
            raise ApiSilentError(f"Airflow's API does not answer ({problem})")
        if status >= 500:
            raise ApiSilentError(f"Airflow's API answers {status}")
        if not 200 <= status < 300:
            raise ApiRefusedError(_refusal(path, status), status=status)
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            pass
        raise ApiRefusedError(f"{path} of Airflow's API gives no JSON; is the url right?", status=status)


def _time_of(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _read(answer: requests.Response) -> bytes:
    data = bytearray()
    for piece in answer.iter_content(WATCH_PIECE):
        data += piece
        if len(data) > LARGEST_WATCH_ANSWER:
            raise ValueError("too large")
    return bytes(data)


def _refusal(path: str, status: int) -> str:
    what = f"{path} of Airflow's API answers {status}"
    if status in (401, 403):
        return f"{what}; check user and password, and that the user may read DAGs"
    if 300 <= status < 400:
        return f"{what}, a redirect; give the address that it leads to as url"
    return f"{what}; check url and api"
