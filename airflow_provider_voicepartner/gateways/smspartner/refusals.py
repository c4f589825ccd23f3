"""
Telling a yes from a no, in every shape the gateway writes one; and who of a batch was accepted.

Its docs and its users show these shapes of an error: a code with a message; a code with a list ``errors`` (or
``error``) of form fields; a code with a list of numbers, each with a code of its own, as text; an object ``error`` with
a word such as ``NOCREDITS``. The HTTP status says little (errors come with 200 as well as with 400), so it is used only
where the body leaves the question open; 429 means "not accepted" unless the answer names a message that was.

An answer that says yes never counts for more recipients than it proves. Its numbers are compared with each other: the
recipients that it lists with a yes or a no, and the count of SMS, of which each recipient takes at least one. Where
they differ, the smaller count of accepted recipients is believed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from airflow_provider_voicepartner.gateways.bodies import loads
from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind, GatewayError, RecipientProblem
from airflow_provider_voicepartner.gateways.model import RefusedRecipient
from airflow_provider_voicepartner.gateways.parsing import (
    as_count,
    as_int,
    as_text,
    as_verdict,
    decode,
    names_id,
    pick,
    presentable_words,
    refusal,
    transport_kind,
)
from airflow_provider_voicepartner.gateways.phone_numbers import read_wire_number
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.codes import (
    ABOUT_A_NUMBER,
    ABOUT_THE_ONLY_NUMBER,
    ON_STOP_LIST,
    SERVER_CODE,
    Endpoint,
    bulk_entries,
    explanation,
    is_good_code,
    is_proven,
    listed_errors,
    read_code,
    read_id,
    says_no,
)
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_NUMBER_KEYS = ("phoneNumber", "phone_number", "phone", "number")
_ID_KEYS = ("message_id", "messageId", "msgId")
_QUEUED = "request queued for processing"
_VAGUE = ("55", None)
_DOCUMENTED = itemgetter("phoneNumber", "success", "code", "nbSms")


def accepted_answer(
    endpoint: Endpoint,
    response: ApiResponse,
    *,
    numbers: Sequence[str] = (),
    also_good: str | None = None,
) -> dict[str, Any]:
    """
    Decode an answer that says yes: ``success`` is literally true.

    :param numbers: the recipients of a send, to name one that the answer does not name.
    :param also_good: a code whose "no" means that the wanted state was there before.
    :raises GatewayError: for everything else; in doubt where a send is refused and named as accepted at once.
    """
    data = decode(INFO.name, endpoint.name, response, safe_to_repeat=endpoint.safe_to_repeat)
    success = data.get("success")
    if not endpoint.safe_to_repeat:
        problem = _doubtful(data, response)
        if problem is not None:
            code = read_code(data, response)
            raise GatewayError(
                INFO.name, endpoint.name, ErrorKind.UNKNOWN, problem, code=code, status=response.status
            )
    if success is True:
        return data
    if not says_no(success):
        raise unclear(endpoint, response, data, "the answer has no success flag")
    if also_good is not None and read_code(data, response) == also_good and response.status != 429:
        return data
    raise _refused(endpoint, response, data, numbers)


def _doubtful(data: Mapping[str, Any], response: ApiResponse) -> str | None:
    """Say why an answer to a send proves nothing: it says two things, or names what was accepted without a yes."""
    success = data.get("success")
    if success is True and response.status != 429:
        return None
    if _names_a_send(data):
        if success is True or says_no(success):
            return "the answer contradicts itself: it names a message that was accepted, and a failure too"
        return "the answer has no success flag, and names a message that was accepted"
    if says_no(success) and is_good_code(read_code(data, response)) and response.status != 429:
        return "the answer contradicts itself: its flag says no, and its code is that of a success"
    return None


def names_a_send(response: ApiResponse) -> bool:
    """
    Say whether the answer to a send names a message, or a number of a bulk send that was accepted, whatever its status.

    Such an answer is never a plain refusal, not even at HTTP 429. Of the answers to other calls it says nothing.
    """
    if names_id(response, _ID_KEYS, read_id):
        return True
    try:
        data = loads(response.body)
    except ValueError:
        return False
    return isinstance(data, dict) and _names_a_send(data)


def _names_a_send(data: Mapping[str, Any]) -> bool:
    """Say whether an answer holds an id, or a number of a bulk send that was accepted."""
    if read_id(pick(data, *_ID_KEYS)) is not None:
        return True
    return any(as_verdict(entry.get("success")) is True for entry in bulk_entries(data) or [])


def unclear(
    endpoint: Endpoint,
    response: ApiResponse,
    data: Mapping[str, Any],
    problem: str,
) -> GatewayError:
    """
    Build the error for an answer that is neither yes nor no, or a yes without what it should come with.

    A read may be tried again. Anything else stays in doubt, unless there is no yes and the HTTP status is a refusal.

    :param problem: what is missing in the answer.
    """
    code = read_code(data, response)
    kind = transport_kind(response.status, safe_to_repeat=endpoint.safe_to_repeat)
    if response.status == 429:
        pass
    elif endpoint.safe_to_repeat:
        kind = endpoint.codes.kind(code, kind)
    elif data.get("success") is True:
        kind = ErrorKind.UNKNOWN
    elif kind is not ErrorKind.UNKNOWN:
        kind = endpoint.codes.kind(code, kind)
    said = presentable_words(as_text(data.get("message")), response)
    meaning = endpoint.codes.meaning(code)
    parts = [problem, *([meaning] if meaning else []), *([f"the gateway said {said!r}"] if said else [])]
    return GatewayError(INFO.name, endpoint.name, kind, "; ".join(parts), code=code, status=response.status)


def recipient_problem(
    entry: Mapping[str, Any], response: ApiResponse, codes: Codes, fallback: str | None
) -> RecipientProblem:
    """
    Read what an answer says about one number.

    :param fallback: the number that an entry without one is about, if that is known.
    """
    code = read_code(entry, response)
    reasons = [codes.meaning(code), presentable_words(as_text(entry.get("message")), response)]
    reason = ": ".join(part for part in reasons if part) or "refused without a reason"
    return RecipientProblem(number_of(entry, fallback), code, reason)


def number_of(entry: Mapping[str, Any], fallback: str | None) -> str | None:
    """Return the number that an entry is about."""
    number = as_text(pick(entry, *_NUMBER_KEYS))
    return read_wire_number(number) if number else fallback


def listed_problems(
    data: Mapping[str, Any], response: ApiResponse, codes: Codes, numbers: Sequence[str]
) -> tuple[RecipientProblem, ...]:
    """
    Read the numbers that an answer refuses one by one.

    :param numbers: the recipients, in order; the only one of a send is meant where an entry names none.
    """
    only = numbers[0] if len(numbers) == 1 else None
    return tuple(
        recipient_problem(entry, response, codes, only)
        for entry in listed_errors(data)
        if "elementId" not in entry
        and entry.get("success") is not True
        and pick(entry, "code", *_NUMBER_KEYS) is not None
    )


def everybody_refused(
    response: ApiResponse, codes: Codes, numbers: Sequence[str]
) -> tuple[RecipientProblem, ...]:
    """
    Read a refusal of a send that names each of its recipients, with a reason that lies in the number.

    Nobody is left to send to then, and nothing is wrong with the message, the account or the request.

    :param numbers: the recipients.
    :returns: one for each recipient, in the order of the answer; none where the refusal is about anything else too.
    """
    try:
        data = decode(INFO.name, "send", response, safe_to_repeat=False)
    except GatewayError:
        return ()
    code = read_code(data, response)
    entries = listed_errors(data)
    if not says_no(data.get("success")) or names_a_send(response):
        return ()
    if code not in _VAGUE and code not in ABOUT_A_NUMBER:
        return ()
    if not entries and len(numbers) == 1 and code in ABOUT_THE_ONLY_NUMBER:
        return (recipient_problem(data, response, codes, numbers[0]),)
    listed = bulk_entries(data) or []
    problems = listed_problems(data, response, codes, numbers)
    if len(problems) != len(entries) or not all(says_no(entry.get("success")) for entry in listed):
        return ()
    if any(as_verdict(entry.get("success")) is True for entry in entries):
        return ()
    if not all(
        _lies_in_the_number(entry, problem.code) for entry, problem in zip(entries, problems, strict=True)
    ):
        return ()
    named = {problem.phone_number: problem for problem in problems if problem.phone_number in set(numbers)}
    return tuple(named.values()) if len(named) == len(numbers) else ()


def _lies_in_the_number(entry: Mapping[str, Any], code: str | None) -> bool:
    """Say whether an entry speaks of its number alone: a constraint that failed does only where it names one."""
    is_named = pick(entry, *_NUMBER_KEYS) is not None
    return code in (ABOUT_A_NUMBER if is_named else ABOUT_THE_ONLY_NUMBER)


def _refused(
    endpoint: Endpoint,
    response: ApiResponse,
    data: Mapping[str, Any],
    numbers: Sequence[str],
) -> GatewayError:
    codes = endpoint.codes
    recipients = listed_problems(data, response, codes, numbers)
    code = read_code(data, response)
    default = _default_kind(code, response.status, safe_to_repeat=endpoint.safe_to_repeat)
    each = [problem.code for problem in recipients if problem.code is not None]
    if code in _VAGUE and each:
        # "No number is left": the numbers' own codes say why.
        code = Counter(each).most_common(1)[0][0]
        default = _shared_kind(each, codes)
        codes = Codes({**codes.kinds, code: default}, codes.meanings)
    return refusal(
        INFO.name,
        endpoint.name,
        response,
        codes,
        code=code,
        message=explanation(data),
        default=default,
        recipients=recipients,
    )


def _default_kind(code: str | None, status: int, *, safe_to_repeat: bool) -> ErrorKind:
    """Judge a clear no whose code is missing or not documented: a refusal, unless a server's failure speaks."""
    if code is None:
        return transport_kind(status, safe_to_repeat=safe_to_repeat) if status >= 400 else ErrorKind.REJECTED
    if SERVER_CODE.fullmatch(code):
        # As the documented 500: a failure on the way, which may have come after the message was queued.
        return transport_kind(500, safe_to_repeat=safe_to_repeat)
    return ErrorKind.REJECTED


def _shared_kind(each: Sequence[str], codes: Codes) -> ErrorKind:
    kinds = {codes.kind(code, ErrorKind.REJECTED) for code in each}
    if ErrorKind.UNKNOWN in kinds:
        return ErrorKind.UNKNOWN
    return kinds.pop() if len(kinds) == 1 else ErrorKind.REJECTED


@dataclass(frozen=True, slots=True)
class Tally:
    """
    What became of a batch's recipients; the three counts add up to its size.

    :param accepted: recipients that were accepted, as far as the answer proves.
    :param refused: certainly not accepted, one by one; without a number where the answer names none.
    :param in_doubt: neither.
    """

    accepted: int
    refused: tuple[RecipientProblem, ...]
    in_doubt: int


def read_sms_count(data: Mapping[str, Any]) -> int | None:
    """Read how many SMS an answer counts; below zero, or anything else, is not reported."""
    return as_count(pick(data, "nb_sms", "nbSMS", "nbSms"))


def tally_send(
    data: Mapping[str, Any], response: ApiResponse, codes: Codes, numbers: Sequence[str], *, segments: int = 1
) -> Tally:
    """
    Count for an answer that lists only those whom it refuses; the others were accepted.

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
    recipients = max(left - len(unclear - refused.keys()) - strangers, 0)
    accepted = _most_recipients(read_sms_count(data), recipients, segments)
    return Tally(accepted, dropped, left - accepted)


def _most_recipients(sms: int | None, recipients: int, segments: int) -> int:
    """
    Return how many recipients may have got one text, by the count of SMS.

    A multiple of the recipients fits whatever our own counting says: the gateway's may differ from it.
    """
    if sms is None or (sms > 0 and recipients > 0 and sms % recipients == 0):
        return recipients
    return min(recipients, sms // segments)


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
    accepted_numbers: list[str | None] = []
    refused: list[RecipientProblem] = []
    unclear: set[str | None] = set()
    if _are_as_documented(entries, numbers):
        accepted_numbers, entries = list(numbers), []
    for position, entry in enumerate(entries):
        fallback = numbers[position] if in_order else None
        if _is_accepted(entry, read_code(entry, response)):
            # No words are read: to scrub those of one entry takes as long as a batch has texts.
            accepted_numbers.append(number_of(entry, fallback))
            continue
        problem = recipient_problem(entry, response, codes, fallback)
        if says_no(entry.get("success")) and is_proven(problem.code, codes):
            refused.append(problem)
        else:
            unclear.add(problem.phone_number)
    refused += listed_problems({**data, "SMSResponse_List": None}, response, codes, numbers)
    # A number of which two things are said is in doubt, like one of which nothing is.
    unclear |= set(accepted_numbers) & {problem.phone_number for problem in refused}
    yes = (wanted & set(accepted_numbers)) - unclear
    no = {
        problem.phone_number: problem
        for problem in refused
        if problem.phone_number in wanted - unclear and is_proven(problem.code, codes)
    }
    nameless = [problem for problem in refused if problem.phone_number is None]
    dropped = (*no.values(), *nameless[: len(numbers) - len(yes) - len(no)])
    left = max(len(numbers) - len(dropped) - len(unclear & wanted), 0)
    accepted = min(len(yes) + accepted_numbers.count(None), left)
    sms = read_sms_count(data)
    accepted = accepted if sms is None else min(accepted, sms)
    return Tally(accepted, dropped, len(numbers) - len(dropped) - accepted)


def _are_as_documented(entries: Sequence[Mapping[str, Any]], numbers: Sequence[str]) -> bool:
    """Say whether all are a yes as the vendor documents it, in order: then nothing in them can be read in two ways."""
    try:
        listed, success, codes, sms = zip(*map(_DOCUMENTED, entries), strict=True)
    except (KeyError, ValueError):  # an entry without one of them, or none at all
        return False
    return (
        listed == tuple(numbers)
        and set(map(type, success)) == {bool}
        and all(success)
        and set(map(type, codes)) == set(map(type, sms)) == {int}
        and set(codes) == {200}
        and min(sms) > 0
    )


def _is_accepted(entry: Mapping[str, Any], code: str | None) -> bool:
    """Say whether an entry says yes, and nothing against it: another code than a success, or no SMS at all."""
    sms = as_int(pick(entry, "nbSms", "nbSMS", "nb_sms"))
    return entry.get("success") is True and (code is None or is_good_code(code)) and (sms is None or sms > 0)


def refused_recipients(problems: Sequence[RecipientProblem]) -> tuple[RefusedRecipient, ...]:
    """Return problems of recipients as a receipt lists them."""
    return tuple(
        RefusedRecipient(
            phone_number=problem.phone_number or "",
            code=problem.code,
            reason=problem.reason,
            opted_out=problem.code == ON_STOP_LIST,
        )
        for problem in problems
    )


def refuse_queued(endpoint: Endpoint, response: ApiResponse, data: Mapping[str, Any]) -> None:
    """Refuse the answer that the gateway was seen to give to every call, done or not."""
    if " ".join((as_text(data.get("message")) or "").split()).casefold() == _QUEUED:
        problem = "the answer says no more than that the request is queued, which proves nothing"
        raise unclear(endpoint, response, data, problem)
