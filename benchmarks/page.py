"""The tables as text, and the page of the documentation that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.environment import PROJECT
from benchmarks.results import Results, Row

PAGE = PROJECT / "docs" / "benchmarks.md"
START, END = "<!-- generated: start -->", "<!-- generated: end -->"


def line_of(row: Row) -> str:
    """Return the line of the table."""
    reached = "yes" if row.is_reached else "**no**"
    return f"| {row.what} | {row.ours} | {row.beside} | {row.measured:.3g}{row.unit} | {row.wanted} | {reached} |"


def tables(results: Results) -> Iterator[str]:
    """Return the lines of both tables and their notes."""
    yield f"{results.about}"
    yield ""
    yield "| what | ours | beside it | measured | goal | reached |"
    yield "| --- | --- | --- | ---: | ---: | --- |"
    yield from map(line_of, results.rows)
    yield ""
    yield f"| {results.campaign} | seconds | how it was measured |"
    yield "| --- | ---: | --- |"
    for way in results.ways:
        seconds = "-" if way.seconds is None else f"{way.seconds:,.1f}"
        yield f"| {way.name} | {seconds} | {way.how} |"
    yield ""
    for note in results.notes:
        yield f"- {note}"


def write_page(results: Results, page: Path = PAGE) -> None:
    """Replace the generated part of the page."""
    text = page.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    lines = "\n".join(tables(results))
    page.write_text(f"{before}{START}\n{lines}\n{END}{after}", encoding="utf-8")
