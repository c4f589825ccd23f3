"""Send an SMS: once, to whom it should, with a report that tells all and gives nothing away."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
    InvalidRecipientError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
)
from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.triggers.pacing import WaitUntilTrigger
from tests.conftest import KEYS, LOGIN
from tests.support.gateways import fault, last_body, outcome, requests, sent
from tests.support.servers import counting_server, never_answer
from tests.support.tasks import FakeStore, Logs, assert_plain, chain, context

ANNA, BEN = "+33612345678", "+33612345679"
TEXT = "Le texte planté de Zoé"


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "to": [ANNA, BEN], "message": TEXT, **arguments})


def test_the_report_has_exactly_the_promised_shape(sandbox: Any) -> None:
    report = sms(to=["06 12 34 56 78", "0612345679", "+33612345678"]).execute(context(FakeStore()))
    [batch] = report.pop("batches")
    moment = datetime.fromisoformat(report.pop("sent_at"))
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
    assert report == {
        "gateway": "smspartner",
        "conn_id": "smspartner_default",
        "kind": "sms",
        "scheduled_for": None,
        "counts": {
            "recipients": 3, "accepted": 2, "invalid": 0, "duplicate": 1, "opted_out": 0, "refused": 0, "in_doubt": 0,
        },
        "segments": 2,
        "cost": "0.09",
        "currency": "EUR",
    }  # fmt: skip
    assert set(batch) == {"reference", "gateway_id", "accepted", "state"}
    assert (batch["accepted"], batch["state"]) == (2, "sent")
    assert batch["gateway_id"] in sandbox.world.campaigns["smspartner"]
    assert set(sandbox.world.tallies["smspartner"].references) == {batch["reference"]}
    assert_plain(report)
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_a_retry_after_success_sends_nothing_and_returns_the_same_report(sandbox: Any) -> None:
    store = FakeStore()
    first = sms().execute(context(store))
    again = sms().execute(context(store, try_number=2))
    assert again == first
    assert requests(sandbox) == 1


@pytest.mark.parametrize(("to", "opted_out"), [([BEN], 1), ([ANNA, BEN], 2)])
def test_a_batch_of_which_nobody_is_left_is_done(to: list[str], opted_out: int, sandbox: Any) -> None:
    """It was a dead end: every retry was refused again, and so was a corrected list."""
    for number in to:
        outcome(sandbox, number, "opted_out")
    store = FakeStore()
    report = sms(to=to).execute(context(store))
    assert report["counts"] == {
        "recipients": len(to), "accepted": 0, "invalid": 0, "duplicate": 0, "opted_out": opted_out, "refused": 0,
        "in_doubt": 0,
    }  # fmt: skip
    assert (report["cost"], report["batches"][0]["gateway_id"]) == (None, None)
    assert sms(to=to).execute(context(store, try_number=2)) == report
    assert (requests(sandbox), sent(sandbox, "smspartner")) == (1, {})


def test_a_lost_answer_is_settled_by_the_gateways_own_knowledge(sandbox: Any) -> None:
    fault(sandbox, "drop_after")
    report = sms().execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    assert report["counts"]["accepted"] == 2
    assert report["batches"][0]["gateway_id"] is None
    assert report["batches"][0]["tag"] == report["batches"][0]["reference"]
    assert report["batches"][0]["evidence"] == "look_up"


@pytest.mark.usefixtures("one_look_up")
def test_what_a_look_up_does_not_find_stays_in_doubt_and_the_retry_does_not_send(sandbox: Any) -> None:
    store = FakeStore()
    fault(sandbox, "drop_before")
    for number in (1, 2):
        with pytest.raises(SendOutcomeUnknownError, match="on_unknown"):
            sms().execute(context(store, try_number=number))
    assert sent(sandbox, "smspartner") == {}
    report = sms(on_unknown="assume_sent").execute(context(store, try_number=3))
    assert report["counts"]["in_doubt"] == 2
    assert (report["batches"][0]["state"], report["batches"][0]["evidence"]) == ("assumed_sent", "assumed")
    assert sent(sandbox, "smspartner") == {}


@pytest.mark.usefixtures("one_look_up")
def test_resend_sends_again_because_the_user_said_so(sandbox: Any) -> None:
    store = FakeStore()
    fault(sandbox, "drop_before")
    with pytest.raises(SendOutcomeUnknownError):
        sms().execute(context(store))
    sms(on_unknown="resend").execute(context(store, try_number=2))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_before_airflow_3_3_a_second_try_never_sends_by_itself(sandbox: Any) -> None:
    sms().execute(context())
    with pytest.raises(SendOutcomeUnknownError, match=r"before 3\.3"):
        sms().execute(context(try_number=2))
    assert requests(sandbox) == 1


def test_a_gateway_that_cannot_be_reached_lets_airflow_retry(set_connection: Any) -> None:
    store = FakeStore()
    set_connection("smspartner", host="http://127.0.0.1:1")
    operator = sms()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_voicepartner.hooks.http.HttpSender.attempts", 1)
        patch.setattr("airflow_provider_voicepartner.hooks.http.HttpSender._wait", lambda *_: 0.0)
        with pytest.raises(RetryableNotSentError) as caught:
            operator.execute(context(store))
    assert not isinstance(caught.value, AirflowFailException)
    assert store.values["voicepartner/batches/0"]["0"]["phase"] == "refused"


def test_changed_recipients_are_refused_after_something_was_sent(sandbox: Any) -> None:
    store = FakeStore()
    sms(to=ANNA).execute(context(store))
    with pytest.raises(ConfigurationError, match="has changed since an earlier attempt"):
        sms(to=BEN).execute(context(store, try_number=2))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def test_everything_is_sent_again_when_the_user_asks_for_it_and_not_when_a_retry_does(sandbox: Any) -> None:
    store = FakeStore()
    sms().execute(context(store))
    for number in (2, 3):
        sms(send_again="the first text was wrong").execute(context(store, try_number=number))
        assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 2}
    sms(to=ANNA, send_again="Anna got nothing").execute(context(store, try_number=4))
    assert sent(sandbox, "smspartner") == {ANNA: 3, BEN: 2}


@pytest.mark.parametrize("choice", ["fail", "assume_sent", "resend"])
def test_a_template_of_the_present_time_sends_nothing_again_on_a_retry(sandbox: Any, choice: Any) -> None:
    store = FakeStore()
    sms(message="Il est 12:00", on_unknown=choice).execute(context(store))
    for number in (2, 3):
        with pytest.raises(ConfigurationError, match="send_again"):
            sms(message=f"Il est 12:0{number}", on_unknown=choice).execute(context(store, try_number=number))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


def test_a_dry_run_does_not_use_the_wish_to_send_again_up(sandbox: Any) -> None:
    store = FakeStore()
    sms().execute(context(store))
    before = dict(store.values)
    sms(send_again="x", dry_run=True).execute(context(store, try_number=2))
    assert store.values == before
    sms(send_again="x").execute(context(store, try_number=3))
    assert sent(sandbox, "smspartner") == {ANNA: 2, BEN: 2}


@pytest.mark.parametrize(
    "to",
    [
        f"{ANNA}, {BEN}", [ANNA, BEN], (ANNA, BEN), f"['{ANNA}', '{BEN}']", f'["{ANNA}", "{BEN}"]',
        [{"phone_number": ANNA}, {"phone_number": BEN}], f"{ANNA}\n{BEN};",
    ],
    ids=str,
)  # fmt: skip
def test_recipients_are_taken_in_every_form_that_users_write(sandbox: Any, to: Any) -> None:
    sms(to=to).execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


@pytest.mark.parametrize("as_path", [str, Path], ids=["text", "Path"])
def test_recipients_come_from_a_csv_file_with_their_personal_fields(
    sandbox: Any, tmp_path: Path, as_path: Any
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"phone_number;name\n{ANNA};Anna\n06 12 34 56 79;Benoît\n", encoding="utf-8-sig")
    report = sms(to=as_path(file), message="Bonjour {name}").execute(context(FakeStore()))
    assert report["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    assert {entry["phoneNumber"]: entry["message"] for entry in last_body(sandbox)["SMSList"]} == {
        ANNA: "Bonjour Anna",
        BEN: "Bonjour Benoît",
    }


def test_personal_fields_give_each_person_a_text_at_octopush_too(sandbox: Any) -> None:
    people = [{"phone_number": ANNA, "first_name": "Anna"}, {"phone_number": BEN, "first_name": "Ben"}]
    report = sms(conn_id="octopush_default", to=people, message="Bonjour {first_name}").execute(
        context(FakeStore())
    )
    assert report["gateway"] == "octopush"
    assert report["counts"]["accepted"] == 2
    assert sent(sandbox, "octopush") == {ANNA: 1, BEN: 1}
    assert [(who["phone_number"], who["first_name"]) for who in last_body(sandbox)["recipients"]] == [
        (ANNA, "Anna"),
        (BEN, "Ben"),
    ]


def test_a_scheduled_campaign_says_for_when(sandbox: Any) -> None:
    when = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    report = sms(send_at=when.isoformat()).execute(context(FakeStore()))
    assert datetime.fromisoformat(report["scheduled_for"]) == when
    assert last_body(sandbox)["minute"] % 5 == 0


def test_settings_of_the_gateway_are_passed_on(sandbox: Any) -> None:
    sms(sender="ACME", options={"tag": "rappel", "gamme": 2}).execute(context(FakeStore()))
    body = last_body(sandbox)
    assert (body["sender"], body["gamme"]) == ("ACME", 2)
    assert body["tag"].startswith("rappel")


def test_who_said_stop_is_counted_apart(sandbox: Any) -> None:
    outcome(sandbox, BEN, "opted_out")
    # With one text for all the gateway leaves people out without a word; with a text each it names them.
    people = [{"phone_number": ANNA, "name": "Anna"}, {"phone_number": BEN, "name": "Ben"}]
    report = sms(to=people, message="Bonjour {name}").execute(context(FakeStore()))
    assert (report["counts"]["accepted"], report["counts"]["opted_out"]) == (1, 1)


# Those who cannot be reached


def test_one_bad_row_stops_all_unless_told_otherwise(sandbox: Any) -> None:
    with pytest.raises(InvalidRecipientError, match=r"to\[2\]: .*on_invalid='skip'"):
        sms(to=[ANNA, "+3361234567", BEN]).execute(context(FakeStore()))
    assert requests(sandbox) == 0


def test_bad_rows_are_left_out_counted_and_written_to_a_file(
    sandbox: Any, tmp_path: Path, logs: Logs
) -> None:
    rejects = tmp_path / "missing folder" / "rejects.csv"
    operator = sms(to=[ANNA, "+33198765432", "abc", BEN], on_invalid="skip", rejects_path=str(rejects))
    report = operator.execute(context(FakeStore()))
    assert (report["counts"]["recipients"], report["counts"]["accepted"], report["counts"]["invalid"]) == (
        4,
        2,
        2,
    )
    lines = rejects.read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:2] for line in lines] == [["row", "number"], ["2", "+33198765432"], ["3", "abc"]]
    shown = logs.text
    assert "2 invalid" in shown
    assert "to[2]" in shown
    assert "98765432" not in shown


@pytest.mark.parametrize("to", [[], "", "  ", " , ;", None, "[]", [None, ""]], ids=repr)
def test_an_empty_list_fails_or_skips_as_told(sandbox: Any, to: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^to: has no recipients"):
        sms(to=to).execute(context(FakeStore()))
    with pytest.raises(AirflowSkipException, match="nobody is left"):
        sms(to=to, on_empty="skip").execute(context(FakeStore()))
    assert requests(sandbox) == 0


def test_a_list_of_which_nobody_is_left_fails_or_skips_as_told(sandbox: Any, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    bad: dict[str, Any] = {"to": ["0123456789"], "on_invalid": "skip", "rejects_path": str(rejects)}
    with pytest.raises(
        ConfigurationError, match=r"^to: nobody is left to send to, of 1 rows 1 .*on_empty='skip'"
    ):
        sms(**bad).execute(context(FakeStore()))
    with pytest.raises(AirflowSkipException):
        sms(**bad, on_empty="skip").execute(context(FakeStore()))
    assert rejects.exists()
    assert requests(sandbox) == 0


# What it may cost


def test_a_budget_is_kept_before_anything_is_sent(sandbox: Any) -> None:
    with pytest.raises(BudgetExceededError, match=r"^max_cost: 0\.05 "):
        sms(max_cost="0.05").execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {}
    assert sms(max_cost="0.09").execute(context(FakeStore()))["cost"] == "0.09"


def test_octopush_needs_a_unit_price_since_its_simulation_makes_prices_up(sandbox: Any) -> None:
    octopush: dict[str, Any] = {"conn_id": "octopush_default", "max_cost": 1}
    with pytest.raises(ConfigurationError, match="give unit_price"):
        sms(**octopush).execute(context(FakeStore()))
    with pytest.raises(BudgetExceededError):
        sms(**octopush, unit_price="0.6").execute(context(FakeStore()))
    assert sent(sandbox, "octopush") == {}
    sms(**octopush, unit_price="0.5").execute(context(FakeStore()))
    assert sent(sandbox, "octopush") == {ANNA: 1, BEN: 1}


def test_too_little_credit_fails_for_good_and_names_the_reason(sandbox: Any) -> None:
    sandbox.world.credit["smspartner"] = 0
    with pytest.raises(RejectedError, match=r"(?i)credit") as caught:
        sms().execute(context(FakeStore()))
    assert isinstance(caught.value, AirflowFailException)


# Waiting


def test_a_long_wait_is_handed_to_the_triggerer_until_an_absolute_moment(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = FakeStore()
    monkeypatch.setattr(
        "airflow_provider_voicepartner.operators.base.time", SimpleNamespace(time=lambda: 1_900_000_000.0)
    )
    fault(sandbox, "429", retry_after=45)
    with pytest.raises(TaskDeferred) as deferred:
        sms(deferrable=True).execute(context(store))
    assert isinstance(deferred.value.trigger, WaitUntilTrigger)
    assert deferred.value.trigger.until == 1_900_000_045.0
    assert deferred.value.method_name == "resume"
    assert sent(sandbox, "smspartner") == {}

    # Another log in place of 45 seconds: in this one everybody waits because of the 429.
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'later.db'}")
    operator = sms(deferrable=True)
    report = getattr(operator, deferred.value.method_name)(context(store), {"status": "due"})
    assert report["counts"]["accepted"] == 2
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    # A resumed task that dies and is resumed again sends nothing more.
    assert operator.resume(context(store), {"status": "due"}) == report
    assert requests(sandbox) == 2


@pytest.mark.parametrize(
    "event", [None, {}, {"status": "error"}, {"status": "due", "more": 1}, "due"], ids=repr
)
def test_an_unknown_event_is_refused_and_sends_nothing(sandbox: Any, event: Any) -> None:
    with pytest.raises(ValueError, match="unexpected trigger event"):
        sms(deferrable=True).resume(context(FakeStore()), event)
    assert requests(sandbox) == 0


@pytest.mark.parametrize(
    "arguments", [{"deferrable": False}, {"deferrable": True}], ids=["not asked for", "no store"]
)
def test_a_long_wait_is_left_to_airflows_retry_otherwise(sandbox: Any, arguments: Any) -> None:
    store = FakeStore() if not arguments["deferrable"] else None
    fault(sandbox, "429", retry_after=90)
    with pytest.raises(RetryableNotSentError) as caught:
        sms(**arguments).execute(context(store))
    assert caught.value.retry_after == 90


def test_a_text_of_the_present_time_sends_nothing_again_after_a_wait(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else the first batches would go out again at every resume, endlessly."""
    from airflow_provider_voicepartner.sending import planning

    monkeypatch.setitem(planning.plan_campaign.__kwdefaults__, "batch_size", 1)
    # Without asking what it costs first: each request is a batch.
    monkeypatch.setattr("airflow_provider_voicepartner.sending.pricing.Pricing._is_worth_it", False)
    store = FakeStore()
    fault(sandbox, "429", retry_after=45, skip=1, times=1, method="POST", path="/send")
    limited: dict[str, Any] = {"deferrable": True, "max_in_flight": 1}
    with pytest.raises(TaskDeferred):
        sms(message="12:00", send_again="12:00", on_unknown="resend", **limited).execute(context(store))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / 'later.db'}")
    with pytest.raises(ConfigurationError, match="has changed since"):
        sms(message="12:01", on_unknown="resend", **limited).resume(context(store), {"status": "due"})
    with pytest.raises(ConfigurationError, match=r"^send_again: has changed while"):
        sms(message="12:00", send_again="12:01", **limited).resume(context(store), {"status": "due"})
    assert sent(sandbox, "smspartner") == {ANNA: 1}
    sms(message="12:00", send_again="12:00", **limited).resume(context(store), {"status": "due"})
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}


# Templates, and what nobody may see


@pytest.mark.parametrize("operator", [SendSmsOperator, TtsCallOperator, VoicemailDropOperator])
def test_every_argument_can_be_a_template_but_the_choice_to_defer(operator: type[SendingOperator]) -> None:
    arguments = {
        name
        for kind in (operator, SendingOperator)
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    # Airflow's operators have a method dry_run, so the field has another name.
    fields = {"dry_run" if name == "is_dry_run" else name for name in operator.template_fields}
    assert arguments - {"deferrable"} == fields


def test_templates_are_rendered_in_lists_and_dicts_and_in_every_argument(sandbox: Any) -> None:
    operator = sms(
        conn_id="{{ params.gateway }}_default",
        to=[{"phone_number": "{{ params.number }}", "name": "{{ params.name }}"}],
        message="Bonjour {% raw %}{name}{% endraw %} de {{ params.firm }}",
        sender="{{ params.firm }}",
        options={"tag": "{{ params.tag }}"},
        purpose="{{ params.purpose }}",
        max_cost="{{ params.limit }}",
        send_at="{{ params.when }}",
    )
    given = {
        "gateway": "smspartner", "number": ANNA, "name": "Anna", "firm": "ACME", "tag": "rappel", "purpose": "alert",
        "limit": 3.5, "when": datetime.now(UTC) + timedelta(hours=1),
    }  # fmt: skip
    operator.render_template_fields(context(params=given))
    report = operator.execute(context(FakeStore()))
    assert report["scheduled_for"] == given["when"].isoformat()
    body = last_body(sandbox)
    assert body["SMSList"] == [{"phoneNumber": ANNA, "message": "Bonjour Anna de ACME"}]
    assert body["sender"] == "ACME"
    assert body["tag"].startswith("rappel")


def test_a_template_that_renders_a_list_or_settings_as_text_is_understood(sandbox: Any) -> None:
    operator = sms(
        to="{{ params.people }}", options="{{ params.options }}", rejects_path="{{ params.nothing }}"
    )
    operator.render_template_fields(
        context(params={"people": [ANNA, BEN], "options": {"gamme": 2}, "nothing": ""})
    )
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    assert last_body(sandbox)["gamme"] == 2


def test_a_field_may_be_a_function_as_elsewhere_in_airflow(sandbox: Any) -> None:
    operator = sms(to=lambda context, jinja_env: [context["params"]["number"]])
    operator.render_template_fields(context(params={"number": ANNA}))
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def rendered(operator: SendingOperator) -> str:
    """Return what Airflow would store and show of the rendered fields."""
    from airflow.serialization.helpers import serialize_template_field

    shown = {
        name: serialize_template_field(getattr(operator, name), name) for name in operator.template_fields
    }
    return json.dumps(shown, ensure_ascii=False)


def test_numbers_and_texts_do_not_show_in_the_rendered_fields(sandbox: Any) -> None:
    operator = sms(to=[{"phone_number": ANNA, "name": "Zoé"}], options={"tag": "geheim"}, sender="ACME")
    operator.render_template_fields(context(params={}))
    shown = rendered(operator)
    for secret in (ANNA, ANNA[1:], "Zoé", "planté", "geheim"):
        assert secret not in shown
    assert "1 items (hidden)" in shown
    assert "ACME" in shown  # what is no secret still helps
    assert repr(operator.to) == "1 items (hidden)"
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def test_a_mapped_task_hides_them_too() -> None:
    from airflow.providers.common.compat.sdk import DAG

    with DAG("mapped", schedule=None, start_date=datetime(2031, 1, 1, tzinfo=UTC)):
        mapped = SendSmsOperator.partial(task_id="send", message="Bonjour {{ params.name }}").expand(
            to=[ANNA, BEN]
        )
    assert {"to", "message"} <= set(mapped.template_fields)
    one = mapped.unmap({"to": ANNA, "message": "Bonjour {{ params.name }}", "task_id": "send"})
    one.render_template_fields(context(params={"name": "Zoé"}))
    assert one.given("to") == ANNA
    assert one.given("message") == "Bonjour Zoé"
    assert "Zoé" not in rendered(one)
    assert ANNA not in rendered(one)


def test_a_template_that_cannot_be_rendered_does_not_put_numbers_into_the_log(logs: Logs) -> None:
    operator = sms(to=[ANNA, "{{ params.nobody.number }}"], message=TEXT + "{{ params.nobody.name }}")
    with pytest.raises(Exception, match="nobody") as caught:
        operator.render_template_fields(context(params={}))
    for secret in (ANNA, TEXT):
        assert secret not in logs.text
        assert secret not in chain(caught.value)


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        "drop_after",
        "500",
        "html",
        "truncated_json",
        "queued_without_id",
        "429",
        "no credit",
        "wrong key",
    ],
)
@pytest.mark.usefixtures("one_look_up")
@pytest.mark.parametrize("gateway", ["smspartner", "octopush"])
def test_no_log_no_error_and_no_report_holds_a_number_a_text_or_a_key(
    sandbox: Any,
    logs: Logs,
    gateway: str,
    trouble: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = FakeStore()
    if trouble == "no credit":
        sandbox.world.credit[gateway] = 0
    elif trouble == "wrong key":
        getattr(sandbox.world.settings, gateway).api_key = "another"
    elif trouble:
        fault(sandbox, trouble, **({"retry_after": 90} if trouble == "429" else {}))
    shown = ""
    for number in (1, 2):
        # Another log of turns for each: in one that lasts, everybody waits after the 429.
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__STORE_URL", f"sqlite:///{tmp_path / f'{number}.db'}")
        operator = sms(conn_id=f"{gateway}_default")
        operator.render_template_fields(context(params={}))
        try:
            shown += json.dumps(operator.execute(context(store, try_number=number)), ensure_ascii=False)
        except Exception as error:
            shown += chain(error)
    shown += logs.text + json.dumps(store.values, ensure_ascii=False)
    assert gateway in shown.casefold()
    for secret in (KEYS[gateway], LOGIN, TEXT, "planté", "plant\\u00e9", ANNA, ANNA[3:], BEN[3:]):
        assert secret not in shown, f"{secret!r} was shown"
    assert max(sent(sandbox, gateway).values(), default=1) == 1


@pytest.mark.usefixtures("one_look_up")
def test_a_gateway_that_never_answers_is_in_doubt(
    set_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting_server(never_answer) as server:
        set_connection("smspartner", host=server.url, extra={"read_timeout": 0.3})
        monkeypatch.setattr("airflow_provider_voicepartner.hooks.http.HttpSender._wait", lambda *_: 0.0)
        with pytest.raises(SendOutcomeUnknownError):
            sms().execute(context(FakeStore()))
        # Look-ups are reads and may be repeated; the send is not.
        assert sum(request.startswith(b"POST") for request in server.received) == 1


@pytest.mark.airflow3
@pytest.mark.usefixtures("sandbox")
def test_no_part_of_the_ledger_expires_before_another() -> None:
    """Airflow's clean-up drops a key 30 days after its last write; a plan without its batches would be sent again."""
    from airflow.sdk import NEVER_EXPIRE

    store = FakeStore()
    sms().execute(context(store))
    assert len(store.retention) >= 2
    assert all(kept is NEVER_EXPIRE for kept in store.retention.values())
