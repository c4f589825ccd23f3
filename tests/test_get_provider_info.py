"""Airflow finds the provider, its connection forms and its classes."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner import __version__
from airflow_provider_voicepartner.get_provider_info import get_provider_info
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.registry import gateway_names, hook_class, info_of

NAME = "airflow-provider-voicepartner"
INFO = get_provider_info()
FORMS = {entry["connection-type"]: entry for entry in INFO["connection-types"]}

each_type = pytest.mark.parametrize("conn_type", FORMS)


def load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


# The metadata itself.


def test_the_package_name_is_the_distributions() -> None:
    assert INFO["package-name"] == NAME
    assert version(NAME) == __version__ == INFO["versions"][0]


def test_the_entry_point_leads_here() -> None:
    [found] = [
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.dist and point.dist.name == NAME
    ]
    assert found.load() is get_provider_info


def test_every_entry_point_leads_somewhere() -> None:
    path = Path(__file__).resolve().parent.parent / "pyproject.toml"
    groups = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["entry-points"]
    assert set(groups) == {"apache_airflow_provider", "airflow.plugins", "airflow.policy"}
    for points in groups.values():
        for target in points.values():
            module, _, name = target.partition(":")
            assert getattr(import_module(module), name or "__name__")


def test_it_is_plain_data_made_anew_each_time() -> None:
    assert json.loads(json.dumps(INFO)) == INFO
    get_provider_info()["connection-types"].clear()
    assert get_provider_info()["connection-types"]


def test_reading_it_imports_neither_airflow_nor_a_hook_nor_the_http_library() -> None:
    heavy = ("airflow", "requests", "urllib3", "pydantic", "phonenumbers", "pendulum")
    code = (
        "import sys; from airflow_provider_voicepartner.get_provider_info import get_provider_info as get; get();"
        f"print(sorted(name for name in sys.modules if name.split('.')[0] in {heavy}"
        " or name.startswith('airflow_provider_voicepartner.gateways.') and hasattr(sys.modules[name], 'Receipt')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_class_in_it_can_be_imported() -> None:
    paths = [entry["hook-class-name"] for entry in INFO["connection-types"]]
    paths += INFO.get("notifications", []) + INFO.get("extra-links", [])
    assert len(paths) >= 5
    assert all(isinstance(load(path), type) for path in paths)


def test_the_email_backend_can_be_imported() -> None:
    assert [callable(load(path)) for path in INFO["email-backends"]] == [True]


@pytest.mark.parametrize("group", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_in_it_can_be_imported_and_belongs_to_an_integration(group: str) -> None:
    integrations = {entry["integration-name"] for entry in INFO["integrations"]}
    assert INFO[group]
    for entry in INFO[group]:
        assert entry["integration-name"] in integrations
        for module in entry["python-modules"]:
            assert import_module(module).__name__ == module


@pytest.mark.parametrize("group", ["hooks", "operators", "sensors", "triggers"])
def test_every_gateway_has_what_serves_all_of_them(group: str) -> None:
    assert {entry["integration-name"] for entry in INFO[group]} == {
        entry["integration-name"] for entry in INFO["integrations"]
    }


def test_no_address_is_made_up() -> None:
    assert "://" not in json.dumps(INFO["integrations"])


# The connections.


@each_type
def test_a_connection_type_names_its_hook(conn_type: str) -> None:
    entry, hook = FORMS[conn_type], hook_class(conn_type)
    assert set(FORMS) == set(gateway_names())
    assert load(entry["hook-class-name"]) is hook
    assert issubclass(hook, GatewayHook)
    assert (hook.conn_type, hook.hook_name) == (conn_type, entry["hook-name"])
    assert hook.default_conn_name == f"{conn_type}_default"
    assert hook.conn_name_attr == "conn_id"


@each_type
def test_the_form_has_the_fields_that_the_hook_reads(conn_type: str) -> None:
    assert set(FORMS[conn_type]["conn-fields"]) == set(hook_class(conn_type).extra_model.model_fields)


@each_type
def test_a_field_of_the_form_may_stay_empty_and_says_what_it_is(conn_type: str) -> None:
    for name, field in FORMS[conn_type]["conn-fields"].items():
        assert field["label"], name
        assert field["description"], name
        assert "null" in field["schema"]["type"], name


@each_type
def test_a_secret_of_the_form_would_be_masked(conn_type: str) -> None:
    for name, field in FORMS[conn_type]["conn-fields"].items():
        if any(word in name for word in ("key", "token", "secret", "password")):
            assert field["schema"].get("format") == "password", name
    assert "password" not in FORMS[conn_type]["ui-field-behaviour"]["hidden-fields"]


@each_type
def test_the_form_refuses_what_the_hook_would_refuse(conn_type: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    fields = FORMS[conn_type]["conn-fields"]
    for name, good, bad in [
        ("read_timeout", [None, 60, 0.5, 600], [0, -1, 601, "60"]),
        ("connect_timeout", [None, 5, 300], [0, 301]),
        ("sender", [None, "MyApp", "36034"], ["ab", "TwelveChars1", "Mon Appli"]),
    ]:
        if name not in fields:
            continue
        validator = jsonschema.Draft202012Validator(fields[name]["schema"])
        assert [value for value in good if not validator.is_valid(value)] == []
        assert [value for value in bad if validator.is_valid(value)] == []


# Airflow's own reading of it.


def test_airflows_schema_takes_it() -> None:
    try:
        from airflow._shared.providers_discovery import providers_discovery as discovery
    except ImportError:
        from airflow import providers_manager as discovery
    discovery._create_provider_info_schema_validator().validate(INFO)
    forms = discovery._create_customized_form_field_behaviours_schema_validator()
    for conn_type in FORMS:
        forms.validate(hook_class(conn_type).get_ui_field_behaviour())


def test_airflow_discovers_the_provider() -> None:
    from airflow.providers_manager import ProvidersManager

    found = ProvidersManager().providers[NAME]
    assert found.version == __version__
    assert found.data["package-name"] == NAME


@each_type
def test_airflow_finds_the_hook_of_a_connection(conn_type: str) -> None:
    from airflow.providers_manager import ProvidersManager

    found = ProvidersManager().hooks[conn_type]
    assert found is not None
    assert (found.hook_name, found.package_name) == (FORMS[conn_type]["hook-name"], NAME)
    assert found.connection_testable


def test_airflow_takes_the_notifiers() -> None:
    from airflow.providers_manager import ProvidersManager

    classes = {getattr(entry, "notification_class_name", entry) for entry in ProvidersManager().notification}
    assert set(INFO["notifications"]) <= classes


@pytest.mark.airflow3
@each_type
def test_the_ui_shows_the_form(conn_type: str) -> None:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    [shown] = [entry for entry in HookMetaService.hook_meta_data() if entry.connection_type == conn_type]
    assert shown.hook_name == FORMS[conn_type]["hook-name"]
    assert shown.standard_fields is not None
    fields = shown.standard_fields.model_dump()
    assert fields["password"]["title"] == "API key"
    assert fields["url_schema"]["hidden"]
    assert bool(fields["login"] and fields["login"]["hidden"]) is (conn_type != "octopush")
    extra = shown.extra_fields
    assert extra is not None
    assert set(extra) == set(FORMS[conn_type]["conn-fields"])
    for name, field in extra.items():
        assert "null" in field["schema"]["type"], name


# The command line.


COMMANDS = {
    "migrate": ["db", "migrate"],
    "providers": ["providers", "get", NAME, "--output", "json"],
    "add": [
        "connections", "add", "from_cli", "--conn-type", "smspartner", "--conn-password", "a-key-for-the-cli",
        "--conn-host", "http://127.0.0.1:8025/smspartner/v1", "--conn-extra", '{"read_timeout": 7}',
    ],
    "get": ["connections", "get", "from_cli", "--output", "json"],
}  # fmt: skip

# One process for all commands: starting Airflow takes longer than all of them.
RUN_ALL = """
import contextlib, io, json, sys
from airflow.cli.cli_parser import get_parser
said = {}
for name, words in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        args = get_parser().parse_args(words)
        args.func(args)
    said[name] = out.getvalue()
print("SAID" + json.dumps(said))
"""


@pytest.fixture(scope="session")
def said(airflow_home: Path) -> dict[str, str]:
    """Return what Airflow's command line printed, by command, in the tests' throw-away home."""
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, json.dumps(COMMANDS)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, str] = json.loads(done.stdout.rpartition("SAID")[2])
    return found


def test_airflow_providers_get(said: dict[str, str]) -> None:
    assert NAME in said["providers"]
    assert __version__ in said["providers"]


def test_airflow_connections_add_and_get(said: dict[str, str]) -> None:
    assert "from_cli" in said["add"]
    [shown] = json.loads(said["get"])
    assert shown["conn_type"] == "smspartner"
    assert shown["host"] == "http://127.0.0.1:8025/smspartner/v1"


def test_the_rate_limit_help_names_endpoints_of_its_own_gateway() -> None:
    from airflow_provider_voicepartner.gateways.rate_limits import parse_windows

    for connection in get_provider_info()["connection-types"]:
        described = connection["conn-fields"]["rate_limits"]["description"]
        example = json.loads(described[described.index("{") : described.index("}") + 1])
        assert example.keys() <= info_of(connection["connection-type"]).endpoints.keys()
        assert all(parse_windows(text) for text in example.values())
