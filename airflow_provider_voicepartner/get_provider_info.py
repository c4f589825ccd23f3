"""What Airflow reads about this provider."""

from __future__ import annotations

from typing import Any

from airflow_provider_voicepartner import __version__
from airflow_provider_voicepartner.gateways.info import default_connections, own_gateways
from airflow_provider_voicepartner.hooks.connection_form import connection_type_of

PACKAGE = "airflow_provider_voicepartner"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata: plain data, no library is imported for it."""
    gateways = tuple(own_gateways().values())
    labels = [info.label for info in gateways]
    return {
        # Must equal the distribution's name: Airflow refuses every provider of an installation otherwise.
        "package-name": "airflow-provider-voicepartner",
        "name": "Voice Partner",
        "description": f"SMS, voice calls and voicemail drops through {', '.join(labels[:-1])} and {labels[-1]}.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": label,
                "tags": ["service"],
            }
            for label in labels
        ],
        "connection-types": [connection_type_of(info) for info in gateways],
        "config": {
            "voicepartner": {
                "description": "Settings of the Voice Partner provider.",
                "options": {
                    "store_url": {
                        "description": "Database of the ledger (what was sent, for retries and cleared tasks), "
                        "of the slots at the gateways' rate limits, and of delivery reports; all machines must "
                        "share it: sqlite:////absolute/path for one machine, "
                        "postgresql://user:password@host/database for several. When empty, a SQLite file "
                        "voicepartner.db under AIRFLOW_HOME.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "postgresql://user:password@host/voicepartner",
                        "default": "",
                    },
                    "store_wait": {
                        "description": "Seconds, 0 to 86400, that a campaign waits for a store that stops answering, "
                        "before it fails for Airflow to try again.\n",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "60",
                        "default": "60",
                    },
                    "public_url": {
                        "description": "The address under which gateways reach the receiver of their reports: https, "
                        "with /voicepartner below it. Without it and callback_secret no report can come.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "https://hooks.example.org",
                        "default": "",
                    },
                    "callback_secret": {
                        "description": "Signs the URLs that gateways report to; at least 16 characters. Several are "
                        "separated by blanks or commas, the newest first: all are believed, the first signs.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "a-long-random-text",
                        "default": "",
                    },
                    "opt_out_key": {
                        "description": "Key of the hashes that a purge leaves of people who said STOP; at least 16 "
                        "characters, kept for as long as the list. Several are separated by blanks or commas, the "
                        "newest first. Empty: a random one that the store keeps beside the hashes.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "a-long-random-text",
                        "default": "",
                    },
                    "contacts": {
                        "description": "People, groups and on-call rotas, for to='@name': the path of a TOML, YAML or "
                        "JSON file, variable:NAME of an Airflow Variable, or connection:ID of a connection whose "
                        "extra holds them.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/opt/airflow/contacts.toml",
                        "default": "",
                    },
                    "alert_to": {
                        "description": "Whom an SMS goes to when a run fails of a DAG that has no notifier of this "
                        "provider on its failure: as to of a notifier, best a name such as @oncall. Empty: nobody.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "sensitive": True,
                        "example": "@oncall",
                        "default": "",
                    },
                    "alert_dags": {
                        "description": "The DAGs that alert_to is for: globs of their ids, separated by blanks or "
                        "commas, with ! before those that are left out. Empty: all.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "etl_*, !etl_test_*",
                        "default": "",
                    },
                    "alert_conn_id": {
                        "description": "The connection of alerts that no DAG defines: those of alert_to, and e-mails "
                        "to addresses such as oncall@sms.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": default_connections("sms")[-1],
                        "default": default_connections("sms")[0],
                    },
                    "alert_at_most": {
                        "description": "How often people are told of one incident of alert_to, as at_most of a "
                        "notifier; none tells of every failed run.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "3/1h",
                        "default": "1/15m",
                    },
                    "alert_group_by": {
                        "description": "What tells incidents of alert_to apart, as group_by of a notifier, separated "
                        "by blanks or commas; none makes one incident of all DAGs. Empty: each DAG has its own.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "none",
                        "default": "",
                    },
                    "alert_fallback": {
                        "description": "What is tried for the same people, in this order, when such an alert reached "
                        "nobody or that is unknown: sms:CONNECTION or call:CONNECTION, separated by blanks or "
                        "commas.\n",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": f"call:{default_connections('tts')[0]}",
                        "default": "",
                    },
                    "receiver_enabled": {
                        "description": "Take reports in Airflow's API server, at /voicepartner (Airflow 3). It "
                        "can also run alone, as airflow voicepartner receiver.\n",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": None,
                        "default": "False",
                    },
                },
            },
        },
        "hooks": [
            {"integration-name": info.label, "python-modules": [info.hook.rpartition(".")[0]]}
            for info in gateways
        ],
        "operators": [
            {
                "integration-name": label,
                "python-modules": [
                    f"{PACKAGE}.operators.{module}" for module in ("sms", "voice", "campaign", "page")
                ],
            }
            for label in labels
        ],
        "sensors": [
            {"integration-name": label, "python-modules": [f"{PACKAGE}.sensors.campaign"]} for label in labels
        ],
        "triggers": [
            {
                "integration-name": label,
                "python-modules": [
                    f"{PACKAGE}.triggers.{module}" for module in ("campaign", "events", "pacing", "page")
                ],
            }
            for label in labels
        ],
        "plugins": [
            {
                "name": "voicepartner_receiver",
                "plugin-class": f"{PACKAGE}.plugins.receiver.VoicePartnerReceiverPlugin",
            },
        ],
        "cli": [f"{PACKAGE}.cli.definition.get_commands"],
        # Airflow 3.3.2 and later; earlier ones ignore what they do not know.
        "email-backends": [f"{PACKAGE}.notifications.email.send_email"],
        "notifications": [
            f"{PACKAGE}.notifications.sms.SmsNotifier",
            f"{PACKAGE}.notifications.voice.TtsCallNotifier",
            f"{PACKAGE}.notifications.all_clear.AllClearNotifier",
            f"{PACKAGE}.notifications.page.PageNotifier",
            f"{PACKAGE}.notifications.question.QuestionNotifier",
        ],
    }
