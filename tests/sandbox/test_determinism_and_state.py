from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.sandbox import Sandbox, running_sandbox
from airflow_provider_voicepartner.sandbox.state_file import StateFileError, dump, load
from airflow_provider_voicepartner.sandbox.world import World

from .conftest import KEY, Api, Receiver

NUMBERS = ",".join(f"+336{n:08d}" for n in range(30))


def _story(sandbox: Sandbox) -> list[Any]:
    """Do the same things; return everything that could differ."""
    api = Api(sandbox)
    api.settings(failure_rate=0.4)
    told: list[Any] = [
        api.send(phoneNumbers=NUMBERS, tag="t").json(),
        api.tts(phoneNumbers=NUMBERS).json(),
        api.drop().json(),
        api.octopush_call().json(),
        api.octopush_sms().json(),
    ]
    for _ in range(4):
        api.later(5)
        told.append([message["status"] for message in api.control("GET", "/messages")["messages"]])
    api.session.close()
    return told


def test_the_seed_decides() -> None:
    stories = []
    for seed in (7, 7, 8):
        with running_sandbox(seed=seed, speed=0) as sandbox:
            stories.append(_story(sandbox))
    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


def test_ids_are_never_given_twice(api: Api) -> None:
    api.settings(voicepartner={"rate_limits": False})
    calls = {api.tts().json()["campaignId"] for _ in range(70)}
    sms = {api.send().json()["message_id"] for _ in range(70)}
    assert len(calls) == len(sms) == 70


def test_the_state_survives_in_a_file(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "sandbox" / "state.json"
    path.parent.mkdir()
    with running_sandbox(seed=3, speed=0, state_file=path) as sandbox:
        api = Api(sandbox)
        api.control("POST", "/outcomes", json={"number": "+33600000002", "outcome": "ko"})
        api.settings(smspartner={"page_size": 7})
        api.sms("/stop-sms/add", phoneNumber="+33600000009")
        numbers = "+33600000001,+33600000002"
        message_id = api.send(phoneNumbers=numbers, tag="t", urlDlr=receiver.url).json()["message_id"]
        api.octopush_sms(request_id="r")
        scheduled = api.octopush_sms(send_at="2040-01-01T00:00:00Z").json()["sms_ticket"]
        before = dump(sandbox.world)
        api.session.close()
    assert KEY in path.read_text()  # settings are in it; requests are not
    assert [left.name for left in path.parent.iterdir()] == ["state.json"]
    with running_sandbox(speed=0, state_file=path) as sandbox:
        api = Api(sandbox)
        after = dump(sandbox.world)
        assert after | {"clock": 0} == before | {"clock": 0}
        assert api.octopush_sms(request_id="r").status_code == 400
        assert api.sms("/stop-sms/add", phoneNumber="+33600000009").json()["code"] == 3
        assert api.sent_to("smspartner", "+33600000001") == 1
        api.later(60)
        entries = api.sms_get("/bulk-status-by-tag", tag="t").json()["StatutResponse_List"]
        assert [entry["status"] for entry in entries] == ["Delivered", "ko"]
        assert len(receiver.got) == 2
        assert json.loads(receiver.got[0].body)["msgId"] == str(message_id)
        cancelled = api.octopush("DELETE", "/sms-campaign/cancel", json={"ticket_number": scheduled})
        assert cancelled.status_code == 204
        assert api.send().json()["message_id"] != message_id
        api.session.close()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}'])
def test_a_strange_state_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateFileError, match="not a state file"), running_sandbox(state_file=path):
        pass
    assert path.read_text() == text


def test_a_dump_is_plain_json(api: Api) -> None:
    api.send(phoneNumbers=NUMBERS)
    state = json.loads(json.dumps(dump(api.sandbox.world)))
    other = World()
    load(other, state)
    assert json.loads(json.dumps(dump(other)))["campaigns"] == state["campaigns"]
