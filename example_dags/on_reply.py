"""
Start a DAG when people answer. Its task reads the answers from the store; Airflow never holds them.

Needs Airflow 3.3 or later, for asset watchers that lose no event; on an older one this file defines no DAG.
"""

from __future__ import annotations

import logging
from collections import Counter

import pendulum
from airflow import __version__

if tuple(map(int, __version__.split(".")[:2])) < (3, 3):
    logging.getLogger(__name__).warning("on_reply needs Airflow 3.3 or later; this is %s", __version__)
else:
    from airflow.sdk import DAG, Asset, AssetWatcher, task

    from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
    from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

    # [START howto_on_reply]
    replies = Asset(
        "voicepartner_replies",
        watchers=[AssetWatcher(name="voicepartner_replies", trigger=DeliveryEventTrigger(kinds="reply"))],
    )

    with DAG(
        "on_reply",
        schedule=[replies],
        start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Paris"),
        catchup=False,
        max_active_runs=1,
        tags=["voicepartner", "example"],
    ) as dag:

        @task(inlets=[replies])
        def count_answers() -> dict[str, int]:
            """Count who comes and who does not; a real one would write ``event.phone_number`` to a database."""
            words = {"OUI": "comes", "1": "comes", "NON": "does not", "2": "does not"}
            events = DeliveryHook().take_events(replies)
            return dict(Counter(words.get(event.text.strip().upper(), "unclear") for event in events))

        count_answers()
    # [END howto_on_reply]
