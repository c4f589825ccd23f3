"""The settings that only Acme has."""

from __future__ import annotations

from airflow_provider_voicepartner.gateway_api import GatewayOptions


class SmsOptions(GatewayOptions):
    """
    What may stand in ``SmsMessage.options``.

    :param flash: show the text at once, and do not keep it.
    """

    flash: bool = False
