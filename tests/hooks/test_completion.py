"""Waiting for a campaign, as the sensor and the trigger do it: whom it asks, when, and what it leaves as it was."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import LAST_POLL_WITHIN
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.completion import Progress
from airflow_provider_voicepartner.delivery.inbound import (
    InboundRecord,
    cancelled,
    of_gateway_id,
    of_reference,
)
from airflow_provider_voicepartner.delivery.store import FROM_NOW
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    DeliveryFailedError,
    DeliveryUnconfirmedError,
    RejectedError,
    VoicePartnerProviderError,
    WaitGivenUpError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.hooks.completion import CompletionCheck
from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions, check_reports_can_come
from airflow_provider_voicepartner.hooks.polling import PollRequest, PollResult
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.sending.report import CampaignReport
from tests.support.completions import (
    ANNA,
    BEN,
    DAY,
    HOUR,
    SENT_AT,
    Completions,
    batch,
    campaign,
    complete,
    send,
    told,
)
from tests.support.gateways import outcome, requests
from tests.support.receiver import rows


class TestTheLastQuestion:
    """Before a report file is written, the gateway is asked once more: the triggerer's store may be elsewhere."""

    @pytest.fixture
    def sent(self, sandbox: Any) -> CampaignReport:
        outcome(sandbox, BEN, "not_delivered")
        report = send()
        sandbox.advance(DAY)
        return report

    def test_it_fills_the_report(self, sent: CampaignReport, tmp_path: Path) -> None:
        path = tmp_path / "report.csv"
        completion = CompletionCheck(sent, CompletionOptions.read(report_path=str(path)))
        result = completion.judge_event(complete(delivered=1, failed=1))
        completion.close()
        assert (result["delivered"], result["failed"]) == (1, 1)
        with path.open(encoding="utf-8", newline="") as file:
            assert sorted(row[0].lstrip("'") for row in list(csv.reader(file))[1:]) == [ANNA, BEN]

    def test_without_a_file_nobody_is_asked(self, sent: CampaignReport, sandbox: Any) -> None:
        before = requests(sandbox)
        completion = CompletionCheck(sent, CompletionOptions.read())
        assert completion.judge_event(complete(delivered=2))["delivered"] == 2
        completion.close()
        assert requests(sandbox) == before

    @pytest.mark.parametrize("status", ["unreachable", "hopeless"])
    def test_a_campaign_whose_rate_is_unreachable_is_not_polled(
        self, status: str, sent: CampaignReport, sandbox: Any, tmp_path: Path
    ) -> None:
        before, path = requests(sandbox), tmp_path / "report.csv"
        options = CompletionOptions.read(report_path=str(path), min_delivery_rate=0.9, fail_fast=True)
        completion = CompletionCheck(sent, options)
        event = {**complete(failed=1, pending=1), "status": status}
        with pytest.raises(DeliveryFailedError):
            completion.judge_event(event)
        completion.close()
        assert requests(sandbox) == before
        assert not path.exists()

    def test_a_gateway_that_cannot_be_asked_is_not(
        self, completions: Completions, sandbox: Any, tmp_path: Path
    ) -> None:
        before, path = requests(sandbox), tmp_path / "report.csv"
        completion = completions(campaign(gateway="voicepartner", kind="tts"), report_path=str(path))
        assert completion.judge_event(complete(delivered=2))["delivered"] == 2
        assert requests(sandbox) == before
        assert path.exists()


class TestBorrowedHook:
    def test_it_is_left_as_it_was(self, sandbox: Any) -> None:
        report = send()
        sandbox.advance(DAY)
        hook = SmsPartnerHook()
        sender = hook.sender
        before = {name: getattr(sender, name) for name in ("retry", "on_response", "gate", "sleep", "now")}
        completion = CompletionCheck(report, CompletionOptions.read(), hook=hook)
        assert completion.hook is hook
        assert completion.check().is_complete
        completion.close()
        assert {name: getattr(sender, name) for name in before} == before
        closed: list[bool] = []
        sender.session.close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see it
        completion.close()
        assert not closed

    def test_one_of_its_own_asks_once_within_the_rate_limit_and_is_closed(self, sandbox: Any) -> None:
        report = send()
        completion = CompletionCheck(report, CompletionOptions.read())
        before = completion.hook.sender.gate
        completion.check()
        assert completion.hook.sender.retry.attempts == 1
        assert completion.hook.sender.gate is not before
        gate = completion.hook.sender.gate
        completion.check()
        assert completion.hook.sender.gate is gate  # made once
        closed: list[bool] = []
        completion.hook.sender.session.close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see it
        completion.close()
        assert closed

    def test_what_was_never_used_is_not_made_to_be_closed(self, completions: Completions) -> None:
        completion = completions(campaign())
        completion.close()
        assert not {"hook", "_opened"} & set(completion.__dict__)

    def test_the_store_that_was_opened_is_closed(self, completions: Completions) -> None:
        completion = completions(campaign())
        completion.known()
        closed: list[bool] = []
        completion._opened.close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see it
        completion.close()
        assert closed == [True]


class TestCheck:
    def test_a_path_at_which_something_else_is_is_refused(
        self, completions: Completions, tmp_path: Path
    ) -> None:
        other = tmp_path / "people.csv"
        other.write_text("a list of somebody's\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match="report_path"):
            completions(campaign(), report_path=str(other)).validate()
        completions(campaign(), report_path=str(tmp_path / "new.csv")).validate()

    def test_a_gateway_that_only_calls_needs_an_address(self, completions: Completions) -> None:
        with pytest.raises(DeliveryUnconfirmedError):
            completions(campaign(gateway="voicepartner", kind="tts")).validate()

    def test_a_connection_of_another_gateway_is_refused(self, completions: Completions) -> None:
        with pytest.raises(ConfigurationError):
            completions(campaign(), conn_id="octopush_default").validate()


def test_a_report_without_a_time_is_waited_for_from_the_beginning_of_time(completions: Completions) -> None:
    assert completions(campaign(sent_at=None)).since == 0.0


class TestSilence:
    @pytest.mark.parametrize(
        ("asked_after", "seen_after", "unconfirmed"),
        [
            (None, 72 * HOUR - 1, 0), (None, 72 * HOUR, 0), (72 * HOUR - 1, 72 * HOUR + 9, 0),
            (72 * HOUR, 72 * HOUR, 2), (72 * HOUR + 9, 72 * HOUR + 8, 0),
            (None, 72 * HOUR + LAST_POLL_WITHIN - 1, 0), (None, 72 * HOUR + LAST_POLL_WITHIN, 2),
        ],
    )  # fmt: skip
    def test_it_counts_after_one_more_question_or_an_hour_without_one(
        self, asked_after: float | None, seen_after: float, unconfirmed: int, completions: Completions
    ) -> None:
        completion = completions(campaign())
        if asked_after is not None:
            completions.now = SENT_AT + asked_after
            completion.note(PollResult(request=PollRequest(place=0, sent=completion.report.batches[0])))
        progress = completion.progress({}, SENT_AT + seen_after)
        assert (progress.unconfirmed, progress.pending) == (unconfirmed, 2 - unconfirmed)

    def test_an_answer_counts_from_when_it_was_asked_for(self, completions: Completions) -> None:
        """A look may take minutes: what was asked for before the moment is not the last request."""
        end = SENT_AT + 72 * HOUR
        completion = completions(campaign())
        completions.now = end + 60
        request = PollRequest(place=0, sent=completion.report.batches[0])
        completion.note(PollResult(request=request, polled_at=end - 1))
        assert completion.progress({}, end + 60).unconfirmed == 0
        completion.note(PollResult(request=request, polled_at=end))
        assert completion.progress({}, end + 59).unconfirmed == 0
        assert completion.progress({}, end + 60).unconfirmed == 2

    @pytest.mark.parametrize(("kind", "hours"), [("tts", 24), ("voicemail", 24)])
    def test_of_a_gateway_that_only_calls_it_counts_at_once(
        self, kind: str, hours: int, completions: Completions
    ) -> None:
        completion = completions(campaign(gateway="voicepartner", kind=kind))
        assert completion.progress({}, SENT_AT + hours * HOUR - 1).pending == 2
        assert completion.progress({}, SENT_AT + hours * HOUR).unconfirmed == 2

    def test_one_may_choose_when(self, completions: Completions) -> None:
        completion = completions(campaign(gateway="voicepartner", kind="tts"), unconfirmed_after=0)
        assert completion.progress({}, SENT_AT - 1).pending == 2
        assert completion.progress({}, SENT_AT).unconfirmed == 2

    def test_a_batch_that_no_call_can_name_is_over_from_the_start(self, completions: Completions) -> None:
        nameless = batch(gateway_id=None)
        octopush = completions(campaign(nameless, batch(1), gateway="octopush"))
        assert octopush.progress({}, SENT_AT).unconfirmed == 2
        for gateway in ("voicepartner", "smspartner"):
            assert completions(campaign(nameless, gateway=gateway)).progress({}, SENT_AT).unconfirmed == 0


class TestJudgement:
    @pytest.fixture
    def completion(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., CompletionCheck]:
        return lambda **options: completions(campaign(), **options)

    def test_an_end_is_noted_for_whoever_waits_for_it(
        self, completion: Callable[..., CompletionCheck]
    ) -> None:
        one = completion()
        one.judge_event(complete(delivered=2))
        (row,) = rows(one._opened, "event")
        assert (row["kind"], row["campaign"]) == ("completion", "ref:b00000000000")
        assert '"delivered": 2' in row["text"]

    def test_a_store_that_is_away_changes_no_judgement(
        self,
        completion: Callable[..., CompletionCheck],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        one = completion()

        def refuse(_: Any) -> int:
            raise StoreUnavailableError("away")

        monkeypatch.setattr(one.store, "write", refuse)
        assert one.judge_event(complete(delivered=2))["delivered"] == 2
        assert "could not be stored: away" in caplog.text

    @pytest.mark.parametrize(
        ("counts", "options", "error"),
        [
            ({"delivered": 1, "failed": 1}, {"min_delivery_rate": 0.5}, None),
            ({"delivered": 1, "failed": 1}, {"min_delivery_rate": 0.51}, DeliveryFailedError),
            ({"delivered": 1, "failed": 1}, {}, None),
            ({"delivered": 1, "unconfirmed": 1}, {}, DeliveryUnconfirmedError),
            ({"delivered": 1, "unconfirmed": 1}, {"on_unconfirmed": "succeed"}, None),
            ({"delivered": 1, "unconfirmed": 1}, {"min_delivery_rate": 0.9}, DeliveryFailedError),
        ],
    )
    def test_a_complete_campaign_is_good_enough_or_not(
        self, counts: dict[str, int], options: dict[str, Any], error: type[Exception] | None,
        completion: Callable[..., CompletionCheck],
    ) -> None:  # fmt: skip
        one = completion(**options)
        if error is None:
            assert one.judge_event(complete(**counts))["expected"] == 2
        else:
            with pytest.raises(error):
                one.judge_event(complete(**counts))

    @pytest.mark.parametrize(
        ("fail_fast", "failed", "is_unreachable"), [(True, 2, True), (False, 2, False), (True, 1, False)]
    )
    def test_a_rate_that_is_lost_ends_the_wait_where_that_is_wanted(
        self, fail_fast: bool, failed: int, is_unreachable: bool, completion: Callable[..., CompletionCheck]
    ) -> None:
        one = completion(min_delivery_rate=0.5, fail_fast=fail_fast)
        progress = Progress.from_json(complete(failed=failed, pending=3 - failed)["progress"])
        assert one.is_rate_unreachable(progress) is is_unreachable
        if is_unreachable:
            with pytest.raises(DeliveryFailedError):
                one.judge(progress)
        else:
            assert one.judge(progress) is None
        assert not completion(fail_fast=True).is_rate_unreachable(progress)

    def test_what_the_trigger_could_not_do_is_told(self, completion: Callable[..., CompletionCheck]) -> None:
        with pytest.raises(RejectedError, match="no such key") as caught:
            completion().judge_event(
                {"status": "rejected", "message": "no such key", "code": "10", "kind": "configuration"}
            )
        assert (caught.value.code, caught.value.kind) == ("10", ErrorKind.CONFIGURATION)
        with pytest.raises(RejectedError) as caught:
            completion().judge_event({"status": "rejected", "message": "x", "kind": "of another version"})
        assert caught.value.kind is ErrorKind.REJECTED
        with pytest.raises(VoicePartnerProviderError, match="the wait was given up: the store is away"):
            completion().judge_event({"status": "error", "message": "the store is away"})

    @pytest.mark.parametrize("event", [None, "complete", [], {}, {"status": "odd"}, complete(pending=1)])
    def test_another_event_is_refused(self, event: Any, completion: Callable[..., CompletionCheck]) -> None:
        with pytest.raises(WaitGivenUpError, match="unexpected trigger event"):
            completion().judge_event(event)

    def test_the_file_has_no_line_for_nobody(self, completions: Completions, tmp_path: Path) -> None:
        path = tmp_path / "report.csv"
        completion = completions(campaign(gateway="octopush"), report_path=str(path))
        key = of_gateway_id("octopush", "1")
        completion.store.write(
            [cancelled(key, received_at=1.0), InboundRecord(key=key, event=told(ANNA), received_at=1.0)]
        )
        completion.judge_event(complete(cancelled=1, delivered=1))
        assert len(path.read_text(encoding="utf-8").splitlines()) == 2

    def test_it_reads_its_own_campaign_alone(self, completions: Completions) -> None:
        completion = completions(campaign())
        others = of_reference("smspartner", "another")
        completion.store.write([InboundRecord(key=others, event=told(ANNA), received_at=1.0)])
        assert completion.known() == {}
        assert completion.store.changes(since=FROM_NOW).campaigns == {}


def test_the_present_is_the_hooks_unless_one_is_given(sandbox: Any) -> None:
    completion = CompletionCheck(campaign(), CompletionOptions.read())
    completion.hook.sender.now = lambda: datetime.fromtimestamp(SENT_AT, UTC)
    assert completion.now() == SENT_AT
    assert CompletionCheck(campaign(), CompletionOptions.read(), now=lambda: 4.5).now() == 4.5


def test_a_gateway_that_never_reports_is_not_said_to_call_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "s" * 43)
    info = SimpleNamespace(label="Pigeon", reports="never")
    hook: Any = SimpleNamespace(polls_delivery=False, conn_type="pigeon", gateway=SimpleNamespace(INFO=info))
    with pytest.raises(DeliveryUnconfirmedError, match=r"^Pigeon never reports delivery; all that is known"):
        check_reports_can_come(hook)
