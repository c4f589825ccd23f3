"""
Telling a yes from a no, in every shape the gateway writes one.

Its docs and its users show these shapes of an error: a code with a message; a code with a list ``errors`` (or
``error``) of form fields; a code with a list of numbers, each with a code of its own, as text; an object ``error`` with
a word such as ``NOCREDITS``. The HTTP status says little (errors come with 200 as well as with 400), so it is used only
where the body leaves the question open; 429 means "not taken" unless the answer names a message that was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from airflow_provider_voicepartner.gateways.bodies import loads
from airflow_provider_voicepartner.gateways.contradictions import names_id
from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind, GatewayError, RecipientProblem
from airflow_provider_voicepartner.gateways.numbers import read_wire_number
from airflow_provider_voicepartner.gateways.reading import (
    as_int,
    as_object,
    as_objects,
    as_text,
    as_verdict,
    decode,
    is_presentable_code,
    pick,
    presentable_words,
    refusal,
    transport_kind,
)
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner.checks import is_id
from airflow_provider_voicepartner.gateways.smspartner.codes import ABOUT_A_NUMBER, ABOUT_THE_ONLY_NUMBER
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_SHORT_CODE = re.compile(r"[0-9]{1,4}")
_SERVER_CODE = re.compile(r"5[0-9]{2}")
_SUCCESS_CODE = re.compile(r"2[0-9]{2}")
_NUMBER_KEYS = ("phoneNumber", "phone_number", "phone", "number")
_ID_KEYS = ("message_id", "messageId", "msgId")
_FIELD = re.compile(r"children\[([A-Za-z_]{1,40})\]")
_ARGUMENTS = {
    "phoneNumbers": "to",
    "phoneNumber": "to",
    "SMSList": "to",
    "scheduledDeliveryDate": "send_at",
    "time": "send_at",
    "minute": "send_at",
    "isStopSms": "is_stop_sms",
    "isUnicode": "is_unicode",
    "urlDlr": "url_dlr",
    "urlResponse": "url_response",
    "from": "virtual_number",
}
_VAGUE = ("55", None)
_NO_CREDIT = "11"


def accepted_answer(
    endpoint: str,
    response: ApiResponse,
    codes: Codes,
    *,
    safe_to_repeat: bool,
    numbers: Sequence[str] = (),
    also_good: str | None = None,
) -> dict[str, Any]:
    """
    Decode an answer that says yes: ``success`` is literally true.

    :param endpoint: for the error.
    :param codes: what this endpoint's codes mean.
    :param safe_to_repeat: as the request said; decides whether anything can be in doubt.
    :param numbers: the recipients of a send, to name one that the answer does not name.
    :param also_good: a code whose "no" means that the wanted state was there before.
    :raises GatewayError: for everything else; in doubt where a send is refused and named as taken at once.
    """
    data = decode(INFO.name, endpoint, response, safe_to_repeat=safe_to_repeat)
    success = data.get("success")
    if not safe_to_repeat:
        problem = _doubtful(data, response)
        if problem is not None:
            code = read_code(data, response)
            raise GatewayError(
                INFO.name, endpoint, ErrorKind.UNKNOWN, problem, code=code, status=response.status
            )
    if success is True:
        return data
    if not says_no(success):
        raise unclear(
            endpoint, response, codes, data, "the answer has no success flag", safe_to_repeat=safe_to_repeat
        )
    if also_good is not None and read_code(data, response) == also_good and response.status != 429:
        return data
    raise _refused(endpoint, response, codes, data, safe_to_repeat=safe_to_repeat, numbers=numbers)


def _doubtful(data: Mapping[str, Any], response: ApiResponse) -> str | None:
    """Say why an answer to a send proves nothing: it says two things, or names what was taken without a yes."""
    success = data.get("success")
    if success is True and response.status != 429:
        return None
    if _names_a_send(data):
        if success is True or says_no(success):
            return "the answer contradicts itself: it names a message that was taken, and a failure too"
        return "the answer has no success flag, and names a message that was taken"
    if says_no(success) and is_good_code(read_code(data, response)) and response.status != 429:
        return "the answer contradicts itself: its flag says no, and its code is that of a success"
    return None


def names_a_send(response: ApiResponse) -> bool:
    """
    Say whether the answer to a send names a message, or a number of a bulk send that was taken, whatever its status.

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
    """Say whether an answer holds an id, or a number of a bulk send that was taken."""
    if read_id(pick(data, *_ID_KEYS)) is not None:
        return True
    return any(as_verdict(entry.get("success")) is True for entry in bulk_entries(data) or [])


def read_id(value: Any) -> str | None:
    """Read an id, a number or a text depending on the endpoint; blank, zero and what is no id give None."""
    text = as_text(value)
    if isinstance(value, Decimal):
        text = as_text(as_int(value))
    return text if text and is_id(text) else None


def says_no(flag: Any) -> bool:
    """Say whether a success flag is a clear no: false, 0 or their texts. A missing or blank one is not clear."""
    return as_verdict(flag) is False


def unclear(
    endpoint: str,
    response: ApiResponse,
    codes: Codes,
    data: Mapping[str, Any],
    problem: str,
    *,
    safe_to_repeat: bool,
) -> GatewayError:
    """
    Build the error for an answer that is neither yes nor no, or a yes without what it should come with.

    A read may be tried again. Anything else stays in doubt, unless there is no yes and the HTTP status is a refusal.

    :param problem: what is missing in the answer.
    """
    code = read_code(data, response)
    kind = transport_kind(response.status, safe_to_repeat=safe_to_repeat)
    if response.status == 429:
        pass
    elif safe_to_repeat:
        kind = codes.kind(code, kind)
    elif data.get("success") is True:
        kind = ErrorKind.UNKNOWN
    elif kind is not ErrorKind.UNKNOWN:
        kind = codes.kind(code, kind)
    said = presentable_words(as_text(data.get("message")), response)
    meaning = codes.meaning(code)
    parts = [problem, *([meaning] if meaning else []), *([f"the gateway said {said!r}"] if said else [])]
    return GatewayError(INFO.name, endpoint, kind, "; ".join(parts), code=code, status=response.status)


def read_code(data: Mapping[str, Any], response: ApiResponse) -> str | None:
    """Read a code, an int or its text. What looks like neither a number nor a word is no code and is not shown."""
    code = as_text(data.get("code"))
    if code is None:
        word = as_text(as_object(data.get("error")).get("message")) or as_text(data.get("message")) or ""
        return _NO_CREDIT if word.upper() == "NOCREDITS" else None
    if _SHORT_CODE.fullmatch(code):
        return code  # Before any scrubbing: a text such as "1" must not hide a code 11.
    return code if is_presentable_code(code, response) else None


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
        for entry in _errors(data)
        if "elementId" not in entry
        and entry.get("success") is not True
        and pick(entry, "code", *_NUMBER_KEYS) is not None
    )


def bulk_entries(data: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Return what a bulk send says about each number, or None when it does not speak of numbers at all."""
    entries = data.get("SMSResponse_List")
    if isinstance(entries, dict):  # how PHP, which the vendor uses, writes a list with a gap
        entries = list(entries.values())
    return None if entries is None else as_objects(entries)


def is_good_code(code: str | None) -> bool:
    """Say whether a code is that of a success: 200 and its like."""
    return _SUCCESS_CODE.fullmatch(code or "") is not None


def is_proven(code: str | None, codes: Codes) -> bool:
    """Say whether a number that an answer refuses was certainly not taken: its code is no success and no mishap."""
    if is_good_code(code) or _SERVER_CODE.fullmatch(code or ""):
        return False
    return codes.kind(code, ErrorKind.REJECTED) is not ErrorKind.UNKNOWN


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
    entries = _errors(data)
    if not says_no(data.get("success")) or names_a_send(response):
        return ()
    if code not in _VAGUE and code not in ABOUT_A_NUMBER:
        return ()
    if not entries and len(numbers) == 1 and code in ABOUT_THE_ONLY_NUMBER:
        return (recipient_problem(data, response, codes, numbers[0]),)
    told_of = bulk_entries(data) or []
    problems = listed_problems(data, response, codes, numbers)
    if len(problems) != len(entries) or not all(says_no(entry.get("success")) for entry in told_of):
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


def _errors(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for key in ("errors", "error"):
        value = data.get(key)
        found += as_objects([value] if isinstance(value, dict) else value)
    return found + [entry for entry in bulk_entries(data) or [] if says_no(entry.get("success"))]


def _refused(
    endpoint: str,
    response: ApiResponse,
    codes: Codes,
    data: Mapping[str, Any],
    *,
    safe_to_repeat: bool,
    numbers: Sequence[str],
) -> GatewayError:
    recipients = listed_problems(data, response, codes, numbers)
    code = read_code(data, response)
    default = _default_kind(code, response.status, safe_to_repeat=safe_to_repeat)
    each = [problem.code for problem in recipients if problem.code is not None]
    if code in _VAGUE and each:
        # "No number is left": the numbers' own codes say why.
        code = Counter(each).most_common(1)[0][0]
        default = _shared_kind(each, codes)
        codes = Codes({**codes.kinds, code: default}, codes.meanings)
    return refusal(
        INFO.name,
        endpoint,
        response,
        codes,
        code=code,
        message=_explanation(data),
        default=default,
        recipients=recipients,
    )


def _default_kind(code: str | None, status: int, *, safe_to_repeat: bool) -> ErrorKind:
    """Judge a clear no whose code is missing or not documented: a refusal, unless a server's failure speaks."""
    if code is None:
        return transport_kind(status, safe_to_repeat=safe_to_repeat) if status >= 400 else ErrorKind.REJECTED
    if _SERVER_CODE.fullmatch(code):
        # As the documented 500: a failure on the way, which may have come after the message was queued.
        return transport_kind(500, safe_to_repeat=safe_to_repeat)
    return ErrorKind.REJECTED


def _shared_kind(each: Sequence[str], codes: Codes) -> ErrorKind:
    kinds = {codes.kind(code, ErrorKind.REJECTED) for code in each}
    if ErrorKind.UNKNOWN in kinds:
        return ErrorKind.UNKNOWN
    return kinds.pop() if len(kinds) == 1 else ErrorKind.REJECTED


def _explanation(data: Mapping[str, Any]) -> str | None:
    """Put the gateway's words together: what it says in general, then about each field, by the argument's name."""
    said = [as_text(data.get("message")), as_text(data.get("error")), as_text(data.get("errors"))]
    fields: list[str | None] = []
    for entry in _errors(data):
        message = as_text(entry.get("message"))
        names: list[str] = _FIELD.findall(str(as_text(entry.get("elementId"))))
        if names:
            name = names[-1]
            argument = _ARGUMENTS.get(name, name)
            shown = name if argument == name else f"{argument} ({name})"
            fields.append(f"{shown}: {message}" if message else shown)
        else:
            said.append(message)
    # Fields first: they are the fix, and a long text is cut.
    return "; ".join(dict.fromkeys(part.rstrip(". ") for part in fields + said if part)) or None
