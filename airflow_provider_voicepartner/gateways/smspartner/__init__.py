"""
SMS Partner: SMS in two ranges, one text to many or to each number its own, cancel, polled status, STOP list, credit.

The package is a :class:`~airflow_provider_voicepartner.gateways.gateway.Gateway`; beyond that it offers a ``build_*``
and a ``parse_*`` function for each endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.gateways.info import SENDER_FIELD, FormField, GatewayInfo, attribute

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.smspartner.codes import knows_status
    from airflow_provider_voicepartner.gateways.smspartner.messages import (
        check_message,
        check_recipient,
        compile_message,
        replaced_text,
        segments,
        segments_of,
        text_length,
        wire_text,
    )
    from airflow_provider_voicepartner.gateways.smspartner.options import (
        Gamme,
        SendSettings,
        SmsOptions,
        reference_of,
    )
    from airflow_provider_voicepartner.gateways.smspartner.refusals import names_a_send
    from airflow_provider_voicepartner.gateways.smspartner.requests import (
        authenticate,
        batch_tag,
        build_balance,
        build_batch,
        build_bulk_send,
        build_bulk_status,
        build_bulk_status_by_tag,
        build_cancel,
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
    from airflow_provider_voicepartner.gateways.smspartner.responses import (
        Account,
        StopAddition,
        StopEntry,
        StopList,
        StopRemoval,
        parse_balance,
        parse_batch,
        parse_bulk_send,
        parse_bulk_status,
        parse_bulk_status_by_tag,
        parse_cancel,
        parse_me,
        parse_message_cancel,
        parse_message_status,
        parse_multi_status,
        parse_send,
        parse_stop_add,
        parse_stop_delete,
        parse_stop_list,
        parse_tag_look_up,
        parse_vn_send,
    )
    from airflow_provider_voicepartner.gateways.smspartner.webhooks import (
        StatusPage,
        parse_callback,
        shows_accepted,
    )
    from airflow_provider_voicepartner.gateways.status import NOT_FOUND

LISTED_WITHIN: Final = 900.0
LONGEST_LISTED_WITHIN: Final = 86_400
"""
Seconds in which a send comes to be listed under its tag, unless a connection says otherwise, and the most it may say.

The vendor does not document it.
"""

INFO: Final = GatewayInfo(
    name="smspartner",
    label="SMS Partner",
    base_url="https://api.smspartner.fr/v1",
    hook="airflow_provider_voicepartner.hooks.smspartner.SmsPartnerHook",
    sends={"sms": "send"},
    # No limit of sends, statuses and the balance is published.
    endpoints={
        "send": "none",
        "bulk-send": "none",
        "vn/send": "none",
        "me": "none",
        "message-cancel": "none",
        "message-status": "none",
        "multi-status": "none",
        "bulk-status": "none",
        "bulk-status-by-tag": "none",
        "stop-sms/list": "none",
        "stop-sms/add": "none",
        "stop-sms/delete": "none",
        "hlr/notify": "360/60",
        "lookup": "360/60",
        "statistics/cost-resume": "5/60",
    },
    limits_example='{"send": "5/1, 300/60", "bulk-status": "60/60"}',
    fields={
        "sender": SENDER_FIELD,
        "listed_within": FormField(
            label="Listed within (s)",
            description="Seconds in which a send comes to be listed under its tag: how long a batch in doubt is "
            f"looked up again; {LISTED_WITHIN:.0f} when empty.",
            type="number",
            rules={"exclusiveMinimum": 0, "maximum": LONGEST_LISTED_WITHIN},
        ),
    },
    credentials=("body", "query"),
    options={"sms": "airflow_provider_voicepartner.gateways.smspartner.options.SmsOptions"},
    polls=True,
    most_polled=500,
    reports="batch",
    reports_replies=True,
    answer_options={"sms": {}},
    listed_by_tag=True,
    simulates=True,
    simulation_tells_price=True,
    currency="EUR",
)
"""All that is known of the vendor."""

_MODULES: Final = ("requests", "messages", "responses", "webhooks", "codes", "options", "refusals")

__all__ = [
    "INFO",
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
    "shows_accepted",
    "text_length",
    "wire_text",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return attribute(__name__, _MODULES, __all__, name)
