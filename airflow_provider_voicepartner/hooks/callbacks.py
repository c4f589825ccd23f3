"""
Where gateways report to, for which batch, and what their reports prove.

The URLs are made of ``[voicepartner] public_url`` and ``callback_secret``. The URL of a batch can speak only of those
whom the batch was sent to. What a gateway called back about a batch in doubt shows who of it was accepted.
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
from airflow_provider_voicepartner.gateways.gateway import Gateway, GatewayInfo
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    CampaignDeliveryReport,
    DeliveryReport,
    Recipient,
    phone_numbers_of,
)
from airflow_provider_voicepartner.sending.records import Evidence, Proof, taken_numbers
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
        people: Sequence[str] = (),
    ) -> CallbackUrls:
        """
        Make the URLs to which a gateway reports about one batch; none where it takes no URL with a batch.

        :param info: what is known of the gateway.
        :param reference: our own id of the batch.
        :param now: the present, aware.
        :param send_at: when the batch is due; None is now.
        :param lifetime: of the URLs, from when the batch is due; 30 days.
        :param people: whom the batch is sent to, in E.164, so that the URLs can speak of nobody else; of more than 16
            the store has to know: :meth:`note_recipients`.
        """
        if info.reports != "batch":
            return CallbackUrls()
        ends = expiry(now=now, send_at=send_at, lifetime=lifetime)
        url = self.url(
            info.name, self.tokens.for_batch(info.name, reference, expires=ends, recipients=people)
        )
        return CallbackUrls(delivery=url, replies=url if info.reports_replies else None)

    def note_recipients(
        self,
        store: DeliveryStore,
        gateway: str,
        reference: str,
        *,
        people: Sequence[str],
        now: datetime,
        send_at: datetime | None = None,
    ) -> None:
        """
        Let the store know whom a batch is sent to, where that is too much for its URLs.

        :param people: in E.164.
        :raises StoreUnavailableError: it does not know.
        """
        ends = expiry(now=now, send_at=send_at).timestamp()
        store.note_recipients(gateway, reference, self.tokens.stored_marks(people), ends=ends)

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

    :returns: None where ``public_url`` or ``callback_secret`` is not set, so that nobody can report.
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


def why_not() -> str:
    """Say what is missing for gateways to report, for errors; empty when nothing is."""
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
            self._config.note_recipients(
                self._store, self._info.name, reference, people=people, now=now, send_at=send_at
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
        """Where the receiver looks."""
        from airflow_provider_voicepartner.delivery.store import DeliveryStore

        return DeliveryStore(open_receiver_store())


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
