"""
Of which DAGs somebody would hear if they failed: by callbacks, deadlines, mails, or a watchdog that covers them.

A callback of a task alone is weak: nothing calls it when the task's process is killed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any


class Heard(Enum):
    """How somebody would hear of a DAG's failure."""

    SURELY = "surely"
    WEAKLY = "only while the process of the task lives"
    NOT = "nobody"


@dataclass(frozen=True, slots=True)
class Hearing:
    """
    What is known of a DAG.

    :param by: in words, what somebody would hear of it by.
    :param unheard: its tasks without a callback or mail, where nothing else tells.
    """

    dag_id: str
    heard: Heard
    by: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedDags:
    """
    The DAGs of this installation.

    :param dags: by their ids, as their files define them.
    :param broken: files that cannot be imported.
    """

    dags: Mapping[str, Any]
    broken: tuple[str, ...]


def parse_dags() -> ParsedDags:
    """Parse all DAG files, as the DAG processor does; of each bundle on Airflow 3."""
    dags: dict[str, Any] = {}
    broken: list[str] = []
    for bag in _bags():
        dags |= bag.dags
        broken += [str(path) for path in bag.import_errors]
    return ParsedDags(dags, tuple(sorted(broken)))


def _bags() -> Iterator[Any]:
    new: Any = None
    try:
        from airflow.dag_processing import dagbag as new
    except ImportError:
        from airflow.models import dagbag as old
    make: Callable[..., Any] = getattr(new, "BundleDagBag", None) or (new or old).DagBag
    takes = inspect.signature(getattr(new, "DagBag", None) or old.DagBag).parameters
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager
    except ImportError:
        yield make(include_examples=False)
        return
    manager: Any = DagBundlesManager  # has no types
    for bundle in manager().get_all_dag_bundles():
        bundle.initialize()
        given = {
            "dag_folder": bundle.path,
            "bundle_path": Path(bundle.path),
            "bundle_name": bundle.name,
            "include_examples": False,
        }
        yield make(**{name: value for name, value in given.items() if name in takes})


def hearing_of(dag: Any, *, is_watched: bool) -> Hearing:
    """
    Say who would hear of a DAG's failure.

    :param dag: as its file defines it.
    :param is_watched: whether a watchdog covers it.
    """
    by = []
    if is_watched:
        by.append("a watchdog")
    if _is_there(dag, "on_failure_callback"):
        by.append("its callback")
    if _is_there(dag, "deadline"):
        by.append("its deadline")
    if by:
        return Hearing(dag.dag_id, Heard.SURELY, tuple(by))
    unheard = tuple(task.task_id for task in dag.tasks if not _tells(task))
    if unheard or not dag.tasks:
        return Hearing(dag.dag_id, Heard.NOT, unheard=unheard)
    return Hearing(dag.dag_id, Heard.WEAKLY, ("callbacks or mails of its tasks",))


def _tells(task: Any) -> bool:
    return _is_there(task, "on_failure_callback") or (
        bool(look(task, "email")) and look(task, "email_on_failure") is not False
    )


def _is_there(owner: Any, name: str) -> bool:
    return bool(list(each(look(owner, name))))


def each(value: Any) -> Iterable[Any]:
    """Return what a setting of a DAG or a task holds, one by one: it may be one, a list, or nothing."""
    if value is None:
        return ()
    return [one for one in value if one is not None] if isinstance(value, list | tuple) else (value,)


def look(owner: Any, name: str) -> Any:
    """Read an attribute; of a mapped task it may be missing, or raise."""
    try:
        return getattr(owner, name, None)
    except Exception:
        return None
