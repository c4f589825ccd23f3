"""A real API server that executes a write of the ledger long after its client gave up on it: nobody twice."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import requests

from tests.support.crash import WAYS, Cell, Stage, Trial

pytestmark = [pytest.mark.airflow3, pytest.mark.slow]

SMS, _, OCTOPUSH_CALL, CALL, _ = WAYS
SEEDS = range(6)


class ApiServer:
    """Airflow's API server behind a proxy that holds one write."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def hold(self, number: int, after: int) -> None:
        """Hold a write of task state, counted from 1, until so many more were executed after its repeat."""
        order = {"number": number, "after": after}
        self._session.post(f"{self.url}/_hold", json=order, timeout=30).raise_for_status()

    def release(self) -> dict[str, Any]:
        """Let it be executed now, if it was not; tell whether it was ``held`` and the ``status`` of its answer."""
        answer = self._session.post(f"{self.url}/_release", timeout=30)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return {name: told[name] for name in ("held", "status")}


@pytest.fixture(scope="module")
def api(stage: Stage) -> ApiServer:
    """Return the API server, which has answered all that an attempt asks: its first answers take seconds."""
    server = ApiServer(stage.ask("serve")["url"])
    for _ in range(5):
        if Trial(stage, CALL, server=server.url).attempt().state == "success":
            return server
    raise AssertionError("the API server does not serve a task")


@pytest.mark.parametrize("memories", ["both", "state"])
def test_a_claim_that_is_executed_after_later_ones_takes_none_of_them_away(
    stage: Stage, api: ApiServer, memories: Any
) -> None:
    trial = Trial(stage, CALL, cell=Cell(memories), server=api.url)
    api.hold(number=2, after=2)
    killed = trial.attempt({"send 3: after": "kill"})
    assert killed.state == "up_for_retry", trial.story()
    assert api.release() == {"held": True, "status": 204}
    # The user's word must not be needed, and must not harm: what was sent stays sent.
    assert trial.attempt(on_unknown="assume_sent").state == "success", trial.story()
    assert trial.reached_by_batch() == [1, 1, 1], trial.story()


@pytest.mark.parametrize("memories", ["both", "state"])
def test_a_claim_that_is_executed_after_success_takes_nothing_away_when_the_task_is_cleared(
    stage: Stage, api: ApiServer, memories: Any
) -> None:
    trial = Trial(stage, CALL, cell=Cell(memories), server=api.url)
    api.hold(number=2, after=99)
    assert trial.attempt().state == "success", trial.story()
    assert api.release() == {"held": True, "status": 204}
    trial.clear()
    assert trial.attempt(on_unknown="assume_sent").state == "success", trial.story()
    assert trial.reached_by_batch() == [1, 1, 1], trial.story()


@pytest.mark.parametrize("seed", SEEDS)
def test_any_write_any_time(stage: Stage, api: ApiServer, seed: int) -> None:
    random = Random(seed)
    way, memories = random.choice((SMS, OCTOPUSH_CALL, CALL)), random.choice(("both", "state"))
    trial = Trial(stage, way, in_flight=random.choice((1, 3)), cell=Cell(memories), server=api.url)
    number, after = random.randrange(1, 6), random.choice((0, 1, 2, 3, 99))
    orders = [{f"#{random.randrange(5, 50)}": random.choice(("kill", "kill worker"))} for _ in range(2)]
    print(f"seed {seed}: {trial.way}, {memories}, write {number} after {after} more, {orders}")
    api.hold(number=number, after=after)
    trial.finish(resolve="assume_sent", orders=orders)
