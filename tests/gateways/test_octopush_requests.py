"""What goes to Octopush: each parameter, limit and refusal of its calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unicodedata import normalize

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import octopush
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    Message,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.placeholders import read_template
from airflow_provider_voicepartner.gateways.wire import ApiRequest, Credentials

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
ANNA, BEN = Recipient("+33612345678"), Recipient("+33690123456")
SMS = SmsMessage(text="La sauvegarde a échoué.")
CALL = VoiceMessage(text="La sauvegarde a échoué.")
BOTH = pytest.mark.parametrize("message", [SMS, CALL])


def build(message: Message = SMS, recipients: Any = (ANNA,), **more: Any) -> ApiRequest:
    return octopush.build_batch(message, recipients, **({"reference": "k3v9x0q2w7ha", "now": NOW} | more))


def body_of(message: Message = SMS, recipients: Any = (ANNA,), **more: Any) -> dict[str, Any]:
    return dict(build(message, recipients, **more).body or {})


def refused(argument: str, message: Message = SMS, recipients: Any = (ANNA,), **more: Any) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        build(message, recipients, **more)
    assert caught.value.argument == argument
    return caught.value.problem


class TestSms:
    def test_plain(self) -> None:
        request = build(recipients=[ANNA, BEN])
        assert (request.method, request.path, request.endpoint) == (
            "POST",
            "sms-campaign/send",
            "sms-campaign/send",
        )
        assert request.body == {
            "text": "La sauvegarde a échoué.",
            "recipients": [{"phone_number": "+33612345678"}, {"phone_number": "+33690123456"}],
            "purpose": "alert",
            "type": "sms_premium",
            "request_id": "k3v9x0q2w7ha",
        }
        assert not request.safe_to_repeat
        assert request.private == ("La sauvegarde a échoué.",)

    def test_every_setting(self) -> None:
        options = {
            "type": "sms_low_cost", "with_replies": True, "auto_optimize_text": False, "list_name": "mai",
            "auto_remove_blacklisted_numbers": "true", "recipient_tracking": False,
        }  # fmt: skip
        body = body_of(SmsMessage(text="x", sender="MyApp", purpose="marketing", options=options))
        assert body == {
            "text": "x", "recipients": [{"phone_number": "+33612345678"}], "purpose": "wholesale", "sender": "MyApp",
            "request_id": "k3v9x0q2w7ha", **options, "auto_remove_blacklisted_numbers": True,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("type", "vocal_sms"),
            ("with_replies", "perhaps"),
            ("list_name", ""),
            ("voice_gender", "male"),
            ("typo", 1),
        ],
    )
    def test_settings_that_are_refused(self, name: str, value: object) -> None:
        assert "with_replies" in refused(f"options['{name}']", SmsMessage(text="x", options={name: value}))


class TestCall:
    def test_plain(self) -> None:
        request = build(CALL)
        assert (request.path, request.endpoint) == ("voice-campaign/send", "voice-campaign/send")
        assert request.body == {
            "text": "La sauvegarde a échoué.",
            "recipients": [{"phone_number": "+33612345678"}],
            "purpose": "alert",
            "voice_gender": "female",
            "voice_language": "fr-FR",
            "request_id": "k3v9x0q2w7ha",
        }

    def test_every_setting(self) -> None:
        options = {
            "voice_gender": "male",
            "get_back_pressed_keys": True,
            "auto_remove_blacklisted_numbers": False,
        }
        body = body_of(VoiceMessage(text="x", sender="33140000000", language="en", options=options))
        assert body == {
            "text": "x", "recipients": [{"phone_number": "+33612345678"}], "purpose": "alert", "sender": "33140000000",
            "request_id": "k3v9x0q2w7ha", "voice_language": "en-GB", **options,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("language", "on_the_wire"),
        [
            (None, "fr-FR"), ("fr", "fr-FR"), ("FR", "fr-FR"), ("en", "en-GB"), ("en-us", "en-US"), ("pt_BR", "pt-BR"),
            ("el-GR", "el-GR"), ("arb", "arb"), ("sv-SE", "sv-SE"), ("es-LA", "es-LA"), (" zh-HK ", "zh-HK"),
        ],
    )  # fmt: skip
    def test_languages(self, language: str | None, on_the_wire: str) -> None:
        assert body_of(VoiceMessage(text="x", language=language))["voice_language"] == on_the_wire

    @pytest.mark.parametrize("language", ["", "french please", "f", "tr-TR", "de"])
    def test_languages_that_are_refused(self, language: str) -> None:
        refused("language", VoiceMessage(text="x", language=language))

    def test_a_language_that_the_published_list_lost(self) -> None:
        assert "allow_any_language" in refused("language", VoiceMessage(text="x", language="tr-TR"))
        body = body_of(VoiceMessage(text="x", language="tr_TR", options={"allow_any_language": True}))
        assert body["voice_language"] == "tr-TR"
        assert "allow_any_language" not in body
        refused("language", VoiceMessage(text="x", language="?", options={"allow_any_language": True}))

    def test_a_language_without_a_male_voice(self) -> None:
        male = {"voice_gender": "male"}
        assert "female" in refused(
            "options['voice_gender']", VoiceMessage(text="x", language="sv-SE", options=male)
        )
        body_of(VoiceMessage(text="x", language="fr-FR", options=male))
        body_of(VoiceMessage(text="x", language="sv-SE", options={**male, "allow_any_language": True}))

    @pytest.mark.parametrize(
        ("name", "value"),
        [("voice_gender", "robot"), ("type", "sms_premium"), ("get_back_pressed_keys", "perhaps")],
    )
    def test_settings_that_are_refused(self, name: str, value: object) -> None:
        assert "get_back_pressed_keys" in refused(
            f"options['{name}']", VoiceMessage(text="x", options={name: value})
        )

    def test_no_audio_files(self) -> None:
        assert "voicepartner" in refused("audio_token", VoiceMessage(audio_token="a1b2c3d4"))
        refused("audio_token", VoiceMessage(audio_token="a1b2c3d4", text="x"))


class TestBothKinds:
    def test_no_voicemail(self) -> None:
        assert "voicepartner" in refused("message", Voicemail(audio_token="a1b2c3d4"))

    @pytest.mark.parametrize("text", ["", " \n"])
    def test_empty_text(self, text: str) -> None:
        refused("message", SmsMessage(text=text))
        refused("text", VoiceMessage(text=text))

    def test_no_text(self) -> None:
        refused("text", VoiceMessage())

    def test_length_of_a_text(self) -> None:
        assert "1225" in refused("message", SmsMessage(text="x" * 1225))
        assert "1224" in refused("text", VoiceMessage(text="x" * 1225))
        assert body_of(SmsMessage(text="x" * 1224))["text"] == "x" * 1224

    def test_half_a_character(self) -> None:
        refused("message", SmsMessage(text="\ud83d"))

    @pytest.mark.parametrize(
        "sender", ["", "ab", "ABCDEFGHIJKL", "My App", "Café", "+33140000", "A-B-C", "x\n"]
    )
    def test_senders_that_are_refused(self, sender: str) -> None:
        refused("sender", SmsMessage(text="x", sender=sender))
        refused("sender", VoiceMessage(text="x", sender=sender))

    @pytest.mark.parametrize("sender", ["abc", "ABCDEFGHIJK", "33140000000", "36180"])
    def test_senders(self, sender: str) -> None:
        assert body_of(SmsMessage(text="x", sender=sender))["sender"] == sender
        assert body_of(VoiceMessage(text="x", sender=sender))["sender"] == sender

    def test_a_purpose_of_another_world(self) -> None:
        refused("purpose", SmsMessage(text="x", purpose=cast("Any", "transactional")))

    @BOTH
    def test_number_of_recipients(self, message: Message) -> None:
        refused("to", message, [])
        assert "501" in refused("to", message, [ANNA] * 501)
        assert len(body_of(message, [ANNA] * 500)["recipients"]) == 500

    @pytest.mark.parametrize("number", ["0698765432", "33698765432", "+33 698765432", "", "+0698765432"])
    def test_a_number_that_is_not_e164(self, number: str) -> None:
        problem = refused("to", recipients=[ANNA, Recipient(number)])
        assert "recipient 2" in problem
        assert not number or number not in problem

    def test_a_simulation_uses_up_no_id(self) -> None:
        body = body_of(simulate=True)
        assert body["simulation_mode"] is True
        assert body["request_id"] == "k3v9x0q2w7ha-simulated"
        assert "simulation_mode" not in body_of()

    def test_callback_urls_are_the_accounts(self) -> None:
        assert body_of(callbacks=CallbackUrls(delivery="https://example.org/a")) == body_of()


class TestDate:
    @BOTH
    @pytest.mark.parametrize(
        ("send_at", "on_the_wire"),
        [
            (datetime(2031, 5, 6, 12, 15, tzinfo=UTC), "2031-05-06T14:15:00+02:00"),
            (datetime(2031, 12, 31, 22, 59, 59, 1, tzinfo=UTC), "2032-01-01T00:00:00+01:00"),
            (pendulum.datetime(2031, 5, 6, 23, 5, 7, tz="Asia/Tokyo"), "2031-05-06T16:05:07+02:00"),
            (datetime(2031, 10, 26, 0, 30, tzinfo=UTC), "2031-10-26T02:30:00+02:00"),
            (datetime(2031, 10, 26, 1, 30, tzinfo=UTC), "2031-10-26T02:30:00+01:00"),
        ],
    )
    def test_paris_time_with_its_offset(self, message: Message, send_at: datetime, on_the_wire: str) -> None:
        assert body_of(message, send_at=send_at)["send_at"] == on_the_wire

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

    @given(st.integers(1, 10**15))
    def test_never_earlier_and_less_than_a_second_later(self, microseconds: int) -> None:
        wanted = NOW + timedelta(microseconds=microseconds)
        written = datetime.fromisoformat(body_of(send_at=wanted)["send_at"])
        assert timedelta(0) <= written - wanted < timedelta(seconds=1)


class TestPersonalTexts:
    def test_own_names_take_free_places(self) -> None:
        guests = [
            Recipient("+33612345678", {"first_name": "Zoé", "ville": "Lyon", "param1": "12", "unused": "x"}),
            Recipient("+33690123456", {"first_name": "Ada", "ville": "Metz", "param1": "13"}),
        ]
        request = build(SmsMessage(text="{first_name}, {ville}, {param1}, {ville}"), guests)
        assert request.body is not None
        assert request.body["text"] == "{first_name}, {param2}, {param1}, {param2}"
        assert request.body["recipients"] == [
            {"phone_number": "+33612345678", "first_name": "Zoé", "param2": "Lyon", "param1": "12"},
            {"phone_number": "+33690123456", "first_name": "Ada", "param2": "Metz", "param1": "13"},
        ]
        assert {"Zoé", "Lyon"} <= set(request.private)
        assert "Zoé" not in repr(request)

    def test_calls_too(self) -> None:
        body = body_of(VoiceMessage(text="Bonjour {nom}"), [Recipient("+33612345678", {"nom": "Zoé"})])
        assert (body["text"], body["recipients"][0]["param1"]) == ("Bonjour {param1}", "Zoé")

    def test_at_most_five_of_our_own_and_two_names(self) -> None:
        fields = dict.fromkeys("abcdef", "x") | {"first_name": "Z", "last_name": "Y"}
        text = "{first_name}{last_name}{a}{b}{c}{d}{e}"
        body_of(SmsMessage(text=text), [Recipient("+33612345678", fields)])
        assert "room for 5" in refused(
            "message", SmsMessage(text=text + "{f}"), [Recipient("+33612345678", fields)]
        )
        crowded = VoiceMessage(text="{param3}{a}{b}{c}{d}{e}")
        assert "room for 4" in refused(
            "text", crowded, [Recipient("+33612345678", {**fields, "param3": "x"})]
        )

    def test_fields_that_nobody_names_are_not_sent(self) -> None:
        body = body_of(SMS, [Recipient("+33612345678", {"first_name": "Zoé"})])
        assert body["recipients"] == [{"phone_number": "+33612345678"}]

    @pytest.mark.parametrize("text", ["Bonjour {first_name}", "{param5}", "{ville} {last_name}"])
    def test_a_placeholder_that_nobody_has_a_field_for(self, text: str) -> None:
        assert "no such field (there are none)" in refused("message", SmsMessage(text=text))

    @pytest.mark.parametrize("text", ["Bonjour {{first_name}}", "{{param5}}", "{{ville}} {{last_name}}"])
    def test_braces_that_are_meant_and_that_the_service_would_blank(self, text: str) -> None:
        assert "Octopush replaces it" in refused("message", SmsMessage(text=text))
        assert "Octopush replaces it" in refused("text", VoiceMessage(text=text))

    def test_a_field_that_holds_what_the_service_would_blank(self) -> None:
        guest = Recipient("+33612345678", {"a": "{param2}"})
        assert "Octopush replaces it" in refused("to", SmsMessage(text="Bonjour {a}"), [guest])

    def test_other_braces_that_are_meant_are_text(self) -> None:
        assert body_of(SmsMessage(text="{{ville}} {{param6}}"))["text"] == "{ville} {param6}"
        guest = Recipient("+33612345678", {"ville": "Lyon"})
        assert body_of(SmsMessage(text="{{{ville}}}"), [guest])["text"] == "{{param1}}"

    def test_a_missing_field(self) -> None:
        guests = [Recipient("+33612345678", {"ville": "Lyon"}), Recipient("+33690123456", {"town": "Metz"})]
        problem = refused("to", SmsMessage(text="{ville}"), guests)
        assert "recipient 2" in problem
        assert "'ville'" in problem
        refused("to", SmsMessage(text="{ville}"), [guests[0], BEN])

    def test_length_of_a_field(self) -> None:
        body_of(SmsMessage(text="{a}"), [Recipient("+33612345678", {"a": "x" * 50})])
        problem = refused("to", SmsMessage(text="{a}"), [ANNA_WITH_51])
        assert "51" in problem
        assert "xxx" not in problem

    def test_length_of_a_filled_in_text(self) -> None:
        guest = Recipient("+33612345678", {"a": "x" * 50})
        assert "1225" in refused("to", SmsMessage(text="y" * 1175 + "{a}"), [guest])

    def test_half_a_character_in_a_field(self) -> None:
        refused("to", SmsMessage(text="{a}"), [Recipient("+33612345678", {"a": "\ud83d"})])

    @pytest.mark.parametrize(
        ("text", "field"),
        [("e{a}", "\u0301"), ("{a}\u0301", "e"), ("e{a}t", "\u0302\u0301"), ("\u1112{a}", "\u1161\u11ab")],
    )
    def test_a_character_that_is_half_in_the_text(self, text: str, field: str) -> None:
        """The service would send both halves as they are: three times as dear as what was counted."""
        guest = Recipient("+33612345678", {"a": field})
        assert "begins or ends within a character" in refused("to", SmsMessage(text=text), [guest])
        whole = Recipient("+33612345678", {"a": normalize("NFD", "é")})
        assert body_of(SmsMessage(text="e {a}"), [whole])["recipients"][0]["param1"] == "é"

    @given(
        st.lists(
            st.sampled_from(["a", "ville", "param1", "param3", "first_name", " ", "{{", "é"]), max_size=8
        ),
        st.dictionaries(
            st.sampled_from(["a", "ville", "param1", "param3", "first_name"]),
            st.text("xyz", max_size=5),
            min_size=5,
        ),
    )
    def test_what_the_service_fills_in_is_what_we_would(
        self, parts: list[str], fields: dict[str, str]
    ) -> None:
        text = "x" + "".join(f"{{{part}}}" if part in fields else part for part in parts)
        body = body_of(SmsMessage(text=text), [Recipient("+33612345678", fields)])
        said = str(body["text"])
        for name, value in body["recipients"][0].items():
            said = said.replace(f"{{{name}}}", value)
        assert said == read_template(text).fill_in(fields)


ANNA_WITH_51 = Recipient("+33612345678", {"a": "x" * 51})


class TestAuthentication:
    def test_two_headers(self) -> None:
        plain = build()
        request = octopush.authenticate(plain, Credentials(api_key="s3cr3t", login="ops@example.org"))
        assert request.headers == {"api-login": "ops@example.org", "api-key": "s3cr3t"}
        assert request.body == plain.body
        assert plain.headers == {}
        assert "s3cr3t" not in repr(request)

    @pytest.mark.parametrize("login", [None, "", "a b", "ops@example.org\n", "é@example.org"])
    def test_no_login(self, login: str | None) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            octopush.authenticate(build(), Credentials(api_key="s3cr3t", login=login))
        assert caught.value.argument == "login"
        assert "s3cr3t" not in str(caught.value)

    @pytest.mark.parametrize("key", ["", "s3cr3t\r\n", "s3cr3té", "s3 cr3t"])
    def test_no_key(self, key: str) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            octopush.authenticate(build(), Credentials(api_key=key, login="ops@example.org"))
        assert caught.value.argument == "password"
        assert "cr3t" not in str(caught.value)


class TestBalance:
    def test_money(self) -> None:
        request = octopush.build_balance()
        assert (request.method, request.path, request.safe_to_repeat) == ("GET", "wallet/check-balance", True)
        assert request.params == {}

    def test_every_parameter(self) -> None:
        request = octopush.build_balance(country_code="FR", product_name="vocal_sms", with_details=True)
        assert request.params == {"country_code": "FR", "product_name": "vocal_sms", "with_details": "1"}

    @pytest.mark.parametrize(
        ("given_", "argument"),
        [
            ({"country_code": "FR"}, "product_name"),
            ({"product_name": "hlr"}, "country_code"),
            ({"country_code": "fr", "product_name": "hlr"}, "country_code"),
            ({"country_code": "FR", "product_name": "sms"}, "product_name"),
        ],
    )
    def test_refused(self, given_: dict[str, Any], argument: str) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            octopush.build_balance(**given_)
        assert caught.value.argument == argument


class TestCancel:
    @pytest.mark.parametrize(
        ("kind", "path"), [("sms", "sms-campaign/cancel"), ("tts", "voice-campaign/cancel")]
    )
    def test_a_delete_with_a_body(self, kind: Any, path: str) -> None:
        request = octopush.build_cancel(" voice_6543aa10c9d21 ", kind)
        assert (request.method, request.path, request.endpoint) == ("DELETE", path, path)
        assert request.body == {"ticket_number": "voice_6543aa10c9d21"}
        assert not request.safe_to_repeat

    def test_refused(self) -> None:
        with pytest.raises(InvalidArgumentError, match="gateway_id"):
            octopush.build_cancel(" ", "sms")
        with pytest.raises(InvalidArgumentError, match="kind"):
            octopush.build_cancel("voice_6543aa10c9d21", "voicemail")
