"""The results as a picture: bars, written as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from pathlib import Path

from benchmarks.environment import PROJECT
from benchmarks.results import Results

CHART = PROJECT / "docs" / "benchmarks.svg"
_WIDTH, _LINE, _LEFT, _RIGHT = 900, 30, 400, 110
_OURS, _OTHER, _MISSED = "#0f766e", "#94a3b8", "#c2410c"


def write_chart(results: Results, path: Path = CHART) -> None:
    """Draw both tables, one below the other."""
    path.write_text("\n".join(_picture(results)) + "\n", encoding="utf-8")


def _picture(results: Results) -> Iterator[str]:
    ways = [(way.name, way.seconds) for way in results.ways if way.seconds is not None]
    height = _LINE * (len(results.rows) + len(ways)) + 150
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
    yield f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'
    yield _text(20, 30, "Goals: how far each is reached (1 = just reached, log scale)", size=16)
    goals = [(row.what, row.share, _OURS if row.is_reached else _MISSED) for row in results.rows]
    yield from _bars(50, goals, low=0.1, mark=1.0, unit="×")
    top = 50 + _LINE * len(goals) + 50
    yield _text(20, top - 20, f"{results.campaign}: seconds (log scale, shorter is better)", size=16)
    coloured = [(name, seconds, _OURS if at == 0 else _OTHER) for at, (name, seconds) in enumerate(ways)]
    yield from _bars(top, coloured, low=0.1, mark=None, unit=" s")
    yield "</svg>"


def _bars(
    top: float, bars: list[tuple[str, float, str]], *, low: float, mark: float | None, unit: str
) -> Iterator[str]:
    high = max([value for _, value, _ in bars] + [mark or low]) * 1.05
    room = _WIDTH - _LEFT - _RIGHT

    def place(value: float) -> float:
        return room * math.log(max(value, low * 1.01) / low) / math.log(high / low)

    for at, (name, value, colour) in enumerate(bars):
        y = top + at * _LINE
        yield _text(_LEFT - 10, y + 16, name, size=12, anchor="end")
        yield f'<rect x="{_LEFT}" y="{y}" width="{place(value):.1f}" height="20" rx="3" fill="{colour}"/>'
        yield _text(
            _LEFT + place(value) + 6,
            y + 15,
            f"{value:,.3g}{unit}" if value < 1000 else f"{value:,.0f}{unit}",
            size=12,
        )
    if mark is not None:
        x = _LEFT + place(mark)
        bottom = top + _LINE * len(bars)
        yield f'<path d="M{x:.1f} {top - 8}V{bottom}" stroke="#111827" stroke-dasharray="4 3" fill="none"/>'


def _text(x: float, y: float, text: str, *, size: int, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text {place} fill="#111827">{escape(text)}</text>'
