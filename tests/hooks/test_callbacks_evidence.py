"""What was called back about a batch in doubt counts for the people of that batch, and for nobody else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.constants import CALLED_BACK_WITHIN
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.inbound import InboundRecord, of_gateway_id, of_reference
from airflow_provider_voicepartner.exceptions import DeliveryUnconfirmedError
from airflow_provider_voicepartner.gateways import smspartner, voicepartner
from airflow_provider_voicepartner.gateways.model import (
    CampaignDeliveryReport,
    DeliveryReport,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.callbacks import find_callbacks
from airflow_provider_voicepartner.hooks.dry_run import DryRun
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.sending.records import Evidence, Proof
from airflow_provider_voicepartner.settings import open_delivery_store

REFERENCE = "k3v9x0q2w7ha"
A, B, C = NUMBERS = ("+33600000001", "+33600000002", "+33600000003")
PEOPLE = [Recipient(number) for number in NUMBERS]
STRANGER = "+33699999999"
CALL, DROP, SMS = VoiceMessage(text="Bonjour"), Voicemail(audio_token="a1b2c3d4"), SmsMessage(text="Bonjour")


def report(
    number: str, word: str = "delivered", gateway: str = "voicepartner", **more: Any
) -> DeliveryReport:
    given: dict[str, Any] = {"status": DeliveryStatus.PENDING, "gateway_status": word, "campaign_id": "77"}
    return DeliveryReport(gateway=gateway, phone_number=number, **(given | more))


def call_back(*events: Any, reference: str = REFERENCE, gateway: str = "voicepartner") -> None:
    store = open_delivery_store()
    key = of_reference(gateway, reference)
    store.write([InboundRecord(key=key, event=event, received_at=1.9e9) for event in events])
    store.close()


def totals(delivered: int, total: int) -> CampaignDeliveryReport:
    return CampaignDeliveryReport(
        gateway="voicepartner", campaign_ids=("vm4T81",), delivered=delivered, total=total
    )


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ([report(A), report(B), report(C)], 3),
        ([report(A)], 1),
        ([report(A), report(A, "undelivered")], 1),
        # Whatever became of it: it was taken.
        ([report(A, "undelivered"), report(B, "pending"), report(C, "DELIVERED")], 3),
        # Others' numbers, and words that are no status.
        ([report(STRANGER)], 0),
        ([report(STRANGER), report(B)], 1),
        ([report(A, "Numéro introuvable"), report(B, "not found"), report(C, "")], 0),
        # A whole campaign: as many people as it says that it had, and no more than the batch.
        ([totals(0, 3)], 3),
        ([totals(2, 3)], 3),
        ([totals(9, 9)], 3),
        ([totals(1, 2)], 2),
        ([totals(0, 0)], 0),
        ([totals(0, 1), report(A), report(B)], 2),
    ],
)
def test_calls_count_for_the_people_of_the_batch(events: list[Any], taken: int) -> None:
    call_back(*events)
    assert find_callbacks(voicepartner, REFERENCE, PEOPLE) == Proof(Evidence.CALLED_BACK, taken)


def test_calls_about_another_batch_are_none() -> None:
    assert find_callbacks(voicepartner, REFERENCE, PEOPLE) is None
    call_back(report(A), totals(3, 3), reference="p0c4m8d1z6tb")
    call_back(report(A, gateway="smspartner"), gateway="smspartner")
    store = open_delivery_store()
    key = of_gateway_id("voicepartner", REFERENCE)
    store.write([InboundRecord(key=key, event=report(A), received_at=1.9e9)])
    store.close()
    assert find_callbacks(voicepartner, REFERENCE, PEOPLE) is None
    assert find_callbacks(smspartner, REFERENCE, PEOPLE) == Proof(Evidence.CALLED_BACK, 1)


def test_a_store_that_cannot_be_asked_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr("airflow_provider_voicepartner.delivery.store.DeliveryStore.reports", gone)
    with pytest.raises(DeliveryUnconfirmedError, match="the store of callbacks cannot be read: gone"):
        find_callbacks(voicepartner, REFERENCE, PEOPLE)


@pytest.mark.parametrize(
    ("hook", "message", "without", "with_receiver"),
    [
        (VoicePartnerHook, CALL, None, CALLED_BACK_WITHIN),
        (VoicePartnerHook, DROP, None, CALLED_BACK_WITHIN),
        (OctopushHook, SMS, None, None),
        (SmsPartnerHook, SMS, timedelta(minutes=15), timedelta(minutes=15)),
    ],
)
def test_how_long_a_batch_may_come_to_be_known(
    hook: type[GatewayHook], message: Any, without: Any, with_receiver: Any, monkeypatch: pytest.MonkeyPatch,
    set_connection: Any,
) -> None:  # fmt: skip
    name = set_connection(hook.conn_type)
    assert hook(name).known_within(message) == without
    assert hook(name).can_look_up(message, REFERENCE) is (without is not None)
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
    assert hook(name).known_within(message) == with_receiver
    assert hook(name).can_look_up(message, REFERENCE) is (with_receiver is not None)
    assert hook(name).can_disprove(message) is (hook is SmsPartnerHook)


def test_without_a_receiver_nothing_is_asked(set_connection: Any) -> None:
    call_back(report(A))
    hook = VoicePartnerHook(set_connection("voicepartner"))
    assert hook.find_proof(CALL, REFERENCE, PEOPLE, None) is None


def test_with_a_receiver_the_store_is(set_connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")
    call_back(report(A))
    hook = VoicePartnerHook(set_connection("voicepartner"))
    assert hook.find_proof(CALL, REFERENCE, PEOPLE, None) == Proof(Evidence.CALLED_BACK, 1)
    dry = DryRun(hook)
    assert (dry.find_proof(CALL, REFERENCE, PEOPLE, None), dry.known_within(CALL)) == (None, None)
    assert not dry.can_disprove(CALL)
