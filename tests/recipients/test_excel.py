"""Workbooks of Excel as a source of recipients, made by openpyxl as Excel makes them."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.recipients.rows import UnreadableRow
from airflow_provider_voicepartner.recipients.source import EmptyFileError, FileSource
from airflow_provider_voicepartner.sending.planning import plan_campaign

openpyxl: Any = pytest.importorskip("openpyxl")

A, B = "0612345601", "0612345602"


def book(*rows: Any, change: Callable[[Any], object] = lambda workbook: None) -> bytes:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(list(row))
    change(workbook)
    data = io.BytesIO()
    workbook.save(data)
    return data.getvalue()


def source(data: bytes, name: str = "people.xlsx", **options: Any) -> FileSource:
    return FileSource(open=lambda: io.BytesIO(data), name=name, **options)


def rows(of: FileSource, fields: frozenset[str] | None = None) -> list[tuple[int, object]]:
    return [pair for chunk in of.chunks(fields) for pair in zip(chunk.lines, chunk.items, strict=True)]


def refusal(of: Callable[[], object]) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        of()
    assert caught.value.__context__ is None
    return str(caught.value)


def test_a_workbook_is_read_like_a_csv_file() -> None:
    data = book(
        ("phone_number", "name", "day"), (A, "Zoé", datetime(2031, 5, 6)), (None, None, None), (B, None, None)
    )
    of = source(data)
    assert rows(of, frozenset()) == [(2, A), (4, B)]
    assert rows(of) == [
        (2, {"phone_number": A, "name": "Zoé", "day": date(2031, 5, 6)}),
        (4, {"phone_number": B, "name": "", "day": ""}),
    ]
    assert of.field_names()
    assert of.position(4) == "to: row 4"
    plan = plan_campaign(of, line="mobile", fields=frozenset({"name", "day"}))
    sent = [dict(one.fields) for batch in plan.batches() for one in batch.recipients]
    assert sent == [{"name": "Zoé", "day": "2031-05-06"}, {"name": "", "day": ""}]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (3.3000000000000003, "3.3"),
        (0.7999999999999999, "0.8"),
        (0.1 + 0.2, "0.3"),
        (0.123456789012345, "0.123456789012345"),
        (12.5, "12.5"),
    ],
)
def test_a_personal_number_is_sent_with_the_15_digits_that_excel_shows(value: float, sent: str) -> None:
    of = source(book(("phone_number", "amount"), (A, value)))
    plan = plan_campaign(of, line="mobile", fields=frozenset({"amount"}))
    assert [dict(one.fields) for batch in plan.batches() for one in batch.recipients] == [{"amount": sent}]


def test_its_column_is_found_by_name_or_position() -> None:
    data = book(("Nom", " Téléphone "), ("Zoé", A), ("Ali", B))
    assert rows(source(data, column="téléphone"), frozenset()) == [(2, A), (3, B)]
    assert rows(source(data, column=1, header=True), frozenset()) == [(2, A), (3, B)]
    bare = book(("Zoé", A), ("Ali", B))
    assert rows(source(bare, column=1)) == [(1, A), (2, B)]
    assert not source(bare, column=1).field_names()
    assert "has no column 2 in its first row, which has 2" in refusal(lambda: rows(source(bare, column=2)))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([("mobile",), (A,)], "has no column 'phone_number' in its first row; there is 'mobile': give column='mobile'"),
        ([("Clients",), ("phone_number",), (A,)], "in row 1, but in row 2: take out what stands above the header"),
        ([(A, "Anna")], "begin with a number, not with a name: without a header give column=0"),
        ([("phone_number", "phone_number"), (A, B)], "has the column 'phone_number' twice"),
    ],
)  # fmt: skip
def test_a_header_that_is_missing_shows_what_was_read(table: list[Any], said: str) -> None:
    message = refusal(lambda: rows(source(book(*table))))
    assert message.startswith("to: the file 'people.xlsx' has ")
    assert said in message
    assert "123456" not in message


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((612345601, "x"), None),  # A number, which lost its 0: the row reader says so.
        ((A, "#CALC!"), "is in a row with a formula that failed (#CALC!); correct it"),
        ((A, "#N/A"), "is in a row with a formula that failed (#N/A); correct it"),
        ((A, "x", B), "is in a row of 3 columns, but the first row has 2"),
    ],
)
def test_a_row_that_is_none_is_refused_and_the_next_is_read(row: Any, reason: str | None) -> None:
    of = source(book(("phone_number", "name"), row, (B, "Ben")))
    first, second = (item for _, item in rows(of))
    assert second == {"phone_number": B, "name": "Ben"}
    if reason is not None:
        assert isinstance(first, UnreadableRow)
        assert reason in first.reason
    plan = plan_campaign(of, line="mobile", on_invalid="skip", fields=frozenset({"name"}))
    assert (plan.recipients, plan.invalid) == (1, 1)
    assert plan.rejected[0].row == 2
    assert reason is not None or "a number loses its leading 0" in plan.rejected[0].reason


def test_a_second_number_in_a_row_without_names_is_not_left_out_in_silence() -> None:
    of = source(book((A, "Anna"), (B, "06 12 34 56 03"), ("0612345604", 612345605)), column=0)
    plan = plan_campaign(of, line="mobile", on_invalid="skip", fields=frozenset())
    assert (plan.recipients, plan.invalid) == (2, 1)
    assert (plan.rejected[0].row, plan.rejected[0].number) == (2, B)
    assert "a second number, which would get nothing" in plan.rejected[0].reason
    named = source(book(("phone_number", "other"), (A, B)))
    assert rows(named, frozenset()) == [(2, A)]


def with_cells(data: bytes, **values: str) -> bytes:
    """Put cells of the sheet's second row into a workbook as another program writes them: column -> what is in it."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name).decode()
            if name.endswith("sheet1.xml"):
                for column, inside in values.items():
                    content = re.sub(rf'<c r="{column}2".*?</c>', lambda _, put=inside: put, content)
            if name == "xl/workbook.xml" and "D" in values:
                content = content.replace('fullCalcOnLoad="1"', "")
            new.writestr(name, content)
    return changed.getvalue()


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('<c r="B2"><v>3.3000000000000003</v></c>', "3.3"),
        ('<c r="B2"><v>59.969999999999999</v></c>', "59.97"),
        ('<c r="B2"><v>1234567.8899999999</v></c>', "1234567.89"),
        ('<c r="B2" t="inlineStr"><is><t>12 rue_x000D_\n75001_x0009_Paris_x005F_</t></is></c>',
            "12 rue\r\n75001\tParis_x005F_"),
    ],
)  # fmt: skip
def test_a_cell_is_sent_as_excel_shows_it(cell: str, shown: str) -> None:
    of = source(with_cells(book(("phone_number", "x"), (A, "y")), B=cell))
    plan = plan_campaign(of, line="mobile", fields=frozenset({"x"}))
    assert [one.fields["x"] for batch in plan.batches() for one in batch.recipients] == [shown]


def test_a_formula_that_no_program_has_computed_is_not_an_empty_cell() -> None:
    """As pandas, openpyxl and XlsxWriter write them: with no result, or with 0 for one."""
    data = book(("phone_number", "name", "rest"), (A, "=1+1", "x"), (B, None, "=1+1"))
    plan = plan_campaign(source(data), line="mobile", on_invalid="skip", fields=frozenset({"name"}))
    assert (plan.recipients, plan.rejected[0].row) == (1, 2)
    assert "a formula that was never computed; open the file in Excel and save it" in plan.rejected[0].reason
    assert plan_campaign(source(data), line="mobile", fields=frozenset()).recipients == 2
    zero = with_cells(data, B='<c r="B2"><f>1+1</f><v>0</v></c>')
    assert (
        plan_campaign(source(zero), line="mobile", on_invalid="skip", fields=frozenset({"name"})).invalid == 1
    )
    told = with_cells(data, B='<c r="B2"><f>1+1</f><v>2</v></c>')
    assert rows(source(told), frozenset({"name"}))[0] == (2, {"phone_number": A, "name": 2})
    saved = with_cells(data, B='<c r="B2" t="str"><f>IF(1,"","")</f><v></v></c>', D="")  # By Excel itself.
    assert rows(source(saved), frozenset({"name"}))[0] == (2, {"phone_number": A, "name": ""})
    number = book(("phone_number",), (A,), ('="06"&"12345602"',))
    assert plan_campaign(source(number), line="mobile", on_invalid="skip").rejected[0].row == 3


def hide(workbook: Any) -> None:
    workbook.create_sheet("Notes").append(["not to be read"])
    workbook["Notes"].sheet_state = "hidden"


def test_one_sheet_is_read_and_never_one_of_several() -> None:
    people = [("phone_number",), (A,)]
    assert rows(source(book(*people, change=lambda workbook: workbook.create_sheet("Sheet2")))) == [(2, A)]
    assert rows(source(book(*people, change=hide))) == [(2, A)]
    twice = book(*people, change=lambda workbook: workbook.create_sheet("More").append([B]))
    assert "has 2 sheets with rows, and one is read; keep one" in refusal(lambda: rows(source(twice)))


def test_an_empty_workbook_is_an_empty_file() -> None:
    with pytest.raises(EmptyFileError):
        rows(source(book()))
    assert rows(source(book(("phone_number",)))) == []


def test_what_is_no_workbook_is_named() -> None:
    good = book(("phone_number",), *((A,) for _ in range(5_000)))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("people.csv", "phone_number\n0612345601\n")
    for data in (b"", b"phone_number\n", good[: len(good) // 2], archive.getvalue()):
        assert "is no Excel file (.xlsx), or is damaged" in refusal(lambda data=data: rows(source(data)))


def test_a_workbook_that_is_damaged_inside_is_named() -> None:
    good = book(("phone_number",), *((f"{A}{n}",) for n in range(5_000)))
    damaged = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, part[: len(part) // 2] if "sheet1" in name else part)
    message = refusal(lambda: rows(source(damaged.getvalue())))
    assert "is damaged after row" in message


def test_without_openpyxl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = book(("phone_number",), (A,))
    for module in [name for name in sys.modules if name.split(".")[0] == "openpyxl"]:
        monkeypatch.setitem(sys.modules, module, None)
    message = refusal(lambda: rows(source(data)))
    assert "needs openpyxl; install 'airflow-provider-voicepartner[excel]', or give CSV" in message


def test_a_long_workbook_is_read_a_little_at_a_time() -> None:
    of = source(book(("phone_number",), *((f"06{n:08d}",) for n in range(5_000))))
    assert [len(chunk.items) for chunk in of.chunks()] == [2_000, 2_000, 1_000]
