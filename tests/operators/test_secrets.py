"""What nobody may see: no key, number or text is logged, raised, returned, pushed, deferred with or written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from airflow_provider_voicepartner.compat import TaskDeferred
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from tests.conftest import KEYS, LOGIN
from tests.operators.conftest import HookClock
from tests.support.gateways import fault, sent
from tests.support.leaks import leaks, listening
from tests.support.tasks import FakeStore, TaskRun, context

ANNA, BEN = "+33612345678", "+33612345679"
NAME, TEXT, TOKEN = "Zoé-plantée", "Le texte planté de", "planted1"
SECRETS = [*KEYS.values(), LOGIN, NAME, TEXT, "planté", TOKEN, ANNA, ANNA[3:], BEN[3:]]
TABLES = ("voicepartner_campaign", "voicepartner_attempt", "voicepartner_batch")

PEOPLE = [{"phone_number": number, "first_name": NAME} for number in (ANNA, BEN)]
WAYS: dict[str, tuple[str, Callable[..., SendingOperator], dict[str, Any]]] = {
    "SMS Partner": ("smspartner", SendSmsOperator, {"message": TEXT}),
    "SMS Partner, a text each": ("smspartner", SendSmsOperator, {"message": TEXT + " {first_name}", "to": PEOPLE}),
    "Octopush": ("octopush", SendSmsOperator, {"message": TEXT + " {first_name}", "to": PEOPLE}),
    "a call": ("voicepartner", TtsCallOperator, {"text": TEXT}),
    "a voicemail": (
        "voicepartner", VoicemailDropOperator, {"audio_token": TOKEN, "email_for_notification": "ops@example.org"},
    ),
}  # fmt: skip
TROUBLES = (
    "none", "drop_before", "drop_after", "500", "html", "truncated_json", "queued_without_id", "429", "no credit",
    "wrong key", "another list",
)  # fmt: skip


@pytest.fixture
def trouble(sandbox: Any, request: pytest.FixtureRequest) -> str:
    kind = str(request.param)
    for gateway in KEYS:
        if kind == "no credit":
            sandbox.world.credit[gateway] = Decimal(0)
        elif kind == "wrong key":
            getattr(sandbox.world.settings, gateway).api_key = "another"
    if kind == "429":
        fault(sandbox, kind, retry_after=90, times=None)
    elif kind not in ("none", "no credit", "wrong key", "another list"):
        fault(sandbox, kind)
    return kind


def rows(url: str) -> list[Any]:
    """Return all that the ledger's tables hold."""
    store = open_store(url)
    with store.read() as connection:
        found = [tuple(row) for table in TABLES for row in connection.execute(text(f"SELECT * FROM {table}"))]
    store.close()
    return found


@pytest.mark.sampled(18)
@pytest.mark.usefixtures("one_look_up", "no_backoff")
@pytest.mark.parametrize("trouble", TROUBLES, indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_no_trace_of_a_campaign_holds_a_number_a_text_or_a_key(
    sandbox: Any,
    clock: HookClock,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    trouble: str,
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", url)
    gateway, operator, arguments = WAYS[way]
    run = TaskRun(FakeStore())
    with listening(capfd) as net:
        for number in (1, 2, 3):
            if trouble == "another list" and number == 2:
                arguments = {**arguments, "to": PEOPLE[1:]}
            sending = operator(
                **{
                    "task_id": "t",
                    "to": [ANNA, BEN],
                    "conn_id": f"{gateway}_default",
                    "deferrable": True,
                    **arguments,
                }
            )
            context = run.attempt(number, params={})
            sending.render_template_fields(context)
            net.add(*(getattr(sending, name) for name in sending.template_fields))
            try:
                net.add(sending.execute(context))
            except TaskDeferred as deferred:
                net.add(deferred.trigger.serialize(), deferred.kwargs, deferred.method_name)
            except Exception as error:
                net.add_error(error)
            net.add(run.pushed)
            clock.forward(minutes=10)
    kept = rows(url)
    assert len(kept) >= 4  # a campaign, and three attempts
    if trouble not in ("wrong key", "429"):
        assert any(isinstance(value, str) and "reference" in value for row in kept for value in row)
    assert run.state is not None
    files = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    shown = "\n".join(
        [net.text(), json.dumps(run.state.values, ensure_ascii=False), repr(kept), files.decode("latin-1")]
    )
    assert gateway in shown
    assert not leaks(shown, SECRETS)
    assert not leaks(net.variables(), [*KEYS.values(), LOGIN])
    # In the file text is UTF-8.
    assert not any(secret.encode() in files for secret in SECRETS)
    assert max(sent(sandbox, gateway).values(), default=1) == 1


LATER_TROUBLES = ("none", "drop_after", "500", "html", "truncated_json", "wrong_json", "429", "wrong key")


@pytest.mark.sampled(14)
@pytest.mark.parametrize("trouble", LATER_TROUBLES)
@pytest.mark.parametrize("way", WAYS)
def test_no_error_of_a_cancel_or_of_a_sensor_holds_a_number_a_text_or_a_key(
    sandbox: Any, capfd: pytest.CaptureFixture[str], no_backoff: None, way: str, trouble: str
) -> None:
    gateway, operator, arguments = WAYS[way]
    conn_id = f"{gateway}_default"
    sandbox.world.audios[TOKEN] = sandbox.world.audios["a1b2c3d4"]
    given = {"task_id": "t", "to": [ANNA, BEN], "conn_id": conn_id, **arguments}
    report = operator(**given, send_at=datetime.now(UTC) + timedelta(hours=2)).execute(context(FakeStore()))
    if trouble == "wrong key":
        getattr(sandbox.world.settings, gateway).api_key = "another"
    elif trouble != "none":
        fault(sandbox, trouble, times=None)
    errors = []
    with listening(capfd) as net:
        for later in (
            CancelCampaignOperator(task_id="cancel", campaign=report, conn_id=conn_id).execute,
            CampaignCompletionSensor(task_id="wait", campaign=report, conn_id=conn_id).poke,
        ):
            try:
                net.add(later(context()))
            except Exception as error:
                errors.append(error)
                net.add_error(error)
    assert errors or trouble != "wrong key"
    assert not leaks(net.text(), SECRETS)
    assert not leaks(net.variables(), [*KEYS.values(), LOGIN])
