"""What goes to Voice Partner: each parameter, limit and refusal of its calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import voicepartner
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest, Credentials

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
ANNA, BEN = Recipient("+33612345678"), Recipient("+33690123456")
CALL = VoiceMessage(text="La sauvegarde a échoué.")
DROP = Voicemail(audio_token="a1b2c3d4")
KEY = "k/e+%secret"


def build(message: Message = CALL, recipients: Any = (ANNA,), **more: Any) -> ApiRequest:
    return voicepartner.build_batch(message, recipients, **({"reference": "k3v9x0q2w7ha", "now": NOW} | more))


def refused(argument: str, message: Message = CALL, recipients: Any = (ANNA,), **more: Any) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        build(message, recipients, **more)
    assert caught.value.argument == argument
    return caught.value.problem


class TestCall:
    def test_a_text_for_two(self) -> None:
        request = build(recipients=[ANNA, BEN])
        assert (request.method, request.path, request.endpoint) == ("POST", "tts/send", "tts/send")
        assert request.body == {
            "phoneNumbers": "+33612345678,+33690123456",
            "text": "La sauvegarde a échoué.",
            "lang": "fr",
        }
        assert not request.safe_to_repeat
        assert request.private == ("La sauvegarde a échoué.",)

    def test_an_audio_file_needs_no_language(self) -> None:
        request = build(VoiceMessage(audio_token=" a1b2c3d4 ", language="en-GB"))
        assert request.body == {"phoneNumbers": "+33612345678", "tokenAudio": "a1b2c3d4"}

    def test_every_setting(self) -> None:
        message = VoiceMessage(
            text="Hello",
            language="en-GB",
            options={"speech_rate": "0.5", "notify_url": "https://example.org/a"},
        )
        body = build(message, callbacks=CallbackUrls(delivery="https://example.org/b")).body
        assert body == {
            "phoneNumbers": "+33612345678",
            "text": "Hello",
            "lang": "en",
            "speechRate": 0.5,
            "notifyUrl": "https://example.org/a",
        }

    def test_reports_go_where_the_caller_says(self) -> None:
        body = build(callbacks=CallbackUrls(delivery="https://example.org/vp/k3v9x0q2w7ha")).body
        assert body is not None
        assert body["notifyUrl"] == "https://example.org/vp/k3v9x0q2w7ha"

    @pytest.mark.parametrize(
        ("language", "on_the_wire"),
        [
            (None, "fr"),
            ("fr", "fr"),
            ("fr-FR", "fr"),
            ("en_GB", "en"),
            ("EN-us", "en"),
            ("de-DE", "de"),
            ("arb", "arb"),
        ],
    )
    def test_languages(self, language: str | None, on_the_wire: str) -> None:
        body = build(VoiceMessage(text="Hello", language=language)).body
        assert body is not None
        assert body["lang"] == on_the_wire

    @pytest.mark.parametrize("language", ["", "french please", "f", "fr-FR;x", "42"])
    def test_no_language(self, language: str) -> None:
        refused("language", VoiceMessage(text="Hello", language=language))

    @pytest.mark.parametrize("rate", [3, 0.4, -1, "fast", float("nan"), float("inf")])
    def test_a_speech_rate_that_the_vendor_would_silently_clamp(self, rate: object) -> None:
        problem = refused("options['speech_rate']", VoiceMessage(text="Hello", options={"speech_rate": rate}))
        assert "notify_url" in problem

    def test_a_speech_rate_for_a_file(self) -> None:
        refused("options['speech_rate']", VoiceMessage(audio_token="a", options={"speech_rate": 1}))

    def test_a_setting_of_another_call(self) -> None:
        refused(
            "options['email_for_notification']",
            VoiceMessage(text="x", options={"email_for_notification": "a@b.fr"}),
        )

    @pytest.mark.parametrize("text", ["", "  ", None])
    def test_nothing_to_say(self, text: str | None) -> None:
        refused("text", VoiceMessage(text=text))

    def test_a_text_and_a_file(self) -> None:
        assert "only one" in refused("audio_token", VoiceMessage(text="x", audio_token="y"))

    def test_half_a_character(self) -> None:
        refused("text", VoiceMessage(text="\ud83d"))

    def test_no_sender(self) -> None:
        refused("sender", VoiceMessage(text="x", sender="+33612345678"))

    def test_personal_texts_are_refused_with_two_ways_out(self) -> None:
        guest = Recipient("+33612345678", {"name": "Zoé"})
        problem = refused("text", VoiceMessage(text="Bonjour {name}"), [guest])
        assert "map one task" in problem
        assert "Octopush" in problem

    def test_fields_without_placeholders_and_doubled_braces_are_fine(self) -> None:
        guest = Recipient("+33612345678", {"name": "Zoé"})
        build(VoiceMessage(text="Bonjour"), [guest])
        request = build(VoiceMessage(text="Bonjour {{name}}"), [guest])
        assert (request.body or {})["text"] == "Bonjour {name}"

    @pytest.mark.parametrize("text", ["Bonjour {name}", "Bonjour {", "{}", "} {{"])
    def test_single_braces_are_refused_without_fields_too(self, text: str) -> None:
        assert "write {{ and }}" in refused("text", VoiceMessage(text=text))


class TestVoicemail:
    def test_a_drop(self) -> None:
        request = build(DROP, [ANNA, BEN])
        assert (request.method, request.path, request.endpoint) == ("POST", "campaign/send", "campaign/send")
        assert request.body == {"phoneNumbers": "+33612345678,+33690123456", "tokenAudio": "a1b2c3d4"}
        assert not request.safe_to_repeat

    def test_every_setting(self) -> None:
        message = Voicemail(
            audio_token="a1b2c3d4",
            sender="06 12.34-56 78",
            purpose="marketing",
            options={"email_for_notification": "ops@example.org", "notify_url": "https://example.org/a"},
        )
        assert build(message).body == {
            "phoneNumbers": "+33612345678",
            "tokenAudio": "a1b2c3d4",
            "sender": "0612345678",
            "emailForNotification": "ops@example.org",
            "notifyUrl": "https://example.org/a",
        }

    @pytest.mark.parametrize(
        "sender", ["0612345678", "+33612345678", "0033756123456", "+447911123456", "+590690123456"]
    )
    def test_mobile_senders(self, sender: str) -> None:
        body = build(Voicemail(audio_token="a", sender=sender)).body
        assert body is not None
        assert body["sender"] == sender

    @pytest.mark.parametrize(
        "sender", ["", "0140000000", "+33140000000", "MyCompany", "ABCDEFGHIJKL", "06123456789", "36180"]
    )
    def test_other_senders(self, sender: str) -> None:
        assert "mobile" in refused("sender", Voicemail(audio_token="a", sender=sender))

    @pytest.mark.parametrize("token", ["", "  "])
    def test_no_token(self, token: str) -> None:
        refused("audio_token", Voicemail(audio_token=token))

    @pytest.mark.parametrize("email", ["", "ops", "a@b", "a@b.fr,c@d.fr"])
    def test_no_email(self, email: str) -> None:
        refused(
            "options['email_for_notification']",
            Voicemail(audio_token="a", options={"email_for_notification": email}),
        )


class TestBatch:
    def test_an_sms_is_another_gateways_business(self) -> None:
        assert "smspartner" in refused("message", SmsMessage(text="x"))

    def test_there_is_no_simulation(self) -> None:
        assert "sandbox" in refused("simulate", simulate=True)

    @pytest.mark.parametrize("message", [CALL, DROP])
    def test_limits_of_a_batch(self, message: Message) -> None:
        refused("to", message, [])
        assert "501" in refused("to", message, [ANNA] * 501)
        body = build(message, [ANNA] * 500).body
        assert body is not None
        assert body["phoneNumbers"].count("+") == 500

    @pytest.mark.parametrize(
        "number", ["0612345678", "+33612345678,+33612345679", "+33 612345678", "", "+0612345678"]
    )
    def test_a_number_that_is_not_e164(self, number: str) -> None:
        problem = refused("to", recipients=[ANNA, Recipient(number)])
        assert "recipient 2" in problem
        assert not number or number not in problem

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "example.org/a",
            "ftp://example.org",
            "http://example.org/a",
            "https://",
            "https://a b",
            "https://[::1",
            "https://e.org:x/",
        ],
    )
    def test_a_callback_url_that_cannot_be_called(self, url: str) -> None:
        assert "https" in refused("callbacks.delivery", callbacks=CallbackUrls(delivery=url))
        refused("options['notify_url']", VoiceMessage(text="x", options={"notify_url": url}))

    def test_plain_http_is_for_this_machine_only(self) -> None:
        for host in ("127.0.0.1:8025", "localhost", "[::1]:80"):
            build(callbacks=CallbackUrls(delivery=f"http://{host}/a"))


class TestDate:
    @pytest.mark.parametrize(
        ("send_at", "on_the_wire"),
        [
            (datetime(2031, 5, 6, 12, 15, tzinfo=UTC), "2031-05-06 14:15:00"),
            (datetime(2031, 5, 6, 12, 15, 0, 1, tzinfo=UTC), "2031-05-06 14:16:00"),
            (datetime(2031, 12, 31, 22, 59, 30, tzinfo=UTC), "2032-01-01 00:00:00"),
            (pendulum.datetime(2031, 5, 6, 23, 5, tz="Asia/Tokyo"), "2031-05-06 16:05:00"),
        ],
    )
    def test_paris_time_in_full_minutes_never_earlier(self, send_at: datetime, on_the_wire: str) -> None:
        body = build(send_at=send_at).body
        assert body is not None
        assert body["scheduledDate"] == on_the_wire

    @pytest.mark.parametrize(
        ("send_at", "said"),
        [
            (datetime(2032, 1, 1), "time zone"),
            (NOW, "past"),
            (NOW - timedelta(days=1), "past"),
            (datetime.max.replace(tzinfo=UTC), "future"),
        ],
    )
    def test_dates_that_are_refused(self, send_at: datetime, said: str) -> None:
        assert said in refused("send_at", send_at=send_at)

    def test_the_hour_that_comes_twice_is_refused_when_its_first_turn_is_over(self) -> None:
        # On 26 October 2031, 02:30 comes at 00:30 and at 01:30 UTC.
        second = datetime(2031, 10, 26, 1, 30, tzinfo=UTC)
        assert "repeats" in refused("send_at", send_at=second, now=datetime(2031, 10, 26, 0, 45, tzinfo=UTC))
        build(send_at=second, now=datetime(2031, 10, 26, 0, 15, tzinfo=UTC))

    @given(seconds=st.integers(1, 10**9))
    def test_never_earlier_and_less_than_a_minute_later(self, seconds: int) -> None:
        wanted = NOW + timedelta(seconds=seconds)
        try:
            body = build(send_at=wanted).body
        except InvalidArgumentError:
            return
        assert body is not None
        written = datetime.strptime(body["scheduledDate"], "%Y-%m-%d %H:%M:00")
        moments = [pendulum.instance(written.replace(fold=fold), tz="Europe/Paris") for fold in (0, 1)]
        assert any(timedelta(0) <= moment - wanted < timedelta(minutes=1) for moment in moments)


class TestAuthentication:
    def test_a_send_carries_the_key_in_its_body(self) -> None:
        plain = build()
        request = voicepartner.authenticate(plain, Credentials(api_key=KEY))
        assert request.body == {**(plain.body or {}), "apiKey": KEY}
        assert request.path == "tts/send"
        assert KEY not in str(plain.body)

    @pytest.mark.parametrize(
        ("request_", "path"),
        [
            (voicepartner.build_balance(), "me/{}"),
            (voicepartner.build_audios(), "audios/{}"),
            (voicepartner.build_cancel("vm4T81", "tts"), "campaign/cancel/{}/vm4T81"),
        ],
    )
    def test_reads_and_cancels_carry_it_in_their_path(self, request_: ApiRequest, path: str) -> None:
        request = voicepartner.authenticate(request_, Credentials(api_key="a/b?c#d%e{api_key}"))
        assert request.path == path.format("a%2Fb%3Fc%23d%25e%7Bapi_key%7D")
        assert request.body is None

    @pytest.mark.parametrize("key", ["", " ", "q1 q2", "key\n", "clé", ".."])
    def test_a_key_that_cannot_be_one_is_never_shown(self, key: str) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            voicepartner.authenticate(build(), Credentials(api_key=key))
        assert caught.value.argument == "password"
        assert not key.strip() or key.strip(".") == "" or key not in str(caught.value)

    def test_a_read_without_a_place_for_the_key(self) -> None:
        request = ApiRequest(endpoint="me", method="GET", path="me", safe_to_repeat=True)
        with pytest.raises(InvalidArgumentError, match=r"\{api_key\}"):
            voicepartner.authenticate(request, Credentials(api_key="k"))


class TestOtherRequests:
    def test_balance(self) -> None:
        request = voicepartner.build_balance()
        assert (request.method, request.path, request.safe_to_repeat) == ("GET", "me/{api_key}", True)

    def test_audios(self) -> None:
        request = voicepartner.build_audios()
        assert (request.method, request.path, request.safe_to_repeat) == ("GET", "audios/{api_key}", True)

    def test_cancel_quotes_the_id(self) -> None:
        request = voicepartner.build_cancel(" a/b?{api_key} ", "voicemail")
        assert request.method == "DELETE"
        assert request.path == "campaign/cancel/{api_key}/a%2Fb%3F%7Bapi_key%7D"
        assert not request.safe_to_repeat
        assert request.body is None

    @pytest.mark.parametrize("gateway_id", ["", "  ", ".", ".."])
    def test_cancel_of_nothing(self, gateway_id: str) -> None:
        with pytest.raises(InvalidArgumentError, match="gateway_id"):
            voicepartner.build_cancel(gateway_id, "tts")

    def test_cancel_of_an_sms(self) -> None:
        with pytest.raises(InvalidArgumentError, match="kind"):
            voicepartner.build_cancel("vm4T81", "sms")

    def test_rename(self) -> None:
        request = voicepartner.build_rename_audio(audio_token="a1b2c3d4", filename="rappel")
        assert (request.method, request.path, request.safe_to_repeat) == ("POST", "audio-file/rename", True)
        assert request.body == {"tokenAudio": "a1b2c3d4", "filename": "rappel"}

    @pytest.mark.parametrize("filename", ["", "ab", "   ", "x" * 51])
    def test_rename_to_a_name_too_short_or_too_long(self, filename: str) -> None:
        with pytest.raises(InvalidArgumentError, match="3 to 50"):
            voicepartner.build_rename_audio(audio_token="a1b2c3d4", filename=filename)

    def test_rename_at_the_limits(self) -> None:
        voicepartner.build_rename_audio(audio_token="a", filename="abc")
        voicepartner.build_rename_audio(audio_token="a", filename="x" * 50)

    def test_rename_of_nothing(self) -> None:
        with pytest.raises(InvalidArgumentError, match="audio_token"):
            voicepartner.build_rename_audio(audio_token=" ", filename="abc")
