"""``@names`` in ``to``: who they are is settled when the campaign begins, and no number gets out of the contacts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.compat import DAG
from airflow_provider_voicepartner.exceptions import ConfigurationError, RetryableNotSentError
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.sending.ledger import Ledger
from airflow_provider_voicepartner.sending.records import BatchRecord, Phase
from tests.operators.conftest import HookClock
from tests.support.gateways import requests, sent
from tests.support.tasks import FakeStore, Logs, TaskRun, chain, context

OPTION = "AIRFLOW__VOICEPARTNER__CONTACTS"
ANNE, BRUNO, CHLOE = "+33612345601", "+33612345602", "+33612345603"
ANNES_DESK = "+33142685301"
PLAIN = "+33612345609"
WITHIN = 30
"""Minutes until the hand-over from Anne to Bruno."""


class Contacts:
    """A file of contacts that a test may change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = 0
        soon = datetime.now(UTC) + timedelta(minutes=WITHIN)
        self.data: dict[str, Any] = {
            "people": {
                "anne": {"phone": ANNE, "call": ANNES_DESK},
                "bruno": {"phone": BRUNO},
                "chloe": {"phone": CHLOE},
            },
            "groups": {"data-team": {"members": ["anne", "bruno"]}},
            "rotas": {
                "oncall": {
                    "members": ["anne", "bruno", "chloe"],
                    "hand_over": f"{soon:%H:%M}",
                    "start": f"{soon - timedelta(days=1):%Y-%m-%d}",
                    "time_zone": "UTC",
                }
            },
        }
        self.write()

    def write(self) -> None:
        """Write the file, with another date than before."""
        self._version += 1
        self.path.write_text(json.dumps(self.data), encoding="utf-8")
        os.utime(self.path, (1, self._version))


@pytest.fixture
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contacts:
    monkeypatch.setenv(OPTION, str(tmp_path / "contacts.json"))
    return Contacts(tmp_path / "contacts.json")


def sms(to: Any = "@oncall", **arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "to": to, "message": "Bonjour", **arguments})


class TestWhoIsReached:
    @pytest.mark.parametrize(
        ("to", "expected"),
        [
            ("@anne", {ANNE}),
            ("@oncall", {ANNE}),
            ("@data-team, @oncall, @anne", {ANNE, BRUNO}),
            (f"@Chloe, {PLAIN}", {CHLOE, PLAIN}),
            (["@chloe", PLAIN], {CHLOE, PLAIN}),
            ("['@chloe', '@bruno']", {CHLOE, BRUNO}),
            ([{"phone_number": "@data-team"}], {ANNE, BRUNO}),
        ],
    )
    def test_by_sms(self, to: Any, expected: set[str], sandbox: Any, contacts: Contacts) -> None:
        report = sms(to).execute(context())
        assert sent(sandbox, "smspartner") == dict.fromkeys(expected, 1)
        assert report["counts"]["duplicate"] == 0

    def test_by_a_call_on_the_number_for_calls(self, sandbox: Any, contacts: Contacts) -> None:
        TtsCallOperator(task_id="call", to="@data-team", text="Bonjour").execute(context())
        assert sent(sandbox, "voicepartner") == {ANNES_DESK: 1, BRUNO: 1}

    def test_by_voicemail_as_by_a_call(self, sandbox: Any, contacts: Contacts) -> None:
        operator = VoicemailDropOperator(task_id="drop", to="@anne", audio_token="a1b2c3d4")
        operator.execute(context())
        assert sent(sandbox, "voicepartner") == {ANNES_DESK: 1}

    def test_each_row_of_a_group_keeps_its_fields(self, sandbox: Any, contacts: Contacts) -> None:
        rows = [{"mobile": "@data-team", "place": "Lyon"}, {"mobile": PLAIN, "place": "Brest"}]
        sms(rows, column="mobile", message="Bonjour {place}").execute(context())
        assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1, PLAIN: 1}

    def test_a_row_of_a_file_is_no_name(self, tmp_path: Path, sandbox: Any, contacts: Contacts) -> None:
        path = tmp_path / "people.csv"
        path.write_text(f"phone_number\n@anne\n{PLAIN}\n", encoding="utf-8")
        with pytest.raises(ConfigurationError, match=r"names of the contacts are for the argument to"):
            sms(str(path)).execute(context())
        assert requests(sandbox) == 0


class TestNothingIsSent:
    def test_when_the_dag_is_parsed_and_a_name_is_not_there(self, contacts: Contacts) -> None:
        with pytest.raises(ConfigurationError, match=r"to: @onkall is not in .*; did you mean 'oncall'"):
            sms("@onkall")

    def test_when_a_template_renders_to_a_name_that_is_not_there(
        self, sandbox: Any, contacts: Contacts
    ) -> None:
        operator = sms("{{ 'x' }}")
        operator.to = f"@onkall, {PLAIN}"
        with pytest.raises(ConfigurationError, match=r"@onkall is not in .*'oncall'\?\. Nothing was sent"):
            operator.execute(context())
        assert requests(sandbox) == 0

    def test_when_there_is_a_mistake_in_whom_a_name_means(self, sandbox: Any, contacts: Contacts) -> None:
        contacts.data["people"]["anne"]["phone"] = "061234560"
        contacts.write()
        with pytest.raises(ConfigurationError, match=r"people\.anne\.phone") as caught:
            sms("@data-team").execute(context())
        assert "12345" not in chain(caught.value)
        sms("@bruno").execute(context())
        assert sent(sandbox, "smspartner") == {BRUNO: 1}

    def test_when_the_contacts_cannot_be_reached(
        self, sandbox: Any, contacts: Contacts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator = sms()
        monkeypatch.setattr(
            "airflow_provider_voicepartner.hooks.contacts._variable_in_metadata", lambda _: None
        )
        monkeypatch.setenv(OPTION, "variable:nobody_made_it")
        with pytest.raises(RetryableNotSentError, match="Variable"):
            operator.execute(context())
        assert requests(sandbox) == 0


class KilledError(BaseException):
    """The process ends here."""


class TestOverAHandOver:
    @pytest.fixture
    def sent_to_anne(
        self, sandbox: Any, contacts: Contacts, task: TaskRun, monkeypatch: pytest.MonkeyPatch
    ) -> TaskRun:
        """Return a task that has sent to Anne and was killed before it could write that down."""
        write = Ledger.write

        def die(ledger: Ledger, records: Mapping[int, BatchRecord]) -> None:
            if any(record.phase is not Phase.CLAIMED for record in records.values()):
                raise KilledError
            write(ledger, records)

        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "write", die)
            with pytest.raises(KilledError):
                sms().execute(task.attempt())
        assert sent(sandbox, "smspartner") == {ANNE: 1}
        return task

    def test_a_retry_knows_whom_it_was_sent_to(
        self, sandbox: Any, sent_to_anne: TaskRun, clock: HookClock, logs: Logs
    ) -> None:
        clock.forward(2 * WITHIN)
        report = sms().execute(sent_to_anne.attempt(2))
        assert report["counts"]["accepted"] == 1
        assert sent(sandbox, "smspartner") == {ANNE: 1}
        assert "@oncall is anne, as when this campaign was begun" in logs.text
        # And a clear after success, days later.
        clock.forward(3 * 24 * 60)
        assert sms().execute(sent_to_anne.attempt(3))["counts"]["accepted"] == 1
        assert sent(sandbox, "smspartner") == {ANNE: 1}

    def test_an_override_that_was_written_later_changes_nothing(
        self, sandbox: Any, sent_to_anne: TaskRun, contacts: Contacts
    ) -> None:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        contacts.data["rotas"]["oncall"]["overrides"] = [{"from": today, "until": today, "who": "chloe"}]
        contacts.data["rotas"]["oncall"]["members"] = ["chloe"]
        contacts.write()
        sms().execute(sent_to_anne.attempt(2))
        assert sent(sandbox, "smspartner") == {ANNE: 1}

    def test_a_new_send_again_asks_who_is_on_call_now(
        self, sandbox: Any, sent_to_anne: TaskRun, clock: HookClock
    ) -> None:
        clock.forward(2 * WITHIN)
        sms(send_again="bruno was not told").execute(sent_to_anne.attempt(2))
        assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}
        sms(send_again="bruno was not told").execute(sent_to_anne.attempt(3))
        assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}

    def test_a_number_that_was_changed_meanwhile_is_refused(
        self, sandbox: Any, sent_to_anne: TaskRun, contacts: Contacts
    ) -> None:
        contacts.data["people"]["anne"]["phone"] = CHLOE
        contacts.write()
        with pytest.raises(ConfigurationError, match="a number that was changed in the contacts") as caught:
            sms().execute(sent_to_anne.attempt(2))
        assert "6123456" not in chain(caught.value)
        assert sent(sandbox, "smspartner") == {ANNE: 1}
        contacts.data["people"]["anne"]["phone"] = ANNE
        contacts.write()
        sms().execute(sent_to_anne.attempt(3))
        assert sent(sandbox, "smspartner") == {ANNE: 1}

    def test_somebody_who_was_taken_out_meanwhile_is_named(
        self, sandbox: Any, sent_to_anne: TaskRun, contacts: Contacts
    ) -> None:
        del contacts.data["people"]["anne"]
        contacts.data["groups"]["data-team"]["members"] = ["bruno"]
        contacts.data["rotas"]["oncall"]["members"] = ["bruno"]
        contacts.write()
        with pytest.raises(ConfigurationError, match=r"@anne is not in .* Nothing was sent"):
            sms().execute(sent_to_anne.attempt(2))
        assert sent(sandbox, "smspartner") == {ANNE: 1}

    def test_after_an_attempt_that_sent_nothing_it_is_whoever_is_on_call_now(
        self, sandbox: Any, contacts: Contacts, task: TaskRun, clock: HookClock
    ) -> None:
        with pytest.raises(ConfigurationError):
            sms(max_cost="none").execute(task.attempt())
        clock.forward(2 * WITHIN)
        sms().execute(task.attempt(2))
        assert sent(sandbox, "smspartner") == {BRUNO: 1}

    @pytest.mark.usefixtures("single")
    def test_a_group_goes_on_with_whom_it_was_begun_for(
        self, sandbox: Any, contacts: Contacts, task: TaskRun
    ) -> None:
        with pytest.raises(Exception, match="max_cost"):
            sms("@data-team", max_cost="0.07", unit_price="0.05", max_in_flight=1).execute(task.attempt())
        assert sent(sandbox, "smspartner") == {ANNE: 1}
        contacts.data["groups"]["data-team"]["members"] = ["chloe", "bruno", "anne"]
        contacts.write()
        sms("@data-team").execute(task.attempt(2))
        assert sent(sandbox, "smspartner") == {ANNE: 1, BRUNO: 1}


class TestNoNumberGetsOut:
    def test_what_airflow_shows_is_the_names(self, contacts: Contacts) -> None:
        operator = sms("@anne, {{ ti.run_id and '@oncall' }}")
        operator.dag = DAG("d", schedule=None)
        operator.render_template_fields(context())
        assert str(operator.to) == repr(operator.to) == "@anne, @oncall"
        mixed = sms(f"@anne, {PLAIN}")
        mixed.dag = DAG("e", schedule=None)
        mixed.render_template_fields(context())
        assert str(mixed.to) == "@anne and 1 more (hidden)"

    def test_logs_state_and_report_hold_no_number(self, sandbox: Any, contacts: Contacts, logs: Logs) -> None:
        run = TaskRun(FakeStore())
        report = sms("@data-team").execute(run.attempt())
        assert run.state is not None
        stored = json.dumps(run.state.values)
        assert '"data-team\\": [\\"anne\\", \\"bruno\\"]' in stored
        for text in (logs.text, stored, json.dumps(report), json.dumps(run.pushed, default=str)):
            assert "6123456" not in text
            assert "42685301" not in text
