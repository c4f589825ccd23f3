"""The workers that make the callbacks, away from the requests."""

from __future__ import annotations

import http.client
import ipaddress
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_voicepartner.sandbox.callbacks import Callback, render
from airflow_provider_voicepartner.sandbox.world import World

_SLOW_SECONDS = 1.0
_LONGEST_NAP = 60.0


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Deliverer:
    """Makes callbacks when they come due.

    :param world: what to deliver from.
    :param workers: how many deliver at once (default 1, which keeps callbacks in their order).
    """

    def __init__(self, world: World, *, workers: int = 1) -> None:
        self._world = world
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"sandbox-callbacks-{index}", daemon=True)
            for index in range(workers)
        ]

    def start(self) -> None:
        """Start the workers."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the workers after the callbacks they are making."""
        with self._world.lock:
            self._stopping = True
            self._world.changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)

    def _work(self) -> None:
        connections: dict[tuple[str, str], http.client.HTTPConnection] = {}
        world = self._world
        while True:
            with world.lock:
                if self._stopping:
                    break
                world.settle()
                if not world.outbox:
                    world.settled.notify_all()
                    self._nap()
                    continue
                calls = render(world, world.outbox.popleft())
                knobs = world.settings.callbacks
                owner = world.deliveries
                world.in_flight += len(calls)
            for call in calls:
                outcome = (
                    _deliver(connections, call, knobs.timeout, knobs.allow_remote)
                    if knobs.enabled
                    else {"error": "callbacks are switched off"}
                )
                with world.lock:
                    if world.deliveries is owner:  # else: reset while it was on its way
                        world.in_flight -= 1
                        world.delivered += 1
                        owner.append(_noted(call, outcome, world.clock.calendar()))
        for connection in connections.values():
            connection.close()

    def _nap(self) -> None:
        """Wait for the next event to come due, or for something to change."""
        world = self._world
        if not world.events:
            world.changed.wait()
            return
        wait = world.clock.wall_seconds_until(world.events[0][0])
        world.changed.wait(None if wait is None else min(wait, _LONGEST_NAP))


def _deliver(
    connections: dict[tuple[str, str], http.client.HTTPConnection],
    call: Callback,
    timeout: float,
    allow_remote: bool,
) -> dict[str, Any]:
    """Make one callback; return what the receiver did. Redirects are not followed."""
    try:
        url = urlsplit(call.url)
        host, port = url.hostname or "", url.port
    except ValueError:
        return {"error": "not a URL"}
    if not (allow_remote or is_loopback(host)):
        return {"error": f"not delivered: {host} is not this machine (settings: callbacks.allow_remote)"}
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    started = time.monotonic()
    for again in (True, False):
        key = (url.scheme, url.netloc)
        reused = key in connections
        maker = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = connections.pop(key, None) or maker(host, port, timeout=timeout)
        try:
            connection.request(call.method, target, body=call.body or None, headers=call.headers)
            response = connection.getresponse()
            body = response.read(65_536)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            if reused and again and not isinstance(error, TimeoutError):
                continue  # the receiver closed a connection it had kept open: that is no failure yet
            return {"error": type(error).__name__, "seconds": time.monotonic() - started}
        if response.isclosed():
            connections[key] = connection
        else:
            connection.close()
        return {"status": response.status, "answer": body, "seconds": time.monotonic() - started}
    return {"error": "not delivered"}


def _noted(call: Callback, outcome: dict[str, Any], at: float) -> dict[str, Any]:
    """Return the record of a callback, with what a real gateway would dislike about the receiver."""
    answer: bytes = outcome.get("answer", b"")
    seconds = outcome.get("seconds")
    flags = []
    if call.gateway == "octopush":
        if seconds is not None and seconds > _SLOW_SECONDS:
            flags.append("slower_than_1_second")
        if answer:
            flags.append("answer_not_empty")
    status = outcome.get("status")
    if status is not None and not 200 <= status < 300:
        flags.append("not_2xx")
    return {
        "at": at, "gateway": call.gateway, "what": call.what, "campaign": call.campaign, "number": call.number,
        "method": call.method, "url": call.url, "sent": call.body.decode(), "status": status,
        "answer": answer.decode("utf-8", "replace")[:200], "seconds": seconds, "error": outcome.get("error"),
        "flags": flags,
    }  # fmt: skip
