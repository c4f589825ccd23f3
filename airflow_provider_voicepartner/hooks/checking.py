"""Turns what is wrong with an argument into a configuration error, which Airflow does not retry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import Message
from airflow_provider_voicepartner.recipients.lists import RecipientPlan, plan_recipients

Built = TypeVar("Built")


def plan_valid_recipients(
    to: Any, message: Message, *, most: int = MAX_RECIPIENTS_PER_BATCH
) -> RecipientPlan:
    """
    Read a list of recipients that must all be valid.

    :param most: how many one request of the gateway takes.

    :raises ConfigurationError: for an empty list, one that is too long, or an invalid row.
    """
    problem: InvalidArgumentError
    try:
        return plan_recipients(
            to, line="mobile" if message.kind == "sms" else "any", on_invalid="fail", limit=most
        )
    except InvalidArgumentError as error:
        problem = error
    raise ConfigurationError(str(problem))


def checked(build: Callable[..., Built], *args: Any, **kwargs: Any) -> Built:
    """
    Build a request; a bad argument is a configuration error that Airflow does not retry.

    :raises ConfigurationError: naming the argument and the fix.
    """
    problem: InvalidArgumentError
    try:
        return build(*args, **kwargs)
    except InvalidArgumentError as error:
        problem = error
    raise ConfigurationError(str(problem))
