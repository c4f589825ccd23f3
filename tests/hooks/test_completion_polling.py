"""Polling a campaign: which batches and recipients are asked about, when, and what an answer changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from operator import mod
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import (
    FEW_RECIPIENTS,
    MOST_UNANSWERED_POLLS,
    POLLS_AT_ONCE,
)
from airflow_provider_voicepartner.delivery.inbound import (
    InboundRecord,
    of_gateway_id,
    of_reference,
)
from airflow_provider_voicepartner.exceptions import (
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import NOT_FOUND
from airflow_provider_voicepartner.hooks import registry
from airflow_provider_voicepartner.hooks.polling import PollRequest, PollResult
from tests.support.completions import (
    ANNA,
    BEN,
    DELIVERED,
    FAILED,
    HOUR,
    PENDING,
    SENT_AT,
    Completions,
    batch,
    campaign,
    polls,
    told,
)


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
                completions.start = partial(mod, look)
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
        assert [arrival.event.phone_number for arrival in written] == [ANNA]  # type: ignore[union-attr]  # only reports
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
