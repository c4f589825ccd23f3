"""
What Voice Partner sends to a callback URL: a POST per number for calls, one GET per campaign for voicemail drops.

Both are distinguished by their fields, not by their method, so that one URL can serve both. There is no signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.model import CallbackEvent, CampaignDeliveryReport, DeliveryReport
from airflow_provider_voicepartner.gateways.parsing import (
    as_count,
    as_int,
    as_object,
    as_text,
    pick,
    read_callback,
    read_callback_number,
)
from airflow_provider_voicepartner.gateways.voicepartner import INFO
from airflow_provider_voicepartner.gateways.voicepartner.codes import STATUS_WORDS
from airflow_provider_voicepartner.gateways.wire import CallbackRequest


def parse_callback(callback: CallbackRequest) -> tuple[CallbackEvent, ...]:
    """
    Read a report: of one number, or of a whole voicemail campaign.

    A campaign's report names two ids and the vendor does not say which one the send answered; ``campaign_token``
    is the likelier and comes first.

    :raises InvalidCallbackError: for anything that has neither shape.
    """
    fields = read_callback(callback)
    if "delivered_quantity" in fields or "total_quantity" in fields:
        return (_read_campaign(fields),)
    return (_read_number(fields),)


def _read_campaign(fields: Mapping[str, Any]) -> CampaignDeliveryReport:
    delivered, total = as_int(fields.get("delivered_quantity")), as_int(fields.get("total_quantity"))
    if delivered is None or total is None or not 0 <= delivered <= total:
        raise InvalidCallbackError(
            "delivered_quantity and total_quantity are not two counts that go together"
        )
    named = (as_text(fields.get("campaign_token")), as_text(fields.get("campaign_id")))
    campaign_ids = tuple(dict.fromkeys(name for name in named if name is not None))
    if not campaign_ids:
        raise InvalidCallbackError("the callback names no campaign")
    return CampaignDeliveryReport(
        gateway=INFO.name, campaign_ids=campaign_ids, delivered=delivered, total=total, raw=fields
    )


def _read_number(fields: Mapping[str, Any]) -> DeliveryReport:
    number = read_callback_number(pick(fields, "phoneNumber", "phone_number"))
    status = as_text(fields.get("status"))
    if status is None:
        raise InvalidCallbackError("the callback has no status")
    # The vendor writes "additionnal" with two n; the right spelling is accepted in case it is mended one day.
    picked_up = as_text(pick(fields, "additionnal_status", "additional_status"))
    audio = as_text(
        as_object(fields.get("audioFileComplementaire")).get(
            "status", fields.get("audioFileComplementaire[status]")
        )
    )
    return DeliveryReport(
        gateway=INFO.name,
        campaign_id=as_text(pick(fields, "campaignId", "campaign_id")),
        phone_number=number,
        status=STATUS_WORDS.read(status),
        gateway_status=status,
        detail=picked_up or audio,
        at=read_date(as_text(fields.get("doneAt"))) or read_date(as_text(fields.get("sendAt"))),
        duration=as_count(fields.get("duration")),
        raw=fields,
    )
