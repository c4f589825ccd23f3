"""What a gateway gives to its cases, and what all of them send and answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from airflow_provider_voicepartner.gateways.errors import (
    GatewayError,
    InvalidArgumentError,
)
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import (
    Kind,
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.wire import (
    ApiRequest,
    ApiResponse,
    Credentials,
)

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(hours=2)
KEY, LOGIN, TEXT = "pl4nted/Key+42", "planted.login@example.org", "Le texte planté, à ne jamais montrer"
NUMBER = "+33699887766"
AUDIO = "a1b2c3d4"
ANNA = Recipient(NUMBER)
CREDENTIALS = Credentials(api_key=KEY, login=LOGIN)

SMS = SmsMessage(text=TEXT)
CALL = VoiceMessage(text=TEXT)
DROP = Voicemail(audio_token=AUDIO)
RECIPIENTS = [Recipient(f"+3360000000{number}", {"name": "Anna"}) for number in range(1, 6)]
MESSAGES: dict[Kind, Message] = {"sms": SMS, "tts": CALL, "voicemail": DROP}


UNREADABLE = {
    "html": b"<html><body>" + f"{KEY} {TEXT} {NUMBER} ".encode() * 50 + b"</body></html>",
    "truncated": json.dumps({"success": True, "said": TEXT, "to": NUMBER, "key": KEY}).encode()[:-2],
    "list": b'[{"success": true}]',
    "text": b'"ok"',
    "empty": b"",
    "blank": b" \r\n ",
    "binary": bytes(range(128, 256)),
    "nan": b'{"success": NaN}',
}


@dataclass(frozen=True)
class Sample:
    """
    One way in which one gateway sends, with the good answers to it. Keys may lead into objects: ``price.amount``.

    :param message: what is said; its text must be ``TEXT``.
    :param sent: the good answer to one recipient.
    :param id_key: the key in it that holds the batch's id.
    :param cost_key: the key that holds the price; None if no answer has one.
    :param count_key: the key that holds how many messages were charged; None if no answer counts them.
    :param good_status: the HTTP status of a good answer. Any other must not count as a success.
    :param counts_recipients: True where the count is one of recipients, so that a lower one says that some were left
        out; False where it counts messages.
    :param personal: a message with a placeholder ``{name}`` whose answer has a shape of its own; None for none.
    """

    gateway: Gateway
    message: Message
    sent: Mapping[str, Any]
    id_key: str
    cost_key: str | None = None
    count_key: str | None = None
    good_status: int = 200
    counts_recipients: bool = False
    personal: Message | None = None

    @property
    def recipients(self) -> list[Recipient]:
        """Five recipients, or as many as one request takes."""
        return RECIPIENTS[: self.gateway.INFO.most_recipients]

    def build(self, **changes: Any) -> ApiRequest:
        """Build the request to one recipient, with changes."""
        given: dict[str, Any] = {
            "message": self.message,
            "recipients": [ANNA],
            "reference": "k3v9x0q2w7ha",
            "now": NOW,
        }
        given |= changes
        return self.gateway.build_batch(given.pop("message"), given.pop("recipients"), **given)

    def refuse(self, argument: str, **changes: Any) -> str:
        """Return why such a request is refused, which must be the fault of that argument."""
        with pytest.raises(InvalidArgumentError) as caught:
            self.build(**changes)
        assert caught.value.argument == argument
        assert TEXT not in str(caught.value)
        assert "99887766" not in str(caught.value)
        return caught.value.problem

    def parse(self, response: ApiResponse) -> Any:
        """Read an answer to the request to one recipient."""
        return self.gateway.parse_batch(response, self.message, [ANNA])

    def fail(self, response: ApiResponse) -> GatewayError:
        """Return the error that such an answer is read as."""
        return failure(lambda: self.parse(response))


def value_at(data: Mapping[str, Any], key: str) -> Any:
    """Return what an answer holds under a key, which may lead into objects."""
    name, _, rest = ("", "", "") if key in data else key.partition(".")
    return value_at(data[name], rest) if rest else data[key]


def with_value(data: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return an answer with another value under a key, which may lead into objects."""
    name, _, rest = ("", "", "") if key in data else key.partition(".")
    return {**data, name: with_value(data.get(name, {}), rest, value)} if rest else {**data, key: value}


def without(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an answer without a key, which may lead into objects."""
    name, _, rest = ("", "", "") if key in data else key.partition(".")
    if rest:
        return {**data, name: without(data[name], rest)}
    return {other: value for other, value in data.items() if other != key}


def answer(data: Any, status: int = 200) -> ApiResponse:
    """Return an answer of this JSON, or of these bytes."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return ApiResponse(status=status, body=body, private=(KEY, LOGIN, TEXT))


def failure(parse: Callable[[], object]) -> GatewayError:
    """Return the error that reading raises."""
    with pytest.raises(GatewayError) as caught:
        parse()
    return caught.value


def nothing_private_in(error: GatewayError) -> bool:
    shown = str(error) + repr(error) + str(error.code)
    return len(str(error)) < 500 and not any(secret in shown for secret in (KEY, LOGIN, TEXT, "99887766"))


class Cases:
    """
    What the cases need to know of a gateway.

    :param samples: at least one for each kind of message.
    :param balance: a good answer to ``build_balance`` that says 42.50 EUR.
    :param report: the fields of a callback that says "delivered" about ``NUMBER``; not needed if ``INFO.reports`` is
        ``never``.
    :param status_key: the key in it that holds the status.
    :param reports_are_dated: True if a report says when it happened.
    :param answers_are_flagged: True if answers hold ``success`` and ``code``, which may contradict each other.
    """

    gateway: ClassVar[Gateway]
    samples: ClassVar[Sequence[Sample]]
    balance: ClassVar[Mapping[str, Any]]
    report: ClassVar[Mapping[str, Any] | None] = None
    status_key: ClassVar[str] = "status"
    reports_are_dated: ClassVar[bool] = True
    answers_are_flagged: ClassVar[bool] = True

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a case for the gateway, or for each of its samples."""
        if "gateway" in metafunc.fixturenames:
            metafunc.parametrize("gateway", [self.gateway], ids=[self.gateway.INFO.name])
        if "sample" in metafunc.fixturenames:
            metafunc.parametrize("sample", self.samples, ids=[sample.message.kind for sample in self.samples])

    def every_request(self) -> list[ApiRequest]:
        """Build a request of each kind."""
        kind = next(iter(sorted(self.gateway.INFO.kinds)))
        sends = [sample.build() for sample in self.samples]
        return [*sends, self.gateway.build_balance(), self.gateway.build_cancel("8123456", kind)]

    @property
    def reported(self) -> Mapping[str, Any] | None:
        """The fields of a callback; None from a gateway that makes none."""
        if self.gateway.INFO.reports == "never":
            return None
        assert self.report is not None, "report: give the fields of a callback, as INFO.reports promises some"
        return self.report
