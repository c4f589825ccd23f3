"""The same campaign means the same in every mode: what a poke says, the trigger says, and its event after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import AirflowSkipException
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_reference
from airflow_provider_voicepartner.exceptions import (
    DeliveryFailedError,
    DeliveryUnconfirmedError,
    RejectedError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.model import CampaignDeliveryReport
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from airflow_provider_voicepartner.settings import open_delivery_store
from airflow_provider_voicepartner.triggers.campaign import CampaignCompletionTrigger
from tests.support.gateways import fault, outcome, requests
from tests.support.tasks import FakeStore, assert_plain, context
from tests.support.waiting import ANNA, BEN, DELIVERED, FAILED, PENDING, call, first_event, keep, sms

pytestmark = pytest.mark.usefixtures("public_address")

Outcome = tuple[Any, ...]


def told(work: Callable[[], Any]) -> Outcome:
    try:
        result = work()
    except Exception as error:
        return type(error), str(error) if isinstance(error, VoicePartnerProviderError) else ""
    return "done", result


def by_poking(campaign: Any, **arguments: Any) -> Outcome:
    sensor = CampaignCompletionSensor(task_id="wait", campaign=campaign, deferrable=False, **arguments)
    return told(lambda: sensor.execute(context()))


def by_trigger(campaign: Any, **arguments: Any) -> Outcome:
    """Let the trigger find out all by itself: the first look is skipped."""
    from airflow_provider_voicepartner.hooks.completion import CompletionCheck

    sensor = CampaignCompletionSensor(task_id="wait", campaign=campaign, deferrable=True, **arguments)

    def run() -> Any:
        watch: CompletionCheck = sensor.completion_check(sensor.campaign_report())
        trigger = CampaignCompletionTrigger.of(
            watch, poke_interval=arguments.get("poke_interval", 0.05), deadline=time.time() + sensor.timeout
        )
        watch.close()
        event = first_event(trigger)
        assert_plain(event)
        return sensor.resume_execution("execute_complete", {"event": event}, context())

    return told(run)


def drop(sandbox: Any, set_connection: Any) -> dict[str, Any]:
    extra = {"email_for_notification": "ops@example.org"}
    set_connection("voicepartner", host=sandbox.gateway_url("voicepartner"), extra=extra)
    operator = VoicemailDropOperator(
        task_id="drop", to=[ANNA, BEN], audio_token="a1b2c3d4", conn_id="voicepartner_default"
    )
    return operator.execute(context(FakeStore()))


MODES = pytest.mark.parametrize("wait", [by_poking, by_trigger])


@MODES
@pytest.mark.parametrize("gateway", ["voicepartner", "octopush"])
@pytest.mark.usefixtures("sandbox")
def test_calls_that_come_back_complete_a_campaign(wait: Any, gateway: str) -> None:
    report = call(f"{gateway}_default")
    keep(report, DELIVERED, FAILED)
    status, counts = wait(report)
    assert status == "done"
    assert (counts["expected"], counts["delivered"], counts["failed"]) == (2, 1, 1)


@MODES
def test_one_call_about_all_completes_a_voicemail_drop(wait: Any, sandbox: Any, set_connection: Any) -> None:
    report = drop(sandbox, set_connection)
    batch = report["batches"][0]
    event = CampaignDeliveryReport(
        gateway="voicepartner", campaign_ids=(batch["gateway_id"],), delivered=1, total=2
    )
    store = open_delivery_store()
    key = of_reference("voicepartner", batch["reference"])
    store.write([InboundRecord(key=key, event=event, received_at=time.time())])
    store.close()
    status, counts = wait(report)
    assert (status, counts["delivered"], counts["failed"]) == ("done", 1, 1)


@MODES
def test_sms_partner_is_asked(wait: Any, sandbox: Any) -> None:
    outcome(sandbox, BEN, "not_delivered")
    report = sms()
    sandbox.advance(86_400)
    status, counts = wait(report)
    assert (status, counts["delivered"]) == ("done", 1)


@MODES
def test_sms_partners_calls_may_come_first(wait: Any, sandbox: Any) -> None:
    report = sms()
    keep(report, DELIVERED, DELIVERED)
    status, counts = wait(report)
    assert (status, counts["delivered"]) == ("done", 2)


@MODES
def test_part_by_call_and_part_by_question_are_the_whole(wait: Any, sandbox: Any) -> None:
    outcome(sandbox, BEN, "silent")
    report = sms()
    sandbox.advance(86_400)
    keep(report, PENDING, FAILED)  # BEN, of whom the gateway never tells when it is asked
    status, counts = wait(report)
    assert (status, counts["delivered"], counts["failed"]) == ("done", 1, 1)


@MODES
@pytest.mark.usefixtures("sandbox")
def test_a_rate_that_is_too_low_fails(wait: Any) -> None:
    report = call()
    keep(report, DELIVERED, FAILED)
    error, text = wait(report, min_delivery_rate=0.9)
    assert error is DeliveryFailedError
    assert text.startswith("min_delivery_rate: 90.00% required, 50.00% reached")


@MODES
@pytest.mark.usefixtures("sandbox")
def test_a_rate_that_cannot_be_reached_fails_at_once(wait: Any) -> None:
    report = call()
    keep(report, FAILED)
    error, text = wait(report, min_delivery_rate=0.9, fail_fast=True)
    assert error is DeliveryFailedError
    assert "1 pending" in text


@MODES
@pytest.mark.usefixtures("sandbox")
def test_silence_is_no_success(wait: Any) -> None:
    report = call()
    keep(report, DELIVERED)
    error, text = wait(report, unconfirmed_after=0)
    assert error is DeliveryUnconfirmedError
    assert "1 delivered, 1 unconfirmed of 2" in text


@MODES
@pytest.mark.usefixtures("sandbox")
def test_silence_is_good_enough_for_who_says_so(wait: Any) -> None:
    report = call()
    keep(report, DELIVERED)
    status, counts = wait(report, unconfirmed_after=0, on_unconfirmed="succeed")
    assert (status, counts["delivered"], counts["unconfirmed"]) == ("done", 1, 1)


@MODES
@pytest.mark.usefixtures("sandbox")
def test_the_moment_from_which_silence_counts_begins_when_it_was_sent(wait: Any) -> None:
    report = call()
    report["sent_at"] = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
    assert wait(report)[0] is DeliveryUnconfirmedError
    report["scheduled_for"] = (datetime.now(UTC) - timedelta(hours=23, minutes=59, seconds=58.5)).isoformat()
    started = time.monotonic()
    assert wait(report, poke_interval=0.1)[0] is DeliveryUnconfirmedError
    assert time.monotonic() - started >= 1


@MODES
def test_a_batch_that_no_call_can_name_is_unconfirmed_at_once(wait: Any, sandbox: Any) -> None:
    report = call("octopush_default")
    report["batches"][0] |= {"gateway_id": None, "state": "assumed_sent"}
    assert wait(report)[0] is DeliveryUnconfirmedError


@MODES
def test_a_gateway_that_refuses_to_tell_ends_the_wait(wait: Any, sandbox: Any) -> None:
    report = sms()
    sandbox.world.settings.smspartner.api_key = "another"
    error, text = wait(report)
    assert error is RejectedError
    assert "smspartner" in text


@MODES
def test_not_found_is_borne_for_a_while(wait: Any, sandbox: Any) -> None:
    sandbox.world.settings.smspartner.visible_after = 10_000
    report = sms()
    report["sent_at"] = (datetime.now(UTC) - timedelta(seconds=200)).isoformat()
    assert wait(report, not_found_grace=100)[0] is RejectedError


@MODES
@pytest.mark.usefixtures("sandbox")
def test_soft_fail_skips(wait: Any) -> None:
    report = call()
    keep(report, FAILED, FAILED)
    assert wait(report, min_delivery_rate=0.9, soft_fail=True)[0] is AirflowSkipException


@MODES
def test_the_file_tells_of_each_person(wait: Any, sandbox: Any, tmp_path: Path) -> None:
    for report in (sms(), call()):
        keep(report, DELIVERED, FAILED)
        path = tmp_path / f"{report['gateway']}.csv"
        assert wait(report, report_path=str(path))[0] == "done"
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line.split(",")[:2] for line in lines] == [
            ["phone_number", "status"], [ANNA, "delivered"], [BEN, "failed"]
        ]  # fmt: skip


@MODES
def test_a_planned_campaign_is_not_asked_about_before_its_time(wait: Any, sandbox: Any) -> None:
    report = sms()
    report["scheduled_for"] = (datetime.now(UTC) + timedelta(seconds=0.7)).isoformat()
    sandbox.advance(86_400)
    before = requests(sandbox)
    started = time.monotonic()
    # So long that a busy machine reads the answer before the next question; asked from the start, it would be three.
    assert wait(report, poke_interval=0.5)[0] == "done"
    assert time.monotonic() - started >= 0.4
    assert requests(sandbox) == before + 1


@MODES
def test_somebody_whom_the_gateway_does_not_list_is_given_up_after_a_while(wait: Any, sandbox: Any) -> None:
    outcome(sandbox, BEN, "opted_out")
    report = sms()
    report["counts"]["accepted"] = report["batches"][0]["accepted"] = 2
    sandbox.advance(86_400)
    status, counts = wait(report, unlisted_grace=0, on_unconfirmed="succeed")
    assert (status, counts["delivered"], counts["unconfirmed"]) == ("done", 1, 1)


@MODES
def test_silence_of_a_gateway_that_is_asked_is_no_success_either(wait: Any, sandbox: Any) -> None:
    outcome(sandbox, BEN, "silent")
    report = sms()
    sandbox.advance(86_400)
    error, text = wait(report, unconfirmed_after=0)
    assert error is DeliveryUnconfirmedError
    assert "1 delivered, 1 unconfirmed of 2" in text


@MODES
@pytest.mark.parametrize("conn_id", ["smspartner_default", "octopush_default", "voicepartner_default"])
def test_a_cancelled_campaign_ends_the_wait(wait: Any, sandbox: Any, conn_id: str) -> None:
    send_at = datetime.now(UTC) + timedelta(hours=2)
    if conn_id == "voicepartner_default":
        operator: Any = TtsCallOperator(
            task_id="call", to=[ANNA, BEN], text="Bonjour", conn_id=conn_id, send_at=send_at
        )
    else:
        operator = SendSmsOperator(
            task_id="send", to=[ANNA, BEN], message="Bonjour", conn_id=conn_id, send_at=send_at
        )
    report = operator.execute(context(FakeStore()))
    CancelCampaignOperator(task_id="cancel", campaign=report).execute(context())
    status, counts = wait(report)
    assert (status, counts["cancelled"], counts["delivered"]) == ("done", 2, 0)


@MODES
@pytest.mark.usefixtures("sandbox")
def test_several_batches_are_one_campaign(wait: Any) -> None:
    first, second = call(), call()
    both = {**first, "batches": first["batches"] + second["batches"]}
    keep(first, DELIVERED, DELIVERED)
    keep(second, DELIVERED, FAILED)
    status, counts = wait(both)
    assert (status, counts["expected"], counts["delivered"], counts["failed"]) == ("done", 4, 3, 1)


@MODES
@pytest.mark.usefixtures("sandbox")
def test_only_those_whom_the_gateway_accepted_are_waited_for(wait: Any) -> None:
    report = call()
    report["batches"][0]["accepted"] = 1
    keep(report, DELIVERED)
    status, counts = wait(report)
    assert (status, counts["expected"], counts["delivered"]) == ("done", 1, 1)


@MODES
def test_whoever_looks_for_the_first_time_when_silence_counts_already_asks_before(
    wait: Any, sandbox: Any
) -> None:
    asked, called = sms(), call()
    sandbox.advance(86_400)
    keep(called, DELIVERED, DELIVERED)
    for report in (asked, called):
        status, counts = wait(report, unconfirmed_after=0)
        assert (status, counts["delivered"], counts["unconfirmed"]) == ("done", 2, 0)


@MODES
def test_a_gateway_that_is_away_when_silence_counts_is_asked_later(
    wait: Any, sandbox: Any, set_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = sms()
    sandbox.advance(86_400)
    fault(sandbox, "503", times=3, path="bulk-status")
    status, counts = wait(report, unconfirmed_after=0, poke_interval=0.05)
    assert (status, counts["delivered"]) == ("done", 2)


@MODES
def test_but_not_for_ever(
    wait: Any, sandbox: Any, set_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = sms()
    sandbox.advance(86_400)
    set_connection("smspartner", host="http://127.0.0.1:1")
    monkeypatch.setattr("airflow_provider_voicepartner.hooks.completion.LAST_POLL_WITHIN", 1.0)
    started = time.monotonic()
    error, text = wait(report, unconfirmed_after=0, poke_interval=0.05)
    assert error is DeliveryUnconfirmedError
    assert "2 unconfirmed of 2" in text
    assert time.monotonic() - started < 15
