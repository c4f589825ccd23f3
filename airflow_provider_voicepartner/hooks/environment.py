"""What the environment says of proxies and certificates, tried before any connection is made."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from requests.utils import select_proxy

from airflow_provider_voicepartner.exceptions import ConfigurationError

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""In the order in which requests reads them."""


def read_environment(session: requests.Session, base_url: str) -> dict[str, Any]:
    """
    Return what the environment adds to a request, as arguments of an adapter's ``send``.

    :param session: of requests; its own settings count first.
    :param base_url: what is to be reached.
    :raises ConfigurationError: no request could leave with that; the variable is named, and not what is in it, since a
        proxy's address may hold a password.
    """
    settings: dict[str, Any] = dict(session.merge_environment_settings(base_url, {}, True, None, None))
    proxy = select_proxy(base_url, settings["proxies"])
    where = _proxy_variable(proxy, base_url) if proxy else "the connection's host"
    adapter: Any = session.get_adapter(base_url)
    request = session.prepare_request(requests.Request("GET", base_url))
    problem = None
    try:
        pool = adapter.get_connection_with_tls_context(
            request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
        )
    except Exception as error:
        problem = f"{where} cannot be used ({type(error).__name__})" + _advice(proxy)
    else:
        bundle = settings["verify"]
        if base_url.startswith("https://") and isinstance(bundle, str):
            problem = _problem_with_bundle(bundle)
        if problem is None:
            try:
                adapter.cert_verify(pool, base_url, bundle, settings["cert"])
            except Exception as error:
                problem = f"the certificates that the session names cannot be used ({type(error).__name__})"
    # Outside the except block: an error of requests quotes the address.
    if problem is not None:
        raise ConfigurationError(f"{problem}. No request was made")
    return settings


def _proxy_variable(proxy: str, base_url: str) -> str:
    """Name the variable that a proxy comes from."""
    scheme = base_url.partition(":")[0]
    for name in (f"{scheme}_proxy", "all_proxy"):
        for spelling in (name, name.upper()):  # as Python reads them: the one in small letters counts
            if os.environ.get(spelling) == proxy:
                return f"the proxy in the environment variable {spelling}"
    return "the session's proxy"


def _advice(proxy: str | None) -> str:
    if proxy and proxy.strip().lower().startswith("socks"):
        return ": a SOCKS proxy needs PySocks, pip install 'requests[socks]'"
    return ": write for instance http://proxy.example.org:3128" if proxy else ""


def _problem_with_bundle(bundle: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Load certificates as the connection would, which by then could not tell what is wrong."""
    name = next((name for name in _CA_VARIABLES if environment.get(name) == bundle), None)
    where = f"the environment variable {name}" if name else "the session's verify"
    path = Path(bundle)
    if not path.exists():
        return f"{where} names certificates that are not there: {bundle}"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if path.is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:  # ssl's errors are such
        return f"{where} names certificates that cannot be read ({type(error).__name__}): {bundle}"
    return None
