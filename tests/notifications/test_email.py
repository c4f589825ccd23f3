"""Mails to addresses that end in @sms become SMS, whoever sends them; all other addresses get their mail as before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.gsm import count_segments
from airflow_provider_voicepartner.hooks.incidents import incident_store
from airflow_provider_voicepartner.notifications import email
from airflow_provider_voicepartner.notifications.email import context_of, recipient_of, send_email, text_of
from airflow_provider_voicepartner.notifications.mail_sms import MailSmsNotifier
from tests.support.gateways import fault, last_body, requests, sent
from tests.support.tasks import CALM, Logs

ANNE, BRUNO = "+33612345601", "+33612345602"
OF_2 = "Airflow alert: <TaskInstance: etl.sales.load manual__2031-05-06T12:00:00+00:00 [failed]>"
OF_3 = (
    "Airflow alert: id=UUID('0199') task_id='load' dag_id='etl.sales' run_id='manual__2031-05-06T12:00:00+00:00' "
    "try_number=1 dag_version_id=UUID('01') map_index=-1 hostname='h'"
)
BODY = 'Try 1 out of 1<br>Exception:<br>no rows &amp; no <b>columns</b><br>Log: <a href="x">Link</a><br>'


@pytest.fixture(autouse=True)
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "contacts.json"
    path.write_text(json.dumps({"people": {"anne": {"phone": ANNE}}}), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(path))


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the mails that go on to the mail server."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(
        email,
        "_mail",
        lambda to, subject, html, **more: found.append({"to": to, "subject": subject, "html": html, **more}),
    )
    return found


def test_names_and_numbers_become_sms_and_others_stay_mails(sandbox: Any, mails: list[Any]) -> None:
    send_email(["anne@sms", "0612345602@SMS", "data@example.org"], "The load failed\nat once", "<b>x</b>")
    assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}
    assert last_body(sandbox)["message"] == "The load failed"
    assert [mail["to"] for mail in mails] == [["data@example.org"]]
    assert mails[0]["html"] == "<b>x</b>"


@pytest.mark.parametrize(
    "to", ["anne@sms, b@example.org", "anne@sms;b@example.org", ("anne@sms", "b@example.org")]
)
def test_addresses_are_read_as_airflow_reads_them(sandbox: Any, mails: list[Any], to: Any) -> None:
    send_email(to, "Fails", "")
    assert (sent(sandbox, "smspartner"), mails[0]["to"]) == ({ANNE: 1}, ["b@example.org"])


def test_nobody_is_messaged_twice_and_copies_count(sandbox: Any, mails: list[Any]) -> None:
    send_email("anne@sms", "Fails", "", cc="anne@sms", bcc=["0612345602@sms", "c@example.org"])
    assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}
    assert (mails[0]["to"], mails[0]["cc"], mails[0]["bcc"]) == ([], None, ["c@example.org"])


def test_without_a_mailbox_no_mail_server_is_needed(sandbox: Any, mails: list[Any]) -> None:
    send_email("anne@sms", "Fails", "")
    assert mails == []


def test_a_dry_run_sends_no_sms(sandbox: Any, mails: list[Any]) -> None:
    send_email("anne@sms, b@example.org", "Fails", "", dryrun=True)
    assert requests(sandbox) == 0
    assert mails[0]["dryrun"] is True


@pytest.mark.parametrize("to", ["anne@sms, b@example.org", "b@example.org"])
def test_a_mail_that_fails_is_no_reason_to_message_again(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, logs: Logs, to: str
) -> None:
    # Airflow 2 calls its backend a second time when it raises.
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("planted b@example.org")

    monkeypatch.setattr(email, "_mail", fail)
    if "sms" not in to:
        with pytest.raises(OSError, match="planted"):
            send_email(to, "Fails", "")
        return
    send_email(to, "Fails", "")
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert "OSError" in logs.text
    assert "planted" not in logs.text


def test_an_sms_that_fails_does_not_stop_the_mail(sandbox: Any, mails: list[Any], logs: Logs) -> None:
    fault(sandbox, "500", times=None)
    send_email("anne@sms, nobody@sms, b@example.org", "Fails", "")
    assert mails[0]["to"] == ["b@example.org"]
    assert "@nobody" in logs.text


def test_a_long_subject_takes_one_segment(sandbox: Any) -> None:
    send_email("anne@sms", "é" * 300, "")
    assert count_segments(last_body(sandbox)["message"]).segments == 1


def said_of(subject: str, body: str) -> str:
    """Return what is said of one of Airflow's own mails."""
    return MailSmsNotifier(to=ANNE).message_to_send(context_of(subject, body)).text or ""


@pytest.mark.parametrize("subject", [OF_2, OF_3])
def test_airflows_own_subject_is_said_in_words(subject: str) -> None:
    assert said_of(subject, BODY) == (
        "Airflow: etl.sales.load failed, run manual__2031-05-06T12:00:00+00:00: no rows & no columns"
    )


def test_a_mapped_task_has_its_index_and_a_retry_its_word() -> None:
    retried = OF_2.replace("[failed]", "map_index=3 [up_for_retry]")
    assert said_of(retried, "").startswith("Airflow: etl.sales.load[3] failed, will be retried, run manual")
    assert said_of(OF_3.replace("map_index=-1", "map_index=3"), "").startswith(
        "Airflow: etl.sales.load[3] failed"
    )


def test_of_several_tries_it_is_said_which_one_failed() -> None:
    body = BODY.replace("1 out of 1", "2 out of 3")
    assert said_of(OF_3, body).startswith("Airflow: etl.sales.load failed (try 2 of 3), run manual")


def mail(index: int, tries: str = "1 out of 1", of: str = OF_3) -> None:
    subject = {
        OF_3: OF_3.replace("map_index=-1", f"map_index={index}"),
        OF_2: OF_2.replace("[failed]", f"map_index={index} [failed]"),
    }[of]
    send_email("anne@sms", subject, BODY.replace("1 out of 1", tries))


@pytest.mark.parametrize("of", [OF_2, OF_3])
def test_a_storm_of_mails_is_one_sms_and_the_next_says_how_many(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    for index in range(12):
        mail(index, of=of)
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    store = incident_store()._store
    now = store._clock
    assert now is not None
    monkeypatch.setattr(store, "_clock", lambda: now() + 901)
    mail(12, of=of)
    assert sent(sandbox, "smspartner") == {ANNE: 2}
    assert " failed and 11 more, run " in str(last_body(sandbox)["message"])


def test_each_contact_is_told_of_a_failure_in_their_language(sandbox: Any, tmp_path: Path) -> None:
    people = {
        "anne": {"phone": ANNE, "language": "fr"},
        "bruno": {"phone": BRUNO, "language": "en"},
    }
    (tmp_path / "contacts.json").write_text(json.dumps({"people": people}), encoding="utf-8")
    send_email("anne@sms, bruno@sms, +33612345603@sms", OF_3, BODY)
    texts = {
        line.number: line.text or campaign.text
        for campaign in sandbox.world.campaigns["smspartner"].values()
        for line in campaign.lines
    }
    end = "run manual__2031-05-06T12:00:00+00:00: no rows & no columns"
    assert texts == {
        ANNE: f"Airflow: etl.sales.load a échoué, {end}",
        **dict.fromkeys((BRUNO, "+33612345603"), f"Airflow: etl.sales.load failed, {end}"),
    }


def test_a_mail_between_two_tries_does_not_hide_the_last_one(sandbox: Any) -> None:
    mail(1, "1 out of 2")
    mail(1, "1 out of 2")  # Airflow 2 calls its backend again when the first time fails
    mail(1, "2 out of 2")
    assert sent(sandbox, "smspartner") == {ANNE: 2}


def test_other_mails_are_all_sent(sandbox: Any) -> None:
    for _ in range(2):
        send_email("anne@sms", "The report is ready", "")
    assert sent(sandbox, "smspartner") == {ANNE: 2}


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (OF_3, "Airflow. Task load of DAG etl sales failed. no rows & no columns."),
        ("The report {{ 6 * 7 }} is ready", "The report (( 6 * 7 )) is ready"),
    ],
)
def test_a_fallback_says_what_the_mail_says(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, subject: str, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__ALERT_FALLBACK", "call:voicepartner_default")
    fault(sandbox, "500", times=None, gateway="smspartner")
    send_email("anne@sms", subject, BODY)
    (call,) = sandbox.world.campaigns["voicepartner"].values()
    assert said in call.text


@pytest.mark.parametrize("subject", ["", None, "\n \n"])
def test_a_mail_without_a_subject_still_says_something(subject: Any) -> None:
    assert "without a subject" in text_of(subject)


@pytest.mark.parametrize(
    ("address", "recipient"),
    [
        ("anne@sms", "@anne"), ("@anne@sms", "@anne"), ("<anne@sms>", "@anne"), (" +33612345601@sms ", "+33612345601"),
        ("06 12 34 56 01@SMS", "06 12 34 56 01"), ("anne@sms.example.org", None), ("sms", None), ("@sms", None),
        ("anne@example.org", None), ("", None), ("anne@smsx", None),
    ],
)  # fmt: skip
def test_only_the_domain_decides(address: str, recipient: str | None) -> None:
    assert recipient_of(address) == recipient


@CALM
@given(st.text(), st.text(), st.text())
def test_anything_can_be_read(address: str, subject: str, html: str) -> None:
    assert recipient_of(address) is None or address.strip().strip("<>").lower().rstrip().endswith("sms")
    assert "\n" not in text_of(subject)


def test_a_long_mail_is_read_in_bounded_time(sandbox: Any, mails: list[Any]) -> None:
    send_email("anne@sms", OF_3, f"Exception:<br>{' ' * 500_000}x{'<' * 500_000}")
    send_email("anne@sms", "x" * 5_000_000, "")
    assert sent(sandbox, "smspartner") == {ANNE: 2}


def test_what_is_no_text_is_left_to_the_mail_server(sandbox: Any, mails: list[Any]) -> None:
    send_email(["anne@sms", 3], "Fails", "")  # type: ignore[list-item]
    assert (sent(sandbox, "smspartner"), mails[0]["to"]) == ({ANNE: 1}, [3])


def test_what_it_takes_is_what_airflows_own_backend_takes() -> None:
    from inspect import signature

    airflows = pytest.importorskip("airflow.utils.email").send_email_smtp
    assert set(signature(airflows).parameters) <= set(signature(send_email).parameters)
