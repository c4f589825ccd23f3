"""What all hooks promise, against the sandbox: a send arrives at most once, and each failure says what it proves."""

from __future__ import annotations

import inspect
import pickle
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pendulum
import pytest
from airflow.exceptions import AirflowException, AirflowFailException

from airflow_provider_voicepartner import exceptions
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    InvalidRecipientError,
    NotSentError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError, RecipientProblem
from airflow_provider_voicepartner.gateways.model import (
    Receipt,
    Recipient,
    RefusedRecipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.sandbox.faults import Fault
from tests.support.hooks import REFERENCE, each_send, hook_of, times_sent
from tests.support.sends import NUMBER, SENDS, TEXT, Send
from tests.support.servers import FakeTime, answer, counting_server
from tests.support.tasks import chain


def batch(send: Send, **changes: Any) -> Receipt:
    given: dict[str, Any] = {
        "message": send.message,
        "recipients": [Recipient(NUMBER)],
        "reference": REFERENCE,
    } | changes
    return hook_of(send.conn_type).send_batch(given.pop("message"), given.pop("recipients"), **given)


# Sending.


@each_send
def test_a_send_arrives_and_gives_a_receipt(send: Send, sandbox: Any) -> None:
    receipt = send.by_method(hook_of(send.conn_type), NUMBER)
    assert receipt.gateway_id in sandbox.world.campaigns[send.conn_type]
    assert receipt.accepted == 1
    assert receipt.cost is not None
    assert receipt.cost > 0
    assert receipt.currency == "EUR"
    assert times_sent(sandbox, send.conn_type) == 1


@each_send
def test_send_batch_sends_the_same(send: Send, sandbox: Any) -> None:
    receipt = batch(send, recipients=[Recipient(NUMBER), Recipient("+33699887767")])
    assert receipt.accepted == 2
    assert dict(sandbox.world.tallies[send.conn_type].numbers) == {NUMBER: 1, "+33699887767": 1}


@each_send
def test_a_repeated_recipient_is_sent_to_once(send: Send, sandbox: Any) -> None:
    receipt = send.by_method(hook_of(send.conn_type), f"{NUMBER}, 0699887766")
    assert receipt.accepted == 1
    assert times_sent(sandbox, send.conn_type) == 1


IN_DOUBT = [
    {"kind": "drop_after"},
    {"kind": "drop_after", "reset": True},
    {"kind": "drop_before"},
    {"kind": "drop_mid_answer"},
    {"kind": "500", "taken": True},
    {"kind": "500"},
    {"kind": "503", "taken": True},
    {"kind": "503", "retry_after": 1},
    {"kind": "html"},
    {"kind": "html", "status": 200, "taken": True},
    {"kind": "queued_without_id"},
    {"kind": "wrong_json"},
    {"kind": "truncated_json"},
    {"kind": "empty"},
    {"kind": "timeout"},
]


@each_send
@pytest.mark.parametrize(
    "fault", IN_DOUBT, ids=lambda fault: "-".join(str(value) for value in fault.values())
)
def test_in_doubt_it_is_never_sent_again(
    send: Send, fault: dict[str, Any], sandbox: Any, set_connection: Callable[..., str]
) -> None:
    if fault["kind"] == "timeout":
        set_connection(send.conn_type, host=sandbox.gateway_url(send.conn_type), extra={"read_timeout": 0.3})
    sandbox.world.faults.add(Fault(**fault, path=send.path))
    hook = hook_of(send.conn_type)
    with pytest.raises(
        SendOutcomeUnknownError, match="may have accepted it: check there before you send again"
    ):
        send.by_method(hook, NUMBER)
    assert sandbox.world.requests.total == 1
    assert times_sent(sandbox, send.conn_type) == int(Fault(**fault).takes())


@each_send
def test_after_a_rate_limit_it_is_sent_again_because_it_was_not_taken(send: Send, sandbox: Any) -> None:
    sandbox.world.faults.add(Fault(kind="429", path=send.path, times=2, retry_after=3))
    hook, clock = hook_of(send.conn_type), FakeTime()
    hook.sender.sleep = clock.sleep
    assert send.by_method(hook, NUMBER).accepted == 1
    assert clock.slept == [3.0, 3.0]
    assert times_sent(sandbox, send.conn_type) == 1


@each_send
def test_a_rate_limit_that_lasts_is_left_to_airflows_retries(send: Send, sandbox: Any) -> None:
    sandbox.world.faults.add(Fault(kind="429", path=send.path, times=None, retry_after=900))
    with pytest.raises(RetryableNotSentError, match="rate limit") as caught:
        send.by_method(hook_of(send.conn_type), NUMBER)
    assert caught.value.retry_after == 900.0
    assert caught.value.kind is ErrorKind.RETRYABLE
    assert not isinstance(caught.value, AirflowFailException)
    assert times_sent(sandbox, send.conn_type) == 0


def test_voice_partner_is_given_a_minute_after_a_rate_limit_that_does_not_say_how_long(sandbox: Any) -> None:
    sandbox.world.faults.add(Fault(kind="429"))
    hook, clock = hook_of("voicepartner"), FakeTime()
    hook.sender.sleep = clock.sleep
    hook.get_balance()
    assert clock.slept == [60.0]


@each_send
def test_without_a_connection_nothing_was_sent_and_airflow_may_retry(
    send: Send, set_connection: Callable[..., str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    set_connection(send.conn_type, host=f"http://127.0.0.1:{port}")
    with pytest.raises(RetryableNotSentError, match="nothing was sent") as caught:
        send.by_method(hook_of(send.conn_type), NUMBER)
    assert not isinstance(caught.value, AirflowFailException)


@each_send
def test_a_wrong_key_is_rejected_and_not_retried(
    send: Send, sandbox: Any, set_connection: Callable[..., str]
) -> None:
    set_connection(send.conn_type, host=sandbox.gateway_url(send.conn_type), password="another-key")
    with pytest.raises(RejectedError) as caught:
        send.by_method(hook_of(send.conn_type), NUMBER)
    assert caught.value.kind is ErrorKind.CONFIGURATION
    assert isinstance(caught.value, AirflowFailException)
    assert times_sent(sandbox, send.conn_type) == 0


@each_send
def test_without_credit_it_is_rejected_as_such(send: Send, sandbox: Any) -> None:
    sandbox.world.credit[send.conn_type] = sandbox.world.credit[send.conn_type] * 0
    with pytest.raises(RejectedError) as caught:
        send.by_method(hook_of(send.conn_type), NUMBER)
    # Octopush publishes no code for it, so only its words say why.
    assert caught.value.kind is (ErrorKind.REJECTED if send.conn_type == "octopush" else ErrorKind.CREDIT)
    assert "credit" in str(caught.value)
    assert times_sent(sandbox, send.conn_type) == 0


@each_send
def test_a_redirect_of_a_send_is_not_followed(
    send: Send, sandbox: Any, set_connection: Callable[..., str]
) -> None:
    elsewhere = sandbox.gateway_url(send.conn_type)
    with counting_server(answer(307, "", Location=elsewhere + send.path)) as server:
        set_connection(send.conn_type, host=server.url)
        with pytest.raises(RejectedError, match="redirect"):
            send.by_method(hook_of(send.conn_type), NUMBER)
        assert len(server.received) == 1
    assert sandbox.world.requests.total == 0


@each_send
def test_a_redirect_to_nowhere_is_in_doubt_and_not_an_error_that_airflow_retries(
    send: Send, set_connection: Callable[..., str]
) -> None:
    with counting_server(answer(302, "", Location="http://[::1")) as server:
        set_connection(send.conn_type, host=server.url)
        with pytest.raises(SendOutcomeUnknownError):
            send.by_method(hook_of(send.conn_type), NUMBER)
        assert len(server.received) == 1


@each_send
def test_an_error_of_a_kind_that_nobody_foresaw_is_in_doubt(
    send: Send, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = hook_of(send.conn_type)
    adapter = hook.get_conn().get_adapter(hook.sender.base_url)
    post = adapter.send

    def post_and_fail(*args: Any, **kwargs: Any) -> Any:
        post(*args, **kwargs)
        raise LookupError("unknown encoding")

    monkeypatch.setattr(adapter, "send", post_and_fail)
    with pytest.raises(SendOutcomeUnknownError):
        send.by_method(hook, NUMBER)
    assert times_sent(sandbox, send.conn_type) == 1


@each_send
@pytest.mark.parametrize("kind", [KeyError, ValueError, TypeError, RecursionError])
def test_an_answer_that_a_gateway_fails_to_read_is_in_doubt_and_not_shown(
    send: Send, kind: type[Exception], sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> Receipt:
        raise kind(f"{NUMBER} {TEXT}")

    hook = hook_of(send.conn_type)
    monkeypatch.setattr(hook.gateway, "parse_batch", read)
    with pytest.raises(SendOutcomeUnknownError, match=f"cannot be read .{kind.__name__}") as caught:
        send.by_method(hook, NUMBER)
    assert times_sent(sandbox, send.conn_type) == 1
    shown = chain(caught.value)
    assert NUMBER not in shown
    assert TEXT not in shown


untyped: Any = Receipt
LIES: dict[str, tuple[Any, str]] = {
    "nothing": (None, "NoneType"),
    "the answer itself": ({"id": "1"}, "dict"),
    "a negative count": (untyped(gateway_id="1", accepted=-1), "count"),
    "a count that is a text": (untyped(gateway_id="1", accepted="1"), "count"),
    "a count that is a flag": (untyped(gateway_id="1", accepted=True), "count"),
    "a negative doubt": (untyped(gateway_id="1", accepted=1, in_doubt=-1), "count"),
    "too many": (untyped(gateway_id="1", accepted=2), "more recipients"),
    "too many with those refused": (
        untyped(gateway_id="1", accepted=1, refused=(RefusedRecipient(phone_number=NUMBER),)),
        "more recipients",
    ),
    "somebody else": (
        untyped(gateway_id="1", accepted=0, refused=(RefusedRecipient(phone_number="+33611111111"),)),
        "was not sent to",
    ),
    "a refusal of another shape": (
        untyped(gateway_id="1", accepted=0, refused=(NUMBER,)),
        "no recipient",
    ),
    "a success without an id": (untyped(gateway_id=None, accepted=1), "no id"),
    "nobody without an id, and nobody refused": (untyped(gateway_id=None, accepted=0), "no id"),
    "a doubt without an id": (untyped(gateway_id=None, accepted=0, in_doubt=1), "no id"),
    "an id that is a number": (untyped(gateway_id=1, accepted=1), "id is no text"),
    "a blank id": (untyped(gateway_id=" ", accepted=1), "id is no text"),
    "an id without an end": (untyped(gateway_id="1" * 256, accepted=1), "id is no text"),
    "a cost that is a float": (untyped(gateway_id="1", accepted=1, cost=0.05), "cost"),
    "a negative cost": (untyped(gateway_id="1", accepted=1, cost=Decimal(-1)), "cost"),
    "a cost that is none": (untyped(gateway_id="1", accepted=1, cost=Decimal("NaN")), "cost"),
    "negative segments": (untyped(gateway_id="1", accepted=1, segments=-1), "segments"),
    "a currency of bytes": (untyped(gateway_id="1", accepted=1, currency=b"EUR"), "currency"),
}


@each_send
@pytest.mark.parametrize(
    ("accepted", "refused", "said", "in_doubt"),
    [
        (1, 0, 0, 1),
        (0, 1, 0, 1),
        (0, 0, 0, 2),
        (0, 0, 1, 2),
        (1, 0, 1, 1),
        (1, 1, 0, 0),
        (2, 0, 0, 0),
        (0, 2, 0, 0),
    ],
)
def test_whoever_a_receipt_leaves_out_is_in_doubt(
    send: Send,
    accepted: int,
    refused: int,
    said: int,
    in_doubt: int,
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    people = [Recipient(NUMBER), Recipient("+33699887767")]
    dropped = tuple(RefusedRecipient(phone_number=person.phone_number) for person in people[:refused])
    given = Receipt(gateway_id="m-1", accepted=accepted, refused=dropped, in_doubt=said)
    hook = hook_of(send.conn_type)
    monkeypatch.setattr(hook.gateway, "parse_batch", lambda *_: given)
    receipt = hook.send_batch(send.message, people, reference=REFERENCE)
    assert (receipt.accepted, receipt.refused, receipt.in_doubt) == (accepted, dropped, in_doubt)
    assert ("they count as in doubt" in caplog.text) is (said != in_doubt)
    assert NUMBER not in caplog.text


@each_send
def test_every_doubt_of_a_receipt_is_logged(
    send: Send, sandbox: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given = Receipt(gateway_id="m-1", accepted=1, refused=(RefusedRecipient(phone_number=""),), in_doubt=3)
    hook = hook_of(send.conn_type)
    monkeypatch.setattr(hook.gateway, "parse_batch", lambda *_: given)
    people = [Recipient(f"+3369988776{digit}") for digit in range(5)]
    assert hook.send_batch(send.message, people, reference=REFERENCE) == given
    assert ": 1 recipients were left out, and the answer does not say which" in caplog.text
    assert ": 1 accepted, 1 refused, 3 in doubt" in caplog.text
    assert not re.search(r"m-1|\+336", caplog.text)


@pytest.mark.parametrize("lie", LIES)
def test_a_receipt_that_cannot_be_true_leaves_a_doubt(
    lie: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway of another distribution may be wrong: what the ledger could not read back would end the campaign."""
    receipt, why = LIES[lie]
    send = SENDS[0]
    hook = hook_of(send.conn_type)
    monkeypatch.setattr(hook.gateway, "parse_batch", lambda *_: receipt)
    with pytest.raises(SendOutcomeUnknownError, match=why) as caught:
        hook.send_batch(send.message, [Recipient(NUMBER)], reference=REFERENCE)
    assert times_sent(sandbox, send.conn_type) == 1
    assert NUMBER not in chain(caught.value)


def test_an_error_of_no_known_kind_is_no_refusal(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> Receipt:
        raise GatewayError("acme", "send", "perhaps", "who knows")  # type: ignore[arg-type]  # no kind

    hook = hook_of(SENDS[0].conn_type)
    monkeypatch.setattr(hook.gateway, "parse_batch", read)
    with pytest.raises(SendOutcomeUnknownError):
        hook.send_batch(SENDS[0].message, [Recipient(NUMBER)], reference=REFERENCE)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"safe_to_repeat": True}, "safe_to_repeat"), ({"endpoint": "elsewhere"}, "no known endpoint")],
)
def test_a_send_that_would_be_repeated_or_not_limited_never_leaves(
    change: dict[str, Any], why: str, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = hook_of(SENDS[0].conn_type)
    build = hook.gateway.build_batch
    monkeypatch.setattr(
        hook.gateway, "build_batch", lambda *args, **kwargs: replace(build(*args, **kwargs), **change)
    )
    with pytest.raises(ConfigurationError, match=why):
        hook.send_batch(SENDS[0].message, [Recipient(NUMBER)], reference=REFERENCE)
    assert times_sent(sandbox, SENDS[0].conn_type) == 0


# Bad arguments: nothing leaves.

TOMORROW = timedelta(days=1)


MANY = [Recipient(f"+336{number:08d}") for number in range(10_000_000, 10_000_501)]

BAD: dict[str, Callable[[], dict[str, Any]]] = {
    "nobody": lambda: {"recipients": []},
    "501 recipients": lambda: {"recipients": MANY},
    "no number": lambda: {"recipients": [Recipient("+3369988776a")]},
    "a naive time": lambda: {"send_at": datetime(2099, 1, 1, 12, 0)},
    "a past time": lambda: {"send_at": pendulum.now("UTC") - TOMORROW},
}


@each_send
@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_of_a_batch_is_named_and_nothing_is_sent(send: Send, name: str, sandbox: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        batch(send, **BAD[name]())
    argument = "send_at" if "time" in name else "to"
    assert str(caught.value).startswith(f"{argument}: ")
    assert caught.value.__context__ is None
    assert sandbox.world.requests.total == 0


BAD_MESSAGES = [
    ("smspartner", SmsMessage(text=""), "message"),
    ("smspartner", SmsMessage(text="x" * 10_000), "message"),
    ("smspartner", SmsMessage(text=TEXT, sender="TwelveChars1"), "sender"),
    ("smspartner", SmsMessage(text=TEXT, options={"bogus": 1}), "options"),
    ("smspartner", VoiceMessage(text=TEXT), "message"),
    ("voicepartner", VoiceMessage(text=TEXT, audio_token="a1b2c3d4"), "audio_token"),
    ("voicepartner", VoiceMessage(), "text"),
    ("voicepartner", VoiceMessage(text=TEXT, options={"speech_rate": 3}), "speech_rate"),
    ("voicepartner", Voicemail(audio_token=" "), "audio_token"),
    ("voicepartner", SmsMessage(text=TEXT), "message"),
    ("octopush", SmsMessage(text=""), "message"),
    ("octopush", SmsMessage(text="x" * 1225), "message"),
    ("octopush", VoiceMessage(text=""), "text"),
    ("octopush", VoiceMessage(text="x" * 1225), "text"),
    ("octopush", SmsMessage(text=TEXT, sender="TwelveChars1"), "sender"),
    ("octopush", Voicemail(audio_token="a1b2c3d4"), "message"),
]


@pytest.mark.parametrize(("conn_type", "message", "argument"), BAD_MESSAGES)
def test_a_message_that_the_gateway_would_refuse_is_not_sent(
    conn_type: str, message: Any, argument: str, sandbox: Any
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        hook_of(conn_type).send_batch(message, [Recipient(NUMBER)], reference=REFERENCE)
    assert argument in str(caught.value).partition(": ")[0]
    assert TEXT not in str(caught.value)
    assert sandbox.world.requests.total == 0


@each_send
@pytest.mark.parametrize(
    ("to", "error"),
    [
        ("", ConfigurationError),
        ([], ConfigurationError),
        (None, ConfigurationError),
        ("+33 6 12 34 5x 78", InvalidRecipientError),
        ([NUMBER, "12"], InvalidRecipientError),
        ([recipient.phone_number for recipient in MANY], ConfigurationError),
    ],
    ids=["empty", "no one", "none", "letters", "short", "501"],
)
def test_bad_recipients_are_named_and_nothing_is_sent(
    send: Send, to: Any, error: type[Exception], sandbox: Any
) -> None:
    with pytest.raises(error, match="to"):
        send.by_method(hook_of(send.conn_type), to)
    assert sandbox.world.requests.total == 0


@pytest.mark.parametrize(
    "send", [send for send in SENDS if send.name == "sms"], ids=lambda send: send.conn_type
)
def test_a_landline_gets_no_sms(send: Send, sandbox: Any) -> None:
    with pytest.raises(InvalidRecipientError, match="landline"):
        send.by_method(hook_of(send.conn_type), "01 44 55 66 77")
    assert sandbox.world.requests.total == 0


# The exceptions.

ALL_ERRORS = [
    error
    for _, error in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(error, VoicePartnerProviderError)
]


def test_only_what_a_retry_may_mend_is_left_to_airflows_retries() -> None:
    retried = {error for error in ALL_ERRORS if not issubclass(error, AirflowFailException)}
    assert retried == {
        VoicePartnerProviderError,
        exceptions.WaitGivenUpError,
        NotSentError,
        RetryableNotSentError,
        exceptions.OutcomePendingError,
        exceptions.CampaignInterruptedError,
    }
    assert all(issubclass(error, AirflowException) for error in ALL_ERRORS)


@pytest.mark.parametrize("error", ALL_ERRORS)
def test_errors_survive_the_way_to_another_process(error: type[VoicePartnerProviderError]) -> None:
    original = error("what happened")
    copy = pickle.loads(pickle.dumps(original))
    assert type(copy) is error
    assert str(copy) == "what happened" == copy.args[0]


def test_the_facts_of_an_error_survive_too() -> None:
    problem = RecipientProblem(NUMBER, "14", "opted out")
    rejected = RejectedError("no", code="55", kind=ErrorKind.REJECTED, recipients=(problem,))
    copy = pickle.loads(pickle.dumps(rejected))
    assert (copy.code, copy.kind, copy.recipients) == ("55", ErrorKind.REJECTED, (problem,))
    later = pickle.loads(pickle.dumps(RetryableNotSentError("later", code="429", retry_after=7.0)))
    assert (later.code, later.retry_after) == ("429", 7.0)
    assert (
        pickle.loads(pickle.dumps(exceptions.OutcomePendingError("soon", retry_after=7.0))).retry_after == 7.0
    )
    assert NUMBER not in repr(rejected)
    assert NUMBER not in repr(problem)
