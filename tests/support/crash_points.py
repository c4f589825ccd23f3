"""The instants at which a task is killed: named points in the task process, each of which may have an order."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

RECIPIENTS = tuple(f"+336123456{tail:02d}" for tail in range(1, 7))
BATCH_SIZE = 2
BATCHES = len(RECIPIENTS) // BATCH_SIZE
_READABLE_WITHIN = 30.0


class Points:
    """
    Writes down every point that the task passes, and obeys the order that waits there.

    :param trace: file that outlives the task; one point a line.
    :param orders: point, or ``#n`` for the n-th of all, to ``kill`` (the task process), ``kill worker`` (with its
        supervisor, as when the machine goes off), ``freeze`` (both stop until somebody continues them) or ``terminate``
        (SIGTERM, as Airflow stops a task).
    """

    def __init__(self, trace: str, orders: Mapping[str, str]) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._orders = dict(orders)
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.request = threading.local()

    def __call__(self, name: str) -> None:
        """Pass a point; the second of the same name is ``name (2)``."""
        with self._lock:
            self._seen[name] += 1
            label = name if self._seen[name] == 1 else f"{name} ({self._seen[name]})"
            order = self._orders.get(label) or self._orders.get(f"#{self._seen.total()}")
            os.write(self._trace, f"{label}\t{order or ''}\n".encode())
        if order == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif order == "kill worker":
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        elif order == "freeze":
            os.kill(os.getppid(), signal.SIGSTOP)
            # To this very thread: sent to the process, another one would take it while this one goes on.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        elif order == "terminate":
            os.kill(os.getpid(), signal.SIGTERM)

    def set(self) -> None:
        """Put the points into this process, for good."""
        self._around_the_operator()
        self._around_the_ledger()
        self._around_requests()
        self._inside_requests()

    def _around_the_operator(self) -> None:
        from airflow_provider_voicepartner.operators.base import SendingOperator

        execute = SendingOperator.execute

        def watched(operator: Any, context: Any) -> Any:
            self("begin")
            report = execute(operator, context)
            self("done")
            return report

        SendingOperator.execute = watched

    def _around_the_ledger(self) -> None:
        from airflow.sdk.execution_time.context import TaskStateStoreAccessor as Accessor

        read, write = Accessor.get, Accessor.set

        def get(store: Any, key: str, default: Any = None) -> Any:
            self(f"read {_kind_of(key)}")
            return read(store, key, default)

        def set_(store: Any, key: str, value: Any, **more: Any) -> None:
            self(f"write {_kind_of(key)}: before")
            write(store, key, value, **more)
            self(f"write {_kind_of(key)}: after")

        Accessor.get, Accessor.set = get, set_

    def _around_requests(self) -> None:
        from airflow_provider_voicepartner.hooks.http import HttpSender

        exchange = HttpSender._exchange

        def watched(sender: Any, request: Any) -> Any:
            self.request.name = _name_of(request)
            self.request.sent = False
            self(f"{self.request.name}: before")
            answer = exchange(sender, request)
            self(f"{self.request.name}: after")
            return answer

        HttpSender._exchange = watched

    def _inside_requests(self) -> None:
        from urllib3.connection import HTTPConnection

        from airflow_provider_voicepartner.hooks import http

        send, getresponse, read_body = HTTPConnection.send, HTTPConnection.getresponse, http._read_body

        def send_part(connection: Any, data: Any) -> None:
            send(connection, data)
            if not self.request.sent:
                self.request.sent = True
                self(f"{self.request.name}: its head left")

        def wait_for_answer(connection: Any) -> Any:
            self(f"{self.request.name}: left")
            select.select([connection.sock], [], [], _READABLE_WITHIN)
            self(f"{self.request.name}: answered")
            return getresponse(connection)

        def read(*arguments: Any) -> bytes:
            self(f"{self.request.name}: in the answer")
            return read_body(*arguments)

        HTTPConnection.send, HTTPConnection.getresponse, http._read_body = send_part, wait_for_answer, read


def _kind_of(key: str) -> str:
    return "plan" if key.endswith("/plan") else "batches"


def _name_of(request: Any) -> str:
    """Name a request by the batch it sends; anything else is a question, and messages nobody."""
    if request.safe_to_repeat:
        return "ask"
    if request.body.get("sandbox") or request.body.get("simulation_mode"):
        return "simulate"
    body = json.dumps(request.body)
    first = next(at for at, number in enumerate(RECIPIENTS) if number[3:] in body)
    return f"send {first // BATCH_SIZE + 1}"
