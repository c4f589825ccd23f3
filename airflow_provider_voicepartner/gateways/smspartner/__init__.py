"""
SMS Partner: SMS in two ranges, one text to many or to each number its own, cancel, polled status, STOP list, credit.

The package is a :class:`~airflow_provider_voicepartner.gateways.gateway.Gateway`; beyond that it offers a ``build_*``
and a ``parse_*`` function for each endpoint.
"""

from __future__ import annotations

from airflow_provider_voicepartner.gateways.smspartner.answers import (
    Account,
    StopAddition,
    StopEntry,
    StopList,
    StopRemoval,
    parse_bulk_send,
    parse_me,
    parse_message_cancel,
    parse_send,
    parse_stop_add,
    parse_stop_delete,
    parse_stop_list,
    parse_vn_send,
)
from airflow_provider_voicepartner.gateways.smspartner.batch import (
    batch_tag,
    build_balance,
    build_batch,
    build_cancel,
    check_message,
    check_recipient,
    compile_message,
    parse_balance,
    parse_batch,
    parse_cancel,
    segments_of,
)
from airflow_provider_voicepartner.gateways.smspartner.callbacks import parse_callback
from airflow_provider_voicepartner.gateways.smspartner.codes import STATUS_WORDS
from airflow_provider_voicepartner.gateways.smspartner.identity import BASE_URL, KINDS, LABEL, NAME
from airflow_provider_voicepartner.gateways.smspartner.length import (
    replaced_text,
    segments,
    text_length,
    wire_text,
)
from airflow_provider_voicepartner.gateways.smspartner.options import Gamme, SmsOptions
from airflow_provider_voicepartner.gateways.smspartner.refusals import names_a_send
from airflow_provider_voicepartner.gateways.smspartner.requests import (
    SendSettings,
    authenticate,
    build_bulk_send,
    build_bulk_status,
    build_bulk_status_by_tag,
    build_me,
    build_message_cancel,
    build_message_status,
    build_multi_status,
    build_send,
    build_stop_add,
    build_stop_delete,
    build_stop_list,
    build_vn_send,
)
from airflow_provider_voicepartner.gateways.smspartner.statuses import (
    NOT_FOUND,
    StatusPage,
    parse_bulk_status,
    parse_bulk_status_by_tag,
    parse_message_status,
    parse_multi_status,
    parse_tag_look_up,
    shows_taken,
)
from airflow_provider_voicepartner.gateways.smspartner.tags import reference_of

knows_status = STATUS_WORDS.knows

__all__ = [
    "BASE_URL",
    "KINDS",
    "LABEL",
    "NAME",
    "NOT_FOUND",
    "Account",
    "Gamme",
    "SendSettings",
    "SmsOptions",
    "StatusPage",
    "StopAddition",
    "StopEntry",
    "StopList",
    "StopRemoval",
    "authenticate",
    "batch_tag",
    "build_balance",
    "build_batch",
    "build_bulk_send",
    "build_bulk_status",
    "build_bulk_status_by_tag",
    "build_cancel",
    "build_me",
    "build_message_cancel",
    "build_message_status",
    "build_multi_status",
    "build_send",
    "build_stop_add",
    "build_stop_delete",
    "build_stop_list",
    "build_vn_send",
    "check_message",
    "check_recipient",
    "compile_message",
    "knows_status",
    "names_a_send",
    "parse_balance",
    "parse_batch",
    "parse_bulk_send",
    "parse_bulk_status",
    "parse_bulk_status_by_tag",
    "parse_callback",
    "parse_cancel",
    "parse_me",
    "parse_message_cancel",
    "parse_message_status",
    "parse_multi_status",
    "parse_send",
    "parse_stop_add",
    "parse_stop_delete",
    "parse_stop_list",
    "parse_tag_look_up",
    "parse_vn_send",
    "reference_of",
    "replaced_text",
    "segments",
    "segments_of",
    "shows_taken",
    "text_length",
    "wire_text",
]
