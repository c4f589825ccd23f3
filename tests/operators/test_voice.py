"""Call people and leave voicemail: once, through the gateway that the connection names."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_reference
from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    OutcomePendingError,
    RejectedError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.settings import open_delivery_store
from tests.conftest import KEYS, LOGIN
from tests.operators.conftest import HookClock
from tests.support.gateways import fault, last_body, requests, sent
from tests.support.ledgers import known
from tests.support.tasks import FakeStore, Logs, assert_plain, chain, context

ANNA, LANDLINE = "+33612345678", "+33198765432"
TEXT, TOKEN = "Le texte planté de Zoé", "a1b2c3d4"


def call(**arguments: Any) -> TtsCallOperator:
    return TtsCallOperator(**{"task_id": "call", "to": [ANNA, LANDLINE], "text": TEXT, **arguments})


def drop(**arguments: Any) -> VoicemailDropOperator:
    given = {
        "task_id": "drop",
        "to": [ANNA, LANDLINE],
        "audio_token": TOKEN,
        "email_for_notification": "ops@example.org",
    }
    return VoicemailDropOperator(**{**given, **arguments})


WAYS = {
    "tts at Voice Partner": (call, "voicepartner", "tts"),
    "tts at Octopush": (lambda **more: call(conn_id="octopush_default", **more), "octopush", "tts"),
    "voicemail at Voice Partner": (drop, "voicepartner", "voicemail"),
}


@pytest.mark.parametrize("way", WAYS)
def test_everybody_is_called_once_landlines_too_and_the_report_says_so(sandbox: Any, way: str) -> None:
    make, gateway, kind = WAYS[way]
    store = FakeStore()
    report = make(to=[ANNA, "01 98 76 54 32", ANNA]).execute(context(store))
    assert sent(sandbox, gateway) == {ANNA: 1, LANDLINE: 1}
    assert (report["gateway"], report["conn_id"], report["kind"]) == (gateway, f"{gateway}_default", kind)
    assert report["counts"] == {
        "recipients": 3, "accepted": 2, "invalid": 0, "duplicate": 1, "opted_out": 0, "refused": 0, "in_doubt": 0,
    }  # fmt: skip
    assert report["batches"][0]["gateway_id"] in sandbox.world.campaigns[gateway]
    assert_plain(report)
    # A retry does not call again.
    assert make(to=[ANNA, "01 98 76 54 32", ANNA]).execute(context(store, try_number=2)) == report
    assert requests(sandbox) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_lost_answer_is_in_doubt_and_nobody_is_called_again(sandbox: Any, way: str) -> None:
    make, gateway, _ = WAYS[way]
    store = FakeStore()
    fault(sandbox, "drop_after")
    if gateway == "octopush":
        # It refuses the repeat of a request that it took, and that proves it.
        assert make().execute(context(store))["counts"]["accepted"] == 2
        assert sent(sandbox, gateway) == {ANNA: 1, LANDLINE: 1}
        return
    for number in (1, 2, 3):
        with pytest.raises(SendOutcomeUnknownError):
            make().execute(context(store, try_number=number))
    assert sent(sandbox, gateway) == {ANNA: 1, LANDLINE: 1}
    assert make(on_unknown="assume_sent").execute(context(store, try_number=4))["counts"]["in_doubt"] == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_final_and_a_corrected_attempt_sends(sandbox: Any, way: str) -> None:
    make, gateway, _ = WAYS[way]
    store, credit = FakeStore(), sandbox.world.credit[gateway]
    sandbox.world.credit[gateway] = 0
    with pytest.raises(RejectedError):
        make().execute(context(store))
    sandbox.world.credit[gateway] = credit
    assert make().execute(context(store, try_number=2))["counts"]["accepted"] == 2
    assert sent(sandbox, gateway) == {ANNA: 1, LANDLINE: 1}


@pytest.mark.sampled(7)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "trouble", [None, "drop_after", "500", "html", "truncated_json", "no credit", "wrong key"]
)
def test_no_log_no_error_and_no_report_holds_a_number_a_text_or_a_key(
    sandbox: Any, logs: Logs, way: str, trouble: str | None
) -> None:
    make, gateway, _ = WAYS[way]
    if trouble == "no credit":
        sandbox.world.credit[gateway] = 0
    elif trouble == "wrong key":
        getattr(sandbox.world.settings, gateway).api_key = "another"
    elif trouble:
        fault(sandbox, trouble)
    store, shown = FakeStore(), ""
    for number in (1, 2):
        operator: SendingOperator = make()
        operator.render_template_fields(context(params={}))
        shown += "".join(str(getattr(operator, name)) for name in operator.template_fields)
        try:
            shown += json.dumps(operator.execute(context(store, try_number=number)), ensure_ascii=False)
        except Exception as error:
            shown += chain(error)
    shown += logs.text + json.dumps(store.values, ensure_ascii=False)
    assert gateway in shown.casefold()
    for secret in (KEYS[gateway], LOGIN, TEXT, "planté", TOKEN, ANNA[3:], LANDLINE[3:]):
        assert secret not in shown, f"{secret!r} was shown"


def test_an_audio_file_can_be_played_in_place_of_a_text(sandbox: Any) -> None:
    call(text=None, audio_token="{{ params.token }}").render_template_fields(context(params={"token": TOKEN}))
    operator = call(text="", audio_token="{{ params.token }}", speech_rate="{{ params.rate }}")
    operator.render_template_fields(context(params={"token": TOKEN, "rate": ""}))
    operator.execute(context(FakeStore()))
    assert last_body(sandbox)["tokenAudio"] == TOKEN


def test_speed_and_language_come_from_templates_as_text(sandbox: Any) -> None:
    operator = call(speech_rate="{{ params.rate }}", language="{{ params.language }}")
    operator.render_template_fields(context(params={"rate": 1.5, "language": "en-GB"}))
    operator.execute(context(FakeStore()))
    body = last_body(sandbox)
    assert float(body["speechRate"]) == 1.5
    assert body["lang"] == "en"


def test_octopush_speaks_to_each_person_by_name(sandbox: Any) -> None:
    call(
        conn_id="octopush_default",
        to=[{"phone_number": ANNA, "first_name": "Zoé"}],
        text="Bonjour {first_name}",
    ).execute(context(FakeStore()))
    assert last_body(sandbox)["recipients"] == [{"phone_number": ANNA, "first_name": "Zoé"}]


def test_a_callback_number_is_hidden_like_any_other(sandbox: Any) -> None:
    operator = drop(sender="0600000000")
    operator.render_template_fields(context(params={}))
    assert "0600000000" not in str(operator.sender)
    operator.execute(context(FakeStore()))
    assert "600000000" in str(last_body(sandbox))


def test_the_connections_mail_address_serves_voicemail_drops_that_give_none(
    sandbox: Any, set_connection: Any
) -> None:
    set_connection(
        "voicepartner",
        host=sandbox.gateway_url("voicepartner"),
        extra={"email_for_notification": "all@example.org"},
    )
    drop(email_for_notification=None).execute(context(FakeStore()))
    assert "all@example.org" in last_body(sandbox).values()


def test_a_call_can_be_planned(sandbox: Any) -> None:
    when = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    report = call(send_at=when).execute(context(FakeStore()))
    assert datetime.fromisoformat(report["scheduled_for"]) == when
    [campaign] = sandbox.world.campaigns["voicepartner"].values()
    assert campaign.due is not None


def test_a_budget_for_calls_needs_the_price_of_one(sandbox: Any) -> None:
    with pytest.raises(BudgetExceededError):
        call(max_cost="0.5", unit_price="0.3").execute(context(FakeStore()))
    assert sent(sandbox, "voicepartner") == {}
    call(max_cost="0.6", unit_price="0.3").execute(context(FakeStore()))
    assert sent(sandbox, "voicepartner") == {ANNA: 1, LANDLINE: 1}


class TestCallsAsEvidence:
    """Voice Partner cannot be asked about a send; what it calls back proves that it took it."""

    @pytest.fixture(autouse=True)
    def _public(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")

    def attempt(self, store: FakeStore, number: int) -> Any:
        return call(conn_id="voicepartner_default").execute(context(store, try_number=number))

    def call_back(self, reference: str) -> None:
        delivery = open_delivery_store()
        key = of_reference("voicepartner", reference)
        for number in (ANNA, LANDLINE):
            event = DeliveryReport(
                gateway="voicepartner",
                campaign_id="77",
                phone_number=number,
                status=DeliveryStatus.PENDING,
                gateway_status="pending",
            )
            delivery.write([InboundRecord(key=key, event=event, received_at=1.9e9)])
        delivery.close()

    @pytest.mark.usefixtures("one_look_up")
    def test_a_call_settles_a_doubt_and_nobody_is_called_again(self, sandbox: Any, clock: HookClock) -> None:
        store = FakeStore()
        fault(sandbox, "drop_after")
        with pytest.raises(OutcomePendingError):
            self.attempt(store, 1)
        with pytest.raises(OutcomePendingError):  # no call yet: still in doubt
            self.attempt(store, 2)
        self.call_back("another12345")
        clock.forward(minutes=16)
        with pytest.raises(SendOutcomeUnknownError):
            self.attempt(store, 3)
        self.call_back(known(store)[0].reference)
        report = self.attempt(store, 4)
        assert (report["counts"]["accepted"], report["batches"][0]["state"]) == (2, "sent")
        assert set(sent(sandbox, "voicepartner").values()) == {1}

    @pytest.mark.usefixtures("one_look_up")
    def test_a_store_that_cannot_be_asked_proves_nothing(
        self, sandbox: Any, monkeypatch: pytest.MonkeyPatch, logs: Logs
    ) -> None:
        store = FakeStore()
        fault(sandbox, "drop_after")
        monkeypatch.setattr(
            "airflow_provider_voicepartner.delivery.store.DeliveryStore.reports", _unavailable
        )
        with pytest.raises(OutcomePendingError):
            self.attempt(store, 1)
        assert "could not be looked up" in logs.text


def _unavailable(*_: Any) -> bool:
    raise StoreUnavailableError("gone")
