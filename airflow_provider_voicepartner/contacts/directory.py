"""
Everybody who can be named: people, groups and rotas, and whom a name means at an instant.

A mistake in one entry concerns only the names that it is about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_voicepartner.constants import NAMED_PROBLEMS
from airflow_provider_voicepartner.contacts.names import MARK, meant, shown
from airflow_provider_voicepartner.contacts.policy import Policy
from airflow_provider_voicepartner.contacts.rota import Rota
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """
    Somebody who can be reached.

    :param name: as it stands in ``@name``.
    :param phones: all numbers, in E.164.
    :param mobiles: those that can receive an SMS.
    :param call: the number for calls, in E.164; None for all of ``phones``.
    :param full_name: how people write it.
    :param language: ``fr`` or ``en``.
    :param time_zone: such as ``Europe/Paris``.
    """

    name: str
    phones: tuple[str, ...] = field(repr=False)
    mobiles: tuple[str, ...] = field(repr=False)
    call: str | None = field(default=None, repr=False)
    full_name: str | None = None
    language: str | None = None
    time_zone: str | None = None

    def numbers(self, kind: Kind) -> tuple[str, ...]:
        """Return the numbers, in E.164, that a message of a kind goes to; none where it cannot reach this person."""
        if kind == "sms":
            return self.mobiles
        return (self.call,) if self.call else self.phones


@dataclass(frozen=True, slots=True)
class Problem:
    """
    A mistake in the contacts.

    :param where: the table and the key, such as ``rotas.oncall.hand_over``.
    :param problem: what is wrong and the fix; holds no number.
    :param name: the name that cannot be relied on because of it; None where it is about no name.
    """

    where: str
    problem: str
    name: str | None = None

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """
    The contacts, as far as they could be read.

    :param people: by name.
    :param groups: the names of the members, which may be nobody's, by the group's name.
    :param rotas: by name.
    :param last_resort: names of people and groups: whom an alert goes to that reaches nobody.
    :param rota_last_resorts: the same for single rotas, by name; also of one that cannot be used for a mistake.
    :param policies: escalation policies by name, as far as they can be used.
    :param problems: all mistakes, in the order of the contacts.
    :param label: where they were read, for errors; holds no secret.
    """

    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rotas: Mapping[str, Rota] = field(default_factory=dict)
    last_resort: tuple[str, ...] = ()
    rota_last_resorts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    label: str = "the contacts"

    @property
    def names(self) -> Collection[str]:
        """All names that are defined, those with mistakes too."""
        named = {problem.name for problem in self.problems if problem.name}
        return {*self.people, *self.groups, *self.rotas, *named}

    def is_person(self, name: str) -> bool:
        """Say whether a name is a person's, who is the same at every instant."""
        return name in self.people

    def people_of(self, name: str, at: datetime) -> tuple[str, ...]:
        """
        Return whom a name means.

        :param name: of a person, a group or a rota.
        :param at: aware; when a rota is asked.
        :returns: names of people, at least one.
        :raises InvalidArgumentError: there is no such name, or there is a mistake in what it means.
        """
        if name not in self.names:
            raise InvalidArgumentError("to", self.unknown(name))
        found = self.known_people_of(name, at)
        mistakes = self._mistakes([name, *found])
        if mistakes:
            raise InvalidArgumentError(
                "to",
                f"{MARK}{name} cannot be used: {self.label} have mistakes: {'; '.join(mistakes)}. See "
                "'airflow voicepartner contacts check'",
            )
        return found

    def known_people_of(self, name: str, at: datetime) -> tuple[str, ...]:
        """
        Return whom a name means, as far as there is no mistake.

        :returns: names that may be nobody's; none where nothing is known of the name.
        """
        if name in self.people:
            return (name,)
        if name in self.groups:
            return self.groups[name]
        return (self.rotas[name].who(at),) if name in self.rotas else ()

    def policy(self, name: str) -> Policy:
        """
        Return an escalation policy.

        :raises InvalidArgumentError: there is no such policy.
        """
        found = self.policies.get(name.strip().lower())
        if found is None:
            how = meant(name, self.policies) or f"; there are {len(self.policies)} policies"
            raise InvalidArgumentError("policy", f"{shown(name)} is no policy of {self.label}{how}")
        return found

    def without_policy(self, name: str, *, otherwise: str) -> Policy | None:
        """
        Return what pages the last resort in place of a policy that is not there, in the ways of the others.

        :param otherwise: the connection for text messages, where no policy has any.
        :returns: None where the last resort cannot be reached.
        """
        others = self.policies.values()
        sms = next((one.sms for one in others if one.sms), None)
        call = next((one.call for one in others if one.call), None)
        made = Policy(name=name, sms=sms if sms or call else otherwise, call=call)
        can_reach = any(self.last_resort_of(None, by.kind) for by in made.ways)
        return made if can_reach else None

    def unknown(self, name: str) -> str:
        """Say that there is no such name, and which one may be meant."""
        how = meant(name, self.names) or f"; there are {len(self.names)} names"
        return f"{MARK}{name} is not in {self.label}{how}"

    def numbers_of(self, name: str, kind: Kind) -> tuple[str, ...]:
        """
        Return a person's numbers for messages of a kind.

        :param name: of a person who is known.
        :raises InvalidArgumentError: the person is not known (any more), or has no such number.
        """
        person = self.people.get(name)
        if person is None:
            raise InvalidArgumentError("to", self.unknown(name))
        numbers = person.numbers(kind)
        if not numbers:
            raise InvalidArgumentError(
                "to", f"{MARK}{name} has no number that can receive an SMS; add one to people.{name}.phone"
            )
        return numbers

    def last_resort_of(self, name: str | None, kind: Kind | None = None) -> tuple[str, ...]:
        """
        Return the people whom an alert goes to that does not reach a name.

        :param name: a rota may have its own last resort; where that reaches nobody, it is the one of all contacts.
        :param kind: of the message; None asks for no number.
        """
        own = self.rota_last_resorts.get(name, ()) if name else ()
        for named in (own, self.last_resort):
            people = dict.fromkeys(person for one in named for person in self.groups.get(one, (one,)))
            found = [self.people[person] for person in people if person in self.people]
            reached = tuple(person.name for person in found if kind is None or person.numbers(kind))
            if reached:
                return reached
        return ()

    def _mistakes(self, names: Sequence[str]) -> list[str]:
        found = list(map(str, dict.fromkeys(one for one in self.problems if one.name in names)))
        more = len(found) - NAMED_PROBLEMS
        return [*found[:NAMED_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
