"""One parser per endpoint that tells what became of messages; each spells the same facts differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.gateways.dates import read_date
from airflow_provider_voicepartner.gateways.errors import Codes, GatewayError
from airflow_provider_voicepartner.gateways.model import DeliveryReport
from airflow_provider_voicepartner.gateways.numbers import read_wire_number
from airflow_provider_voicepartner.gateways.reading import (
    as_bool,
    as_decimal,
    as_int,
    as_objects,
    as_text,
    as_verdict,
    decode,
    pick,
)
from airflow_provider_voicepartner.gateways.smspartner import INFO
from airflow_provider_voicepartner.gateways.smspartner import codes as tables
from airflow_provider_voicepartner.gateways.smspartner.refusals import (
    accepted_answer,
    is_good_code,
    read_code,
    read_id,
    says_no,
    unclear,
)
from airflow_provider_voicepartner.gateways.smspartner.tags import reference_of
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import ApiResponse

_LISTS = ("StatutResponse_List", "StatusResponse_List")

NOT_FOUND = "not_found"
"""The ``detail`` of a report about a number that the gateway does not know under this message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPage:
    """
    One page of the statuses of a tag.

    :param page: which one, from 1, where told.
    :param total: how many statuses all pages hold, where told. The size of a page is not documented: read on until as
        many were seen, or a page is empty.
    :param listed: how many entries the page has, those included that cannot be read.
    """

    reports: tuple[DeliveryReport, ...]
    page: int | None = None
    total: int | None = None
    listed: int = 0

    @property
    def is_blank(self) -> bool:
        """True when it lists nothing, and claims no more than that."""
        return not self.listed and not self.total


def parse_message_status(response: ApiResponse) -> tuple[DeliveryReport, ...]:
    """
    Read what became of one number of one send.

    :returns: one report.
    :raises GatewayError: ``NOT_FOUND`` for what is not known (yet); also for a success without a number or a status.
    """
    endpoint, codes = "message-status", tables.MESSAGE_STATUS
    data = accepted_answer(endpoint, response, codes, safe_to_repeat=True)
    report = _report(data, response)
    if report is None or not report.gateway_status:
        raise unclear(
            endpoint, response, codes, data, "the answer claims success without a status", safe_to_repeat=True
        )
    return (report,)


def parse_multi_status(response: ApiResponse) -> tuple[DeliveryReport, ...]:
    """
    Read what became of several numbers of different sends.

    An entry for a number that is not known under its message carries an error text where its status belongs. It becomes
    a report that is pending, with the detail ``not_found``: it is no news about the message.

    :raises GatewayError: also for a success without a list.
    """
    return _listed("multi-status", response, tables.MULTI_STATUS)[0]


def parse_bulk_status(response: ApiResponse) -> tuple[DeliveryReport, ...]:
    """
    Read what became of the numbers of one send. A number that was dropped at the send may never appear.

    :raises GatewayError: ``NOT_FOUND`` for a message that is not known (yet); also for a success without a list.
    """
    return _listed("bulk-status", response, tables.BULK_STATUS)[0]


def parse_bulk_status_by_tag(response: ApiResponse, *, tag: str | None = None) -> StatusPage:
    """
    Read one page of what became of the numbers of all sends with one tag.

    Entries name no message, so a number that was sent to twice with one tag cannot be told apart.

    :param tag: as it was asked; the reports' ``reference`` is taken from it.
    :raises GatewayError: ``NOT_FOUND`` for a tag that is not known (yet); also for a success without a list.
    """
    reports, data = _listed("bulk-status-by-tag", response, tables.BULK_STATUS_BY_TAG, tag=tag)
    return StatusPage(
        reports=reports,
        page=as_int(data.get("currentPage")),
        total=as_int(data.get("total")),
        listed=len(pick(data, *_LISTS)),
    )


def parse_tag_look_up(response: ApiResponse, *, tag: str) -> StatusPage:
    """
    Read one page for a look-up of a batch in doubt, where it may be believed that nothing is listed.

    So only two answers say that: the documented "not known", with its flag and its code, and an empty list at a status
    of success. An error page with status 404 says nothing about the tag.

    :param tag: as it was asked.
    :returns: a page that ``is_blank`` where nothing is listed.
    :raises GatewayError: for anything else that is no list.
    """
    try:
        page = parse_bulk_status_by_tag(response, tag=tag)
    except GatewayError:
        if not _says_not_known(response):
            raise
        return StatusPage(reports=())
    if page.is_blank and not 200 <= response.status < 300:
        raise unclear(
            "bulk-status-by-tag",
            response,
            tables.BULK_STATUS_BY_TAG,
            {},
            "the answer lists nothing, and its status is that of a failure",
            safe_to_repeat=True,
        )
    return page


def _says_not_known(response: ApiResponse) -> bool:
    data = decode(INFO.name, "bulk-status-by-tag", response, safe_to_repeat=True)
    return (
        says_no(data.get("success"))
        and read_code(data, response) == tables.NOT_FOUND_CODE
        and response.status != 429
        and response.status < 500
        and not pick(data, *_LISTS)
    )


def shows_taken(report: DeliveryReport) -> bool:
    """
    Say whether an entry of a status list shows that its number was taken, whatever became of the message.

    It must have a documented status, and nothing of an error: "Numéro introuvable", a code that is none of a success,
    a flag that is no yes.
    """
    entry = report.raw
    flag, code = entry.get("success"), as_text(entry.get("code"))
    return (
        report.detail is None
        and tables.STATUS_WORDS.knows(report.gateway_status)
        and (flag is None or as_verdict(flag) is True)
        and (entry.get("code") is None or is_good_code(code))
        and not entry.get("error")
        and not entry.get("errors")
    )


def _listed(
    endpoint: str, response: ApiResponse, codes: Codes, *, tag: str | None = None
) -> tuple[tuple[DeliveryReport, ...], Mapping[str, Any]]:
    data = accepted_answer(endpoint, response, codes, safe_to_repeat=True)
    entries = pick(data, *_LISTS)
    if not isinstance(entries, list):
        raise unclear(
            endpoint, response, codes, data, "the answer claims success without a list", safe_to_repeat=True
        )
    campaign_id = read_id(pick(data, "message_id", "messageId"))
    read = (_report(entry, response, campaign_id=campaign_id, tag=tag) for entry in as_objects(entries))
    return tuple(report for report in read if report is not None), data


def _report(
    entry: Mapping[str, Any], response: ApiResponse, *, campaign_id: str | None = None, tag: str | None = None
) -> DeliveryReport | None:
    """Read one entry; one without a number is about nobody and gives None."""
    number = as_text(pick(entry, "number", "phoneNumber", "phone"))
    if number is None:
        return None
    word = as_text(pick(entry, "statut", "status")) or ""
    detail = _no_status(entry, word, response)
    return DeliveryReport(
        gateway=INFO.name,
        campaign_id=read_id(pick(entry, "messageId", "message_id", "msgId")) or campaign_id,
        phone_number=read_wire_number(number),
        status=DeliveryStatus.PENDING if detail else tables.STATUS_WORDS.read(word),
        gateway_status=word,
        detail=detail,
        at=read_date(entry.get("date")),
        cost=as_decimal(entry.get("cost")),
        reference=reference_of(tag or as_text(entry.get("tag"))),
        opted_out=as_bool(pick(entry, "stopSms", "stopSMS")) is True,
        raw=entry,
    )


def _no_status(entry: Mapping[str, Any], word: str, response: ApiResponse) -> str | None:
    """Return the detail of an entry that is an error and no status."""
    if word.casefold() == tables.NOT_FOUND_WORDS:
        return NOT_FOUND
    if not says_no(entry.get("success")):
        return None
    code = read_code(entry, response)
    return NOT_FOUND if code == tables.NOT_FOUND_CODE else f"error_{code or 'unknown'}"
