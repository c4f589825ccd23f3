"""``db``, ``dead-letters`` and ``person``: what is in the store, and its upkeep."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Final

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.constants import OLDEST_PURGE
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.db.versions import UNVERSIONED, bring_up_to_date
from airflow_provider_voicepartner.delivery.dead_letters import DeadLetters, Letter
from airflow_provider_voicepartner.delivery.events import iso_time
from airflow_provider_voicepartner.delivery.personal_data import KnownPerson, PersonalData
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.bodies import decode
from airflow_provider_voicepartner.gateways.phone_numbers import InvalidNumberError, parse_number
from airflow_provider_voicepartner.gateways.wire import mask_number
from airflow_provider_voicepartner.hooks.callbacks import receiver_tokens
from airflow_provider_voicepartner.hooks.registry import every_gateway
from airflow_provider_voicepartner.settings import connect_store, open_store, opt_out_keys

# The store's tables

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGE: Final = re.compile(r"([0-9]{1,9})\s*([smhdw])", re.IGNORECASE)


def upgrade(_: Namespace) -> None:
    """Create the store's tables, or bring them up to date."""
    store = connect_store("upgrading its tables")
    try:
        before, after = bring_up_to_date(store, upgrade=True)
    finally:
        store.close()
    if before is None:
        say(f"The store {store.name} was empty and has its tables now (revision {after}).")
    elif before == after:
        say(f"The store {store.name} is up to date (revision {after}).")
    else:
        previous = "tables without a revision" if before == UNVERSIONED else f"revision {before}"
        say(f"The store {store.name} was upgraded from {previous} to revision {after}.")


def purge(arguments: Namespace) -> None:
    """Delete what is older than ``--older-than`` and ``--ledger-older-than``, or count it."""
    ages = {
        "older_than": read_age(arguments.older_than),
        "ledger_older_than": read_age(arguments.ledger_older_than, "--ledger-older-than"),
    }
    with closing(open_store("deleting old reports")) as store:
        reports = DeliveryStore(store, opt_out_keys=opt_out_keys())
        done = reports.count_old(**ages) if arguments.dry_run else reports.purge(**ages)
    counts = ", ".join(f"{count} {name}" for name, count in done.items())
    say(f"{'Would delete' if arguments.dry_run else 'Deleted'} from the store {store.name}: {counts}.")


def read_age(text: str, argument: str = "--older-than") -> timedelta:
    """
    Read an age such as ``30d``.

    :param argument: the name that an error gives.
    :raises CommandError: for anything that is not a whole number and a unit, above zero, up to a hundred years.
    """
    found = _AGE.fullmatch(text.strip())
    seconds = int(found[1]) * _SECONDS[found[2].lower()] if found else 0
    if not 0 < seconds <= OLDEST_PURGE:
        raise CommandError(
            f"{argument} must be a whole number above zero and one of s, m, h, d and w, such as 30d or 12h, "
            "and at most a hundred years"
        )
    return timedelta(seconds=seconds)


# Calls that could not be read or are not acted on

_READING_LETTERS: Final = "reading dead letters"


def list_dead_letters(_: Namespace) -> None:
    """List the dead letters, without numbers and texts."""
    with closing(open_store(_READING_LETTERS)) as store:
        letters = _letters_of(store).all()
        for letter in letters:
            say(_letter_line(letter))
        say(f"{len(letters)} dead letters are in the store {store.name}.")


def show_dead_letter(arguments: Namespace) -> None:
    """Print one as it came."""
    with closing(open_store(_READING_LETTERS)) as store:
        letter = _find_letter(_letters_of(store), store, arguments.id)
    if arguments.raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(letter.call.body)
        return
    say(_letter_line(letter))
    say(f"method: {letter.call.method or '(not known)'}")
    say(f"query: {letter.call.query}")
    say(f"content type: {letter.call.content_type}")
    say(f"body: {decode(letter.call.body, None)}")


def replay_dead_letters(arguments: Namespace) -> None:
    """Read dead letters again, the named ones or all, and print the result of each."""
    if bool(arguments.id) == arguments.all:
        raise CommandError("give the ids of dead letters, or --all")
    with closing(open_store(_READING_LETTERS)) as store:
        dead_letters = _letters_of(store)
        letters = (
            dead_letters.all()
            if arguments.all
            else [_find_letter(dead_letters, store, number) for number in arguments.id]
        )
        done = dead_letters.replay(letters, only_read=arguments.dry_run, named=not arguments.all)
    success = "would be stored" if arguments.dry_run else "is stored, and no longer a dead letter"
    for result in done:
        say(f"{result.letter.id}: {result.problem or success}")
    stored = sum(not result.problem for result in done)
    say(f"{stored} of {len(done)} dead letters {'could be' if arguments.dry_run else 'were'} read.")
    if not arguments.all and stored < len(done):
        raise CommandError("not all of these dead letters could be replayed")


def _letters_of(store: Store) -> DeadLetters:
    return DeadLetters(store, every_gateway())


def _find_letter(letters: DeadLetters, store: Store, number: int) -> Letter:
    letter = letters.find(number)
    if letter is None:
        raise CommandError(f"there is no dead letter {number} in the store {store.name}")
    return letter


def _letter_line(letter: Letter) -> str:
    size = len(letter.call.body)
    return (
        f"{letter.id}  {iso_time(letter.received_at)}  {letter.gateway}  {letter.campaign or '-'}  "
        f"{size} bytes  {letter.why}"
    )


# What the store knows about one person, and its erasure

_PERSONAL: Final = "showing or erasing personal data"
_ELSEWHERE: Final = (
    "Not deleted: your own lists and files, Airflow's logs and XComs, the gateways' data, backups; keyed hashes in the "
    "lists of mapped tasks, and names in incidents, until db purge."
)


def show_person(arguments: Namespace) -> None:
    """Print everything as JSON, with numbers and texts: for the person, or whoever is allowed to read it."""
    number = read_number(arguments.number)
    with closing(open_store(_PERSONAL)) as store:
        known = PersonalData(store, opt_out_keys=opt_out_keys()).find(number)
    say(json.dumps(known.to_json(), indent=2, ensure_ascii=False, default=str))


def forget_person(arguments: Namespace) -> None:
    """Delete everything except that the person said STOP, and print how much it was."""
    number = read_number(arguments.number)
    with closing(open_store(_PERSONAL)) as store:
        data = PersonalData(store, opt_out_keys=opt_out_keys())
        known = data.find(number)
        done = _counts_of(known) if arguments.dry_run else data.erase(number, without_marks=_without_marks())
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


def _counts_of(known: KnownPerson) -> dict[str, int]:
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
