"""Whole DAGs through Airflow's own task runner, over real HTTP to the sandbox: what a user of the package would see."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import randrange
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.hooks.contacts import Source, load_directory
from airflow_provider_voicepartner.sandbox.faults import Fault
from airflow_provider_voicepartner.sandbox.outcomes import Rule
from tests.system.conftest import CONTACTS

pytestmark = pytest.mark.airflow3

A, B, C, D, E = (f"+336123456{tail:02d}" for tail in range(1, 6))

RunDag = Callable[..., Any]
Reached = Callable[[str], dict[str, int]]


def texts_sent(sandbox: Any, gateway: str) -> dict[str, str]:
    """Return the last text that each number was sent."""
    return {
        line.number: line.text or campaign.text
        for campaign in sandbox.world.campaigns[gateway].values()
        for line in campaign.lines
    }


def test_sms_with_personal_texts(run_dag: RunDag, sandbox: Any, reached: Reached) -> None:
    run = run_dag("send_sms")
    assert run.state == "success"
    report = run.xcoms["remind"]
    assert report["counts"]["accepted"] == 2
    assert report["gateway"] == "smspartner"
    assert reached("smspartner") == {A: 1, B: 1}
    texts = texts_sent(sandbox, "smspartner")
    assert texts[A].startswith("Bonjour Amélie, rendez-vous demain")
    assert texts[B].endswith("a 10:00.")


def test_the_first_dag_of_the_readme(run_dag: RunDag, sandbox: Any, reached: Reached) -> None:
    assert run_dag("reminders").state == "success"
    assert reached("smspartner") == {A: 1}
    assert texts_sent(sandbox, "smspartner")[A].startswith("Bonjour Amélie, rendez-vous")


def test_calls_through_both_gateways(run_dag: RunDag, reached: Reached) -> None:
    run = run_dag("tts_call")
    assert run.state == "success"
    assert reached("voicepartner") == {A: 1, "+33142685308": 1}
    assert reached("octopush") == {"+33142685308": 1}


def test_voicemail_drop_with_a_file_of_the_account(run_dag: RunDag, reached: Reached) -> None:
    assert run_dag("voicemail_drop").state == "success"
    assert reached("voicepartner") == {A: 1}


def test_a_scheduled_campaign_is_taken_back(run_dag: RunDag, reached: Reached) -> None:
    run = run_dag("cancel_campaign")
    assert run.state == "success"
    assert run.xcoms["take_back"] == {
        "cancelled": 1, "already_cancelled": 0, "too_late": 0, "refunded": None,
    }  # fmt: skip
    assert reached("smspartner") == {}


@pytest.mark.slow
def test_cancelling_a_voicemail_gives_the_credit_back(run_dag: RunDag) -> None:
    run = run_dag("cancels")
    assert run.state == "success"
    assert run.xcoms["cancel"]["refunded"] == "0.15"


@pytest.mark.slow
def test_one_cancel_takes_back_all_instances_of_a_mapped_task(run_dag: RunDag) -> None:
    run = run_dag("cancels_mapped")
    assert run.state == "success"
    assert run.xcoms["cancel"] == {
        "cancelled": 2, "already_cancelled": 0, "too_late": 0, "refunded": "0.30"
    }  # fmt: skip


def test_one_sensor_waits_for_all_instances_of_a_mapped_task(
    run_dag: RunDag, reached: Reached, ticking: Any
) -> None:
    run = run_dag("mapped_to_the_end")
    assert run.state == "success"
    assert reached("smspartner") == {A: 1, B: 1, C: 1}
    assert (run.xcoms["wait"]["expected"], run.xcoms["wait"]["delivered"]) == (3, 3)


def test_the_sensor_waits_until_everybody_has_a_final_status(run_dag: RunDag, ticking: Any) -> None:
    run = run_dag("reschedules")
    assert run.state == "success"
    assert run.xcoms["wait"]["delivered"] == 1
    assert run.xcoms["wait"]["delivery_rate"] == 1.0


@pytest.mark.slow
def test_a_sensor_that_gives_up_softly_skips(run_dag: RunDag, ticking: Any) -> None:
    ticking.world.rules.set(Rule(number=A, outcome="silent"))
    run = run_dag("gives_up_softly")
    assert run.tasks == {"send": "success", "wait": "skipped"}


def test_a_campaign_that_is_known_by_callback_only_fails_the_sensor_at_once(run_dag: RunDag) -> None:
    run = run_dag("needs_callbacks")
    assert run.tasks == {"call": "success", "wait": "failed"}
    assert "reports delivery only by callback" in run.log


def test_outreach_reaches_everybody_in_the_file(
    run_dag: RunDag, ticking: Any, reached: Reached, tmp_path: Path
) -> None:
    for number in (B, C):
        ticking.world.rules.set(Rule(number=number, gateway="smspartner", outcome="not_delivered"))
    run = run_dag("outreach_campaign", folder=str(tmp_path))
    assert run.state == "success"
    assert run.xcoms["send_sms"]["counts"] == {
        "recipients": 10, "accepted": 7, "invalid": 2, "duplicate": 1,
        "opted_out": 0, "refused": 0, "in_doubt": 0,
    }  # fmt: skip
    assert run.xcoms["wait_for_sms"]["delivered"] == 5
    assert run.xcoms["split_unreached"] == {"call_mobiles": 1, "call_landlines": 1, "voicemail": 2}
    assert reached("voicepartner") == {B: 1, C: 1, "+33142685309": 1}
    assert reached("octopush") == {"+33142685308": 1}
    (rejects,) = tmp_path.glob("*/no_sms.csv")
    with rejects.open(encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file)][1:] == ["9", "10"]


def test_mapped_tasks_send_each_their_own(run_dag: RunDag, reached: Reached) -> None:
    run = run_dag("mapped")
    assert run.state == "success"
    assert reached("smspartner") == {A: 1, B: 1, C: 1, D: 1}
    assert run.xcoms["send[0]"]["counts"]["accepted"] == 2


@pytest.mark.slow
def test_recipients_from_xcom_and_from_a_template(run_dag: RunDag, reached: Reached, sandbox: Any) -> None:
    run = run_dag("xcom_input")
    assert run.state == "success"
    assert reached("smspartner") == {A: 1, B: 1, C: 1, "+590690123405": 1}
    assert reached("octopush") == {C: 1, "+590690123405": 1}
    texts = texts_sent(sandbox, "smspartner")
    assert (texts[A], texts[B]) == ("Code A1", "Code B2")


def test_a_value_that_a_template_misses_is_neither_sent_nor_retried(run_dag: RunDag, sandbox: Any) -> None:
    run = run_dag("missing_values")
    assert set(run.tasks.values()) == {"failed"}
    assert run.log.count("the template uses a missing value (None)") >= 3
    assert "'nobdy' is undefined" in run.log
    assert sandbox.world.requests.total == 0


LOST_ANSWERS = ["drop_after", "drop_mid_answer", "queued_without_id", "truncated_json", "html"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", LOST_ANSWERS)
def test_a_lost_answer_is_settled_by_looking_up_our_reference(
    run_dag: RunDag, sandbox: Any, reached: Reached, kind: str
) -> None:
    sandbox.world.faults.add(Fault(kind=kind, gateway="smspartner", path="/send", taken=True))
    run = run_dag("retried")
    assert run.tasks == {"send": "success"}
    assert "was sent: the gateway knows its reference" in run.log
    assert reached("smspartner") == {A: 1, B: 1}
    (batch,) = run.xcoms["send"]["batches"]
    assert (batch["state"], batch["gateway_id"], batch["tag"]) == ("sent", None, batch["reference"])


def test_a_lost_answer_is_settled_by_a_repeat_that_the_gateway_recognises(
    run_dag: RunDag, sandbox: Any, reached: Reached
) -> None:
    for path in ("sms-campaign/send", "voice-campaign/send"):
        sandbox.world.faults.add(Fault(kind="drop_after", path=path))
    run = run_dag("retried_everywhere")
    assert (run.tasks["octopush_sms"], run.tasks["octopush_call"]) == ("success", "success")
    assert "refused its repeat as a duplicate" in run.log
    assert reached("octopush") == {B: 1, D: 1}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", LOST_ANSWERS[:2])
def test_what_nothing_proves_is_never_sent_again_by_a_retry(
    run_dag: RunDag, sandbox: Any, reached: Reached, kind: str
) -> None:
    for path in ("tts/send", "v1/campaign/send"):
        sandbox.world.faults.add(Fault(kind=kind, path=path))
    run = run_dag("retried_everywhere")
    assert (run.tasks["call"], run.tasks["voicemail"]) == ("failed", "failed")
    assert "SendOutcomeUnknownError" in run.log
    assert reached("voicepartner") == {C: 1, E: 1}


def test_what_was_provably_refused_is_sent_by_the_retry_once(
    run_dag: RunDag, sandbox: Any, reached: Reached
) -> None:
    # Four attempts inside the hook give up; Airflow's retry then gets through.
    sandbox.world.faults.add(Fault(kind="429", gateway="smspartner", path="/send", times=4, retry_after=0))
    run = run_dag("retried")
    assert run.tasks == {"send": "success"}
    assert reached("smspartner") == {A: 1, B: 1}


@pytest.mark.slow
def test_every_way_of_sending_survives_a_retry_after_429(
    run_dag: RunDag, sandbox: Any, reached: Reached
) -> None:
    for path in (
        "smspartner/v1/send",
        "sms-campaign/send",
        "tts/send",
        "voice-campaign/send",
        "v1/campaign/send",
    ):
        sandbox.world.faults.add(Fault(kind="429", path=path, times=4, retry_after=0))
    run = run_dag("retried_everywhere")
    assert set(run.tasks.values()) == {"success"}
    assert reached("smspartner") == {A: 1}
    assert reached("octopush") == {B: 1, D: 1}
    assert reached("voicepartner") == {C: 1, E: 1}


def test_a_retry_after_success_sends_nothing_and_gives_the_same_report(
    run_dag: RunDag, sandbox: Any, reached: Reached
) -> None:
    run = run_dag("fails_after_sending")
    assert run.tasks == {"send": "success"}
    assert reached("smspartner") == {A: 1}
    assert run.xcoms["send"]["counts"]["accepted"] == 1
    assert run.xcoms["send"]["cost"] == "0.045"
    assert "was sent by an earlier attempt; it is not sent again" in run.log


def test_a_retry_whose_text_changed_sends_nothing_and_says_why(run_dag: RunDag, reached: Reached) -> None:
    run = run_dag("changes_between_tries")
    assert run.tasks == {"send": "failed"}
    assert "has changed since an earlier attempt" in run.log
    assert reached("smspartner") == {A: 1}


@pytest.mark.slow
def test_a_text_that_tells_the_time_is_not_sent_again(run_dag: RunDag, reached: Reached) -> None:
    run = run_dag("tells_the_time")
    assert run.tasks == {"send": "failed"}
    assert "a template of the present time does that" in run.log
    assert reached("smspartner") == {A: 1}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("is_named", "times"), [(True, 1), (False, 2)])
def test_a_test_run_is_an_earlier_one_only_by_both_of_its_dates(
    dags: Any, sandbox: Any, reached: Reached, is_named: bool, times: int
) -> None:
    """Airflow 3 names a run after ``run_after``, which is the present where it is not given."""
    date = pendulum.now("UTC").subtract(days=3 if is_named else 4, microseconds=randrange(10**6))
    more = {"run_after": date} if is_named else {}
    runs = [dags["fails_after_sending"].test(logical_date=date, **more) for _ in range(2)]
    assert [str(run.state) for run in runs] == ["success", "success"]
    assert (runs[0].run_id == runs[1].run_id) == is_named
    assert reached("smspartner") == {A: times}


def test_a_task_that_is_cleared_after_success_sends_nothing_again(
    run_dag: RunDag, clear_and_run: Callable[[str], Any], reached: Reached
) -> None:
    first = run_dag("mapped")
    second = clear_and_run("mapped")
    assert set(second.tasks.values()) == {"success"}
    assert reached("smspartner") == {A: 1, B: 1, C: 1, D: 1}
    assert second.xcoms["send[0]"] == first.xcoms["send[0]"]


@pytest.mark.slow
def test_a_variable_sends_one_run_again_and_once(
    run_dag: RunDag,
    clear_and_run: Callable[[str], Any],
    reached: Reached,
    variable: Callable[[str, str], None],
) -> None:
    """As docs/retries.md has it; a run keeps its params when it is cleared, so they could not."""
    run_dag("sends_again")
    for others in ("{}", '{"manual__2031-05-06T12:00:00+00:00": "the first text was wrong"}'):
        variable("send_again", others)
        assert clear_and_run("sends_again").tasks == {"send": "success"}
        assert reached("smspartner") == {A: 1}
    variable("send_again", json.dumps({last_run("sends_again"): "the first text was wrong"}))
    for _ in range(2):
        clear_and_run("sends_again")
        assert reached("smspartner") == {A: 2}


def last_run(dag_id: str) -> str:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        last = session.query(DagRun).filter_by(dag_id=dag_id).order_by(DagRun.id.desc()).first()
        return str(last.run_id)


def write_lists(folder: Path, *lists: str) -> str:
    """Write what the DAG ``mapped_over_a_file`` is mapped over: a list for each instance."""
    path = folder / "lists.txt"
    path.write_text("\n".join(lists), encoding="utf-8")
    return str(path)


def test_mapped_tasks_whose_list_comes_in_another_order_send_nothing_again(
    run_dag: RunDag, clear_and_run: Callable[[str], Any], reached: Reached, tmp_path: Path
) -> None:
    assert run_dag("mapped_over_a_file", file=write_lists(tmp_path, A, B)).state == "success"
    write_lists(tmp_path, B, A)
    again = clear_and_run("mapped_over_a_file")
    assert again.tasks == {"listed": "success", "send[0]": "failed", "send[1]": "failed"}
    assert "has changed since an earlier attempt" in again.log
    assert reached("smspartner") == {A: 1, B: 1}


def refuse_the_second_batch(sandbox: Any) -> None:
    # All four arrivals of it, so that its task fails; which instance comes second is Airflow's choice.
    sandbox.world.faults.add(Fault(kind="429", path="/send", skip=1, times=4, retry_after=0))


@pytest.mark.slow
def test_a_mapped_task_that_sent_nothing_does_not_send_what_another_one_sent(
    run_dag: RunDag, clear_and_run: Callable[[str], Any], sandbox: Any, reached: Reached, tmp_path: Path
) -> None:
    refuse_the_second_batch(sandbox)
    first = run_dag("mapped_over_a_file", file=write_lists(tmp_path, A, B))
    assert sorted(first.tasks.values()) == ["failed", "success", "success"]
    (once,) = reached("smspartner")
    write_lists(tmp_path, B, A)
    again = clear_and_run("mapped_over_a_file")
    assert again.tasks == {"listed": "success", "send[0]": "failed", "send[1]": "failed"}
    assert "before what the task is mapped over was made anew" in again.log
    assert reached("smspartner") == {once: 1}
    write_lists(tmp_path, A, B)
    restored = clear_and_run("mapped_over_a_file")
    assert set(restored.tasks.values()) == {"success"}
    assert reached("smspartner") == {A: 1, B: 1}


@pytest.mark.slow
def test_a_mapped_task_that_sent_nothing_goes_on_when_it_is_cleared(
    run_dag: RunDag, clear_and_run: Callable[[str], Any], sandbox: Any, reached: Reached, tmp_path: Path
) -> None:
    refuse_the_second_batch(sandbox)
    first = run_dag("mapped_over_a_file", file=write_lists(tmp_path, f"{A},{B}", f"{C},{D}"))
    assert sorted(first.tasks.values()) == ["failed", "success", "success"]
    again = clear_and_run("mapped_over_a_file")
    assert set(again.tasks.values()) == {"success"}
    assert reached("smspartner") == {A: 1, B: 1, C: 1, D: 1}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ((A, B), (E, A, B), "failed"),
        ((f"{A},{B}", f"{C},{D}"), (f"{E},{A}", f"{B},{C}", D), "failed"),
        ((A, B), (A, B, E), "success"),
    ],
    ids=["in front", "in front, of groups", "behind"],
)
def test_one_more_in_what_a_task_is_mapped_over(
    run_dag: RunDag,
    clear_and_run: Callable[[str], Any],
    reached: Reached,
    tmp_path: Path,
    before: tuple[str, ...],
    after: tuple[str, ...],
    state: str,
) -> None:
    assert run_dag("mapped_over_a_file", file=write_lists(tmp_path, *before)).state == "success"
    counts = reached("smspartner")
    write_lists(tmp_path, *after)
    again = clear_and_run("mapped_over_a_file")
    assert again.tasks["send[2]"] == state
    assert reached("smspartner") == counts | ({E: 1} if state == "success" else {})


def test_equal_lists_of_one_mapped_task_are_all_sent_once(
    run_dag: RunDag, clear_and_run: Callable[[str], Any], sandbox: Any, reached: Reached, tmp_path: Path
) -> None:
    refuse_the_second_batch(sandbox)
    run_dag("mapped_over_a_file", file=write_lists(tmp_path, A, A, A))
    assert reached("smspartner") == {A: 2}
    for _ in range(2):
        assert set(clear_and_run("mapped_over_a_file").tasks.values()) == {"success"}
        assert reached("smspartner") == {A: 3}


def people_file(folder: Path, count: int) -> tuple[str, set[str]]:
    """Write a file of so many people; return its path and their numbers."""
    numbers = [f"+3361{1_000_000 + index * 7}" for index in range(count)]
    path = folder / "people.csv"
    path.write_text("phone_number\n" + "".join(f"{number}\n" for number in numbers), encoding="utf-8")
    return str(path), set(numbers)


def test_one_task_sends_a_file_of_many_batches(
    run_dag: RunDag, sandbox: Any, reached: Reached, tmp_path: Path
) -> None:
    path, numbers = people_file(tmp_path, 1_203)
    run = run_dag("many_batches", file=path)
    assert run.tasks == {"send": "success"}
    assert reached("smspartner") == dict.fromkeys(numbers, 1)
    report = run.xcoms["send"]
    assert [batch["accepted"] for batch in report["batches"]] == [500, 500, 203]
    assert report["counts"]["accepted"] == 1_203
    assert report["cost"] == "54.135"


def test_a_campaign_that_the_account_cannot_pay_sends_nothing(
    run_dag: RunDag, sandbox: Any, reached: Reached, tmp_path: Path
) -> None:
    sandbox.world.credit["smspartner"] = Decimal("30")
    run = run_dag("many_batches", file=people_file(tmp_path, 1_203)[0])
    assert run.tasks == {"send": "failed"}
    assert "the account has 30" in run.log
    assert reached("smspartner") == {}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("dag_id", "gateway", "end"),
    [("many_batches", "smspartner", "simulated"), ("many_calls", "voicepartner", "would_send")],
)
def test_a_dry_run_goes_the_whole_way_and_sends_nothing(
    run_dag: RunDag, reached: Reached, tmp_path: Path, dag_id: str, gateway: str, end: str
) -> None:
    run = run_dag(dag_id, file=people_file(tmp_path, 700)[0], dry_run=True)
    assert run.tasks == {"send": "success"}
    assert run.xcoms["send"]["dry_run"] == end
    assert run.xcoms["send"]["counts"]["accepted"] == 700
    assert reached(gateway) == {}


def test_a_failing_task_sends_its_alert(run_dag: RunDag, sandbox: Any, reached: Reached) -> None:
    run = run_dag("alert_on_failure")
    assert run.tasks == {"fragile": "failed"}
    contacts = load_directory(Source("file", str(CONTACTS)))
    [whoever] = contacts.people_of("oncall", datetime.now(UTC))
    [number] = contacts.numbers_of(whoever, "sms")
    assert reached("smspartner") == {number: 1}
    text = texts_sent(sandbox, "smspartner")[number]
    assert text.startswith("Airflow: alert_on_failure.fragile failed")
    assert len(text) <= 160


def test_nothing_private_reaches_airflows_database_or_logs(
    run_dag: RunDag,
    ticking: Any,
    variable: Callable[[str, str], None],
    airflow_files: Callable[[], dict[str, bytes]],
    tmp_path: Path,
) -> None:
    text = "Confidentiel: le code du coffre est Rouge-Gorge"
    numbers = {"0613579246", "0690135792", "0613579O46", "0142685397"}
    variable("people", "0613579246, 06 90 13 57 92, 0613579O46")
    variable("landline", "0142685397")
    variable("duty", "0698765432")
    variable("text", text)
    variable("report", str(tmp_path / "report.csv"))
    run = run_dag("private")
    assert run.tasks == {"send": "success", "wait": "success", "refuse": "failed", "too_long": "failed"}
    report = (tmp_path / "report.csv").read_text(encoding="utf-8")
    assert "+33613579246,delivered" in report

    planted = {text, "Rouge-Gorge", "planted-key", "planted-login"}
    for number in numbers | {"0698765432"}:
        planted |= {number, number[1:], number[-8:], " ".join(number[at : at + 2] for at in range(0, 10, 2))}
    haystack = {"the log": run.log.encode(), "XCom": json.dumps(run.xcoms).encode(), **airflow_files()}
    found = [
        (needle, place) for place, data in haystack.items() for needle in planted if needle.encode() in data
    ]
    assert found == []
    # The search itself works: what may be shown is found.
    for shown in (b"characters (hidden)", run.xcoms["send"]["batches"][0]["gateway_id"].encode()):
        assert any(shown in data for data in haystack.values())
