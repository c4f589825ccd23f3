"""Pooled connections that are not used after a long silence, and that ask before a request leaves through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from airflow_provider_voicepartner.constants import KEPT_CONNECTIONS, LONGEST_IDLE
from airflow_provider_voicepartner.db.clock import machine_clock
from airflow_provider_voicepartner.hooks.last_look import departing


class _Connection:
    """
    Mixed into urllib3's connections. Their silence is counted from when the last request left, not from its answer: so
    a process that was frozen between the two is not deceived, and an answer that takes long costs a new connection.
    """

    clock: Callable[[], float]
    last_used: float = 0.0
    was_used: bool = False

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # of the class that this is mixed into
        self.last_used = self.clock()
        self.was_used = False

    @property
    def is_forgotten(self) -> bool:
        return self.clock() - self.last_used >= LONGEST_IDLE

    @property
    def is_usable(self) -> bool:
        # A new connection by TLS has something to read, which is not its end: the server's tickets.
        is_there = not self.was_used or self.is_connected  # type: ignore[attr-defined]
        return bool(is_there) and not self.is_forgotten

    def request(self, *args: Any, **kwargs: Any) -> None:
        departure = departing.get()
        if departure is not None:
            if self.is_closed:  # type: ignore[attr-defined]
                self.connect()
            departure.on_connected(self)
        self.last_used = self.clock()
        super().request(*args, **kwargs)  # type: ignore[misc]
        self.was_used = True


class _Pool:
    """Mixed into urllib3's pools."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        if not connection.is_closed and connection.is_forgotten:
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


def new_session(user_agent: str, *, clock: Callable[[], float] = machine_clock) -> requests.Session:
    """
    Return a pooled session that adds nothing of its own: no retries, no redirects, no ``.netrc`` credentials.

    urllib3's usual retry recipe would post a message up to five times on a read timeout.

    :param clock: what a connection's silence is measured with; injected by tests.
    """
    session = requests.Session()
    adapter = Adapter(clock=clock, pool_connections=2, pool_maxsize=KEPT_CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers["User-Agent"] = user_agent
    session.headers["Accept"] = "application/json"
    session.auth = _no_authentication  # a callable keeps requests from looking into .netrc
    return session


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
