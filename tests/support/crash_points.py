"""The instants at which a task is killed: named points in the task process, each of which may have an order."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

RECIPIENTS = tuple(f"+336123456{tail:02d}" for tail in range(1, 7))
BATCH_SIZE = 2
BATCHES = len(RECIPIENTS) // BATCH_SIZE
_READABLE_WITHIN = 30.0
_LEDGER = "airflow_provider_voicepartner.sending.store_memory"


class Points:
    """
    Writes down every point that the task passes, and obeys the order that waits there.

    :param trace: file that outlives the task; one point a line.
    :param orders: point, or ``#n`` for the n-th of all, to ``kill`` (the task process), ``kill worker`` (with its
        supervisor, as when the machine goes off), ``freeze`` (both stop until somebody continues them) or ``terminate``
        (SIGTERM, as Airflow stops a task).
    :param hide_task_state: the task sees no task state, as before Airflow 3.3.
    """

    def __init__(self, trace: str, orders: Mapping[str, str], *, hide_task_state: bool = False) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._orders = dict(orders)
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._hide_task_state = hide_task_state
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
        self._around_the_task_state()
        self._around_our_store()
        self._around_requests()
        self._inside_requests()

    def _around_the_operator(self) -> None:
        from airflow_provider_voicepartner.operators.base import SendingOperator

        execute = SendingOperator.execute

        def watched(operator: Any, context: Any) -> Any:
            if self._hide_task_state:
                context.pop("task_state_store", None)
            self("begin")
            report = execute(operator, context)
            self("done")
            return report

        SendingOperator.execute = watched

    def _around_the_task_state(self) -> None:
        try:
            from airflow.sdk.execution_time.context import TaskStateStoreAccessor as Accessor
        except ImportError:  # before Airflow 3.3
            return
        read, write = Accessor.get, Accessor.set

        def get(store: Any, key: str, default: Any = None) -> Any:
            self(f"read {_kind_of(key)}")
            return read(store, key, default)

        def set_(store: Any, key: str, value: Any, **more: Any) -> None:
            self(f"write {_kind_of(key)}: before")
            write(store, key, value, **more)
            self(f"write {_kind_of(key)}: after")

        Accessor.get, Accessor.set = get, set_

    def _around_our_store(self) -> None:
        from airflow_provider_voicepartner.db.transactions import Store

        write = Store.write

        @contextlib.contextmanager
        def watched(store: Any, *more: Any) -> Iterator[Any]:
            point = self if _writes_the_ledger() else _no_point
            point("write store: before")
            with write(store, *more) as connection:
                yield connection
                point("write store: uncommitted")
            point("write store: after")

        Store.write = watched

    def _around_requests(self) -> None:
        from airflow_provider_voicepartner.hooks.http import HttpSender

        exchange = HttpSender._exchange

        def watched(sender: Any, request: Any, *more: Any, **named: Any) -> Any:
            self.request.name = _name_of(request)
            self.request.sent = False
            self(f"{self.request.name}: before")
            answer = exchange(sender, request, *more, **named)
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


def pretend_airflow_3_4() -> None:
    """Let the provider take this Airflow for 3.4, where clearing a task discards its state."""
    from airflow_provider_voicepartner.operators import ledger

    assert ledger.state_survives_clearing()
    ledger.state_survives_clearing = lambda: False


def _no_point(name: str) -> None:
    """Pass what is no point."""


def _writes_the_ledger() -> bool:
    """Say whether what is being written to our store is of the ledger: not its tables, and no slot of a rate limit."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") != _LEDGER:
        frame = frame.f_back
    return frame is not None


def _kind_of(key: str) -> str:
    """Name a key of the task state: ``attempt`` or ``log``."""
    return key.split("/")[1]


def _name_of(request: Any) -> str:
    """Name a request by the batch it sends; anything else is a question, and messages nobody."""
    if request.safe_to_repeat:
        return "ask"
    if request.body.get("sandbox") or request.body.get("simulation_mode"):
        return "simulate"
    body = json.dumps(request.body)
    first = next(at for at, number in enumerate(RECIPIENTS) if number[3:] in body)
    return f"send {first // BATCH_SIZE + 1}"
