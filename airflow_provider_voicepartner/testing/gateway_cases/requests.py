"""The requests that a gateway builds, and where its key travels in them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.info import GatewayInfo
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.testing.gateway_cases.samples import (
    ANNA,
    CREDENTIALS,
    KEY,
    LOGIN,
    NOW,
    NUMBER,
    SOON,
    TEXT,
    Cases,
    Sample,
)


class KeyCases(Cases):
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


class SendRequestCases(Cases):
    def test_is_never_repeated_and_hides_its_text(self, sample: Sample) -> None:
        request = sample.build(send_at=SOON)
        assert not request.safe_to_repeat
        assert request.method == "POST"
        said = getattr(sample.message, "text", None)
        assert said is None or said in request.private, "private: name the text"
        json.dumps(request.body, allow_nan=False)

    def test_a_check_without_sending_that_there_is_not(self, sample: Sample) -> None:
        """A dry run must not send."""
        if sample.gateway.INFO.simulates:
            sample.build(simulate=True)
            return
        with pytest.raises(InvalidArgumentError):
            sample.build(simulate=True)

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
        recipients = [Recipient(f"+336{i:08}") for i in range(most + 1)]
        assert str(most + 1) in sample.refuse("to", recipients=recipients)
        sample.build(recipients=recipients[:most])

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
        recipients = [Recipient(NUMBER, {"first_name": "Anna"}), Recipient("+33698765432", {"ville": "Lyon"})]
        recipients = recipients[-sample.gateway.INFO.most_recipients :]
        with pytest.raises(InvalidArgumentError):
            sample.build(message=replace(sample.message, text="Bonjour {first_name}"), recipients=recipients)
