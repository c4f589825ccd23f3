"""Files of recipients and of delivery reports, as spreadsheets write and read them."""

from __future__ import annotations

import csv
import threading
import time
from pathlib import Path

import pendulum
import pytest

from airflow_provider_voicepartner.compat import ObjectStoragePath
from airflow_provider_voicepartner.exceptions import ConfigurationError, ends_retries
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks.storage import (
    check_report_path,
    file_source,
    is_file,
    write_delivery_reports,
    writing,
)

PEOPLE = [{"phone_number": "+33612345678", "name": "Zoé"}, {"phone_number": "0612345679", "name": "Ali"}]


def read_rows(path: object, *, column: str = "phone_number") -> list[object]:
    """Read a file through Airflow's storage, as an operator does."""
    return [item for _, item in file_source(path, column=column, header=None)]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def refusal(path: object, **options: str) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
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
        assert read_rows(path) == ["+33612345678"]


def test_line_breaks_and_separators_may_stand_in_quotes(people: Path) -> None:
    people.write_text(
        'phone_number,note\n+33612345678,"one\ntwo, three"\n+33612345679,"say ""hi"""\n', encoding="utf-8"
    )
    assert [row["note"] for row in read_rows(people)] == ["one\ntwo, three", 'say "hi"']


def test_a_column_that_stands_there_twice_is_refused(people: Path) -> None:
    people.write_text("phone_number,name,phone_number\n+33612345678,Zoé,+33612345679\n", encoding="utf-8")
    assert "has the column 'phone_number' twice; rename one" in refusal(people)


def test_a_header_alone_is_nobody(people: Path) -> None:
    people.write_text("phone_number,name\n", encoding="utf-8")
    assert read_rows(people) == []


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path, people: Path) -> None:
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    for path in (people, f"file://{people}", folder, people / "more.csv"):
        assert refusal(path).startswith("to: the file ")


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


def test_an_earlier_report_is_written_over_and_nothing_else_is(tmp_path: Path) -> None:
    target = tmp_path / "reports.csv"
    for before in ("", "\n", "phone_number,status,gateway_status,at\n+33612345670,failed,x,\n"):
        target.write_text(before, encoding="utf-8")
        write_delivery_reports(target, REPORTS)
        assert len(read_rows(target)) == 2
    for before in ("phone_number\n+33612345678\n", "+33612345678", "\u00ff\u00fe"):
        target.write_text(before, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="report_path: there is a file already"):
            write_delivery_reports(target, REPORTS)
        assert target.read_text(encoding="utf-8") == before


def test_reports_can_be_read_back_as_recipients(tmp_path: Path) -> None:
    write_delivery_reports(tmp_path / "reports.csv", REPORTS)
    assert [row["phone_number"] for row in read_rows(tmp_path / "reports.csv")] == [
        "+33612345678",
        "+33612345679",
    ]


def write(path: Path, text: str) -> None:
    with writing(path, "rejects_path") as file:
        file.write(text)


def test_a_file_is_replaced_and_written_in_utf_8(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", "a much longer text than the next one\n")
    write(tmp_path / "x.csv", "Zoé\r\n")
    assert (tmp_path / "x.csv").read_bytes() == "Zoé\r\n".encode()


@pytest.mark.parametrize("scheme", ["s3", "hdfs", "no-such-storage"])
def test_a_storage_whose_package_is_missing_is_not_retried(scheme: str) -> None:
    path = f"{scheme}://user:secret@bucket/people.csv?sig=secret"
    for use in (
        lambda: read_rows(path),
        lambda: file_source(path, column="phone_number", header=None).version(),
        lambda: writing(path, "rejects_path").__enter__(),
        lambda: check_report_path(path),
        lambda: write_delivery_reports(path, []),
    ):
        with pytest.raises(
            (ConfigurationError, InvalidArgumentError), match="cannot be opened here"
        ) as caught:
            use()
        assert ends_retries(caught.value) or isinstance(caught.value, InvalidArgumentError)
        assert "install that storage's provider" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "is a directory; give the path of a file"),
        ("file/rejects-0612345678.csv", "has a file where a folder is needed"),
        ("loop", "is a link that leads to itself"),
        ("x" * 300, "is too long for a path"),
        ("nul\0", "is no path"),
    ],
)
def test_a_path_that_is_useless_is_named_and_not_retried(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    path = f"{tmp_path}/{name}"
    for use in (
        lambda: writing(path, "report_path").__enter__(),
        lambda: check_report_path(path),
        lambda: write_delivery_reports(path, []),
    ):
        with pytest.raises(ConfigurationError, match=rf"^report_path: '.*' {said}") as caught:
            use()
        assert "0612345678" not in str(caught.value)
        assert caught.value.__context__ is None


def test_two_that_write_one_file_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    begun = threading.Event()

    def write_all(line: str) -> None:
        with writing(path, "rejects_path") as file:
            begun.set()
            for _ in range(200):
                file.write(line * 200)
                file.flush()
                time.sleep(0.0005)

    first = threading.Thread(target=write_all, args=("a much longer line\n",))
    first.start()
    assert begun.wait(10)
    write_all("short\n")
    first.join(10)
    assert path.read_bytes() == b"short\n" * 40_000
