"""Cells of the files that people open afterwards: what anybody wrote is never run as a formula."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.recipients.rejects import is_headed, safe_cell, write_row


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("+33612345678", "+33612345678"),
        ("-12.5", "-12.5"),
        ("12,50", "12,50"),
        (7, "7"),
        ("", ""),
        ("Delivered", "Delivered"),
        ("2031-05-06T12:00:00+02:00", "2031-05-06T12:00:00+02:00"),
        ("06 12 34", "06 12 34"),
        ("+1+cmd|'/C calc'!A0", "'+1+cmd|'/C calc'!A0"),
        ("+33 6 12 34 56 78", "'+33 6 12 34 56 78"),
        ("+33612345678+1", "'+33612345678+1"),
        ("-1-1", "'-1-1"),
        ("=1+1", "'=1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("  =1+1", "'  =1+1"),
        ("\ufeff=1+1", "'\ufeff=1+1"),
        ("\t1", "'\t1"),
        ("\r=1", "'\r'=1"),
        ("\n1", "'\n1"),
        ("＝1+1", "'＝1+1"),
        ("＋33612345678", "'＋33612345678"),
        ("x;=1+1", "x;'=1+1"),  # A French Excel begins another cell at the semicolon.
        ("x, @SUM(1)", "x, '@SUM(1)"),
        ("x\n=1+1", "x\n'=1+1"),
        ("\ud800", "?"),
    ],
)
def test_a_cell_is_a_text_or_a_plain_number(value: object, cell: str) -> None:
    assert safe_cell(value) == cell


@given(st.text(st.sampled_from("=+-@\t\r\n ;,'\"0123456789abc|"), max_size=12))
def test_no_cell_begins_a_formula_in_any_spreadsheet(text: str) -> None:
    file = io.StringIO(newline="")
    write_row(csv.writer(file, lineterminator="\n"), (text, "end"))
    for delimiter in ",;\t|":
        for row in csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=delimiter):
            for cell in (cell.strip() for cell in row):
                # A number stays one, also where the whole line is taken for one cell: ``-0,end``.
                begins = cell.removesuffix(",end")
                is_number = begins[1:].replace(".", "").replace(",", "").isdigit()
                assert cell[:1] not in ("=", "+", "-", "@") or is_number, cell


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (b"row,number,reason\n1,x,y\n", True), (b"row,number,reason", True), (b"row,number,reason,more\n", False),
        (b"row,number\n", False), (b"\xff\n", False), (b"\nrow,number,reason\n", False),
    ],
)  # fmt: skip
def test_a_file_of_ours_is_known_by_its_first_line(first: bytes, expected: bool) -> None:
    assert is_headed(first, ("row", "number", "reason")) is expected
