"""
Record a STOP where the next campaign looks, whichever gateway it was told to.

SMS Partner leaves out whoever is on its STOP list. The other gateways have no such list that can be written to, so the
numbers are kept in a file too, and a campaign is sent to the people who are not in it. The file holds numbers in clear.

The DAG ``opt_out`` needs Airflow 3.3 or later, for asset watchers that lose no event, and is not there on an older one;
``after_opt_outs`` needs Airflow 2.11 or later.
"""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import pendulum
from airflow import __version__

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG

from airflow_provider_voicepartner.operators.sms import SendSmsOperator

log = logging.getLogger(__name__)
START = pendulum.datetime(2026, 1, 1, tz="Europe/Paris")
FOLDER = "/tmp/outreach"  # readable by every task; a bucket's mount on several machines

if tuple(map(int, __version__.split(".")[:2])) < (3, 3):
    log.warning("opt_out needs Airflow 3.3 or later; this is %s", __version__)
else:
    from airflow.sdk import Asset, AssetWatcher

    from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
    from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

    # [START howto_opt_out]
    opt_outs = Asset(
        "voicepartner_opt_outs",
        watchers=[AssetWatcher(name="voicepartner_opt_outs", trigger=DeliveryEventTrigger(kinds="opt_out"))],
    )

    with DAG(
        "opt_out",
        schedule=[opt_outs],
        start_date=START,
        catchup=False,
        max_active_runs=1,
        params={"folder": FOLDER},
        tags=["voicepartner", "example"],
    ):

        @task(inlets=[opt_outs], retries=5)
        def record(folder: str) -> int:
            """Add the numbers to our own list and to SMS Partner's; both may be done again."""
            from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
            from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook

            numbers = {event.phone_number for event in DeliveryHook().take_events(opt_outs)}
            with open(f"{folder}/opted_out.csv", "a", encoding="utf-8") as file:
                file.writelines(f"{number}\n" for number in sorted(numbers))
            smspartner, failed = SmsPartnerHook("smspartner_default"), 0
            for number in sorted(numbers):
                try:
                    smspartner.add_stop(number)
                except VoicePartnerProviderError as error:
                    log.warning("SMS Partner did not take a STOP: %s", error)
                    failed += 1  # the others shall not wait for this one
            if failed:
                raise RuntimeError(f"{failed} of {len(numbers)} are not on SMS Partner's STOP list yet")
            return len(numbers)

        record("{{ params.folder }}")
    # [END howto_opt_out]

with DAG(
    "after_opt_outs",
    schedule=None,
    start_date=START,
    catchup=False,
    params={"folder": FOLDER, "people": str(Path(__file__).parent / "data" / "people.csv")},
    tags=["voicepartner", "example"],
):
    # [START howto_leave_out]
    @task
    def leave_out(people: str, folder: str) -> int:
        """Write the people who may be messaged to a file of their own; return how many are left out."""
        from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, parse_number

        known = Path(folder, "opted_out.csv")
        opted_out = set(known.read_text(encoding="utf-8").split()) if known.exists() else set()
        kept, left_out = [], 0
        with open(people, encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter=";"):
                try:
                    is_out = parse_number(row["phone_number"]).e164 in opted_out
                except InvalidNumberError:
                    is_out = False  # the operator counts and rejects it
                left_out += is_out
                kept += [] if is_out else [row]
        with open(f"{folder}/people.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ("phone_number", "first_name", "may_call"))
            writer.writeheader()
            writer.writerows(kept)
        return left_out

    send = SendSmsOperator(
        task_id="send",
        conn_id="octopush_default",
        to="{{ params.folder }}/people.csv",
        message="Bonjour {first_name}, la collecte de sang a lieu samedi de 9h a 17h.",
        on_invalid="skip",
    )

    leave_out("{{ params.people }}", "{{ params.folder }}") >> send
    # [END howto_leave_out]
