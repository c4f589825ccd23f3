"""The commands as data: everyone leads to a function, and reading them costs nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.cli.commands import COMMANDS, Command, Group
from airflow_provider_voicepartner.get_provider_info import get_provider_info

PROJECT = Path(__file__).resolve().parents[2]
HEAVY = ("alembic", "fastapi", "requests", "sqlalchemy", "uvicorn")


def commands(entry: Command | Group = COMMANDS, path: str = "") -> Iterator[tuple[str, Command]]:
    if isinstance(entry, Command):
        yield path.strip(), entry
        return
    for command in entry.commands:
        yield from commands(command, f"{path} {command.name}")


ALL = dict(commands())
EACH = pytest.mark.parametrize("name", ALL)


def test_the_store_has_commands() -> None:
    assert {"db upgrade", "db purge"} <= set(ALL)


@EACH
def test_a_command_leads_to_a_function_and_is_described(name: str) -> None:
    command = ALL[name]
    module, _, function = command.function.rpartition(".")
    assert callable(getattr(import_module(module), function))
    assert command.help
    assert all(argument.options.get("help") for argument in command.arguments)


@EACH
def test_a_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*name.split(), "--help"])
    assert caught.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for argument in ALL[name].arguments:
        assert argument.flags[0] in told


def test_airflow_gets_the_same_commands() -> None:
    from airflow.cli.cli_config import ActionCommand, GroupCommand

    (path,) = get_provider_info()["cli"]
    module, _, function = path.rpartition(".")
    (group,) = getattr(import_module(module), function)()

    def names(entry: object, path: str = "") -> Iterator[str]:
        if isinstance(entry, ActionCommand):
            assert [argument.flags for argument in entry.args] == [
                argument.flags for argument in ALL[path.strip()].arguments
            ]
            yield path.strip()
        else:
            assert isinstance(entry, GroupCommand)
            for command in entry.subcommands:
                yield from names(command, f"{path} {command.name}")

    assert group.name == "voicepartner"
    assert set(names(group)) == set(ALL)


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_reading_the_commands_imports_nothing_heavy_and_no_airflow() -> None:
    script = (
        "import sys, airflow_provider_voicepartner.__main__;"
        f"print([name for name in ('airflow', *{HEAVY}) if name in sys.modules])"
    )
    assert run(script) == "[]"


def test_airflow_reading_the_commands_brings_nothing_along() -> None:
    script = (
        "import sys, airflow.cli.cli_config; before = set(sys.modules);"
        "from airflow_provider_voicepartner.cli.definition import get_commands; get_commands();"
        "new = set(sys.modules) - before;"
        "print(sorted(name for name in new if not name.startswith('airflow_provider_voicepartner')))"
    )
    assert run(script) == "[]"
