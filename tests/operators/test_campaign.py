"""Take back a planned campaign: all batches that can be, with the truth about those that cannot."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import AirflowFailException
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from tests.support.gateways import fault, requests, sent
from tests.support.tasks import FakeStore, Logs, assert_plain, context

ANNA, BEN = "+33612345678", "+33612345679"


def planned(operator: Any = SendSmsOperator, **arguments: Any) -> dict[str, Any]:
    """Plan a campaign for in two hours."""
    text = {SendSmsOperator: {"message": "Bonjour"}, TtsCallOperator: {"text": "Bonjour"}}.get(
        operator, {"audio_token": "a1b2c3d4", "email_for_notification": "ops@example.org"}
    )
    when = datetime.now(UTC) + timedelta(hours=2)
    given = {"task_id": "send", "to": ANNA, "send_at": when, **text, **arguments}
    report: dict[str, Any] = operator(**given).execute(context(FakeStore()))
    return report


def of_batches(*reports: dict[str, Any]) -> dict[str, Any]:
    """Return one report of several batches."""
    return {**reports[0], "batches": [batch for report in reports for batch in report["batches"]]}


def cancel(campaign: Any, **arguments: Any) -> dict[str, Any]:
    operator = CancelCampaignOperator(task_id="cancel", campaign=campaign, **arguments)
    return operator.execute(context())


WAYS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "SMS Partner": (SendSmsOperator, {}, "smspartner"),
    "Octopush SMS": (SendSmsOperator, {"conn_id": "octopush_default"}, "octopush"),
    "Octopush call": (TtsCallOperator, {"conn_id": "octopush_default"}, "octopush"),
    "Voice Partner call": (TtsCallOperator, {}, "voicepartner"),
    "Voice Partner voicemail": (VoicemailDropOperator, {}, "voicepartner"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_planned_campaign_is_taken_back(sandbox: Any, way: str) -> None:
    operator, arguments, gateway = WAYS[way]
    report = planned(operator, **arguments)
    assert sent(sandbox, gateway) == {ANNA: 1}
    result = cancel(report)
    assert_plain(result)
    assert (result["cancelled"], result["already_cancelled"], result["too_late"]) == (1, 0, 0)
    assert sent(sandbox, gateway) == {}
    if gateway == "voicepartner":
        assert float(result["refunded"]) > 0
    else:
        assert result["refunded"] is None


def test_all_batches_are_taken_back_and_those_that_were_before_are_counted_apart(sandbox: Any) -> None:
    first, second = planned(), planned(to=BEN)
    assert cancel(first)["cancelled"] == 1
    assert cancel(of_batches(first, second)) == {
        "cancelled": 1, "already_cancelled": 1, "too_late": 0, "refunded": None,
    }  # fmt: skip
    assert sent(sandbox, "smspartner") == {}


def test_too_late_fails_after_the_others_were_taken_back_or_is_counted(sandbox: Any) -> None:
    late = planned()
    sandbox.advance(2 * 3600 + 20)  # the planned minute was rounded up to a multiple of 5
    early = planned(to=BEN, send_at=datetime.now(UTC) + timedelta(hours=9))
    with pytest.raises(RejectedError) as caught:
        cancel(of_batches(late, early))
    assert caught.value.kind is ErrorKind.TOO_LATE
    assert isinstance(caught.value, AirflowFailException)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    result = cancel(of_batches(late, early), on_too_late="ignore")
    assert (result["too_late"], result["already_cancelled"]) == (1, 1)


def test_an_id_that_the_gateway_does_not_know_fails_also_when_too_late_is_ignored(sandbox: Any) -> None:
    report, other = planned(), planned(to=BEN)
    report["batches"][0]["gateway_id"] = "999"
    with pytest.raises(RejectedError) as caught:
        cancel(of_batches(report, other), on_too_late="ignore")
    assert caught.value.kind is ErrorKind.NOT_FOUND
    assert sent(sandbox, "smspartner") == {ANNA: 1}  # the other one was taken back all the same


def test_a_passing_trouble_does_not_keep_the_others_from_it_and_lets_airflow_retry(sandbox: Any) -> None:
    first, second = planned(), planned(to=BEN)
    fault(sandbox, "429", retry_after=90, path="cancel")
    with pytest.raises(RetryableNotSentError) as caught:
        cancel(of_batches(first, second))
    assert not isinstance(caught.value, AirflowFailException)
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    assert cancel(of_batches(first, second))["already_cancelled"] == 1
    assert sent(sandbox, "smspartner") == {}


def test_an_unanswered_cancel_is_not_taken_for_a_success(sandbox: Any) -> None:
    report = planned(conn_id="octopush_default")
    fault(sandbox, "drop_before", path="cancel")
    with pytest.raises(SendOutcomeUnknownError):
        cancel(report)
    assert sent(sandbox, "octopush") == {ANNA: 1}


def test_a_batch_that_was_only_assumed_sent_cannot_be_named_to_the_gateway(sandbox: Any) -> None:
    report, assumed = planned(), planned(to=BEN)
    assumed["batches"][0] |= {"gateway_id": None, "state": "assumed_sent"}
    with pytest.raises(ConfigurationError, match="campaign: 1 batches have no id of the gateway"):
        cancel(of_batches(assumed, report))
    assert sent(sandbox, "smspartner") == {BEN: 1}


def test_another_gateways_connection_is_refused_before_it_cancels_somebody_elses_campaign(
    sandbox: Any,
) -> None:
    report = planned()
    before = requests(sandbox)
    with pytest.raises(ConfigurationError, match=r"conn_id: .*'octopush'.*'smspartner'"):
        cancel(report, conn_id="octopush_default")
    assert requests(sandbox) == before


@pytest.mark.parametrize("campaign", [None, "", "{{ nothing }}", {}, 8_000_001, ["x"]], ids=repr)
def test_what_is_no_report_is_refused(sandbox: Any, campaign: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^campaign: .*send_sms\.output"):
        cancel(campaign)
    assert requests(sandbox) == 0


def test_an_unknown_choice_is_refused(sandbox: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^on_too_late: 'never' is not one of 'fail', 'ignore'"):
        cancel(planned(), on_too_late="never")


def test_every_argument_can_be_a_template_and_a_report_may_come_as_text(sandbox: Any) -> None:
    names = {
        name
        for name, parameter in inspect.signature(CancelCampaignOperator.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert names == set(CancelCampaignOperator.template_fields)
    operator = CancelCampaignOperator(
        task_id="cancel", campaign="{{ params.report }}", on_too_late="{{ params.choice }}"
    )
    operator.render_template_fields(context(params={"report": planned(), "choice": "ignore"}))
    assert operator.execute(context())["cancelled"] == 1


def test_its_log_and_result_hold_no_number(sandbox: Any, logs: Logs) -> None:
    result = cancel(planned())
    shown = logs.text
    assert "Cancelled" in shown
    assert ANNA[3:] not in shown + str(result)
