"""One table of bad input: each fails before anything is sent, naming the argument and the fix, giving nothing away."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import AirflowFailException
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from tests.conftest import KEYS, LOGIN
from tests.support.gateways import requests
from tests.support.tasks import FakeStore, Logs, chain, context

NUMBER, TEXT, TOKEN = "+33699887766", "Le texte planté", "planted-token-77"
FUTURE = datetime.now(UTC) + timedelta(days=1)


def sms(**arguments: Any) -> SendingOperator:
    return SendSmsOperator(**{"task_id": "t", "to": NUMBER, "message": TEXT, **arguments})


def call(**arguments: Any) -> SendingOperator:
    return TtsCallOperator(**{"task_id": "t", "to": NUMBER, "text": TEXT, **arguments})


def drop(**arguments: Any) -> SendingOperator:
    return VoicemailDropOperator(**{"task_id": "t", "to": NUMBER, "audio_token": TOKEN, **arguments})


OCTO = {"conn_id": "octopush_default"}

# What it is: the operator, and what its error must say: the argument, and the fix.
TABLE: dict[str, tuple[Callable[[], SendingOperator], str]] = {
    "empty to": (lambda: sms(to=""), r"^to: has no recipients; give a number"),
    "empty list": (lambda: call(to=[]), r"^to: has no recipients; give a number"),
    "a budget of nothing": (lambda: sms(max_cost=0), r"^max_cost: 0 allows nothing.*leave it out"),
    "no lane": (lambda: sms(max_in_flight=0), r"^max_in_flight: 0 is not a whole number of at least 1"),
    "a file of an unknown kind": (lambda: sms(to="file:///people.xls"), r"^to: the file .*save it as \.xlsx"),
    "a number with letters": (lambda: sms(to=[NUMBER, "06998877AB"]), r"^to\[2\]: .*on_invalid='skip'"),
    "a number with an extension": (lambda: call(to=f"{NUMBER} ext. 12"), r"^to\[1\]: .*on_invalid='skip'"),
    "a landline for SMS": (lambda: sms(to="0198876655"), r"^to\[1\]: .*landline.*call it instead"),
    "a landline for SMS at Octopush": (lambda: sms(to="0198876655", **OCTO), r"^to\[1\]: .*landline"),
    "a row without a number": (lambda: sms(to=[{"phone": NUMBER}]),
        r"^to\[1\]: .*'phone_number'; there is 'phone': give column='phone'"),
    "a set of numbers": (lambda: sms(to={NUMBER}), r"^to: is of type set; a set has no order"),
    "a file that is not there": (lambda: sms(to="/nowhere/people.csv"),
        r"^to: the file '/nowhere/people\.csv' does not"),
    "no message": (lambda: sms(message=" "), r"^message: is empty"),
    "no message for Octopush": (lambda: sms(message="", **OCTO), r"^message: is empty"),
    "no text for Octopush": (lambda: call(text="", **OCTO), r"^text and audio_token: give exactly one"),
    "1,225 characters for Octopush": (
        lambda: sms(message="x" * 1225, **OCTO), r"^message: has 1225 characters; .*1224.* shorten it"
    ),
    "1,225 characters to speak for Octopush": (
        lambda: call(text="x" * 1225, **OCTO), r"^text: has 1225 characters; .*1224.* shorten it"
    ),
    "more than 10 linked SMS": (lambda: sms(message="x" * 1600), r"^message: is \d+ characters too long.*shorten it"),
    "a sender of 12 characters": (lambda: sms(sender="ABCDEFGHIJKL"), r"^sender: has 12 characters; give 3 to 11"),
    "a sender of 12 characters at Octopush": (lambda: sms(sender="ABCDEFGHIJKL", **OCTO), r"^sender: .*3 to 11"),
    "a sender of digits for marketing": (lambda: sms(sender="36 173", purpose="marketing"),
        r"^sender: holds digits only, .*charter.*give a name"),
    "a sender of digits for marketing at Octopush": (lambda: sms(sender="36173", purpose="marketing", **OCTO),
        r"^sender: holds digits only, .*charter"),
    "a sender with a blank at Octopush": (lambda: sms(sender="MA BOUTIQUE", **OCTO),
        r"^sender: .*without blanks, .*documentation of Octopush"),
    "a sender for a call of Voice Partner": (lambda: call(sender="ACME"), r"^sender: .*leave it out"),
    "speech rate 3": (lambda: call(speech_rate=3), r"^options\['speech_rate'\]: .*2"),
    "speech rate 3 from a template": (lambda: call(speech_rate="3"), r"^options\['speech_rate'\]: .*2"),
    "speech rate at Octopush": (lambda: call(speech_rate=1.5, **OCTO), r"^options\['speech_rate'\]: "),
    "an unknown setting": (lambda: sms(options={"gamma": 1}), r"^options\['gamma'\]: "),
    "settings that are no dict": (lambda: sms(options=["gamme"]), r"^options: is not a dict"),
    "a naive date": (lambda: sms(send_at="2031-05-06T14:15:00"), r"^send_at: .*no time zone.*add one"),
    "a past date": (lambda: sms(send_at="2020-05-06T14:15:00+02:00"), r"^send_at: .*(past|passed|future)"),
    "a past date for a call": (lambda: call(send_at="2020-05-06T14:15:00+02:00"), r"^send_at: .*(past|passed|future)"),
    "a past date at Octopush": (lambda: sms(send_at="2020-05-06T14:15:00+02:00", **OCTO),
        r"^send_at: .*(past|passed|future)"),
    "no date": (lambda: sms(send_at="next week"), r"^send_at: 'next week' is not a date.*ISO 8601"),
    "a day without an hour": (lambda: drop(send_at=date(2031, 5, 6)), r"^send_at: .* is not a date with a time"),
    "an audio token and a text": (lambda: call(audio_token=TOKEN), r"^text and audio_token: give exactly one"),
    "neither": (lambda: call(text=None), r"^text and audio_token: give exactly one"),
    "an audio token at Octopush": (lambda: call(text=None, audio_token=TOKEN, **OCTO), r"^audio_token: .*voicepartner"),
    "no audio token": (lambda: drop(audio_token=""), r"^audio_token: is empty"),
    "voicemail at Octopush": (lambda: drop(**OCTO),
        r"^conn_id: VoicemailDropOperator .*use a connection of type voicepartner"),
    "voicemail at SMS Partner": (lambda: drop(conn_id="smspartner_default"),
        r"^conn_id: VoicemailDropOperator .*voicepartner"),
    "a call at SMS Partner": (lambda: call(conn_id="smspartner_default"),
        r"^conn_id: TtsCallOperator .*octopush, voicepartner"),
    "an SMS at Voice Partner": (lambda: sms(conn_id="voicepartner_default"),
        r"^conn_id: SendSmsOperator .*octopush, smspartner"),
    "another type of connection": (lambda: sms(conn_id="other"),
        r"^conn_id: connection 'other' has the type 'http'; use one of"),
    "an unknown purpose": (lambda: sms(purpose="fun"), r"^purpose: 'fun' is not one of 'alert', 'marketing'"),
    "an unknown on_invalid": (lambda: sms(on_invalid="drop"), r"^on_invalid: 'drop' is not one of"),
    "an unknown on_unknown": (lambda: sms(on_unknown="retry"), r"^on_unknown: 'retry' is not one of"),
    "an unknown on_empty": (lambda: sms(on_empty="pass"), r"^on_empty: 'pass' is not one of"),
    "a budget in words": (lambda: sms(max_cost="ten"), r"^max_cost: 'ten' is not an amount"),
    "a negative price": (lambda: sms(unit_price=-1), r"^unit_price: -1 is not an amount"),
    "a price of nothing": (lambda: sms(unit_price=0), r"^unit_price: 0 would let max_cost .*leave it out"),
    "a price of nothing as text": (lambda: sms(unit_price="0.000"), r"^unit_price: 0 would let max_cost"),
    "an unknown region": (lambda: sms(region="Frankreich"), r"^region: "),
    "a budget without a price": (lambda: call(max_cost=5), r"^max_cost: needs a price .*give unit_price"),
}  # fmt: skip

CONNECTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"password": ""}, r"'smspartner_default': password is empty; put the API key"),
    "a key with a line break": (
        {"password": "abc\ndef"},
        r"'smspartner_default': password holds a character.*copy",
    ),
    "http to another machine": (
        {"host": "http://192.0.2.7/v1"},
        r"'smspartner_default': host uses http.*use https",
    ),
    "http by a name": (
        {"host": "http://gateway.example/v1"},
        r"'smspartner_default': host uses http.*use https",
    ),
    "no URL": ({"host": "ftp://127.0.0.1"}, r"'smspartner_default': host is not a URL"),
    "a key in the host": (
        {"host": f"https://{KEYS['smspartner']}@127.0.0.1/v1"},
        r"host may hold no user.*'password'",
    ),
    "extra that is a list": ({"extra": "[1, 2]"}, r"'smspartner_default': extra is not a JSON object; write"),
    "extra that is no JSON": (
        {"extra": "read_timeout=60"},
        r"'smspartner_default': extra is not a JSON object; write",
    ),
    "a timeout in words": (
        {"extra": {"read_timeout": "long"}},
        r"'smspartner_default': extra field 'read_timeout'",
    ),
}


def assert_refused(operator: SendingOperator, says: str, sandbox: Any, logs: Logs) -> None:
    store = FakeStore()
    with pytest.raises(ConfigurationError) as caught:
        operator.execute(context(store))
    assert isinstance(caught.value, AirflowFailException)  # a retry would not mend it
    message = str(caught.value)
    assert re.search(says, message, re.DOTALL), message
    assert requests(sandbox) == 0
    assert not any("batch" in key for key in store.values)  # nor will a corrected attempt be in doubt
    shown = chain(caught.value) + logs.text
    for secret in (*KEYS.values(), LOGIN, NUMBER, NUMBER[3:], "98876655", "06998877", TEXT, "planté", TOKEN):
        assert secret not in shown, f"{secret!r} was shown"


@pytest.mark.parametrize("case", TABLE)
def test_a_bad_argument_fails_before_anything_is_sent(
    sandbox: Any, set_connection: Any, logs: Logs, case: str
) -> None:
    set_connection("http", "other", password="planted-other-key")
    make, says = TABLE[case]
    assert_refused(make(), says, sandbox, logs)


@pytest.mark.parametrize("case", CONNECTIONS)
def test_a_bad_connection_fails_before_anything_is_sent(
    sandbox: Any, set_connection: Any, logs: Logs, case: str
) -> None:
    fields, says = CONNECTIONS[case]
    host = sandbox.gateway_url("smspartner")
    set_connection("smspartner", **{"host": host, **fields})
    assert_refused(sms(), says, sandbox, logs)


def test_octopush_needs_a_login_too(sandbox: Any, set_connection: Any, logs: Logs) -> None:
    set_connection("octopush", host=sandbox.gateway_url("octopush"), login="")
    assert_refused(sms(**OCTO), r"'octopush_default': login is empty; put", sandbox, logs)


@pytest.mark.parametrize("make", [sms, call, drop, lambda: sms(**OCTO), lambda: call(**OCTO)])
def test_the_same_arguments_without_the_mistake_are_sent(
    sandbox: Any, make: Callable[[], SendingOperator]
) -> None:
    """So that the table above fails for what it names, and not because nothing could ever be sent."""
    operator = make()
    if isinstance(operator, VoicemailDropOperator):
        operator.audio_token = "a1b2c3d4"
        operator.email_for_notification = "ops@example.org"
    assert operator.execute(context(FakeStore()))["counts"]["accepted"] == 1
