"""The documentation names what there is: arguments, options, keys, statuses, commands and modules."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import get_args

import pytest

from airflow_provider_voicepartner import __version__
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.validation import GatewayOptions
from tests.support.docs import (
    CODE,
    PROJECT,
    arguments,
    first_cells,
    gateways,
    read,
    rows,
    section,
    templated_arguments,
)


class TestReference:
    def test_every_operator_argument(self) -> None:
        from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
        from airflow_provider_voicepartner.operators.sms import SendSmsOperator
        from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator

        classes = (SendSmsOperator, TtsCallOperator, VoicemailDropOperator, CancelCampaignOperator)
        documented = first_cells(read("docs/operators.md"))
        assert {"to", "message", "text", "audio_token", "on_too_late"} <= arguments(*classes)
        assert arguments(*classes) <= documented
        for cls in classes:
            assert templated_arguments(cls) <= documented

    def test_what_is_said_to_be_templated_is(self) -> None:
        from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
        from airflow_provider_voicepartner.operators.sms import SendSmsOperator
        from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator

        classes = (SendSmsOperator, TtsCallOperator, VoicemailDropOperator, CancelCampaignOperator)
        templated = {name for cls in classes for name in templated_arguments(cls)}
        hidden = {name for cls in classes[:3] for name in cls.private_fields}
        for row in rows(read("docs/operators.md")):
            if len(row) == 4 and row[0].strip("`") in arguments(*classes):
                assert row[3].startswith("yes") == (row[0].strip("`") in templated), row[0]
                assert ("hidden in the ui" in " ".join(row).lower()) == (row[0].strip("`") in hidden), row[0]

    def test_every_sensor_and_notifier_argument(self) -> None:
        from airflow_provider_voicepartner.notifications.sms import SmsNotifier
        from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
        from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor

        assert arguments(CampaignCompletionSensor) <= first_cells(read("docs/sensor.md"))
        for notifier in (SmsNotifier, TtsCallNotifier):
            assert arguments(notifier) <= first_cells(section(read("docs/notifiers.md"), notifier.__name__))

    def test_every_argument_and_payload_key_of_the_event_trigger(self) -> None:
        from airflow_provider_voicepartner.constants import EVENTS_UNDER_WAY
        from airflow_provider_voicepartner.delivery.events import EventSummary
        from airflow_provider_voicepartner.delivery.inbound import KINDS
        from airflow_provider_voicepartner.hooks.delivery import DeliveryHook
        from airflow_provider_voicepartner.triggers.events import DeliveryEventTrigger

        page = read("docs/events.md")
        assert arguments(DeliveryEventTrigger) <= first_cells(page)
        assert set(KINDS) <= set(CODE.findall(page))
        told = EventSummary(
            id=1, seq=1, kind="reply", gateway="g", campaign=None, at=None, received_at=0.0
        ).to_json()
        assert all(f'"{key}"' in page for key in told)
        methods = {cell.partition("(")[0] for cell in first_cells(page)}
        assert {name for name in vars(DeliveryHook) if not name.startswith("_")} <= methods
        assert f"up to {EVENTS_UNDER_WAY} events" in page
        assert f"At most {EVENTS_UNDER_WAY} events" in read("docs/architecture.md")

    def test_every_key_of_the_report(self) -> None:
        from airflow_provider_voicepartner.sending.ledger import BatchRecord, Phase
        from airflow_provider_voicepartner.sending.records import Evidence
        from airflow_provider_voicepartner.sending.report import CampaignReport

        report = CampaignReport.of_records(
            [BatchRecord(phase=Phase.SENT, reference="r", size=1, tag="r", resent=1, evidence=Evidence.SENT_AGAIN)],
            gateway="g", conn_id="c", kind="sms", invalid=0, duplicate=0, scheduled_for=None, dry_run="simulated",
        ).to_json()  # fmt: skip
        documented = first_cells(section(read("docs/operators.md"), "Report"))
        assert {name for name in report if name != "counts"} <= documented
        assert {f"counts.{name}" for name in report["counts"]} <= documented
        assert {f"batches[].{name}" for name in report["batches"][0]} <= documented

    def test_every_way_a_file_may_be_called(self) -> None:
        from airflow_provider_voicepartner.recipients.source import SUFFIXES

        told = first_cells(section(read("docs/recipients.md"), "Files"))
        assert {suffix for suffix in SUFFIXES if not suffix.endswith(".gz")} | {".gz"} == told

    def test_every_end_of_a_dry_run(self) -> None:
        from airflow_provider_voicepartner.sending.report import DryRunEnd

        assert set(get_args(DryRunEnd)) <= first_cells(section(read("docs/cost.md"), "Dry run"))

    def test_the_ledgers_keys(self) -> None:
        from airflow_provider_voicepartner.constants import SUMMARY_EVERY
        from airflow_provider_voicepartner.sending.task_state import attempt_key, log_key

        for page in ("docs/retries.md", "docs/architecture.md"):
            for key in (attempt_key(1), log_key(1)):
                assert f"`{key}`" in read(page)
        assert f"Every {SUMMARY_EVERY}th number" in read("docs/architecture.md")

    def test_how_long_things_are_remembered_and_waited_for(self) -> None:
        from airflow_provider_voicepartner.constants import (
            CALLED_BACK_WITHIN,
            LEDGER_KEPT,
            LONGEST_IDLE,
            LONGEST_SILENCE,
            STORE_WAIT,
        )
        from airflow_provider_voicepartner.gateways.smspartner import LISTED_WITHIN

        assert LONGEST_SILENCE.days == 1
        assert "answer look-ups at all is asked again for a day" in " ".join(read("docs/retries.md").split())
        assert f"`--ledger-older-than`, {LEDGER_KEPT.days} days" in read("docs/store.md")
        assert f"`store_wait` seconds ({STORE_WAIT:.0f})" in read("docs/store.md").replace(
            "[voicepartner] ", ""
        )
        assert f"idle for {LONGEST_IDLE:.0f} s or more" in read("docs/errors.md")
        table = rows(read("docs/retries.md"))
        told = {row[0]: row[2] for row in table if len(row) == 3}
        assert told["SMS Partner"].startswith(f"{LISTED_WITHIN / 60:.0f} minutes after the claim")
        minutes = CALLED_BACK_WITHIN.total_seconds() / 60
        assert told["Voice Partner"].startswith(f"{minutes:.0f} minutes after the claim")

    def test_every_documented_rate_limit(self) -> None:
        from airflow_provider_voicepartner.gateways.rate_limits import parse_windows
        from airflow_provider_voicepartner.hooks.registry import hook_class

        labels = {gateway.INFO.label: name for name, gateway in gateways().items()}
        table = [row for row in rows(section(read("docs/gateways.md"), "Rate limits")) if row[1] in labels]
        told = {
            (labels[label], endpoint.strip("`")): parse_windows(limit.partition(";")[0])
            for endpoint, label, limit, _ in table
        }
        assert told == {
            (name, at): limit
            for name, gateway in gateways().items()
            for at in gateway.INFO.endpoints
            if (limit := gateway.INFO.limits_of(at))
        }
        waiting = {(labels[row[1]], row[0].strip("`")) for row in table if row[3] == "yes"}
        assert waiting <= {
            (name, at) for name in labels.values() for at in hook_class(name).send_endpoints.values()
        }

    def test_every_endpoint_that_waits_for_a_turn(self) -> None:
        from airflow_provider_voicepartner.hooks.registry import hook_class

        table = rows(section(read("docs/connections.md"), "Rate limits"))
        for name, gateway in gateways().items():
            (cell,) = [row[1] for row in table if row[0] == gateway.INFO.label]
            assert set(hook_class(name).send_endpoints.values()) <= set(CODE.findall(cell))

    def test_every_option_of_airflows_configuration(self) -> None:
        from airflow_provider_voicepartner.get_provider_info import get_provider_info

        for group, content in get_provider_info()["config"].items():
            for option in content["options"]:
                assert f"[{group}] {option}" in read("docs/connections.md")
                assert f"AIRFLOW__{group.upper()}__{option.upper()}=" in read("docs/connections.md")

    def test_every_table_of_the_store(self) -> None:
        from airflow_provider_voicepartner.db.schema import metadata
        from airflow_provider_voicepartner.db.versions import VERSION_TABLE

        named = first_cells(section(read("docs/store.md"), "Tables"))
        assert named == {*metadata.tables, VERSION_TABLE}

    def test_every_key_of_the_sensors_result(self) -> None:
        from airflow_provider_voicepartner.delivery.completion import Progress

        text = section(read("docs/sensor.md"), "What it returns")
        assert all(f'"{name}"' in text for name in Progress.of_batches([], {}).to_json())

    def test_every_choice(self) -> None:
        from airflow_provider_voicepartner.sending.ledger import OnUnknown

        for page in ("README.md", "docs/retries.md"):
            assert set(get_args(OnUnknown)) <= first_cells(read(page))

    @pytest.mark.parametrize("name", ["smspartner", "voicepartner", "octopush"])
    def test_every_option(self, name: str) -> None:
        gateway = gateways()[name]
        package = import_module(f"airflow_provider_voicepartner.gateways.{name}")
        options = import_module(f"{package.__name__}.options")
        models = [
            model
            for model in vars(options).values()
            if isinstance(model, type) and issubclass(model, GatewayOptions) and model is not GatewayOptions
        ]
        text = section(read("docs/gateways.md"), gateway.INFO.label)
        assert models
        for model in models:
            assert f"`{package.__name__}.{model.__name__}`" in text
            table = text.partition(f".{model.__name__}`")[2].partition("###")[0]
            assert first_cells(table) == set(model.model_fields), model.__name__

    def test_every_status_word(self) -> None:
        table = [
            row
            for row in rows(section(read("docs/gateways.md"), "Statuses"))
            if len(row) == 2 + len(gateways())
        ]
        assert {row[0].strip("`") for row in table[2:]} == {status.value for status in DeliveryStatus}
        for column, name in enumerate(gateways(), start=2):
            words = import_module(f"airflow_provider_voicepartner.gateways.{name}.codes").STATUS_WORDS
            assert table[0][column] == gateways()[name].INFO.label
            told = {
                words._fold(word): DeliveryStatus(row[0].strip("`"))
                for row in table[2:]
                for word in CODE.findall(row[column])
            }
            assert told == words._words

    def test_every_connection_field(self) -> None:
        from airflow_provider_voicepartner.hooks.registry import gateway_names, hook_class

        documented = first_cells(read("docs/connections.md"))
        fields = [row[0] for row in rows(section(read("docs/connections.md"), "Fields")) if "`" in row[0]]
        assert len(fields) == len(set(fields))
        for name in gateway_names():
            assert name in documented
            assert set(hook_class(name).extra_model.model_fields) <= documented
            assert hook_class(name).default_conn_name in read("docs/connections.md")

    def test_every_exception_and_kind(self) -> None:
        from airflow_provider_voicepartner import exceptions

        ours = {
            name
            for name, value in vars(exceptions).items()
            if isinstance(value, type) and issubclass(value, exceptions.VoicePartnerProviderError)
        }
        assert ours <= first_cells(read("docs/errors.md"))
        kinds = {kind.name for kind in ErrorKind}
        assert kinds <= first_cells(read("docs/gateways.md"))
        assert kinds <= first_cells(
            section(read("docs/errors.md"), "From the gateway's answer to the exception")
        )

    def test_every_member_of_the_protocol(self) -> None:
        named = set(re.findall(r"\w+", " ".join(first_cells(read("ADDING_A_GATEWAY.md")))))
        assert {name for name in vars(Gateway) if not name.startswith("_")} <= named

    def test_everything_that_a_hook_says_of_itself(self) -> None:
        from airflow_provider_voicepartner.hooks.base import GatewayHook

        named = set(re.findall(r"\w+", " ".join(first_cells(read("ADDING_A_GATEWAY.md")))))
        said = {name for name in inspect.get_annotations(GatewayHook) if not name.startswith("_")}
        assert said - {"conn_name_attr"} <= named

    def test_every_file_of_a_gateway(self) -> None:
        """The gateway of another distribution has the files that the page names, and each gateway here its hook."""
        table = [row for row in rows(section(read("ADDING_A_GATEWAY.md"), "2. The files")) if len(row) == 3]
        outside = {name for row in table for name in CODE.findall(row[1])}
        folder = PROJECT / "tests/external/distribution"
        there = {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert outside - {"get_provider_info"} == there
        here = {name for row in table for name in CODE.findall(row[0])}
        for name in gateways():
            made = {text.replace("acme", name) for text in here if text.startswith("airflow_provider")}
            assert f"airflow_provider_voicepartner/hooks/{name}.py" in made
            assert (PROJECT / f"airflow_provider_voicepartner/hooks/{name}.py").exists()
            for shared in ("__init__", "requests", "responses", "webhooks", "codes", "options"):
                assert f"airflow_provider_voicepartner/gateways/{name}/{shared}.py" in made
                assert (PROJECT / f"airflow_provider_voicepartner/gateways/{name}/{shared}.py").exists()

    def test_the_map_of_files_names_every_module_and_no_other(self) -> None:
        page = read("docs/architecture.md")
        package = PROJECT / "airflow_provider_voicepartner"
        begin = page.index("\n### Files\n")
        listed = {"the package": package}
        for folders, modules in rows(page[begin : page.index("\n### ", begin + 1)])[2:]:
            inside = [listed.get(folders) or package / name for name in CODE.findall(folders) or [folders]]
            there = {
                path.stem
                for folder in inside
                for path in (*folder.glob("*.py"), *folder.glob("migrations/*.py"))
                if path.stem != "__init__"
            }
            assert {name for name in CODE.findall(modules) if not name.endswith("/")} == there, folders

    def test_every_name_that_a_gateway_outside_may_import(self) -> None:
        from airflow_provider_voicepartner import gateway_api

        page = read("docs/gateway-api.md")
        table = section(page, "What it may import")
        assert first_cells(table) == set(gateway_api.__all__)
        assert f"`API_VERSION` is {gateway_api.API_VERSION}." in page
        assert all(getattr(gateway_api, name) is not None for name in gateway_api.__all__)

    def test_a_gateway_outside_imports_nothing_else(self) -> None:
        for path in (PROJECT / "tests/external/distribution").rglob("*.py"):
            imported = re.findall(
                r"^from (airflow_provider_voicepartner\S*) import", path.read_text("utf-8"), re.M
            )
            assert set(imported) <= {"airflow_provider_voicepartner.gateway_api"}, path.name

    def test_the_changelog_knows_this_version(self) -> None:
        assert re.search(
            rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", read("CHANGELOG.md"), re.MULTILINE
        )
