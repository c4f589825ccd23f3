"""Waiting for a campaign, as the sensor and the trigger do it: whom it asks, when, and what it leaves as it was."""

from __future__ import annotations

import csv
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import (
    FEW_RECIPIENTS,
    LAST_POLL_WITHIN,
    MOST_UNANSWERED_POLLS,
    POLLS_AT_ONCE,
)
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
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
    WaitGivenUpError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks import registry
from airflow_provider_voicepartner.hooks.completion import CompletionCheck
from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions, check_reports_can_come
from airflow_provider_voicepartner.hooks.polling import NOT_FOUND, PollRequest, PollResult
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch
from tests.support.gateways import outcome, requests
from tests.support.receiver import rows
from tests.support.tasks import FakeStore, context

ANNA, BEN = "+33612345678", "+33612345679"
DELIVERED, PENDING, FAILED = DeliveryStatus.DELIVERED, DeliveryStatus.PENDING, DeliveryStatus.FAILED
SENT_AT = 1_900_000_000.0
HOUR, DAY = 3_600.0, 86_400.0


def told(
    number: str, status: DeliveryStatus = DELIVERED, *, detail: str | None = None, of: str | None = None
) -> DeliveryReport:
    return DeliveryReport(
        gateway="smspartner", campaign_id=of, phone_number=number, status=status, gateway_status=status.value,
        detail=detail,
    )  # fmt: skip


def batch(place: int = 0, accepted: int = 2, **more: Any) -> SentBatch:
    given = {"gateway_id": str(place + 1), "state": "sent", **more}
    return SentBatch(reference=f"b{place:011d}", accepted=accepted, **given)


def campaign(*batches: SentBatch, gateway: str = "smspartner", **more: Any) -> CampaignReport:
    given = {"sent_at": datetime.fromtimestamp(SENT_AT, UTC).isoformat(), "kind": "sms", **more}
    return CampaignReport(
        gateway=gateway, conn_id=f"{gateway}_default", counts={}, batches=batches or (batch(),), **given
    )


class Completions:
    """Completions at a moment, closed at the end."""

    def __init__(self) -> None:
        self.now = SENT_AT
        self.start: Callable[[int], int] = lambda batches: 0
        self._made: list[CompletionCheck] = []

    def __call__(self, report: CampaignReport, *, hook: Any = None, **options: Any) -> CompletionCheck:
        completion = CompletionCheck(
            report, CompletionOptions.read(**options), hook=hook, now=lambda: self.now, start=self.start
        )
        self._made.append(completion)
        return completion

    def close(self) -> None:
        for completion in self._made:
            completion.close()


@pytest.fixture
def completions(sandbox: Any) -> Iterator[Completions]:
    """Return what makes completions, with connections to the sandbox."""
    made = Completions()
    yield made
    made.close()


def polls(completion: CompletionCheck, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[str]:
    """
    Let the hook's polls be answered so, one after the other, the last one for ever; return what is asked.

    A dict says what each name is answered.
    """
    asked, left = [], list(answers)

    def poll(name: str) -> Sequence[DeliveryReport]:
        asked.append(name)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, dict):
            answer = answer[name]
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(completion.hook, "poll_delivery", poll)
    monkeypatch.setattr(completion.hook, "poll_by_tag", lambda tag: poll(f"tag {tag}"))
    return asked


def send(*people: str) -> CampaignReport:
    operator = SendSmsOperator(task_id="send", to=list(people or (ANNA, BEN)), message="Bonjour")
    return CampaignReport.from_json(operator.execute(context(FakeStore())))


def complete(**counts: int) -> dict[str, Any]:
    progress = Progress(
        expected=sum(counts.values()),
        counts={status: counts.get(status.value, 0) for status in DeliveryStatus},
    )
    return {"status": "complete", "progress": progress.to_json()}


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

    def test_a_campaign_that_is_hopeless_is_not_asked_about(
        self, sent: CampaignReport, sandbox: Any, tmp_path: Path
    ) -> None:
        before, path = requests(sandbox), tmp_path / "report.csv"
        options = CompletionOptions.read(report_path=str(path), min_delivery_rate=0.9, fail_fast=True)
        completion = CompletionCheck(sent, options)
        event = {**complete(failed=1, pending=1), "status": "hopeless"}
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
        sender.session.close = lambda: closed.append(True)  # type: ignore[method-assign]
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
        completion.hook.sender.session.close = lambda: closed.append(True)  # type: ignore[method-assign]
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
        completion._opened.close = lambda: closed.append(True)  # type: ignore[method-assign]
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


class TestPolling:
    def test_each_batch_is_asked_about_until_it_is_complete(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(batch(0), batch(1), batch(2, gateway_id=None, tag="mine")))
        done, half = [told(ANNA), told(BEN)], [told(ANNA), told(BEN, PENDING)]
        asked = polls(completion, monkeypatch, {"1": half, "2": done, "tag mine": half})
        assert not completion.check().is_complete
        assert sorted(asked) == ["1", "2", "tag mine"]
        completion.check()
        assert sorted(asked[3:]) == ["1", "tag mine"]

    def test_several_are_asked_at_once_and_written_in_one_transaction(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(*(batch(place, accepted=1) for place in range(40))))
        lock, at_once, most = threading.Lock(), 0, []

        def slow(name: str) -> Sequence[DeliveryReport]:
            nonlocal at_once
            with lock:
                at_once += 1
                most.append(at_once)
            time.sleep(0.01)
            with lock:
                at_once -= 1
            return [told(ANNA)]

        monkeypatch.setattr(completion.hook, "poll_delivery", slow)
        wrote: list[int] = []
        real = completion.store.write
        monkeypatch.setattr(completion.store, "write", lambda items: wrote.append(len(items)) or real(items))
        assert completion.check().delivered == 40
        assert wrote == [40]
        assert max(most) == POLLS_AT_ONCE

    def test_a_look_that_brings_many_reports_writes_more_often(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_voicepartner.hooks.polling.REPORTS_A_WRITE", 5)
        completion = completions(campaign(*(batch(place) for place in range(8))))
        polls(completion, monkeypatch, [told(ANNA), told(BEN)])
        wrote: list[int] = []
        real = completion.store.write
        monkeypatch.setattr(completion.store, "write", lambda items: wrote.append(len(items)) or real(items))
        assert completion.check().is_complete
        assert wrote == [6, 8, 2]  # rounds of 1, 2, 4 and 1

    def test_what_was_told_before_a_refusal_is_kept(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(*(batch(place) for place in range(8))))
        done, no = [told(ANNA), told(BEN)], RejectedError("wrong key", kind=ErrorKind.CONFIGURATION)
        asked = polls(completion, monkeypatch, {"1": done, "2": no, "3": done})
        with pytest.raises(RejectedError):
            completion.check()
        assert sorted(asked) == ["1", "2", "3"]
        assert completion.progress(completion.known(), completions.now).delivered == 4

    def test_an_answer_about_another_batch_tells_nothing_of_this_one(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        completion = completions(campaign(batch(0), batch(1)))
        of_the_second = [told(ANNA, of="2"), told(BEN, FAILED, of="2")]
        polls(completion, monkeypatch, {"1": of_the_second, "2": of_the_second})
        progress = completion.check()
        assert (progress.delivered, progress.pending, progress.counts[FAILED]) == (1, 2, 1)
        assert "The answer about 1 has 2 reports about another message" in caplog.text
        assert not any(number[4:] in caplog.text for number in (ANNA, BEN))

    @pytest.mark.parametrize("reports", ["batch", "account"])
    def test_who_is_called_back_and_polled_counts_once(
        self, reports: str, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A gateway of another distribution may be polled, and call one URL for its whole account."""
        monkeypatch.setattr(registry, "_reporting", lambda gateway: reports)
        completion = completions(campaign())
        key = (
            of_reference("smspartner", "b00000000000")
            if reports == "batch"
            else of_gateway_id("smspartner", "1")
        )
        completion.store.write([InboundRecord(key=key, event=told(ANNA), received_at=SENT_AT)])
        polls(completion, monkeypatch, [told(ANNA), told(BEN, PENDING)])
        progress = completion.check()
        assert (progress.delivered, progress.pending, progress.is_complete) == (1, 1, False)

    def test_a_planned_campaign_is_asked_about_from_its_time_on(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        due = datetime.fromtimestamp(SENT_AT + HOUR, UTC).isoformat()
        completion = completions(campaign(scheduled_for=due))
        asked = polls(completion, monkeypatch, [])
        completions.now += HOUR - 1
        completion.check()
        assert asked == []
        completions.now += 1
        completion.check()
        assert asked == ["1"]
        assert completion.unconfirmed_at == SENT_AT + HOUR + 72 * HOUR

    def test_after_three_without_an_answer_the_look_is_over(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(*(batch(place) for place in range(6))))
        busy = RetryableNotSentError("busy")
        asked = polls(completion, monkeypatch, busy, busy, [], busy, SendOutcomeUnknownError("odd"), busy)
        completion.poll()
        assert len(asked) == 3 + MOST_UNANSWERED_POLLS
        asked.clear()
        completion.poll()
        assert len(asked) == MOST_UNANSWERED_POLLS

    @pytest.mark.parametrize("error", [RetryableNotSentError("500"), SendOutcomeUnknownError("no JSON")])
    @pytest.mark.parametrize("has_its_own_process", [False, True])
    def test_batches_that_are_never_answered_keep_no_other_from_being_asked_about(
        self,
        has_its_own_process: bool,
        error: Exception,
        completions: Completions,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Whether one process looks again and again, or each look has a new one."""
        batches = campaign(*(batch(place) for place in range(12)))
        answers: dict[str, Any] = {str(place + 1): [told(ANNA), told(BEN)] for place in range(12)}
        answers |= {str(broken): error for broken in (1, 2, 3, 7, 8, 9)}
        completion = completions(batches)
        for look in range(8):
            if has_its_own_process:
                completions.start = lambda count, look=look: look % count  # type: ignore[misc]
                completion = completions(batches)
            polls(completion, monkeypatch, answers)
            delivered = completion.check().delivered
        assert delivered == 12

    def test_a_rate_limit_that_lets_few_questions_through_lets_all_batches_have_their_turn(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each has somebody whose phone is off for days, so none of them is ever complete."""
        completion = completions(campaign(*(batch(place) for place in range(40))))
        far, asked, left = RetryableNotSentError("next slot in 60 s"), set(), 0

        def poll(name: str) -> Sequence[DeliveryReport]:
            nonlocal left
            left -= 1
            if left < 0:
                raise far
            asked.add(name)
            return [told(ANNA), told(BEN, PENDING)]

        monkeypatch.setattr(completion.hook, "poll_delivery", poll)
        for _ in range(8):
            left = 10
            progress = completion.check()
        assert progress.delivered == len(asked) == 40

    @pytest.mark.parametrize("error", [RetryableNotSentError("busy"), SendOutcomeUnknownError("odd")])
    def test_trouble_is_said_and_passes(
        self,
        error: Exception,
        completions: Completions,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        completion = completions(campaign())
        polls(completion, monkeypatch, error, [told(ANNA), told(BEN)])
        assert not completion.check().is_complete
        assert "will try again" in caplog.text
        assert completion.check().is_complete

    def test_not_found_is_borne_until_the_grace_is_over(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        completion = completions(campaign(), not_found_grace=300)
        polls(completion, monkeypatch, RejectedError("what is this", kind=ErrorKind.NOT_FOUND))
        completions.now += 299
        assert completion.check().pending == 2
        assert "does not know 1 yet" in caplog.text
        completions.now += 1
        with pytest.raises(RejectedError):
            completion.check()

    def test_batches_that_are_not_known_yet_keep_no_other_from_being_asked_about(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places = range(MOST_UNANSWERED_POLLS + 2)
        completion = completions(
            campaign(*(batch(place, accepted=1) for place in places)), not_found_grace=300
        )
        unknown = RejectedError("what is this", kind=ErrorKind.NOT_FOUND)
        answers: dict[str, Any] = {str(place + 1): unknown for place in places}
        polls(completion, monkeypatch, {**answers, str(MOST_UNANSWERED_POLLS + 2): [told(ANNA)]})
        assert completion.check().delivered == 1

    def test_another_refusal_is_not_borne(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign())
        polls(completion, monkeypatch, RejectedError("wrong key", kind=ErrorKind.CONFIGURATION))
        with pytest.raises(RejectedError):
            completion.check()

    def test_what_was_only_assumed_sent_and_is_not_known_is_over(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(batch(state="assumed_sent", tag="mine")), on_unconfirmed="succeed")
        asked = polls(completion, monkeypatch, RejectedError("no", kind=ErrorKind.NOT_FOUND))
        completions.now += 300
        assert completion.check().unconfirmed == 2
        completion.check()
        assert len(asked) == 1

    @pytest.mark.parametrize(("calls_come", "over"), [(False, 2), (True, 0)])
    def test_a_batch_that_nobody_can_ask_about_is_over_unless_calls_may_come(
        self, calls_come: bool, over: int, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if calls_come:
            monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
            monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
        completion = completions(campaign(batch(gateway_id=None)))
        asked = polls(completion, monkeypatch, [])
        assert completion.check().unconfirmed == over
        assert asked == []

    def test_an_answer_that_tells_nothing_new_is_not_written(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign())
        first = [told(ANNA), told(BEN, PENDING)]
        polls(completion, monkeypatch, first, first, [told(ANNA), told(BEN, PENDING, detail="x")], [])
        wrote: list[int] = []
        real = completion.store.write
        monkeypatch.setattr(completion.store, "write", lambda items: wrote.append(len(items)) or real(items))
        for _ in range(4):
            completion.poll()
        assert wrote == [2, 2]

    def test_people_who_are_not_known_are_not_written(self, completions: Completions) -> None:
        completion = completions(campaign())
        request = PollRequest(place=0, sent=completion.report.batches[0])
        written = completion.records(
            PollResult(request=request, reports=[told(ANNA), told(BEN, detail=NOT_FOUND)])
        )
        assert [arrival.event.phone_number for arrival in written] == [ANNA]  # type: ignore[union-attr]
        assert written[0].key == of_reference("smspartner", "b00000000000")


class TestWhoIsLeft:
    @pytest.mark.parametrize(
        ("left", "few"), [(1, True), (FEW_RECIPIENTS, True), (FEW_RECIPIENTS + 1, False)]
    )
    def test_a_few_are_asked_about_by_name(
        self, left: int, few: bool, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        people = [f"+336{place:08d}" for place in range(60)]
        completion = completions(campaign(batch(accepted=60)))
        answer = [told(who, PENDING if place < left else DELIVERED) for place, who in enumerate(people)]
        polls(completion, monkeypatch, answer)
        completion.poll()
        (request,) = completion.poll_requests(completion.known())
        assert request.phone_numbers == (tuple(people[:left]) if few else ())

    def test_of_a_list_with_gaps_nobody_is_asked_by_name(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(batch(accepted=3)))
        polls(completion, monkeypatch, [told(ANNA), told(BEN, PENDING)])
        completion.poll()
        assert completion.poll_requests(completion.known())[0].phone_numbers == ()

    def test_a_person_who_is_not_found_has_all_be_asked_about_again(self, completions: Completions) -> None:
        completion = completions(campaign())
        request = PollRequest(place=0, sent=completion.report.batches[0])
        completion.note(PollResult(request=request, reports=[told(ANNA), told(BEN, PENDING)]))
        named = PollRequest(place=0, sent=completion.report.batches[0], phone_numbers=(BEN,))
        assert completion.poll_requests({})[0].phone_numbers == (BEN,)
        completion.note(PollResult(request=named, reports=[told(BEN, PENDING)]))
        assert completion.poll_requests({})[0].phone_numbers == (BEN,)
        completion.note(PollResult(request=named, reports=[told(BEN, PENDING, detail=NOT_FOUND)]))
        assert completion.poll_requests({})[0].phone_numbers == ()

    def test_who_is_never_listed_is_unconfirmed_when_the_grace_is_over(
        self, completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(), unlisted_grace=HOUR)
        polls(completion, monkeypatch, [told(ANNA)])
        completions.now += HOUR - 1
        assert completion.check().unconfirmed == 0
        completions.now += 1
        assert completion.check().unconfirmed == 1

    @pytest.mark.parametrize("answer", [[], [told(ANNA, PENDING)]])
    def test_an_empty_or_unfinished_list_ends_nothing(
        self, answer: list[DeliveryReport], completions: Completions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        completion = completions(campaign(), unlisted_grace=HOUR)
        polls(completion, monkeypatch, answer)
        completions.now += 2 * HOUR
        assert completion.check().pending == 2


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
        ("fail_fast", "failed", "is_hopeless"), [(True, 2, True), (False, 2, False), (True, 1, False)]
    )
    def test_a_rate_that_is_lost_ends_the_wait_where_that_is_wanted(
        self, fail_fast: bool, failed: int, is_hopeless: bool, completion: Callable[..., CompletionCheck]
    ) -> None:
        one = completion(min_delivery_rate=0.5, fail_fast=fail_fast)
        progress = Progress.from_json(complete(failed=failed, pending=3 - failed)["progress"])
        assert one.is_rate_unreachable(progress) is is_hopeless
        if is_hopeless:
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
