"""Files of recipients as spreadsheets, databases and scripts write them; each bad one named, none of it shown."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.recipients import text_blocks
from airflow_provider_voicepartner.recipients.rows import UnreadableRow
from airflow_provider_voicepartner.recipients.source import SUFFIXES, EmptyFileError, FileSource, ListSource
from airflow_provider_voicepartner.sending.planning import plan_campaign
from tests.support.examples import examples

A, B = "+33612345678", "0612345679"


def source(content: bytes | str, name: str = "people.csv", **options: Any) -> FileSource:
    data = content.encode() if isinstance(content, str) else content
    return FileSource(open=lambda: io.BytesIO(data), name=name, **options)


def rows(of: FileSource, fields: frozenset[str] | None = None) -> list[tuple[int, object]]:
    return [pair for chunk in of.chunks(fields) for pair in zip(chunk.lines, chunk.items, strict=True)]


def refusal(of: Callable[[], object]) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        of()
    assert caught.value.__context__ is None
    assert caught.value.argument == "to"
    return str(caught.value)


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


# --- CSV -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "phone_number,name\n+33612345678,Zoé\n0612345679,Ali\n",
        "\ufeffphone_number,name\r\n+33612345678,Zoé\r\n0612345679,Ali\r\n",
        "phone_number;name\n+33612345678;Zoé\n0612345679;Ali",
        "phone_number\tname\n+33612345678\tZoé\n0612345679\tAli",
        "\ufeffphone_number;name\r+33612345678;Zoé\r0612345679;Ali\r",
        '"phone_number","name"\n"+33612345678","Zoé"\n0612345679,Ali\n',
        " phone_number , name \n+33612345678,Zoé\n0612345679,Ali\n",
        "sep=;\nphone_number;name\n+33612345678;Zoé\n0612345679;Ali\n",
        "\n\nname,phone_number\nZoé,+33612345678\nAli,0612345679\n\n",
        "phone_number,name\n+33612345678,Zoé\n\n , \n0612345679,Ali\n\n",
        "phone_number,name\n,\n+33612345678,Zoé\n0612345679,Ali\n,\n",
        'phone_number,"the; name; of",name\n+33612345678,,Zoé\n0612345679,,Ali\n',
    ],
)
def test_csv_as_it_comes(text: str) -> None:
    of = source(text)
    found = [item for _, item in rows(of, frozenset({"name"}))]
    assert found == [{"phone_number": A, "name": "Zoé"}, {"phone_number": B, "name": "Ali"}]
    assert [item for _, item in rows(of, frozenset())] == [A, B]
    assert of.field_names()
    assert list(of) == list(of)


@pytest.mark.parametrize("before", ["", "\n", "\n\n \n", "sep=,\n", "sep=,\n\n"])
def test_lines_count_what_stands_before_the_header(before: str) -> None:
    first = before.count("\n") + 2
    assert rows(source(f"{before}phone_number\n{A}\n{B}\n")) == [(first, A), (first + 1, B)]


def test_lines_are_those_where_a_row_starts() -> None:
    text = 'phone_number,note\n1,"a\nb\r\nc"\n\n2,x\r\n"3\n",\n4,"""\n"\n5,\n'
    assert [(line, item) for line, item in rows(source(text), frozenset())] == [
        (2, "1"), (6, "2"), (7, "3\n"), (9, "4"), (11, "5"),
    ]  # fmt: skip
    assert source(text).position(6) == "to: line 6"


def test_without_a_header_a_column_has_a_position() -> None:
    text = "Zoé;+33612345678\nAli;0612345679\nBo;0612345679;more\nNo\n"
    of = source(text, column=1)
    found = rows(of)
    assert found[:2] == [(1, A), (2, B)]
    assert [type(item) for _, item in found[2:]] == [UnreadableRow] * 2
    assert not of.field_names()
    assert [item for _, item in rows(source(f"{A}\n{B}\n", "people.txt", column=0))] == [A, B]
    assert [item for _, item in rows(source(f"x\n{A}\n{B}\n", column=0, header=True))] == [A, B]
    assert refusal(lambda: rows(source(text, column=2))).endswith(
        "has no column 2 in its first line, which has 2; the first column is 0"
    )


def test_a_row_of_another_width_is_a_bad_row_and_not_the_end() -> None:
    found = rows(source(f"phone_number,name\n{A},Zoé\n{B},Ali, the second\n,\n{B},Bo\n"), frozenset())
    assert [line for line, _ in found] == [2, 3, 5]
    odd = found[1][1]
    assert isinstance(odd, UnreadableRow)
    assert odd.number == B
    assert "3 columns, but the first line has 2" in odd.reason
    assert B not in repr(odd)


def test_a_blank_number_beside_a_name_is_kept_for_its_error() -> None:
    for text in (f"phone_number,name\n{A},Zoé\n ,Ali\n", f'phone_number,name\n{A},"Zoé"\n ,Ali\n'):
        assert rows(source(text), frozenset()) == [(2, A), (3, " ")]


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
cell = (
    st.sampled_from([A, B, "06 12 34 56 78", "x", "06;1", 'a"b', "c\nd", "e\r\nf", "é", "\u2028", " "])
    | names
)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(st.tuples(cell, cell, cell), max_size=12),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(1, 40),
    st.booleans(),
)
def test_any_csv_is_read_as_python_reads_it(
    people: list[tuple[str, str, str]], delimiter: str, end: str, quoting: Any, block: int, bom: bool
) -> None:
    """However small the blocks are: a row, a quoted value, a line end or a letter may lie across two of them."""
    # Python's own writer leaves a lone carriage return unquoted, and its own reader then sees a line end there.
    assume(not any("\r" in value.replace("\r\n", "") for row in people for value in row))
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("name", "phone_number", "city"), *people])
    text = file.getvalue()
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    expected, line = [], 0
    for row in reader:
        if any(value.strip() for value in row):
            expected.append((line + 1, {"phone_number": row[1], "name": row[0], "city": row[2]}))
        line = reader.line_num
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "TEXT_BLOCK", block)
        of = source(("\ufeff" if bom else "") + text)
        assert rows(of) == expected[1:]
        assert rows(of, frozenset()) == [(line, row["phone_number"]) for line, row in expected[1:]]


# --- JSON lines and Parquet ----------------------------------------------------------------------------------------


def test_json_lines_hold_objects_or_numbers() -> None:
    text = (
        f'{{"phone_number": "{A}", "name": "Zoé", "n": 3}}\n\n"{B}"\r\n 612345678 \n'
        'null\n[1]\n{"name": "x"}\nnonsense'
    )
    found = rows(source(text, "people.jsonl"))
    assert [line for line, _ in found] == [1, 3, 4, 5, 6, 7, 8]
    assert [item for _, item in found[:5]] == [
        {"phone_number": A, "name": "Zoé", "n": "3"}, B, 612345678, None, ["1"]
    ]  # fmt: skip
    assert [type(item) for _, item in found[5:]] == [UnreadableRow, UnreadableRow]
    assert rows(source(text, "people.ndjson"), frozenset())[0] == (1, A)
    assert rows(source(text, "x", format="jsonl"), frozenset({"n"}))[0] == (1, {"phone_number": A, "n": "3"})
    assert source(text, "people.jsonl").field_names()
    assert not source(f'"{A}"\n{{"phone_number": "{B}"}}\n', "people.jsonl").field_names()
    assert rows(source('{"mobile": "1", "phone_number": "2"}', "a.jsonl", column="mobile")) == [
        (1, {"phone_number": "1"})
    ]


@pytest.mark.parametrize("written", ["33612345678.0", "3.3612345678e10", "612345678", "1e400"])
def test_a_json_number_is_refused_as_a_number_and_not_as_missing(written: str) -> None:
    for line in (written, f'{{"phone_number": {written}}}'):
        plan = plan_campaign(source(f'"{A}"\n{line}\n', "people.jsonl"), line="mobile", on_invalid="skip")
        assert (plan.recipients, plan.invalid) == (1, 1)
        assert "(a number loses its leading 0); write it as text" in plan.rejected[0].reason


def test_a_deep_json_line_is_a_bad_row() -> None:
    ((_, item),) = rows(source('{"a":' * 100_000, "people.jsonl"))
    assert isinstance(item, UnreadableRow)


def test_parquet_is_read_by_column() -> None:
    data = parquet(phone_number=[A, None, B], name=["Zoé", "Ali", None], vip=[True, False, None])
    of = source(data, "people.parquet")
    assert rows(of, frozenset()) == [
        (n, {"phone_number": number}) for n, number in ((1, A), (2, None), (3, B))
    ]
    assert rows(of, frozenset({"name"}))[2] == (3, {"phone_number": B, "name": None})
    assert rows(of)[0] == (1, {"phone_number": A, "name": "Zoé", "vip": True})
    assert rows(source(parquet(mobile=[A, B]), "p.parquet", column="mobile")) == [(1, A), (2, B)]
    assert of.field_names()
    assert not source(parquet(phone_number=[A]), "p.parquet").field_names()
    assert of.position(2) == "to: row 2"


def test_of_a_wide_parquet_file_only_the_columns_that_are_needed_are_read() -> None:
    """A file on a storage far away may have gigabytes of others."""
    notes = [random.Random(row).randbytes(2_000).hex() for row in range(500)]
    data = parquet(phone_number=[A] * 500, name=["Zoé"] * 500, note=notes)

    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            self.taken += len(found)
            return found

        def readinto(self, buffer: Any) -> int:
            size = super().readinto(buffer)
            self.taken += size
            return size

    for fields, most in ((frozenset[str](), 0.1), (frozenset({"name"}), 0.1), (frozenset({"note"}), 1.5)):
        handle = Counting(data)
        of = FileSource(open=lambda handle=handle: handle, name="people.parquet")
        assert len(next(iter(of.chunks(fields))).items) == 500
        assert 0 < handle.taken < most * len(data)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_text_may_name_the_column_of_the_number_where_that_has_a_name_of_its_own(kind: str) -> None:
    content: bytes | str = {
        "csv": f"mobile;name\n{A};Zoé\n",
        "jsonl": f'{{"mobile": "{A}", "name": "Zoé"}}\n',
        "parquet": parquet(mobile=[A], name=["Zoé"]),
    }[kind]
    of = source(content, f"people.{kind}", column="mobile")
    assert of.field_names(frozenset({"mobile", "name"})) >= {"mobile", "name"}
    assert of.field_names() == {"name"}
    plan = plan_campaign(of, line="mobile", fields=frozenset({"mobile", "name"}))
    (person,) = [one for batch in plan.batches() for one in batch.recipients]
    assert dict(person.fields) == {"mobile": A, "name": "Zoé"}


def test_text_may_be_compressed() -> None:
    data = gzip.compress(f"phone_number\n{A}\n".encode())
    assert rows(source(data, "people.CSV.gz")) == [(2, A)]
    assert set(SUFFIXES) >= {".csv", ".csv.gz", ".jsonl.gz", ".parquet"}
    for broken in (data[:-9], data[:12] + b"xx" + data[14:], b"phone_number\n"):
        assert "was it written completely?" in refusal(lambda broken=broken: rows(source(broken, "p.csv.gz")))


# --- bad files -----------------------------------------------------------------------------------------------------

SECRET = "0698765432"


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"", "p.csv", "the file 'p.csv' is empty"),
        (b"\xef\xbb\xbf", "p.csv", "the file 'p.csv' is empty"),
        (b"\n \n", "p.csv", "the file 'p.csv' is empty"),
        (b"", "p.jsonl", "the file 'p.jsonl' is empty"),
        (b"", "p.parquet", "the file 'p.parquet' is no Parquet file"),
        (f"number\n{SECRET}\n", "p.csv", "has no column 'phone_number' in its first line; there is 'number'"),
        (f"{SECRET}\n", "p.csv", "begin with a number, not with a name: without a header give column=0"),
        (f"phone_number,phone_number\n{SECRET},1\n", "p.csv", "has the column 'phone_number' twice"),
        (f"phone_number\n{SECRET}\n".encode("utf-16"), "p.csv", "is UTF-16; save it as UTF-8"),
        (f"phone_number\n{SECRET}\n".encode("utf-16-le"), "p.csv", "line 1 of the file 'p.csv' has a NUL byte"),
        (f"phone_number\n{SECRET}\n06\x00\n", "p.csv", "line 3 of the file 'p.csv' has a NUL byte"),
        (
            b"phone_number,name\n0698765432,Zo\xc3\xa9\n0698765433,Zo\xe9\n",
            "p.csv",
            "line 3 of the file 'p.csv' is not UTF-8; save the whole file as UTF-8, or give its encoding: "
            "encoding='cp1252' for a CSV of a French Excel (byte 14 of the line)",
        ),
        (f'"{SECRET}"\n'.encode() + b'"\xff"\n', "p.jsonl", "line 2 of the file 'p.jsonl' is not UTF-8"),
        (f'phone_number\n{SECRET}\n"{SECRET}\n0\n', "p.csv", "line 3 of the file 'p.csv' begins a value with a quote"),
        (f'phone_number\n"{SECRET}"x\n', "p.csv", "line 2 of the file 'p.csv' is not CSV: ',' expected"),
        (f'[{{"phone_number": "{SECRET}"}}]', "p.jsonl", "the file 'p.jsonl' is one JSON array"),
        (f"phone_number\n{SECRET}\n", "p.parquet", "is no Parquet file, or is damaged"),
        (b"PK\x03\x04" + SECRET.encode(), "p.csv", "is a spreadsheet or a ZIP file"),
        (gzip.compress(b"phone_number\n", mtime=0), "p.csv", "is compressed; give its name the ending .gz"),
        (parquet(phone_number=[SECRET]), "p.csv", "is a Parquet file; give its name the ending .parquet"),
        (parquet(number=[SECRET]), "p.parquet", "has no column 'phone_number'; there is 'number'"),
        (parquet(phone_number=[SECRET])[:-6], "p.parquet", "is no Parquet file, or is damaged"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named_and_not_shown(content: bytes | str, name: str, problem: str) -> None:
    message = refusal(lambda: rows(source(content, name)))
    assert problem in message
    assert message.startswith("to: ")
    assert "98765" not in message


def test_a_parquet_column_that_a_text_needs_stands_there_once() -> None:
    of = source(parquet(phone_number=[A], **{"name": ["Zoé"], " name ": ["Ali"]}), "p.parquet")
    assert "has the column 'name' twice; rename one" in refusal(lambda: rows(of, frozenset({"name"})))
    assert [item for _, item in rows(of, frozenset())] == [A]


def test_a_parquet_file_that_is_damaged_inside_is_named() -> None:
    data = bytearray(parquet(phone_number=[f"{SECRET}{row}" for row in range(5_000)]))
    for at in range(4, len(data) // 2):
        data[at] ^= 0x55
    message = refusal(lambda: rows(source(bytes(data), "p.parquet")))
    assert message == "to: the file 'p.parquet' is damaged after row 0; was it written completely?"


def test_an_empty_file_can_be_told_from_others() -> None:
    for content, name in ((b"", "p.csv"), (b"", "p.jsonl"), (b"", "p.txt")):
        with pytest.raises(EmptyFileError):
            rows(source(content, name))
    assert rows(source("phone_number,name\n")) == []


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_row_of_3_mb_is_refused_by_its_line(name: str) -> None:
    begin = f"phone_number,name\n{A},x\n" if name == "p.csv" else f'"{A}"\n"{A}"\n'
    for text in (begin + "6" * 3_000_000 + "\n" + A, begin + "6" * 3_000_000):
        message = refusal(lambda text=text: rows(source(text, name)))
        assert message.startswith(f"to: line 3 of the file {name!r} is longer than 1,048,576 bytes")
    wide = 'phone_number,name\n1,"' + "x,\n" * 1_000_000 + '"\n'
    assert "line 2 of the file 'p.csv' is not CSV: field larger than" in refusal(
        lambda: rows(source(wide, "p.csv"))
    )
    many = f"phone_number,name\n{A},{','.join('x' * 500_000)}\n"
    ((_, item),) = rows(source(many, "p.csv"))
    assert isinstance(item, UnreadableRow)


def test_a_line_without_end_is_not_read_into_memory() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size < 2**20
            self.given += size
            assert self.given < 2**22
            return b"6" * size

    of = FileSource(open=Endless, name="p.csv")
    assert "line 1 of the file 'p.csv' is longer than" in refusal(lambda: list(of))


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    def at(path: Path) -> Callable[[], object]:
        return lambda: list(FileSource(open=lambda: path.open("rb"), name="p.csv"))

    (tmp_path / "file").touch()
    assert refusal(at(tmp_path / "none.csv")) == "to: the file 'p.csv' does not exist"
    assert refusal(at(tmp_path / "file" / "none.csv")) == "to: the file 'p.csv' does not exist"
    assert refusal(at(tmp_path)) == "to: the file 'p.csv' is a directory; give one file"

    def refused(error: Exception) -> Callable[[], object]:
        def opened() -> Any:
            raise error

        of = FileSource(open=opened, name="p.csv", read_version=opened)
        return lambda: (refusal(of.field_names), list(of))

    assert "may not be read" in refusal(refused(PermissionError("p")))
    assert "is on a storage that cannot be opened" in refusal(refused(ValueError("no such protocol")))
    of = FileSource(
        open=lambda: io.BytesIO(), name="p.csv", read_version=lambda: (tmp_path / "no").stat().st_size
    )
    assert "does not exist" in refusal(of.version)


def test_errors_of_the_network_stay_what_they_are() -> None:
    def opened() -> Any:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        list(FileSource(open=opened, name="p.csv"))


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, module, None)
    message = refusal(lambda: rows(source(parquet_bytes, "p.parquet")))
    assert "needs pyarrow; install 'airflow-provider-voicepartner[parquet]', or give CSV" in message


parquet_bytes = parquet(phone_number=[A])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"name": "p.doc"},
            "has none of the endings .csv, .tsv, .txt, .jsonl, .ndjson, .parquet, .xlsx, .xlsm; rename it",
        ),
        ({"name": "p.csv", "format": "xml"}, "cannot be read as 'xml'"),
        ({"name": "p.jsonl", "column": 0}, "give the column by its name"),
        ({"name": "p.csv", "column": -1}, "cannot have a column -1"),
        ({"name": "p.csv", "column": True}, "cannot have a column True"),
        ({"name": "p.csv", "header": False}, "has no header; give the column by its position"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_once(options: dict[str, Any], problem: str) -> None:
    assert problem in refusal(lambda: source(b"", **options))


def test_fields_that_the_text_needs_are_columns() -> None:
    needed = frozenset({"name"})
    for content, name in (
        (f"phone_number,city\n{SECRET},x\n", "p.csv"),
        (parquet(phone_number=[A], city=["x"]), "p.parquet"),
    ):
        message = refusal(lambda content=content, name=name: rows(source(content, name), needed))
        assert "has no column 'name', which the text needs" in message


# --- lists ---------------------------------------------------------------------------------------------------------


def test_a_list_is_a_source_too() -> None:
    of = ListSource([A, {"phone_number": B, "name": "Ali"}])
    assert list(of) == list(of) == [(1, A), (2, {"phone_number": B, "name": "Ali"})]
    assert of.field_names()
    assert of.version() is None
    assert ListSource(of.to, argument="people").position(2) == "people[2]"
    assert list(ListSource(f"{A}, {B}")) == [(1, A), (2, B)]
    assert not ListSource([A, {"phone_number": B}]).field_names()
    with pytest.raises(InvalidArgumentError, match="to: has no recipients"):
        ListSource([])
    assert "612" not in repr(of)


def test_json_numbers_survive_a_round_trip() -> None:
    text = "\n".join(json.dumps(row) for row in [A, {"phone_number": B}])
    assert [item for _, item in source(text, "p.jsonl")] == [A, {"phone_number": B}]
