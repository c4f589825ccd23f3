"""``oncall`` and ``contacts``: who is on call, what is wrong in the contacts, and rotas as calendars."""

from __future__ import annotations

import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.constants import MOST_CALENDAR_WEEKS
from airflow_provider_voicepartner.contacts.calendar import as_text, export_rota, read_overrides
from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.names import meant, read_name, shown
from airflow_provider_voicepartner.contacts.reading import UnreadableContactsError, format_of, read_text
from airflow_provider_voicepartner.contacts.rota import YEARS, Override, Reason, Rota
from airflow_provider_voicepartner.contacts.validation import read_directory
from airflow_provider_voicepartner.hooks.contacts import OPTION, Source, load_directory, read_source

_WHY: Final = {
    Reason.ROTA: "",
    Reason.OVERRIDE: " by an override",
    Reason.HOLIDAY: " for the holiday",
}


def on_call(arguments: Namespace) -> None:
    """Say who is on call, until when, and who is next."""
    directory = load_directory(_source())
    names = [_rota_name(arguments.rota, directory)] if arguments.rota else sorted(directory.rotas)
    if not names:
        raise CommandError(f"{directory.label} have no rota; add one, such as [rotas.oncall]")
    for name in names:
        rota = directory.rotas[name]
        found = rota.on_call(_moment(arguments.at, rota))
        if found.until is None:
            rest = "; nobody else is next"
        else:
            rest = f", until {_shown_time(found.until, rota)}, then {_person(str(found.then), directory)}"
        say(f"{name}: {_person(found.who, directory)}{_WHY[found.reason]}{rest}")
    if directory.problems:
        say(f"There are {len(directory.problems)} mistakes in the contacts; see contacts check.")


def check(arguments: Namespace) -> None:
    """Show every mistake; the exit code is 1 where there is one."""
    directory = load_directory(_source())
    for problem in directory.problems:
        say(str(problem))
    if directory.problems:
        raise CommandError(f"{directory.label} have {len(directory.problems)} mistakes")
    counts = (
        (len(directory.people), "people"),
        (len(directory.groups), "groups"),
        (len(directory.rotas), "rotas"),
        (len(directory.policies), "policies"),
    )
    say(f"{directory.label}: {', '.join(f'{count} {name}' for count, name in counts)}; no mistakes.")
    lost = [name for name in sorted(directory.rotas) if not directory.last_resort_of(name)]
    if lost or not directory.last_resort:
        say("There is no last_resort: an alert to a name that is not known would reach nobody.")
    for name, policy in sorted(directory.policies.items()):
        if policy.sms is None:
            say(f"policies.{name}.sms is not set: nobody is told who has it, nor what came of a pressed key.")


def export_calendar(arguments: Namespace) -> None:
    """Write the shifts of a rota from now on."""
    _need_icalendar()
    if not 1 <= arguments.weeks <= MOST_CALENDAR_WEEKS:
        raise CommandError(
            f"--weeks: is {arguments.weeks}; give a whole number from 1 to {MOST_CALENDAR_WEEKS}"
        )
    directory = load_directory(_source())
    name = _rota_name(arguments.rota, directory)
    now = datetime.now(UTC).replace(microsecond=0)
    text = export_rota(name, directory, now, now + timedelta(weeks=arguments.weeks), now=now)
    if not arguments.out:
        say(text.rstrip())
        return
    try:
        Path(arguments.out).write_bytes(text.encode())
    except OSError as error:
        problem = error.strerror or type(error).__name__
    else:
        say(f"Wrote {arguments.weeks} weeks of {name} to {arguments.out}.")
        return
    raise CommandError(f"{arguments.out}: cannot be written: {problem}")


def import_calendar(arguments: Namespace) -> None:
    """Show the overrides of a calendar, or append them to the contacts; with one wrong event nothing is written."""
    _need_icalendar()
    source = _source()
    directory = load_directory(source)
    name = _rota_name(arguments.rota, directory)
    rota = directory.rotas[name]
    try:
        found = read_overrides(_calendar_text(arguments.file), rota, directory.people)
    except UnreadableContactsError as error:
        problem = f"{arguments.file}: {error}"
    else:
        problem = "; ".join(found.errors)
    if problem:
        raise CommandError(problem)
    if not found.overrides:
        say(f"{arguments.file} says of {name} what the contacts say.")
        return
    kind = source.kind_of_text or "TOML"
    text = as_text(_key_of(name, source), found.overrides, rota, kind)
    if not arguments.write:
        say(text.rstrip())
        return
    _append(source, text, name, found.overrides)
    say(f"Added {len(found.overrides)} overrides of {name} to {source.name}.")


def _source() -> Source:
    source = read_source()
    if source is None:
        raise CommandError(f"{OPTION} is not set; set it to a file of contacts")
    return source


def _need_icalendar() -> None:
    if find_spec("icalendar") is None:
        raise CommandError("calendars need icalendar: pip install 'airflow-provider-voicepartner[icalendar]'")


def _rota_name(given: str | None, directory: Directory) -> str:
    """Return the rota that is meant."""
    names = sorted(directory.rotas)
    name = read_name(given.removeprefix("@")) if given else names[0] if len(names) == 1 else None
    if name in directory.rotas:
        return str(name)
    if given:
        hint = meant(name or given.lower(), names) or f"; there are {', '.join(names) or 'none'}"
        raise CommandError(f"ROTA: {shown(given)} is no rota of {directory.label}{hint}")
    raise CommandError(f"ROTA: say which one; there are {', '.join(names) or 'none'}")


def _moment(text: str | None, rota: Rota) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.year not in YEARS:
        raise CommandError("--at: is no time; write one such as 2026-12-24T09:00 or 2026-12-24T09:00+01:00")
    return moment if moment.tzinfo else moment.replace(tzinfo=rota.zone)


def _shown_time(moment: datetime, rota: Rota) -> str:
    return f"{moment.astimezone(rota.zone):%a %Y-%m-%d %H:%M} {rota.zone.key}"


def _person(name: str, directory: Directory) -> str:
    person = directory.people.get(name)
    if person is None:
        return f"{name} (not in people)"
    return f"{name} ({person.full_name})" if person.full_name else name


def _calendar_text(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        problem = error.strerror or type(error).__name__
    raise CommandError(f"{path}: cannot be read: {problem}")


def _key_of(name: str, source: Source) -> str:
    """Return a rota's name as a file has it, where capitals may be in it."""
    if source.kind != "file":
        return name
    rotas = read_text(Path(source.name).read_text("utf-8-sig"), source.kind_of_text)["rotas"]
    return str(next(key for key in rotas if read_name(key) == name))


def _append(source: Source, text: str, name: str, overrides: Sequence[Override]) -> None:
    """Append overrides to a TOML file, if they can be read there; it is replaced at once or not at all."""
    by_hand = "run without --write, and put what is shown into the contacts by hand"
    if source.kind != "file" or format_of(source.name) != "TOML":
        raise CommandError(f"--write: only a TOML file can be written to; {by_hand}")
    path = Path(os.path.realpath(source.name))
    before = path.read_text("utf-8")
    after = f"{before.rstrip()}\n\n{text}"
    try:
        read = read_directory(read_text(after, "TOML")).rotas.get(name)
    except UnreadableContactsError:
        read = None  # the list is written in brackets, to which nothing can be appended
    if read is None or read.overrides[-len(overrides) :] != tuple(overrides):
        raise CommandError(
            f"--write: the overrides of {name} cannot be appended, which needs [[rotas.{name}.overrides]]; {by_hand}"
        )
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(after)
        shutil.copymode(path, new)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
