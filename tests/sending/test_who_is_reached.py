"""
Lists and files as people really have them: each is read, or refused with what was read and the fix.

Nobody in them is left out in silence: a row is a recipient, a bad row, or nothing at all.
"""

from __future__ import annotations

import io
import time
from collections import namedtuple
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, parse_number
from airflow_provider_voicepartner.recipients.lists import rows_of_frame
from airflow_provider_voicepartner.recipients.rows import UnreadableRow
from airflow_provider_voicepartner.recipients.source import FileSource, ListSource
from airflow_provider_voicepartner.sending.planning import plan_campaign

A, B, C = "0612345601", "0612345602", "0612345603"


def file(content: str | bytes, name: str = "people.csv", **options: Any) -> FileSource:
    data = content.encode() if isinstance(content, str) else content
    return FileSource(open=lambda: io.BytesIO(data), name=name, **options)


def found(source: Any, fields: frozenset[str] = frozenset()) -> list[object]:
    """Return who is in a source: a number, a number with its fields, or why a row is none."""
    read: list[object] = []
    for item in (item for chunk in source.chunks(fields) for item in chunk.items):
        if isinstance(item, UnreadableRow):
            read.append(item.reason)
        elif isinstance(item, dict) and len(item) == 1:
            read.append(item["phone_number"])
        else:
            read.append(item)
    return read


def refusal(make: Any) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        make()
    return str(caught.value)


# Without a header


@pytest.mark.parametrize(
    ("text", "column", "rows"),
    [
        (f"{A}\n{B}\n", 0, [A, B]),
        (f"{A};Anna\n{B};Ben\n", 0, [A, B]),
        (f"Anna;{A}\nBen;{B}\n", 1, [A, B]),
        (f"{A},{B},{C}\n", 0, ["second number"]),
        (f"{A},Anna\n{B},{C}\n", 0, [A, "second number"]),
        (f'"{A}","Anna"\n"{B}","{C}"\n', 0, [A, "second number"]),
        (f"{A},75001\n{B},12345678\n", 0, [A, B]),  # A postcode, and a number of a customer.
        (f"{A},Anna\n{B},Ben,{C}\n", 0, [A, "a row of 3 columns, but the first line has 2"]),
        (f"{A},Anna\n{B}\n", 0, [A, "a row of 1 columns, but the first line has 2"]),
        (f"{A}\n{B},{C}\n", 0, [A, "a row of 2 columns, but the first line has 1"]),
        (f"{A};+44 7400 123456\n", 0, ["second number"]),
        (f"{A},\n,,\n\n{B},\n", 0, [A, B]),
    ],
)
def test_a_line_without_a_header_is_one_person_or_is_refused(text: str, column: int, rows: list[str]) -> None:
    read = found(file(text, "people.txt", column=column))
    assert len(read) == len(rows)
    for got, wanted in zip(read, rows, strict=True):
        assert wanted == got or (len(wanted) > 10 and wanted in str(got)), (wanted, got)


def test_a_second_number_is_one_of_the_region() -> None:
    text = "(202) 555-0123;(202) 555-0124\n"
    assert found(file(text, column=0)) == ["(202) 555-0123"]
    assert "second number" in str(found(file(text, column=0, region="US"))[0])


def test_those_who_are_not_reached_are_counted() -> None:
    source = file(f"{A},Anna\n{B},{C}\n{C},Cleo,more\n", column=0)
    plan = plan_campaign(source, line="mobile", on_invalid="skip", fields=frozenset())
    assert (plan.rows, plan.recipients, plan.invalid) == (3, 1, 2)
    assert [row.row for row in plan.rejected] == [2, 3]


@pytest.mark.parametrize(
    ("row", "column", "number"),
    [((A, B), 0, A), (("Anna", B, C), 1, B), ((None, A, B), 1, A), ((612345601, A), 0, ""), ([A, B], 0, A)],
)
def test_a_row_of_two_numbers_is_told_with_the_one_that_was_to_get_it(
    row: Any, column: int, number: str
) -> None:
    plan = plan_campaign(ListSource([row], column=column), line="mobile", on_invalid="skip")
    (rejected,) = plan.rejected
    assert (rejected.row, rejected.number) == (1, number)
    assert "a second number, which would get nothing" in rejected.reason


# Headers


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("phone_number,name", "phone_number"),
        ("Phone_Number,name", "phone_number"),
        (" PHONE_NUMBER\u00a0, name", "phone_number"),
        ("\ufeffphone_number,name", "phone_number"),
        ("\ufeff\ufeffphone_number,name", "phone_number"),
        ('\ufeff"phone_number","name"', "phone_number"),
        ("te\u0301le\u0301phone,name", "téléphone"),
        ("Téléphone  portable,name", "téléphone portable"),
        ("Téléphone,name", "te\u0301le\u0301phone"),
        ("TEL,name", " tel "),
        ("Phone_Number,phone_number2", "phone_number"),
    ],
)
def test_a_header_is_met_whatever_differs_in_spelling_alone(header: str, column: str) -> None:
    source = file(f"{header}\n{A},x\n", column=column)
    assert found(source) == [A]
    names = header.replace('"', "").split(",")
    table = pa.table({name: [value] for name, value in zip(names, (A, "x"), strict=True)})
    data = io.BytesIO()
    pq.write_table(table, data)
    assert found(file(data.getvalue(), "p.parquet", column=column)) == [A]


@pytest.mark.parametrize(
    "name",
    ["Phone", "phone number", "PhoneNumber", "phone_no", "Mobile", "mobile_phone", "Mobile Phone", "cell", "cellphone",
     "GSM", "MSISDN", "tel", "Tél", "telephone", "TÉLÉPHONE", "portable", "tel_portable", "telephone_portable",
     "téléphone portable", "numero", "Numéro", "number", "to", "recipient"],
)  # fmt: skip
def test_a_column_that_is_often_called_so_is_suggested_and_never_guessed(name: str) -> None:
    said = refusal(lambda: found(file(f"nom,{name}\nx,{A}\n")))
    assert said.endswith(f"there is 'nom', {name!r}: give column={name!r} if that is it")


def test_a_name_that_is_written_exactly_so_comes_first() -> None:
    assert found(file(f"Tel,tel\n{A},{B}\n", column="tel")) == [B]
    assert "has the column 'TEL' twice" in refusal(lambda: found(file(f"Tel,tel\n{A},{B}\n", column="TEL")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"mobile;name\n{A};x\n", "there is 'mobile', 'name': give column='mobile' if that is it"),
        (f"name,tel\nx,{A}\n", "there is 'name', 'tel': give column='tel' if that is it"),
        (f"Téléphone\n{A}\n", "give column='Téléphone' if that is it"),
        (f"nom,contact\nx,{A}\n", "there is 'nom', 'contact': say with column= which one holds the numbers"),
        (f"Liste des clients\nphone_number;name\n{A};x\n", "in line 1, but in line 2: take out what stands above"),
        (f"Liste\n\n;;\nphone_number;name\n{A};x\n", "in line 1, but in line 4: take out what stands above"),
        (f'"sep=;"\nphone_number;name\n{A};x\n', "in line 1, but in line 2: take out what stands above the header"),
        (f"phone_number|name\n{A}|x\n", "there is 'phone_number|name': say with column="),
        (f"phone_number|name\n{A}|x\n", "Is it separated by '|'? Write it with commas, semicolons or tabs"),
        (f"{A};Anna\n{B};Ben\n", "the 2 columns there begin with a number, not with a name: without a header give "
            "column=0"),
        ("anna@example.org;x\n", "the 2 columns there begin with a number"),
        ("x" * 60 + ",y\n", "'" + "x" * 40 + "…', 'y'"),
        ("x" * 41 + ",y\n", "'" + "x" * 40 + "…', 'y'"),
        ("x" * 40 + ",y\n", "'" + "x" * 40 + "', 'y'"),
        (",".join(f"c{n}" for n in range(12)) + "\n", "'c9' and 2 more"),
    ],
)  # fmt: skip
def test_a_missing_column_shows_what_was_read_and_nobodys_number(text: str, said: str) -> None:
    message = refusal(lambda: found(file(text)))
    assert message.startswith("to: the file 'people.csv' has no column 'phone_number' in ")
    assert said in message
    assert "123456" not in message
    assert "Anna" not in message


@pytest.mark.parametrize("fields", [frozenset({"c7"}), None])
def test_wide_headers_are_linear(fields: frozenset[str] | None) -> None:
    def seconds(columns: int) -> float:
        text = ",".join(["phone_number", *(f"c{n}" for n in range(columns))])
        source = file(f"{text}\n{A}{',x' * columns}\n")
        began = time.process_time()
        list(source.chunks(fields))
        return time.process_time() - began

    assert seconds(16_000) < 1.5


# Encodings

EXCEL = "téléphone;prénom\n0612345601;Zoé\n0612345602;Noël\n"


@pytest.mark.parametrize("encoding", ["cp1252", "CP1252", "windows-1252", "iso-8859-15", "latin-1"])
def test_a_file_of_a_french_excel_is_read_with_its_encoding(encoding: str) -> None:
    source = file(EXCEL.encode(encoding), column="téléphone", encoding=encoding)
    assert [row["prénom"] for row in found(source, frozenset({"prénom"}))] == ["Zoé", "Noël"]
    rows = file('{"phone_number": "0612345601", "nom": "Zoé"}'.encode(encoding), "p.jsonl", encoding=encoding)
    assert found(rows, frozenset({"nom"}))[0]["nom"] == "Zoé"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_utf_8_by_the_name_that_means_a_byte_order_mark(mark: bytes) -> None:
    source = file(mark + EXCEL.encode(), column="téléphone", encoding="utf-8-sig")
    assert [row["prénom"] for row in found(source, frozenset({"prénom"}))] == ["Zoé", "Noël"]


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (EXCEL.encode("cp1252"), {}, "line 1 of the file 'people.csv' is not UTF-8; save the whole file as UTF-8, or "
            "give its encoding: encoding='cp1252' for a CSV of a French Excel"),
        (EXCEL.encode(), {"encoding": "cp1252"}, "is UTF-8 and not cp1252, so letters would come out wrong"),
        ("phone\n12;Zoé\n".encode(), {"encoding": "cp1252"}, "line 2 of the file 'people.csv' is UTF-8 and not "
            "cp1252, so letters would come out wrong; leave encoding out (byte 6 of the line)"),
        (b"\xef\xbb\xbf" + EXCEL.encode(), {"encoding": "cp1252"}, "is UTF-8, as its first bytes say, and not cp1252"),
        ("téléphone\nprix\n12 €".encode("cp1252"), {"encoding": "latin-1"}, "line 3 of the file 'people.csv' has "
            "characters that no text has where it is read as iso8859-1, so letters would come out wrong; give "
            "encoding='cp1252'"),
        (b"t\x81\n", {"encoding": "cp1252"}, "line 1 of the file 'people.csv' is not CP1252"),
        (b"x", {"encoding": "klingon"}, "cannot be read with encoding='klingon'; give 'utf-8', 'cp1252'"),
        (b"x", {"encoding": "utf-16"}, "cannot be read with encoding='utf-16'"),
        (b"x", {"encoding": "utf-7"}, "cannot be read with encoding='utf-7'"),
        (b"x", {"encoding": "rot13"}, "cannot be read with encoding='rot13'"),
        (b"x", {"encoding": 1252}, "cannot be read with encoding=1252"),
        (b"x", {"encoding": "cp1252", "name": "p.parquet"}, "is no text file, so it has no encoding"),
        (b"x", {"encoding": "cp1252", "name": "p.xlsx"}, "is no text file, so it has no encoding"),
    ],
)  # fmt: skip
def test_an_encoding_that_cannot_be_is_refused(data: bytes, options: dict[str, Any], said: str) -> None:
    assert said in refusal(lambda: found(file(data, column="téléphone", **options)))


# Marks of spreadsheets


@pytest.mark.parametrize(
    "text", ["'0612345601", "'+33 6 12 34 56 01", '="0612345601"', '="+33612345601"', "' 0612345601", "'(06)12345601"]
)  # fmt: skip
def test_a_spreadsheets_mark_for_text_is_taken_off(text: str) -> None:
    assert parse_number(text).e164 == "+33612345601"


def test_a_mark_in_a_file_is_taken_off() -> None:
    text = 'phone_number,name\n="0612345601",x\n"=""0612345602""",y\n\'0612345603,z\n'
    plan = plan_campaign(file(text), line="mobile", fields=frozenset())
    assert [one.phone_number[-1] for batch in plan.batches() for one in batch.recipients] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "text",
    ["''0612345601", "'0612345601'", '="0612345601', '="0612345601"&"1"', "=0612345601", "'=0612345601", '="06";1'],
)  # fmt: skip
def test_where_something_else_could_be_meant_the_row_is_refused(text: str) -> None:
    with pytest.raises(InvalidNumberError):
        parse_number(text)


# Lists

Row = namedtuple("Row", ["mobile", "name"])


class Named(tuple):
    """As SQLAlchemy's rows: a tuple that knows its names."""

    @property
    def _mapping(self) -> dict[str, object]:
        return dict(zip(("mobile", "name"), self, strict=True))


ANNA = {"phone_number": A, "name": "Anna"}


@pytest.mark.parametrize(
    ("to", "column", "rows"),
    [
        ([{"mobile": A, "name": "Anna"}], "mobile", [ANNA]),
        ([{"Mobile ": A, "name": "Anna"}], "mobile", [ANNA]),
        ([{"mobile": A, "phone_number": B, "name": "Anna"}], "mobile", [ANNA]),
        ([{"mobile": A}, B], "mobile", [A, B]),
        ({"mobile": A, "name": "Anna"}, "mobile", [ANNA]),
        ([ANNA], "phone_number", [ANNA]),
        ([{"Phone_Number": A, "name": "Anna"}], "phone_number", [ANNA]),
        ([(A,), (B,)], "phone_number", [A, B]),
        ([[A], [B]], "phone_number", [A, B]),
        ([(A, "Anna"), (B, "Ben")], 0, [A, B]),
        ([("Anna", A), ("Ben", B)], 1, [A, B]),
        ([Row(A, "Anna")], "mobile", [ANNA]),
        ([Named((A, "Anna"))], "mobile", [ANNA]),
        ([Row(A, "Anna")], 0, [A]),
        ([Recipient("+33612345601", {"name": "Anna"})], "mobile", [Recipient("+33612345601", {"name": "Anna"})]),
    ],
)  # fmt: skip
def test_rows_of_any_shape_are_read(to: Any, column: str | int, rows: list[object]) -> None:
    assert found(ListSource(to, column=column)) == rows


@pytest.mark.parametrize(
    ("to", "column", "said"),
    [
        ([{"mobile": A, "nom": "x"}], "phone_number",
            "has no field 'phone_number'; there is 'mobile', 'nom': give column='mobile' if that is it"),
        ([{"nom": "x"}], "mobile", "has no field 'mobile'; there is 'nom': say with column= which one holds"),
        ([{A: "x"}], "phone_number", "the 1 column there begin with a number"),
        ([{"tel": A, "Tel": B}], "TEL", "has no field 'TEL'"),
        ([{}], "phone_number", "has no field 'phone_number'; there is none"),
        ([{"mobile": A}], 0, "has no field 0"),
        ([(A, "x"), (B,)], 1, "a row of 1 values, which has no column 1"),
        ([Row(A, "x")], "phone_number", "there is 'mobile', 'name': give column='mobile'"),
    ],
)  # fmt: skip
def test_a_row_without_its_number_says_what_it_has(to: Any, column: str | int, said: str) -> None:
    reasons = [text for text in found(ListSource(to, column=column)) if isinstance(text, str)]
    assert any(said in text for text in reasons), reasons
    assert not any("123456" in text for text in reasons if said in text)


@pytest.mark.parametrize("to", [[(A, "Anna")], [[A, "Anna"]], [A, (B, "Ben")], [(A, B)], ((A, "Anna"),)])
def test_rows_of_a_query_without_names_are_refused_with_the_fix(to: Any) -> None:
    message = refusal(lambda: ListSource(to))
    assert message.startswith("to: has rows of 2 values without names, as a query returns them;")
    assert "column=0" in message
    assert "[dict(zip(names, row)) for row in rows]" in message
    assert "123456" not in message


def test_the_fix_that_is_named_works() -> None:
    names = ["phone_number", "first_name"]
    rows = [(A, "Anna")]
    assert found(ListSource([dict(zip(names, row, strict=True)) for row in rows])) == [
        {"phone_number": A, "first_name": "Anna"}
    ]


def test_a_second_number_in_a_row_without_names_is_not_left_out_in_silence() -> None:
    """As lists of a hundred numbers look, each made for one instance of a mapped task."""
    first, second, third = found(ListSource([[A, B], [C, "Cleo"], (A, "12345678901234")], column=0))
    assert "a second number, which would get nothing" in first
    assert (second, third) == (C, A)
    assert found(ListSource([Row(A, B)], column=0)) == [A]
    assert found(ListSource([(A, "2125550100")], column=0)) == [A]
    assert "a second number" in found(ListSource([("2125550123", "2125550100")], column=0, region="US"))[0]


def test_the_text_that_a_template_makes_of_none_is_called_that() -> None:
    for to in ("None", " None "):
        assert refusal(lambda to=to: ListSource(to)).startswith(
            "to: is 'None', which a template makes of what does not exist; check the task, key or Variable"
        )


# Data frames


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_data_frame_is_a_list_of_dicts(library: str) -> None:
    frames: Any = pytest.importorskip(library)
    columns = {"mobile": [A, B, None], "name": ["Anna", None, "Cleo"]}
    frame = frames.table(columns) if library == "pyarrow" else frames.DataFrame(columns)
    source = ListSource(frame, column="mobile")
    assert found(source) == [
        ANNA, {"phone_number": B, "name": None}, {"phone_number": None, "name": "Cleo"}
    ]  # fmt: skip
    plan = plan_campaign(source, line="mobile", on_invalid="skip", fields=frozenset({"name"}))
    assert (plan.recipients, plan.invalid) == (2, 1)
    assert "there is 'mobile', 'name': give column='mobile'" in str(found(ListSource(frame))[0])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_series_is_a_list_of_numbers(library: str) -> None:
    frames: Any = pytest.importorskip(library)
    assert found(ListSource(frames.Series([A, B]))) == [A, B]


def test_an_empty_frame_is_nobody() -> None:
    pandas: Any = pytest.importorskip("pandas")
    assert rows_of_frame(pandas.DataFrame({"mobile": []})) == []
    assert "has no recipients" in refusal(lambda: ListSource(pandas.DataFrame({"mobile": []})))


def test_numbers_that_a_frame_made_of_texts_are_refused_and_not_guessed() -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"phone_number": [612345601, 612345602]})
    plan = plan_campaign(
        ListSource(frame), line="mobile", on_invalid="skip", fields=frozenset(), rejects=None
    )
    assert plan.invalid == 2
    assert "a number loses its leading 0" in plan.rejected[0].reason


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
@pytest.mark.parametrize("twice", ["phone_number", "name"])
def test_of_two_columns_of_one_name_none_is_taken(library: str, twice: str) -> None:
    frames: Any = pytest.importorskip(library)
    names = ["phone_number", "name", twice]
    if library == "pandas":
        frame = frames.DataFrame([[A, "Anna", B]], columns=names)
    else:
        frame = frames.table([[A], ["Anna"], [B]], names=names)
    assert f"the column '{twice}' twice; rename one" in refusal(lambda: ListSource(frame))


def test_what_pandas_has_in_empty_cells_is_nothing() -> None:
    pandas: Any = pytest.importorskip("pandas")
    rows = [{"phone_number": A, "day": pandas.NaT}, {"phone_number": B, "day": pandas.NA}, pandas.NaT]
    plan = plan_campaign(ListSource(rows), line="mobile", on_invalid="skip", fields=frozenset({"day"}))
    assert [dict(one.fields) for batch in plan.batches() for one in batch.recipients] == [{"day": ""}] * 2
    assert [row.reason for row in plan.rejected] == ["is empty"]


# Formulas


@pytest.mark.parametrize("shown", ["#N/A", "#REF!", "#NOM? ", "#VALEUR!", "#CALC!"])
def test_a_formula_that_failed_reaches_nobody_whatever_the_file(shown: str) -> None:
    fine = {"phone_number": B, "name": "#1"}
    sources: list[Any] = [
        file(f"phone_number;name\n{A};{shown}\n{B};#1\n"),
        file(
            f'{{"phone_number": "{A}", "name": "{shown}"}}\n{{"phone_number": "{B}", "name": "#1"}}',
            "p.jsonl",
        ),
        ListSource([{"phone_number": A, "name": shown}, fine]),
    ]
    for source in sources:
        plan = plan_campaign(source, line="mobile", on_invalid="skip", fields=frozenset({"name"}))
        assert (plan.recipients, plan.invalid) == (1, 1)
        assert f"a formula that failed ({shown.strip()})" in plan.rejected[0].reason
        unread = plan_campaign(source, line="mobile", fields=frozenset())
        assert (unread.recipients, unread.invalid) == (2, 0)
