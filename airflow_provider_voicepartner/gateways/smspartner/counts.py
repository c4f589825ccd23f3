"""
Who of a batch was taken, by an answer that says yes: never more people than the answer proves.

Its numbers are compared with each other: the recipients that it lists with a yes or a no, and the count of SMS, of
which each recipient takes at least one. Where they differ, the smaller count of accepted people is believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.gateways.errors import Codes, RecipientProblem
from airflow_provider_voicepartner.gateways.reading import as_count, as_int, pick
from airflow_provider_voicepartner.gateways.smspartner.refusals import (
    bulk_entries,
    is_good_code,
    is_proven,
    listed_problems,
    number_of,
    read_code,
    recipient_problem,
    says_no,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse


@dataclass(frozen=True, slots=True)
class Tally:
    """
    What became of a batch's recipients; the three counts add up to its size.

    :param accepted: taken, as far as the answer proves.
    :param refused: certainly not taken, one by one; without a number where the answer names none.
    :param in_doubt: neither.
    """

    accepted: int
    refused: tuple[RecipientProblem, ...]
    in_doubt: int


def read_sms_count(data: Mapping[str, Any]) -> int | None:
    """Read how many SMS an answer counts; below zero, or anything else, is not told."""
    return as_count(pick(data, "nb_sms", "nbSMS", "nbSms"))


def tally_send(
    data: Mapping[str, Any], response: ApiResponse, codes: Codes, numbers: Sequence[str], *, segments: int = 1
) -> Tally:
    """
    Count for an answer that lists only those whom it refuses; the others were taken.

    :param numbers: the recipients, as sent.
    :param segments: how many SMS the text takes, by our own counting.
    """
    wanted = frozenset(numbers)
    refused: dict[str, RecipientProblem] = {}
    nameless: list[RecipientProblem] = []
    unclear: set[str] = set()
    strangers = 0
    for problem in listed_problems(data, response, codes, numbers):
        number = problem.phone_number
        if number is None and is_proven(problem.code, codes):
            nameless.append(problem)
        elif number not in wanted:
            strangers += 1  # perhaps one of ours in a spelling that cannot be read
        elif is_proven(problem.code, codes):
            refused.setdefault(number, problem)
        else:
            unclear.add(number)
    dropped = (*refused.values(), *nameless[: len(numbers) - len(refused)])
    left = len(numbers) - len(dropped)
    people = max(left - len(unclear - refused.keys()) - strangers, 0)
    accepted = _most_people(read_sms_count(data), people, segments)
    return Tally(accepted, dropped, left - accepted)


def _most_people(sms: int | None, people: int, segments: int) -> int:
    """
    Return how many of some people may have got one text, by the count of SMS.

    A multiple of the people fits whatever our own counting says: the gateway's may differ from it.
    """
    if sms is None or (sms > 0 and people > 0 and sms % people == 0):
        return people
    return min(people, sms // segments)


def tally_bulk(data: Mapping[str, Any], response: ApiResponse, codes: Codes, numbers: Sequence[str]) -> Tally:
    """
    Count for an answer that lists those whom it takes, too: a number that it does not mention is in doubt.

    An answer that speaks of no number at all is read as one of a plain send.

    :param numbers: the recipients, as sent and in that order.
    """
    entries = bulk_entries(data)
    if entries is None:
        return tally_send(data, response, codes, numbers)
    wanted = frozenset(numbers)
    listed = data["SMSResponse_List"]
    in_order = isinstance(listed, list) and len(entries) == len(listed) == len(numbers)
    taken: list[str | None] = []
    refused: list[RecipientProblem] = []
    unclear: set[str | None] = set()
    if _are_as_documented(entries, numbers):
        taken, entries = list(numbers), []
    for position, entry in enumerate(entries):
        fallback = numbers[position] if in_order else None
        if _is_taken(entry, read_code(entry, response)):
            # No words are read: to scrub those of one entry takes as long as a batch has texts.
            taken.append(number_of(entry, fallback))
            continue
        problem = recipient_problem(entry, response, codes, fallback)
        if says_no(entry.get("success")) and is_proven(problem.code, codes):
            refused.append(problem)
        else:
            unclear.add(problem.phone_number)
    refused += listed_problems({**data, "SMSResponse_List": None}, response, codes, numbers)
    # A number of which two things are said is in doubt, like one of which nothing is.
    unclear |= set(taken) & {problem.phone_number for problem in refused}
    yes = (wanted & set(taken)) - unclear
    no = {
        problem.phone_number: problem
        for problem in refused
        if problem.phone_number in wanted - unclear and is_proven(problem.code, codes)
    }
    nameless = [problem for problem in refused if problem.phone_number is None]
    dropped = (*no.values(), *nameless[: len(numbers) - len(yes) - len(no)])
    left = max(len(numbers) - len(dropped) - len(unclear & wanted), 0)
    accepted = min(len(yes) + taken.count(None), left)
    sms = read_sms_count(data)
    accepted = accepted if sms is None else min(accepted, sms)
    return Tally(accepted, dropped, len(numbers) - len(dropped) - accepted)


def _are_as_documented(entries: Sequence[Mapping[str, Any]], numbers: Sequence[str]) -> bool:
    """Say whether all are a yes as the vendor documents it, in order: then nothing in them can be read in two ways."""
    names = ("phoneNumber", "success", "code", "nbSms")
    columns: list[list[Any]] = [[entry.get(name) for entry in entries] for name in names]
    listed, success, codes, sms = columns
    return (
        listed == list(numbers)
        and set(map(type, success)) == {bool}
        and all(success)
        and set(map(type, codes)) == set(map(type, sms)) == {int}
        and set(codes) == {200}
        and min(sms) > 0
    )


def _is_taken(entry: Mapping[str, Any], code: str | None) -> bool:
    """Say whether an entry says yes, and nothing against it: another code than a success, or no SMS at all."""
    sms = as_int(pick(entry, "nbSms", "nbSMS", "nb_sms"))
    return entry.get("success") is True and (code is None or is_good_code(code)) and (sms is None or sms > 0)
