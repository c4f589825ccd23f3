"""A batch becomes the one request that fits it; bad input fails before anything is sent, naming argument and fix."""

from __future__ import annotations

import inspect
from typing import ClassVar

import pendulum
import pytest

from airflow_provider_voicepartner.gateways import smspartner
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import (
    CallbackUrls,
    Recipient,
    SmsMessage,
    Voicemail,
    VoiceMessage,
)
from airflow_provider_voicepartner.gateways.wire import ApiRequest, Credentials

NOW = pendulum.datetime(2031, 5, 6, 12, 0, tz="Europe/Paris")
REFERENCE = "k3v9x0q2w7ha"
ANNA = Recipient("+33600000001", {"name": "Anna", "hour": "9h"})
BEN = Recipient("+33600000002", {"name": "Ben", "hour": "10h"})
PLAIN = [Recipient("+33600000001"), Recipient("+33600000002")]


def build(message=None, recipients=PLAIN, **changes) -> ApiRequest:
    given = {"reference": REFERENCE, "now": NOW} | changes
    return smspartner.build_batch(message or SmsMessage(text="Hello"), recipients, **given)


def refused(argument: str, **given) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        build(**given)
    assert caught.value.argument == argument
    return caught.value.problem


def sms(text="Hello", **fields) -> SmsMessage:
    return SmsMessage(text=text, **fields)


class TestProtocol:
    def test_the_package_offers_all_a_gateway_must(self):
        gateway: Gateway = smspartner
        assert gateway.INFO.name == "smspartner"
        assert gateway.INFO.label == "SMS Partner"
        assert gateway.INFO.base_url == "https://api.smspartner.fr/v1"
        assert set(gateway.INFO.kinds) == {"sms"}

    def test_signatures_are_those_of_the_protocol(self):
        for name, member in inspect.getmembers(Gateway, inspect.isfunction):
            if name.startswith("_"):
                continue
            wanted = [p.name for p in inspect.signature(member).parameters.values() if p.name != "self"]
            assert list(inspect.signature(getattr(smspartner, name)).parameters) == wanted, name

    def test_every_name_it_exports_exists(self):
        assert all(hasattr(smspartner, name) for name in smspartner.__all__)


class TestKey:
    def test_goes_into_the_body_of_a_request_that_has_one(self):
        request = build()
        signed = smspartner.authenticate(request, Credentials(api_key="s3cret"))
        assert signed.body == {**request.body, "apiKey": "s3cret"}
        assert "apiKey" not in signed.params
        assert "apiKey" not in request.body, "the request itself is left untouched"

    def test_goes_into_the_query_of_a_request_without_body(self):
        request = smspartner.build_bulk_status(message_id="8123456")
        signed = smspartner.authenticate(request, Credentials(api_key="s3cret"))
        assert signed.params == {"messageId": "8123456", "apiKey": "s3cret"}
        assert signed.body is None
        assert dict(request.params) == {"messageId": "8123456"}

    def test_is_never_shown(self):
        for request in (build(), smspartner.build_me()):
            assert "s3cret" not in repr(smspartner.authenticate(request, Credentials(api_key="s3cret")))


class TestOneTextForAll:
    def test_goes_to_send(self):
        request = build()
        assert (request.method, request.path, request.endpoint) == ("POST", "send", "send")
        assert request.body == {
            "phoneNumbers": "+33600000001,+33600000002",
            "message": "Hello",
            "tag": REFERENCE,
        }
        assert request.safe_to_repeat is False
        assert dict(request.params) == {}

    def test_braces_go_out_where_they_are_written_double(self):
        text = '{{"state": "failed"}} for {{dag_id}}'
        assert build(sms(text)).body["message"] == '{"state": "failed"} for {dag_id}'

    @pytest.mark.parametrize("text", ["for {dag_id}", '{"state": "failed"}', "{}", "a } b"])
    def test_single_braces_without_any_fields_are_refused(self, text):
        assert "write {{ and }}" in refused("message", message=sms(text))

    def test_fields_without_placeholders_in_the_text_do_not_matter(self):
        request = build(recipients=[ANNA, BEN])
        assert request.endpoint == "send"
        assert request.body["message"] == "Hello"

    def test_line_breaks_and_euro_signs_are_written_as_the_gateway_wants_them(self):
        assert build(sms("one\ntwo\r\nthree\r4 €")).body["message"] == "one:br:two:br:three:br:4 :euro:"

    def test_nothing_else_in_the_text_is_changed(self):
        text = "Ça coûte “beaucoup” [sic] «ñ» ~ 😀"
        assert build(sms(text)).body["message"] == text

    def test_texts_are_named_as_private_in_both_spellings(self):
        assert build(sms("a\nb")).private == ("a\nb", "a:br:b")

    def test_neither_numbers_nor_texts_are_shown(self):
        shown = repr(build(sms("very private words")))
        assert "600000001" not in shown
        assert "private words" not in shown

    def test_sender(self):
        assert build(sms(sender="ACME42")).body["sender"] == "ACME42"
        assert "sender" not in build().body


class TestPersonalTexts:
    def test_each_number_gets_its_own_text(self):
        request = build(sms("{name}, come at {hour}!\n{name}"), [ANNA, BEN])
        assert (request.method, request.path, request.endpoint) == ("POST", "bulk-send", "bulk-send")
        assert request.body == {
            "SMSList": [
                {"phoneNumber": "+33600000001", "message": "Anna, come at 9h!:br:Anna"},
                {"phoneNumber": "+33600000002", "message": "Ben, come at 10h!:br:Ben"},
            ],
            "tag": REFERENCE,
        }
        assert request.safe_to_repeat is False

    def test_every_filled_text_is_private(self):
        assert {"Hi Anna", "Hi Ben"} <= set(build(sms("Hi {name}"), [ANNA, BEN]).private)

    def test_a_recipient_without_the_field_stops_the_batch(self):
        problem = refused("message", message=sms("Hi {name}"), recipients=[ANNA, Recipient("+33600000003")])
        assert "'name'" in problem
        assert "add it to each recipient" in problem

    def test_braces_in_a_field_are_not_read_again(self):
        tricky = Recipient("+33600000001", {"name": "{hour}", "hour": "9h"})
        assert build(sms("Hi {name}"), [tricky]).body["SMSList"][0]["message"] == "Hi {hour}"

    def test_a_text_that_is_empty_once_filled_in_is_refused(self):
        assert "empty" in refused(
            "message", message=sms("{name}"), recipients=[ANNA, Recipient("+33600000002", {"name": ""})]
        )

    def test_a_text_that_is_too_long_once_filled_in_is_refused(self):
        long = Recipient("+33600000002", {"name": "x" * 1531})
        assert "1 characters too long" in refused("message", message=sms("{name}"), recipients=[ANNA, long])

    def test_all_options_travel_along(self):
        message = sms(
            "Hi {name}", sender="ACME", purpose="marketing", options={"gamme": "premium", "tag": "rdv"}
        )
        body = build(message, [ANNA], send_at=NOW.add(hours=1), simulate=True).body
        assert {key: body[key] for key in body if key != "SMSList"} == {
            "sender": "ACME",
            "gamme": 1,
            "scheduledDeliveryDate": "06/05/2031",
            "time": 13,
            "minute": 0,
            "tag": f"rdv-{REFERENCE}",
            "isStopSms": 1,
            "sandbox": 1,
        }


class TestVirtualNumber:
    OPTIONS: ClassVar = {"virtual_number": "+33 6 44 00 00 00", "tag": "vn"}

    def test_one_recipient_goes_to_vn_send(self):
        message = sms("Hi {name}", options=self.OPTIONS, purpose="marketing")
        request = build(message, [ANNA], callbacks=CallbackUrls(delivery="https://a.example/d"))
        assert (request.method, request.path, request.endpoint) == ("POST", "vn/send", "vn/send")
        assert request.body == {
            "to": "+33600000001",
            "from": "33644000000",
            "message": "Hi Anna",
            "tag": f"vn-{REFERENCE}",
            "isStopSms": 1,
            "urlDlr": "https://a.example/d",
        }
        assert request.safe_to_repeat is False

    def test_several_recipients_are_refused(self):
        assert "one per request" in refused("to", message=sms(options=self.OPTIONS))

    def test_it_cannot_be_scheduled(self):
        refused("send_at", message=sms(options=self.OPTIONS), recipients=PLAIN[:1], send_at=NOW.add(hours=1))

    @pytest.mark.parametrize(
        ("argument", "fields"),
        [
            ("sender", {"sender": "ACME"}),
            ("options['gamme']", {"options": OPTIONS | {"gamme": 1}}),
            ("options['is_unicode']", {"options": OPTIONS | {"is_unicode": True}}),
        ],
    )
    def test_what_vn_send_does_not_take_is_refused(self, argument, fields):
        refused(argument, message=sms(**({"options": self.OPTIONS} | fields)), recipients=PLAIN[:1])

    def test_a_number_given_as_a_number_is_read(self):
        assert build(sms(options={"virtual_number": 33644000000}), PLAIN[:1]).body["from"] == "33644000000"


class TestOptions:
    @pytest.mark.parametrize(
        ("given", "sent"), [("premium", 1), ("low_cost", 2), (1, 1), (2, 2), ("2", 2), ("Premium", 1)]
    )
    def test_gamme(self, given, sent):
        assert build(sms(options={"gamme": given})).body["gamme"] == sent

    @pytest.mark.parametrize("given", [3, 0, True, "eco", ""])
    def test_another_gamme_is_refused(self, given):
        assert "'premium' (1) or 'low_cost' (2)" in refused(
            "options['gamme']", message=sms(options={"gamme": given})
        )

    def test_an_unknown_name_is_refused_and_the_known_ones_are_listed(self):
        problem = refused("options['is_stop']", message=sms(options={"is_stop": True}))
        assert "is_stop_sms" in problem
        assert "virtual_number" in problem

    @pytest.mark.parametrize(
        ("purpose", "options", "sent"),
        [
            ("alert", {}, None),
            ("marketing", {}, 1),
            ("marketing", {"is_stop_sms": False}, None),
            ("alert", {"is_stop_sms": True}, 1),
            ("marketing", {"gamme": 1}, 1),
            ("marketing", {"gamme": 2}, None),
        ],
    )
    def test_the_stop_mention(self, purpose, options, sent):
        message = sms("Sale! NoPub=STOP", purpose=purpose, options=options)
        assert build(message).body.get("isStopSms") == sent

    def test_low_cost_marketing_needs_its_own_stop_mention(self):
        for options in ({"gamme": 2}, {"gamme": 2, "is_stop_sms": False}):
            assert "NoPub=STOP" in refused(
                "message", message=sms("Sale!", purpose="marketing", options=options)
            )

    def test_a_low_cost_alert_needs_none(self):
        assert build(sms("Alert!", options={"gamme": 2})).body["gamme"] == 2

    def test_the_automatic_stop_mention_is_for_premium(self):
        refused(
            "options['is_stop_sms']", message=sms("NoPub=STOP", options={"gamme": 2, "is_stop_sms": True})
        )

    def test_unicode(self):
        assert build(sms("Привет", options={"is_unicode": True})).body["isUnicode"] == 1
        assert "isUnicode" not in build().body

    def test_the_tag_is_the_users_and_our_reference(self):
        tag = build(sms(options={"tag": "rdv2031"})).body["tag"]
        assert tag == f"rdv2031-{REFERENCE}"
        assert len(tag) == 20
        assert smspartner.batch_tag(sms(options={"tag": "rdv2031"}), REFERENCE) == tag
        assert smspartner.reference_of(tag) == REFERENCE

    @pytest.mark.parametrize("tag", ["rdv20312", "", "RDV", "a b", "é", "a-b", "ab\n"])
    def test_a_tag_the_gateway_would_not_take_is_refused(self, tag):
        assert "lower-case" in refused("options['tag']", message=sms(options={"tag": tag}))

    @pytest.mark.parametrize(
        "reference", ["", "k3v9x0q2w7h", "K3V9X0Q2W7HA", "k3v9x0q2w7ha1", "k3v9x0q2 7ha"]
    )
    def test_a_reference_that_would_break_the_tag_is_refused(self, reference):
        refused("reference", reference=reference)

    def test_simulation(self):
        assert "sandbox" not in build().body
        assert build(simulate=True).body["sandbox"] == 1
        assert build(sms(options={"sandbox": True})).body["sandbox"] == 1

    def test_callback_urls(self):
        callbacks = CallbackUrls(delivery="https://a.example/d", replies="http://127.0.0.1:8080/r")
        body = build(callbacks=callbacks).body
        assert (body["urlDlr"], body["urlResponse"]) == ("https://a.example/d", "http://127.0.0.1:8080/r")
        assert "urlDlr" not in build().body

    def test_urls_in_options_come_first(self):
        options = {"url_dlr": "https://mine.example/d", "url_response": "https://mine.example/r"}
        callbacks = CallbackUrls(delivery="https://a.example/d", replies="https://a.example/r")
        body = build(sms(options=options), callbacks=callbacks).body
        assert (body["urlDlr"], body["urlResponse"]) == ("https://mine.example/d", "https://mine.example/r")

    @pytest.mark.parametrize(
        "url",
        [
            "http://a.example/d", "ftp://a.example", "a.example/d", "https://", "https:///d", "http://127.0.0.1.evil/",
            "https://a.example/ d", "http://[::1", "https://a.example:port/", "",
        ],
    )  # fmt: skip
    def test_a_url_that_is_not_https_is_refused(self, url):
        for name in ("url_dlr", "url_response"):
            assert "https://" in refused(f"options[{name!r}]", message=sms(options={name: url}))
        assert "https://" in refused("callbacks.delivery", callbacks=CallbackUrls(delivery=url))
        assert "https://" in refused("callbacks.replies", callbacks=CallbackUrls(replies=url))

    @pytest.mark.parametrize(
        "url", ["http://localhost:1/", "http://[::1]/d", "https://192.0.2.1/", "HTTPS://A.example"]
    )
    def test_a_url_that_may_be_given(self, url):
        assert build(sms(options={"url_dlr": url})).body["urlDlr"] == url


class TestBadInput:
    @pytest.mark.parametrize(
        "message", [VoiceMessage(text="Hello"), Voicemail(audio_token="t0k3n")], ids=["tts", "voicemail"]
    )
    def test_only_sms(self, message):
        assert message.kind in refused("message", message=message)

    def test_nobody(self):
        assert "at least one" in refused("to", recipients=[])

    def test_500_are_taken_and_501_are_not(self):
        many = [Recipient(f"+336{n:08}") for n in range(501)]
        assert build(recipients=many[:500]).body["phoneNumbers"].count(",") == 499
        problem = refused("to", recipients=many)
        assert "501" in problem
        assert "split" in problem

    @pytest.mark.parametrize(
        "number",
        [
            "0600000001",
            "33600000001",
            "+0600000001",
            "+336A0000001",
            "+33600000001,+33600000002",
            "",
            "+336\n",
        ],
    )
    def test_a_number_that_is_not_e164_is_named_by_its_position_only(self, number):
        problem = refused("to", recipients=[PLAIN[0], Recipient(number)])
        assert "recipient 2" in problem
        assert not number or number not in problem

    @pytest.mark.parametrize("text", ["", " ", "\n\t"])
    def test_an_empty_text(self, text):
        assert "empty" in refused("message", message=sms(text))

    def test_half_a_character(self):
        assert "half of a character" in refused("message", message=sms("\ud83d"))

    @pytest.mark.parametrize(
        "sender",
        ["AB", "ABCDEFGHIJKL", " ACME", "ACME ", "A\u00a0B", "ACMÉ", "AC-ME", "", "ACME\n", "ＡＣＭＥ"],
    )
    def test_a_sender_the_gateway_would_not_take(self, sender):
        assert "3 to 11 letters" in refused("sender", message=sms(sender=sender))

    def test_a_sender_of_12_characters_is_told_its_length(self):
        assert "12 characters" in refused("sender", message=sms(sender="ABCDEFGHIJKL"))

    @pytest.mark.parametrize("sender", ["ABC", "ABCDEFGHIJK", "36111", "Acme1", "MA BOUTIQUE"])
    def test_senders_that_are_taken(self, sender):
        assert build(sms(sender=sender)).body["sender"] == sender

    def test_more_than_10_linked_sms(self):
        assert build(sms("x" * 1530)).body["message"] == "x" * 1530
        problem = refused("message", message=sms("x" * 1533))
        assert "3 characters too long" in problem
        assert "1530" in problem

    def test_more_than_10_linked_unicode_sms(self):
        build(sms("я" * 670, options={"is_unicode": True}))
        assert "670" in refused("message", message=sms("я" * 671, options={"is_unicode": True}))

    def test_low_cost_is_one_sms(self):
        build(sms("x" * 160, options={"gamme": 2}))
        assert "Low Cost SMS takes 160" in refused("message", message=sms("x" * 161, options={"gamme": 2}))

    @pytest.mark.parametrize(
        ("send_at", "said"),
        [
            (NOW.subtract(minutes=1), "past"),
            (NOW, "past"),
            (NOW.add(hours=1).naive(), "no time zone"),
        ],
    )
    def test_a_date_that_is_naive_or_past(self, send_at, said):
        assert said in refused("send_at", send_at=send_at)

    def test_errors_hold_no_text(self):
        for message in (sms("private words" * 200), sms("private words", sender="x"), sms("private {words}")):
            with pytest.raises(InvalidArgumentError) as caught:
                build(message, [ANNA])
            assert "private" not in str(caught.value)


class TestCheckMessage:
    """What can be known before there are recipients."""

    def test_a_good_message(self):
        smspartner.check_message(sms("Hi {name}", sender="ACME"), True)

    @pytest.mark.parametrize("has_fields", [True, False])
    @pytest.mark.parametrize(
        ("argument", "message"),
        [
            ("message", sms("")),
            ("message", sms("x" * 1531)),
            ("sender", sms(sender="ABCDEFGHIJKL")),
            ("options['tags']", sms(options={"tags": "x"})),
            ("options['tag']", sms(options={"tag": "TOO LONG"})),
            ("message", VoiceMessage(text="Hello")),
        ],
    )
    def test_bad_ones(self, argument, message, has_fields):
        with pytest.raises(InvalidArgumentError) as caught:
            smspartner.check_message(message, has_fields)
        assert caught.value.argument == argument

    def test_a_text_that_is_all_placeholder_is_not_empty(self):
        smspartner.check_message(sms("{text}"), True)

    def test_a_text_is_measured_without_its_placeholders_and_doubled_braces(self):
        smspartner.check_message(sms("x" * 1529 + "{name}"), True)
        smspartner.check_message(sms("x" * 1528 + "{{}}"), False)
        for text in ("x" * 1531 + "{name}", "x" * 1529 + "{{}}{name}"):
            with pytest.raises(InvalidArgumentError, match="too long"):
                smspartner.check_message(sms(text), True)


class TestCancel:
    def test_request(self):
        request = smspartner.build_cancel("8123456", "sms")
        assert (request.method, request.path) == ("GET", "message-cancel")
        assert dict(request.params) == {"messageId": "8123456"}
        assert request.safe_to_repeat is True

    def test_another_kind_is_refused(self):
        with pytest.raises(InvalidArgumentError, match=r"^kind: "):
            smspartner.build_cancel("8123456", "tts")

    def test_balance_is_read_from_me(self):
        assert smspartner.build_balance() == smspartner.build_me()
