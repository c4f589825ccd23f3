"""A notifier of a HITL operator sends the question: subject, numbered options, how to answer, and where."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.gateways.gsm import count_segments
from airflow_provider_voicepartner.notifications.message import default_text, spoken_text
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.support.gateways import last_body, sent
from tests.support.tasks import Logs

ANNA = "+33612345678"
PAGE = "https://airflow.example.com/dags/release/runs/r1/tasks/approve"
LINK = f"{PAGE}/required_actions"


class HITLOperator:
    """As it was in its first releases, which could not tell a link."""

    def __init__(self, **more: Any) -> None:
        self.subject = more.pop("subject", "Deploy version 7?")
        self.options = ["Approve", "Reject"]
        self.__dict__.update(more)


def context(task: Any = None, **more: Any) -> dict[str, Any]:
    known = {"dag_id": "release", "task_id": "approve", "run_id": "r1", "try_number": 1, "map_index": -1}
    ti = SimpleNamespace(
        **{**known, "id": "1", "state": "running", "log_url": f"{PAGE}?try_number=1", **more}
    )
    return {"ti": ti, "task_instance": ti, "run_id": "r1", "task": task or HITLOperator()}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "en",
            f"Airflow: release.approve asks: Deploy version 7? 1 Approve 2 Reject. Answer in Airflow: {LINK}",
        ),
        (
            "fr",
            f"Airflow: release.approve demande: Deploy version 7? 1 Approve 2 Reject. Répondre dans Airflow: {LINK}",
        ),
    ],
)
def test_the_question_its_options_and_the_link_are_told(language: str, text: str) -> None:
    assert default_text(context(), language) == text
    assert count_segments(text).segments <= 2


def test_a_subject_that_is_no_sentence_ends_with_a_full_stop() -> None:
    assert "asks: Deploy. 1 Approve" in default_text(context(HITLOperator(subject="Deploy")))


def test_the_operators_own_link_is_used() -> None:
    task = HITLOperator(generate_link_to_ui_from_context=lambda context: f"{LINK}?map_index=-1")
    assert default_text(context(task)).endswith(f": {LINK}")
    task = HITLOperator(generate_link_to_ui_from_context=lambda context: f"{LINK}?map_index=3")
    assert default_text(context(task)).endswith(f": {LINK}?map_index=3")


def test_without_a_link_it_still_says_how_to_answer() -> None:
    def fail(context: Any) -> str:
        raise ValueError("no base_url")

    text = default_text(context(HITLOperator(generate_link_to_ui_from_context=fail)))
    assert text == "Airflow: release.approve asks: Deploy version 7? 1 Approve 2 Reject. Answer in Airflow"


@pytest.mark.parametrize("segments", [None, 1, 2, 3])
def test_the_subject_is_cut_first_and_the_link_never(segments: int | None) -> None:
    text = default_text(context(HITLOperator(subject="word " * 200)), segments=segments)
    assert count_segments(text).segments == (segments or 3)
    assert "... 1 Approve 2 Reject. Answer in Airflow" in text
    assert text.endswith("Answer in Airflow") if segments == 1 else text.endswith(f": {LINK}")


def test_in_a_call_it_is_said_twice_without_the_link() -> None:
    said = (
        "Airflow. Task approve of DAG release asks: Deploy version 7? Option 1: Approve. Option 2: Reject. "
        "Answer in Airflow, under Required Actions."
    )
    assert spoken_text(context()) == f"{said} I repeat. {said}"


@pytest.mark.parametrize(
    ("more", "says"),
    [({"state": "success"}, "succeeded"), ({"state": "failed"}, "failed"), ({"state": "skipped"}, "skipped")],
)
def test_once_it_is_over_it_is_a_task_like_others(more: dict[str, Any], says: str) -> None:
    assert default_text(context(**more)).startswith(f"Airflow: release.approve {says}, run r1")


def test_another_operator_with_options_asks_nobody() -> None:
    task = SimpleNamespace(subject="x", options=["a"])
    assert default_text(context(task)).startswith("Airflow: release.approve running")


@pytest.mark.airflow3
@pytest.mark.parametrize("notifier", [SmsNotifier, TtsCallNotifier])
def test_airflows_own_operator_asks(
    sandbox: Any, logs: Logs, monkeypatch: pytest.MonkeyPatch, notifier: Any
) -> None:
    hitl = pytest.importorskip("airflow.providers.standard.operators.hitl")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com")
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: asked.append(detail))
    task = hitl.ApprovalOperator(
        task_id="approve",
        subject="Deploy {{ run_id }}?",
        notifiers=[notifier(to=ANNA), notifier(to="nobody")],
    )
    around = context(task)
    task.render_template_fields(around)
    # It parks or defers then, which Airflow expresses by an exception.
    with pytest.raises(BaseException, match=r"^(?!.*ValueError)") as parked:
        task.execute(around)
    assert type(parked.value).__name__ in ("TaskAwaitingInput", "TaskDeferred")
    assert len(asked) == 1
    text = str(last_body(sandbox).get("message") or last_body(sandbox)["text"])
    assert "asks: Deploy r1? " in text
    if notifier is SmsNotifier:
        assert text.endswith(f"1 Approve 2 Reject. Answer in Airflow: {LINK}")
    assert list(sent(sandbox, "smspartner" if notifier is SmsNotifier else "voicepartner")) == [ANNA]
    assert "Deploy" not in logs.text
