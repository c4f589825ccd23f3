"""Each method of the SMS Partner hook, against the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import CallbackUrls, Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.sandbox.faults import Fault
from airflow_provider_voicepartner.sending.evidence import Evidence, Proof
from tests.support.sends import NUMBER
from tests.support.servers import FakeTime

OTHER = "+33699887767"
ANNA = [Recipient(NUMBER)]


@pytest.fixture
def hook(sandbox: Any) -> SmsPartnerHook:
    hook = SmsPartnerHook()
    hook.sender.sleep = FakeTime().sleep
    return hook


def last_request(sandbox: Any) -> dict[str, Any]:
    view: dict[str, Any] = next(reversed(sandbox.world.requests)).view()
    return view


def test_the_options_of_a_send_reach_the_gateway(hook: SmsPartnerHook, sandbox: Any) -> None:
    receipt = hook.send_sms(
        [NUMBER, OTHER],
        "Hello",
        sender="MyApp",
        purpose="marketing",
        reference="k3v9x0q2w7ha",
        send_at=pendulum.now("UTC").add(days=2),
        callbacks=CallbackUrls(delivery="http://127.0.0.1:9/dlr", replies="http://127.0.0.1:9/reply"),
    )
    assert receipt.accepted == 2
    request = last_request(sandbox)
    assert request["path"].endswith("/send")
    body = request["body"]
    assert body["sender"] == "MyApp"
    assert body["isStopSms"] == 1
    assert "k3v9x0q2w7ha" in body["tag"]
    assert {"scheduledDeliveryDate", "time", "minute"} <= set(body)
    assert (body["urlDlr"], body["urlResponse"]) == ("http://127.0.0.1:9/dlr", "http://127.0.0.1:9/reply")


def test_the_connections_sender_is_used_where_a_message_gives_none(
    sandbox: Any, set_connection: Callable[..., str]
) -> None:
    set_connection("smspartner", host=sandbox.gateway_url("smspartner"), extra={"sender": "FromConn"})
    hook = SmsPartnerHook()
    hook.send_sms(NUMBER, "Hello")
    assert last_request(sandbox)["body"]["sender"] == "FromConn"
    hook.send_sms(OTHER, "Hello", sender="Mine")
    assert last_request(sandbox)["body"]["sender"] == "Mine"


def test_recipients_with_fields_get_a_text_each(hook: SmsPartnerHook, sandbox: Any) -> None:
    people = [{"phone_number": NUMBER, "name": "Ann"}, {"phone_number": OTHER, "name": "Bob"}]
    assert hook.send_sms(people, "Hello {name}").accepted == 2
    request = last_request(sandbox)
    assert request["path"].endswith("/bulk-send")
    assert [entry["message"] for entry in request["body"]["SMSList"]] == ["Hello Ann", "Hello Bob"]


def test_a_rented_long_number_sends_to_one(hook: SmsPartnerHook, sandbox: Any) -> None:
    hook.send_sms(NUMBER, "Hello", options={"virtual_number": "33644630000"})
    assert last_request(sandbox)["path"].endswith("/vn/send")


def test_a_number_on_the_stop_list_is_refused_by_name_of_the_reason(
    hook: SmsPartnerHook, sandbox: Any
) -> None:
    hook.add_stop(NUMBER)
    with pytest.raises(RejectedError) as caught:
        hook.send_sms(NUMBER, "Hello")
    assert caught.value.code == "14"
    assert [problem.phone_number for problem in caught.value.recipients] == [NUMBER]
    assert "99887766" not in str(caught.value)

    # Of many, the others get it.
    hook.send_sms([NUMBER, OTHER], "Hello")
    assert dict(sandbox.world.tallies["smspartner"].numbers) == {OTHER: 1}


def test_the_account_and_its_balance(hook: SmsPartnerHook) -> None:
    account = hook.get_account()
    assert account.balance == hook.get_balance()
    assert account.balance.unit == "EUR"
    assert account.balance.amount == Decimal(1000)


def test_what_became_of_a_message_in_all_ways_to_ask(hook: SmsPartnerHook, sandbox: Any) -> None:
    receipt = hook.send_sms([NUMBER, OTHER], "Hello", reference="k3v9x0q2w7ha")
    before = hook.poll_delivery(receipt.gateway_id)
    assert {report.status.is_terminal for report in before} == {False}
    sandbox.advance(3600)
    delivered = {NUMBER: DeliveryStatus.DELIVERED, OTHER: DeliveryStatus.DELIVERED}

    def statuses(reports: Any) -> dict[str, DeliveryStatus]:
        return {report.phone_number: report.status for report in reports}

    assert statuses(hook.poll_delivery(receipt.gateway_id)) == delivered
    assert statuses(hook.get_bulk_status(receipt.gateway_id)) == delivered
    assert (
        statuses(hook.get_statuses([(receipt.gateway_id, NUMBER), (receipt.gateway_id, OTHER)])) == delivered
    )
    assert statuses(hook.get_message_status(receipt.gateway_id, NUMBER)) == {NUMBER: DeliveryStatus.DELIVERED}
    page = hook.get_status_by_tag("k3v9x0q2w7ha")
    assert statuses(page.reports) == delivered
    assert hook.get_status_by_tag("k3v9x0q2w7ha", page=1).page == 1


def test_an_unknown_message_is_not_found(hook: SmsPartnerHook) -> None:
    for ask in (hook.get_bulk_status, hook.cancel, lambda known: hook.get_message_status(known, NUMBER)):
        with pytest.raises(RejectedError) as caught:
            ask("999999")
        assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_scheduled_message_is_cancelled_once_and_then_known_as_cancelled(
    hook: SmsPartnerHook, sandbox: Any
) -> None:
    receipt = hook.send_sms(NUMBER, "Hello", send_at=pendulum.now("UTC").add(days=1))
    first = hook.cancel(receipt.gateway_id)
    assert (first.gateway_id, first.already) == (receipt.gateway_id, False)
    assert hook.cancel_campaign(receipt.gateway_id, kind="sms").already
    assert sandbox.world.tallies["smspartner"].messages == 0


def test_a_message_that_left_cannot_be_cancelled(hook: SmsPartnerHook, sandbox: Any) -> None:
    receipt = hook.send_sms(NUMBER, "Hello")
    sandbox.advance(600)
    with pytest.raises(RejectedError) as caught:
        hook.cancel(receipt.gateway_id)
    assert caught.value.kind is ErrorKind.TOO_LATE


def test_the_stop_list_is_read_and_changed(hook: SmsPartnerHook) -> None:
    assert hook.list_stops().entries == ()
    added = hook.add_stop(NUMBER)
    assert not added.already
    assert hook.add_stop(NUMBER).already
    listed = hook.list_stops()
    assert listed.is_complete
    assert [entry.phone_number for entry in listed.entries] == [NUMBER]
    hook.delete_stop(listed.entries[0].id)
    assert hook.list_stops().entries == ()
    with pytest.raises(RejectedError):
        hook.delete_stop(listed.entries[0].id)


def test_taking_off_the_stop_list_is_not_repeated_when_its_answer_is_lost(
    hook: SmsPartnerHook, sandbox: Any
) -> None:
    stop_id = hook.add_stop(NUMBER).stop_id or hook.list_stops().entries[0].id
    before = sandbox.world.requests.total
    sandbox.world.faults.add(Fault(kind="drop_after", path="stop-sms/delete"))
    with pytest.raises(SendOutcomeUnknownError):
        hook.delete_stop(stop_id)
    assert sandbox.world.requests.total == before + 1


READS: dict[str, Callable[[SmsPartnerHook], object]] = {
    "/me": lambda hook: hook.get_account(),
    "/bulk-status": lambda hook: hook.get_bulk_status("8123456"),
    "/bulk-status-by-tag": lambda hook: hook.get_status_by_tag("k3v9x0q2w7ha"),
    "/message-status": lambda hook: hook.get_message_status("8123456", NUMBER),
    "/multi-status": lambda hook: hook.get_statuses([("8123456", NUMBER)]),
    "/stop-sms/list": lambda hook: hook.list_stops(),
}


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "drop_mid_answer", "html", "429"])
def test_a_read_in_trouble_is_repeated_and_then_left_to_airflow(
    path: str, kind: Any, hook: SmsPartnerHook, sandbox: Any
) -> None:
    sandbox.world.faults.add(Fault(kind=kind, times=None, path=path))
    with pytest.raises(RetryableNotSentError):
        READS[path](hook)
    assert sandbox.world.requests.total == 4


def test_a_gateway_in_trouble_that_says_so_in_json_is_left_to_airflow(
    hook: SmsPartnerHook, sandbox: Any
) -> None:
    sandbox.world.faults.add(Fault(kind="503"))
    with pytest.raises(RetryableNotSentError, match="503"):
        hook.get_balance()


@pytest.mark.parametrize("kind", ["empty", "truncated_json", "wrong_json", "queued_without_id"])
def test_a_read_with_a_broken_answer_is_no_success(kind: Any, hook: SmsPartnerHook, sandbox: Any) -> None:
    sandbox.world.faults.add(Fault(kind=kind, times=None))
    with pytest.raises(RetryableNotSentError):
        hook.get_balance()


BAD: dict[str, Callable[[SmsPartnerHook], object]] = {
    "message_id": lambda hook: hook.get_bulk_status(" "),
    "phone_number": lambda hook: hook.get_message_status("8123456", "12"),
    "messages": lambda hook: hook.get_statuses([]),
    "tag": lambda hook: hook.get_status_by_tag(""),
    "page": lambda hook: hook.get_status_by_tag("abc", page=0),
    "stop_id": lambda hook: hook.delete_stop(""),
    "phone_number of a stop": lambda hook: hook.add_stop("nobody"),
    "gateway_id or message_id": lambda hook: hook.cancel(""),
    "kind": lambda hook: hook.cancel_campaign("8123456", kind="tts"),
    "options['is_unicode']": lambda hook: hook.send_sms(NUMBER, "Hello", options={"is_unicode": "perhaps"}),
}


@pytest.mark.parametrize("argument", BAD)
def test_a_bad_argument_is_named_and_nothing_is_asked(
    argument: str, hook: SmsPartnerHook, sandbox: Any
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        BAD[argument](hook)
    named = str(caught.value).partition(":")[0]
    assert named in argument.split(" ")
    assert caught.value.__context__ is None
    assert sandbox.world.requests.total == 0


def test_a_proof_says_whether_the_gateway_called_back_or_was_asked(
    hook: SmsPartnerHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = SmsMessage(text="Bonjour")
    hook.send_sms(NUMBER, "Bonjour", reference="k3v9x0q2w7ha")
    assert hook.find_proof(message, "k3v9x0q2w7ha", ANNA, None) == Proof(Evidence.LOOK_UP, 1)
    assert hook.find_proof(message, "p0c4m8d1z6tb", ANNA, None) is None
