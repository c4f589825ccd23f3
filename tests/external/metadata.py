"""What pip writes of a distribution: for Airflow, one whose metadata is on the path is installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

DISTRIBUTION = Path(__file__).resolve().parent / "distribution"
PACKAGE = "airflow_provider_acme"


def write_metadata(folder: Path) -> None:
    """Write the distribution's into a folder of the path."""
    project = tomllib.loads((DISTRIBUTION / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = folder / f"{PACKAGE}-{project['version']}.dist-info"
    metadata.mkdir()
    needed = "".join(f"Requires-Dist: {name}\n" for name in project["dependencies"])
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (metadata / "METADATA").write_text(head + needed, encoding="utf-8")
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (metadata / "entry_points.txt").write_text(points, encoding="utf-8")
