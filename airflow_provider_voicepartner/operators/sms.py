"""Send a text message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_voicepartner.operators.base import SendingOperator

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.model import Kind, SmsMessage


class SendSmsOperator(SendingOperator):
    """
    Send an SMS through any gateway that sends text messages.

    A retry never sends twice: what was sent is recorded, and a batch whose outcome is unknown is not sent again unless
    ``on_unknown`` says so. The other arguments are those of
    :class:`~airflow_provider_voicepartner.operators.base.SendingOperator`.

    :param message: the text. ``{placeholders}`` are replaced by the recipients' personal fields; ``{{`` and ``}}``
        are literal braces.
    :param conn_id: the connection of such a gateway.
    """

    kind: ClassVar[Kind] = "sms"
    needs_mobile: ClassVar[bool] = True

    template_fields: Sequence[str] = ("message", *SendingOperator.template_fields)
    private_fields: ClassVar[frozenset[str]] = SendingOperator.private_fields | {"message"}
    text_fields: ClassVar[frozenset[str]] = frozenset({"message"})

    def __init__(self, *, message: str, conn_id: str = "smspartner_default", **kwargs: Any) -> None:
        super().__init__(conn_id=conn_id, **kwargs)
        self.message = message

    def message_to_send(self) -> SmsMessage:
        """Build the text message."""
        from airflow_provider_voicepartner.gateways.model import Purpose, SmsMessage
        from airflow_provider_voicepartner.hooks.templates import check_is_no_path
        from airflow_provider_voicepartner.sending.arguments import (
            literals,
            read_choice,
            read_options,
            read_text,
        )

        text = read_text("message", self.given("message"))
        check_is_no_path("message", text, folders=self._text_folders())
        return SmsMessage(
            text=text or "",
            sender=read_text("sender", self.sender, needed=False),
            purpose=read_choice("purpose", self.purpose, literals(Purpose)),
            options=read_options(self.given("options")),
        )
