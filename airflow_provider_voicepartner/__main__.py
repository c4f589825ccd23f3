"""``python -m airflow_provider_voicepartner``: the provider's commands, for Airflow before 3.2."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_voicepartner.cli.commands import COMMANDS, Command, Group, runner


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Run one command; an error ends the process with exit code 1.

    :param arguments: the words; None takes those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_voicepartner", description=COMMANDS.help
    )
    _add(parser, COMMANDS)
    options = parser.parse_args(arguments)
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    # Else Airflow 2 does not know that our secret options may come from a command or a secrets backend.
    providers_configuration_loaded(options.run)(options)


def _add(parser: argparse.ArgumentParser, entry: Command | Group) -> None:
    if isinstance(entry, Command):
        for argument in entry.arguments:
            parser.add_argument(*argument.flags, **argument.options)
        parser.set_defaults(run=runner(entry))
        return
    choices = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in entry.commands:
        _add(choices.add_parser(command.name, help=command.help, description=command.help), command)


if __name__ == "__main__":
    main()
