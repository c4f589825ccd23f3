"""Send an SMS: once, to whom it should, with a report that tells all and gives nothing away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import AirflowFailException, AirflowSkipException
from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
    InvalidRecipientError,
    RejectedError,
)
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from tests.support.gateways import fault, last_body, outcome, requests, sent
from tests.support.tasks import FakeStore, Logs, assert_plain, context

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


def test_a_lost_answer_is_settled_by_the_gateways_own_knowledge(sandbox: Any) -> None:
    fault(sandbox, "drop_after")
    report = sms().execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    assert report["counts"]["accepted"] == 2
    assert report["batches"][0]["gateway_id"] is None
    assert report["batches"][0]["tag"] == report["batches"][0]["reference"]
    assert report["batches"][0]["evidence"] == "look_up"


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


def test_a_last_batch_of_one_who_said_stop_is_done_and_no_dead_end(sandbox: Any) -> None:
    people = [f"+336{number:08}" for number in range(10_000_000, 10_000_501)]
    outcome(sandbox, people[-1], "opted_out")
    store = FakeStore()
    for try_number in (1, 2):
        counts = sms(to=people).execute(context(store, try_number))["counts"]
        assert (counts["accepted"], counts["refused"] + counts["opted_out"]) == (500, 1)
        assert (counts["opted_out"], counts["in_doubt"]) == (1, 0)
    assert sent(sandbox, "smspartner") == dict.fromkeys(people[:-1], 1)


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
    with pytest.raises(AirflowSkipException, match="no recipients are left"):
        sms(to=to, on_empty="skip").execute(context(FakeStore()))
    assert requests(sandbox) == 0


def test_a_list_of_which_nobody_is_left_fails_or_skips_as_told(sandbox: Any, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    bad: dict[str, Any] = {"to": ["0123456789"], "on_invalid": "skip", "rejects_path": str(rejects)}
    with pytest.raises(
        ConfigurationError, match=r"^to: no recipients are left: 1 of 1 rows .*on_empty='skip'"
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
