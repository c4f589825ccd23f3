"""
Telling Voice Partner's yes from its no.

The vendor documents no error body. A failure is an HTTP status other than 2xx, or a ``success`` that is not true. The
code is looked for in ``code``, ``error``, ``errors`` and ``message``, in lists and objects too; so are the words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from airflow_provider_voicepartner.constants import DEEPEST_REASON, MOST_REASONS
from airflow_provider_voicepartner.gateways.errors import Codes, ErrorKind, GatewayError, RecipientProblem
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.parsing import (
    as_objects,
    as_text,
    as_verdict,
    decode,
    is_presentable_code,
    names_id,
    pick,
    read_opaque_id,
    refusal,
    transport_kind,
)
from airflow_provider_voicepartner.gateways.voicepartner import INFO
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_LIKE_A_STATUS = re.compile(r"[1-5][0-9]{2}")
_SUCCESS_CODES = (None, "0", "200")
_SUCCESS_CODE = re.compile(r"2[0-9]{2}")

_LIKE_A_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,39}")
_REASON_KEYS = ("code", "error", "errors", "message")

CAMPAIGN_KEYS = ("campaignId", "campaign_id")
_NO_CODES = Codes.of({})


def names_a_send(response: ApiResponse) -> bool:
    """Say whether the answer to a send names a campaign, whatever its status and whatever else it says."""
    return names_id(response, CAMPAIGN_KEYS)


def accepted_answer(
    endpoint: str,
    response: ApiResponse,
    codes: Codes,
    *,
    safe_to_repeat: bool,
    sends: bool = False,
    flag_promised: bool = True,
    recipients: Sequence[Recipient] = (),
) -> dict[str, Any]:
    """
    Decode an answer that says yes: HTTP 2xx with ``success`` true.

    :param codes: what this endpoint's codes mean.
    :param safe_to_repeat: as the request said; decides whether anything can be in doubt.
    :param sends: True where an answer that names a campaign in spite of a failure means that calls may be made.
    :param flag_promised: False for the one answer that has no success flag.
    :param recipients: of a send; one that stands alone is named in the error.
    :raises GatewayError: for everything else.
    """
    data = decode(INFO.name, endpoint, response, safe_to_repeat=safe_to_repeat)
    success = as_verdict(data.get("success"))
    code, words = _find_reason(data, codes, response)
    well = 200 <= response.status < 300
    if well and (success or (success is None and not flag_promised and code in _SUCCESS_CODES)):
        return data
    if sends and (success or campaign_id(data) is not None):
        raise _contradiction(endpoint, response, success, code)
    if sends and success is False and _SUCCESS_CODE.fullmatch(code or "") and response.status != 429:
        problem = "the answer contradicts itself: its flag says no, and its code is that of a success"
        raise GatewayError(INFO.name, endpoint, ErrorKind.UNKNOWN, problem, code=code, status=response.status)
    default = transport_kind(response.status, safe_to_repeat=safe_to_repeat)
    if success is None and words is None and code in _SUCCESS_CODES:
        problem = "the success flag that is promised is missing"
        raise GatewayError(INFO.name, endpoint, default, problem, status=response.status)
    if well and success is False:
        default = ErrorKind.REJECTED
    in_doubt = response.status >= 500 or (well and success is None)
    if in_doubt and code is not None and _LIKE_A_STATUS.fullmatch(code):
        # A number that merely looks like an HTTP status proves nothing against the status of the answer itself.
        codes = _NO_CODES
    raise refusal(
        INFO.name,
        endpoint,
        response,
        codes,
        code=code,
        message=words,
        default=default,
        recipients=_refused_recipient(code, codes, recipients),
    )


def campaign_id(data: Mapping[str, Any]) -> str | None:
    """Read a campaign's id: opaque text, of which the vendor's examples show three lengths; zero is none."""
    return read_opaque_id(pick(data, *CAMPAIGN_KEYS))


def _contradiction(
    endpoint: str, response: ApiResponse, success: bool | None, code: str | None
) -> GatewayError:
    problem = "the answer contradicts itself: it names a campaign or a success, and a failure too"
    if success is None:
        problem = "the answer names a campaign, but the success flag that is promised is missing"
    return GatewayError(INFO.name, endpoint, ErrorKind.UNKNOWN, problem, code=code, status=response.status)


def _refused_recipient(
    code: str | None, codes: Codes, recipients: Sequence[Recipient]
) -> tuple[RecipientProblem, ...]:
    """Name the number that is not allowed, where only one was asked for: the answer itself names none."""
    if code != "DESTINATION_INVALID" or len(recipients) != 1:
        return ()
    return (RecipientProblem(recipients[0].phone_number, code, codes.meaning(code) or ""),)


def _find_reason(
    data: Mapping[str, Any], codes: Codes, response: ApiResponse
) -> tuple[str | None, str | None]:
    """Return the code and the words of an answer, from wherever in it they stand; the code is fit to be shown."""
    error = data.get("error")
    nested = next(iter([*as_objects([error]), *as_objects(error), *as_objects(data.get("errors"))]), {})
    said = [text for name in _REASON_KEYS if _is_nested(data.get(name)) for text in _texts(data[name])]
    message = as_text(data.get("message")) or as_text(nested.get("message"))
    names = [text for text in said if _LIKE_A_NAME.fullmatch(text)]
    candidates = [as_text(data.get("code")), as_text(error), as_text(nested.get("code")), *names]
    usable = [
        code for code in candidates if code and (code in codes.kinds or is_presentable_code(code, response))
    ]
    # A named code says more than a number beside it that repeats the HTTP status.
    named = [code for code in (*usable, message) if code in codes.kinds and not str(code).isdigit()]
    listed = "; ".join(
        dict.fromkeys(text for text in said if text not in ("code", as_text(nested.get("code"))))
    )
    return next(iter(named or usable), None), message or as_text(error) or listed or None


def _is_nested(value: object) -> bool:
    return isinstance(value, (dict, list))


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts in lists and objects, a key before what it holds, since some write the code there."""
    if depth > DEEPEST_REASON:
        return
    if isinstance(value, dict):
        for key, inner in islice(value.items(), MOST_REASONS):
            if inner is not None and inner is not False:
                yield from (key.strip(),) if key.strip() else ()
                yield from _texts(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value[:MOST_REASONS]:
            yield from _texts(inner, depth + 1)
    elif (text := as_text(value)) is not None:
        yield text
