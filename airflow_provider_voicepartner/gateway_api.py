"""
What a gateway in a distribution of its own may import: this module, and nothing else of this package.

``docs/gateway-api.md`` says what each name is for, and what may change between versions. A name is loaded when it is
first asked for, so that a provider's metadata can be made of :class:`GatewayInfo` without any library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.gateways.info import attribute as _attribute

if TYPE_CHECKING:
    from airflow_provider_voicepartner.exceptions import checked
    from airflow_provider_voicepartner.gateways.compiled_message import CompiledMessage
    from airflow_provider_voicepartner.gateways.dates import (
        read_date,
        require_future,
        require_future_second,
        require_future_slot,
        round_up_to_minutes,
    )
    from airflow_provider_voicepartner.gateways.errors import (
        Codes,
        ErrorKind,
        GatewayError,
        InvalidArgumentError,
        InvalidCallbackError,
        RecipientProblem,
    )
    from airflow_provider_voicepartner.gateways.gateway import Gateway
    from airflow_provider_voicepartner.gateways.info import (
        SENDER_FIELD,
        FormField,
        GatewayInfo,
        Kind,
        attribute,
    )
    from airflow_provider_voicepartner.gateways.model import (
        NO_CALLBACKS,
        Balance,
        CallbackEvent,
        CallbackUrls,
        CampaignDeliveryReport,
        Cancellation,
        DeliveryReport,
        Message,
        OptOut,
        Receipt,
        Recipient,
        RefusedRecipient,
        Reply,
        SmsMessage,
        Voicemail,
        VoiceMessage,
    )
    from airflow_provider_voicepartner.gateways.parsing import (
        as_bool,
        as_count,
        as_currency,
        as_decimal,
        as_int,
        as_object,
        as_objects,
        as_price,
        as_text,
        as_verdict,
        contradicted,
        decode,
        in_doubt_if_named,
        is_presentable_code,
        names_id,
        pick,
        presentable_words,
        read_callback,
        read_callback_number,
        read_opaque_id,
        refusal,
        transport_kind,
    )
    from airflow_provider_voicepartner.gateways.phone_numbers import read_wire_number
    from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, read_template
    from airflow_provider_voicepartner.gateways.rate_limits import NO_LIMIT
    from airflow_provider_voicepartner.gateways.status import DeliveryStatus, StatusWords
    from airflow_provider_voicepartner.gateways.validation import (
        CallbackUrl,
        GatewayOptions,
        check_callback_url,
        check_count,
        check_encodable,
        check_number,
        check_numbers,
        check_own_text,
        check_said,
        check_secret,
        check_sender,
        read_options,
    )
    from airflow_provider_voicepartner.gateways.wire import (
        ApiRequest,
        ApiResponse,
        CallbackRequest,
        Credentials,
        mask_number,
        scrub,
    )
    from airflow_provider_voicepartner.hooks.base import GatewayHook
    from airflow_provider_voicepartner.hooks.connection import ConnectionExtra
    from airflow_provider_voicepartner.hooks.connection_form import connection_type_of
    from airflow_provider_voicepartner.sending.records import Evidence, Proof, accepted_numbers

API_VERSION: Final = 1
"""Counts changes that a gateway outside has to follow; see ``docs/gateway-api.md``."""

_PACKAGE: Final = __name__.rpartition(".")[0]
_MODULES: Final = (
    "gateways.info",
    "gateways.rate_limits",
    "gateways.gateway",
    "hooks.connection_form",
    "gateways.errors",
    "gateways.status",
    "gateways.wire",
    "gateways.model",
    "gateways.compiled_message",
    "gateways.parsing",
    "gateways.validation",
    "gateways.placeholders",
    "gateways.dates",
    "gateways.phone_numbers",
    "exceptions",
    "hooks.connection",
    "sending.records",
    "hooks.base",
)
"""Where the names are; the first ones import no library."""

__all__ = [
    "API_VERSION",
    "NO_CALLBACKS",
    "NO_LIMIT",
    "SENDER_FIELD",
    "ApiRequest",
    "ApiResponse",
    "Balance",
    "CallbackEvent",
    "CallbackRequest",
    "CallbackUrl",
    "CallbackUrls",
    "CampaignDeliveryReport",
    "Cancellation",
    "Codes",
    "CompiledMessage",
    "ConnectionExtra",
    "Credentials",
    "DeliveryReport",
    "DeliveryStatus",
    "ErrorKind",
    "Evidence",
    "FormField",
    "Gateway",
    "GatewayError",
    "GatewayHook",
    "GatewayInfo",
    "GatewayOptions",
    "InvalidArgumentError",
    "InvalidCallbackError",
    "Kind",
    "Message",
    "OptOut",
    "Proof",
    "Receipt",
    "Recipient",
    "RecipientProblem",
    "RefusedRecipient",
    "Reply",
    "SmsMessage",
    "StatusWords",
    "TextTemplate",
    "VoiceMessage",
    "Voicemail",
    "accepted_numbers",
    "as_bool",
    "as_count",
    "as_currency",
    "as_decimal",
    "as_int",
    "as_object",
    "as_objects",
    "as_price",
    "as_text",
    "as_verdict",
    "attribute",
    "check_callback_url",
    "check_count",
    "check_encodable",
    "check_number",
    "check_numbers",
    "check_own_text",
    "check_said",
    "check_secret",
    "check_sender",
    "checked",
    "connection_type_of",
    "contradicted",
    "decode",
    "in_doubt_if_named",
    "is_presentable_code",
    "mask_number",
    "names_id",
    "pick",
    "presentable_words",
    "read_callback",
    "read_callback_number",
    "read_date",
    "read_opaque_id",
    "read_options",
    "read_template",
    "read_wire_number",
    "refusal",
    "require_future",
    "require_future_second",
    "require_future_slot",
    "round_up_to_minutes",
    "scrub",
    "transport_kind",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        return _attribute(_PACKAGE, _MODULES, __all__, name)
