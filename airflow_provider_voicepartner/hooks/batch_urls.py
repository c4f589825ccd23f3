"""The URLs that a gateway is given for a batch, which can speak of nobody but whom the batch was sent to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_voicepartner.constants import RECIPIENTS_IN_URL
from airflow_provider_voicepartner.gateways.info import GatewayInfo
from airflow_provider_voicepartner.gateways.model import CallbackUrls, Recipient, phone_numbers_of
from airflow_provider_voicepartner.hooks.callbacks import CallbackConfig
from airflow_provider_voicepartner.settings import open_receiver_store
from airflow_provider_voicepartner.store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore

log = logging.getLogger(__name__)


class BatchUrls:
    """
    Makes URLs, and lets the receiver's store know of a large batch's people.

    :param config: where gateways report to.
    :param info: what is known of the gateway.
    """

    def __init__(self, config: CallbackConfig, info: GatewayInfo) -> None:
        self._config = config
        self._info = info

    def make(
        self,
        reference: str,
        recipients: Sequence[Recipient],
        *,
        now: datetime,
        send_at: datetime | None,
    ) -> CallbackUrls:
        """
        Make the URLs of a batch. Where the store cannot be reached they are believed about anybody, and the log warns.

        :param reference: our own id of the batch.
        :param send_at: when the batch is due; None is now.
        """
        people = phone_numbers_of(recipients)
        urls = self._config.for_batch(self._info, reference, now=now, send_at=send_at, people=people)
        if urls.delivery is None or len(people) <= RECIPIENTS_IN_URL:
            return urls
        try:
            self._config.note_people(
                self._store, self._info.name, reference, people=people, now=now, send_at=send_at
            )
        except StoreUnavailableError as error:
            log.warning("Whom a batch is sent to could not be noted for its callbacks: %s", error)
        return urls

    def close(self) -> None:
        """Close the store's connections, if there are any."""
        if "_store" in self.__dict__:
            self._store.close()

    @cached_property
    def _store(self) -> DeliveryStore:
        """Where the receiver looks."""
        from airflow_provider_voicepartner.delivery.store import DeliveryStore

        return DeliveryStore(open_receiver_store())
