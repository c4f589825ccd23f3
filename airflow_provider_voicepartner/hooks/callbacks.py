"""Where gateways report to: the URLs made of ``[voicepartner] public_url`` and ``callback_secret``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from airflow_provider_voicepartner.compat import conf
from airflow_provider_voicepartner.constants import CALLBACK_LIFETIME
from airflow_provider_voicepartner.delivery.tokens import CallbackTokens, WeakSecretError, expiry
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.info import GatewayInfo
from airflow_provider_voicepartner.gateways.model import CallbackUrls
from airflow_provider_voicepartner.settings import SECTION, callback_secrets, public_url

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.store import DeliveryStore

log = logging.getLogger(__name__)

PREFIX: Final = "/voicepartner"


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
            the store has to know: :meth:`note_people`.
        """
        if info.reports != "batch":
            return CallbackUrls()
        ends = expiry(now=now, send_at=send_at, lifetime=lifetime)
        url = self.url(info.name, self.tokens.for_batch(info.name, reference, expires=ends, people=people))
        return CallbackUrls(delivery=url, replies=url if info.reports_replies else None)

    def note_people(
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
        store.note_people(gateway, reference, self.tokens.stored_marks(people), ends=ends)

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
            f"[{SECTION}] callback_secret is not set: only URLs that are signed with it are believed. Make one "
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
