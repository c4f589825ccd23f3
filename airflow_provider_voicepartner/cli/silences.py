"""``silence add``, ``list`` and ``end``: which alerts nobody is told of for a time."""

from __future__ import annotations

import getpass
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.cli.db import read_age
from airflow_provider_voicepartner.delivery.events import iso_time
from airflow_provider_voicepartner.incidents.silences import Silence, Silences, matchers_text, read_matchers
from airflow_provider_voicepartner.settings import open_store


def add(arguments: Namespace) -> None:
    """Add a silence, and say until when it lasts."""
    matchers = read_matchers(arguments.match)
    seconds = read_age(arguments.duration, "--for").total_seconds()
    begins_at = None if arguments.begins is None else read_moment(arguments.begins)
    with _silences() as silences:
        added = silences.add(
            matchers, seconds=seconds, begins_at=begins_at, author=_user(), comment=arguments.comment
        )
    say(f"Silence {added.id} lasts from {iso_time(added.begins_at)} to {iso_time(added.ends_at)}.")


def show_all(arguments: Namespace) -> None:
    """List silences, each in one line."""
    with _silences() as silences:
        found = silences.find(ended=arguments.ended)
    for silence in found:
        say(_line(silence))
    if not found:
        say("There is no silence.")


def end(arguments: Namespace) -> None:
    """
    End a silence.

    :raises CommandError: none with this id is in force or to come.
    """
    with _silences() as silences:
        is_ended = silences.end(arguments.id)
    if not is_ended:
        raise CommandError(f"ID: no silence {arguments.id} is in force or to come; see silence list")
    say(f"Silence {arguments.id} has ended.")


def read_moment(text: str) -> float:
    """
    Read a time as Unix seconds.

    :raises CommandError: it is no time, or has no offset.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        pass
    raise CommandError("--from: is no time with an offset; write it as in 2031-05-06T22:00+02:00")


@contextmanager
def _silences() -> Iterator[Silences]:
    with closing(open_store("silences")) as store:
        yield Silences(store)


def _line(silence: Silence) -> str:
    said = f"{silence.id}  {iso_time(silence.begins_at)} to {iso_time(silence.ends_at)}  "
    said += matchers_text(silence.matchers)
    by = f"  by {silence.author}" if silence.author else ""
    return f"{said}{by}{f': {silence.comment}' if silence.comment else ''}"


def _user() -> str:
    try:
        return getpass.getuser()
    except Exception:  # a user without a name
        return ""
