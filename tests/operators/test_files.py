"""Which file was sent, and what is left behind for people: seen where they look, and never at anybody's cost."""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import AirflowSkipException
from airflow_provider_voicepartner.exceptions import ConfigurationError, InvalidRecipientError
from airflow_provider_voicepartner.gateways.model import DeliveryReport, DeliveryStatus
from airflow_provider_voicepartner.hooks.storage import is_file, write_delivery_reports
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from tests.operators.test_templates import rendered
from tests.support.gateways import requests, sent
from tests.support.tasks import FakeStore, Logs, context

ANNA, BEN = "+33612345678", "+33612345679"


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "message": "Bonjour", **arguments})


def send(**arguments: Any) -> dict[str, Any]:
    return sms(**arguments).execute(context(FakeStore()))


# What is shown


@pytest.mark.parametrize(
    ("to", "shown"),
    [
        ("/data/{{ params.day }}/people.csv", "/data/2031-05-06/people.csv"),
        ("s3://planted-user:planted-secret@bucket/people.csv", "s3://bucket/people.csv"),
        ("https://b.invalid/people.csv?X-Amz-Signature=planted-secret", "https://b.invalid/people.csv?…"),
        ("/data/33612345678.csv", "/data/"),
        (Path("/data/people.parquet"), "/data/people.parquet"),
    ],
)
def test_a_path_is_shown_in_the_rendered_fields_without_its_secrets(to: Any, shown: str) -> None:
    operator = sms(to=to)
    operator.render_template_fields(context(params={"day": "2031-05-06"}))
    assert shown in rendered(operator)
    assert "planted" not in rendered(operator)
    assert "12345678" not in rendered(operator)
    assert is_file(operator.given("to"))


@pytest.mark.parametrize("to", [ANNA, f"{ANNA}, {BEN}", [ANNA], {"phone_number": ANNA}])
def test_numbers_stay_hidden(to: Any) -> None:
    operator = sms(to=to)
    operator.render_template_fields(context(params={}))
    assert "12345678" not in rendered(operator)
    assert "(hidden)" in rendered(operator)


def test_the_log_names_the_file(sandbox: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    people = tmp_path / "people.csv"
    people.write_text(f"phone_number\n{ANNA}\n")
    send(to=f"file://{people}")
    assert f"Recipients are read from the file 'file://{people}'" in caplog.text
    assert ANNA not in caplog.text


# What is read


def test_a_file_of_a_french_excel_is_sent_with_column_and_encoding(sandbox: Any, tmp_path: Path) -> None:
    people = tmp_path / "clients.csv"
    people.write_bytes('Téléphone;Prénom\r\n0612345678;Zoé\r\n="0612345679";Noël\r\n'.encode("cp1252"))
    with pytest.raises(ConfigurationError, match="encoding='cp1252'"):
        send(to=str(people), column="téléphone")
    operator = sms(to=str(people), column="téléphone", encoding="{{ params.encoding }}")
    operator.render_template_fields(context(params={"encoding": "cp1252"}))
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_a_workbook_is_sent(sandbox: Any, tmp_path: Path) -> None:
    openpyxl: Any = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (("mobile", "name"), ("0612345678", "Anna"), ("0612345679", "Ben")):
        book.active.append(row)
    book.save(tmp_path / "people.xlsx")
    send(to=tmp_path / "people.xlsx", column="mobile")
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


@pytest.mark.parametrize(
    ("to", "column"),
    [
        ([{"mobile": ANNA}, {"mobile": BEN}], "mobile"),
        ([(ANNA,), (BEN,)], "phone_number"),
        ([("Anna", ANNA), ("Ben", BEN)], 1),
        ([["Anna", ANNA], ["Ben", BEN]], "1"),  # As a template renders it.
        (f"[('{ANNA}',), ('{BEN}',)]", "phone_number"),
    ],
)
def test_rows_of_a_query_are_sent(sandbox: Any, to: Any, column: Any) -> None:
    send(to=to, column=column)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_a_data_frame_is_sent_and_an_empty_one_is_nobody(sandbox: Any) -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"mobile": [ANNA, BEN], "name": ["Anna", None]})
    operator = sms(to=lambda context, jinja_env: frame, column="mobile")
    operator.render_template_fields(context(params={}))
    assert "12345678" not in rendered(operator)
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    with pytest.raises(AirflowSkipException, match="the list is empty"):
        send(to=frame.head(0), column="mobile", on_empty="skip")


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("people.json", "the file 'people.json' is JSON; write one object on each line (JSON lines) and name"),
        ("/data/people.csv.zip", "is a ZIP archive; take the file out of it, or compress it with gzip"),
        ("people.json.gz", "is JSON; write one object on each line"),
        ("people.xls", "is an Excel file of an old kind; save it as .xlsx, or as CSV in UTF-8"),
        ("people.ods", "is an OpenDocument spreadsheet"),
        ("/data/people", "has none of the endings .csv"),
        ("data/2031-05-06/people", "has none of the endings .csv"),
        ("C:\\data\\people.doc", "has none of the endings .csv"),
        ("people.backup", "has none of the endings .csv"),
        (Path("people.json"), "is JSON; write one object on each line"),
        ("/data/33612345678.bak", "has none of the endings .csv"),
        ("None", "is 'None', which a template makes of what does not exist"),
    ],
)  # fmt: skip
def test_a_path_that_is_no_known_file_is_called_what_it_is(sandbox: Any, to: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^to: ") as caught:
        send(to=to)
    assert said in str(caught.value)
    assert "has letters" not in str(caught.value)
    assert "33612345678" not in str(caught.value)
    assert requests(sandbox) == 0


@pytest.mark.parametrize("to", ["06/12/34/56/78", "06.12.34.56.78", "+33 6/12.34 56 78, 06.12.34.56.79"])
def test_a_number_with_slashes_and_dots_is_no_path(sandbox: Any, to: str) -> None:
    send(to=to)
    assert ANNA in sent(sandbox, "smspartner")


@pytest.mark.parametrize(
    "to", [f"{ANNA} / Anna", "0612345678 ext.Bureau", "anna@example.org", "0612345678x.y", "Anna"]
)
def test_what_is_no_path_is_called_no_file(sandbox: Any, to: str) -> None:
    with pytest.raises(InvalidRecipientError, match=r"^to\[1\]: .*"):
        send(to=to)


# All invalid is not empty


def test_a_task_that_skips_since_all_are_invalid_says_how_many_and_why(
    sandbox: Any, tmp_path: Path, logs: Logs
) -> None:
    people, rejects = tmp_path / "people.csv", tmp_path / "rejects.csv"
    people.write_text("phone_number\n0123456789\nO612345678\n")
    with pytest.raises(AirflowSkipException) as skipped:
        send(to=str(people), on_invalid="skip", on_empty="skip", rejects_path=str(rejects))
    for part in (
        "all of 2 rows are invalid",
        "to: line 2: '",
        "is a landline",
        "to: line 3: '",
        "has letters",
    ):
        assert part in str(skipped.value)
    logged = logs.text
    assert "Skipped 2 invalid and 0 duplicate recipients" in logged
    assert "is a landline" in logged
    assert "23456789" not in f"{skipped.value}{logged}"
    assert len(rejects.read_text().splitlines()) == 3
    people.write_text("phone_number\n")
    with pytest.raises(AirflowSkipException, match="no recipients are left: the list is empty, and"):
        send(to=str(people), on_invalid="skip", on_empty="skip")
    assert requests(sandbox) == 0


# What people open afterwards

REPORT = DeliveryReport(
    gateway="smspartner", campaign_id="1", phone_number="=1+1", status=DeliveryStatus.FAILED, gateway_status="@SUM(1)"
)  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_no_cell_of_either_file_is_a_formula(sandbox: Any, tmp_path: Path) -> None:
    rejects, report = tmp_path / "rejects.csv", tmp_path / "report.csv"
    bad = ["+1+cmd|'/C calc'!A0", "=1+1", "+33198765432"]
    send(to=[ANNA, *bad], on_invalid="skip", rejects_path=str(rejects))
    written = [line.split(",")[1] for line in rejects.read_text().splitlines()[1:]]
    assert written == ["'+1+cmd|'/C calc'!A0", "'=1+1", "+33198765432"]
    write_delivery_reports(report, [REPORT])
    assert report.read_text().splitlines()[1] == "'=1+1,failed,'@SUM(1),"


def test_both_files_are_for_the_tasks_user_alone(sandbox: Any, tmp_path: Path) -> None:
    rejects, report = tmp_path / "rejects.csv", tmp_path / "report.csv"
    for _ in range(2):
        send(to=[ANNA, "x"], on_invalid="skip", rejects_path=str(rejects))
        write_delivery_reports(report, [REPORT])
        assert (mode(rejects), mode(report)) == (0o600, 0o600)
        for path in (rejects, report):  # As an earlier version left them.
            path.chmod(0o644)


@pytest.mark.parametrize(
    "before", ["id;name\n1;Anna\n", "row,number\n", "phone_number,status,gateway_status,at\n"]
)
def test_rejects_path_writes_over_nothing_but_its_own(sandbox: Any, tmp_path: Path, before: str) -> None:
    taken = tmp_path / "other.csv"
    taken.write_text(before)
    with pytest.raises(
        ConfigurationError, match="rejects_path: there is a file already that is no file of inv"
    ):
        send(to=[ANNA, "x"], on_invalid="skip", rejects_path=str(taken))
    assert taken.read_text() == before
    assert requests(sandbox) == 0


@pytest.mark.parametrize("before", ["", "\n", "row,number,reason\n7,x,y\n"])
def test_rejects_of_an_earlier_attempt_are_replaced(sandbox: Any, tmp_path: Path, before: str) -> None:
    rejects = tmp_path / "rejects.csv"
    rejects.write_text(before)
    send(to=[ANNA, "x"], on_invalid="skip", rejects_path=str(rejects))
    assert [line.split(",")[0] for line in rejects.read_text().splitlines()] == ["row", "2"]


def test_a_device_keeps_its_mode(sandbox: Any) -> None:
    before = mode(Path("/dev/null"))
    send(to=[ANNA, "x"], on_invalid="skip", rejects_path="/dev/null")
    assert mode(Path("/dev/null")) == before
