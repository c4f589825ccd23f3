"""The report that XCom holds: it adds up, it survives the trip, and anything else is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
from airflow_provider_voicepartner.sending.records import Evidence
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch, read_report
from tests.support.tasks import CALM, assert_plain

EARLY, LATE = "2031-05-06T12:00:00+00:00", "2031-05-06T12:00:09+00:00"


@st.composite
def records(draw: st.DrawFn) -> BatchRecord:
    size = draw(st.integers(1, 500))
    opted_out = draw(st.integers(0, size))
    if draw(st.booleans()):
        return BatchRecord(
            phase=Phase.ASSUMED_SENT,
            reference=draw(st.just("abc") | st.just("")),
            size=size,
            at=EARLY,
            evidence=Evidence.ASSUMED,
        )
    return BatchRecord(
        phase=Phase.SENT,
        reference="abc",
        size=size,
        accepted=draw(st.integers(0, size - opted_out)),
        opted_out=opted_out,
        gateway_id=str(draw(st.integers(1, 10**9))),
        segments=draw(st.none() | st.integers(1, 5000)),
        cost=draw(st.none() | st.decimals(0, 1000, places=3)),
        currency=draw(st.none() | st.just("EUR")),
        at=draw(st.sampled_from([EARLY, LATE])),
        evidence=draw(st.none() | st.sampled_from(Evidence)),
    )


def report_of(batches: list[BatchRecord], **settings: Any) -> CampaignReport:
    values: dict[str, Any] = {"invalid": 0, "duplicate": 0, "scheduled_for": None, **settings}
    return CampaignReport.of_records(
        batches, gateway="smspartner", conn_id="smspartner_default", kind="sms", **values
    )


@CALM
@given(
    st.lists(records(), min_size=1, max_size=5),
    st.integers(0, 50),
    st.integers(0, 50),
    st.none() | st.just(LATE),
)
def test_counts_add_up_and_the_report_survives_the_trip_through_xcom(
    batches: list[BatchRecord], invalid: int, duplicate: int, planned: str | None
) -> None:
    report = report_of(batches, invalid=invalid, duplicate=duplicate, scheduled_for=planned)
    counts = dict(report.counts)
    assert counts.pop("recipients") == sum(counts.values())
    assert min(counts.values()) >= 0
    assert sum(record.size for record in batches) == report.counts["recipients"] - invalid - duplicate
    data = report.to_json()
    assert_plain(data)
    assert CampaignReport.from_json(json.loads(json.dumps(data))) == report
    # A template makes text of it, in Python's spelling or as JSON.
    assert read_report(str(data)) == report
    assert read_report(json.dumps(data)) == report


SENT = BatchRecord(
    phase=Phase.SENT, reference="k3v9x0q2w7ha", size=500, accepted=497, opted_out=2, gateway_id="8123456",
    segments=497, cost=Decimal("22.365"), currency="EUR", at=LATE,
)  # fmt: skip


def test_it_has_exactly_the_shape_that_is_promised() -> None:
    assumed = BatchRecord(phase=Phase.ASSUMED_SENT, reference="", size=3, at=EARLY)
    assert report_of([SENT, assumed], invalid=1, duplicate=2, scheduled_for=LATE).to_json() == {
        "gateway": "smspartner",
        "conn_id": "smspartner_default",
        "kind": "sms",
        "scheduled_for": LATE,
        "sent_at": LATE,
        "counts": {
            "recipients": 506, "accepted": 497, "invalid": 1, "duplicate": 2, "opted_out": 2, "refused": 1,
            "in_doubt": 3,
        },
        "segments": 497,
        "cost": "22.365",
        "currency": "EUR",
        "batches": [
            {"reference": "k3v9x0q2w7ha", "gateway_id": "8123456", "accepted": 497, "state": "sent"},
            {"reference": "", "gateway_id": None, "accepted": 3, "state": "assumed_sent"},
        ],
    }  # fmt: skip


def test_sums_run_over_all_batches_and_no_digit_of_money_is_lost() -> None:
    report = report_of([SENT, replace(SENT, cost=Decimal("0.010"), segments=None, at=EARLY)])
    assert (report.cost, report.segments, report.sent_at) == (Decimal("22.375"), 497, LATE)
    assert report.to_json()["cost"] == "22.375"


def test_the_wait_for_what_was_assumed_sent_begins_when_that_was_assumed() -> None:
    assumed = BatchRecord(phase=Phase.ASSUMED_SENT, reference="abc", size=3, at=LATE)
    assert report_of([assumed]).sent_at == LATE
    assert report_of([replace(SENT, at=EARLY), assumed]).sent_at == LATE


def test_what_no_gateway_told_is_none_and_not_zero() -> None:
    report = report_of([replace(SENT, cost=None, segments=None, currency=None)])
    assert (report.cost, report.segments, report.currency) == (None, None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@CALM
@given(JSON | st.binary(max_size=5) | st.builds(object))
def test_garbage_is_refused_with_the_name_of_the_argument_and_the_fix(data: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^campaign: .*campaign=send_sms\.output"):
        read_report(data)


@CALM
@given(
    st.sampled_from(
        [*report_of([SENT]).to_json(), "counts.accepted", "batches.accepted", "batches.reference"]
    ),
    JSON,
)
def test_a_report_with_one_wrong_value_is_read_or_refused_and_never_half_read(path: str, value: Any) -> None:
    data = json.loads(json.dumps(report_of([SENT]).to_json()))
    name, _, inner = path.partition(".")
    target = data if not inner else data["counts"] if name == "counts" else data["batches"][0]
    target[inner or name] = value
    try:
        report = read_report(data)
    except ConfigurationError:
        return
    # What is taken can be written, read again, and used by the sensor.
    assert read_report(json.loads(json.dumps(report.to_json()))) == report
    for batch in report.batches:
        assert type(batch) is SentBatch
        assert batch.state in ("sent", "assumed_sent")


@pytest.mark.parametrize(
    "text", ["", "None", "[" * 100_000, "{" * 100_000, "{'gateway': 1", "1e999", "\x00", "{[]: 1}"]
)
def test_text_that_is_no_report_is_refused_however_odd(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read_report(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "fax"), ("kind", ["sms"]), ("batches", []), ("batches", "abc"), ("cost", "NaN"), ("cost", "free"),
        ("sent_at", "yesterday"), ("sent_at", "2031-05-06T12:00:00"), ("scheduled_for", 7), ("counts", None),
        ("segments", "many"),
    ],
)  # fmt: skip
def test_values_that_would_fail_later_fail_at_once(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not the report of a send operator"):
        read_report({**report_of([SENT]).to_json(), name: value})


def test_a_report_is_not_asked_about_at_another_gateway() -> None:
    report = report_of([SENT])
    report.check_gateway("smspartner")
    with pytest.raises(ConfigurationError, match=r"^conn_id: .*'octopush'.*'smspartner'"):
        report.check_gateway("octopush")


def test_a_batch_without_an_id_keeps_the_tag_by_which_it_is_asked_about() -> None:
    report = report_of([replace(SENT, gateway_id=None, tag="mine"), replace(SENT, tag="mine")])
    data = json.loads(json.dumps(report.to_json()))
    assert [batch.get("tag") for batch in data["batches"]] == ["mine", None]
    assert [batch.tag for batch in read_report(data).batches] == ["mine", None]


def test_it_tells_for_each_batch_what_settled_it_and_reads_reports_that_do_not() -> None:
    batches = [replace(SENT, evidence=evidence) for evidence in (None, *Evidence)]
    data = report_of(batches).to_json()
    assert [batch.get("evidence") for batch in data["batches"]] == [
        None, "look_up", "called_back", "repeat_refused", "repeat_accepted", "sent_again", "assumed",
    ]  # fmt: skip
    assert "evidence" not in data["batches"][0]
    assert CampaignReport.from_json(data).batches[1].evidence == "look_up"
    assert CampaignReport.from_json(data).batches[0].evidence is None


# Of a mapped task


OTHER = replace(SENT, gateway_id="99", reference="xyz", at=LATE, cost=Decimal("0.045"), segments=1)


def test_the_reports_of_a_mapped_task_become_one() -> None:
    one = report_of([SENT], invalid=1, scheduled_for="2031-05-07T12:00:00+02:00").to_json()
    two = report_of([OTHER], duplicate=2, scheduled_for="2031-05-07T11:00:00+00:00").to_json()
    for given_as in ([one, two], (one, None, two), json.dumps([one, two]), str([one, two])):
        report = read_report(given_as)
        assert [batch.reference for batch in report.batches] == [SENT.reference, "xyz"]
        assert report.counts["recipients"] == SENT.size * 2 + 3
        assert (report.counts["invalid"], report.counts["duplicate"]) == (1, 2)
        assert report.sent_at == LATE
        assert report.scheduled_for == "2031-05-07T11:00:00+00:00"  # the later of the two instants
        assert report.cost == (SENT.cost or 0) + Decimal("0.045")
    assert read_report([one]) == read_report(one)


def test_a_dry_run_among_reports_counts_for_nothing() -> None:
    real, dry = report_of([SENT]).to_json(), report_of([OTHER], dry_run="simulated").to_json()
    assert read_report([dry, real]) == read_report(real)
    assert read_report([dry, dry]).dry_run == "simulated"


@pytest.mark.parametrize(
    ("name", "value"), [("gateway", "octopush"), ("conn_id", "other"), ("kind", "tts")]
)  # fmt: skip
def test_reports_that_cannot_be_asked_about_together_are_refused(name: str, value: str) -> None:
    one, two = report_of([SENT]).to_json(), {**report_of([OTHER]).to_json(), name: value}
    with pytest.raises(
        ConfigurationError, match=rf"^campaign: holds reports of {name} .*{value}.*a task for each"
    ):
        read_report([one, two])


@pytest.mark.parametrize("nothing", [[], [None, None], ()])
def test_a_mapped_task_whose_instances_were_all_skipped_has_no_report(nothing: Any) -> None:
    with pytest.raises(ConfigurationError, match="were all mapped instances skipped"):
        read_report(nothing)
