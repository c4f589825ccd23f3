"""
What every gateway promises, as one table of cases that pytest runs against one of them.

A gateway's tests hold one class::

    class TestAcme(GatewayCases):
        gateway = acme
        samples = [Sample(acme, SmsMessage(text=TEXT), {"id": "m-1"}, id_key="id")]
        balance = {"credit": "42.50", "currency": "EUR"}
        report = {"id": "m-1", "to": NUMBER, "state": "delivered"}  # not if INFO.reports is "never"
        status_key = "state"

The table of attributes is in ``docs/gateway-api.md``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import (
    ErrorKind,
    GatewayError,
    InvalidArgumentError,
    InvalidCallbackError,
)
from airflow_provider_voicepartner.gateways.gateway import Gateway, GatewayInfo
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    DeliveryReport,
    Kind,
    Message,
    Receipt,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.gateways.validation import GatewayOptions
from airflow_provider_voicepartner.gateways.wire import (
    ApiRequest,
    ApiResponse,
    CallbackRequest,
    Credentials,
)

if TYPE_CHECKING:
    from airflow_provider_voicepartner.hooks.base import GatewayHook

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(hours=2)
KEY, LOGIN, TEXT = "pl4nted/Key+42", "planted.login@example.org", "Le texte planté, à ne jamais montrer"
NUMBER = "+33699887766"
ANNA = Recipient(NUMBER)
CREDENTIALS = Credentials(api_key=KEY, login=LOGIN)

SMS = SmsMessage(text=TEXT)
CALL = VoiceMessage(text=TEXT)
DROP = Voicemail(audio_token="a1b2c3d4")  # noqa: S106 - no secret


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
    def people(self) -> list[Recipient]:
        """Five recipients, or as many as one request takes."""
        return CROWD[: self.gateway.INFO.most_recipients]

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


MESSAGES: dict[Kind, Message] = {"sms": SMS, "tts": CALL, "voicemail": DROP}


_SHARED: Final = (HealthCheck.differing_executors,)


class _Cases:
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


class ShapeCases(_Cases):
    def test_has_everything_that_hooks_call(self, gateway: Gateway) -> None:
        for name, promised in inspect.getmembers(Gateway, inspect.isfunction):
            if name.startswith("_"):
                continue
            offered = inspect.signature(getattr(gateway, name)).parameters
            needed = [
                parameter for parameter in inspect.signature(promised).parameters if parameter != "self"
            ]
            assert list(offered)[: len(needed)] == needed, name
            extra = list(offered.values())[len(needed) :]
            assert all(parameter.default is not inspect.Parameter.empty for parameter in extra), name

    def test_says_who_it_is(self, gateway: Gateway) -> None:
        assert gateway.INFO.name.lower() == gateway.INFO.name
        assert gateway.INFO.label
        url = urlsplit(gateway.INFO.base_url)
        assert url.scheme == "https"
        assert not gateway.INFO.base_url.endswith("/")
        assert set(MESSAGES) >= gateway.INFO.kinds

    @pytest.mark.parametrize("kind", MESSAGES)
    def test_refuses_the_kinds_that_it_cannot_send(self, gateway: Gateway, kind: Kind) -> None:
        if kind in gateway.INFO.kinds:
            gateway.check_message(MESSAGES[kind], False)
            gateway.build_cancel("8123456", kind)
            return
        with pytest.raises(InvalidArgumentError):
            gateway.check_message(MESSAGES[kind], False)
        with pytest.raises(InvalidArgumentError):
            gateway.build_batch(MESSAGES[kind], [ANNA], reference="k3v9x0q2w7ha", now=NOW)
        with pytest.raises(InvalidArgumentError, match="kind"):
            gateway.build_cancel("8123456", kind)

    def test_every_path_stays_below_the_base(self, gateway: Gateway) -> None:
        for request in self.every_request():
            assert not request.path.startswith("/"), "path: no slash at its beginning"
            assert "//" not in request.path
            assert not {"..", "."} & set(request.path.split("/"))
        for odd in ("", " ", "..", "../me", "a/b?c#d"):
            with suppress(InvalidArgumentError):
                request = gateway.build_cancel(odd, next(iter(gateway.INFO.kinds)))
                assert not {"..", "."} & set(request.path.split("/")), (
                    "refuse such an id: it leads to another path"
                )
                assert not set("?#") & set(request.path), "quote the id"


class FactCases(_Cases):
    """What ``INFO`` names is there, and requests keep to it. Its own values are checked when it is made."""

    def test_every_request_is_to_an_endpoint_of_the_list(self, gateway: Gateway) -> None:
        named = {*gateway.INFO.sends.values(), *(request.endpoint for request in self.every_request())}
        assert named <= set(gateway.INFO.endpoints), "INFO.endpoints: name every endpoint"

    def test_the_key_travels_where_it_may(self, gateway: Gateway) -> None:
        taken = {"basic": "headers", "header": "headers", "query": "params"}
        allowed = {taken.get(place, place) for place in gateway.INFO.credentials}
        for request in self.every_request():
            used = set(places(gateway.authenticate(request, CREDENTIALS), gateway.INFO))
            assert used <= allowed, "INFO.credentials: name every place"

    def test_settings_can_be_loaded(self, gateway: Gateway) -> None:
        for path in gateway.INFO.options.values():
            assert issubclass(loaded(path), GatewayOptions), "INFO.options: paths of GatewayOptions models"


def loaded(path: str) -> Any:
    """Return what is at a dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


class HookCases(_Cases):
    """The hook that ``INFO`` names does what ``INFO`` promises. Needs Airflow."""

    @property
    def hook(self) -> type[GatewayHook]:
        """The class that ``INFO.hook`` names."""
        found: type[GatewayHook] = loaded(self.gateway.INFO.hook)
        return found

    def test_is_this_gateway_s(self, gateway: Gateway) -> None:
        from airflow_provider_voicepartner.hooks.base import GatewayHook

        assert issubclass(self.hook, GatewayHook), "INFO.hook: the path of a GatewayHook"
        assert self.hook.gateway.INFO is gateway.INFO, "INFO.hook: that class has another gateway"

    def test_reads_the_fields_of_the_form(self, gateway: Gateway) -> None:
        from airflow_provider_voicepartner.hooks.connection import ConnectionExtra

        own = set(self.hook.extra_model.model_fields) - set(ConnectionExtra.model_fields)
        assert own == set(gateway.INFO.fields), "extra_model: the same fields as INFO.fields"

    def test_has_the_methods_that_are_promised(self, gateway: Gateway) -> None:
        from airflow_provider_voicepartner.hooks.base import GatewayHook

        info = gateway.INFO
        promised = {
            "poll_delivery": info.polls,
            "poll_recipients": info.most_polled > 0,
            "tag_of": info.listed_by_tag,
            "poll_by_tag": info.listed_by_tag,
            "find_proof": info.listed_by_tag,
            "account_urls": info.reports == "account",
            "set_account_urls": info.reports == "account",
        }
        for name, is_promised in promised.items():
            is_written = getattr(self.hook, name) is not getattr(GatewayHook, name)
            assert is_written or not is_promised, f"INFO promises {name}; write it in the hook"


class KeyCases(_Cases):
    def test_is_in_one_place_and_nowhere_before(self, gateway: Gateway) -> None:
        for plain in self.every_request():
            assert not {"path", "params", "headers", "body"} & set(places(plain, gateway.INFO))
            request = gateway.authenticate(plain, CREDENTIALS)
            assert len(places(request, gateway.INFO)) == 1, request.endpoint
            assert KEY not in str(plain.body)
            assert LOGIN not in str(plain.headers)

    def test_never_shows_in_a_repr(self, gateway: Gateway) -> None:
        for plain in self.every_request():
            request = gateway.authenticate(plain, CREDENTIALS)
            shown = repr(plain) + repr(CREDENTIALS) + repr(request)
            for secret in (KEY, quote(KEY, safe=""), LOGIN, TEXT, "99887766"):
                assert secret not in shown

    def test_goes_in_last(self, gateway: Gateway) -> None:
        for plain in self.every_request():
            request = gateway.authenticate(plain, CREDENTIALS)
            assert (request.method, request.endpoint) == (plain.method, plain.endpoint)
            assert request.safe_to_repeat is plain.safe_to_repeat
            assert request.private == plain.private
            for name, value in (plain.body or {}).items():
                assert (request.body or {})[name] == value


def places(request: ApiRequest, info: GatewayInfo) -> list[str]:
    """Say where in a request the key is."""
    secrets = [secret for secret in info.secrets_of(KEY, LOGIN) if secret != LOGIN]
    parts = {
        "path": request.path,
        "params": "".join(request.params.values()),
        "headers": "".join(request.headers.values()),
        "body": json.dumps(request.body, default=str),
    }
    written = [spelling for secret in secrets for spelling in (secret, quote(secret, safe=""))]
    return [place for place, held in parts.items() if any(spelling in held for spelling in written)]


class SendRequestCases(_Cases):
    def test_is_never_repeated_and_hides_its_text(self, sample: Sample) -> None:
        request = sample.build(send_at=SOON)
        assert not request.safe_to_repeat
        assert request.method == "POST"
        said = getattr(sample.message, "text", None)
        assert said is None or said in request.private
        json.dumps(request.body, allow_nan=False)

    def test_reads_may_be_repeated(self, gateway: Gateway) -> None:
        assert gateway.build_balance().safe_to_repeat
        assert gateway.build_balance().method == "GET"

    def test_the_same_arguments_build_the_same_request(self, sample: Sample) -> None:
        assert sample.build(send_at=SOON) == sample.build(send_at=SOON)

    @pytest.mark.parametrize(
        ("send_at", "said"),
        [(datetime(2032, 1, 1), "time zone"), (NOW, "past"), (NOW - timedelta(minutes=1), "past")],
    )
    def test_naive_and_past_dates(self, sample: Sample, send_at: datetime, said: str) -> None:
        assert said in sample.refuse("send_at", send_at=send_at)

    def test_number_of_recipients(self, sample: Sample) -> None:
        sample.refuse("to", recipients=[])
        most = sample.gateway.INFO.most_recipients
        people = [Recipient(f"+336{i:08}") for i in range(most + 1)]
        assert str(most + 1) in sample.refuse("to", recipients=people)
        sample.build(recipients=people[:most])

    @pytest.mark.parametrize(
        "number", ["0699887766", "+33 699887766", "+33699887766,+33698765432", "anna", ""]
    )
    def test_numbers_that_are_not_e164(self, sample: Sample, number: str) -> None:
        sample.refuse("to", recipients=[ANNA, Recipient(number)][-sample.gateway.INFO.most_recipients :])

    @pytest.mark.parametrize("text", ["", "  \n "])
    def test_empty_text(self, sample: Sample, text: str) -> None:
        if isinstance(sample.message, SmsMessage):
            sample.refuse("message", message=replace(sample.message, text=text))
        elif isinstance(sample.message, VoiceMessage):
            sample.refuse("text", message=replace(sample.message, text=text))
        else:
            sample.refuse("audio_token", message=replace(sample.message, audio_token=text))

    def test_a_callback_url_that_is_not_https(self, sample: Sample) -> None:
        if sample.gateway.INFO.reports == "batch":
            urls = CallbackUrls(delivery="http://example.org/secret")
            assert "example.org" not in sample.refuse("callbacks.delivery", callbacks=urls)

    def test_a_sender_of_twelve_characters(self, sample: Sample) -> None:
        sample.refuse("sender", message=replace(sample.message, sender="ABCDEFGHIJKL"))

    def test_a_setting_that_does_not_exist(self, sample: Sample) -> None:
        message = replace(sample.message, options={"a_typing_eror": TEXT})
        assert "the settings are" in sample.refuse("options['a_typing_eror']", message=message)

    def test_half_a_name_is_never_sent(self, sample: Sample) -> None:
        if isinstance(sample.message, Voicemail):
            return
        guests = [Recipient(NUMBER, {"first_name": "Anna"}), Recipient("+33698765432", {"ville": "Lyon"})]
        guests = guests[-sample.gateway.INFO.most_recipients :]
        with pytest.raises(InvalidArgumentError):
            sample.build(message=replace(sample.message, text="Bonjour {first_name}"), recipients=guests)


class ReceiptCases(_Cases):
    def test_a_good_answer(self, sample: Sample) -> None:
        receipt = sample.parse(answer({**sample.sent, "brand_new": {"a": [1]}}, sample.good_status))
        assert receipt.gateway_id == str(value_at(sample.sent, sample.id_key))
        assert receipt.accepted == 1
        if sample.cost_key is None:
            assert (receipt.cost, sample.gateway.INFO.currency) == (None, None)
        else:
            assert isinstance(receipt.cost, Decimal)
            assert receipt.cost == Decimal(str(value_at(sample.sent, sample.cost_key)))
            assert receipt.currency == sample.gateway.INFO.currency
        assert receipt.raw["brand_new"] == {"a": [1]}

    def test_money_as_text_and_exact(self, sample: Sample) -> None:
        if sample.cost_key is not None:
            exact = "0.10000000000000000001"
            told = with_value(sample.sent, sample.cost_key, exact)
            receipt = sample.parse(answer(told, sample.good_status))
            assert receipt.cost == Decimal(exact)

    @pytest.mark.parametrize("nothing", [None, "", " "])
    def test_success_without_an_id_is_in_doubt(self, sample: Sample, nothing: object) -> None:
        nameless = without(sample.sent, sample.id_key)
        assert sample.fail(answer(nameless, sample.good_status)).kind is ErrorKind.UNKNOWN
        empty = with_value(sample.sent, sample.id_key, nothing)
        for status in (200, sample.good_status):
            assert sample.fail(answer(empty, status)).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize("cost", [0, "0", "0.00", "0,0", -1, "-0.045", -0.0, None, "", "free", [], True])
    def test_a_cost_of_nothing_or_less_is_not_told(self, sample: Sample, cost: object) -> None:
        """A budget that believed it would never end."""
        told = sample.sent if sample.cost_key is None else with_value(sample.sent, sample.cost_key, cost)
        assert sample.parse(answer(told, sample.good_status)).cost is None

    @pytest.mark.parametrize(
        ("count", "accepted"),
        [(5, 5), (9, 5), (4, 4), (1, 1), (0, 0), ("4", 4), (-1, 5), (None, 5), ("x", 5)],
    )
    def test_a_count_below_the_batch_is_believed(self, sample: Sample, count: object, accepted: int) -> None:
        if sample.count_key is None:
            return
        people = [Recipient(f"+336{number:08}") for number in range(5)]
        response = answer(with_value(sample.sent, sample.count_key, count), sample.good_status)
        receipt = sample.gateway.parse_batch(response, sample.message, people)
        assert receipt.accepted == accepted
        assert receipt.accepted + len(receipt.refused) + receipt.in_doubt == 5
        left_out_is_said = sample.counts_recipients and accepted
        assert receipt.in_doubt == (0 if left_out_is_said else 5 - accepted)


class AnAnswerThatNamesASendCases(_Cases):
    @pytest.mark.parametrize("status", [200, 201, 400, 402, 429, 500])
    def test_is_no_refusal(self, sample: Sample, status: int) -> None:
        named = with_value({}, sample.id_key, value_at(sample.sent, sample.id_key))
        no: dict[str, Any] = {"success": False, "code": 400, "message": "no"}
        # Without a flag, a good status and an id are what a good answer looks like.
        is_good = status == sample.good_status and not self.answers_are_flagged
        whole: list[dict[str, Any] | bytes] = [] if is_good else [{**no, **named}]
        for data in (
            *whole,
            {**no, "data": named},
            {**no, "result": [{"inner": named}]},
            json.dumps({**named, **no}).encode()[:-5],
            b'{"cost": NaN, ' + json.dumps(named).encode()[1:],
        ):
            response = answer(data, status)
            assert sample.gateway.names_a_send(response), data
            assert sample.fail(response).kind is ErrorKind.UNKNOWN, data

    @pytest.mark.parametrize("nothing", [None, "", " ", 0, "0", "0.0", [], {}, True, False])
    @pytest.mark.parametrize("status", [400, 429])
    def test_is_not_one_without_an_id(self, sample: Sample, nothing: object, status: int) -> None:
        no = {"success": False, "code": 400, "message": "no"}
        response = answer(with_value(no, sample.id_key, nothing), status)
        assert not sample.gateway.names_a_send(response)
        assert sample.fail(response).kind in (ErrorKind.REJECTED, ErrorKind.RETRYABLE)

    def test_is_not_one_that_cannot_be_read(self, gateway: Gateway) -> None:
        for body in UNREADABLE.values():
            assert not gateway.names_a_send(answer(body, 429))

    @pytest.mark.parametrize("code", [200, "200", 201])
    def test_a_no_with_the_code_of_a_success_is_in_doubt(self, sample: Sample, code: object) -> None:
        for status in (200, 400) if self.answers_are_flagged else (200,):
            response = answer({"success": False, "code": code, "message": "no"}, status)
            assert sample.fail(response).kind is ErrorKind.UNKNOWN
        rate_limit = answer({"success": False, "code": code, "message": "no"}, 429)
        assert sample.fail(rate_limit).kind is ErrorKind.RETRYABLE


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


class UnreadableAnswerCases(_Cases):
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (200, ErrorKind.UNKNOWN),
            (201, ErrorKind.UNKNOWN),
            (204, ErrorKind.UNKNOWN),
            (301, ErrorKind.CONFIGURATION),
            (302, ErrorKind.UNKNOWN),
            (307, ErrorKind.CONFIGURATION),
            (308, ErrorKind.CONFIGURATION),
            (400, ErrorKind.REJECTED),
            (401, ErrorKind.CONFIGURATION),
            (403, ErrorKind.CONFIGURATION),
            (404, ErrorKind.REJECTED),
            (408, ErrorKind.UNKNOWN),
            (429, ErrorKind.RETRYABLE),
            (500, ErrorKind.UNKNOWN),
            (502, ErrorKind.UNKNOWN),
            (503, ErrorKind.UNKNOWN),
            (504, ErrorKind.UNKNOWN),
        ],
    )
    def test_to_a_send(self, sample: Sample, status: int, kind: ErrorKind) -> None:
        for name, body in UNREADABLE.items():
            error = sample.fail(answer(body, status))
            assert (error.kind, error.status, error.gateway) == (kind, status, sample.gateway.INFO.name), name
            assert error.endpoint == sample.build().endpoint
            assert f"HTTP {status}" in str(error)
            assert nothing_private_in(error), name

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (200, ErrorKind.RETRYABLE),
            (301, ErrorKind.CONFIGURATION),
            (401, ErrorKind.CONFIGURATION),
            (404, ErrorKind.NOT_FOUND),
            (429, ErrorKind.RETRYABLE),
            (500, ErrorKind.RETRYABLE),
            (503, ErrorKind.RETRYABLE),
        ],
    )
    def test_to_a_read(self, gateway: Gateway, status: int, kind: ErrorKind) -> None:
        for name, body in UNREADABLE.items():
            error = failure(partial(gateway.parse_balance, answer(body, status)))
            assert (error.kind, error.status) == (kind, status), name
            assert nothing_private_in(error), name

    @pytest.mark.parametrize("status", [200, 302, 401, 429, 500])
    def test_to_a_cancel(self, gateway: Gateway, status: int) -> None:
        for name, body in UNREADABLE.items():
            error = failure(partial(gateway.parse_cancel, answer(body, status), "8123456"))
            assert nothing_private_in(error), name

    def test_shows_enough_to_find_the_cause_and_no_more(self, sample: Sample) -> None:
        error = sample.fail(answer(b"<html>" + b"Service down for maintenance. " * 100, 503))
        assert "Service down for maintenance." in str(error)
        assert len(str(error)) < 200 + 100


def nothing_private_in(error: GatewayError) -> bool:
    shown = str(error) + repr(error) + str(error.code)
    return len(str(error)) < 500 and not any(secret in shown for secret in (KEY, LOGIN, TEXT, "99887766"))


REFUSALS = [
    {"success": False, "code": 1, "message": f"{TEXT} {KEY} {NUMBER}"},
    {"success": False, "code": f"{TEXT} {KEY} {NUMBER}", "message": "x"},
    {"success": False, "code": KEY},
    {"success": False, "code": NUMBER, "error": KEY},
    {"success": False, "code": 33699887766},
    {"success": False, "error": {"code": KEY, "message": NUMBER}},
    {
        "success": False,
        "code": 1,
        "errors": [{"code": KEY, "message": TEXT, "elementId": NUMBER, "phoneNumber": NUMBER}],
    },
    {"code": 400, "message": "x", "errors": {KEY: [TEXT, NUMBER]}},
]


class RefusalCases(_Cases):
    @pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
    def test_never_shows_a_key_a_number_or_a_text(self, sample: Sample, status: int) -> None:
        for data in REFUSALS:
            response = answer(data, status)
            assert nothing_private_in(sample.fail(response)), data
            assert nothing_private_in(failure(partial(sample.gateway.parse_balance, response))), data
            assert nothing_private_in(failure(partial(sample.gateway.parse_cancel, response, "8123456"))), (
                data
            )

    def test_a_rate_limit_may_be_tried_again(self, sample: Sample) -> None:
        for data in ({"success": False, "code": 429, "message": "slow down"}, {}):
            assert sample.fail(answer(data, 429)).kind is ErrorKind.RETRYABLE

    def test_an_empty_object_proves_nothing(self, sample: Sample) -> None:
        for status in (200, 201, 202, 500):
            assert sample.fail(answer({}, status)).kind is ErrorKind.UNKNOWN


class BalanceCases(_Cases):
    def test_is_exact_money(self, gateway: Gateway) -> None:
        balance = gateway.parse_balance(answer({**self.balance, "brand_new": 1}))
        assert (balance.amount, balance.unit) == (Decimal("42.5"), "EUR")
        assert isinstance(balance.amount, Decimal)
        assert balance.raw["brand_new"] == 1

    def test_must_be_there(self, gateway: Gateway) -> None:
        failure(lambda: gateway.parse_balance(answer({"success": True, "code": 200})))


class CallbackCases(_Cases):
    @pytest.mark.parametrize("encoding", ["json", "form"])
    def test_a_delivery_report(self, gateway: Gateway, encoding: str) -> None:
        if self.reported is None:
            return
        fields = {**self.reported, "brand_new": "1"}
        body = json.dumps(fields) if encoding == "json" else urlencode(fields)
        for content_type in ("", "application/json", "application/x-www-form-urlencoded"):
            callback = CallbackRequest(method="POST", body=body.encode(), content_type=content_type)
            (report,) = gateway.parse_callback(callback)
            assert isinstance(report, DeliveryReport)
            assert (report.gateway, report.phone_number) == (gateway.INFO.name, NUMBER)
            assert report.status is DeliveryStatus.DELIVERED
            assert (report.at is not None) is self.reports_are_dated
            assert report.at is None or report.at.utcoffset() is not None
            assert report.raw["brand_new"] == "1"
            assert "99887766" not in repr(report)

    def test_an_unknown_word_is_pending(self, gateway: Gateway) -> None:
        if self.reported is None:
            return
        fields = {**self.reported, self.status_key: "brand new word"}
        (report,) = gateway.parse_callback(CallbackRequest(method="POST", body=json.dumps(fields).encode()))
        assert isinstance(report, DeliveryReport)
        assert report.status is DeliveryStatus.PENDING
        assert report.gateway_status == "brand new word"

    @pytest.mark.parametrize("name", UNREADABLE)
    def test_what_is_no_callback(self, gateway: Gateway, name: str) -> None:
        with pytest.raises(InvalidCallbackError) as caught:
            gateway.parse_callback(CallbackRequest(method="POST", body=UNREADABLE[name]))
        assert not any(secret in str(caught.value) for secret in (KEY, TEXT, "99887766"))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def mutated(good: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[bytes]:
    keys = sorted({key for shape in good for key in shape} | {"code", "message", "error", "errors"})
    changes = st.dictionaries(st.sampled_from(keys), ANY_JSON, max_size=4)
    changed = st.builds(lambda shape, change: {**shape, **change}, st.sampled_from(good), changes)
    return st.one_of(
        st.binary(max_size=120),
        ANY_JSON.map(lambda data: json.dumps(data).encode()),
        changed.map(lambda data: json.dumps(data).encode()),
        changed.map(lambda data: json.dumps(data).encode()[:-3]),
        changed.map(lambda data: urlencode(data, errors="replace").encode()),
    )


CROWD = [Recipient(f"+3360000000{number}", {"name": "Anna"}) for number in range(1, 6)]


def check_receipt(receipt: Receipt, people: list[Recipient]) -> None:
    """Everybody is accounted for once, and whoever is named is one of them."""
    assert receipt.accepted >= 0
    assert receipt.in_doubt >= 0
    assert receipt.accepted + len(receipt.refused) + receipt.in_doubt == len(people)
    named = [refused.phone_number for refused in receipt.refused if refused.phone_number]
    assert len(named) == len(set(named))
    assert set(named) <= {recipient.phone_number for recipient in people}
    assert receipt.cost is None or receipt.cost > 0
    if receipt.gateway_id is None:
        assert len(named) == len(people)
    else:
        assert receipt.gateway_id.strip()


LISTED = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "success": st.sampled_from([True, False, 1, "true", None, "maybe"]),
            "code": st.sampled_from([200, 9, 13, 14, "14", 11, 44, 500, 777, None]),
            "phoneNumber": st.sampled_from(["0600000001", "+33600000002", "33600000003", "+33600000004",
                                            "+33600000005", "+33699999999", "x", None]),
            "nbSms": st.sampled_from([0, 1, 2, -1, "1"]),
            "elementId": st.just("children[sender].data"),
        },
    ),
    max_size=8,
)  # fmt: skip
COUNTS = st.sampled_from([None, -1, 0, 1, 3, 5, 9, "4", "x", 1.5, True])


class WhateverIsListedCases(_Cases):
    @settings(max_examples=300, deadline=None, suppress_health_check=_SHARED)
    @given(
        flag=st.sampled_from([True, False, None]),
        code=st.sampled_from([200, 55, 14, 9, 11, None]),
        id_=st.sampled_from([8123456, None]),
        errors=LISTED,
        entries=st.one_of(st.none(), LISTED),
        count=COUNTS,
        status=st.sampled_from([200, 201, 400, 429, 500]),
    )
    def test_everybody_is_accounted_for_once(
        self, flag: Any, code: Any, id_: Any, errors: Any, entries: Any, count: Any, status: int
    ) -> None:
        data = {"success": flag, "code": code, "errors": errors, "SMSResponse_List": entries}
        for sample in self.samples:
            named = with_value(data, sample.id_key, id_)
            counted = named if sample.count_key is None else with_value(named, sample.count_key, count)
            response = answer(counted, status)
            for message in (sample.message, sample.personal or sample.message):
                for people in (CROWD[:1], sample.people):
                    with suppress(GatewayError):
                        check_receipt(sample.gateway.parse_batch(response, message, people), people)


class AnythingAtAllCases(_Cases):
    @settings(max_examples=60, deadline=None, suppress_health_check=_SHARED)
    @given(
        data=st.data(),
        status=st.sampled_from([200, 201, 204, 301, 302, 400, 401, 402, 404, 408, 429, 500, 503]),
    )
    def test_answers(self, data: st.DataObject, status: int) -> None:
        body = data.draw(mutated([*(sample.sent for sample in self.samples), self.balance]))
        response = answer(body, status)
        for sample in self.samples:
            for people in ([ANNA], sample.people):
                with suppress(GatewayError):
                    check_receipt(sample.gateway.parse_batch(response, sample.message, people), people)
        with suppress(GatewayError):
            assert self.gateway.parse_balance(response).amount.is_finite()
        with suppress(GatewayError):
            assert self.gateway.parse_cancel(response, "8123456").gateway_id == "8123456"

    @settings(max_examples=60, deadline=None, suppress_health_check=_SHARED)
    @given(data=st.data(), query=st.text(max_size=40), content_type=st.text(max_size=10))
    def test_callbacks(self, data: st.DataObject, query: str, content_type: str) -> None:
        body = data.draw(mutated([self.reported or {"status": "delivered", "phone": NUMBER}]))
        callback = CallbackRequest(method="POST", body=body, query=query, content_type=content_type)
        with suppress(InvalidCallbackError):
            assert self.gateway.parse_callback(callback)


class GatewayCases(
    ShapeCases,
    FactCases,
    HookCases,
    KeyCases,
    SendRequestCases,
    ReceiptCases,
    AnAnswerThatNamesASendCases,
    UnreadableAnswerCases,
    RefusalCases,
    BalanceCases,
    CallbackCases,
    WhateverIsListedCases,
    AnythingAtAllCases,
):
    """Every case; a subclass whose name begins with ``Test`` is run."""
