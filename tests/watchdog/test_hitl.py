"""Questions by Airflow's REST API: what is asked, what is sent, and what an odd answer is taken for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_provider_voicepartner.incidents.question_model import Question, Stage
from airflow_provider_voicepartner.watchdog.config import AirflowAccess, Secrets
from airflow_provider_voicepartner.watchdog.hitl import HitlApi
from airflow_provider_voicepartner.watchdog.rest import ApiRefusedError, ApiSilentError, RestClient

PLACE = "/api/v2/dags/re%2Flease/dagRuns/manual__2031-05-06T10%3A00%3A00%2B00%3A00/taskInstances/approve/3/hitlDetails"
QUESTION = Question(
    id=1, ti_id="ti-1", dag_id="re/lease", run_id="manual__2031-05-06T10:00:00+00:00", task_id="approve",
    map_index=3, options=("Approve", "Reject"), most=1, link="", code=None, last_code=47, state=Stage.DECIDED,
    outcome="", asked_at=0.0, answerable_at=0.0, ends_at=None, seen="", checked_at=0.0, chosen=("Reject",),
    who="anna", how="sms", decided_at=1_900_000_000.0, changed_at=1_900_000_000.0, version=1,
)  # fmt: skip
DETAIL: dict[str, Any] = {
    "task_instance": {"id": "ti-1", "state": "awaiting_input"}, "response_received": False,
    "chosen_options": None, "responded_by_user": None, "responded_at": None, "params_input": {},
}  # fmt: skip


class Served:
    """What the API answers, and what it was asked."""

    def __init__(self) -> None:
        self.status, self.answer = 200, json.dumps(DETAIL)
        self.requests: list[tuple[str, str, Any]] = []
        self.url = ""

    def api(self) -> HitlApi:
        access = AirflowAccess(url=self.url, token_env="TOKEN")
        return HitlApi(RestClient(access, Secrets(token="planted-token")))

    def says(self, **more: Any) -> None:
        self.answer = json.dumps({**DETAIL, **more})


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.requests.append((self.command, self.path, json.loads(body) if body else None))
            text = made.answer.encode()
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:  # http.server's name
            self.answer()

        def do_PATCH(self) -> None:  # http.server's name
            self.answer()

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join(5)


def test_an_answer_names_who_how_and_when_and_no_number(served: Served) -> None:
    served.api().answer(QUESTION)
    [(method, path, body)] = served.requests
    assert (method, path) == ("PATCH", PLACE)
    assert body == {
        "chosen_options": ["Reject"],
        "params_input": {
            "answered_by": "anna",
            "answered_how": "sms",
            "answered_at": "2030-03-17T17:46:40+00:00",
        },
    }


def test_a_question_that_waits(served: Served) -> None:
    found = served.api().find(QUESTION)
    assert served.requests == [("GET", PLACE, None)]
    assert found is not None
    assert (found.ti_id, found.is_parked, found.is_answered) == ("ti-1", True, False)


def test_a_question_that_was_answered_there(served: Served) -> None:
    served.says(
        task_instance={"id": "ti-1", "state": "scheduled"}, response_received=True, chosen_options=["Approve"],
        responded_by_user={"id": "1", "name": "admin"}, responded_at="2030-03-17T17:46:40Z",
    )  # fmt: skip
    found = served.api().find(QUESTION)
    assert found is not None
    assert (found.is_parked, found.is_on_the_way, found.is_answered) == (False, True, True)
    assert (found.chosen, found.who, found.at) == (("Approve",), "admin", 1_900_000_000.0)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_has_its_status(served: Served, status: int) -> None:
    served.status = status
    with pytest.raises(ApiRefusedError) as refused:
        served.api().answer(QUESTION)
    assert refused.value.status == status
    assert "planted-token" not in str(refused.value)


def test_a_question_that_is_gone_and_an_api_that_is_broken(served: Served) -> None:
    served.status = 404
    assert served.api().find(QUESTION) is None
    served.status = 502
    with pytest.raises(ApiSilentError):
        served.api().find(QUESTION)


@pytest.mark.parametrize(
    "odd",
    [
        {"task_instance": None},
        {"task_instance": "x", "responded_by_user": 7, "params_input": [1], "chosen_options": "Approve"},
        {"responded_at": "tomorrow", "response_received": "yes"},
        {"responded_at": 1e300},
    ],
)
def test_odd_fields_answer_nothing(served: Served, odd: dict[str, Any]) -> None:
    served.says(**odd)
    found = served.api().find(QUESTION)
    assert found is not None
    assert (found.is_answered, found.chosen, found.who, found.at) == (False, (), "", None)


@pytest.mark.parametrize("text", ["[]", '"x"', "<html>", "", "7"])
def test_an_answer_that_is_no_question_is_a_refusal(served: Served, text: str) -> None:
    served.answer = text
    with pytest.raises(ApiRefusedError):
        served.api().find(QUESTION)
