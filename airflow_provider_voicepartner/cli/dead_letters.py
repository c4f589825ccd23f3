"""``dead-letters list``, ``show`` and ``replay``: calls that could not be read or are not acted on."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import closing
from typing import Final

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.dead_letters import DeadLetters, Letter
from airflow_provider_voicepartner.delivery.events import iso_time
from airflow_provider_voicepartner.gateways.bodies import decode
from airflow_provider_voicepartner.hooks.registry import every_gateway
from airflow_provider_voicepartner.settings import open_store

_PURPOSE: Final = "reading dead letters"


def show_all(_: Namespace) -> None:
    """List the dead letters, without numbers and texts."""
    with closing(open_store(_PURPOSE)) as store:
        letters = _letters_of(store).all()
        for letter in letters:
            say(_line(letter))
        say(f"{len(letters)} dead letters are in the store {store.name}.")


def show(arguments: Namespace) -> None:
    """Print one as it came."""
    with closing(open_store(_PURPOSE)) as store:
        letter = _find(_letters_of(store), store, arguments.id)
    if arguments.raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(letter.call.body)
        return
    say(_line(letter))
    say(f"method: {letter.call.method or '(not known)'}")
    say(f"query: {letter.call.query}")
    say(f"content type: {letter.call.content_type}")
    say(f"body: {decode(letter.call.body, None)}")


def replay(arguments: Namespace) -> None:
    """Read dead letters again, the named ones or all, and print the result of each."""
    if bool(arguments.id) == arguments.all:
        raise CommandError("give the ids of dead letters, or --all")
    with closing(open_store(_PURPOSE)) as store:
        dead_letters = _letters_of(store)
        letters = (
            dead_letters.all()
            if arguments.all
            else [_find(dead_letters, store, number) for number in arguments.id]
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


def _find(letters: DeadLetters, store: Store, number: int) -> Letter:
    letter = letters.find(number)
    if letter is None:
        raise CommandError(f"there is no dead letter {number} in the store {store.name}")
    return letter


def _line(letter: Letter) -> str:
    size = len(letter.call.body)
    return (
        f"{letter.id}  {iso_time(letter.received_at)}  {letter.gateway}  {letter.campaign or '-'}  "
        f"{size} bytes  {letter.why}"
    )
