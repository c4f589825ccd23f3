"""An alert to ``@names``: whoever is on call is told, and where a name leads to nobody, the last resort."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks import contacts as source
from airflow_provider_voicepartner.notifications import base
from airflow_provider_voicepartner.notifications.failure import NOT_SENT
from airflow_provider_voicepartner.notifications.sms import SmsNotifier
from airflow_provider_voicepartner.notifications.voice import TtsCallNotifier
from tests.support.gateways import bodies, fault, requests, sent
from tests.support.tasks import Logs

OPTION = "AIRFLOW__VOICEPARTNER__CONTACTS"
ANNE, BRUNO, CHLOE = "+33612345601", "+33612345602", "+33612345603"
DESK = "+33142685301"
PLAIN = "+33612345609"


class Contacts:
    """A file of contacts that a test may change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version = 0
        yesterday = datetime.now(UTC) - timedelta(days=1)
        self.data: dict[str, Any] = {
            "last_resort": "chloe",
            "people": {
                "anne": {"phone": ANNE, "call": DESK},
                "bruno": {"phone": BRUNO},
                "chloe": {"phone": CHLOE},
                "desk": {"phone": DESK},
            },
            "groups": {"team": {"members": ["anne", "desk"]}},
            "rotas": {
                "oncall": {"members": ["anne"], "hand_over": "09:00", "start": f"{yesterday:%Y-%m-%d}"},
                "desks": {
                    "members": ["desk"], "hand_over": "09:00", "start": "2026-01-01", "last_resort": ["bruno"],
                },
            },
        }  # fmt: skip
        self.write()

    def write(self, text: str | None = None) -> None:
        """Write the file, with another date than before."""
        self._version += 1
        self.path.write_text(json.dumps(self.data) if text is None else text, encoding="utf-8")
        os.utime(self.path, (1, self._version))


@pytest.fixture
def contacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contacts:
    monkeypatch.setenv(OPTION, str(tmp_path / "contacts.json"))
    return Contacts(tmp_path / "contacts.json")


def told(to: Any, *, is_due: bool = True) -> None:
    """Send an alert, of which nothing was known when the DAG was parsed."""
    more = {"context": {}} if is_due else {}
    try:
        notifier = SmsNotifier(to=to, message="Bonjour", **more)
    except TypeError:  # Airflow before 3.1 gives no context.
        notifier = SmsNotifier(to=PLAIN, message="Bonjour")
        notifier.to = to
    notifier({})


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("@oncall", {ANNE}),
        ("@bruno, @oncall, @anne", {ANNE, BRUNO}),
        (["@chloe", PLAIN], {CHLOE, PLAIN}),
        ("{{ '@' }}bruno", {BRUNO}),
    ],
)
def test_names_are_told(to: Any, expected: set[str], sandbox: Any, contacts: Contacts, logs: Logs) -> None:
    told(to, is_due=False)
    assert sent(sandbox, "smspartner") == dict.fromkeys(expected, 1)
    assert "error" not in logs.text.lower()


@pytest.mark.parametrize(
    ("to", "due"),
    [
        ("@anne", ["14:00"]), ("@anne, @chloe", ["14:00"]), ("@team, @chloe", ["14:00", "21:00"]),
        ("@bruno, @anne", ["21:00", "14:00"]), (f"@anne, {PLAIN}", ["14:00", "12:00 UTC"]),
    ],
)  # fmt: skip
def test_everybody_is_told_a_deadline_by_their_own_clock(
    to: str, due: list[str], sandbox: Any, contacts: Contacts
) -> None:
    for name, zone in {"anne": "Europe/Paris", "chloe": "Europe/Paris", "bruno": "Asia/Tokyo"}.items():
        contacts.data["people"][name]["time_zone"] = zone
    contacts.data["groups"]["team"] = {"members": ["anne", "bruno"]}
    contacts.write()
    SmsNotifier(to=to)(
        {"dag_run": {"dag_id": "sales"}, "deadline": {"deadline_time": "2031-05-06T12:00:00Z"}}  # type: ignore[typeddict-item]
    )
    texts = [str(body["message"]) for body in bodies(sandbox) if "message" in body]
    assert sorted(texts) == sorted(f"Airflow: sales missed its deadline of 2031-05-06 {at}" for at in due)
    assert set(sent(sandbox, "smspartner").values()) == {1}


def test_a_request_that_hangs_leaves_the_others_their_alert(
    sandbox: Any, contacts: Contacts, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, zone in {"anne": "Europe/Paris", "bruno": "Asia/Tokyo", "chloe": "America/Lima"}.items():
        contacts.data["people"][name]["time_zone"] = zone
    contacts.write()
    monkeypatch.setattr(SmsNotifier, "total_seconds", 6.0)
    fault(sandbox, "timeout", path="/send", times=2)
    notifier = SmsNotifier(
        to="@anne, @bruno, @chloe", fallback=[SmsNotifier(to="@desk", message="Ersatz", at_most=None)]
    )
    notifier({"dag_run": {"dag_id": "sales"}, "deadline": {"deadline_time": "2031-05-06T12:00:00Z"}})  # type: ignore[typeddict-item]
    assert list(sent(sandbox, "smspartner").values()) == [1] * 3  # those that hang arrive, and no more
    assert {one.person for one in notifier.told} == {"anne", "bruno", "chloe"}
    assert "it is unknown whether one request was accepted: no answer in time" in logs.text
    assert "Ersatz" not in str(bodies(sandbox))  # those who know already are not told again
    assert "accepted for 1 recipients" in logs.text


def test_a_call_goes_to_the_number_for_calls(sandbox: Any, contacts: Contacts) -> None:
    TtsCallNotifier(to="@oncall", text="Bonjour")({})
    assert sent(sandbox, "voicepartner") == {DESK: 1}


def test_in_the_triggerer_too(sandbox: Any, contacts: Contacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_PEOPLE", json.dumps(contacts.data))
    monkeypatch.setenv(OPTION, "variable:people")
    notifier = SmsNotifier(to="@oncall", message="Bonjour")
    asyncio.run(notifier.async_notify({}))  # type: ignore[typeddict-item]  # no context
    assert sent(sandbox, "smspartner") == {ANNE: 1}


@pytest.mark.parametrize("to", ["@onkall", ["@oncall", "@onkall"], [{"phone_number": "@onkall"}]])
def test_a_name_that_is_not_there_fails_when_the_dag_is_parsed(to: Any, contacts: Contacts) -> None:
    with pytest.raises(ConfigurationError, match=r"@onkall is not in .*; did you mean 'oncall'"):
        SmsNotifier(to=to)
    with pytest.raises(ConfigurationError, match="@onkall"):
        SmsNotifier.checked(to=to)


@pytest.mark.parametrize(
    ("to", "expected", "line"),
    [
        ("@onkall", {CHLOE}, "did you mean 'oncall'?. The last resort is told instead: chloe"),
        (
            "@desk",
            {CHLOE},
            "@desk has no number for this kind of message. The last resort is told instead: chloe",
        ),
        ("@desks", {BRUNO}, "@desks (desk) has no number for this kind of message. The last resort is told"),
        ("@team", {ANNE}, "of @team desk cannot be told: no number for this kind of message"),
        ("@0612345678", {CHLOE}, "is no name"),
        (f"@onkall, {PLAIN}", {CHLOE, PLAIN}, "@onkall is not in"),
    ],
)
def test_a_name_that_leads_to_nobody_falls_to_the_last_resort(
    to: Any, expected: set[str], line: str, sandbox: Any, contacts: Contacts, logs: Logs
) -> None:
    told(to)
    assert sent(sandbox, "smspartner") == dict.fromkeys(expected, 1)
    said = logs.text
    assert line in said
    assert "6123456" not in said
    assert "42685301" not in said


def test_somebody_with_a_mistake_does_not_keep_the_others_from_being_told(
    sandbox: Any, contacts: Contacts, logs: Logs
) -> None:
    contacts.data["people"]["anne"] = {"phone": "061234560"}
    contacts.write()
    told("@anne, @bruno")
    assert sent(sandbox, "smspartner") == {CHLOE: 1, BRUNO: 1}
    assert "@anne has a mistake in the contacts" in logs.text


def test_a_misspelt_member_of_a_group_is_said_not_to_be_told(
    sandbox: Any, contacts: Contacts, logs: Logs
) -> None:
    contacts.data["groups"]["team"]["members"] = ["anne", "brunoo"]
    contacts.write()
    told("@team")
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert "of @team brunoo cannot be told" in logs.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # An SMS reaches nobody of the rota's last resort, so the one of all contacts is told.
        ({"last_resort": ["desk"]}, CHLOE),
        # A rota that cannot be used for a mistake has its last resort all the same.
        ({"hand_over": "noon"}, BRUNO),
        ({"members": []}, BRUNO),
    ],
)
def test_a_last_resort_is_told_whatever_is_wrong_with_its_rota(
    change: dict[str, Any], expected: str, sandbox: Any, contacts: Contacts, logs: Logs
) -> None:
    contacts.data["rotas"]["desks"] |= change
    contacts.write()
    told("@desks")
    assert sent(sandbox, "smspartner") == {expected: 1}
    assert "The last resort is told instead" in logs.text


@pytest.mark.parametrize("in_triggerer", [True, False])
@pytest.mark.parametrize(
    "to", ["{{ '' }}", "@anne, {{ missing.one.more }}", ["@anne", "{{ missing.one.more }}"]]
)
def test_an_alert_whose_recipients_render_to_nothing_goes_to_the_last_resort(
    to: Any, in_triggerer: bool, sandbox: Any, contacts: Contacts, logs: Logs
) -> None:
    alert = SmsNotifier(to=to, message="Bonjour")
    if in_triggerer:
        alert.render_template_fields({})  # type: ignore[typeddict-item]  # no context
        asyncio.run(alert.async_notify({}))  # type: ignore[typeddict-item]  # no context
    else:
        alert({})
    assert sent(sandbox, "smspartner") == {CHLOE: 1}
    assert "to: names nobody, or could not be rendered. The last resort is told instead: chloe" in logs.text


def test_without_a_last_resort_nobody_is_told_and_that_is_said(
    sandbox: Any, contacts: Contacts, logs: Logs
) -> None:
    del contacts.data["last_resort"]
    contacts.write()
    told("@onkall")
    assert requests(sandbox) == 0
    assert f"{NOT_SENT}: to: nobody can be told: @onkall is not in" in logs.text
    assert "There is no last resort" in logs.text


class TestContactsThatCannotBeRead:
    def test_the_last_good_copy_of_the_process_is_used(
        self, sandbox: Any, contacts: Contacts, logs: Logs
    ) -> None:
        told("@oncall")
        contacts.write("{")
        told("@oncall")
        assert sent(sandbox, "smspartner") == {ANNE: 2}
        assert (
            "is no JSON, line 1; correct it. The alert goes by the contacts that this process read"
            in logs.text
        )

    def test_without_one_plain_numbers_are_told(self, sandbox: Any, contacts: Contacts, logs: Logs) -> None:
        contacts.path.unlink()
        told(f"@oncall, {PLAIN}")
        assert sent(sandbox, "smspartner") == {PLAIN: 1}
        assert "do not exist on this machine" in logs.text

    def test_and_else_nobody(self, sandbox: Any, contacts: Contacts, logs: Logs) -> None:
        contacts.path.unlink()
        told("@oncall")
        assert requests(sandbox) == 0
        assert f"{NOT_SENT}: to: nobody can be told" in logs.text

    def test_in_the_triggerer_they_are_not_waited_for(
        self, sandbox: Any, contacts: Contacts, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def late(*_: Any) -> Any:
            raise TimeoutError

        notifier = SmsNotifier(to=f"@oncall, {PLAIN}", message="Bonjour")
        monkeypatch.setattr("asgiref.sync.sync_to_async", lambda _: late)
        monkeypatch.setattr(
            "airflow_provider_voicepartner.compat.get_async_connection", connection_of_smspartner(sandbox)
        )
        asyncio.run(notifier.async_notify({}))  # type: ignore[typeddict-item]  # no context
        assert sent(sandbox, "smspartner") == {PLAIN: 1}
        assert "could not be read within 5 s" in logs.text

    @pytest.mark.parametrize("is_known", [True, False])
    @pytest.mark.parametrize("in_triggerer", [True, False])
    def test_contacts_that_take_too_long_are_used_as_they_were_read_last(
        self, sandbox: Any, contacts: Contacts, logs: Logs, monkeypatch: pytest.MonkeyPatch,
        is_known: bool, in_triggerer: bool,
    ) -> None:  # fmt: skip
        if is_known:
            source.known_contacts()
        end = threading.Event()
        contacts.write()
        monkeypatch.setattr(base, "ALERT_QUESTION_TIMEOUT", 0.2)
        monkeypatch.setattr(source, "_READERS", {"file": lambda _: end.wait(8) and ""})
        notifier = SmsNotifier(to=["{{ '@' }}oncall", PLAIN], message="Bonjour")
        monkeypatch.setattr(notifier, "total_seconds", 7.0)
        if in_triggerer:
            notifier.render_template_fields({})  # type: ignore[typeddict-item]  # no context

            async def tell() -> None:
                try:
                    await notifier.async_notify({})  # type: ignore[typeddict-item]  # no context
                finally:
                    end.set()  # The loop waits for its threads.

            asyncio.run(tell())
        else:
            notifier({})
            end.set()
        assert sent(sandbox, "smspartner") == dict.fromkeys([ANNE, PLAIN] if is_known else [PLAIN], 1)
        assert "could not be read within 0.2 s" in logs.text

    def test_a_configuration_that_cannot_be_read_keeps_nobody_from_being_told(
        self, sandbox: Any, contacts: Contacts, logs: Logs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> str:
            raise RuntimeError("planted")

        monkeypatch.setattr(source.settings, "contacts", fail)
        told(f"{{{{ '@' }}}}oncall, {PLAIN}")
        assert sent(sandbox, "smspartner") == {PLAIN: 1}
        assert "[voicepartner] contacts: cannot be read: RuntimeError" in logs.text
        assert "planted" not in logs.text


def connection_of_smspartner(sandbox: Any) -> Any:
    from airflow_provider_voicepartner.compat import BaseHook

    async def look_up(conn_id: str) -> Any:
        return BaseHook.get_connection(conn_id)

    return look_up


def test_contacts_are_read_only_for_a_name(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "load_directory", None)
    told(PLAIN)
    assert sent(sandbox, "smspartner") == {PLAIN: 1}
