"""Campaigns of any size: a file and a list make the same plan, batches repeat, and a changed file is noticed."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import InvalidRecipientError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.wire import Credentials
from airflow_provider_voicepartner.recipients.lists import plan_recipients
from airflow_provider_voicepartner.recipients.source import FileSource, ListSource
from airflow_provider_voicepartner.sending.fingerprint import CampaignFingerprint
from airflow_provider_voicepartner.sending.plan import CampaignPlan
from airflow_provider_voicepartner.sending.planning import plan_campaign
from tests.support.examples import examples
from tests.support.fingerprints import fingerprint

PROJECT = Path(__file__).resolve().parents[2]
A, B, C = "+33612345678", "+33612345679", "+33756781234"
ACCOUNT = Credentials(api_key="planted-key")
MESSAGE = SmsMessage(text="Bonjour {name}")
WHEN = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
NAME, NOTHING = frozenset({"name"}), frozenset[str]()


def mark() -> CampaignFingerprint:
    return CampaignFingerprint("smspartner", ACCOUNT, MESSAGE, WHEN)


def csv_of(*lines: str, header: str = "phone_number") -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def file_of(content: bytes, name: str = "people.csv", **options: Any) -> FileSource:
    return FileSource(open=lambda: io.BytesIO(content), name=name, **options)


def people(plan: CampaignPlan) -> list[Recipient]:
    return [recipient for batch in plan.batches() for recipient in batch.recipients]


def facts(plan: CampaignPlan) -> dict[str, Any]:
    names = ("rows", "recipients", "duplicates", "invalid", "has_fields", "fingerprint", "batch_count")
    return {name: getattr(plan, name) for name in names} | {"people": people(plan)}


# --- a file and a list make the same plan --------------------------------------------------------------------------

numbers = st.sampled_from(
    ["0612345678", "06 12 34 56 78", "+33612345678", "0756781234", "0690123456", "0912345678", "0123456789",
     "0899123456", "+44 7400 123456", "O612345678", "612345678", "06123", "0612345678,0756781234"]
) | st.integers(0, 99).map(lambda n: f"06123456{n:02d}")  # fmt: skip
labels = st.sampled_from(["Zoé", "", "a;b", 'say "x"', "two\nlines", "{name}", " "])
lists = st.lists(st.tuples(numbers, labels), min_size=1, max_size=25)


def as_csv(rows: list[tuple[str, str]]) -> FileSource:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=";").writerows(
        [("name", "phone_number", "x"), *((n, p, "y") for p, n in rows)]
    )
    return file_of(file.getvalue().encode())


def as_json(rows: list[tuple[str, str]]) -> FileSource:
    lines = (json.dumps({"phone_number": p, "name": n, "x": "y"}) for p, n in rows)
    return file_of("\n".join(lines).encode(), "people.jsonl")


def as_parquet(rows: list[tuple[str, str]]) -> FileSource:
    file = io.BytesIO()
    columns = {"phone_number": [p for p, _ in rows], "name": [n for _, n in rows], "x": ["y"] * len(rows)}
    pq.write_table(pa.table(columns), file, row_group_size=7)
    return file_of(file.getvalue(), "people.parquet")


@settings(max_examples=examples(150), deadline=None)
@given(lists, st.sampled_from([NAME, NOTHING, None]), st.sampled_from(["mobile", "any"]), st.integers(1, 9))
def test_every_format_gives_the_plan_of_the_list(
    rows: list[tuple[str, str]], fields: frozenset[str] | None, line: Any, batch_size: int
) -> None:
    dicts = [{"phone_number": p, "name": n, "x": "y"} for p, n in rows]
    options: dict[str, Any] = {
        "line": line, "on_invalid": "skip", "fields": fields, "batch_size": batch_size, "fingerprint": mark()
    }  # fmt: skip
    expected = facts(plan_campaign(ListSource(dicts), **options))
    old = plan_recipients(dicts, line=line, on_invalid="skip", limit=None)
    kept = [
        Recipient(r.phone_number, {k: v for k, v in r.fields.items() if fields is None or k in fields})
        for r in old.recipients
    ]
    assert expected["people"] == kept
    assert (expected["duplicates"], expected["invalid"], expected["rows"]) == (
        old.duplicates, old.invalid, len(rows)
    )  # fmt: skip
    assert expected["fingerprint"] == fingerprint("smspartner", ACCOUNT, MESSAGE, kept, WHEN)
    for source in (as_csv(rows), as_json(rows), as_parquet(rows)):
        assert facts(plan_campaign(source, **options)) == expected, source.name
        assert facts(plan_campaign(source, max_numbers=0, **options)) == expected, source.name


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(numbers, min_size=1, max_size=25), st.integers(1, 9))
def test_the_fingerprint_does_not_depend_on_batches_or_forms(texts: list[str], batch_size: int) -> None:
    options: dict[str, Any] = {"line": "any", "on_invalid": "skip", "fields": NOTHING, "fingerprint": mark()}
    one = plan_campaign(ListSource(texts), batch_size=batch_size, **options)
    two = plan_campaign(ListSource([{"phone_number": text} for text in texts]), **options)
    assert one.fingerprint == two.fingerprint
    assert people(one) == people(two)


def test_what_is_sent_changes_the_fingerprint_and_what_is_not_does_not() -> None:
    def of(*lines: str, **options: Any) -> str:
        source = file_of(csv_of(*lines, header="phone_number,name,x"))
        return plan_campaign(source, line="any", on_invalid="skip", fingerprint=mark(), **options).fingerprint

    base = of(f"{A},Zoé,1", f"{B},Ali,2", fields=NAME)
    assert base == of(f"{A},Zoé,9", "0612345678,Bo,8", "nonsense,,", f"{B},Ali,7", fields=NAME)
    others = [
        of(f"{B},Ali,2", f"{A},Zoé,1", fields=NAME),
        of(f"{A},Zoe,1", f"{B},Ali,2", fields=NAME),
        of(f"{A},Zoé,1", fields=NAME),
        of(f"{A},Zoé,1", f"{B},Ali,2", fields=NOTHING),
        of(f"{A},Zoé,1", f"{B},Ali,2"),
    ]
    assert len({base, *others}) == 6
    assert plan_campaign(ListSource([A]), line="any").fingerprint == ""


# --- bad rows ------------------------------------------------------------------------------------------------------


def test_a_bad_row_is_named_by_its_line() -> None:
    source = file_of(csv_of(f'{A},"two\nlines"', "O698765432,Zoé", B, header="phone_number,name"))
    with pytest.raises(InvalidRecipientError) as caught:
        plan_campaign(source, line="mobile", fields=NOTHING)
    assert str(caught.value) == (
        "to: line 4: 'O698••••32' has letters (a letter O is no zero); write it in digits. to: line 5: '+336••••••79' "
        "is in a row of 1 columns, but the first line has 2; correct the row (a value with a ',' in it needs quotes). "
        "Lines of the file 'people.csv' count from 1; correct them, or leave them out with on_invalid='skip'"
    )


def test_the_first_five_are_shown_and_all_are_counted() -> None:
    with pytest.raises(InvalidRecipientError) as caught:
        plan_campaign(ListSource(["x"] * 1234 + [A]), line="mobile")
    message = str(caught.value)
    assert "to[5]: '•' has letters" in message
    assert "to[6]" not in message
    assert ". and 1,229 more. Rows of the list count from 1; " in message


def test_a_field_that_the_text_needs_is_checked_before_anything_is_sent() -> None:
    rows = [{"phone_number": A, "name": "Zoé"}, B, {"phone_number": C, "nom": "Ali"}, {"phone_number": "x"}]
    plan = plan_campaign(ListSource(rows), line="mobile", on_invalid="skip", fields=NAME)
    assert people(plan) == [Recipient(A, {"name": "Zoé"})]
    assert plan.describe_rejected() == [
        "to[2]: '+336••••••79' has no field 'name', which the text needs; add it",
        "to[3]: '+337••••••34' has no field 'name', which the text needs; add it",
        "to[4]: '•' has letters (a letter O is no zero); write it in digits",
    ]
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    same = plan_campaign(file_of(lines, "p.jsonl"), line="mobile", on_invalid="skip", fields=NAME)
    assert [row.row for row in same.rejected] == [2, 3, 4]


def test_a_field_that_nobody_has_is_refused_with_those_that_exist() -> None:
    for source in (ListSource([A, B]), file_of(csv_of(A, B)), file_of(f'"{A}"\n"{B}"'.encode(), "p.jsonl")):
        with pytest.raises(
            InvalidArgumentError, match=r"^to: the .* has no field 'name'.*\(there are none\)"
        ):
            plan_campaign(source, line="mobile", fields=NAME)
    rows = [{"phone_number": A, "nom": "x"}, {"phone_number": B, "ville": "y"}]
    for source in (ListSource(rows), file_of("\n".join(map(json.dumps, rows)).encode(), "p.jsonl")):
        with pytest.raises(
            InvalidArgumentError, match=r"\(there are 'nom', 'ville'\); correct the placeholder"
        ):
            plan_campaign(source, line="mobile", fields=NAME)


def test_fields_that_the_text_does_not_use_are_neither_kept_nor_judged() -> None:
    rows = [{"phone_number": A, "name": "Zoé", "tags": ["a"]}]
    assert people(plan_campaign(ListSource(rows), line="mobile", fields=NAME)) == [
        Recipient(A, {"name": "Zoé"})
    ]
    assert people(plan_campaign(ListSource(rows), line="mobile", fields=NOTHING)) == [Recipient(A)]
    with pytest.raises(InvalidRecipientError, match="'tags' of type list"):
        plan_campaign(ListSource(rows), line="mobile")
    with pytest.raises(InvalidArgumentError, match="to: has no personal field 'phone_number'"):
        plan_campaign(ListSource(rows), line="mobile", fields=frozenset({"phone_number"}))


def test_a_field_that_no_gateway_could_take_is_a_bad_row() -> None:
    rows = [{"phone_number": A, "name": "\ud800"}, {"phone_number": B, "name": "long"}]
    plan = plan_campaign(
        ListSource(rows), line="mobile", on_invalid="skip", fields=NAME,
        check=lambda recipient: "has a name that is too long" if len(recipient.fields["name"]) > 3 else None,
    )  # fmt: skip
    assert [row.reason for row in plan.rejected] == [
        "has a field with half of a character pair; decode its source properly",
        "has a name that is too long",
    ]


def test_calls_reach_voice_over_ip_but_no_premium_rate() -> None:
    rows = ["0123456789", "0912345678", A, "0899123456", "0800123456", "0820123456", "+44 909 8790000"]
    plan = plan_campaign(ListSource(rows), line="any", on_invalid="skip")
    assert [r.phone_number for r in people(plan)] == ["+33123456789", "+33912345678", A]
    assert plan.invalid == 4
    assert all(row.reason.startswith("is a premium rate, shared cost") for row in plan.rejected)


def test_all_rejects_are_written_and_ten_are_kept() -> None:
    file = io.StringIO(newline="")
    source = file_of(csv_of(A, *["O6123"] * 300, B))
    plan = plan_campaign(source, line="mobile", on_invalid="skip", rejects=file)
    written = list(csv.reader(io.StringIO(file.getvalue(), newline="")))
    assert [row[0] for row in written] == ["row", *map(str, range(3, 303))]
    assert len(plan.rejected) == 10
    assert (plan.rows, plan.recipients, plan.invalid, plan.duplicates) == (302, 2, 300, 0)
    file = io.StringIO(newline="")
    with pytest.raises(InvalidRecipientError):
        plan_campaign(source, line="mobile", rejects=file)
    assert file.getvalue().count("\n") == 301


def test_nobody_is_left_or_nobody_was_there() -> None:
    plan = plan_campaign(file_of(csv_of("x", "y")), line="mobile", on_invalid="skip")
    assert (plan.rows, plan.recipients, plan.batch_count, list(plan.batches())) == (2, 0, 0, [])
    plan = plan_campaign(file_of(csv_of()), line="mobile")
    assert (plan.rows, plan.recipients, list(plan.batches())) == (0, 0, [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"on_invalid": "drop"}, "on_invalid: 'drop'"),
        ({"line": "fax"}, "line: 'fax'"),
        ({"region": "X"}, "region: 'X'"),
    ],
)
def test_other_arguments_are_checked(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        plan_campaign(ListSource([A]), **{"line": "any", **change})


def test_no_number_shows_in_what_is_logged() -> None:
    plan = plan_campaign(ListSource(["0698765432", "O698765432"]), line="mobile", on_invalid="skip")
    assert "98765" not in f"{plan!r} {plan} {plan.describe_rejected()} {next(iter(plan.batches()))}"


# --- a million -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million different numbers, of which the one in line 777,777 is bad."""
    path = tmp_path_factory.mktemp("people") / "million.csv"
    rows = [f"0{600_000_000 + 17 * row}\n" for row in range(1_000_000)]
    rows[777_775] = "O698765432\n"
    path.write_text("phone_number\n" + "".join(rows))
    return path


def test_one_bad_row_in_a_million_fails_or_is_skipped(million: Path) -> None:
    source = FileSource(open=lambda: million.open("rb"), name="million.csv")
    with pytest.raises(InvalidRecipientError, match=r"^to: line 777777: .* has letters") as caught:
        plan_campaign(source, line="any", fields=NOTHING)
    assert "98765" not in str(caught.value)
    plan = plan_campaign(source, line="any", on_invalid="skip", fields=NOTHING)
    assert (plan.rows, plan.invalid, plan.duplicates) == (1_000_000, 1, 0)
    assert [row.row for row in plan.rejected] == [777_777]
    assert plan.batch_count == 2_000
    assert plan.size_of(1_999) == 499
    last = list(plan.batches(1_999))
    assert last[0].recipients[-1].phone_number == "+33616999983"


def test_planning_a_million_keeps_memory_small(million: Path) -> None:
    code = """if True:
        import pathlib, resource, sys
        from airflow_provider_voicepartner.gateways.phone_numbers import parse_number
        from airflow_provider_voicepartner.sending.planning import plan_campaign
        from airflow_provider_voicepartner.recipients.source import FileSource
        unit = 2**20 if sys.platform == "darwin" else 2**10
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        path = pathlib.Path(sys.argv[1])
        source = FileSource(open=lambda: path.open("rb"), name=path.name)
        parse_number("+33612345678")
        before = peak()
        plan = plan_campaign(source, line="any", on_invalid="skip", fields=frozenset())
        planned = peak()
        print(planned - before, sum(len(batch.recipients) for batch in plan.batches()), peak() - planned)
        print([name for name in ("airflow", "pyarrow") if name in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(million)],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
        timeout=120,
    )
    numbers_line, modules = done.stdout.splitlines()
    grown, sent, grown_later = map(float, numbers_line.split())
    assert sent == 999_999
    assert grown < 150
    assert grown_later < 20
    assert modules == "[]"
