"""The package's own source, as trees, for tests that look at how it is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "airflow_provider_voicepartner"
FOLDER = Path(__file__).resolve().parents[2] / PACKAGE


@cache
def trees() -> dict[str, ast.Module]:
    """Parse every module but the sandbox's and the migrations; the keys are paths below the package."""
    paths = (path.relative_to(FOLDER).as_posix() for path in sorted(FOLDER.rglob("*.py")))
    return {
        path: ast.parse((FOLDER / path).read_text(encoding="utf-8"), path)
        for path in paths
        if not path.startswith(("sandbox/", "store/migrations/"))
    }


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Yield each call with the path of its module and the last part of the name that it calls."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield path, node, called(node)


def called(node: ast.Call) -> str:
    """Return the last part of the name that a call calls; empty where it has none."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
