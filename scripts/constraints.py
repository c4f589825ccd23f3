"""
Resolve versions, by the package index alone.

``make constraints`` writes a file of pins for each Airflow that the tests run on. ``make resolve`` writes nothing: it
shows that this provider, with all its extras, can be installed by Airflow's own constraints of each minor version,
whose pins that matter are in ``constraints/``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
OFFICIAL = PROJECT / "constraints"
PYTHON = "3.11"

TARGETS = {
    "constraints.txt": ("apache-airflow==3.3.2", "requirements-dev.txt"),
    "constraints-airflow2.txt": ("apache-airflow==2.11.2", "requirements-test.txt"),
    "constraints-airflow30.txt": ("apache-airflow==3.0.6", "requirements-smoke.txt"),
    "constraints-airflow31.txt": ("apache-airflow==3.1.6", "requirements-smoke.txt"),
    "constraints-airflow32.txt": ("apache-airflow==3.2.1", "requirements-smoke.txt"),
}
BY_OFFICIAL = ("constraints-airflow30.txt", "constraints-airflow31.txt", "constraints-airflow32.txt")
"""Those in which Airflow's own pins hold, as for users who install by them."""


def main(chosen: list[str]) -> None:
    """Write the files, all or those named, with uv from an environment of its own that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        for target in chosen or TARGETS:
            write_target(Path(folder) / "bin" / "uv", target)


def write_target(uv: Path, target: str) -> None:
    """Write one constraints file: names and versions only, no address of any package index."""
    airflow, requirements = TARGETS[target]
    pin = uv.parent / "airflow.txt"
    pin.write_text(f"{airflow}\nuv\n", encoding="utf-8")
    official = official_file(airflow) if target in BY_OFFICIAL else None
    resolved = compiled(
        uv,
        "--extra",
        "sandbox",
        "pyproject.toml",
        requirements,
        str(pin),
        python=PYTHON,
        constraints=official,
    )
    head = f"# Versions that the tests passed with, on Python {PYTHON}. Made by `make constraints`, for {airflow}"
    by = f" and {official.relative_to(PROJECT)}" if official else ""
    (PROJECT / target).write_text(f"{head}{by}.\n{resolved}", encoding="utf-8")
    sys.stdout.write(f"{target}: {resolved.count('==')} versions\n")


def resolve_all() -> None:
    """
    Resolve against each of Airflow's own lists of pins.

    :raises SystemExit: naming the lists that do not allow this provider, with the resolver's reason.
    """
    lists = sorted(OFFICIAL.glob("*.txt"))
    with ThreadPoolExecutor(len(lists)) as pool:
        reasons = list(pool.map(why_not, lists))
    for path, reason in zip(lists, reasons, strict=True):
        said = f"cannot be installed:\n{reason}" if reason else "can be installed"
        sys.stdout.write(f"{path.relative_to(PROJECT)}: {said}\n")
    if any(reasons):
        sys.exit(1)


def why_not(path: Path) -> str | None:
    """Say why this provider, with all its extras, cannot be installed by a list; None where it can be."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text("\n".join([airflow_of(path), *requirements_of_project()]), encoding="utf-8")
        try:
            compiled(
                Path(sys.executable).parent / "uv", str(wanted), python=python_of(path), constraints=path
            )
        except OSError:
            return with_pip(wanted, path)
        except subprocess.CalledProcessError as error:
            return str(error.stderr) if "No solution found" in error.stderr else with_pip(wanted, path)
    return None


def with_pip(wanted: Path, path: Path) -> str | None:
    """Do the same with pip, which is slower but may know an index that uv does not."""
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
        *(
            "--only-binary",
            ":all:",
            "--python-version",
            python_of(path),
            "--target",
            str(wanted.parent / "none"),
        ),
        *("--constraint", str(path), "--requirement", str(wanted)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else None


def compiled(uv: Path, *arguments: str, python: str, constraints: Path | None) -> str:
    """Return what uv resolves."""
    command = [
        *(str(uv), "pip", "compile", "--quiet", "--python-version", python),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *(("--constraint", str(constraints)) if constraints else ()),
        *arguments,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT).stdout


def requirements_of_project() -> list[str]:
    """Return what ``pyproject.toml`` asks for, all extras included."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]


def official_file(airflow: str) -> Path:
    """Return the list of one release's own pins."""
    return OFFICIAL / f"airflow-{airflow.partition('==')[2]}.txt"


def airflow_of(path: Path) -> str:
    """Return the requirement of Airflow that a list is for."""
    return f"apache-airflow=={path.stem.removeprefix('airflow-')}"


def python_of(path: Path) -> str:
    """Return the Python that a list is for, from its head."""
    found = re.search(r"^# python: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{path}: has no line such as '# python: 3.12'")
    return found[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["resolve"]:
        resolve_all()
    else:
        main(sys.argv[1:])
