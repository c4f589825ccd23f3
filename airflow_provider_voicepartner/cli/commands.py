"""
All commands, as plain data, and how one is run. Airflow imports this for every one of its own commands.

To add a command, write a function that takes the parsed arguments, and name it here. It is imported when it is run.
"""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from airflow_provider_voicepartner.gateways.info import own_gateways

_OURS: Final = "airflow_provider_voicepartner."

_CLI: Final = "airflow_provider_voicepartner.cli"
_STORE, _INCIDENTS = f"{_CLI}.store", f"{_CLI}.incidents"

_LABELS: Final = [info.label for info in own_gateways().values()]
_ACCOUNT: Final = next(info for info in own_gateways().values() if info.reports == "account")
"""The gateway whose account ``callbacks register`` configures by default."""


class CommandError(Exception):
    """A command cannot do its work; the text says what to change."""


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def write_log() -> None:
    """Write the log to the standard error, where nobody has set it up."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def runner(command: Command) -> Callable[[Namespace], None]:
    """
    Return the function that runs a command.

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
            message = " ".join(str(error).split()) if is_ours else f"unexpected {kind}"
        sys.stderr.write(f"error: {message}\n")
        sys.exit(1)

    return run


@dataclass(frozen=True, slots=True)
class Argument:
    """
    One argument of a command.

    :param flags: such as ``("--host",)``.
    :param options: other arguments of ``argparse``'s ``add_argument``.
    """

    flags: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """
    One command.

    :param function: its path, ``package.module.name``. It takes the parsed arguments; an error of ours that it raises
        is shown in one line, and the exit code is 1.
    """

    name: str
    help: str
    function: str
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one word."""

    name: str
    help: str
    commands: tuple[Command | Group, ...]


DB: Final = Group(
    "db",
    "The store: the database of the ledger, delivery reports and rate limits",
    (
        Command("upgrade", "Create the store's tables, or bring them up to date", f"{_STORE}.upgrade"),
        Command(
            "purge",
            "Delete old delivery reports, replies and dead letters, which are personal data, and old campaigns",
            f"{_STORE}.purge",
            (
                Argument(
                    ("--older-than",),
                    {
                        "required": True,
                        "metavar": "AGE",
                        "help": "delete what was received longer ago: a number and s, m, h, d or w, such as 30d",
                    },
                ),
                Argument(
                    ("--ledger-older-than",),
                    {
                        "default": "90d",
                        "metavar": "AGE",
                        "help": "also delete campaigns whose last attempt began longer ago; a task that is retried or "
                        "cleared later then does not know what it sent. Default: 90d",
                    },
                ),
                Argument(
                    ("--dry-run",), {"action": "store_true", "help": "only count what would be deleted"}
                ),
            ),
        ),
    ),
)

_DRY_RUN: Final = Argument(("--dry-run",), {"action": "store_true", "help": "only print what would happen"})
_LETTER: Final = {"metavar": "ID", "type": int, "help": "of a dead letter, from dead-letters list"}

DEAD_LETTERS: Final = Group(
    "dead-letters",
    "Calls of gateways that could not be read, or are not acted on",
    (
        Command("list", "List them, without their contents", f"{_STORE}.list_dead_letters"),
        Command(
            "show",
            "Print one as it came, which may include numbers and texts",
            f"{_STORE}.show_dead_letter",
            (
                Argument(("id",), _LETTER),
                Argument(("--raw",), {"action": "store_true", "help": "only the body, byte for byte"}),
            ),
        ),
        Command(
            "replay",
            "Read them again, and store those that can be read",
            f"{_STORE}.replay_dead_letters",
            (
                Argument(("id",), {**_LETTER, "nargs": "*"}),
                Argument(
                    ("--all",), {"action": "store_true", "help": "all except those that were not admitted"}
                ),
                _DRY_RUN,
            ),
        ),
    ),
)

_NUMBER: Final = Argument(("number",), {"help": "of the person, such as +33612345678"})

PERSON: Final = Group(
    "person",
    "What the store knows about one person",
    (
        Command(
            "show", "Print everything as JSON, with numbers and texts", f"{_STORE}.show_person", (_NUMBER,)
        ),
        Command(
            "forget",
            "Delete everything except that the person said STOP, which stays as a keyed hash",
            f"{_STORE}.forget_person",
            (_NUMBER, _DRY_RUN),
        ),
    ),
)

RECEIVER: Final = Command(
    "receiver",
    "Receive the gateways' reports, in a process of its own",
    f"{_CLI}.receiver.run",
    (
        Argument(
            ("--host",),
            {
                "default": "127.0.0.1",
                "help": "address to listen on; 127.0.0.1, the default, is for a local proxy",
            },
        ),
        # Airflow's own servers of logs listen on 8793 and 8794.
        Argument(("--port",), {"default": 8792, "type": int, "help": "port to listen on. Default: 8792"}),
        Argument(
            ("--watchdog",),
            {
                "metavar": "FILE",
                "help": "also watch Airflow, as the command watchdog does with this file (TOML)",
            },
        ),
    ),
)

WATCHDOG: Final = Command(
    "watchdog",
    "Ask Airflow what failed, and tell people what no callback told; in a process of its own",
    f"{_CLI}.watchdog.run",
    (
        Argument(
            ("--config",),
            {"required": True, "metavar": "FILE", "help": "what to watch and whom to tell (TOML)"},
        ),
        Argument(
            ("--check",),
            {"action": "store_true", "help": "only say whether it could: ask Airflow once, send nothing"},
        ),
    ),
)

DOCTOR: Final = Command(
    "doctor",
    "Say of which DAGs nobody would hear if they failed, and what else keeps people from being told",
    f"{_CLI}.doctor.run",
    (
        Argument(
            ("--config",),
            {"metavar": "FILE", "help": "of a watchdog (TOML), for one that does not run yet"},
        ),
    ),
)

CALLBACKS: Final = Group(
    "callbacks",
    "The URLs that gateways report to",
    (
        Command(
            "register",
            f"Set the callback URLs of an account ({_ACCOUNT.label}), and print the previous ones",
            f"{_CLI}.callbacks.register",
            (
                Argument(
                    ("--conn-id",),
                    {"default": f"{_ACCOUNT.name}_default", "help": f"of type {_ACCOUNT.name}"},
                ),
                Argument(("--dry-run",), {"action": "store_true", "help": "only print the present ones"}),
            ),
        ),
        Command(
            "check",
            "Check that a call to the public URL arrives in the store",
            f"{_CLI}.callbacks.check",
        ),
    ),
)

_ROTA: Final = {"metavar": "ROTA", "nargs": "?", "help": "the name of a rota; needed where there are several"}

ONCALL: Final = Command(
    "oncall",
    "Say who is on call, until when, and who is next; no numbers",
    f"{_CLI}.contacts.on_call",
    (
        Argument(("rota",), {**_ROTA, "help": "the name of a rota; all of them unless given"}),
        Argument(
            ("--at",),
            {
                "metavar": "TIME",
                "help": "ISO 8601, by the rota's clock unless it has an offset; now unless given",
            },
        ),
    ),
)

CONTACTS: Final = Group(
    "contacts",
    "People, groups, on-call rotas and escalation policies",
    (
        Command("check", "Find every mistake in them", f"{_CLI}.contacts.check"),
        Command(
            "export",
            "Write who is on call as a calendar (.ics)",
            f"{_CLI}.contacts.export_calendar",
            (
                Argument(("rota",), _ROTA),
                Argument(("--weeks",), {"type": int, "default": 12, "help": "for how long; 12 unless given"}),
                Argument(("--out",), {"metavar": "FILE", "help": "where to write it; shown unless given"}),
            ),
        ),
        Command(
            "import",
            "Read overrides of a rota from a calendar (.ics), and show them as the contacts have them",
            f"{_CLI}.contacts.import_calendar",
            (
                Argument(("file",), {"help": "the summary of each event is a person's name"}),
                Argument(("rota",), _ROTA),
                Argument(
                    ("--write",), {"action": "store_true", "help": "append them to the contacts (TOML)"}
                ),
            ),
        ),
    ),
)

SILENCE: Final = Group(
    "silence",
    "Which alerts nobody is told of for a time",
    (
        Command(
            "add",
            "Add a silence",
            f"{_INCIDENTS}.add_silence",
            (
                Argument(
                    ("--match",),
                    {
                        "action": "append",
                        "required": True,
                        "metavar": "FIELD=PATTERN",
                        "help": "such as dag_id=etl_*; the fields are dag_id, task_id, run_id, what and key, and all "
                        "that are given must match",
                    },
                ),
                Argument(
                    ("--for",),
                    {
                        "required": True,
                        "metavar": "TIME",
                        "dest": "duration",
                        "help": "a number and s, m, h, d or w, such as 2h",
                    },
                ),
                Argument(
                    ("--from",),
                    {
                        "metavar": "TIME",
                        "dest": "begins",
                        "help": "ISO 8601 with an offset, such as 2031-05-06T22:00+02:00; now unless given",
                    },
                ),
                Argument(("--comment",), {"default": "", "help": "why, in one line"}),
            ),
        ),
        Command(
            "list",
            "List silences that have not ended",
            f"{_INCIDENTS}.list_silences",
            (Argument(("--ended",), {"action": "store_true", "help": "those that have ended too"}),),
        ),
        Command(
            "end",
            "End a silence now",
            f"{_INCIDENTS}.end_silence",
            (Argument(("id",), {"metavar": "ID", "type": int, "help": "from silence list"}),),
        ),
    ),
)

_INCIDENT: Final = Argument(("incident",), {"type": int, "metavar": "ID", "help": "of an incident"})
_WHO: Final = Argument(
    ("--as",),
    {
        "dest": "who",
        "metavar": "NAME",
        "help": "who you are, best a name of the contacts; your login unless given",
    },
)

INCIDENT: Final = Group(
    "incident",
    "What broke, and who knows",
    (
        Command(
            "list",
            "List open incidents; no numbers",
            f"{_INCIDENTS}.list_incidents",
            (Argument(("--closed",), {"action": "store_true", "help": "those that are closed too"}),),
        ),
        Command(
            "show",
            "Show one incident and who was told of it, numbers masked",
            f"{_INCIDENTS}.show_incident",
            (Argument(("id",), {"metavar": "ID", "type": int, "help": "from incident list"}),),
        ),
        Command(
            "ack",
            "Take an incident: nobody else is paged, and the others are told",
            f"{_INCIDENTS}.acknowledge",
            (_INCIDENT, _WHO),
        ),
        Command(
            "escalate",
            "Pass an incident on: the next step of its policy is done at once",
            f"{_INCIDENTS}.escalate",
            (_INCIDENT, _WHO),
        ),
        Command(
            "close",
            "Close an incident, and tell the others who were paged",
            f"{_INCIDENTS}.close",
            (_INCIDENT, _WHO),
        ),
    ),
)

_QUESTION: Final = Argument(("id",), {"metavar": "ID", "type": int, "help": "of a question, from its list"})

QUESTION: Final = Group(
    "question",
    "Questions of HITL operators that can be answered by phone",
    (
        Command("list", "List them with their codes, the newest first", f"{_INCIDENTS}.list_questions"),
        Command(
            "answer",
            "Answer one; the watchdog gives the answer to Airflow",
            f"{_INCIDENTS}.answer_question",
            (_QUESTION, Argument(("option",), {"help": "an option, or its number"}), _WHO),
        ),
    ),
)

COMMANDS: Final = Group(
    "voicepartner",
    f"SMS and voice through {', '.join(_LABELS[:-1])} and {_LABELS[-1]}",
    (
        DB,
        RECEIVER,
        WATCHDOG,
        DOCTOR,
        CALLBACKS,
        DEAD_LETTERS,
        PERSON,
        ONCALL,
        CONTACTS,
        INCIDENT,
        SILENCE,
        QUESTION,
    ),
)
"""All commands, in groups."""
