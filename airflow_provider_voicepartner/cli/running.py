"""How a command is run: its function is imported then, and what goes wrong is told in one line."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from airflow_provider_voicepartner.cli.commands import Command

_OURS: Final = "airflow_provider_voicepartner."


class CommandError(Exception):
    """A command cannot do what it is asked to; the text says what to change."""


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def runner(command: Command) -> Callable[[Namespace], None]:
    """
    Return what runs a command.

    :returns: a function of the parsed arguments. An error ends the process with exit code 1 and one line; the text of
        an error that is not ours is left out, because a driver's may hold a password and a database's a phone number.
    """

    def run(arguments: Namespace) -> None:
        module, _, name = command.function.rpartition(".")
        try:
            getattr(import_module(module), name)(arguments)
            return
        except Exception as error:
            is_ours = type(error).__module__.startswith(_OURS)
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            told = " ".join(str(error).split()) if is_ours else f"it failed unexpectedly with {kind}"
        sys.stderr.write(f"error: {told}\n")
        sys.exit(1)

    return run
