"""Whoever is logged in to Airflow acts on incidents; nobody else does, and no page of another site."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.hooks.answer_pages import answer_routes
from tests.plugins.test_receiver import SECRET, mounted
from tests.support.receiver import running_receiver

ACTING = """
import json, sys
from fastapi import FastAPI
from starlette.testclient import TestClient
from airflow.api_fastapi.app import get_auth_manager, init_auth_manager, init_plugins
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.utils.db import initdb
from airflow_provider_voicepartner.settings import open_store
from tests.support.escalations import POLICY, answer_rows, incident_row, open_incident, page_store, resolver
initdb()
app = FastAPI()
init_auth_manager(app)
init_plugins(app)
store = open_store("a test")
pages = page_store(store)
incident = open_incident(store)
pages.start(incident, POLICY)
pages.take_turn(incident, resolver)
token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="zoe", role="admin"))
nobody = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="nobody", role=None))
bearer, json_type = {"Authorization": "Bearer " + token}, {"Content-Type": "application/json"}
stranger = {"Authorization": "Bearer " + nobody}
cookie = {"Cookie": f"{COOKIE_NAME_JWT_TOKEN}={token}"}
path = f"/voicepartner/incidents/{incident}/"

def state():
    row = incident_row(store, incident)
    return [row.state, row.owner]

with TestClient(app, raise_server_exceptions=False) as client:
    def post(headers, action="acknowledge", where=path, **more):
        return client.post(where + action, headers=headers, **more).status_code
    refused = {
        "no login": post(json_type),
        "forged": post({**json_type, "Authorization": "Bearer x.y.z"}),
        "a form": post(cookie, data={"a": "b"}),
        "a text": post({**cookie, "Content-Type": "text/plain; application/json"}),
        "no type": post(cookie),
        "another site": post({**cookie, **json_type, "Sec-Fetch-Site": "cross-site"}),
        "may not see the DAG": post({**stranger, **json_type}),
        "an odd action": post({**bearer, **json_type}, "delete"),
        "an odd incident": post({**bearer, **json_type}, where="/voicepartner/incidents/-1/"),
        "a large one": post({**bearer, **json_type}, where="/voicepartner/incidents/9999999999999999999999/"),
        "one that is not there": post({**bearer, **json_type}, where="/voicepartner/incidents/99/"),
        "GET": client.get(path + "acknowledge", headers=bearer).status_code,
    }
    untouched = [state(), len(answer_rows(store))]
    done = client.post(path + "acknowledge", headers={**cookie, **json_type}, content="{}")
    acknowledged = [done.json(), state()]
    again = client.post(path + "acknowledge", headers={**bearer, **json_type}).json()["outcome"]
    on = client.post(path + "escalate", headers={**bearer, **json_type}).json()["outcome"]
    closed = client.post(path + "close", headers={**bearer, **json_type, "Sec-Fetch-Site": "same-origin"}).json()
print("found" + json.dumps({
    "refused": refused, "untouched": untouched, "acknowledged": acknowledged, "again": again, "on": on,
    "closed": closed, "state": state(), "channels": sorted({row.channel for row in answer_rows(store)}),
}))
print("token " + token)
"""


@pytest.mark.airflow3
def test_whoever_is_logged_in_acts_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "planted-jwt-secret-of-at-least-32-characters")
    found, logged = mounted(tmp_path, ACTING, receiver_enabled="True", callback_secret=SECRET)
    assert found["refused"] == {
        "no login": 401, "forged": 403, "a form": 415, "a text": 415, "no type": 415, "another site": 403,
        "may not see the DAG": 404, "an odd action": 404, "an odd incident": 404, "a large one": 404,
        "one that is not there": 404, "GET": 405,
    }  # fmt: skip
    assert found["untouched"] == [["open", None], 0]
    assert found["acknowledged"] == [
        {"incident": 1, "outcome": "acknowledged", "owner": "zoe"}, ["acknowledged", "zoe"],
    ]  # fmt: skip
    assert (found["again"], found["on"]) == ("already_owned", "escalated")
    assert found["closed"] == {"incident": 1, "outcome": "closed", "owner": "zoe"}
    assert found["state"] == ["closed", "zoe"]
    assert found["channels"] == ["airflow"]
    for planted in ("planted-jwt-secret", "sales.load failed", "612345601"):
        assert planted not in logged


def test_a_receiver_of_its_own_has_no_such_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    routes = answer_routes(lambda: running.store, PREFIX)
    with running_receiver(url, routes=routes) as running:
        for path in ("/incidents/1/acknowledge", f"{PREFIX}/incidents/1/acknowledge"):
            assert running.post(path, {}).status == 404
