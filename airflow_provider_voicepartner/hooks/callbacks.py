"""
The URLs to which gateways report, and what their callbacks prove.

The URLs are made from ``[voicepartner] public_url`` and ``callback_secret``. The URL of a batch is valid only for its
recipients. Callbacks about a batch in doubt show which of its recipients were accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow_provider_voicepartner.compat import conf
from airflow_provider_voicepartner.constants import CALLBACK_LIFETIME, RECIPIENTS_IN_URL
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.delivery.tokens import PREFIX, CallbackTokens, WeakSecretError, expiry
from airflow_provider_voicepartner.exceptions import ConfigurationError, DeliveryUnconfirmedError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.info import GatewayInfo
from airflow_provider_voicepartner.gateways.model import (
    NO_CALLBACKS,
    CallbackUrls,
    CampaignDeliveryReport,
    DeliveryReport,
    Recipient,
    phone_numbers_of,
)
from airflow_provider_voicepartner.sending.records import Evidence, Proof, accepted_numbers
from airflow_provider_voicepartner.settings import SECTION, callback_secrets, open_receiver_store, public_url

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallbackConfig:
    """
    A receiver that gateways can reach.

    :param public_url: what is in front of ``/voicepartner`` on the internet, without a slash at its end.
    :param tokens: made of the secrets.
    """

    public_url: str
    tokens: CallbackTokens = field(repr=False)

    @property
    def health_url(self) -> str:
        """Where the receiver says whether it can store anything."""
        return f"{self.public_url}{PREFIX}/health"

    def for_batch(
        self,
        info: GatewayInfo,
        reference: str,
        *,
        now: datetime,
        send_at: datetime | None = None,
        lifetime: timedelta = CALLBACK_LIFETIME,
        phone_numbers: Sequence[str] = (),
    ) -> CallbackUrls:
        """
        Make the URLs to which a gateway reports about one batch; none where it takes no URL with a batch.

        :param info: what is known of the gateway.
        :param reference: our own id of the batch.
        :param now: the present, aware.
        :param send_at: when the batch is due; None is now.
        :param lifetime: of the URLs, from when the batch is due; 30 days.
        :param phone_numbers: of the batch's recipients, in E.164; the URLs are valid only for them. More than 16 have
            to be in the store: :meth:`note_recipients`.
        """
        if info.reports != "batch":
            return NO_CALLBACKS
        ends = expiry(now=now, send_at=send_at, lifetime=lifetime)
        url = self.url(
            info.name, self.tokens.for_batch(info.name, reference, expires=ends, recipients=phone_numbers)
        )
        return CallbackUrls(delivery=url, replies=url if info.reports_replies else None)

    def note_recipients(
        self,
        store: DeliveryStore,
        gateway: str,
        reference: str,
        *,
        phone_numbers: Sequence[str],
        now: datetime,
        send_at: datetime | None = None,
    ) -> None:
        """
        Store the recipients of a batch that has too many for its URLs.

        :param phone_numbers: in E.164.
        :raises StoreUnavailableError: they could not be stored.
        """
        ends = expiry(now=now, send_at=send_at).timestamp()
        store.note_recipients(gateway, reference, self.tokens.stored_marks(phone_numbers), ends=ends)

    def for_connection(self, gateway: str, conn_id: str) -> str:
        """
        Make the URL of an account that reports about all its campaigns to one place.

        :param gateway: the connection type.
        :param conn_id: of the Airflow connection.
        """
        return self.url(gateway, self.tokens.for_connection(gateway, conn_id))

    def url(self, gateway: str, token: str) -> str:
        """Return the URL that a token stands in."""
        return f"{self.public_url}{PREFIX}/callbacks/{quote(gateway, safe='')}/{quote(token, safe='')}"


def callback_config() -> CallbackConfig | None:
    """
    Read the configuration.

    :returns: None where ``public_url`` or ``callback_secret`` is not set, so that gateways cannot report.
    :raises ConfigurationError: one of them is set and cannot be used.
    """
    url, secrets = public_url(), callback_secrets()
    if not url or not secrets:
        return None
    return CallbackConfig(url, _tokens(secrets))


def receiver_tokens() -> CallbackTokens:
    """
    Return what the receiver reads tokens with; it need not know its public address.

    :raises ConfigurationError: without a secret that can be used.
    """
    secrets = callback_secrets()
    if not secrets:
        raise ConfigurationError(
            f"[{SECTION}] callback_secret is not set: the receiver accepts only URLs signed with it. Make one "
            'with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return _tokens(secrets)


def missing_settings() -> str:
    """Say which setting is missing for gateways to report, for errors; empty when none is."""
    missing = [
        name
        for name, value in (("public_url", public_url()), ("callback_secret", callback_secrets()))
        if not value
    ]
    return (
        f"[{SECTION}] {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
        if missing
        else ""
    )


def airflow_base_path() -> str:
    """Return the path of ``[api] base_url``, without a slash at its end; empty where Airflow is at a host's root."""
    try:
        return urlsplit((conf.get("api", "base_url", fallback="") or "").strip()).path.rstrip("/")
    except ValueError:
        return ""


def _tokens(secrets: tuple[str, ...]) -> CallbackTokens:
    try:
        return CallbackTokens(secrets)
    except WeakSecretError as error:
        problem = str(error)
    raise ConfigurationError(f"[{SECTION}] callback_secret: {problem}")


class BatchUrls:
    """
    Makes the URLs of batches, and stores the recipients of a large batch for the receiver.

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
        Make the URLs of a batch. If the store cannot be reached, they are valid for any number, and the log warns.

        :param reference: our own id of the batch.
        :param send_at: when the batch is due; None is now.
        """
        phone_numbers = phone_numbers_of(recipients)
        urls = self._config.for_batch(
            self._info, reference, now=now, send_at=send_at, phone_numbers=phone_numbers
        )
        if urls.delivery is None or len(phone_numbers) <= RECIPIENTS_IN_URL:
            return urls
        try:
            self._config.note_recipients(
                self._store, self._info.name, reference, phone_numbers=phone_numbers, now=now, send_at=send_at
            )
        except StoreUnavailableError as error:
            log.warning("The recipients of a batch could not be stored for its callbacks: %s", error)
        return urls

    def close(self) -> None:
        """Close the store's connections, if there are any."""
        if "_store" in self.__dict__:
            self._store.close()

    @cached_property
    def _store(self) -> DeliveryStore:
        """The store that the receiver reads."""
        from airflow_provider_voicepartner.delivery.store import DeliveryStore

        return DeliveryStore(open_receiver_store())


def find_callbacks(gateway: Gateway, reference: str, recipients: Sequence[Recipient]) -> Proof | None:
    """
    Look for callbacks about a batch.

    A report under our reference counts for its number, if the batch has that number and the gateway documents the
    status. A report on the whole batch counts for as many recipients as it says that the campaign had.

    :param reference: our own id of the batch, which its URLs carry.
    :param recipients: of the batch.
    :returns: None when there was no callback.
    :raises DeliveryUnconfirmedError: the store cannot be read.
    """
    reports, whole = _reports_about(gateway.INFO.name, reference)
    if not reports and whole is None:
        return None
    statuses = (report for report in reports if gateway.knows_status(report.gateway_status))
    accepted = len(accepted_numbers(statuses, phone_numbers_of(recipients)))
    if whole is not None:
        accepted = max(accepted, min(whole.total, len(recipients)))
    return Proof(Evidence.CALLED_BACK, accepted)


def _reports_about(
    gateway: str, reference: str
) -> tuple[tuple[DeliveryReport, ...], CampaignDeliveryReport | None]:
    """Return the reports on single recipients, and the one on the whole batch where there is one."""
    from airflow_provider_voicepartner.delivery.inbound import of_reference
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
    raise DeliveryUnconfirmedError(f"the store of callbacks cannot be read: {problem}")
