"""Modules import each other in no circle, not even for types or inside functions; late imports are at a few doors."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from tests.support.source import FOLDER, PACKAGE, trees

DOORS = {
    "operators.base": "DAG files import it; what sends is needed when a task runs",
    "operators.campaign": "DAG files import it",
    "operators.page": "DAG files import it",
    "operators.redacted": "DAG files import it",
    "operators.sms": "DAG files import it",
    "operators.voice": "DAG files import it",
    "sensors.campaign": "DAG files import it",
    "triggers.campaign": "DAG files import it through the sensor",
    "triggers.events": "DAG files import it",
    "triggers.event_reader": "the events read it when they begin; the store is opened there",
    "incidents.raising": "each alert imports it, and hardly any needs the escalations",
    "notifications.all_dags": "every Airflow process imports it",
    "notifications.email": "a mail to nobody's phone needs nothing of it",
    "notifications.base": "DAG files import it",
    "notifications.checks": "DAG files import it",
    "notifications.message": "DAG files import it",
    "notifications.all_clear": "DAG files import it",
    "notifications.page": "DAG files import it",
    "notifications.question": "DAG files import it",
    "notifications.rendering": "DAG files import it",
    "notifications.sms": "DAG files import it",
    "notifications.voice": "DAG files import it",
    "hooks.contacts": "DAG files import it through the operators; phonenumbers and pydantic take long to import",
    "hooks.delivery": "DAG files import it, for tasks that read answers",
    "hooks.templates": "DAG files import it through the operators",
    "hooks.registry": "operators import it; only a connection tells which hook is needed",
    "hooks.callbacks": "an alert needs no store, and SQLAlchemy takes long to import",
    "hooks.storage": "most campaigns read no file, and Airflow's object storage takes long to import",
    "settings": "DAG files import it; only some of its functions need the reports' tables",
    "plugins.receiver": "every Airflow process imports it",
    "cli.callbacks": "every airflow command imports the list of commands",
    "cli.receiver": "FastAPI may not be installed",
    "testing.gateway_cases.facts": "a gateway's wire is tested without Airflow; only the cases of its hook need it",
}
"""Modules that may import ours inside functions, and why."""

LATE = {
    "db.schema": "SQLAlchemy takes long to import, and is needed when a store is opened",
    "exceptions": "lists are read and planned without Airflow, whose exceptions are the bases of ours",
}
"""Modules that anybody may import inside functions, and why."""


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_of(path): tree for path, tree in trees().items()}


def imports(name: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield what a module imports of ours, and whether for types only, and whether inside a function."""

    def walk(node: ast.AST, for_types: bool, late: bool) -> Iterator[tuple[str, bool, bool]]:
        for child in ast.iter_child_nodes(node):
            types = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
            inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for target in targets(child):
                if target != name:
                    yield target, types, inside
            yield from walk(child, types, inside)

    yield from walk(MODULES[name], False, False)


def targets(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
        base = node.module.removeprefix(PACKAGE).lstrip(".")
        for alias in node.names:
            full = f"{base}.{alias.name}".lstrip(".")
            if full in MODULES:
                yield full
            elif base in MODULES:
                yield base
    elif isinstance(node, ast.Import):
        for alias in node.names:
            full = alias.name.removeprefix(f"{PACKAGE}.")
            if full != alias.name and full in MODULES:
                yield full


def is_package(name: str) -> bool:
    return (FOLDER / name.replace(".", "/")).is_dir()


def graph() -> dict[str, set[str]]:
    """
    Return who imports whom.

    A package's imports for types are left out: they name what it hands out when it is asked for it.
    """
    found = defaultdict[str, set[str]](set)
    for name in MODULES:
        for target, for_types, _ in imports(name):
            if not (for_types and is_package(name)):
                found[name].add(target)
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that can all be reached from each other."""
    reached = {name: reach(name, edges) for name in edges}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in edges
        if name in reached[name]
    }
    return [list(group) for group in sorted(groups)]


def reach(name: str, edges: dict[str, set[str]]) -> set[str]:
    seen, left = set[str](), [*edges.get(name, ())]
    while left:
        if (found := left.pop()) not in seen:
            seen.add(found)
            left.extend(edges.get(found, ()))
    return seen


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(graph()) == []


def test_circles_are_found_through_types_and_functions() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    edges = graph()
    assert "hooks.base" in edges["hooks.registry"], "an import inside a function"
    assert "sending.plan" in edges["operators.base"], "an import for types"
    edges["operators.planning"].add("operators.base")
    assert any("operators.base" in circle for circle in circles(edges))


def test_only_doors_import_late() -> None:
    late = {name for name in MODULES for target, _, inside in imports(name) if inside and target not in LATE}
    assert late - set(DOORS) == set(), "import it at the top, or say why not"
    assert set(DOORS) - late == set(), "is no door any more"
