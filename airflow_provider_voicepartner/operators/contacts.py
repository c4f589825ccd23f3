"""
Names of the contacts among the recipients of a campaign, replaced by numbers.

A campaign that was begun goes on with the people whom its groups and rotas meant then, whoever is on call by now.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.contacts.expansion import expand, names_anybody
from airflow_provider_voicepartner.contacts.names import MARK, name_of
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.hooks.contacts import load_directory, needed_source
from airflow_provider_voicepartner.hooks.storage import is_file
from airflow_provider_voicepartner.operators.planning import column_of, read_to
from airflow_provider_voicepartner.sending.arguments import read_send_again

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.operators.planning import SendingArguments
    from airflow_provider_voicepartner.sending.ledger import Ledger

log = logging.getLogger(__name__)


def with_numbers(
    arguments: SendingArguments, hook: GatewayHook, ledger: Ledger
) -> tuple[SendingArguments, Mapping[str, Sequence[str]]]:
    """
    Replace the names in ``to`` by the numbers of the people they mean.

    :param arguments: of the operator.
    :param hook: tells the time, and which numbers its messages go to.
    :param ledger: registered; of a campaign that was begun it knows whom names meant.
    :returns: the arguments, and whom each group and rota means, for the ledger.
    :raises ConfigurationError: a name is not known, or means somebody who cannot be reached; nothing was sent.
    :raises RetryableNotSentError: the contacts cannot be read now.
    """
    if is_file(arguments.to):
        return arguments, {}
    arguments, column = replace(arguments, to=read_to(arguments)), column_of(arguments)
    if not _names_anybody(arguments.to, column):
        return arguments, {}
    begun = ledger.people_by_name(read_send_again(arguments.send_again))
    directory = load_directory(needed_source("a recipient that begins with @"))
    now = hook.sender.now()
    meant = dict[str, tuple[str, ...]]()

    def people_of(reference: str) -> Sequence[str]:
        name = name_of(reference)
        if directory.is_person(name) and name not in begun:
            return directory.people_of(name, now)
        people = tuple(begun[name]) if name in begun else directory.people_of(name, now)
        if name not in meant:
            since = ", as when this campaign was begun" if name in begun else ""
            log.info("%s%s is %s%s", MARK, name, ", ".join(people), since)
        meant[name] = people
        return people

    problem: InvalidArgumentError
    try:
        rows = expand(
            arguments.to,
            people_of,
            lambda person: directory.numbers_of(person, arguments.kind),
            column=column,
        )
        return replace(arguments, to=rows), meant
    except InvalidArgumentError as error:
        problem = error
    raise ConfigurationError(f"{problem}. Nothing was sent")


def _names_anybody(to: Any, column: str | int) -> bool:
    """Say whether there is a name; what is no list of recipients at all is refused where it is read."""
    try:
        return names_anybody(to, column=column)
    except InvalidArgumentError:
        return False
