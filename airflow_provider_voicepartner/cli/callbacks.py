"""
``callbacks register`` and ``callbacks check``: set the account's callback URLs, and test the public URL.

``check`` sends a probe report to the public URL and looks for it in the store. The probe takes the same path as a
gateway's report, from token to commit. It is about a batch that does not exist, and names no number.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pendulum

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.constants import PROBE_LIFETIME, PROBE_SLOW, PROBE_TIMEOUT, SHOWN_URL_PART
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.gateways.info import GatewayInfo, own_gateways
from airflow_provider_voicepartner.hooks.callbacks import (
    CallbackConfig,
    airflow_base_path,
    callback_config,
    missing_settings,
)
from airflow_provider_voicepartner.hooks.http_session import hide_from_http_logs, new_session
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.settings import open_receiver_store

if TYPE_CHECKING:
    import requests

    from airflow_provider_voicepartner.db.transactions import Store


def register(arguments: Namespace) -> None:
    """Set the callback URLs of an account, and print them before and after."""
    from airflow_provider_voicepartner.hooks.registry import hook_for

    config = _config()
    hook = hook_for(arguments.conn_id, who="callbacks register")
    info = hook.gateway.INFO
    if info.reports != "account":
        supported = " and ".join(one.label for one in own_gateways().values() if one.reports == "account")
        how = "gets its URL with each batch" if info.reports == "batch" else "calls no URL"
        raise CommandError(f"{info.label} {how}; only {supported} stores URLs for the whole account")
    url = config.for_connection(info.name, arguments.conn_id)
    _show("Before:", hook.account_urls())
    if arguments.dry_run:
        say(f"Would set all of them to {masked(url)}")
        return
    hook.set_account_urls(url)
    after = hook.account_urls()
    _show("After:", after)
    wrong = [what for what, shown in after.items() if shown != url]
    if wrong:
        raise CommandError(
            f"{info.label} accepted the change but still shows other URLs for {', '.join(wrong)}; check the page "
            '"Callbacks" of its website'
        )
    say(
        f"{info.label} now reports to this receiver. Other programs on the same account get no reports any more."
    )


def check(_: Namespace) -> None:
    """Check that a call to the public URL arrives in the store that Airflow reads."""
    check_receiver(_config())


def _config() -> CallbackConfig:
    config = callback_config()
    if config is None:
        raise CommandError(f"{missing_settings()}; see docs/callbacks.md")
    return config


def _show(title: str, urls: Mapping[str, str | None]) -> None:
    say(title)
    for what, url in urls.items():
        say(f"  {what:<11}{masked(url)}")


def masked(url: str | None) -> str:
    """Return a URL without possible secrets: long parts of its path, its query, a password."""
    if not url:
        return "(none)"
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        return "***"
    shown = "/".join("***" if len(part) > SHOWN_URL_PART else part for part in parts.path.split("/"))
    return f"{parts.scheme}://{host}{shown}{'?***' if parts.query else ''}"


def check_receiver(config: CallbackConfig) -> None:
    """
    Call the public URL as a gateway would, and print each step that works.

    :raises CommandError: at the first step that fails, with what to check.
    """
    session = new_session()
    # Plain http is for this machine, without a proxy from the environment.
    session.trust_env = config.public_url.startswith("https://")
    probe = next(info for info in own_gateways().values() if info.empty_report)
    reference = f"probe-{new_reference()}"
    url = config.for_batch(probe, reference, now=pendulum.now("UTC"), lifetime=PROBE_LIFETIME).delivery or ""
    hide_from_http_logs((url.rpartition("/")[2],))
    with session:
        _check_health(session, config)
        _check_forged(session, url)
        _check_probe(session, url, probe, reference)
    _check_store(of_reference(probe.name, reference))
    say("Callbacks to this URL arrive.")


def _check_health(session: requests.Session, config: CallbackConfig) -> None:
    answer = _call(session, "GET", config.health_url)
    where = config.health_url
    if answer.status_code == 503 and _json(answer) == {"status": "unavailable"}:
        raise CommandError(
            f"the receiver at {where} is running, but cannot write to its store; its log says why"
        )
    if answer.status_code == 404:
        raise CommandError(
            f"{where} answers 404: another program answers, not the receiver. Is the receiver running, or is "
            "receiver_enabled set in the API server? Does the proxy pass /voicepartner on, with the path unchanged?"
            f"{_about_base_url(config)}"
        )
    if 300 <= answer.status_code < 400:
        raise CommandError(
            f"{where} answers with a redirect, which gateways do not follow; set public_url to its target"
        )
    if answer.status_code != 200 or _json(answer) != {"status": "ok"}:
        raise CommandError(
            f"{where} answers {answer.status_code}, but not as the receiver does; another program answers there"
        )
    say(f"ok: {where} answers, and its store is writable")


def _about_base_url(config: CallbackConfig) -> str:
    """Explain a likely reason if Airflow itself is not at the root of its host; else return an empty text."""
    path = airflow_base_path()
    if not path or urlsplit(config.public_url).path.rstrip("/").endswith(path):
        return ""
    return (
        f" Airflow's [api] base_url has the path {path}, so a receiver in the API server is at {path}{PREFIX}: "
        f"end public_url with {path}, or make the proxy forward {PREFIX} to it"
    )


def _check_forged(session: requests.Session, url: str) -> None:
    forged = f"{url[:-1]}{'A' if url[-1] != 'A' else 'B'}"
    answer = _call(session, "POST", forged)
    if answer.status_code != 404:
        raise CommandError(
            f"a forged URL is answered with {answer.status_code}, not with 404: this is not the receiver"
        )
    say("ok: a forged URL is refused")


def _check_probe(session: requests.Session, url: str, probe: GatewayInfo, reference: str) -> None:
    fields = {name: text.format(reference=reference) for name, text in probe.empty_report.items()}
    for method in ("GET", "POST"):
        started = time.monotonic()
        sent = {"params": fields} if method == "GET" else {"json": fields}
        answer = _call(session, method, url, **sent)
        seconds = time.monotonic() - started
        if answer.status_code == 404 and answer.content:
            raise CommandError(
                f"a proxy in front of the receiver answers {method} with 404; make it forward /voicepartner/callbacks"
            )
        if answer.status_code == 404:
            raise CommandError(
                "the receiver rejects our signature: its [voicepartner] callback_secret differs from the one here"
            )
        if answer.status_code == 503:
            raise CommandError("the receiver cannot store a report; its log says why")
        if answer.status_code != 200 or answer.content:
            raise CommandError(
                f"{method} is answered with {answer.status_code} and {len(answer.content)} bytes, not with 200 and "
                "none; a proxy in front of the receiver changes its answers"
            )
        say(f"ok: {method} with a signed URL is accepted")
        if seconds > PROBE_SLOW:
            say(f"warning: it took {seconds:.1f} s from here, and some gateways wait for 1 s only")


def _check_store(key: CampaignKey) -> None:
    store = open_receiver_store()
    try:
        found = DeliveryStore(store).has_report(key)
        if found:
            _delete_probe(store, key)
    finally:
        store.close()
    if not found:
        raise CommandError(
            f"the receiver accepted the probe, but it is not in the store {store.name}: the receiver writes to another "
            "one. Set the same [voicepartner] store_url for both; a SQLite file can only be shared on one machine"
        )
    say(f"ok: the probe is in the store {store.name}")


def _delete_probe(store: Store, key: CampaignKey) -> None:
    from sqlalchemy import delete

    from airflow_provider_voicepartner.db.schema import campaign_report

    with store.write() as connection:
        connection.execute(
            delete(campaign_report).where(
                campaign_report.c.gateway == key.gateway, campaign_report.c.campaign == key.campaign
            )
        )


def _call(session: requests.Session, method: str, url: str, **sent: Any) -> requests.Response:
    """Make a request; a failed connection is explained in words."""
    import requests

    host = url.split("/")[2]
    try:
        return session.request(method, url, timeout=PROBE_TIMEOUT, allow_redirects=False, **sent)
    except requests.exceptions.SSLError:
        problem = "its certificate is not trusted from here; gateways will not trust it either"
    except requests.exceptions.ProxyError:
        problem = "the proxy from this machine's environment refused the connection; gateways do not use it"
    except requests.exceptions.ConnectTimeout:
        problem = f"no connection within {PROBE_TIMEOUT} s: a firewall, or a wrong address"
    except requests.exceptions.Timeout:
        problem = (
            f"no answer within {PROBE_TIMEOUT} s: a proxy cannot reach the receiver, or the store is stuck"
        )
    except requests.exceptions.ConnectionError as error:
        text = str(error)
        is_dns = "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text
        problem = "unknown host name (DNS)" if is_dns else "the connection was refused or closed"
    except requests.exceptions.RequestException as error:
        problem = type(error).__name__
    # Outside the except block: the original's text holds the URL.
    raise CommandError(f"{host} cannot be reached: {problem}")


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
