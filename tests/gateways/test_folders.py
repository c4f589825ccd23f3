"""What is known of a vendor stands in files of the same names, here, outside and in the docs; no file is too long."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import airflow_provider_voicepartner
from airflow_provider_voicepartner.gateways import GATEWAYS

PACKAGE = Path(str(airflow_provider_voicepartner.__file__)).parent
ROOT = PACKAGE.parent
FILES = {
    "__init__.py", "codes.py", "messages.py", "options.py", "refusals.py", "requests.py", "responses.py", "webhooks.py",
}  # fmt: skip
OUTSIDE = ROOT / "tests" / "external" / "distribution" / "airflow_provider_acme" / "gateway"
MOST_LINES, MOST_LINES_OF_TESTS = 450, 500
LONGER = {"constants.py": "the one table of caps, graces and timeouts"}


@pytest.mark.parametrize("folder", [*(PACKAGE / "gateways" / name for name in GATEWAYS), OUTSIDE])
def test_each_gateway_has_the_same_files(folder: Path) -> None:
    assert {path.name for path in folder.iterdir() if path.name != "__pycache__"} == FILES


@pytest.mark.parametrize(("folder", "most"), [(PACKAGE, MOST_LINES), (ROOT / "tests", MOST_LINES_OF_TESTS)])
def test_no_file_is_too_long_to_be_read(folder: Path, most: int) -> None:
    lines = {
        path.relative_to(folder).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in folder.rglob("*.py")
    }
    assert {name: count for name, count in lines.items() if count > most and name not in LONGER} == {}


def test_the_page_on_adding_a_gateway_names_them() -> None:
    page = (ROOT / "ADDING_A_GATEWAY.md").read_text(encoding="utf-8")
    assert "one folder with eight files" in page
    for folder in ("airflow_provider_voicepartner/gateways/acme", "airflow_provider_acme/gateway"):
        named = re.findall(rf"\| `{folder}/(\w+\.py)` \|", page)
        assert sorted(named) == sorted(FILES)


def test_the_page_on_the_architecture_names_them() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    item = re.search(r"- Each folder holds the same eight files: (.*?)\. A test", page, re.DOTALL)
    assert item
    assert sorted(re.findall(r"`(\w+\.py)`", item[1])) == sorted(FILES)


def test_the_page_on_the_architecture_counts_the_modules() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    said = re.search(r"\*\*About (\d+) modules, ", page)
    assert said
    modules = [path for path in PACKAGE.rglob("*.py") if "sandbox" not in path.relative_to(PACKAGE).parts]
    # More than a docstring and the import from __future__.
    count = sum(len(ast.parse(path.read_text(encoding="utf-8")).body) > 2 for path in modules)
    assert abs(count - int(said[1])) <= 15, f"there are {count}; also see whether the reasons still hold"
