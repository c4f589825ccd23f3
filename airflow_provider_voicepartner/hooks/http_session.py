"""
What lies beneath a request: pooled connections, the environment's proxies and certificates, and what urllib3 logs.

A connection is not reused after a long idle time, and checks the request before it leaves. Proxies and certificates are
tried before any connection is made. Keys stay out of the HTTP library's log lines.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from airflow_provider_voicepartner import __version__
from airflow_provider_voicepartner.constants import KEPT_CONNECTIONS, LONGEST_IDLE
from airflow_provider_voicepartner.db.clock import machine_clock
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.wire import scrub
from airflow_provider_voicepartner.hooks.cancellable_body import current_request

USER_AGENT = f"airflow-provider-voicepartner/{__version__}"
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""In the order in which requests reads them."""
_PLAIN = logging.Formatter()


class _Connection:
    """
    Mixed into urllib3's connections. Idle time counts from when the last request left, not from its answer. So a
    process that was frozen in between notices it, and a slow answer costs a new connection.
    """

    clock: Callable[[], float]
    last_used: float = 0.0
    was_used: bool = False

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # of the class that this is mixed into
        self.last_used = self.clock()
        self.was_used = False

    @property
    def is_idle_too_long(self) -> bool:
        return self.clock() - self.last_used >= LONGEST_IDLE

    @property
    def is_usable(self) -> bool:
        # A new connection by TLS has something to read, which is not its end: the server's tickets.
        is_there = not self.was_used or self.is_connected  # type: ignore[attr-defined]  # urllib3's
        return bool(is_there) and not self.is_idle_too_long

    def request(self, *args: Any, **kwargs: Any) -> None:
        outgoing = current_request.get()
        if outgoing is not None:
            if self.is_closed:  # type: ignore[attr-defined]  # urllib3's
                self.connect()
            outgoing.on_connected(self)
        self.last_used = self.clock()
        super().request(*args, **kwargs)  # type: ignore[misc]  # as in connect
        self.was_used = True


class _Pool:
    """Mixed into urllib3's pools."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]  # of the pool that this is mixed into
        if not connection.is_closed and connection.is_idle_too_long:
            connection.close()  # urllib3 opens it again, as it does with one that the server closed
        return connection


class Adapter(HTTPAdapter):
    """
    An adapter with such connections, through any proxy.

    :param clock: seconds that only go forward; injected by tests.
    """

    _clock: Callable[[], float] = staticmethod(machine_clock)

    def __init__(self, *, clock: Callable[[], float] = machine_clock, **settings: Any) -> None:
        self._clock = clock
        super().__init__(**settings)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        """Return the pools of connections through a proxy."""
        is_known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not is_known:
            self._watch(manager)
        return manager

    def _watch(self, manager: Any) -> None:
        """Have a pool manager make pools and connections of ours; proxies have classes of their own."""
        classes: Mapping[str, type] = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {
            scheme: _watched(pool, self._clock) for scheme, pool in classes.items()
        }


def _watched(pool: Any, clock: Callable[[], float]) -> type:
    connection = type(
        pool.ConnectionCls.__name__, (_Connection, pool.ConnectionCls), {"clock": staticmethod(clock)}
    )
    return type(pool.__name__, (_Pool, pool), {"ConnectionCls": connection})


def new_session(*, clock: Callable[[], float] = machine_clock) -> requests.Session:
    """
    Return a pooled session that adds nothing of its own: no retries, no redirects, no ``.netrc`` credentials.

    urllib3's usual retry recipe would post a message up to five times on a read timeout.

    :param clock: measures how long a connection was idle; injected by tests.
    """
    session = requests.Session()
    adapter = Adapter(clock=clock, pool_connections=2, pool_maxsize=KEPT_CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = USER_AGENT
    session.headers["Accept"] = "application/json"
    session.auth = _no_authentication  # a callable keeps requests from looking into .netrc
    return session


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def read_environment(session: requests.Session, base_url: str) -> dict[str, Any]:
    """
    Return what the environment adds to a request, as arguments of an adapter's ``send``.

    :param session: of requests; its own settings count first.
    :param base_url: what is to be reached.
    :raises ConfigurationError: no request could leave with that; the variable is named, and not what is in it, since a
        proxy's address may hold a password.
    """
    settings: dict[str, Any] = dict(session.merge_environment_settings(base_url, {}, True, None, None))
    proxy = select_proxy(base_url, settings["proxies"])
    where = _proxy_variable(proxy, base_url) if proxy else "the connection's host"
    adapter: Any = session.get_adapter(base_url)
    request = session.prepare_request(requests.Request("GET", base_url))
    problem = None
    try:
        pool = adapter.get_connection_with_tls_context(
            request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
        )
    except Exception as error:
        problem = f"{where} cannot be used ({type(error).__name__})" + _advice(proxy)
    else:
        bundle = settings["verify"]
        if base_url.startswith("https://") and isinstance(bundle, str):
            problem = _problem_with_bundle(bundle)
        if problem is None:
            try:
                adapter.cert_verify(pool, base_url, bundle, settings["cert"])
            except Exception as error:
                problem = f"the certificates that the session names cannot be used ({type(error).__name__})"
    # Outside the except block: an error of requests quotes the address.
    if problem is not None:
        raise ConfigurationError(f"{problem}. No request was made")
    return settings


def _proxy_variable(proxy: str, base_url: str) -> str:
    """Name the environment variable of a proxy."""
    scheme = base_url.partition(":")[0]
    for name in (f"{scheme}_proxy", "all_proxy"):
        for spelling in (name, name.upper()):  # as Python reads them: the one in small letters counts
            if os.environ.get(spelling) == proxy:
                return f"the proxy in the environment variable {spelling}"
    return "the session's proxy"


def _advice(proxy: str | None) -> str:
    if proxy and proxy.strip().lower().startswith("socks"):
        return ": a SOCKS proxy needs PySocks, pip install 'requests[socks]'"
    return ": write for instance http://proxy.example.org:3128" if proxy else ""


def _problem_with_bundle(bundle: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Load certificates as the connection would, whose own error would not say what is wrong."""
    name = next((name for name in _CA_VARIABLES if environment.get(name) == bundle), None)
    where = f"the environment variable {name}" if name else "the session's verify"
    path = Path(bundle)
    if not path.exists():
        return f"{where} names certificates that are not there: {bundle}"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if path.is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:  # ssl's errors are such
        return f"{where} names certificates that cannot be read ({type(error).__name__}): {bundle}"
    return None


class ScrubbingFilter(logging.Filter):
    """Take registered secrets out of a logger's records: urllib3 logs paths, and Voice Partner's key is in the path."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()
        self._lock = threading.Lock()

    def add(self, secrets: Iterable[str]) -> None:
        """Register secrets for the life of the process."""
        added = {spelling for secret in secrets if secret for spelling in (secret, *_as_repr(secret))}
        with self._lock:
            self._secrets = self._secrets | added

    def filter(self, record: logging.LogRecord) -> bool:
        """Scrub a record; never drops one."""
        if self._secrets:
            record.msg, record.args = scrub(record.getMessage(), self._secrets), ()
            if record.exc_info:
                # urllib3 logs answers with broken headers together with an exception that quotes them.
                record.exc_text = scrub(_PLAIN.formatException(record.exc_info), self._secrets)
                record.exc_info = None
        return True


def _as_repr(secret: str) -> tuple[str, str]:
    """Return the two ways in which Python's ``repr`` writes a text: urllib3 logs broken headers by it."""
    escaped = secret.replace("\\", "\\\\")
    return escaped, escaped.replace("'", "\\'")


_filter = ScrubbingFilter()


def hide_from_http_logs(secrets: Iterable[str]) -> None:
    """Keep secrets out of what the HTTP library logs, at any level."""
    _filter.add(secrets)
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.connection"):
        # Logger filters do not reach child loggers, so each one that logs URLs gets it; adding twice is harmless.
        logging.getLogger(name).addFilter(_filter)
