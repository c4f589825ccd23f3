"""Many campaigns ask one gateway: in few threads and requests, within its limits, and nobody suffers from another."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest

from airflow_provider_voicepartner.constants import POLL_THREADS, POLLS_AT_ONCE
from airflow_provider_voicepartner.delivery.group_commit import NotStoredError
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks import gateway_poller
from airflow_provider_voicepartner.hooks.completion import CompletionCheck
from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions
from airflow_provider_voicepartner.hooks.gateway_poller import GatewayPoller, shared_poller
from airflow_provider_voicepartner.hooks.registry import hook_for
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch
from airflow_provider_voicepartner.settings import open_delivery_store
from tests.support.gateways import fault, outcome, requests

DELIVERED, PENDING = DeliveryStatus.DELIVERED, DeliveryStatus.PENDING
SOON = 0.02


def number(place: int) -> str:
    return f"+33612345{place:03d}"


def report_of(*batches: SentBatch) -> CampaignReport:
    return CampaignReport(
        gateway="smspartner", conn_id="smspartner_default", kind="sms", counts={}, batches=batches,
        sent_at=datetime.now(UTC).isoformat(),
    )  # fmt: skip


def sent(place: int, *people: int) -> CampaignReport:
    """Send to some people, and return the report."""
    hook = hook_for("smspartner_default")
    receipt = hook.send_sms([number(person) for person in people], "Bonjour", reference=f"batch{place:07d}")
    hook.close()
    batch = SentBatch(
        reference=f"batch{place:07d}", gateway_id=receipt.gateway_id, accepted=len(people), state="sent"
    )
    return report_of(batch)


def completion_of(poller: GatewayPoller, report: CampaignReport, **options: Any) -> CompletionCheck:
    return CompletionCheck(
        report, CompletionOptions(**options), hook=poller.hook, now=time.time, start=lambda batches: 0
    )


def known(completion: CompletionCheck) -> Any:
    store = open_delivery_store()
    try:
        from airflow_provider_voicepartner.delivery.store import FROM_NOW

        return store.changes(since=FROM_NOW, also=completion.keys).campaigns
    finally:
        store.close()


def counts(completion: CompletionCheck) -> dict[DeliveryStatus, int]:
    return {status: n for campaign in known(completion).values() for status, n in campaign.counts.items()}


def run(work: Callable[[GatewayPoller], Any]) -> Any:
    async def main() -> Any:
        async with shared_poller(hook_for("smspartner_default")) as poller, asyncio.timeout(30):
            return await work(poller)

    return asyncio.run(main())


def test_few_people_of_many_campaigns_are_asked_about_in_one_request(sandbox: Any) -> None:
    for person in range(30):
        outcome(sandbox, number(person), "delivered", after=10_000)
    reports = [sent(place, place, place + 10, place + 20) for place in range(10)]

    async def work(poller: GatewayPoller) -> None:
        completions = [completion_of(poller, report) for report in reports]
        for each in (10, 1, 1):
            before = requests(sandbox)
            await asyncio.gather(
                *(
                    poller.poll(completion, known(completion), batching_delay=0.3)
                    for completion in completions
                )
            )
            assert requests(sandbox) - before == each
        sandbox.advance(20_000)
        await asyncio.gather(*(poller.poll(each, known(each), batching_delay=0.3) for each in completions))
        assert [counts(completion) for completion in completions] == [{DELIVERED: 3}] * 10
        before = requests(sandbox)
        await asyncio.gather(*(poller.poll(each, known(each), batching_delay=0.3) for each in completions))
        assert requests(sandbox) == before

    run(work)


def test_a_request_is_full_at_500(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def work(poller: GatewayPoller) -> None:
        monkeypatch.setattr(poller.hook, "poll_recipients", lambda people: asked.append(len(people)) or ())
        completions = []
        for place in range(30):
            batch = SentBatch(reference=f"b{place}", gateway_id=str(place), accepted=40, state="sent")
            completion = completion_of(poller, report_of(batch))
            completion.unfinished[0] = tuple(number(person) for person in range(40))
            completions.append(completion)
        await asyncio.gather(*(poller.poll(each, {}, batching_delay=0.2) for each in completions))

    run(work)
    assert asked == [480, 480, 240]


@pytest.mark.parametrize(
    "mind",
    [RejectedError("an entry is wrong", kind=ErrorKind.NOT_FOUND), ConfigurationError("an id is wrong")],
)
def test_one_that_the_gateway_minds_is_asked_about_alone(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, mind: Exception
) -> None:
    for person in range(2):
        outcome(sandbox, number(person), "delivered", after=10_000)
    reports = [sent(place, place) for place in range(2)]

    async def work(poller: GatewayPoller) -> None:
        completions = [completion_of(poller, report) for report in reports]
        for completion in completions:
            await poller.poll(completion, {}, batching_delay=0.0)
            assert completion.unfinished

        monkeypatch.setattr(poller.hook, "poll_recipients", Mock(side_effect=mind))
        sandbox.advance(20_000)
        await asyncio.gather(*(poller.poll(each, {}, batching_delay=0.1) for each in completions))
        assert [counts(completion) for completion in completions] == [{DELIVERED: 1}] * 2

    run(work)


def test_trouble_with_a_request_for_many_passes(sandbox: Any) -> None:
    outcome(sandbox, number(1), "delivered", after=10_000)
    report = sent(1, 1)

    async def work(poller: GatewayPoller) -> None:
        completion = completion_of(poller, report)
        await poller.poll(completion, {}, batching_delay=0.0)
        sandbox.advance(20_000)
        fault(sandbox, "503", path="multi-status")
        await poller.poll(completion, {}, batching_delay=0.0)
        assert counts(completion) == {PENDING: 1}
        await poller.poll(completion, {}, batching_delay=0.0)
        assert counts(completion) == {DELIVERED: 1}

    run(work)


def test_somebody_whom_the_gateway_forgot_is_looked_for_among_all(sandbox: Any) -> None:
    outcome(sandbox, number(1), "delivered", after=10_000)
    report = sent(1, 1)

    async def work(poller: GatewayPoller) -> None:
        completion = completion_of(poller, report)
        await poller.poll(completion, {}, batching_delay=0.0)
        completion.unfinished[0] = (number(7),)
        await poller.poll(completion, {}, batching_delay=0.0)
        assert not completion.unfinished
        assert counts(completion) == {PENDING: 1}
        sandbox.advance(20_000)
        await poller.poll(completion, {}, batching_delay=0.0)
        assert counts(completion) == {DELIVERED: 1}

    run(work)


def test_so_many_are_asked_at_once_and_no_more(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, at_once, most = threading.Lock(), [0], [0]

    def slow(gateway_id: str) -> Any:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.05)
        with lock:
            at_once[0] -= 1
        return ()

    async def work(poller: GatewayPoller) -> None:
        monkeypatch.setattr(poller.hook, "poll_delivery", slow)
        batch = SentBatch(reference="b", gateway_id="1", accepted=1, state="sent")
        completions = [completion_of(poller, report_of(batch)) for _ in range(50)]
        await asyncio.gather(*(poller.poll(each, {}, batching_delay=0.0) for each in completions))

    run(work)
    assert most == [POLL_THREADS]


def test_questions_keep_to_the_rate_limit(
    sandbox: Any, set_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(
        "smspartner",
        host=sandbox.gateway_url("smspartner"),
        extra={"rate_limits": {"bulk-status": "1/60"}},
    )
    monkeypatch.setattr(gateway_poller, "POLL_SLOT_WAIT", 0.05)
    reports = [sent(place, place) for place in range(5)]
    before = requests(sandbox)

    async def work(poller: GatewayPoller) -> None:
        completions = [completion_of(poller, report) for report in reports]
        await asyncio.gather(*(poller.poll(each, {}, batching_delay=0.0) for each in completions))

    run(work)
    assert requests(sandbox) == before + 1


def test_so_do_the_looks_of_a_worker(
    sandbox: Any, set_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(
        "smspartner",
        host=sandbox.gateway_url("smspartner"),
        extra={"rate_limits": {"bulk-status": "1/60"}},
    )
    monkeypatch.setattr("airflow_provider_voicepartner.hooks.polling.WORKER_POLL_SLOT_WAIT", 0.05)
    batches = [sent(place, place).batches[0] for place in range(5)]
    before = requests(sandbox)
    completion = CompletionCheck(report_of(*batches), CompletionOptions())
    completion.poll()
    completion.close()
    assert requests(sandbox) == before + 1


def test_a_gateway_that_is_away_is_not_tried_for_every_batch(sandbox: Any) -> None:
    batches = [
        SentBatch(reference=f"b{place}", gateway_id=str(place), accepted=1, state="sent")
        for place in range(1, 51)
    ]
    fault(sandbox, "503", times=None, path="bulk-status")

    async def work(poller: GatewayPoller) -> None:
        before = requests(sandbox)
        await poller.poll(completion_of(poller, report_of(*batches)), {}, batching_delay=0.0)
        assert requests(sandbox) == before + 3

    run(work)


def test_what_could_not_be_kept_is_told_again(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    report = sent(1, 1)
    sandbox.advance(86_400)

    async def work(poller: GatewayPoller) -> None:
        completion = completion_of(poller, report, unlisted_grace=0.0, unconfirmed_after=0.0)
        keep = poller.writer.write

        async def refuse(items: Any) -> None:
            raise NotStoredError("away")

        monkeypatch.setattr(poller.writer, "write", refuse)
        with pytest.raises(NotStoredError):
            await poller.poll(completion, {}, batching_delay=0.0)
        assert not completion.progress({}, time.time()).is_complete
        monkeypatch.setattr(poller.writer, "write", keep)
        await poller.poll(completion, {}, batching_delay=0.0)
        assert counts(completion) == {DELIVERED: 1}

    run(work)


def test_what_is_no_news_is_not_written_again(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(sandbox, number(1), "delivered", after=10_000)
    report = sent(1, 1)

    async def work(poller: GatewayPoller) -> None:
        completion = completion_of(poller, report)
        await poller.poll(completion, {}, batching_delay=0.0)
        before = poller.writer.counts.commits
        for _ in range(3):
            await poller.poll(completion, {}, batching_delay=0.0)
        assert poller.writer.counts.commits == before
        sandbox.advance(20_000)
        await poller.poll(completion, {}, batching_delay=0.0)
        assert poller.writer.counts.commits == before + 1

    run(work)


def test_a_look_at_many_batches_asks_several_at_once_in_one_transaction(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [sent(place, place).batches[0] for place in range(12)]
    sandbox.advance(86_400)
    lock, at_once, most = threading.Lock(), [0], [0]

    async def work(poller: GatewayPoller) -> None:
        poll = poller.hook.poll_delivery

        def slow(gateway_id: str) -> Any:
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            time.sleep(0.05)
            with lock:
                at_once[0] -= 1
            return poll(gateway_id)

        monkeypatch.setattr(poller.hook, "poll_delivery", slow)
        completion = completion_of(poller, report_of(*batches))
        await poller.poll(completion, {}, batching_delay=0.0)
        assert completion.progress(known(completion), time.time()).delivered == 12
        assert poller.writer.counts.commits == 1

    run(work)
    assert most == [POLLS_AT_ONCE]


def test_what_was_told_before_a_refusal_is_kept(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [sent(place, place).batches[0] for place in range(4)]
    sandbox.advance(86_400)
    no = RejectedError("wrong key", kind=ErrorKind.CONFIGURATION)

    async def work(poller: GatewayPoller) -> None:
        poll = poller.hook.poll_delivery

        def refuse_one(gateway_id: str) -> Any:
            if gateway_id == batches[1].gateway_id:
                raise no
            return poll(gateway_id)

        monkeypatch.setattr(poller.hook, "poll_delivery", refuse_one)
        completion = completion_of(poller, report_of(*batches))
        with pytest.raises(RejectedError):
            await poller.poll(completion, {}, batching_delay=0.0)
        assert completion.progress(known(completion), time.time()).delivered == 2

    run(work)


def test_batches_that_are_never_answered_keep_no_other_from_being_asked_about(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [sent(place, place).batches[0] for place in range(8)]
    broken = {batch.gateway_id for batch in batches[:3]}
    sandbox.advance(86_400)

    async def work(poller: GatewayPoller) -> None:
        poll = poller.hook.poll_delivery

        def some(gateway_id: str) -> Any:
            if gateway_id in broken:
                raise SendOutcomeUnknownError("no JSON")
            return poll(gateway_id)

        monkeypatch.setattr(poller.hook, "poll_delivery", some)
        completion = completion_of(poller, report_of(*batches))
        for _ in range(3):
            await poller.poll(completion, known(completion), batching_delay=0.0)
        assert completion.progress(known(completion), time.time()).delivered == 5

    run(work)


def test_an_account_has_one_poller_while_anybody_polls(sandbox: Any, set_connection: Any) -> None:
    set_connection("smspartner", "other", host=sandbox.gateway_url("smspartner"))

    async def main() -> None:
        async with shared_poller(hook_for("smspartner_default")) as one:
            async with (
                shared_poller(hook_for("smspartner_default")) as two,
                shared_poller(hook_for("other")) as other,
            ):
                assert one is two
                assert one is not other
            await one.poll(completion_of(one, sent(1, 1)), {}, batching_delay=0.0)
        async with shared_poller(hook_for("smspartner_default")) as later:
            assert later is not one

    asyncio.run(main())


def test_a_silent_gateway_is_not_waited_for_in_a_thread(sandbox: Any) -> None:
    """A 429 that asks for a minute ends the request; the next round asks again."""
    fault(sandbox, "429", times=1, path="bulk-status", retry_after=60)

    async def work(poller: GatewayPoller) -> None:
        batch = SentBatch(reference="b", gateway_id="1", accepted=1, state="sent")
        started = time.monotonic()
        await poller.poll(completion_of(poller, report_of(batch)), {}, batching_delay=0.0)
        assert time.monotonic() - started < 5
        with pytest.raises(RetryableNotSentError):
            await asyncio.to_thread(poller.hook.poll_delivery, "1")

    run(work)


def test_reports_name_the_person_they_are_about(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request for many tells goes to the campaign that it names, whoever else has the same number."""

    def told(people: Any) -> Any:
        return tuple(
            DeliveryReport(
                gateway="smspartner",
                campaign_id=name,
                phone_number=phone,
                status=DELIVERED if name == "1" else DeliveryStatus.FAILED,
            )
            for name, phone in people
        )

    async def work(poller: GatewayPoller) -> None:
        monkeypatch.setattr(poller.hook, "poll_recipients", told)
        completions = []
        for place in (1, 2):
            batch = SentBatch(reference=f"b{place}", gateway_id=str(place), accepted=1, state="sent")
            completion = completion_of(poller, report_of(batch))
            completion.unfinished[0] = (number(5),)
            completions.append(completion)
        await asyncio.gather(*(poller.poll(each, {}, batching_delay=0.1) for each in completions))
        assert [counts(completion) for completion in completions] == [
            {DELIVERED: 1},
            {DeliveryStatus.FAILED: 1},
        ]

    run(work)
