"""The commands for Airflow's command line; Airflow calls this at the start of every one of its commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

from airflow_provider_voicepartner.cli.commands import COMMANDS, Command, Group, runner

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

_argument: Callable[..., Arg] = Arg  # Airflow's class has no types


def get_commands() -> list[CLICommand]:
    """Return ``airflow voicepartner`` with all its subcommands."""
    return [_of_airflow(COMMANDS)]


def _of_airflow(entry: Command | Group) -> CLICommand:
    if isinstance(entry, Group):
        return GroupCommand(
            name=entry.name, help=entry.help, subcommands=[_of_airflow(command) for command in entry.commands]
        )
    return ActionCommand(
        name=entry.name,
        help=entry.help,
        func=runner(entry),
        args=[_argument(argument.flags, **argument.options) for argument in entry.arguments],
    )
