"""``callbacks register`` and ``callbacks check``: telling a gateway where to report, and seeing that it can."""

from __future__ import annotations

from argparse import Namespace
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_voicepartner.cli.probe import check_receiver
from airflow_provider_voicepartner.cli.running import CommandError, say
from airflow_provider_voicepartner.gateways.octopush import CampaignParameters
from airflow_provider_voicepartner.hooks.callbacks import CallbackConfig, callback_config, why_not

_ACCOUNT_URLS: Final = (
    ("deliveries", "callback_url_for_deliveries"),
    ("replies", "callback_url_for_inbounds"),
    ("opt-outs", "callback_url_for_blacklisted_numbers"),
)
_LONGEST_SHOWN: Final = 16


def register(arguments: Namespace) -> None:
    """Set the callback URLs of an Octopush account, and show them before and after."""
    from airflow_provider_voicepartner.hooks.octopush import OctopushHook
    from airflow_provider_voicepartner.hooks.registry import hook_for

    config = _config()
    hook = hook_for(arguments.conn_id, who="callbacks register")
    if not isinstance(hook, OctopushHook):
        raise CommandError(
            f"{hook.gateway.LABEL} is given its URL with each batch; only Octopush keeps one for the whole account"
        )
    url = config.for_connection(hook.gateway.NAME, arguments.conn_id)
    _show("Before:", hook.get_campaign_parameters())
    if arguments.dry_run:
        say(f"Would set all of them to {masked(url)}")
        return
    hook.edit_campaign_parameters(**{name: url for _, name in _ACCOUNT_URLS})
    after = hook.get_campaign_parameters()
    _show("After:", after)
    wrong = [what for what, name in _ACCOUNT_URLS if getattr(after, name) != url]
    if wrong:
        raise CommandError(
            f'Octopush took the change but shows other URLs for {", ".join(wrong)}; look at the page "Callbacks" of '
            "its website"
        )
    say("Octopush reports to this receiver. Other programs on the same account get no more reports.")


def check(_: Namespace) -> None:
    """See that a call to the public URL arrives in the store that Airflow reads."""
    check_receiver(_config())


def _config() -> CallbackConfig:
    config = callback_config()
    if config is None:
        raise CommandError(f"{why_not()}; see docs/callbacks.md")
    return config


def _show(title: str, parameters: CampaignParameters) -> None:
    say(title)
    for what, name in _ACCOUNT_URLS:
        say(f"  {what:<11}{masked(getattr(parameters, name))}")


def masked(url: str | None) -> str:
    """Show a URL without what may be a secret in it: long parts of its path, its query, a password."""
    if not url:
        return "(none)"
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        return "***"
    shown = "/".join("***" if len(part) > _LONGEST_SHOWN else part for part in parts.path.split("/"))
    return f"{parts.scheme}://{host}{shown}{'?***' if parts.query else ''}"
