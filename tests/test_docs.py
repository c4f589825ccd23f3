"""The documentation tells the truth: quoted examples, links, arguments, options, statuses and the feature table."""

from __future__ import annotations

import inspect
import re
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from airflow_provider_voicepartner import __version__
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.validation import GatewayOptions
from scripts.feature_table import derived_rows

PROJECT = Path(__file__).resolve().parent.parent
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(PROJECT)) for page in PAGES])

_QUOTED = re.compile(r"^<!-- quoted: (\S+) (\S+) -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARKED = re.compile(r"^ *# \[START (\w+)\]\n(.*?)^ *# \[END \1\]$", re.DOTALL | re.MULTILINE)
_FOLDERS = "|".join(
    [
        "store",
        *(path.parent.name for path in (PROJECT / "airflow_provider_voicepartner").glob("*/__init__.py")),
    ]
)
"""Of the package; with the old name of one, which pages must not use any more."""
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\|(.+)\|$", re.MULTILINE)
# Files that the docs name and that are made by running something, or that stand for a file of the reader's.
_NOT_HERE = re.compile(r"acme|people\.csv$|^\.|\*|…|tests/sandbox/test_acme")


CONTACTS = "example_dags/data/contacts.toml"


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def marked_blocks() -> dict[tuple[str, str], str]:
    """Return what stands between START and END marks, by file and mark."""
    found = {}
    for path in sorted((PROJECT / "example_dags").glob("*.py")):
        for mark, block in _MARKED.findall(path.read_text(encoding="utf-8")):
            found[str(path.relative_to(PROJECT)), mark] = textwrap.dedent(block).strip()
    return found


def quotes() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        for file, mark, block in _QUOTED.findall(page.read_text(encoding="utf-8")):
            yield file, mark, block.strip()


def rows(text: str) -> list[list[str]]:
    """Return the rows of all tables, cells without blanks around them."""
    return [[cell.strip() for cell in row.split("|")] for row in _ROW.findall(text)]


def section(text: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"no section {title!r}"
    return found.group(1)


def first_cells(text: str) -> set[str]:
    """Return every name in code marks in the first column of any table."""
    return {name for row in rows(text) for name in _CODE.findall(row[0])}


def arguments(*classes: type) -> set[str]:
    """Return the arguments that classes of ours take, without those of Airflow."""
    return {
        name
        for cls in classes
        for base in cls.__mro__
        if base.__module__.startswith("airflow_provider_voicepartner") and "__init__" in vars(base)
        for name, parameter in inspect.signature(inspect.unwrap(vars(base)["__init__"])).parameters.items()
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def templated_arguments(cls: Any) -> set[str]:
    """Return the arguments that are rendered; one is kept under another name than it is given by."""
    return {{"is_dry_run": "dry_run"}.get(name, name) for name in cls.template_fields}


def gateways() -> dict[str, Gateway]:
    from airflow_provider_voicepartner.hooks.registry import gateway_names, gateway_of

    return {name: gateway_of(name) for name in gateway_names()}


class TestExamples:
    def test_quotes_are_what_the_example_dags_say(self) -> None:
        blocks = marked_blocks()
        for file, mark, block in quotes():
            assert block == blocks[file, mark], f"{file} {mark}"

    def test_every_example_is_quoted_or_linked(self) -> None:
        quoted = {(file, mark) for file, mark, _ in quotes()}
        linked = {file for file, _ in marked_blocks() if file in read("README.md")}
        assert {(file, mark) for file, mark in marked_blocks() if file not in linked} <= quoted
        assert len(quoted) >= 7

    @EVERY_PAGE
    def test_every_python_block_compiles(self, page: Path) -> None:
        for block in _PYTHON.findall(page.read_text(encoding="utf-8")):
            compile(block, str(page), "exec")

    @pytest.mark.airflow3
    def test_the_deadline_alert_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(PROJECT / CONTACTS))
        (block,) = [block for block in _PYTHON.findall(read("docs/notifiers.md")) if "DeadlineAlert" in block]
        names: dict[str, Any] = {}
        exec(block, names)

    def test_the_contacts_are_those_of_the_examples_and_have_no_mistake(self) -> None:
        from airflow_provider_voicepartner.contacts.validation import read_directory

        (block,) = re.findall(r"```toml\n(.*?)```", read("docs/contacts.md"), re.DOTALL)
        assert read(CONTACTS).endswith(textwrap.dedent(block))
        assert read_directory(tomllib.loads(read(CONTACTS))).problems == ()


class TestLinks:
    @EVERY_PAGE
    def test_lead_somewhere(self, page: Path) -> None:
        for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            if anchor:
                titles = _HEADING.findall(_FENCED.sub("", target.read_text(encoding="utf-8")))
                slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert anchor in slugs, link

    @EVERY_PAGE
    def test_files_that_are_named_exist(self, page: Path) -> None:
        package = PROJECT / "airflow_provider_voicepartner"
        roots = [
            PROJECT,
            page.parent,
            package,
            package / "gateways",
            package / "gateways/voicepartner",
            package / "sandbox",
        ]
        for name in _CODE.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
            if not re.fullmatch(r"[\w./<>-]+(\.(py|md|toml|txt|csv)|/)", name) or _NOT_HERE.search(name):
                continue
            if "<" in name:
                name = re.sub("<[^>]+>", "voicepartner", name)
            assert any((root / name).exists() for root in roots), name

    @EVERY_PAGE
    def test_dotted_names_exist(self, page: Path) -> None:
        for name in set(
            re.findall(r"`(airflow_provider_voicepartner(?:\.\w+)+)`", page.read_text(encoding="utf-8"))
        ):
            module, _, attribute = name.rpartition(".")
            assert hasattr(import_module(module), attribute) or import_module(name), name

    @EVERY_PAGE
    def test_modules_that_are_named_without_the_package_exist(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        for folder, name in set(re.findall(rf"`({_FOLDERS})\.(\w+)(?:\.\w+)*`", text)):
            path = f"airflow_provider_voicepartner.{folder}"
            assert hasattr(import_module(path), name) or find_spec(f"{path}.{name}"), f"{folder}.{name}"

    @EVERY_PAGE
    def test_make_targets_exist(self, page: Path) -> None:
        targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.MULTILINE))
        assert set(re.findall(r"`?\bmake ([a-z0-9-]+)`", page.read_text(encoding="utf-8"))) <= targets

    @EVERY_PAGE
    def test_nothing_of_this_machine_and_no_registry(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        for word in ("/work", "/root", "/home/", "../shared", "reference/", "pypi.", "files.pythonhosted"):
            assert word not in text, word
        hosts = set(re.findall(r"https?://([\w.-]+)", text))
        known = {
            "127.0.0.1", "api.acme.example", "hooks.example.org", "airflow.apache.org", "keepachangelog.com",
            "semver.org",
            *(gateway.INFO.base_url.split("/")[2] for gateway in gateways().values()),
        }  # fmt: skip
        assert hosts <= known


class TestReadme:
    def test_names_the_two_commands(self) -> None:
        assert "make demo" in read("README.md")
        assert "make test" in read("README.md")

    def test_names_every_operator_sensor_and_notifier(self) -> None:
        for name in ("SendSmsOperator", "TtsCallOperator", "VoicemailDropOperator", "CancelCampaignOperator"):
            assert f"{name}(" in read("README.md")
        assert "CampaignCompletionSensor(" in read("README.md")
        assert "send_sms_notification(" in read("README.md")
        assert "send_tts_call_notification(" in read("README.md")

    def feature(self, title: str) -> dict[str, str]:
        table = rows(section(read("README.md"), "What each gateway can do here"))
        head = table[0][1:]
        (found,) = [row[1:] for row in table if row[0] == title]
        labels = {gateway.INFO.label: name for name, gateway in gateways().items()}
        return {labels[label]: cell for label, cell in zip(head, found, strict=True)}

    @pytest.mark.parametrize("title", derived_rows())
    def test_the_feature_table_says_what_is_known_of_the_gateways(self, title: str) -> None:
        assert list(self.feature(title).values()) == derived_rows()[title]

    def test_says_how_many_recipients_a_task_takes(self) -> None:
        from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH

        assert re.search(rf"batches of up to\s+{MAX_RECIPIENTS_PER_BATCH} recipients", read("README.md"))

    def test_names_every_extra_for_users(self) -> None:
        extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
        assert {f"[{name}]" for name in extras} <= first_cells(read("README.md"))

    def test_names_every_page(self) -> None:
        for page in PAGES:
            if page.name != "README.md":
                assert f"({page.relative_to(PROJECT)})" in read("README.md")


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
        assert set(KINDS) <= set(_CODE.findall(page))
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
        from airflow_provider_voicepartner.hooks.smspartner import LISTED_WITHIN

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
            assert set(hook_class(name).send_endpoints.values()) <= set(_CODE.findall(cell))

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
                for word in _CODE.findall(row[column])
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
        outside = {name for row in table for name in _CODE.findall(row[1])}
        folder = PROJECT / "tests/external/distribution"
        there = {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert outside - {"get_provider_info"} == there
        here = {name for row in table for name in _CODE.findall(row[0])}
        for name in gateways():
            made = {text.replace("acme", name) for text in here if text.startswith("airflow_provider")}
            assert f"airflow_provider_voicepartner/hooks/{name}.py" in made
            assert (PROJECT / f"airflow_provider_voicepartner/hooks/{name}.py").exists()
            for shared in ("__init__", "requests", "responses", "webhooks", "codes", "options"):
                assert f"airflow_provider_voicepartner/gateways/{name}/{shared}.py" in made
                assert (PROJECT / f"airflow_provider_voicepartner/gateways/{name}/{shared}.py").exists()

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


def unquoted_samples() -> list[str]:
    """Return README's samples in Python that no example DAG backs."""
    text = read("README.md")
    quoted = {block.strip() for _, _, block in _QUOTED.findall(text)}
    return [block for block in _PYTHON.findall(text) if block.strip() not in quoted]


def test_the_samples_of_the_readme_are_taken_by_what_they_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(PROJECT / CONTACTS))
    from airflow_provider_voicepartner.compat import DAG
    from airflow_provider_voicepartner.notifications.sms import send_sms_notification
    from airflow_provider_voicepartner.notifications.voice import send_tts_call_notification
    from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
    from airflow_provider_voicepartner.operators.sms import SendSmsOperator
    from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
    from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor

    operators = (SendSmsOperator, TtsCallOperator, VoicemailDropOperator, CancelCampaignOperator)
    known: dict[str, Any] = {made.__name__: made for made in (*operators, CampaignCompletionSensor)}
    known["send_sms_notification"] = send_sms_notification
    known["send_tts_call_notification"] = send_tts_call_notification
    _, *samples = unquoted_samples()  # the first is a whole DAG, which tests/system runs
    called = " ".join(samples)
    assert all(f"{name}(" in called for name in known)
    for sample in samples:
        with DAG("readme", schedule=None):
            exec(
                sample, known | {"send": SendSmsOperator(task_id="send", to="0612345601", message="Bonjour")}
            )


class TestWheel:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())

    def description(self) -> str:
        text = read("README.md")
        for step in self.project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
            text = re.sub(step["pattern"], step["replacement"], text)
        return text

    def test_every_link_of_the_description_is_absolute_and_its_file_exists(self) -> None:
        source = self.project["project"]["urls"]["Source"]
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", self.description())
        assert len(links) > 10
        for link in links:
            assert link.startswith("https://"), link
            if link.startswith(source):
                assert (PROJECT / link.removeprefix(f"{source}/blob/main/")).exists(), link

    def test_airflow_finds_the_documentation(self) -> None:
        urls = self.project["project"]["urls"]
        assert {"Documentation", "Source", "Changelog", "Issues"} <= urls.keys()
        assert all(url.startswith(urls["Source"]) for url in urls.values())


def test_no_sample_needs_a_run_with_a_date() -> None:
    """``{{ ds }}`` and its like are undefined in a run without a logical date, which Airflow 3 allows."""
    dated = re.compile(
        r"\{\{[^}]*\b(ds|ts|ds_nodash|ts_nodash|logical_date|execution_date|data_interval_\w+)\b"
    )
    for path in [
        PROJECT / "README.md",
        *(PROJECT / "docs").glob("*.md"),
        *(PROJECT / "example_dags").glob("*.py"),
    ]:
        # Airflow 2 has no run_after, and a date for each run.
        told = path.read_text().replace("dag_run.run_after | default(data_interval_end)", "")
        assert not dated.search(told), path.name
