"""Rows as columns are the same rows."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.recipients.chunks import ChunkReader, ColumnRows, without

ROWS = [{"phone_number": f"06{at}", "name": f"n{at}"} for at in range(5)]
COLUMNS = ColumnRows({name: [row[name] for row in ROWS] for name in ROWS[0]})


def test_rows_are_put_together_when_they_are_looked_at() -> None:
    assert (list(COLUMNS), len(COLUMNS), COLUMNS[3]) == (ROWS, 5, ROWS[3])
    assert list(COLUMNS[1:3]) == ROWS[1:3]
    assert COLUMNS.column("name") == ["n0", "n1", "n2", "n3", "n4"]
    assert COLUMNS.has(["name", "phone_number"])
    assert not COLUMNS.has(["name", "city"])


def test_some_are_left_out() -> None:
    assert list(COLUMNS.without([0, 2, 4])) == [ROWS[1], ROWS[3]]
    assert list(COLUMNS.without([])) == ROWS
    assert without("abc", [1]) == ["a", "c"]


@pytest.mark.parametrize("beside", ["n", 5])
def test_a_decomposed_text_is_composed_whatever_stands_in_its_column(beside: object) -> None:
    rows = ColumnRows({"phone_number": ["0612345601", "0612345602"], "name": ["e\u0301", beside]})
    chunk = ChunkReader(line="mobile", region="FR", fields=frozenset({"name"})).read(rows)
    assert chunk.columns["name"] == ["\u00e9", str(beside)]
