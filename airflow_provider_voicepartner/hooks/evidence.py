"""What a gateway called back about a batch in doubt: who of it was taken, by that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.exceptions import DeliveryUnconfirmedError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import Recipient, phone_numbers_of
from airflow_provider_voicepartner.sending.records import Evidence, Proof, taken_numbers
from airflow_provider_voicepartner.settings import open_receiver_store
from airflow_provider_voicepartner.store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import CampaignDeliveryReport, DeliveryReport


def find_calls(gateway: Gateway, reference: str, recipients: Sequence[Recipient]) -> Proof | None:
    """
    Look for what was called back about a batch.

    A report under our reference counts for its number, if the batch has it and the status is one that the gateway
    documents. One on the whole batch counts for as many people as it says that the campaign had.

    :param reference: our own id of the batch, which its URLs carry.
    :param recipients: of the batch.
    :returns: None when there was no call.
    :raises DeliveryUnconfirmedError: the store cannot be asked.
    """
    reports, whole = _reports_about(gateway.INFO.name, reference)
    if not reports and whole is None:
        return None
    statuses = (report for report in reports if gateway.knows_status(report.gateway_status))
    taken = len(taken_numbers(statuses, phone_numbers_of(recipients)))
    if whole is not None:
        taken = max(taken, min(whole.total, len(recipients)))
    return Proof(Evidence.CALLED_BACK, taken)


def _reports_about(
    gateway: str, reference: str
) -> tuple[tuple[DeliveryReport, ...], CampaignDeliveryReport | None]:
    """Return the reports on single recipients, and the one on the whole batch where there is one."""
    from airflow_provider_voicepartner.delivery.arrivals import of_reference
    from airflow_provider_voicepartner.delivery.store import DeliveryStore

    try:
        store = DeliveryStore(open_receiver_store())
        try:
            key = of_reference(gateway, reference)
            return tuple(store.reports([key])), store.campaign_reports([key]).get(key)
        finally:
            store.close()
    except StoreUnavailableError as error:
        problem = str(error)
    raise DeliveryUnconfirmedError(f"whether the gateway called back cannot be looked up: {problem}")
