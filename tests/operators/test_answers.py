"""Answers that contradict themselves or each other, all the way: nobody is sent to again, and nobody counts as sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import (
    OutcomePendingError,
    RejectedError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from tests.support.servers import Behaviour, CountingServer, answer, counting_server
from tests.support.tasks import TaskRun

PEOPLE = ["+33612345678", "+33612345679", "+33612345680"]
SENT = {"success": True, "code": 200, "message_id": 7}
NOT_LISTED = answer(200, json.dumps({"success": False, "code": 4, "message": "unknown"}))

pytestmark = pytest.mark.usefixtures("one_look_up", "no_backoff")


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "to": PEOPLE, "message": "Bonjour", **arguments})


def says(data: Any, status: int = 200) -> Behaviour:
    return answer(status, json.dumps(data))


def sends(server: CountingServer) -> int:
    return sum(request.startswith(b"POST ") for request in server.received)


@pytest.mark.parametrize(
    ("said", "accepted", "refused", "in_doubt"),
    [
        ({**SENT, "nb_sms": 3}, 3, 0, 0),
        ({**SENT, "nb_sms": 2}, 2, 0, 1),
        ({**SENT, "nb_sms": 0}, 0, 0, 3),
        ({**SENT, "errors": [{"success": False, "code": 9, "phoneNumber": PEOPLE[0]}] * 5}, 2, 1, 0),
    ],
)
def test_counts_are_believed_downwards_and_nobody_is_sent_to_again(
    set_connection: Callable[..., str], task: TaskRun, said: Any, accepted: int, refused: int, in_doubt: int
) -> None:
    with counting_server(says(said), NOT_LISTED) as server:
        set_connection("smspartner", host=f"{server.url}/v1")
        report = sms().execute(task.attempt())
        counts = report["counts"]
        assert (counts["accepted"], counts["refused"], counts["in_doubt"]) == (accepted, refused, in_doubt)
        assert sms().execute(task.attempt(2)) == report
        assert sends(server) == 1


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"success": False, "code": 5, "message_id": 7}, 429),
        ({"success": False, "code": 200, "message": "ok"}, 200),
        ({"success": True, "code": 200}, 200),
        ({"success": 1, "message_id": 7}, 200),
    ],
)
def test_an_answer_that_contradicts_itself_is_in_doubt_and_not_repeated(
    set_connection: Callable[..., str], task: TaskRun, said: Any, status: int
) -> None:
    with counting_server(says(said, status), NOT_LISTED) as server:
        set_connection("smspartner", host=f"{server.url}/v1")
        for number in (1, 2):
            with pytest.raises(OutcomePendingError, match=r"batch 1 \(3 recipients"):
                sms().execute(task.attempt(number))
        assert sends(server) == 1


@pytest.mark.usefixtures("single")
def test_batches_with_one_id_are_in_doubt_both(set_connection: Callable[..., str], task: TaskRun) -> None:
    with counting_server(says(SENT), says(SENT), NOT_LISTED) as server:
        set_connection("smspartner", host=f"{server.url}/v1")
        for number in (1, 2):
            with pytest.raises(OutcomePendingError, match=r"batch 1 .*batch 2 .*are in doubt"):
                sms(to=PEOPLE[:2], max_in_flight=1).execute(task.attempt(number))
        counts = sms(to=PEOPLE[:2], on_unknown="assume_sent").execute(task.attempt(3))["counts"]
        assert (counts["accepted"], counts["in_doubt"]) == (0, 2)
        assert sends(server) == 2


def test_a_repeat_that_cannot_be_one_is_in_doubt_and_loud(
    set_connection: Callable[..., str], task: TaskRun, caplog: pytest.LogCaptureFixture
) -> None:
    with counting_server(says({"errors": {"request_id": "already used"}}, 400)) as server:
        set_connection("octopush", host=f"{server.url}/v1/public")
        for number in (1, 2):
            with pytest.raises(SendOutcomeUnknownError, match=r"batch 1 \(3 recipients"):
                sms(conn_id="octopush_default", sender="MaClinique").execute(task.attempt(number))
        assert sends(server) == 1
    assert [
        record.levelname for record in caplog.records if "although its id is new" in record.getMessage()
    ] == ["ERROR", "WARNING"]


def test_a_refusal_that_names_the_request_id_beside_another_fields_repeat_is_a_refusal(
    set_connection: Callable[..., str], task: TaskRun
) -> None:
    errors = {"request_id": "is not a valid identifier", "sender": "already reserved by another account"}
    with counting_server(says({"errors": errors}, 400)) as server:
        set_connection("octopush", host=f"{server.url}/v1/public")
        for number in (1, 2):
            with pytest.raises(RejectedError, match="already reserved by another account"):
                sms(conn_id="octopush_default", sender="MaClinique").execute(task.attempt(number))
        assert sends(server) == 2
    assert task.pushed["campaign"]["counts"] | {"left": 3, "accepted": 0} == task.pushed["campaign"]["counts"]
