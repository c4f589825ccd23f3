"""
Whom an alert goes to: names of the contacts replaced by numbers, so that somebody is told whatever is wrong in them.

A name that leads to nobody falls to the last resort of its rota, else of all contacts, and that is said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.contacts.expansion import expand
from airflow_provider_voicepartner.contacts.names import MARK, name_of
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Kind
from airflow_provider_voicepartner.gateways.validation import WORD_FOR_NOTHING
from airflow_provider_voicepartner.hooks.contacts import KnownContacts, has_contacts
from airflow_provider_voicepartner.incidents.model import Told
from airflow_provider_voicepartner.notifications.audience import Audience

if TYPE_CHECKING:  # most alerts go to numbers, and an alert is to leave soon
    from airflow_provider_voicepartner.contacts.directory import Directory

log = logging.getLogger(__name__)


def may_need_contacts(to: Any) -> bool:
    """Say whether the contacts are to be asked: for a name, or for the last resort of an alert to nobody."""
    return MARK in str(to) or is_for_nobody(to)


def is_for_nobody(to: Any) -> bool:
    """Say whether recipients rendered to nothing, or could not be rendered, and contacts may hold a last resort."""
    if isinstance(to, str):
        is_nothing = to.strip() in ("", WORD_FOR_NOTHING)
    else:
        is_nothing = to is None or (isinstance(to, list | tuple) and not to)
    return is_nothing and has_contacts()


class AlertRecipients:
    """
    The recipients of one alert.

    :param read_contacts: tells what is known of them; asked once, and only where there is a name.
    :param kind: of the message.
    :param now: aware; when a rota is asked.
    """

    def __init__(self, read_contacts: Callable[[], KnownContacts], kind: Kind, now: datetime) -> None:
        self._read_contacts = read_contacts
        self._directory: Directory | None = None
        self._was_read = False
        self._kind = kind
        self._now = now
        self.problems: list[str] = []
        """What is to be logged as an error: who is not told, and who is in their place."""
        self.audience_of: dict[str, Audience] = {}
        """For whom the messages of contacts' numbers are written; a number that was given as such has none."""
        self.person_of: dict[str, str] = {}
        """The names of the people behind numbers; a number that was given as such has none."""

    def of(self, to: Any) -> Any:
        """
        Return recipients with numbers in place of names.

        :raises ConfigurationError: nobody is left.
        """

        def numbers_of(person: str) -> Sequence[str]:
            numbers = self._numbers_of(person)
            self.person_of |= dict.fromkeys(numbers, person)
            if numbers and self._directory is not None:
                known = self._directory.people[person]
                self.audience_of |= dict.fromkeys(numbers, Audience(known.language, known.time_zone))
            return numbers

        found = expand(MARK if is_for_nobody(to) else to, self._people_of, numbers_of)
        if isinstance(found, list) and not found:
            raise ConfigurationError(f"to: nobody can be told: {'; '.join(self.problems)}")
        return found

    def _people_of(self, reference: str) -> Sequence[str]:
        directory = self._known()
        if directory is None:
            return ()
        if reference == MARK:
            return self._last_resort(None, directory, "to: names nobody, or could not be rendered")
        problem: InvalidArgumentError
        try:
            name = name_of(reference)
        except InvalidArgumentError as error:
            problem = error
        else:
            return self._people_behind(name, directory)
        return self._last_resort(None, directory, problem.problem)

    def _known(self) -> Directory | None:
        if not self._was_read:
            self._was_read = True
            contacts = self._read_contacts()
            self._directory = contacts.directory
            self.problems += contacts.problems
        return self._directory

    def _people_behind(self, name: str, directory: Directory) -> Sequence[str]:
        found = directory.known_people_of(name, self._now)
        reached = [person for person in found if self._numbers_of(person)]
        lost = [person for person in found if person not in reached]
        if not found:
            known = name in directory.names
            why = f"{MARK}{name} has a mistake in {directory.label}" if known else directory.unknown(name)
            return self._last_resort(name, directory, why)
        if not reached:
            who = f"{MARK}{name} ({', '.join(lost)})" if found != (name,) else f"{MARK}{name}"
            return self._last_resort(name, directory, f"{who} has no number for this kind of message")
        if lost:
            self.problems.append(
                f"of {MARK}{name} {', '.join(lost)} cannot be told: no number for this kind of message"
            )
        if found != (name,):
            log.info("%s%s is %s", MARK, name, ", ".join(reached))
        return reached

    def _last_resort(self, name: str | None, directory: Directory, why: str) -> Sequence[str]:
        found = directory.last_resort_of(name, self._kind)
        instead = (
            f"the last resort is told instead: {', '.join(found)}" if found else "there is no last resort"
        )
        self.problems.append(f"{why}. {instead[0].upper()}{instead[1:]}")
        return found

    def _numbers_of(self, person: str) -> Sequence[str]:
        known = self._directory.people.get(person) if self._directory is not None else None
        return () if known is None else known.numbers(self._kind)


def as_told(
    numbers: Sequence[str], person_of: Mapping[str, str], *, conn_id: str, kind: Kind
) -> Sequence[Told]:
    """Return recipients as incidents know them: by name where they have one, each once."""
    found: dict[Told, None] = {}
    for number in numbers:
        person = person_of.get(number, "")
        found[Told(conn_id=conn_id, kind=kind, person=person, phone_number="" if person else number)] = None
    return tuple(found)
