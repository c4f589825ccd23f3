"""The batches of a plan: always the same ones, and a source that changed is noticed before a changed batch leaves."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.recipients.source import FileSource, ListSource
from airflow_provider_voicepartner.sending.plan import Batch, CampaignPlan
from airflow_provider_voicepartner.sending.planning import plan_campaign

A, B, C = "+33612345678", "+33612345679", "+33756781234"
NAME, NOTHING = frozenset({"name"}), frozenset[str]()


def csv_of(*lines: str, header: str = "phone_number") -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def file_of(content: bytes, name: str = "people.csv", **options: Any) -> FileSource:
    return FileSource(open=lambda: io.BytesIO(content), name=name, **options)


def people(plan: CampaignPlan) -> list[Recipient]:
    return [recipient for batch in plan.batches() for recipient in batch.recipients]


def read_into(batches: list[Batch], plan: CampaignPlan) -> None:
    """Read all batches, or those before the one that is refused."""
    for batch in plan.batches():
        batches.append(batch)


def many(count: int, *, begin: int = 0) -> list[str]:
    return [f"06{10_000_000 + 7 * row:08d}" for row in range(begin, begin + count)]


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1000, 1003])
def test_batches_are_cut_in_the_same_way_each_time(count: int) -> None:
    rows = many(count)
    plan = plan_campaign(
        file_of(csv_of(*rows, *rows[:3], "x")), line="mobile", on_invalid="skip", fields=NOTHING
    )
    first, again = list(plan.batches()), list(plan.batches())
    assert first == again
    assert [batch.index for batch in first] == list(range(plan.batch_count))
    assert [len(batch.recipients) for batch in first] == [plan.size_of(n) for n in range(plan.batch_count)]
    assert [r.phone_number[3:] for batch in first for r in batch.recipients] == [row[1:] for row in rows]
    assert list(plan.batches(plan.batch_count - 1)) == first[-1:]
    assert list(plan.batches(plan.batch_count)) == []


def test_duplicates_far_apart_are_left_out_in_both_passes() -> None:
    rows = [*many(6_000), *many(6_000, begin=3_000), *["+33" + row[1:] for row in many(100)]]
    plan = plan_campaign(file_of(csv_of(*rows)), line="mobile")
    assert (plan.rows, plan.recipients, plan.duplicates) == (12_100, 9_000, 3_100)
    assert len({r.phone_number for r in people(plan)}) == 9_000


@pytest.mark.parametrize("kind", ["list", "csv", "jsonl", "parquet"])
@pytest.mark.parametrize("between", [1, 1_999, 2_000, 30_000])
def test_nobody_is_messaged_twice_however_far_apart_the_same_number_stands(kind: str, between: int) -> None:
    """Rows are read in chunks, and a number may come again in any later one."""
    others = many(between, begin=10)
    rows = ["0612345678", *others, "+33 6 12 34 56 78", *others[-1:]]
    if kind == "list":
        source: ListSource | FileSource = ListSource(rows)
    elif kind == "csv":
        source = file_of(csv_of(*rows))
    elif kind == "jsonl":
        source = file_of("\n".join(map(json.dumps, rows)).encode(), "people.jsonl")
    else:
        file = io.BytesIO()
        pq.write_table(pa.table({"phone_number": rows}), file)
        source = file_of(file.getvalue(), "people.parquet")
    plan = plan_campaign(source, line="mobile")
    assert (plan.rows, plan.recipients, plan.duplicates) == (between + 3, between + 1, 2)
    sent = Counter(recipient.phone_number for recipient in people(plan))
    assert sent["+33612345678"] == 1
    assert set(sent.values()) == {1}


class Changing:
    """A file that is another one from its second opening on."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = list(contents)

    def open(self) -> io.BytesIO:
        return io.BytesIO(self.contents.pop(0) if len(self.contents) > 1 else self.contents[0])


ROWS = many(2_600)


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        (lambda rows: ["0756781234", *rows], 0),
        (lambda rows: rows[1:], 0),
        (lambda rows: [*rows[:1_700], "0756781234", *rows[1_701:]], 3),
        (lambda rows: [*rows[:1_700], *rows[1_701:]], 3),
        (lambda rows: [*rows[:1_700], rows[1_701], rows[1_700], *rows[1_702:]], 3),
        (lambda rows: [*rows, "0756781234"], 5),
        (lambda rows: [*rows, "nonsense"], 5),
        (lambda rows: [*rows, *many(5_000, begin=9_000)], 5),
        (lambda rows: rows[:-1], 5),
        (lambda rows: rows[:2_100], 4),
        (lambda rows: [], 0),
    ],
)
def test_a_changed_file_is_noticed_before_a_changed_batch_leaves(
    change: Callable[[list[str]], list[str]], sent: int
) -> None:
    changing = Changing(csv_of(*ROWS), csv_of(*change(ROWS)))
    plan = plan_campaign(
        FileSource(open=changing.open, name="p.csv"), line="mobile", fields=NOTHING, max_numbers=0
    )
    given_out: list[Batch] = []
    with pytest.raises(ConfigurationError) as caught:
        read_into(given_out, plan)
    assert len(given_out) <= sent
    for batch in given_out:
        planned = ROWS[500 * batch.index : 500 * batch.index + 500]
        assert [r.phone_number[3:] for r in batch.recipients] == [row[1:] for row in planned]
    assert str(caught.value).startswith("to: the file 'p.csv' was changed after it was planned: batch ")


def test_the_last_batch_waits_for_the_end_of_the_file() -> None:
    rows = many(1_000)
    changing = Changing(csv_of(*rows), csv_of(*rows, "0756781234"))
    plan = plan_campaign(
        FileSource(open=changing.open, name="p.csv"), line="mobile", fields=NOTHING, max_numbers=0
    )
    batches = plan.batches()
    assert next(batches).index == 0
    with pytest.raises(ConfigurationError, match="batch 2 of 2 is different now"):
        next(batches)


def test_a_file_that_grew_without_end_is_not_read_to_its_end() -> None:
    class Endless(io.BytesIO):
        blocks = 0

        def read(self, size: int | None = -1) -> bytes:
            self.blocks += 1
            assert self.blocks < 9
            return super().read(size) or "".join(f"{row}\n" for row in many(1_000, begin=9_000)).encode()

    files = iter([io.BytesIO(csv_of(A, B)), Endless(csv_of(A, B))])
    plan = plan_campaign(
        FileSource(open=lambda: next(files), name="p.csv"), line="mobile", fields=NOTHING, max_numbers=0
    )
    with pytest.raises(ConfigurationError, match="batch 1 of 1"):
        next(plan.batches())


def test_a_changed_field_is_noticed() -> None:
    lines = [f"{row},Zoé" for row in many(600)]
    header = "phone_number,name"
    changing = Changing(
        *[csv_of(*lines, header=header)] * 2, csv_of(*lines[:-1], f"{many(600)[-1]},Zoe", header=header)
    )
    plan = plan_campaign(FileSource(open=changing.open, name="p.csv"), line="mobile", fields=NAME)
    batches = plan.batches()
    assert len(next(batches).recipients) == 500
    with pytest.raises(ConfigurationError, match="batch 2 of 2 is different now"):
        next(batches)


def test_a_row_that_became_bad_is_noticed() -> None:
    changing = Changing(csv_of(A, B), csv_of(A, "nonsense"))
    plan = plan_campaign(
        FileSource(open=changing.open, name="p.csv"), line="mobile", fields=NOTHING, max_numbers=0
    )
    with pytest.raises(ConfigurationError, match="batch 1 of 1"):
        list(plan.batches())


def test_a_file_that_vanished_or_has_another_date_is_noticed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(csv_of(A, B))
    source = FileSource(open=lambda: path.open("rb"), name="people.csv")
    plan = plan_campaign(source, line="mobile", max_numbers=0)
    versioned = plan_campaign(
        replace(source, read_version=lambda: path.stat().st_mtime_ns), line="mobile", max_numbers=0
    )
    assert len(people(versioned)) == 2
    path.write_bytes(csv_of(A, B, C))
    with pytest.raises(ConfigurationError, match=r"to: the file 'people\.csv' was changed while it was read"):
        next(versioned.batches())
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"to: the file 'people\.csv' does not exist"):
        next(plan.batches())


def test_numbers_alone_are_kept_and_sent_as_planned_whatever_becomes_of_the_file() -> None:
    changing = Changing(csv_of(*ROWS), b"")
    plan = plan_campaign(FileSource(open=changing.open, name="p.csv"), line="mobile", fields=NOTHING)
    assert [person.phone_number[3:] for person in people(plan)] == [row[1:] for row in ROWS]
    later = [person for batch in plan.batches(4) for person in batch.recipients]
    assert later == people(plan)[2_000:]


@pytest.mark.parametrize(("max_numbers", "reads"), [(2_600, 1), (2_599, 2)])
def test_of_too_many_numbers_none_are_kept(max_numbers: int, reads: int) -> None:
    opened: list[int] = []

    def open_() -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(csv_of(*ROWS))

    plan = plan_campaign(
        FileSource(open=open_, name="p.csv"), line="mobile", fields=NOTHING, max_numbers=max_numbers
    )
    before = len(opened)
    assert len(people(plan)) == 2_600
    assert len(opened) - before == reads - 1


def test_a_file_that_is_still_written_is_not_planned() -> None:
    versions: Iterator[int] = iter([1, 2])
    source = file_of(csv_of(A), read_version=lambda: next(versions))
    with pytest.raises(InvalidArgumentError, match="let it be written completely, then retry"):
        plan_campaign(source, line="mobile")
