"""
A harmless report of ours to our own public URL, and whether it comes out in our store.

It takes the way of a gateway's report from its token to the commit, about a batch that never was, of nobody.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pendulum

from airflow_provider_voicepartner.cli.running import CommandError, say
from airflow_provider_voicepartner.delivery.store import CampaignKey, DeliveryStore, of_reference
from airflow_provider_voicepartner.hooks.callbacks import (
    PREFIX,
    CallbackConfig,
    airflow_base_path,
    open_receiver_store,
)
from airflow_provider_voicepartner.hooks.http import new_session
from airflow_provider_voicepartner.hooks.http_log import hide_from_http_logs
from airflow_provider_voicepartner.sending.fingerprint import new_reference

if TYPE_CHECKING:
    import requests

    from airflow_provider_voicepartner.store.engine import Store

_GATEWAY: Final = "voicepartner"
_LIFETIME: Final = timedelta(minutes=10)
_SECONDS: Final = 10
_NOBODY: Final = {"delivered_quantity": "0", "total_quantity": "0"}
_SLOW: Final = 1.0


def check_receiver(config: CallbackConfig) -> None:
    """
    Call the public URL as a gateway would, and say step by step what works.

    :raises CommandError: at the first step that does not, with what to look at.
    """
    session = new_session()
    # Plain http is for this machine, where no proxy of the environment may be asked.
    session.trust_env = config.public_url.startswith("https://")
    reference = f"probe-{new_reference()}"
    url = config.for_batch(_GATEWAY, reference, now=pendulum.now("UTC"), lifetime=_LIFETIME).delivery or ""
    hide_from_http_logs((url.rpartition("/")[2],))
    with session:
        _check_health(session, config)
        _check_forged(session, url)
        _check_probe(session, url, reference)
    _check_store(of_reference(_GATEWAY, reference))
    say("Callbacks that are sent to this address arrive.")


def _check_health(session: requests.Session, config: CallbackConfig) -> None:
    answer = _call(session, "GET", config.health_url)
    where = config.health_url
    if answer.status_code == 503 and _json(answer) == {"status": "unavailable"}:
        raise CommandError(f"the receiver at {where} runs, but cannot write its store; its log says why")
    if answer.status_code == 404:
        raise CommandError(
            f"{where} answers 404: something is there, but not the receiver. Is it running, or receiver_enabled set "
            "in the API server? Does the proxy in front of it pass /voicepartner on, with the path unchanged?"
            f"{_about_base_url(config)}"
        )
    if 300 <= answer.status_code < 400:
        raise CommandError(
            f"{where} answers with a redirect, which gateways do not follow; set public_url to its target"
        )
    if answer.status_code != 200 or _json(answer) != {"status": "ok"}:
        raise CommandError(
            f"{where} answers {answer.status_code}, and not as the receiver does; another program is there"
        )
    say(f"ok: {where} answers, and its store can be written")


def _about_base_url(config: CallbackConfig) -> str:
    """Name the likeliest reason where Airflow itself is not at the root of its host; empty elsewhere."""
    path = airflow_base_path()
    if not path or urlsplit(config.public_url).path.rstrip("/").endswith(path):
        return ""
    return (
        f" Airflow's [api] base_url has the path {path}, so a receiver in the API server is below {path}{PREFIX}: "
        f"end public_url with {path}, or let the proxy pass {PREFIX} on to it"
    )


def _check_forged(session: requests.Session, url: str) -> None:
    forged = f"{url[:-1]}{'A' if url[-1] != 'A' else 'B'}"
    answer = _call(session, "POST", forged)
    if answer.status_code != 404:
        raise CommandError(
            f"a URL that nobody signed is answered with {answer.status_code}, not with 404: that is not the receiver"
        )
    say("ok: a forged URL is refused")


def _check_probe(session: requests.Session, url: str, reference: str) -> None:
    fields = {"campaign_token": reference, "campaign_id": reference, **_NOBODY}
    for method in ("GET", "POST"):
        started = time.monotonic()
        sent = {"params": fields} if method == "GET" else {"json": fields}
        answer = _call(session, method, url, **sent)
        took = time.monotonic() - started
        if answer.status_code == 404 and answer.content:
            raise CommandError(
                f"{method} is answered with 404 by something before the receiver; let it pass /voicepartner/callbacks"
            )
        if answer.status_code == 404:
            raise CommandError(
                "the receiver does not know our signature: its [voicepartner] callback_secret is another one than here"
            )
        if answer.status_code == 503:
            raise CommandError("the receiver cannot store a report; its log says why")
        if answer.status_code != 200 or answer.content:
            raise CommandError(
                f"{method} is answered with {answer.status_code} and {len(answer.content)} bytes, not with 200 and "
                "none; something in front of the receiver changes its answers"
            )
        say(f"ok: {method} with a signed URL is taken")
        if took > _SLOW:
            say(f"but: it took {took:.1f} s from here, and Octopush waits one")


def _check_store(key: CampaignKey) -> None:
    store = open_receiver_store()
    try:
        found = DeliveryStore(store).has_report(key)
        if found:
            _forget(store, key)
    finally:
        store.close()
    if not found:
        raise CommandError(
            f"the receiver took the probe, but it is not in the store {store.name}: it writes to another one. Set the "
            "same [voicepartner] store_url for both; a SQLite file can be shared only on one machine"
        )
    say(f"ok: the probe is in the store {store.name}")


def _forget(store: Store, key: CampaignKey) -> None:
    from sqlalchemy import delete

    from airflow_provider_voicepartner.store.schema import campaign_report

    with store.write() as connection:
        connection.execute(
            delete(campaign_report).where(
                campaign_report.c.gateway == key.gateway, campaign_report.c.campaign == key.campaign
            )
        )


def _call(session: requests.Session, method: str, url: str, **sent: Any) -> requests.Response:
    """Make a request; what goes wrong on the way is told in words."""
    import requests

    host = url.split("/")[2]
    try:
        return session.request(method, url, timeout=_SECONDS, allow_redirects=False, **sent)
    except requests.exceptions.SSLError:
        problem = "its certificate is not trusted from here; gateways will not trust it either"
    except requests.exceptions.ProxyError:
        problem = "the proxy of this machine's environment did not let us through; gateways do not use it"
    except requests.exceptions.ConnectTimeout:
        problem = f"no connection within {_SECONDS} s: a firewall, or a wrong address"
    except requests.exceptions.Timeout:
        problem = (
            f"no answer within {_SECONDS} s: a proxy that cannot reach the receiver, or a store that is stuck"
        )
    except requests.exceptions.ConnectionError as error:
        told = str(error)
        is_dns = "NameResolution" in told or "getaddrinfo" in told or "Name or service" in told
        problem = "the name is not known (DNS)" if is_dns else "nothing listens there, or it hangs up"
    except requests.exceptions.RequestException as error:
        problem = type(error).__name__
    # Outside the except block: the original's text holds the URL.
    raise CommandError(f"{host} cannot be reached: {problem}")


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
