"""``person show`` and ``person forget``: what the store knows about one person, and its erasure."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from typing import Final

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.delivery.personal_data import KnownPerson, PersonalData
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, parse_number
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.hooks.callbacks import receiver_tokens
from airflow_provider_voicepartner.settings import open_store, opt_out_keys

_PURPOSE: Final = "showing or erasing personal data"
_ELSEWHERE: Final = (
    "Not deleted: your own lists and files, Airflow's logs and XComs, the gateways' data, backups; keyed hashes in the "
    "lists of mapped tasks, and names in incidents, until db purge."
)


def show(arguments: Namespace) -> None:
    """Print everything as JSON, with numbers and texts: for the person, or whoever is allowed to read it."""
    number = read_number(arguments.number)
    with closing(open_store(_PURPOSE)) as store:
        known = PersonalData(store, opt_out_keys=opt_out_keys()).find(number)
    say(json.dumps(known.to_json(), indent=2, ensure_ascii=False, default=str))


def forget(arguments: Namespace) -> None:
    """Delete everything except that the person said STOP, and print how much it was."""
    number = read_number(arguments.number)
    with closing(open_store(_PURPOSE)) as store:
        data = PersonalData(store, opt_out_keys=opt_out_keys())
        known = data.find(number)
        done = _counts(known) if arguments.dry_run else data.erase(number, without_marks=_without_marks())
        out = data.find(number).opted_out
    counts = ", ".join(f"{count} {name}" for name, count in done.items())
    say(f"{'Would delete' if arguments.dry_run else 'Deleted'} of {mask_number(number)}: {counts}.")
    if out is not None:
        say("The opt-out of this person stays in the list of opt-outs, as a keyed hash.")
    say(_ELSEWHERE)


def read_number(text: str) -> str:
    """
    Read the number of a person.

    :returns: E.164.
    :raises CommandError: it is not a phone number.
    """
    try:
        return parse_number(text).e164
    except InvalidNumberError as error:
        problem = error
    raise CommandError(f"NUMBER: {problem}; write it as in +33612345678")


def _counts(known: KnownPerson) -> dict[str, int]:
    return {
        "delivery reports": len(known.delivery_reports),
        "events": len(known.events),
        "dead letters": len(known.dead_letters),
        "told incidents": len(known.told),
        "all clears": len(known.all_clears),
        "pages": len(known.pages),
        "answers": len(known.answers),
        "questions": len(known.questions),
    }


def _without_marks() -> Callable[[bytes, str], bytes] | None:
    try:
        return receiver_tokens().forget
    except ConfigurationError:
        return None  # without a secret there are no marks
