"""Each method of the SMS Partner hook, against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pendulum
import pytest

from airflow_provider_voicepartner.constants import MOST_TAG_PAGES
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    DeliveryUnconfirmedError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.gateways.model import CallbackUrls, Recipient, SmsMessage
from airflow_provider_voicepartner.gateways.status import DeliveryStatus
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.sandbox.faults import Fault
from airflow_provider_voicepartner.sending.records import Evidence, Proof
from tests.support.sends import NUMBER
from tests.support.servers import Behaviour, FakeTime, answer, counting_server

OTHER = "+33699887767"


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


MESSAGE = SmsMessage(text="Bonjour")
REFERENCE = "k3v9x0q2w7ha"
CLAIMED = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
AFTER, BEFORE = str(int(CLAIMED.timestamp()) + 60), "989150400"
PEOPLE = [Recipient(f"+3360000000{number}") for number in range(1, 5)]


def row(number: int | str, **more: Any) -> dict[str, Any]:
    phone_number = number if isinstance(number, str) else f"+3360000000{number}"
    return {"phoneNumber": phone_number, "status": "Waiting", "date": AFTER, **more}


def page(*rows: Any, total: int | None = None, **more: Any) -> Behaviour:
    body = {
        "success": True,
        "code": 200,
        "currentPage": 1,
        "total": total,
        "StatutResponse_List": rows,
        **more,
    }
    return answer(200, json.dumps(body))


NOT_KNOWN = answer(200, json.dumps({"success": False, "code": 4, "message": "unknown"}))
ERROR = {"success": False, "code": 4, "status": "Numéro introuvable"}
FULL = [row(1), row(2), row(3), row(4)]


def look_up(set_connection: Callable[..., str], *pages: Behaviour) -> tuple[Proof | None, list[str]]:
    """Look a batch up; return what is found, and the queries that were asked."""
    with counting_server(*pages) as server:
        set_connection("smspartner", host=f"{server.url}/v1")
        hook = SmsPartnerHook()
        hook.sender.sleep = FakeTime().sleep
        try:
            proof = hook.find_proof(MESSAGE, REFERENCE, PEOPLE, CLAIMED)
        finally:
            hook.close()
            asked = [request.split(b" ")[1].decode() for request in server.received]
    return proof, asked


@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        (FULL, 4),
        ([row(1), row(2, status="Not delivered"), row(3, status="EXPIRED"), row(4, status="ko")], 4),
        ([row("0600000001"), row("33600000002"), row("+33 6 00 00 00 03"), row("0033600000004")], 4),
        ([row(1)], 1),
        ([row(1), row(1), row(1), row(1)], 1),
        # False proofs that were reported.
        ([row(1, **ERROR)], 0),
        ([row(1, **ERROR), row(2, **ERROR), row(3), row(4, **ERROR)], 1),
        ([row(1, status="Numéro introuvable"), row(2, code=4), row(3, success=False)], 0),
        ([row("+33699999999")], 0),
        ([row("+33699999999"), row("+33699999998"), row(2)], 1),
        ([row(1, date=BEFORE), row(2, date="2001-05-06 14:16:11")], 0),
        ([row(1, date=BEFORE), row(2)], 1),
        # Dates: ten minutes for the clocks, Paris time without a zone, none at all.
        ([row(1, date=str(int(CLAIMED.timestamp()) - 599)), row(2, date=str(int(CLAIMED.timestamp()) - 601))], 1),
        ([row(1, date="2031-05-06 14:00:00"), row(2, date="2031-05-06 12:00:00")], 1),
        ([row(1, date=None), row(2, date=""), row(3, date="0000-00-00 00:00:00"), row(4, date="0")], 4),
        # Nobody, though something is listed.
        ([None], 0),
        (["x", {}, {"status": "Delivered"}], 0),
    ],
)  # fmt: skip
def test_a_look_up_counts_who_of_the_batch_was_taken(
    rows: list[Any], taken: int, set_connection: Callable[..., str]
) -> None:
    proof, asked = look_up(set_connection, page(*rows, total=len(rows)))
    assert proof == Proof(Evidence.LOOK_UP, taken)
    assert len(asked) == 1
    assert f"tag={REFERENCE}" in asked[0]


@pytest.mark.parametrize(
    ("pages", "taken", "requests"),
    [
        # All pages, and no more than are needed.
        ([page(row(1), row(2), total=4), page(row(3), row(4), total=4)], 4, 2),
        ([page(row(1), total=4), page(row(2), total=4), page(row(3), total=4), page(row(4), total=4)], 4, 4),
        ([page(*FULL, total=400), page(row("+33699999999"))], 4, 1),
        ([page(row(1), row(2)), page(row(3), row(4))], 4, 2),
        ([page(row(1), row(2)), NOT_KNOWN], 2, 2),
        ([page(row(1), row(2)), page()], 2, 2),
        # More is announced than is listed.
        ([page(row(1), total=2), page(total=2)], 1, 2),
        ([page(total=2)], 0, 1),
        ([page(row(1), total=2), NOT_KNOWN], 1, 2),
        # Who does not know the paging parameter sends the first page again.
        ([page(row(1), row(2), total=4)] * 9, 2, 2),
        # Less is announced than is listed.
        ([page(row(1), row(2), total=1)], 2, 1),
        ([page(row(1), row(2), total=0)], 2, 1),
        # The second page proves something where the first does not.
        ([page(row(1, **ERROR), total=2), page(row(2), total=2)], 1, 2),
    ],
)
def test_a_look_up_reads_every_page(
    pages: list[Behaviour], taken: int, requests: int, set_connection: Callable[..., str]
) -> None:
    proof, asked = look_up(set_connection, *pages)
    assert proof == Proof(Evidence.LOOK_UP, taken)
    assert len(asked) == requests
    assert ["page=" in query for query in asked] == [False] + [True] * (requests - 1)


def test_a_look_up_of_endless_pages_ends(set_connection: Callable[..., str]) -> None:
    strangers = [page(row(f"+3369{number:07}"), total=10**9) for number in range(MOST_TAG_PAGES + 5)]
    proof, asked = look_up(set_connection, *strangers)
    assert proof == Proof(Evidence.LOOK_UP, 0)
    assert len(asked) == MOST_TAG_PAGES


@pytest.mark.parametrize("nothing", [NOT_KNOWN, page(), page(total=0)])
def test_a_proper_look_up_that_lists_nothing(nothing: Behaviour, set_connection: Callable[..., str]) -> None:
    proof, asked = look_up(set_connection, nothing)
    assert (proof, len(asked)) == (None, 1)


@pytest.mark.parametrize(
    "pages",
    [
        [answer(404, "<html>Not found</html>")],
        [answer(404, json.dumps({"success": False}))],
        [answer(500, json.dumps({"success": False, "code": 4}))],
        [answer(200, json.dumps({"success": True, "code": 200, "message": "Request queued for processing"}))],
        [answer(200, json.dumps({"success": False, "code": 10, "message": "wrong key"}))],
        [answer(200, "")],
        # Half of an answer is none.
        [page(row(1), total=4), answer(404, "<html>")],
        [page(row(1), total=4), answer(500, json.dumps({"success": False}))],
    ],
)
def test_a_look_up_that_is_not_answered_properly_says_nothing(
    pages: list[Behaviour], set_connection: Callable[..., str]
) -> None:
    with pytest.raises(VoicePartnerProviderError):
        look_up(set_connection, *pages)


def test_the_sandbox_is_looked_up_page_by_page(hook: SmsPartnerHook, sandbox: Any) -> None:
    numbers = [f"+3360000{number:04}" for number in range(45)]
    hook.send_sms(numbers, "Bonjour", reference=REFERENCE)
    everybody = [Recipient(number) for number in numbers]
    now = datetime.now(UTC)
    assert hook.find_proof(MESSAGE, REFERENCE, everybody, now) == Proof(Evidence.LOOK_UP, 45)
    assert hook.find_proof(MESSAGE, REFERENCE, everybody[:2], now) == Proof(Evidence.LOOK_UP, 2)
    assert hook.find_proof(MESSAGE, "p0c4m8d1z6tb", everybody, now) is None
    assert len(hook.poll_by_tag(REFERENCE)) == 45


def test_a_poll_by_tag_ends_too(set_connection: Callable[..., str]) -> None:
    for pages, found in (
        ([page(row(1), row(2), total=10**9)] * 9, 4),
        ([page(row(1), row(2)), NOT_KNOWN], 2),
        ([page(row(1), total=2), page(row(2), total=2)], 2),
    ):
        with counting_server(*pages) as server:
            set_connection("smspartner", host=f"{server.url}/v1")
            hook = SmsPartnerHook()
            assert len(hook.poll_by_tag(REFERENCE)) == found
            hook.close()


class TestCallsBesideALookUp:
    """What was called back counts too, and the look-up fills in the rest."""

    @pytest.fixture(autouse=True)
    def _public(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", "https://hooks.example.org")
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", "a-planted-secret-of-32-characters")

    def called(self, monkeypatch: pytest.MonkeyPatch, proof: Proof | Exception | None) -> None:
        def find_callbacks(*_: Any) -> Proof | None:
            if isinstance(proof, Exception):
                raise proof
            return proof

        monkeypatch.setattr("airflow_provider_voicepartner.hooks.base.find_callbacks", find_callbacks)

    @pytest.mark.parametrize(
        ("calls", "listed", "proof", "requests"),
        [
            (Proof(Evidence.CALLED_BACK, 4), page(), Proof(Evidence.CALLED_BACK, 4), 0),
            (Proof(Evidence.CALLED_BACK, 1), page(*FULL, total=4), Proof(Evidence.LOOK_UP, 4), 1),
            (Proof(Evidence.CALLED_BACK, 2), page(row(1), total=1), Proof(Evidence.CALLED_BACK, 2), 1),
            (Proof(Evidence.CALLED_BACK, 1), NOT_KNOWN, Proof(Evidence.CALLED_BACK, 1), 1),
            (Proof(Evidence.CALLED_BACK, 0), NOT_KNOWN, Proof(Evidence.CALLED_BACK, 0), 1),
            (None, NOT_KNOWN, None, 1),
            (DeliveryUnconfirmedError("no store"), page(row(1), total=1), Proof(Evidence.LOOK_UP, 1), 1),
        ],
    )
    def test_the_one_that_shows_more_counts(
        self,
        calls: Proof | Exception | None,
        listed: Behaviour,
        proof: Proof | None,
        requests: int,
        monkeypatch: pytest.MonkeyPatch,
        set_connection: Callable[..., str],
    ) -> None:
        self.called(monkeypatch, calls)
        found, asked = look_up(set_connection, listed)
        assert (found, len(asked)) == (proof, requests)

    def test_calls_that_cannot_be_looked_up_are_not_none(
        self, monkeypatch: pytest.MonkeyPatch, set_connection: Callable[..., str]
    ) -> None:
        self.called(monkeypatch, DeliveryUnconfirmedError("no store"))
        with pytest.raises(DeliveryUnconfirmedError):
            look_up(set_connection, NOT_KNOWN)


@pytest.mark.parametrize(
    ("extra", "seconds"), [({}, 900), ({"listed_within": 60}, 60), ({"listed_within": "7.5"}, 7.5)]
)
def test_how_long_a_batch_may_come_to_be_listed_is_the_connections(
    extra: dict[str, Any], seconds: float, set_connection: Callable[..., str]
) -> None:
    hook = SmsPartnerHook(set_connection("smspartner", extra=extra))
    assert hook.known_within(MESSAGE) == timedelta(seconds=seconds)
    assert hook.can_disprove(MESSAGE)


@pytest.mark.parametrize("wrong", [0, -1, 86_401, "soon", [], "inf", "nan"])
def test_a_time_that_is_none_is_refused(wrong: Any, set_connection: Callable[..., str]) -> None:
    hook = SmsPartnerHook(set_connection("smspartner", extra={"listed_within": wrong}))
    with pytest.raises(ConfigurationError, match="listed_within"):
        hook.known_within(MESSAGE)


def test_a_send_of_which_nobody_is_left_fails_where_it_is_all(set_connection: Callable[..., str]) -> None:
    no = {"success": False, "code": 55, "errors": [{"success": False, "code": "14", "phoneNumber": NUMBER}]}
    with counting_server(answer(200, json.dumps(no))) as server:
        set_connection("smspartner", host=f"{server.url}/v1")
        hook = SmsPartnerHook()
        with pytest.raises(RejectedError, match="STOP list") as caught:
            hook.send_sms(NUMBER, "Bonjour")
        hook.close()
    assert (caught.value.code, caught.value.kind) == ("14", ErrorKind.REJECTED)
    assert [problem.phone_number for problem in caught.value.recipients] == [NUMBER]
    assert NUMBER[4:] not in str(caught.value)
