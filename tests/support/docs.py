"""The pages of the documentation, and what their tables name."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways.gateway import Gateway

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(PROJECT)) for page in PAGES])
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)
CONTACTS = "example_dags/data/contacts.toml"


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the rows of all tables, cells without blanks around them."""
    return [[cell.strip() for cell in row.split("|")] for row in ROW.findall(text)]


def section(text: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"no section {title!r}"
    return found.group(1)


def first_cells(text: str) -> set[str]:
    """Return every name in code marks in the first column of any table."""
    return {name for row in rows(text) for name in CODE.findall(row[0])}


def arguments(*classes: type) -> set[str]:
    """Return the arguments that classes of ours take, without those of Airflow."""
    return {
        name
        for cls in classes
        for base in cls.__mro__
        if base.__module__.startswith("airflow_provider_voicepartner") and "__init__" in vars(base)
        for name, parameter in inspect.signature(inspect.unwrap(vars(base)["__init__"])).parameters.items()
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def templated_arguments(cls: Any) -> set[str]:
    """Return the arguments that are rendered; one is kept under another name than it is given by."""
    return {{"is_dry_run": "dry_run"}.get(name, name) for name in cls.template_fields}


def gateways() -> dict[str, Gateway]:
    from airflow_provider_voicepartner.hooks.registry import gateway_names, gateway_of

    return {name: gateway_of(name) for name in gateway_names()}
