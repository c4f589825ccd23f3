"""Whom a page goes to at an instant: people and their numbers, with the last resort for whoever cannot be reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.names import MARK
from airflow_provider_voicepartner.gateways.info import Kind


@dataclass(frozen=True, slots=True)
class Target:
    """
    One number of one person.

    :param person: the name in the contacts.
    :param phone_number: in E.164.
    :param language: ``fr`` or ``en``; None where the contacts do not say.
    :param time_zone: such as ``Europe/Paris``; likewise.
    """

    person: str
    phone_number: str = field(repr=False)
    language: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """
    Who is paged.

    :param reached: each number once.
    :param problems: who is not paged and who is in their place, to be logged as errors; no number is in them.
    """

    reached: tuple[Target, ...] = ()
    problems: tuple[str, ...] = ()


def targets_of(directory: Directory, names: Iterable[str], kind: Kind, at: datetime) -> Targets:
    """
    Return whom names mean, with their numbers.

    :param names: of people, groups and rotas, without the mark.
    :param kind: of the message.
    :param at: aware; when rotas are asked.
    """
    people = dict[str, None]()
    problems = []
    for name in names:
        found = directory.known_people_of(name, at)
        able = [one for one in found if one in directory.people and directory.people[one].numbers(kind)]
        unable = [one for one in found if one not in able]
        if able:
            people |= dict.fromkeys(able)
            if unable:
                problems.append(
                    f"of {MARK}{name} {', '.join(unable)} cannot be paged: no number for this kind"
                )
            continue
        instead = directory.last_resort_of(name, kind)
        people |= dict.fromkeys(instead)
        why = "has no number for this kind of page" if found else "leads to nobody in the contacts"
        who = (
            f"the last resort is paged instead: {', '.join(instead)}"
            if instead
            else "there is no last resort"
        )
        problems.append(f"{MARK}{name} {why}; {who}")
    return Targets(numbers_of(directory, people, kind), tuple(problems))


def last_resort_targets(directory: Directory, names: Iterable[str], kind: Kind) -> Targets:
    """
    Return the last resort, with numbers: the people and groups that are named, else that of all contacts.

    :param names: of people and groups; may be none.
    """
    people = dict.fromkeys(person for name in names for person in directory.groups.get(name, (name,)))
    reached = numbers_of(directory, people, kind)
    return Targets(reached or numbers_of(directory, directory.last_resort_of(None, kind), kind))


def numbers_of(directory: Directory, people: Iterable[str], kind: Kind) -> tuple[Target, ...]:
    """Return the numbers of people, each once; nobody for a name that is not there."""
    found = {
        number: Target(name, number, directory.people[name].language, directory.people[name].time_zone)
        for name in people
        if name in directory.people
        for number in directory.people[name].numbers(kind)
    }
    return tuple(found.values())
