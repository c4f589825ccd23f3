"""The words of the project as values: recipients, messages, receipts and reports, the same for every gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal, overload

import pendulum

from airflow_provider_voicepartner.gateways.info import Kind as Kind  # noqa: PLC0414 (one of our words too)
from airflow_provider_voicepartner.gateways.placeholders import composed
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.wire import mask_number

Purpose = Literal["alert", "marketing"]


@dataclass(frozen=True, slots=True)
class Recipient:
    """
    One recipient.

    :param phone_number: in E.164, such as ``+33612345678``.
    :param fields: personal fields that a message's ``{placeholders}`` name.
    """

    phone_number: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        """Show the number masked: a recipient ends up in logs sooner or later."""
        return f"Recipient({mask_number(self.phone_number)})"


class PlainRecipients(Sequence[Recipient]):
    """
    Recipients without personal fields, as light as their numbers: of a million, most are never looked at one by one.

    :param phone_numbers: in E.164.
    """

    __slots__ = ("phone_numbers",)

    def __init__(self, phone_numbers: Sequence[str]) -> None:
        self.phone_numbers = phone_numbers

    def __len__(self) -> int:
        """How many."""
        return len(self.phone_numbers)

    @overload
    def __getitem__(self, at: int) -> Recipient: ...

    @overload
    def __getitem__(self, at: slice) -> PlainRecipients: ...

    def __getitem__(self, at: int | slice) -> Recipient | PlainRecipients:
        """Return one of them, or some."""
        if isinstance(at, slice):
            return PlainRecipients(self.phone_numbers[at])
        return Recipient(self.phone_numbers[at])

    def __eq__(self, other: object) -> bool:
        """Compare one by one, with any other sequence of recipients."""
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        """As the tuple of them."""
        return hash(tuple(self.phone_numbers))

    def __repr__(self) -> str:
        """Show how many, and no number."""
        return f"PlainRecipients({len(self)})"


class PersonalRecipients(Sequence[Recipient]):
    """
    Recipients with personal fields, stored as columns: all numbers, and of each field all values.

    :param phone_numbers: in E.164.
    :param columns: the name of a field -> its value for each recipient; at least one, each as long as the numbers.
    """

    __slots__ = ("columns", "phone_numbers")

    def __init__(self, phone_numbers: Sequence[str], columns: Mapping[str, Sequence[str]]) -> None:
        self.phone_numbers = phone_numbers
        self.columns = columns

    def __len__(self) -> int:
        """How many."""
        return len(self.phone_numbers)

    @overload
    def __getitem__(self, at: int) -> Recipient: ...

    @overload
    def __getitem__(self, at: slice) -> PersonalRecipients: ...

    def __getitem__(self, at: int | slice) -> Recipient | PersonalRecipients:
        """Return one of them, or some."""
        if isinstance(at, slice):
            return PersonalRecipients(
                self.phone_numbers[at], {name: column[at] for name, column in self.columns.items()}
            )
        return Recipient(self.phone_numbers[at], {name: column[at] for name, column in self.columns.items()})

    def __eq__(self, other: object) -> bool:
        """Compare one by one, with any other sequence of recipients."""
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as a Recipient with fields

    def __repr__(self) -> str:
        """Show how many, and no number."""
        return f"PersonalRecipients({len(self)})"


def have_fields(recipients: Iterable[Recipient]) -> bool:
    """Say whether any of the recipients has personal fields."""
    if isinstance(recipients, PlainRecipients):
        return False
    if isinstance(recipients, PersonalRecipients):
        return bool(recipients.phone_numbers)
    return any(recipient.fields for recipient in recipients)


def phone_numbers_of(recipients: Iterable[Recipient]) -> Sequence[str]:
    """Return the numbers of recipients, in order."""
    if isinstance(recipients, (PlainRecipients, PersonalRecipients)):
        return recipients.phone_numbers
    return [recipient.phone_number for recipient in recipients]


def columns_of(recipients: Sequence[Recipient], names: Iterable[str]) -> dict[str, Sequence[str]]:
    """
    Return personal fields as columns: the name of a field -> its value for each recipient.

    :raises KeyError: a recipient has no such field.
    """
    if isinstance(recipients, PersonalRecipients):
        return {name: recipients.columns[name] for name in names}
    return {name: [recipient.fields[name] for recipient in recipients] for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsMessage:
    """
    A text message.

    :param text: what is said, made NFC; ``{placeholders}`` name recipients' personal fields, ``{{`` and ``}}`` are
        braces that are sent.
    :param sender: sender ID, 3 to 11 letters or digits; None leaves it to the gateway.
    :param purpose: ``alert`` (transactional) or ``marketing`` (needs an opt-out mention, keeps legal hours).
    :param options: gateway-specific settings under snake_case names; each gateway checks its own.
    """

    text: str = field(repr=False)
    sender: str | None = None
    purpose: Purpose = "alert"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    kind: Kind = field(default="sms", init=False)

    def __post_init__(self) -> None:
        """Compose the text, so that it is checked, counted, priced and sent in one spelling."""
        if isinstance(self.text, str):
            object.__setattr__(self, "text", composed(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceMessage:
    """
    A call that speaks a text, or plays an audio file of the gateway's library.

    :param text: what is spoken, made NFC; exactly one of ``text`` and ``audio_token``. Braces as in an SMS.
    :param audio_token: the gateway's token of an audio file.
    :param language: such as ``fr-FR``; each gateway maps it to its own list. None takes the gateway's default.
    :param sender: caller ID, where the gateway allows one.
    :param purpose: ``alert`` or ``marketing``.
    :param options: gateway-specific settings under snake_case names.
    """

    text: str | None = field(default=None, repr=False)
    audio_token: str | None = field(default=None, repr=False)
    language: str | None = None
    sender: str | None = None
    purpose: Purpose = "alert"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    kind: Kind = field(default="tts", init=False)

    def __post_init__(self) -> None:
        """Compose the text, so that it is checked, counted, priced and sent in one spelling."""
        if isinstance(self.text, str):
            object.__setattr__(self, "text", composed(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Voicemail:
    """
    An audio message left on voicemail without a ring (on a landline: when nobody answers).

    :param audio_token: the gateway's token of an audio file.
    :param sender: a mobile number that can be called back, validated with the gateway.
    :param purpose: ``alert`` or ``marketing``.
    :param options: gateway-specific settings under snake_case names.
    """

    audio_token: str = field(repr=False)
    sender: str | None = None
    purpose: Purpose = "alert"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    kind: Kind = field(default="voicemail", init=False)


Message = SmsMessage | VoiceMessage | Voicemail


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackUrls:
    """
    Where a gateway is to report about one batch; None leaves the gateway's own setting.

    :param delivery: for delivery reports.
    :param replies: for replies and STOP.
    """

    delivery: str | None = field(default=None, repr=False)
    replies: str | None = field(default=None, repr=False)


NO_CALLBACKS: Final = CallbackUrls()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRecipient:
    """
    One recipient that the gateway dropped while it took the rest of the batch.

    :param code: the gateway's code.
    :param reason: in words, scrubbed.
    :param opted_out: True when the recipient had said STOP.
    """

    phone_number: str = field(repr=False)
    code: str | None = None
    reason: str = ""
    opted_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """
    What a gateway answered to a batch that it took, or of which it refused everybody by name.

    ``accepted``, the number of ``refused`` and ``in_doubt`` add up to the batch's size.

    :param gateway_id: the gateway's id of the batch, as text; None when everybody in it was refused by name, so that
        nothing was accepted.
    :param accepted: recipients that were accepted; may be 0.
    :param cost: price of the batch, above 0; None where the answer does not say, or says 0 or less.
    :param currency: ISO 4217 code.
    :param segments: messages charged (SMS segments, or calls), None where the answer does not say.
    :param refused: recipients dropped one by one; one without a number where the answer counts and does not name.
    :param in_doubt: recipients of whom the answer does not say, or says two things, whether they were accepted.
    :param duration: seconds spoken, for voice.
    :param remaining_credit: balance after this batch.
    :param raw: the whole answer, unknown keys included.
    """

    gateway_id: str | None
    accepted: int
    cost: Decimal | None = None
    currency: str | None = None
    segments: int | None = None
    refused: tuple[RefusedRecipient, ...] = ()
    in_doubt: int = 0
    duration: Decimal | None = None
    remaining_credit: Decimal | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """
    What is left on the account.

    :param amount: money, or units where ``unit`` says so.
    :param unit: ISO 4217 code, or the product that ``amount`` counts.
    :param details: other counters by name, such as ``premium_sms``.
    """

    amount: Decimal
    unit: str
    details: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """
    The answer to a cancel.

    :param gateway_id: the campaign, as it was asked.
    :param already: True when it had been cancelled before.
    :param refunded: credit given back, where the answer says so.
    """

    gateway_id: str
    already: bool = False
    refunded: Decimal | None = None
    currency: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """
    What became of one recipient, polled or called back.

    :param gateway: whose report it is.
    :param campaign_id: the gateway's id of the batch; None where the source does not say.
    :param phone_number: in E.164.
    :param status: in our vocabulary.
    :param gateway_status: the gateway's own word.
    :param detail: a second word that qualifies the first (``VOICE_ANSWERED``); ``not_found`` in a polled entry that
        only says that the gateway does not know the recipient under the message.
    :param at: when it happened, aware, where reported.
    :param duration: seconds of call.
    :param cost: of this recipient, where reported.
    :param pressed_keys: keys pressed during a call, where reported.
    :param reference: our own reference or tag, where it is echoed.
    """

    gateway: str
    campaign_id: str | None
    phone_number: str = field(repr=False)
    status: DeliveryStatus
    gateway_status: str = ""
    detail: str | None = None
    at: pendulum.DateTime | None = None
    duration: int | None = None
    cost: Decimal | None = None
    pressed_keys: str | None = None
    reference: str | None = None
    opted_out: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignDeliveryReport:
    """
    What became of a whole batch, in one call (Voice Partner's voicemail).

    :param campaign_ids: every id that the call names, the likeliest first.
    :param delivered: recipients reached.
    :param total: recipients of the campaign.
    """

    gateway: str
    campaign_ids: tuple[str, ...]
    delivered: int
    total: int
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    An answer from a recipient.

    :param part: position in a long answer that comes in several calls, from 1.
    :param parts: how many calls make the whole.
    :param parts_reference: what the calls of one answer have in common.
    """

    gateway: str
    campaign_id: str | None
    phone_number: str = field(repr=False)
    text: str = field(repr=False)
    to: str | None = field(default=None, repr=False)
    at: pendulum.DateTime | None = None
    part: int = 1
    parts: int = 1
    parts_reference: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """A recipient said STOP: must not be messaged again."""

    gateway: str
    campaign_id: str | None
    phone_number: str = field(repr=False)
    text: str = field(default="", repr=False)
    at: pendulum.DateTime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


CallbackEvent = DeliveryReport | CampaignDeliveryReport | Reply | OptOut
