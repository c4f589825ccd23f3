"""Octopush's account-wide settings, the callback URLs above all."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import octopush
from airflow_provider_voicepartner.gateways.errors import ErrorKind, GatewayError, InvalidArgumentError
from airflow_provider_voicepartner.gateways.wire import ApiResponse
from tests.support.examples import examples

PRESENT = {
    "sms_campaign_alert_parameters": {
        "alert_type": "sms_premium", "alert_bound": 150, "alert_email_to": "ops@example.org",
        "alert_phone_number_to": "+33600112233",
    },
    "campaign_parameters": {
        "sender_for_sms_premium": "MyApp", "sender_for_voice_sms": "33140000000",
        "phone_number_for_test_sms": "+33600112233",
    },
    "callbacks": {
        "callback_url_for_deliveries": "https://hooks.example.org/dlr",
        "callback_url_for_inbounds": "https://hooks.example.org/in",
        "callback_url_for_blacklisted_numbers": "https://hooks.example.org/stop",
        "callback_url_for_visits": "https://hooks.example.org/visit",
        "email_for_inbounds": "ops@example.org", "api_version": "2", "use_metadata_node_for_inbound": True,
    },
}  # fmt: skip


def answer(data: Any, status: int = 200) -> ApiResponse:
    return ApiResponse(status=status, body=data if isinstance(data, bytes) else json.dumps(data).encode())


class TestRead:
    def test_request(self) -> None:
        request = octopush.build_parameters()
        assert (request.method, request.path, request.safe_to_repeat) == (
            "GET",
            "user/campaign-parameters",
            True,
        )

    def test_present_names(self) -> None:
        found = octopush.parse_parameters(answer(PRESENT))
        assert (found.alert_type, found.alert_bound) == ("sms_premium", 150)
        assert found.alert_emails_to == ("ops@example.org",)
        assert (found.sender_for_sms_premium, found.sender_for_voice_sms) == ("MyApp", "33140000000")
        assert found.alert_phone_number_to == found.phone_number_for_test_sms == "+33600112233"
        assert found.callback_url_for_deliveries == "https://hooks.example.org/dlr"
        assert found.callback_url_for_voice_deliveries == found.callback_url_for_sms_deliveries
        assert found.callback_url_for_inbounds == "https://hooks.example.org/in"
        assert found.callback_url_for_blacklisted_numbers == "https://hooks.example.org/stop"
        assert found.callback_url_for_visits == "https://hooks.example.org/visit"
        assert found.email_for_inbounds == "ops@example.org"
        assert (found.api_version, found.use_metadata_node_for_inbound) == ("2", True)
        assert "hooks" not in repr(found)
        assert "33600112233" not in repr(found)

    @pytest.mark.parametrize(
        "voice", ["callback_url_for_vocal_sms_deliveries", "callback_url_for_voice_sms_deliveries"]
    )
    def test_older_names(self, voice: str) -> None:
        callbacks = {"callback_url_for_sms_deliveries": "https://a", voice: "https://b"}
        found = octopush.parse_parameters(
            answer(
                {
                    "callbacks": callbacks,
                    "campaign_parameters": {"sender_for_vocal_sms": "12345"},
                    "sms_campaign_alert_parameters": {"alert_emails_to": ["a@b.fr", "c@d.fr", None]},
                }
            )
        )
        assert found.callback_url_for_sms_deliveries == "https://a"
        assert found.callback_url_for_voice_deliveries == "https://b"
        assert found.callback_url_for_deliveries is None
        assert found.sender_for_voice_sms == "12345"
        assert found.alert_emails_to == ("a@b.fr", "c@d.fr")

    def test_two_older_urls_that_are_the_same(self) -> None:
        callbacks = {
            "callback_url_for_sms_deliveries": "https://a",
            "callback_url_for_vocal_sms_deliveries": "https://a",
        }
        assert (
            octopush.parse_parameters(answer({"callbacks": callbacks})).callback_url_for_deliveries
            == "https://a"
        )

    def test_nothing_set(self) -> None:
        found = octopush.parse_parameters(answer({"callbacks": {}}))
        assert (found.callback_url_for_deliveries, found.alert_emails_to) == (None, ())
        assert found.use_metadata_node_for_inbound is None

    @pytest.mark.parametrize(
        ("data", "status", "kind"),
        [
            ({}, 200, ErrorKind.RETRYABLE),
            ({"callbacks": []}, 200, ErrorKind.RETRYABLE),
            ({"code": 401, "message": "no"}, 401, ErrorKind.CONFIGURATION),
            ({"code": 101, "message": "no"}, 400, ErrorKind.CONFIGURATION),
            ({"message": "no"}, 404, ErrorKind.NOT_FOUND),
            (PRESENT, 500, ErrorKind.RETRYABLE),
            (b"<html>", 200, ErrorKind.RETRYABLE),
        ],
    )
    def test_failures(self, data: object, status: int, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            octopush.parse_parameters(answer(data, status))
        assert caught.value.kind is kind


class TestEdit:
    def test_only_what_is_given_is_sent(self) -> None:
        request = octopush.build_edit_parameters(callback_url_for_deliveries="https://hooks.example.org/dlr")
        assert (request.method, request.path) == ("PATCH", "user/campaign-parameters/edit")
        assert request.body == {"callbacks": {"callback_url_for_deliveries": "https://hooks.example.org/dlr"}}
        assert request.safe_to_repeat
        assert request.private == ("https://hooks.example.org/dlr",)

    def test_everything_under_the_present_names(self) -> None:
        request = octopush.build_edit_parameters(
            alert_type="sms_premium", alert_bound=0, alert_email_to="ops@example.org",
            alert_phone_number_to="+33600112233", sender_for_sms_premium="MyApp", sender_for_voice_sms="33140000000",
            phone_number_for_test_sms="+33600112233", callback_url_for_deliveries="https://a.example.org/1",
            callback_url_for_inbounds="https://a.example.org/2", callback_url_for_visits="",
            callback_url_for_blacklisted_numbers="https://a.example.org/3", email_for_inbounds="",
        )  # fmt: skip
        assert request.body == {
            "sms_campaign_alert_parameters": {
                "alert_type": "sms_premium", "alert_bound": 0, "alert_email_to": "ops@example.org",
                "alert_phone_number_to": "+33600112233",
            },
            "campaign_parameters": {
                "sender_for_sms_premium": "MyApp", "sender_for_voice_sms": "33140000000",
                "phone_number_for_test_sms": "+33600112233",
            },
            "callbacks": {
                "callback_url_for_deliveries": "https://a.example.org/1",
                "callback_url_for_inbounds": "https://a.example.org/2",
                "callback_url_for_blacklisted_numbers": "https://a.example.org/3",
                "callback_url_for_visits": "", "email_for_inbounds": "",
            },
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("alert_bound", -1), ("alert_email_to", "ops"), ("alert_phone_number_to", "0612345678"),
            ("sender_for_sms_premium", "My App"), ("sender_for_voice_sms", "+33140000000"),
            ("phone_number_for_test_sms", "me"), ("callback_url_for_deliveries", "http://example.org/a"),
            ("callback_url_for_inbounds", "example.org"), ("callback_url_for_visits", "https://[::1"),
            ("callback_url_for_blacklisted_numbers", "ftp://example.org"), ("email_for_inbounds", "a@b"),
        ],
    )  # fmt: skip
    def test_refused(self, argument: str, value: Any) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            octopush.build_edit_parameters(**{argument: value})
        assert caught.value.argument == argument

    def test_nothing(self) -> None:
        with pytest.raises(InvalidArgumentError, match="at least one"):
            octopush.build_edit_parameters()

    @pytest.mark.parametrize(
        ("data", "status", "fields"),
        [
            (b"", 200, {}),
            (b"", 204, {}),
            ({}, 200, {}),
            ({"code": 0}, 200, {"code": 0}),
            ({"code": 200}, 200, {"code": 200}),
        ],
    )
    def test_done(self, data: object, status: int, fields: dict[str, Any]) -> None:
        assert octopush.parse_edit_parameters(answer(data, status)) == fields

    @pytest.mark.parametrize(
        ("data", "status", "kind"),
        [
            ({"code": 400, "message": "no"}, 400, ErrorKind.REJECTED),
            ({"code": 442, "message": "no"}, 200, ErrorKind.RETRYABLE),
            ({"code": 401}, 401, ErrorKind.CONFIGURATION),
            (b"<html>", 200, ErrorKind.RETRYABLE),
            (b"", 500, ErrorKind.RETRYABLE),
        ],
    )
    def test_failures(self, data: object, status: int, kind: ErrorKind) -> None:
        with pytest.raises(GatewayError) as caught:
            octopush.parse_edit_parameters(answer(data, status))
        assert caught.value.kind is kind


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=9)
    | st.lists(st.integers() | st.text(), max_size=2)
)


@settings(max_examples=examples(75), deadline=None)
@given(
    data=st.dictionaries(
        st.sampled_from([*PRESENT, "code", "message", "errors"]),
        VALUES
        | st.dictionaries(
            st.sampled_from([name for group in PRESENT.values() for name in group] + ["alert_emails_to"]),
            VALUES,
        ),
    ),
    status=st.sampled_from([200, 204, 302, 400, 401, 500]),
)
def test_no_answer_makes_a_parser_fail_in_another_way(data: dict[str, Any], status: int) -> None:
    with suppress(GatewayError):
        octopush.parse_parameters(answer(data, status))
    with suppress(GatewayError):
        octopush.parse_edit_parameters(answer(data, status))
