"""Questions to people in Airflow's REST API: whether one waits, who answered it there, and the giving of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from airflow_provider_voicepartner.incidents.question_model import Question
from airflow_provider_voicepartner.watchdog.airflow_api import api_part
from airflow_provider_voicepartner.watchdog.rest import ApiRefusedError, RestClient

_PARKED: Final = ("awaiting_input", "deferred")
_ON_THE_WAY: Final = ("running", "queued", "scheduled", "restarting")
ANSWERED_BY: Final = "answered_by"
"""The key of who answered in the input that Airflow stores with an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowQuestion:
    """
    A question, as Airflow has it.

    :param ti_id: of the task instance's present try; empty where Airflow does not say.
    :param is_parked: whether the task waits for people.
    :param is_on_the_way: whether it may come to wait.
    :param is_answered: whether somebody answered, or a default was taken.
    :param who: who did; empty for a default.
    :param at: Unix seconds; None where Airflow does not say.
    :param note: what was stored with the answer.
    """

    ti_id: str = ""
    is_parked: bool = False
    is_on_the_way: bool = False
    is_answered: bool = False
    chosen: tuple[str, ...] = ()
    who: str = ""
    at: float | None = None
    note: Mapping[str, Any]


class QuestionApi(Protocol):
    """What is asked about questions. Each raises ``ApiSilentError`` or ``ApiRefusedError``."""

    def find(self, question: Question) -> AirflowQuestion | None:
        """Return a question; None where Airflow does not know it any more."""

    def answer(self, question: Question) -> None:
        """Give an answer to Airflow; one that is there already is refused with status 409."""


class HitlApi:
    """
    The REST API of Airflow 3.1 and later.

    :param client: asks, as a user who may answer.
    """

    def __init__(self, client: RestClient) -> None:
        self._client = client

    def find(self, question: Question) -> AirflowQuestion | None:
        """Return a question; None where Airflow does not know it any more."""
        try:
            found = self._client.get(_path(question), with_token=True)
        except ApiRefusedError as error:
            if error.status == 404:
                return None
            raise
        return _read(found)

    def answer(self, question: Question) -> None:
        """Give an answer to Airflow; one that is there already is refused with status 409."""
        body = {"chosen_options": list(question.chosen), "params_input": note_of(question)}
        self._client.patch(_path(question), body, with_token=True)


def note_of(question: Question) -> dict[str, str]:
    """Return what is stored in Airflow with an answer: who gave it, how and when; no number."""
    at = datetime.fromtimestamp(question.decided_at or question.changed_at, UTC)
    return {
        ANSWERED_BY: question.who or "a number without a name",
        "answered_how": question.how,
        "answered_at": at.isoformat(timespec="seconds"),
    }


def _path(question: Question) -> str:
    dag, run, task = map(api_part, (question.dag_id, question.run_id, question.task_id))
    return f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/{question.map_index}/hitlDetails"


def _read(found: Any) -> AirflowQuestion:
    if not isinstance(found, Mapping):
        raise ApiRefusedError("Airflow's API answers something else than it documents; check url", status=200)
    task, user, note = found.get("task_instance"), found.get("responded_by_user"), found.get("params_input")
    task = task if isinstance(task, Mapping) else {}
    chosen = found.get("chosen_options")
    state = str(task.get("state") or "")
    return AirflowQuestion(
        ti_id=str(task.get("id") or ""),
        is_parked=state in _PARKED,
        is_on_the_way=state in _ON_THE_WAY,
        is_answered=found.get("response_received") is True,
        chosen=tuple(map(str, chosen))
        if isinstance(chosen, Sequence) and not isinstance(chosen, str)
        else (),
        who=str(user.get("name") or "") if isinstance(user, Mapping) else "",
        at=_seconds(found.get("responded_at")),
        note=note if isinstance(note, Mapping) else {},
    )


def _seconds(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
