"""The gateways of this package keep to what every gateway promises."""

from __future__ import annotations

from airflow_provider_voicepartner.gateways import octopush, smspartner, voicepartner
from airflow_provider_voicepartner.gateways.info import own_gateways
from airflow_provider_voicepartner.gateways.model import SmsMessage
from airflow_provider_voicepartner.testing.gateway_cases import (
    CALL,
    DROP,
    NUMBER,
    SMS,
    GatewayCases,
    Sample,
    answer,
)


class TestSmsPartner(GatewayCases):
    gateway = smspartner
    samples = (
        Sample(
            smspartner,
            SMS,
            {
                "success": True,
                "code": 200,
                "message_id": 8123456,
                "nb_sms": 1,
                "cost": 0.045,
                "currency": "EUR",
            },
            id_key="message_id",
            cost_key="cost",
            count_key="nb_sms",
            personal=SmsMessage(text="Hello {name}"),
        ),
    )
    balance = {"success": True, "code": 200, "user": {}, "credits": {"balance": "42.50", "currency": "EUR"}}
    report = {"status": "delivered", "msgId": "8123456", "phone": NUMBER, "date": 1935922571}

    def test_a_number_of_a_bulk_send_that_was_taken_names_it(self) -> None:
        for entries, taken in (
            ([{"success": True}], True),
            ([{"success": "true"}, None], True),
            ({"1": {"success": 1}}, True),
            ([{"success": False}], False),
            ([], False),
            ("x", False),
        ):
            assert smspartner.names_a_send(answer({"SMSResponse_List": entries}, 429)) is taken


class TestVoicePartner(GatewayCases):
    gateway = voicepartner
    samples = (
        Sample(
            voicepartner,
            CALL,
            {
                "success": True,
                "campaignId": "Qa7x2kd9vb",
                "cost": 0.06,
                "currency": "EUR",
                "nbSms": 1,
                "duration": 5.4,
            },
            id_key="campaignId",
            cost_key="cost",
            count_key="nbSms",
        ),
        Sample(
            voicepartner,
            DROP,
            {"success": True, "campaignId": "vm4T81", "cost": 0.15, "currency": "EUR", "nbSms": 1},
            id_key="campaignId",
            cost_key="cost",
            count_key="nbSms",
        ),
    )
    balance = {"success": True, "credit": "42.50", "currency": "€"}
    report = {
        "campaignId": "Qa7x2kd9vb",
        "status": "delivered",
        "phoneNumber": NUMBER,
        "doneAt": "2031-05-06 14:16:11",
    }


class TestOctopush(GatewayCases):
    gateway = octopush
    samples = (
        Sample(
            octopush,
            SMS,
            {
                "sms_ticket": "sms_6543aa10c9d21",
                "number_of_contacts": 1,
                "total_cost": 0.0495,
                "residual_credit": 41.8,
            },
            id_key="sms_ticket",
            cost_key="total_cost",
            count_key="number_of_contacts",
            good_status=201,
            counts_recipients=True,
        ),
        Sample(
            octopush,
            CALL,
            {
                "ticket_number": "voice_6543aa10c9d21",
                "number_of_contacts": 1,
                "total_cost": 0.05,
                "residual_credit": 41.8,
            },
            id_key="ticket_number",
            cost_key="total_cost",
            count_key="number_of_contacts",
            good_status=201,
            counts_recipients=True,
        ),
    )
    balance = {"amount": 42.5, "unit": "euros"}
    report = {
        "message_id": "sms_6543aa10c9d21",
        "status": "DELIVERED",
        "number": NUMBER,
        "delivery_date": "2031-05-06 14:16:11",
    }


def test_every_gateway_of_the_package_is_here() -> None:
    tested = [cases.gateway.INFO.name for cases in (TestSmsPartner, TestVoicePartner, TestOctopush)]
    assert tested == list(own_gateways())
