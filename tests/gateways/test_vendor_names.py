"""Shared code names no vendor: what is known of one is in its own folder, its hook, and one line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_voicepartner
from airflow_provider_voicepartner.gateways import GATEWAYS
from airflow_provider_voicepartner.gateways.info import own_gateways

PACKAGE = Path(str(airflow_provider_voicepartner.__file__)).parent
OWN = re.compile(rf"gateways/({'|'.join(GATEWAYS)})/|hooks/({'|'.join(GATEWAYS)})\.py|sandbox/")

# The provider has the name of one of its gateways: these strings are the provider's.
PROVIDERS_OWN = {"voicepartner", "Voice Partner"}
# Connections that users rely on without naming them.
DEFAULTS = {f"{name}_default" for name in GATEWAYS}

LABELS = [info.label for info in own_gateways().values()]
NAMED = re.compile("|".join([*(name for name in GATEWAYS if name != "voicepartner"), *LABELS]), re.IGNORECASE)


def shared() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [path for path in files if not OWN.match(path.relative_to(PACKAGE).as_posix())]


def names_in(tree: ast.AST) -> Iterator[str]:
    """Yield strings but docstrings, and the names of modules, classes, functions and variables."""
    docs = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docs:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.ImportFrom(module=str(module)):
                yield module
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name


@pytest.mark.parametrize("path", shared(), ids=[path.relative_to(PACKAGE).as_posix() for path in shared()])
def test_shared_code_names_no_vendor(path: Path) -> None:
    found = {
        name for name in names_in(ast.parse(path.read_text(encoding="utf-8"))) if NAMED.search(name)
    } - PROVIDERS_OWN
    if path.parent.name in ("operators", "notifications"):
        found -= DEFAULTS
    if path == PACKAGE / "gateways" / "__init__.py":
        found -= set(GATEWAYS)
    # "Voice Partner provider", "the Voice Partner provider": the provider's own name in its titles.
    assert {name for name in found if not re.search("Voice Partner (provider|receiver)", name)} == set()


def test_docstrings_of_what_users_call_name_none_either() -> None:
    for path in shared():
        if path.parent.name in ("operators", "notifications", "sensors", "triggers"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Module):
                    said = NAMED.search(ast.get_docstring(node) or "")
                    assert said is None, (path.name, said and said[0])
