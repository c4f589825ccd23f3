"""Every example is loaded by each Airflow that is promised; what it needs is said in the example."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "example_dags"
FILES = sorted(EXAMPLES.glob("*.py"))
HERE = tuple(map(int, __version__.split(".")[:2]))
NEEDS_33 = {"on_reply", "opt_out", "deadline_tiers", "on_call", "nightly_load"}
"""DAGs that wait for events, and one with several deadlines."""
NEEDS_31 = {"approve_by_phone"}
"""A DAG that asks people."""


@pytest.fixture(scope="module")
def loaded() -> dict[str, str]:
    """Let Airflow load the folder; return the file of each DAG."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(EXAMPLES / "data" / "contacts.toml"))
        bag = _bag()
    assert bag.import_errors == {}
    return {dag_id: Path(dag.fileloc).name for dag_id, dag in bag.dags.items()}


def _bag() -> Any:
    try:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(dag_folder=str(EXAMPLES), bundle_name="dags-folder")
    except (ImportError, TypeError):
        from airflow.models.dagbag import DagBag

        return DagBag(dag_folder=str(EXAMPLES), include_examples=False)


def test_each_airflow_has_the_dags_that_it_can_run(loaded: dict[str, str]) -> None:
    every = {path.stem for path in FILES} | {"after_opt_outs", "nightly_load"}
    too_new = {
        dag for least, dags in (((3, 1), NEEDS_31), ((3, 3), NEEDS_33)) if least > HERE for dag in dags
    }
    assert set(loaded) == every - too_new


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_says_which_airflow_it_needs(path: Path) -> None:
    said = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    needed = {"3.3"} if path.stem in NEEDS_33 else {"3.1"} if path.stem in NEEDS_31 else {"2.11"}
    assert set(re.findall(r"Airflow (\d\.\d+) or later", said)) == (
        {"2.11", "3.3"} if path.stem == "opt_out" else needed
    )
