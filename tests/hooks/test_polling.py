"""How many poll_requests of a look are under way at once, and when a look is over."""

from __future__ import annotations

import pytest

from airflow_provider_voicepartner.hooks.polling import PollRequest, PollResult, Rounds, run_at_once
from airflow_provider_voicepartner.sending.report import SentBatch


def poll_requests(count: int, *, recipients: int = 0) -> list[PollRequest]:
    sent = SentBatch(reference="b", gateway_id="1", accepted=500, state="sent")
    return [
        PollRequest(place=place, sent=sent, phone_numbers=("+33612345678",) * recipients)
        for place in range(count)
    ]


def widths(asked: list[PollRequest], *answered: int, recipients_a_request: int = 0) -> list[int]:
    """Ask in rounds, of each of which so many are answered, and of later ones all; return the sizes of the rounds."""
    share = (
        (lambda request: len(request.phone_numbers) / recipients_a_request) if recipients_a_request else None
    )
    rounds = Rounds(asked) if share is None else Rounds(asked, share=share)
    sizes = []
    while found := rounds.next():
        told = answered[len(sizes)] if len(sizes) < len(answered) else len(found)
        sizes.append(len(found))
        rounds.note(told)
    return sizes


def test_rounds_grow_up_to_four() -> None:
    assert widths(poll_requests(20)) == [1, 2, 4, 4, 4, 4, 1]


def test_nothing_to_ask_is_no_round() -> None:
    assert widths([]) == []


def test_three_without_an_answer_end_the_look() -> None:
    assert widths(poll_requests(20), 0, 0, 0) == [1, 1, 1]


def test_an_answer_lets_the_look_go_on() -> None:
    assert widths(poll_requests(20), 0, 0, 1, 0, 0) == [1, 1, 1, 2, 1]


def test_a_round_without_any_answer_counts_in_full() -> None:
    assert widths(poll_requests(20), 1, 2, 0) == [1, 2, 4]


@pytest.mark.parametrize(("answered", "then"), [(3, 3), (2, 2), (1, 1)])
def test_a_rate_limit_that_lets_fewer_through_makes_rounds_smaller(answered: int, then: int) -> None:
    assert widths(poll_requests(20), 1, 2, answered)[:4] == [1, 2, 4, then]


def test_requests_about_few_recipients_share_a_request() -> None:
    assert widths(poll_requests(14, recipients=125), recipients_a_request=500) == [4, 8, 2]


def test_one_that_is_too_large_for_a_request_is_asked_alone() -> None:
    assert widths(poll_requests(2, recipients=50), recipients_a_request=10) == [1, 1]


def test_answers_and_errors_come_in_the_order_of_the_requests() -> None:
    def answer(request: PollRequest) -> PollResult | None:
        if request.place == 1:
            raise ValueError("no")
        return None if request.place == 2 else PollResult(request=request)

    first, error, last = run_at_once(answer, poll_requests(4))
    assert isinstance(first, PollResult)
    assert isinstance(error, ValueError)
    assert isinstance(last, PollResult)
    assert (first.request.place, last.request.place) == (0, 3)
    assert isinstance(run_at_once(answer, poll_requests(2)[1:])[0], ValueError)
