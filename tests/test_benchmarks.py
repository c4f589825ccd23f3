"""The benchmarks run; what they measure on a test's machine says nothing, and is not looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.chart import write_chart
from benchmarks.page import write_page
from benchmarks.results import Results, Row, Way

PROJECT = Path(__file__).resolve().parent.parent

ROWS = (
    "| planning pass, CSV of",
    "| planning pass, 50,000 texts with two personal fields, segments and checks |",
    "| the same against a naive loop |",
    "| building the bodies of 50,000 personal texts |",
    "| 16 batches of personal texts, gateway answers in 300 ms, nothing kept |",
    "| one alert from a callback in a fresh process, 95th percentile of 2 |",
    "| 40 failures in 8 processes, 99th percentile of a callback |",
    "| 50,000 recipients, gateway answers at once, nothing kept |",
    "| 12 batches, gateway answers in 300 ms, ledger in both memories |",
    "| resume after a kill at batch 40 of 60, SQLite |",
    "| resume after a kill at batch 40 of 60, PostgreSQL |",
    "| import of operators.sms after airflow.sdk |",
    "| receiver on SQLite, 64 connections |",
    "| group commit on PostgreSQL |",
    "| SendSmsOperator, one task |",
    "| one mapped task per batch (HttpOperator) |",
    "| one request per recipient (requests.post) |",
    "| Apprise, Octopush plugin, batch=yes |",
)


def row(measured: float, *, at_least: bool, also: bool = True) -> Row:
    return Row(
        what="a <thing>", ours="1 s", beside="2 s", measured=measured, goal=2, at_least=at_least, unit="×",
        also=("flat memory", also),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.airflow3
def test_a_quick_run_measures_every_row() -> None:
    page = (PROJECT / "docs" / "benchmarks.md").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for start in ROWS:
        assert f"\n{start}" in done.stdout
    # What goes wrong while it measures must not look like a result.
    assert "30,000 of 30,000 reached" in done.stdout
    assert (PROJECT / "docs" / "benchmarks.md").read_bytes() == page


@pytest.mark.parametrize(
    ("measured", "at_least", "also", "reached"),
    [
        (2.0, True, True, True), (1.9, True, True, False), (9.0, True, False, False),
        (2.0, False, True, True), (2.1, False, True, False), (0.0, False, True, True),
    ],
)  # fmt: skip
def test_a_goal_is_reached_or_not(measured: float, at_least: bool, also: bool, reached: bool) -> None:
    assert row(measured, at_least=at_least, also=also).is_reached is reached


def test_only_the_generated_part_of_the_page_is_replaced(tmp_path: Path) -> None:
    results = Results(
        rows=[row(1.0, at_least=True)],
        ways=[Way(name="ours", seconds=1.5, how="measured"), Way(name="theirs", seconds=None, how="left out")],
        campaign="10 recipients", notes=["a note"], about="Measured once.",
    )  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- generated: start -->\nold\n<!-- generated: end -->\nafter\n", encoding="utf-8"
    )
    write_page(results, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- generated: start -->\nMeasured once.")
    assert text.endswith("- a note\n<!-- generated: end -->\nafter\n")
    assert "old" not in text
    assert "| theirs | - | left out |" in text

    write_chart(results, tmp_path / "chart.svg")
    picture = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert "a &lt;thing&gt;" in picture
    assert "theirs" not in picture
