"""What a task is given when it runs, without Airflow around it: a context, a state store, and all that was logged."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For property tests: a busy machine is slow, which says nothing about the code."""

PLAIN = (str, int, float, bool, type(None))


def assert_plain(value: Any) -> None:
    """Fail for anything that JSON has no word for, also for subclasses that merely look like text."""
    if type(value) is dict:
        for name, inner in value.items():
            assert type(name) is str
            assert_plain(inner)
    elif type(value) is list:
        for inner in value:
            assert_plain(inner)
    else:
        assert type(value) in PLAIN, f"{value!r} is {type(value)}"


@dataclass
class FakeStore:
    """
    Airflow's task state store as a dict, as strict as the real one: plain JSON, never None.

    :param fenced: when True, every write is refused, as for an attempt that Airflow has given up.
    :param run_id: of the task whose state this is.
    """

    values: dict[str, Any] = field(default_factory=dict)
    fenced: bool = False
    retention: dict[str, timedelta | None] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: uuid4().hex, compare=False)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a copy of the value."""
        return json.loads(json.dumps(self.values[key])) if key in self.values else default

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        """Keep a copy of the value."""
        if self.fenced:
            raise PermissionError("this attempt may no longer write")
        assert value is not None
        assert_plain(value)
        self.values[key] = json.loads(json.dumps(value))
        self.retention[key] = retention


def context(
    store: FakeStore | None = None, try_number: int = 1, start_date: datetime | None = None, **more: Any
) -> Any:
    """
    Return the part of a task's context that operators read; without a store it is that of Airflow before 3.3.

    Attempts of one task share its state store, and with it the run; without one, each call is a task of its own unless
    ``run_id`` is given.
    """
    stored = {} if store is None else {"task_state_store": store}
    run_id = more.pop("run_id", uuid4().hex if store is None else store.run_id)
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="dag",
        run_id=run_id,
        task_id="task",
        map_index=-1,
        try_number=try_number,
        start_date=start_date or datetime.now(UTC),
        pushed=pushed,
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    return {"ti": ti, **stored, **more}


@dataclass
class TaskRun:
    """
    One task instance: its attempts share a run, and Airflow's task state where there is one.

    :param state: None for Airflow before 3.3.
    """

    state: FakeStore | None = None
    run_id: str = field(default_factory=lambda: uuid4().hex)
    pushed: dict[str, Any] = field(default_factory=dict)

    def attempt(self, try_number: int = 1, **more: Any) -> Any:
        """Return the context of an attempt; what it pushes is in ``pushed``, in place of what was pushed before."""
        given = context(self.state, try_number, run_id=self.run_id, **more)
        self.pushed = given["ti"].pushed
        return given


class Logs:
    """All that was logged or printed: Airflow 3 logs past the standard library, so both are looked at."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog, self._capfd = caplog, capfd
        self._read = ""

    @property
    def text(self) -> str:
        """Everything so far."""
        out, err = self._capfd.readouterr()
        self._read += out + err
        # The sandbox is a server of its own, and its log of requests is not the client's.
        mine = [record for record in self._caplog.records if "sandbox" not in record.name]
        tracebacks = [record.exc_text or "" for record in mine]
        return "\n".join([self._read, *(record.getMessage() for record in mine), *tracebacks])


def chain(error: BaseException | None) -> str:
    """Return all that a traceback of the error would show of it and its causes."""
    shown = []
    while error is not None:
        shown.append(f"{type(error).__name__}: {error} {error!r}")
        error = error.__cause__ or error.__context__
    return "\n".join(shown)
