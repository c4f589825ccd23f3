"""Wait for a campaign: done when everybody has a final status, patient with what passes, clear about what does not."""

from __future__ import annotations

import csv
import inspect
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    DeliveryFailedError,
    DeliveryUnconfirmedError,
    OutcomePendingError,
    RejectedError,
)
from airflow_provider_voicepartner.hooks.registry import hook_for
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from tests.conftest import KEYS
from tests.support.gateways import fault, outcome, requests
from tests.support.servers import answer, counting_server
from tests.support.tasks import FakeStore, Logs, assert_plain, context

ANNA, BEN, ZOE = "+33612345678", "+33612345679", "+33612345670"
DAY = 86_400


def send(*people: str, **arguments: Any) -> dict[str, Any]:
    operator = SendSmsOperator(task_id="send", to=list(people or (ANNA, BEN)), message="Bonjour", **arguments)
    return operator.execute(context(FakeStore()))


def sensor(campaign: Any, **arguments: Any) -> CampaignCompletionSensor:
    return CampaignCompletionSensor(task_id="wait", campaign=campaign, **arguments)


def poke(campaign: Any, **arguments: Any) -> Any:
    return sensor(campaign, **arguments).poke(context())


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the sensor's own clock, which says how long ago a campaign was sent."""
    shift = 0.0

    def shifted(*args: Any, **kwargs: Any) -> Any:
        hook = hook_for(*args, **kwargs)
        hook.sender.now = lambda: datetime.now(UTC) + timedelta(seconds=shift)
        hook.sender.sleep = lambda seconds: None
        return hook

    def move(seconds: float) -> None:
        nonlocal shift
        shift += seconds

    monkeypatch.setattr("airflow_provider_voicepartner.hooks.polling.hook_for", shifted)
    return move


@pytest.fixture
def naps(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the time between two pokes pass at once, also for the sandbox."""
    slept: list[float] = []
    moment = time.monotonic()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        sandbox.advance(seconds)

    clock = SimpleNamespace(
        sleep=sleep,
        monotonic=lambda: moment + sum(slept),
        time=time.time,
        perf_counter=lambda: moment + sum(slept),
    )
    module = inspect.getmodule(BaseSensorOperator.execute)
    monkeypatch.setattr(module, "time", clock)
    return slept


def test_it_is_done_when_everybody_has_a_final_status_and_returns_the_counts(sandbox: Any) -> None:
    outcome(sandbox, BEN, "not_delivered")
    report = send()
    assert poke(report) is False
    sandbox.advance(DAY)
    done = poke(report)
    assert isinstance(done, PokeReturnValue)
    assert done.is_done
    assert done.xcom_value == {
        "expected": 2, "pending": 0, "delivered": 1, "failed": 1, "undeliverable": 0, "opted_out": 0, "cancelled": 0,
        "unconfirmed": 0, "delivery_rate": 0.5,
    }  # fmt: skip
    assert_plain(done.xcom_value)


def test_a_person_of_whom_nothing_is_told_keeps_it_waiting(sandbox: Any) -> None:
    outcome(sandbox, BEN, "silent")
    report = send()
    sandbox.advance(DAY)
    assert poke(report) is False


def test_all_batches_must_be_final(sandbox: Any) -> None:
    outcome(sandbox, ZOE, "late", after=7200)
    first, second = send(ANNA, BEN), send(ZOE)
    both = {**first, "batches": first["batches"] + second["batches"]}
    sandbox.advance(3600)
    assert poke(both) is False
    sandbox.advance(7200)
    assert poke(both).xcom_value["delivered"] == 3


@pytest.mark.parametrize("body", ['{"success": true, "code": 200, "StatutResponse_List": []}'])
def test_an_empty_list_is_not_done_not_even_long_after(
    sandbox: Any, set_connection: Any, later: Callable[[float], None], body: str
) -> None:
    report = send()
    later(2 * DAY)
    with counting_server(answer(200, body)) as server:
        set_connection("smspartner", host=server.url)
        assert poke(report) is False
        assert len(server.received) == 1
        later(2 * DAY)
        with pytest.raises(DeliveryUnconfirmedError, match="2 unconfirmed of 2"):
            poke(report)
        counts = poke(report, on_unconfirmed="succeed").xcom_value
        assert (counts["unconfirmed"], counts["delivered"]) == (2, 0)


def uncounted(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report as it is where the answer did not count SMS, so that everybody was taken for accepted."""
    [batch] = report["batches"]
    assert batch["accepted"] == report["counts"]["recipients"] - 1
    return {**report, "batches": [{**batch, "accepted": report["counts"]["recipients"]}]}


def test_people_whom_the_gateway_left_out_without_a_word_are_unconfirmed_in_the_end(
    sandbox: Any, later: Callable[[float], None]
) -> None:
    """SMS Partner takes a batch and leaves out who said STOP; an answer without a count of SMS does not tell."""
    outcome(sandbox, BEN, "opted_out")
    report = uncounted(send())
    sandbox.advance(DAY)
    assert poke(report) is False
    later(3700)
    counts = poke(report, on_unconfirmed="succeed").xcom_value
    assert (counts["expected"], counts["delivered"], counts["unconfirmed"], counts["delivery_rate"]) == (
        2,
        1,
        1,
        0.5,
    )
    assert poke(report, unlisted_grace=10 * DAY) is False


def test_nobody_is_given_up_while_others_of_the_batch_are_under_way(
    sandbox: Any, later: Callable[[float], None]
) -> None:
    outcome(sandbox, BEN, "opted_out")
    outcome(sandbox, ZOE, "silent")
    report = uncounted(send(ANNA, BEN, ZOE))
    sandbox.advance(DAY)
    later(DAY)
    assert poke(report) is False


def test_not_found_is_tolerated_right_after_sending_and_fails_later(
    sandbox: Any, later: Callable[[float], None]
) -> None:
    sandbox.world.settings.smspartner.visible_after = 10_000
    report = send()
    assert poke(report) is False
    later(299)
    assert poke(report) is False
    later(2)
    with pytest.raises(RejectedError) as caught:
        poke(report)
    assert isinstance(caught.value, AirflowFailException)
    assert poke(report, not_found_grace=3600) is False


def test_a_planned_campaign_is_not_asked_about_before_its_time(
    sandbox: Any, later: Callable[[float], None]
) -> None:
    report = send(send_at=datetime.now(UTC) + timedelta(hours=2))
    before = requests(sandbox)
    later(7100)
    assert poke(report) is False
    assert requests(sandbox) == before
    later(200)
    # The gateway may not know it at once: the grace begins at the planned time.
    sandbox.world.settings.smspartner.visible_after = 50_000
    assert poke(report) is False
    assert requests(sandbox) == before + 1
    sandbox.advance(3 * 3600 + 50_000)
    assert poke(report).xcom_value["delivered"] == 2


def test_the_list_of_recipients_is_not_written_over(sandbox: Any, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text(f"phone_number\n{ANNA}\n", encoding="utf-8")
    before = requests(sandbox)
    with pytest.raises(ConfigurationError, match="report_path: there is a file already"):
        poke(send(), report_path=str(people))
    assert requests(sandbox) == before + 1
    assert people.read_text(encoding="utf-8") == f"phone_number\n{ANNA}\n"


@pytest.mark.parametrize("conn_id", ["smspartner_default", "octopush_default"])
def test_a_cancelled_campaign_ends_the_wait_and_is_delivered_to_nobody(
    sandbox: Any, later: Callable[[float], None], conn_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator

    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
    report = send(send_at=datetime.now(UTC) + timedelta(hours=2), conn_id=conn_id)
    assert poke(report) is False
    CancelCampaignOperator(task_id="cancel", campaign=report).execute(context())
    before = requests(sandbox)
    counts = poke(report).xcom_value
    assert (counts["cancelled"], counts["delivered"], counts["pending"]) == (2, 0, 0)
    assert requests(sandbox) == before
    with pytest.raises(DeliveryFailedError):
        poke(report, min_delivery_rate=0.1)


def test_a_gateway_that_cannot_be_reached_is_asked_again(
    sandbox: Any, set_connection: Any, logs: Logs, later: Callable[[float], None]
) -> None:
    report = send()
    set_connection("smspartner", host="http://127.0.0.1:1")
    assert poke(report) is False
    assert "will try again" in logs.text


@pytest.mark.parametrize(
    "trouble",
    ["429", "500", "503", "html", "wrong_json", "truncated_json", "empty", "drop_before", "drop_after"],
)
def test_trouble_with_a_question_passes(sandbox: Any, later: Callable[[float], None], trouble: str) -> None:
    report = send()
    sandbox.advance(DAY)
    fault(sandbox, trouble, times=None, retry_after=0 if trouble == "429" else None)
    started = time.monotonic()
    assert poke(report) is False
    assert time.monotonic() - started < 10
    sandbox.world.faults.clear()
    assert poke(report).xcom_value["delivered"] == 2


def test_a_wrong_key_ends_the_wait_at_once(sandbox: Any) -> None:
    report = send()
    sandbox.world.settings.smspartner.api_key = "another"
    with pytest.raises(RejectedError) as caught:
        poke(report)
    assert isinstance(caught.value, AirflowFailException)
    assert KEYS["smspartner"] not in str(caught.value)


@pytest.mark.usefixtures("one_look_up")
def test_what_was_only_assumed_sent_is_unconfirmed_and_never_delivered(
    sandbox: Any, later: Callable[[float], None]
) -> None:
    store, arguments = FakeStore(), {"task_id": "send", "to": [ANNA, BEN], "message": "Bonjour"}
    fault(sandbox, "drop_before")
    with pytest.raises(OutcomePendingError):
        SendSmsOperator(**arguments).execute(context(store))
    report = SendSmsOperator(**arguments, on_unknown="assume_sent").execute(context(store, try_number=2))
    later(DAY)
    counts = poke(report, on_unconfirmed="succeed").xcom_value
    assert (counts["expected"], counts["unconfirmed"], counts["delivered"]) == (2, 2, 0)
    with pytest.raises(DeliveryFailedError):
        poke(report, min_delivery_rate=0.1)


@pytest.mark.usefixtures("one_look_up")
@pytest.mark.parametrize("make_store", [FakeStore, lambda: None], ids=["ledger", "a task without a trace"])
def test_what_was_only_assumed_sent_is_waited_for_like_anything_else(
    sandbox: Any, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, make_store: Any
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
    arguments = {"task_id": "call", "to": ANNA, "text": "Bonjour", "conn_id": "voicepartner_default"}
    store = make_store()
    fault(sandbox, "drop_before")
    with pytest.raises(OutcomePendingError):
        TtsCallOperator(**arguments).execute(context(store))
    report = TtsCallOperator(**arguments, on_unknown="assume_sent").execute(context(store, try_number=2))
    assert report["batches"][0]["state"] == "assumed_sent"
    later(23 * 3600)
    assert poke(report) is False
    later(3600)
    with pytest.raises(DeliveryUnconfirmedError, match="1 unconfirmed of 1"):
        poke(report)


def test_a_batch_whose_answer_was_lost_is_asked_about_by_its_tag(sandbox: Any) -> None:
    fault(sandbox, "drop_after")
    report = SendSmsOperator(task_id="send", to=[ANNA, BEN], message="Bonjour").execute(context(FakeStore()))
    assert report["batches"][0]["gateway_id"] is None
    sandbox.advance(DAY)
    assert poke(report).xcom_value["delivered"] == 2


@pytest.mark.parametrize("conn_id", ["voicepartner_default", "octopush_default"])
def test_results_that_only_come_by_callback_fail_at_once_and_say_so(sandbox: Any, conn_id: str) -> None:
    operator = TtsCallOperator(task_id="call", to=ANNA, text="Bonjour", conn_id=conn_id)
    report = operator.execute(context(FakeStore()))
    with pytest.raises(
        DeliveryUnconfirmedError,
        match=r"only by callback, and .* public_url and callback_secret are not set",
    ) as caught:
        sensor(report, poke_interval=3600, timeout=DAY).execute(context())
    assert isinstance(caught.value, AirflowFailException)


def test_another_gateways_connection_is_refused_since_its_ids_mean_other_campaigns(sandbox: Any) -> None:
    report = send(conn_id="octopush_default")
    with pytest.raises(ConfigurationError, match=r"conn_id: .*'smspartner'.*'octopush'"):
        poke(report, conn_id="smspartner_default")


# How many must have got it


def test_too_low_a_rate_fails_and_says_by_how_much(sandbox: Any) -> None:
    outcome(sandbox, BEN, "not_delivered")
    report = send()
    sandbox.advance(DAY)
    with pytest.raises(
        DeliveryFailedError, match=r"min_delivery_rate: 60\.00% required, 50\.00% reached: 1 delivered"
    ):
        poke(report, min_delivery_rate=0.6)
    assert poke(report, min_delivery_rate="0.5").xcom_value["delivered"] == 1
    assert poke(report, min_delivery_rate="").xcom_value["delivered"] == 1


def test_a_lost_rate_fails_at_once_only_when_told_so(sandbox: Any) -> None:
    outcome(sandbox, ANNA, "not_delivered", after=10)
    outcome(sandbox, BEN, "late", after=7200)
    report = send()
    sandbox.advance(60)
    assert poke(report, min_delivery_rate=0.9) is False
    with pytest.raises(DeliveryFailedError, match="1 pending"):
        poke(report, min_delivery_rate=0.9, fail_fast=True)
    assert poke(report, min_delivery_rate=0.5, fail_fast=True) is False


@pytest.mark.parametrize("rate", [1.5, -0.1, "high", "nan", [1], 95], ids=repr)
def test_a_rate_that_is_no_share_is_refused_before_the_gateway_is_asked(sandbox: Any, rate: Any) -> None:
    report = send()
    before = requests(sandbox)
    with pytest.raises(
        ConfigurationError, match=r"min_delivery_rate: .* not a share from 0 to 1, such as 0.95"
    ):
        poke(report, min_delivery_rate=rate)
    assert requests(sandbox) == before


def test_the_report_file_tells_of_each_person_once_complete(sandbox: Any, tmp_path: Path) -> None:
    outcome(sandbox, BEN, "not_delivered")
    report, file = send(), tmp_path / "new" / "report.csv"
    assert poke(report, report_path=str(file)) is False
    assert not file.exists()
    sandbox.advance(DAY)
    with pytest.raises(DeliveryFailedError):
        poke(report, report_path=str(file), min_delivery_rate=1)
    with file.open(encoding="utf-8") as handle:
        rows = {row["phone_number"]: row for row in csv.DictReader(handle)}
    assert {number: row["status"] for number, row in rows.items()} == {ANNA: "delivered", BEN: "failed"}
    assert rows[BEN]["gateway_status"] == "Not delivered"
    assert datetime.fromisoformat(rows[ANNA]["at"]).utcoffset() is not None


# As Airflow runs it


def test_it_pokes_until_done_and_gives_the_counts_to_xcom(sandbox: Any, naps: list[float]) -> None:
    outcome(sandbox, ANNA, "late", after=100)
    outcome(sandbox, BEN, "delivered", after=10)
    counts = sensor(send(), poke_interval=30, timeout=DAY).execute(context())
    assert counts["delivered"] == 2
    assert naps == [30, 30, 30, 30]


def test_it_gives_up_after_its_timeout_and_a_retry_would_not_help(sandbox: Any, naps: list[float]) -> None:
    outcome(sandbox, "*", "silent")
    with pytest.raises(AirflowSensorTimeout):
        sensor(send(), poke_interval=60, timeout=300).execute(context())
    assert 300 <= sum(naps) <= 420


@pytest.mark.parametrize("trouble", ["timeout", "low rate"])
def test_soft_fail_skips(sandbox: Any, naps: list[float], trouble: str) -> None:
    outcome(sandbox, "*", "silent" if trouble == "timeout" else "not_delivered")
    waiting = sensor(send(), poke_interval=60, timeout=DAY // 24, soft_fail=True, min_delivery_rate=0.5)
    with pytest.raises(AirflowSkipException):
        waiting.execute(context())


@pytest.mark.airflow3
def test_in_reschedule_mode_it_lets_go_of_the_worker_between_two_pokes(sandbox: Any) -> None:
    from airflow.sdk.exceptions import AirflowRescheduleException

    ti = SimpleNamespace(try_number=1, get_first_reschedule_date=lambda context: None)
    waiting = sensor(send(), mode="reschedule", poke_interval=60, timeout=DAY)
    begun = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as caught:
        waiting.execute({"ti": ti})
    assert 55 <= (caught.value.reschedule_date - begun).total_seconds() <= 65
    sandbox.advance(DAY)
    assert waiting.execute({"ti": ti})["delivered"] == 2
    long_ago = begun - timedelta(days=2)
    ti.get_first_reschedule_date = lambda context: long_ago
    outcome(sandbox, "*", "silent")
    with pytest.raises(AirflowSensorTimeout):
        sensor(send(ZOE), mode="reschedule", poke_interval=60, timeout=DAY).execute({"ti": ti})


def test_a_report_that_a_template_turned_into_text_is_understood(sandbox: Any) -> None:
    report = send()
    sandbox.advance(DAY)
    for text in ("{{ params.report }}", "{{ params.report | tojson }}"):
        waiting = sensor(text, min_delivery_rate="{{ params.rate }}", conn_id="{{ params.connection }}")
        waiting.render_template_fields(
            context(params={"report": report, "rate": 0.9, "connection": "smspartner_default"})
        )
        assert waiting.poke(context()).xcom_value["delivered"] == 2


def test_what_a_user_may_want_from_a_template_is_one() -> None:
    assert set(CampaignCompletionSensor.template_fields) == {
        "campaign",
        "conn_id",
        "min_delivery_rate",
        "report_path",
        "on_unconfirmed",
    }


@pytest.mark.parametrize("campaign", [None, "", {}, "8000001", []], ids=repr)
def test_what_is_no_report_is_refused(sandbox: Any, campaign: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^campaign: .*send_sms\.output"):
        poke(campaign)
    assert requests(sandbox) == 0


def test_neither_its_log_nor_its_result_holds_a_number_or_a_key(sandbox: Any, logs: Logs) -> None:
    outcome(sandbox, BEN, "ko", status="etwas Neues")
    report = send()
    for trouble in (None, "html", "truncated_json"):
        if trouble:
            fault(sandbox, trouble, status=200) if trouble == "html" else fault(sandbox, trouble)
        poke(report)
    sandbox.advance(DAY)
    shown = logs.text + json.dumps(str(poke(report, fail_fast=True)))
    assert "Campaign: " in shown
    for secret in (KEYS["smspartner"], ANNA[3:], BEN[3:], "Bonjour"):
        assert secret not in shown
