"""What planning promises before anything is sent: what it accepts can be sent, and its weight and time are told."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.compat import Connection
from airflow_provider_voicepartner.exceptions import (
    BudgetExceededError,
    ConfigurationError,
    InvalidRecipientError,
    RetryableNotSentError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.planning import plan_of
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from tests.support.batches import cut_batches
from tests.support.examples import examples
from tests.support.gateways import requests, sent
from tests.support.tasks import CALM, FakeStore, chain, context

NOW = datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
NUMBERS = [f"+3361234567{tail}" for tail in range(6)]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of one."""
    cut_batches(1, monkeypatch)


def rows(*names: str) -> list[dict[str, str]]:
    return [{"phone_number": number, "name": name} for number, name in zip(NUMBERS, names, strict=False)]


# What planning accepts, a batch accepts


LONG_NAMES = rows("Zoé", "Anna", "x" * 51, "Ben")


@pytest.mark.parametrize("operator", [SendSmsOperator, TtsCallOperator])
def test_a_field_that_is_too_long_fails_with_its_row_before_anything_is_sent(
    sandbox: Any, small_batches: None, operator: Any
) -> None:
    text = {"message" if operator is SendSmsOperator else "text": "Bonjour {name}"}
    task = operator(task_id="t", conn_id="octopush_default", to=LONG_NAMES, **text)
    with pytest.raises(
        InvalidRecipientError, match=r"to\[3\]: .*has a field 'name' with 51 characters"
    ) as error:
        task.execute(context(FakeStore()))
    assert "xxx" not in str(error.value)
    assert requests(sandbox) == 0


def test_a_field_that_is_too_long_is_left_out_with_its_line(
    sandbox: Any, small_batches: None, tmp_path: Path
) -> None:
    people, rejects = tmp_path / "people.csv", tmp_path / "rejects.csv"
    lines = [f"{row['phone_number']},{row['name']}" for row in LONG_NAMES]
    people.write_text("\n".join(["phone_number,name", *lines, ""]))
    report = SendSmsOperator(
        task_id="t", conn_id="octopush_default", to=str(people), message="Bonjour {name}", on_invalid="skip",
        rejects_path=str(rejects),
    ).execute(context(FakeStore()))  # fmt: skip
    assert (report["counts"]["accepted"], report["counts"]["invalid"]) == (3, 1)
    assert rejects.read_text().splitlines()[1].startswith(f"4,{NUMBERS[2]},\"has a field 'name' with 51")
    assert len(sent(sandbox, "octopush")) == 3


def test_a_text_that_gets_too_long_names_its_row(sandbox: Any, small_batches: None) -> None:
    task = SendSmsOperator(task_id="t", to=rows("Zoé", "x" * 1600), message="Bonjour {name}")
    with pytest.raises(
        InvalidRecipientError, match=r"to\[2\]: .*gets a text that cannot be sent: is \d+ char"
    ):
        task.execute(context(FakeStore()))
    assert requests(sandbox) == 0


HOOKS: dict[str, type[GatewayHook]] = {
    "smspartner": SmsPartnerHook,
    "octopush": OctopushHook,
    "voicepartner": VoicePartnerHook,
}
WORDS = st.sampled_from(
    ["", " ", "Zoé", "x" * 50, "x" * 51, "é" * 160, "😀" * 40, "{name}", "{first_name}", "€\r\n", "\ud83d"]
)
NAMES = st.sampled_from(["name", "first_name", "param1", "prénom", "a", "b", "c", "d", "e"])
TEXTS = st.lists(
    st.one_of(
        NAMES.map("{{{}}}".format), st.sampled_from(["Bonjour ", "x" * 140, "x" * 1200, "STOP", "{", "}"])
    ),
    min_size=1,
    max_size=8,
).map("".join)
PHONES = st.sampled_from(
    [*NUMBERS, "0612345678", "+431111", "+32470123456", "+12025550123", "0198876655", "07"]
)
ROWS = st.lists(
    st.one_of(
        st.builds(
            lambda number, fields: {"phone_number": number, **fields}, PHONES, st.dictionaries(NAMES, WORDS)
        ),
        PHONES,
    ),
    min_size=1,
    max_size=5,
)
WAYS: list[tuple[str, Any, dict[str, Any]]] = [
    ("smspartner", SendSmsOperator, {}),
    ("smspartner", SendSmsOperator, {"purpose": "marketing"}),
    ("smspartner", SendSmsOperator, {"purpose": "marketing", "options": {"gamme": 2}}),
    ("smspartner", SendSmsOperator, {"options": {"gamme": 2}}),
    ("smspartner", SendSmsOperator, {"options": {"is_unicode": True}}),
    ("octopush", SendSmsOperator, {}),
    ("octopush", TtsCallOperator, {}),
    ("voicepartner", TtsCallOperator, {}),
    ("voicepartner", VoicemailDropOperator, {"audio_token": "a1b2c3d4"}),
]


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("gateway", "operator", "arguments"), WAYS)
@settings(CALM, max_examples=examples(150))
@given(to=ROWS, text=TEXTS, size=st.integers(1, 3))
def test_what_planning_accepts_each_batch_accepts(
    gateway: str, operator: Any, arguments: dict[str, Any], to: list[Any], text: str, size: int
) -> None:
    login = "planted-login@example.org" if gateway == "octopush" else None
    connection = Connection(conn_id="c", conn_type=gateway, password="planted-key", login=login)
    hook = HOOKS[gateway](connection=connection)
    hook.sender.now = lambda: NOW
    said = (
        {}
        if operator is VoicemailDropOperator
        else {"message" if operator is SendSmsOperator else "text": text}
    )
    task: SendingOperator = operator(
        task_id="t", conn_id="c", to=to, on_invalid="skip", on_empty="skip", **said, **arguments
    )
    patch = pytest.MonkeyPatch()
    cut_batches(size, patch)
    try:
        message = hook.with_defaults(task.message_to_send())
        plan = plan_of(task.sending_arguments(), hook, message)
    except ConfigurationError:
        return
    finally:
        patch.undo()
    weight = 0
    for batch in plan.batches() if plan else ():
        request = hook.build_batch(
            message, batch.recipients, reference="k3v9x0q2w7ha", send_at=NOW + timedelta(hours=2)
        )
        assert request.body
        assert plan is not None
        counts = plan.segments_of(batch.index)
        weight += counts[0]
        assert min(counts) >= len(batch.recipients)
    assert plan is None or plan.segments == weight


# What each batch weighs


def test_a_text_without_fields_is_weighed_once(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[int] = []
    count = SmsPartnerHook.gateway.segments_of
    monkeypatch.setattr(SmsPartnerHook.gateway, "segments_of", lambda *of: weighed.append(1) or count(*of))
    hook = SmsPartnerHook()
    task = SendSmsOperator(task_id="t", to=NUMBERS, message="x" * 161)
    plan = plan_of(task.sending_arguments(), hook, task.message_to_send())
    assert plan is not None
    assert (plan.segments, plan.segments_of(0), len(weighed)) == (12, (12,), 1)


@pytest.mark.parametrize("gateway", ["smspartner", "octopush"])
def test_personal_texts_are_weighed_one_by_one_without_duplicates(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, gateway: str
) -> None:
    cut_batches(2, monkeypatch)
    people = rows("Zoé", "x" * 50, "Anna")
    people.insert(1, {"phone_number": NUMBERS[0], "name": "y" * 50})
    task = SendSmsOperator(task_id="t", to=people, message="z" * 150 + "{name}", conn_id=f"{gateway}_default")
    plan = plan_of(task.sending_arguments(), HOOKS[gateway](f"{gateway}_default"), task.message_to_send())
    assert plan is not None
    assert [plan.segments_of(index)[0] for index in range(2)] == [1 + 2, 1]
    assert plan.segments == 4


def test_calls_weigh_one_each(sandbox: Any) -> None:
    task = TtsCallOperator(task_id="t", to=NUMBERS, text="x" * 1000, conn_id="octopush_default")
    plan = plan_of(task.sending_arguments(), OctopushHook("octopush_default"), task.message_to_send())
    assert plan is not None
    assert (plan.segments, plan.segments_of(0)) == (6, (6,))


@pytest.mark.parametrize("gateway", ["smspartner", "octopush"])
def test_a_budget_counts_the_segments_of_each_persons_text(
    sandbox: Any, small_batches: None, gateway: str
) -> None:
    """The second text takes two segments, and would have passed a limit that counts people."""
    store = FakeStore()
    arguments = {
        "task_id": "t", "conn_id": f"{gateway}_default", "to": rows("Zoé", "x" * 50, "Anna"),
        "message": "z" * 150 + "{name}", "max_in_flight": 1, "unit_price": "0.05",
    }  # fmt: skip
    with pytest.raises(BudgetExceededError):
        SendSmsOperator(**arguments, max_cost="0.13").execute(context(store))
    assert list(sent(sandbox, gateway)) == NUMBERS[:1]
    report = SendSmsOperator(**arguments, max_cost="0.20").execute(context(store, try_number=2))
    assert Decimal(report["cost"]) <= Decimal("0.20")
    assert len(sent(sandbox, gateway)) == 3


# What is said about time


def test_a_campaign_that_cannot_finish_in_time_says_so_before_it_begins(
    sandbox: Any, small_batches: None, set_connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    set_connection(
        "smspartner", host=sandbox.gateway_url("smspartner"), extra={"rate_limits": {"send": "1/0.6"}}
    )
    arguments = {"task_id": "t", "to": NUMBERS[:2], "message": "Bonjour"}
    SendSmsOperator(**arguments, execution_timeout=timedelta(seconds=30)).execute(context(FakeStore()))
    assert "cannot finish within execution_timeout" not in caplog.text
    SendSmsOperator(**arguments, execution_timeout=timedelta(seconds=0.1)).execute(context(FakeStore()))
    assert "This campaign cannot finish within execution_timeout: 2 batches take at least 1 s" in caplog.text


# What would be overwritten, and what must not be shown


def spellings(path: Path) -> list[Any]:
    from airflow_provider_voicepartner.compat import ObjectStoragePath

    linked = path.parent / "linked.csv"
    linked.symlink_to(path)
    hard = path.parent / "hard.csv"
    hard.hardlink_to(path)
    folder = path.parent / "folder"
    folder.symlink_to(path.parent, target_is_directory=True)
    return [
        str(path), path, f"file://{path}", f"FILE://{path}", ObjectStoragePath(f"file://{path}"),
        str(path.parent / "x" / ".." / path.name), path.name, f"./{path.name}", str(linked), str(hard),
        str(folder / path.name), f"file://{linked}",
    ]  # fmt: skip


# Before Airflow 3 a relative path begins at the root, and a scheme in capitals is unknown.
ONLY_AIRFLOW_3 = (3, 6, 7)


@pytest.mark.parametrize(
    "which",
    [pytest.param(n, marks=pytest.mark.airflow3) if n in ONLY_AIRFLOW_3 else n for n in range(12)],
)
@pytest.mark.parametrize("argument", ["rejects_path", "report_path"])
def test_the_file_of_recipients_is_never_written_over(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int, argument: str
) -> None:
    monkeypatch.chdir(tmp_path)
    people = tmp_path / "people.csv"
    people.write_text("phone_number\n0612345678\nnobody\n")
    before = people.read_bytes()
    (tmp_path / "x").mkdir()
    path = spellings(people)[which]
    target = {"rejects_path": path} if argument == "rejects_path" else {"completion": {"report_path": path}}
    for to, written in ((str(people), target), (f"file://{people}", target)):
        task = SendSmsOperator(task_id="t", to=to, message="Bonjour", on_invalid="skip", **written)
        with pytest.raises(ConfigurationError, match=rf"{argument}: is the same file as to, and would overw"):
            task.execute(context(FakeStore()))
        assert people.read_bytes() == before
    assert requests(sandbox) == 0


def test_a_file_on_another_storage_is_the_same_however_it_is_reached() -> None:
    from airflow_provider_voicepartner.hooks.storage import is_same_file

    assert is_same_file("s3://conn@bucket/a/x.csv", "s3://bucket/a/./x.csv")
    assert is_same_file("s3a://bucket/x.csv", "s3://bucket/x.csv?versionId=3")
    assert not is_same_file("s3://bucket/x.csv", "s3://bucket/y.csv")
    assert not is_same_file("s3://bucket/x.csv", "/bucket/x.csv")


def test_what_was_left_out_is_not_written_over_by_what_was_delivered(sandbox: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "out.csv")
    task = SendSmsOperator(
        task_id="t", to=NUMBERS, message="Bonjour", rejects_path=path, completion={"report_path": path}
    )
    with pytest.raises(ConfigurationError, match="report_path: is the same file as rejects_path"):
        task.execute(context(FakeStore()))


@pytest.mark.parametrize(
    "to",
    [
        "https://b.invalid/x.csv?X-Amz-Signature=planted-secret",
        "s3://planted-secret:planted-secret@bucket/x.csv",
        "+33612345678 s3://x",
        "no-such-storage://planted-secret@x/people.csv",
        "+33612345678 s3://x.csv?planted-secret",
        "/nowhere/33612345678.csv",
    ],
)
def test_a_file_that_cannot_be_read_is_named_without_its_secrets(
    sandbox: Any, caplog: pytest.LogCaptureFixture, to: str
) -> None:
    caplog.set_level(logging.INFO)
    task = SendSmsOperator(task_id="t", to=to, message="Bonjour {name}", rejects_path="/tmp/unused.csv")
    with pytest.raises(VoicePartnerProviderError) as error:
        task.execute(context(FakeStore()))
    told = chain(error.value) + caplog.text
    assert "planted-secret" not in told
    assert "612345678" not in told


def test_what_a_storage_says_of_a_signed_uri_is_not_repeated(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "https://b.invalid/x.csv?X-Amz-Signature=planted-secret"

    class Storage:
        path, protocol = "/x.csv", "https"

        def open(self, mode: str = "rb") -> Any:
            raise LookupError(f"403, url={uri}")

        stat = open

    monkeypatch.setattr("airflow_provider_voicepartner.hooks.storage.storage_path", lambda path: Storage())
    with pytest.raises(
        RetryableNotSentError, match=r"b\.invalid/x\.csv\?…' could not be read \(LookupError\)"
    ) as error:
        SendSmsOperator(task_id="t", to=uri, message="Bonjour").execute(context(FakeStore()))
    assert "planted-secret" not in str(error.value)


def test_a_campaign_that_cannot_be_handed_over_before_its_time_says_so(
    sandbox: Any, small_batches: None, set_connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    set_connection(
        "smspartner", host=sandbox.gateway_url("smspartner"), extra={"rate_limits": {"send": "1/0.6"}}
    )
    now = SmsPartnerHook().sender.now
    arguments = {"task_id": "t", "to": NUMBERS[:2], "message": "Bonjour"}
    SendSmsOperator(**arguments, send_at=now() + timedelta(hours=1)).execute(context(FakeStore()))
    assert "before send_at" not in caplog.text
    soon = SendSmsOperator(**arguments, send_at=now() + timedelta(seconds=0.5), on_late="send_now")
    soon.execute(context(FakeStore()))
    assert "This campaign cannot be handed over before send_at: 2 batches take at least 1 s" in caplog.text


def test_what_to_do_when_late_is_one_of_two_words(sandbox: Any) -> None:
    task = SendSmsOperator(task_id="t", to=NUMBERS, message="Bonjour", on_late="send")  # type: ignore[arg-type]  # a wrong word
    with pytest.raises(ConfigurationError, match="on_late: 'send' is not one of 'fail', 'send_now'"):
        task.execute(context(FakeStore()))


def test_nobody_waits_long_for_a_turn_to_read_the_balance(
    sandbox: Any, small_batches: None, set_connection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Voice Partner lets it be read five times a minute; a campaign must not stand still for that."""
    limits = {"me": "1/3600", "tts/send": "none"}
    set_connection("voicepartner", host=sandbox.gateway_url("voicepartner"), extra={"rate_limits": limits})
    arguments = {
        "task_id": "t", "to": NUMBERS[:2], "text": "Bonjour", "conn_id": "voicepartner_default", "max_in_flight": 1,
    }  # fmt: skip
    for _ in range(2):
        assert "could not be read" not in caplog.text
        TtsCallOperator(**arguments).execute(context(FakeStore()))
    assert "The balance could not be read, so it is not compared with the price" in caplog.text
    assert set(sent(sandbox, "voicepartner").values()) == {2}
