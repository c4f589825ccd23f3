"""Files of recipients and of delivery reports, as spreadsheets write and read them."""

from __future__ import annotations

import csv
from pathlib import Path

import pendulum
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks.storage import is_file, read_rows, write_delivery_reports, write_text

PEOPLE = [{"phone_number": "+33612345678", "name": "Zoé"}, {"phone_number": "0612345679", "name": "Ali"}]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def refusal(path: object, **options: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_rows(path, **options)
    assert caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "phone_number,name\n+33612345678,Zoé\n0612345679,Ali\n",
        "\ufeffphone_number,name\r\n+33612345678,Zoé\r\n0612345679,Ali\r\n",
        "phone_number;name\n+33612345678;Zoé\n0612345679;Ali",
        "\ufeffphone_number;name\r+33612345678;Zoé\r0612345679;Ali\r",
        '"phone_number" , "name"\n"+33612345678","Zoé"\n0612345679,Ali\n'.replace(" , ", ","),
        " phone_number , name \n+33612345678,Zoé\n\n , \n0612345679,Ali\n\n",
    ],
    ids=["plain", "excel", "semicolons", "old mac", "quoted", "blank lines"],
)
def test_csv_as_spreadsheets_write_it(people: Path, text: str) -> None:
    people.write_bytes(text.encode())
    assert read_rows(people) == PEOPLE


def test_a_path_a_text_a_uri_and_airflows_path_name_the_same_file(people: Path) -> None:
    people.write_text("phone_number\n+33612345678\n", encoding="utf-8")
    for path in (people, str(people), f"file://{people}", ObjectStoragePath(str(people))):
        assert read_rows(path) == [{"phone_number": "+33612345678"}]


def test_line_breaks_and_separators_may_stand_in_quotes(people: Path) -> None:
    people.write_text(
        'phone_number,note\n+33612345678,"one\ntwo, three"\n+33612345679,"say ""hi"""\n', encoding="utf-8"
    )
    assert [row["note"] for row in read_rows(people)] == ["one\ntwo, three", 'say "hi"']


def test_a_line_with_too_many_columns_is_named_by_its_place_in_the_file(people: Path) -> None:
    people.write_text('phone_number,note\n+33612345678,"one\ntwo"\n\n+33612345679,a,b\n', encoding="utf-8")
    message = refusal(people)
    assert "line 5 of the file" in message
    assert "has 3 columns, the first line has 2" in message
    assert "12345679" not in message.replace(str(people), "")


def test_a_line_with_too_few_columns_is_refused(people: Path) -> None:
    people.write_text("phone_number,note\n+33612345678\n", encoding="utf-8")
    assert "line 2" in refusal(people)


@pytest.mark.parametrize(
    "text", ["", "\n+33612345678\n", "phone,name\n+33612345678,Zoé\n", "phone_number name\n1 2\n"]
)
def test_a_file_without_the_column_is_refused(people: Path, text: str) -> None:
    people.write_text(text, encoding="utf-8")
    assert (
        refusal(people)
        == f"to: the file {str(people)!r} has no column 'phone_number' in its first line; add one"
    )


def test_the_column_of_the_number_may_have_another_name(people: Path) -> None:
    people.write_text("tel\n+33612345678\n", encoding="utf-8")
    assert read_rows(people, column="tel") == [{"tel": "+33612345678"}]


def test_a_column_that_stands_there_twice_is_refused(people: Path) -> None:
    people.write_text("phone_number,name,phone_number\n+33612345678,Zoé,+33612345679\n", encoding="utf-8")
    assert "has the column 'phone_number' twice; rename one" in refusal(people)


def test_a_header_alone_is_nobody(people: Path) -> None:
    people.write_text("phone_number,name\n", encoding="utf-8")
    assert read_rows(people) == []


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path, people: Path) -> None:
    assert refusal(people) == f"to: the file {str(people)!r} does not exist"
    assert refusal(f"file://{people}").endswith("does not exist")
    assert refusal(tmp_path).endswith("is a directory")
    people.write_text("phone_number\n", encoding="utf-8")
    assert refusal(people / "more.csv").endswith("does not exist")


def test_a_file_that_is_not_utf_8_is_refused_with_the_fix(people: Path) -> None:
    people.write_bytes("phone_number,name\n+33612345678,Zoé\n".encode("latin-1"))
    assert refusal(people).endswith("is not UTF-8; save it as UTF-8")


@pytest.mark.parametrize("content", [b'phone_number\n"+33612345678\n', b'phone_number\n"a"b\n'])
def test_a_file_that_is_no_csv_is_refused(people: Path, content: bytes) -> None:
    people.write_bytes(content)
    assert "is not a CSV file" in refusal(people)


def test_a_storage_that_this_airflow_does_not_know_is_named() -> None:
    assert "install that storage's provider" in refusal("bogus://bucket/people.csv")


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("people.csv", True),
        (" /data/People.CSV ", True),
        ("people.txt", True),
        ("s3://bucket/people", True),
        (Path("people"), True),
        (ObjectStoragePath("/data/people"), True),
        ("+33612345678", False),
        ("+33612345678, 0612345679", False),
        (["people.csv"], False),
        (None, False),
        (33612345678, False),
    ],
)
def test_files_are_told_from_recipients(to: object, expected: bool) -> None:
    assert is_file(to) is expected


REPORTS = [
    DeliveryReport(
        gateway="smspartner", campaign_id="1", phone_number="+33612345678", status=DeliveryStatus.DELIVERED,
        gateway_status="Delivered", at=pendulum.datetime(2031, 5, 6, 12, 0, tz="Europe/Paris"),
    ),
    DeliveryReport(
        gateway="smspartner", campaign_id="1", phone_number="+33612345679", status=DeliveryStatus.PENDING,
        gateway_status='say "what", now',
    ),
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_delivery_reports_are_written_to_a_folder_that_is_made(tmp_path: Path, scheme: str) -> None:
    target = tmp_path / "not" / "there" / "reports.csv"
    write_delivery_reports(f"{scheme}{target}", REPORTS)
    with target.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows == [
        {
            "phone_number": "+33612345678",
            "status": DeliveryStatus.DELIVERED.value,
            "gateway_status": "Delivered",
            "at": "2031-05-06T12:00:00+02:00",
        },
        {
            "phone_number": "+33612345679",
            "status": DeliveryStatus.PENDING.value,
            "gateway_status": 'say "what", now',
            "at": "",
        },
    ]


def test_reports_can_be_read_back_as_recipients(tmp_path: Path) -> None:
    write_delivery_reports(tmp_path / "reports.csv", REPORTS)
    assert [row["phone_number"] for row in read_rows(tmp_path / "reports.csv")] == [
        "+33612345678",
        "+33612345679",
    ]


def test_a_file_is_replaced_and_written_in_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "x.csv", lambda handle: handle.write("a much longer text than the next one\n"))
    write_text(tmp_path / "x.csv", lambda handle: handle.write("Zoé\r\n"))
    assert (tmp_path / "x.csv").read_bytes() == "Zoé\r\n".encode()
