"""The one place that reads ``[voicepartner] opt_out_key``, with which the list of opt-outs is hashed."""

from __future__ import annotations

import re

from airflow_provider_voicepartner.compat import conf
from airflow_provider_voicepartner.delivery.opt_outs import SHORTEST_KEY
from airflow_provider_voicepartner.exceptions import ConfigurationError


def opt_out_keys() -> tuple[str, ...]:
    """
    Return the keys, newest first, registered with Airflow's masker; none leaves it to the store's own key.

    :raises ConfigurationError: one of them is too short.
    """
    text = conf.get("voicepartner", "opt_out_key", fallback="") or ""
    keys = tuple(key for key in re.split(r"[\s,]+", text) if key)
    if keys:
        from airflow_provider_voicepartner.compat import mask_secret

        for key in keys:
            mask_secret(key)
    if any("-long-random-text" in key for key in keys):
        raise ConfigurationError(
            "[voicepartner] opt_out_key is an example of the documentation; make one of your own"
        )
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise ConfigurationError(f"[voicepartner] opt_out_key must have at least {SHORTEST_KEY} characters")
    return keys
