"""What this provider asks for is allowed by Airflow's own constraints; `make resolve` asks the package index, too."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.constraints import BY_OFFICIAL, OFFICIAL, PROJECT, TARGETS, airflow_of, official_file, python_of

LISTS = sorted(OFFICIAL.glob("*.txt"))
PROJECT_TABLE: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
WANTED = [
    Requirement(text)
    for text in (
        *PROJECT_TABLE["dependencies"],
        *(one for extra in PROJECT_TABLE["optional-dependencies"].values() for one in extra),
    )
]
NOT_AIRFLOWS = {"icalendar", "phonenumbers", "psycopg", "pytest", "hypothesis"}
"""Airflow's lists know nothing of them, so any version may be had."""
each_list = pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)


def pins(path: Path) -> dict[str, Version]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines if line and line[0] != "#"]
    assert all(found), path
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in found if pin}


def test_there_is_a_list_for_each_minor_version_before_the_newest() -> None:
    assert {tuple(pins(path)["apache-airflow"].release[:2]) for path in LISTS} == {
        (2, 11), (3, 0), (3, 1), (3, 2)
    }  # fmt: skip


@each_list
def test_a_pin_of_airflow_is_never_below_what_is_asked_for(path: Path) -> None:
    pinned = pins(path)
    assert airflow_of(path) == f"apache-airflow=={pinned['apache-airflow']}"
    assert Version(python_of(path)) >= Version("3.11")
    met = set()
    for wanted in WANTED:
        version = pinned.get(canonicalize_name(wanted.name))
        if version is not None:
            assert wanted.specifier.contains(version), f"{wanted} against {version}"
            met.add(wanted.name)
    brings_no_server = {"fastapi", "uvicorn"} if pinned["apache-airflow"].major == 2 else set()
    unknown = {"uvicorn"} if path.stem == "airflow-3.0.6" else set()
    assert {wanted.name for wanted in WANTED} - met <= NOT_AIRFLOWS | brings_no_server | unknown


@pytest.mark.parametrize("target", BY_OFFICIAL)
def test_the_environments_between_are_made_of_airflows_own_pins(target: str) -> None:
    airflow, _ = TARGETS[target]
    official, ours = pins(official_file(airflow)), pins(PROJECT / target)
    assert ours["apache-airflow"] == official["apache-airflow"]
    common = official.keys() & ours.keys()
    assert len(common) > 20
    assert {name: ours[name] for name in common} == {name: official[name] for name in common}


@pytest.mark.parametrize(
    "path", [*LISTS, *(PROJECT / target for target in TARGETS)], ids=lambda path: path.name
)
def test_a_file_of_pins_names_no_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--)", text, re.MULTILINE)


def test_the_pythons_that_are_promised() -> None:
    classifiers = PROJECT_TABLE["classifiers"]
    named = {name.rpartition(" ")[2] for name in classifiers if re.search(r"Python :: 3\.\d+$", name)}
    assert named == {"3.11", "3.12", "3.13"}
    assert PROJECT_TABLE["requires-python"] == ">=3.11"
    assert {python_of(path) for path in LISTS} <= named
