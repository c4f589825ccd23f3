"""What Voice Partner answers: each documented shape, and what an odd one proves."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import voicepartner
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError
from airflow_provider_voicepartner.gateways.model import Message, Recipient, Voicemail, VoiceMessage
from airflow_provider_voicepartner.gateways.wire import ApiResponse
from tests.support.examples import examples

CALL, DROP = VoiceMessage(text="Bonjour"), Voicemail(audio_token="a1b2c3d4")
TWO = (Recipient("+33612345678"), Recipient("+33690123456"))

TTS = {
    "success": True, "campaignId": "Qa7x2kd9vb", "cost": 0.12, "currency": "EUR", "nbSms": 2, "lang": "fr",
    "duration": 5.4,
    "detail": {"33": {"nbSms": 2, "cost_unity": 0.06, "cost": 0.12, "country_code": "fr", "duration": 5.4}},
}  # fmt: skip
VOICEMAIL = {
    "success": True, "campaignId": "vm4T81", "cost": 0.3, "currency": "EUR", "nbSms": 2,
    "audioFile": {"filename": "rappel-rdv.wav", "size": "88.2Ko"},
    "detail": {"33": {"nbSms": 2, "cost_unity": 0.15, "cost": 0.3}},
}  # fmt: skip
ME = {
    "success": True, "credit": "42.5", "currency": "€",
    "details": {"tts": {"h": 2, "m": 15, "s": 90}, "tts_fixe": {"h": 5, "m": 1, "s": 9}, "voice": {"message": 283}},
}  # fmt: skip
AUDIOS = {
    "nb_datas": 1,
    "datas": [{
        "name": "rappel-rdv", "token": "a1b2c3d4", "size": "88.2Ko", "duration": "0:12",
        "created_at": {"date": "2030-03-04 09:10:11.000000", "timezone_type": 3, "timezone": "Europe/Paris"},
    }],
}  # fmt: skip
CANCELLED = {"success": True, "campaignId": "vm4T81", "assignedCredit": "0.3", "currency": "EUR"}
RENAMED = {"success": True, "filename": "rappel-janvier", "tokenAudio": "a1b2c3d4"}


def answer(data: Any, status: int = 200, private: tuple[str, ...] = ()) -> ApiResponse:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return ApiResponse(status=status, body=body, private=private)


def batch_error(
    data: Any, status: int = 200, message: Message = CALL, recipients: Any = TWO, **more: Any
) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        voicepartner.parse_batch(answer(data, status, **more), message, recipients)
    return caught.value


class TestReceipt:
    def test_of_a_call(self) -> None:
        receipt = voicepartner.parse_batch(answer(TTS), CALL, TWO)
        assert (receipt.gateway_id, receipt.accepted, receipt.segments) == ("Qa7x2kd9vb", 2, 2)
        assert (receipt.cost, receipt.currency, receipt.duration) == (Decimal("0.12"), "EUR", Decimal("5.4"))
        assert receipt.raw["lang"] == "fr"

    def test_of_a_voicemail_drop(self) -> None:
        receipt = voicepartner.parse_batch(answer(VOICEMAIL), DROP, TWO)
        assert (receipt.gateway_id, receipt.cost, receipt.duration) == ("vm4T81", Decimal("0.3"), None)
        assert receipt.raw["audioFile"] == {"filename": "rappel-rdv.wav", "size": "88.2Ko"}

    def test_read_tolerantly(self) -> None:
        data = {
            "success": "true",
            "campaignId": 48123,
            "cost": "0,1200",
            "nbSms": "1",
            "currency": "€",
            "new": [1],
        }
        receipt = voicepartner.parse_batch(answer(data), CALL, TWO)
        assert (receipt.gateway_id, receipt.accepted, receipt.currency) == ("48123", 1, "EUR")
        assert str(receipt.cost) == "0.1200"
        assert receipt.raw["new"] == [1]

    @pytest.mark.parametrize(("count", "accepted"), [(None, 2), (7, 2), (-1, 2), ("x", 2), (0, 0), (1, 1)])
    def test_accepted_is_never_more_than_asked(self, count: object, accepted: int) -> None:
        receipt = voicepartner.parse_batch(answer({**TTS, "nbSms": count}), CALL, TWO)
        assert receipt.accepted == accepted

    def test_without_a_price(self) -> None:
        receipt = voicepartner.parse_batch(answer({"success": True, "campaignId": "a"}), CALL, TWO)
        assert (receipt.cost, receipt.currency, receipt.segments, receipt.accepted) == (None, None, None, 2)


class TestRefusal:
    @pytest.mark.parametrize("status", [200, 400, 500])
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("PHONE_NUMBER_REQUIRED", ErrorKind.REJECTED),
            ("PHONE_NUMBER_SIZE_ERROR", ErrorKind.REJECTED),
            ("TOKEN_AUDIO_REQUIRED", ErrorKind.REJECTED),
            ("AUDIO_FILE_NOT_FOUND", ErrorKind.REJECTED),
            ("NOTIFY_URL_INVALID", ErrorKind.REJECTED),
            ("SENDER_NOT_AUTHORIZED", ErrorKind.CONFIGURATION),
            ("SENDER_INVALID", ErrorKind.REJECTED),
            ("DESTINATION_INVALID", ErrorKind.REJECTED),
            ("NOT_CREDIT", ErrorKind.CREDIT),
            (10, ErrorKind.CONFIGURATION),
        ],
    )
    def test_documented_codes_wherever_they_are(self, code: object, kind: ErrorKind, status: int) -> None:
        for body in (
            {"success": False, "code": code, "message": "non"},
            {"success": False, "error": code},
            {"success": False, "error": {"code": code, "message": "non"}},
            {"success": False, "code": status, "errors": [{"code": code}]}
            if isinstance(code, str)
            else {"error": code},
            {"code": code, "message": "non"},
        ):
            for message in (CALL, DROP):
                error = batch_error(body, status, message)
                assert (error.kind, error.code, error.status) == (kind, str(code), status)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (400, ErrorKind.REJECTED),
            (401, ErrorKind.CONFIGURATION),
            (404, ErrorKind.REJECTED),
            (429, ErrorKind.RETRYABLE),
        ],
    )
    def test_a_number_in_a_refusal(self, code: int, kind: ErrorKind) -> None:
        assert batch_error({"success": False, "code": code, "message": "non"}, 200).kind is kind
        assert batch_error({"success": False, "code": str(code)}, code).kind is kind
        # A server's failure with a number that looks like a status proves nothing.
        assert batch_error({"success": False, "code": code}, 500).kind is ErrorKind.UNKNOWN
        assert batch_error({"code": code}, 200).kind is ErrorKind.UNKNOWN

    def test_a_name_beside_a_number(self) -> None:
        error = batch_error({"success": False, "code": 400, "error": "NOT_CREDIT"}, 400)
        assert (error.kind, error.code) == (ErrorKind.CREDIT, "NOT_CREDIT")
        assert batch_error({"success": False, "message": "NOT_CREDIT"}, 400).kind is ErrorKind.CREDIT

    def test_says_what_to_do_in_english_and_in_the_vendors_words(self) -> None:
        error = batch_error(
            {"success": False, "code": "SENDER_NOT_AUTHORIZED", "message": "Expéditeur non autorisé"}, 400
        )
        assert "dashboard" in str(error)
        assert "Expéditeur non autorisé" in str(error)
        assert "campaign/send" not in str(error)
        assert "voicepartner tts/send" in str(error)

    def test_an_explicit_no_without_a_code_is_a_refusal(self) -> None:
        assert batch_error({"success": False}).kind is ErrorKind.REJECTED
        assert batch_error({"success": 0, "message": "non"}).kind is ErrorKind.REJECTED
        assert batch_error({"success": False, "code": "BRAND_NEW"}).code == "BRAND_NEW"
        assert batch_error({"success": False}, 500).kind is ErrorKind.UNKNOWN

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            ({"campaignId": "a"}, 200),
            ({"success": None, "campaignId": "a"}, 200),
            ({"success": "", "campaignId": "a"}, 200),
            ({"success": True}, 200),
            ({"success": True, "campaignId": ""}, 200),
            ({"success": True, "campaignId": None}, 200),
            ({"success": True, "campaignId": 0}, 200),
            ({"success": True, "campaignId": {"id": 1}}, 200),
            ({"success": True, "campaignId": "a"}, 500),
            ({"success": True, "campaignId": "a"}, 400),
            ({"success": True, "campaignId": "a"}, 429),
            ({"success": False, "campaignId": "a"}, 200),
            ({}, 200),
            ({"status": "ok"}, 200),
            ({"success": False}, 503),
            ({"success": False}, 408),
            ({"success": False}, 302),
        ],
    )
    def test_in_doubt(self, data: object, status: int) -> None:
        assert batch_error(data, status).kind is ErrorKind.UNKNOWN

    def test_the_only_number_is_named_to_the_program_but_not_in_the_text(self) -> None:
        error = batch_error({"success": False, "code": "DESTINATION_INVALID"}, 400, recipients=TWO[:1])
        assert [problem.phone_number for problem in error.recipients] == ["+33612345678"]
        assert "12345678" not in str(error)
        assert batch_error({"success": False, "code": "DESTINATION_INVALID"}, 400).recipients == ()

    def test_nothing_private_in_the_error(self) -> None:
        said = "le numéro +33612345678 a refusé « Bonjour Zoé » avec s3cr3t-key"
        for body in (
            {"success": False, "code": said, "message": said, "error": said},
            {"success": False, "code": 33612345678, "error": "s3cr3t-key"},
            {"success": False, "error": {"code": "s3cr3t-key", "message": said}},
        ):
            error = batch_error(body, 400, private=("s3cr3t-key", "Bonjour Zoé"))
            for secret in ("s3cr3t-key", "Bonjour Zoé", "12345678"):
                assert secret not in str(error) + repr(error) + str(error.code)


class TestBalance:
    def test_credit_and_what_it_buys(self) -> None:
        balance = voicepartner.parse_balance(answer(ME))
        assert (balance.amount, balance.unit) == (Decimal("42.5"), "EUR")
        assert balance.details == {
            "tts_mobile_seconds": 2 * 3600 + 15 * 60 + 90,
            "tts_landline_seconds": 5 * 3600 + 69,
            "voicemail_messages": 283,
        }

    def test_only_a_credit(self) -> None:
        balance = voicepartner.parse_balance(
            answer({"success": True, "credit": "19", "details": {"tts": {"h": "x"}}})
        )
        assert (balance.amount, balance.unit, balance.details) == (Decimal(19), "EUR", {})

    @pytest.mark.parametrize(
        ("data", "status", "kind"),
        [
            ({"success": False, "code": 10, "message": "Clé API incorrecte"}, 200, ErrorKind.CONFIGURATION),
            ({"code": 10}, 401, ErrorKind.CONFIGURATION),
            ({"success": False, "code": 401}, 401, ErrorKind.CONFIGURATION),
            ({"success": False, "code": 429}, 429, ErrorKind.RETRYABLE),
            ({"success": False, "code": 400}, 400, ErrorKind.REJECTED),
            ({"success": True}, 200, ErrorKind.RETRYABLE),
            ({"credit": "19"}, 200, ErrorKind.RETRYABLE),
            ({"success": True, "credit": "a lot"}, 200, ErrorKind.RETRYABLE),
            (b"<html>maintenance</html>", 503, ErrorKind.RETRYABLE),
        ],
    )
    def test_failures(self, data: object, status: int, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            voicepartner.parse_balance(answer(data, status))
        assert caught.value.kind is kind
        assert caught.value.endpoint == "me"


class TestCancel:
    def test_done(self) -> None:
        cancelled = voicepartner.parse_cancel(answer(CANCELLED), "vm4T81")
        assert (cancelled.gateway_id, cancelled.refunded, cancelled.currency) == (
            "vm4T81",
            Decimal("0.3"),
            "EUR",
        )
        assert not cancelled.already

    def test_done_without_a_word_about_money(self) -> None:
        cancelled = voicepartner.parse_cancel(answer({"success": True}), "vm4T81")
        assert (cancelled.refunded, cancelled.currency) == (None, None)

    @pytest.mark.parametrize(
        ("data", "status", "kind"),
        [
            ({"success": False, "code": 404, "message": "?"}, 404, ErrorKind.NOT_FOUND),
            ({"success": False, "code": 404}, 200, ErrorKind.NOT_FOUND),
            ({"success": False, "code": 400}, 400, ErrorKind.TOO_LATE),
            ({"success": False, "campaignId": "vm4T81", "code": 400}, 400, ErrorKind.TOO_LATE),
            ({"success": False, "code": 401}, 401, ErrorKind.CONFIGURATION),
            ({"success": False, "code": 10}, 200, ErrorKind.CONFIGURATION),
            ({"success": False, "code": 404}, 500, ErrorKind.UNKNOWN),
            ({"campaignId": "vm4T81"}, 200, ErrorKind.UNKNOWN),
            ({**CANCELLED, "campaignId": "other"}, 200, ErrorKind.UNKNOWN),
            (b"", 200, ErrorKind.UNKNOWN),
            (b"", 502, ErrorKind.UNKNOWN),
        ],
    )
    def test_failures(self, data: object, status: int, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            voicepartner.parse_cancel(answer(data, status), "vm4T81")
        assert caught.value.kind is kind


class TestAudios:
    def test_a_file(self) -> None:
        (file,) = voicepartner.parse_audios(answer(AUDIOS))
        assert (file.token, file.name, file.size, file.duration) == ("a1b2c3d4", "rappel-rdv", "88.2Ko", 12)
        assert file.created_at == pendulum.datetime(2030, 3, 4, 9, 10, 11, tz="Europe/Paris")
        assert "a1b2c3d4" not in repr(file)

    @pytest.mark.parametrize(
        "data", [{"nb_datas": 0, "datas": []}, {"nb_datas": "0"}, {"success": True, "datas": []}]
    )
    def test_no_file(self, data: object) -> None:
        assert voicepartner.parse_audios(answer(data)) == ()

    @pytest.mark.parametrize(
        ("duration", "seconds"),
        [("1:02:03", 3723), ("0:07", 7), ("12:00", 720), ("", None), (None, None), ("٣:٠٧", None)],
    )
    def test_durations(self, duration: object, seconds: int | None) -> None:
        (file,) = voicepartner.parse_audios(answer({"datas": [{"token": "a", "duration": duration}]}))
        assert file.duration == seconds

    @pytest.mark.parametrize(
        ("created_at", "readable"),
        [
            ({"date": "2030-03-04 09:10:11.000000"}, True),
            ("2030-03-04 09:10:11", True),
            ({"date": "2030-03-04 09:10:11", "timezone": "Mars/Olympus"}, False),
            ({"date": "soon"}, False),
            (None, False),
        ],
    )
    def test_moments(self, created_at: object, readable: bool) -> None:
        (file,) = voicepartner.parse_audios(answer({"datas": [{"token": "a", "created_at": created_at}]}))
        assert (file.created_at is not None) is readable

    @pytest.mark.parametrize(
        ("data", "status", "kind"),
        [
            ({"success": False, "code": 10}, 200, ErrorKind.CONFIGURATION),
            ({"code": 401, "message": "no"}, 200, ErrorKind.RETRYABLE),
            ({"code": 401, "message": "no"}, 401, ErrorKind.CONFIGURATION),
            ({}, 200, ErrorKind.RETRYABLE),
            ({"nb_datas": 3}, 200, ErrorKind.RETRYABLE),
            ({"datas": [{"name": "no token"}]}, 200, ErrorKind.RETRYABLE),
            ({"datas": [7]}, 200, ErrorKind.RETRYABLE),
            (AUDIOS, 500, ErrorKind.RETRYABLE),
        ],
    )
    def test_failures(self, data: object, status: int, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            voicepartner.parse_audios(answer(data, status))
        assert caught.value.kind is kind


class TestRename:
    def test_done(self) -> None:
        renamed = voicepartner.parse_rename_audio(answer(RENAMED))
        assert (renamed.token, renamed.name) == ("a1b2c3d4", "rappel-janvier")

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            ({"success": False, "code": "AUDIO_FILE_NOT_FOUND"}, ErrorKind.NOT_FOUND),
            ({"success": False, "code": "TOKEN_AUDIO_REQUIRED"}, ErrorKind.REJECTED),
            ({"success": True}, ErrorKind.RETRYABLE),
            ({"filename": "x", "tokenAudio": "y"}, ErrorKind.RETRYABLE),
        ],
    )
    def test_failures(self, data: object, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            voicepartner.parse_rename_audio(answer(data))
        assert caught.value.kind is kind


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "success",
        "campaignId",
        "cost",
        "currency",
        "nbSms",
        "duration",
        "detail",
        "code",
        "message",
        "error",
        "errors",
        "credit",
        "details",
        "datas",
        "nb_datas",
        "assignedCredit",
        "filename",
        "tokenAudio",
    ]
)
ODD_ANSWER = st.one_of(
    st.binary(max_size=200),
    ANY_JSON.map(lambda data: json.dumps(data).encode()),
    st.builds(
        lambda good, changes: json.dumps({**good, **changes}).encode(),
        st.sampled_from([TTS, VOICEMAIL, ME, AUDIOS, CANCELLED, RENAMED]),
        st.dictionaries(KEYS, ANY_JSON, max_size=4),
    ),
)


class TestAnything:
    @settings(max_examples=examples(75), deadline=None)
    @given(body=ODD_ANSWER, status=st.sampled_from([200, 201, 204, 302, 400, 401, 404, 408, 429, 500, 503]))
    def test_no_answer_makes_a_parser_fail_in_another_way(self, body: bytes, status: int) -> None:
        response = answer(body, status)
        for parse in (
            lambda: voicepartner.parse_batch(response, CALL, TWO),
            lambda: voicepartner.parse_batch(response, DROP, TWO),
            lambda: voicepartner.parse_balance(response),
            lambda: voicepartner.parse_cancel(response, "vm4T81"),
            lambda: voicepartner.parse_audios(response),
            lambda: voicepartner.parse_rename_audio(response),
        ):
            with suppress(GatewayError):
                parse()

    @settings(max_examples=examples(50), deadline=None)
    @given(changes=st.dictionaries(KEYS, ANY_JSON, max_size=4), status=st.integers(200, 599))
    def test_a_receipt_always_has_an_id_a_yes_and_a_2xx(self, changes: dict[str, Any], status: int) -> None:
        data = {**TTS, **changes}
        try:
            receipt = voicepartner.parse_batch(answer(data, status), CALL, TWO)
        except GatewayError:
            return
        assert receipt.gateway_id
        assert 200 <= status < 300
        assert data["success"] in (True, 1, "1", "true", "yes")
        assert 0 <= receipt.accepted <= 2
