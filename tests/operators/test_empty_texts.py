"""What a template renders to nothing, or to what nobody meant, is refused; and no retry can mend a template."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from airflow import DAG

from airflow_provider_voicepartner.compat import AirflowFailException
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.voice import VoicemailDropOperator
from airflow_provider_voicepartner.operators.waiting import read_completion
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from tests.support.gateways import last_body, requests
from tests.support.tasks import FakeStore, chain, context
from tests.support.texts import ANNA, PEOPLE, operator, render_and_run, said, written

TEXTS_OF_NOTHING = [
    "",
    "  ",
    "\u200b",
    "None",
    " None ",
    "{{ missing }}",
    "Bonjour {{ missing }}",
    "{{ nan }}",
    "Bonjour {{ 'M. ' ~ missing }}",
    "Bonjour {{ missing ~ nan }} !",
    "{% set said = 'M. ' ~ missing %}Bonjour {{ said }}",
    "{% macro to(name) %}{{ 'M. ' ~ name }}{% endmacro %}Bonjour {{ to(missing) }}",
    "{{ missing | upper }}",
    "Bonjour {{ missing | trim | title }}",
    "Bonjour {{ missing | replace('a', 'b') }}",
    "Bonjour {{ (missing | string) ~ '!' }}",
]


@pytest.mark.parametrize("text", TEXTS_OF_NOTHING)
@pytest.mark.parametrize("kind", ["smspartner", "octopush", "octopush call", "voicepartner call"])
@pytest.mark.parametrize("native", [True, False])
def test_a_text_of_nothing_is_refused(sandbox: Any, kind: str, text: str, native: bool) -> None:
    dag = DAG("texts", schedule=None, render_template_as_native_obj=native)
    task = operator(kind, text, ANNA, dag=dag)
    with pytest.raises(ConfigurationError, match=r"^(message|text|text and audio_token): "):
        render_and_run(task, missing=None, nan=float("nan"))
    assert requests(sandbox) == 0


def test_what_a_data_frame_has_in_an_empty_cell_is_never_a_word(sandbox: Any) -> None:
    pandas = pytest.importorskip("pandas")
    for nothing in (pandas.NaT, pandas.NA, Decimal("NaN"), float("nan")):
        with pytest.raises(ConfigurationError, match=r"^message: the template uses"):
            render_and_run(operator("smspartner", "Bonjour {{ nothing }}", ANNA), nothing=nothing)
        render_and_run(operator("smspartner", "Bonjour {nom}!", [{"phone_number": ANNA, "nom": nothing}]))
        assert said(sandbox) == ["Bonjour !"]
        with pytest.raises(ConfigurationError, match="is empty"):
            render_and_run(operator("smspartner", "Bonjour", [{"phone_number": nothing}]))
    assert requests(sandbox) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bonjour {{ missing or '' }}!", "Bonjour !"), ("{{ missing or 'vous' }}", "vous"),
        ("{{ missing | default('toi', true) }}", "toi"), ("{% if missing %}x{% endif %}ok", "ok"),
        ("None of us {{ word }}", "None of us None"), ("{{ zero }} {{ empty }}.", "0 ."),
        ("{{ 'a' ~ zero ~ (missing or '') ~ word ~ 1 }}", "a0None1"),
        ("{{ word | lower }} {{ [1, 2] | join(empty ~ '-') }}", "none 1-2"),
        ("{{ (missing or 'anna') | capitalize }} {{ missing is none }}", "Anna True"),
    ],
)  # fmt: skip
def test_what_is_meant_is_sent(sandbox: Any, text: str, expected: str) -> None:
    render_and_run(operator("smspartner", text, ANNA), missing=None, word="None", zero=0, empty="")
    assert said(sandbox) == [expected]


def test_a_missing_value_in_a_row_or_a_token_is_refused(sandbox: Any) -> None:
    rows = [{"phone_number": ANNA, "nom": "{{ missing }}"}]
    with pytest.raises(ConfigurationError, match=r"^to: the template uses a missing value"):
        render_and_run(operator("smspartner", "Bonjour {nom}", rows), missing=None)
    drop = VoicemailDropOperator(task_id="t", to=ANNA, audio_token="{{ missing }}")
    with pytest.raises(ConfigurationError, match=r"^audio_token: the template uses"):
        render_and_run(drop, missing=None)
    with pytest.raises(ConfigurationError, match="None alone"):
        VoicePartnerHook().drop_voicemail(ANNA, audio_token="None")
    with pytest.raises(ConfigurationError, match="None alone"):
        SmsPartnerHook().send_sms(ANNA, "None")
    with pytest.raises(
        ConfigurationError, match=r"^to\[1\]: .* gets a text that cannot be sent: is the word None"
    ):
        operator("smspartner", "{nom}", [{"phone_number": ANNA, "nom": "None"}]).execute(context())
    assert requests(sandbox) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'Soldes' 'fin'", "'Soldes' 'fin'"), ("1,5", "1,5"), ("2031", "2031"), ("{{ number }} %", "12.5 %"),
        ("{{ number }}", "12.5"), ("{{ word }}", "'a' 'b'"), ("{{ word ~ number }}", "'a' 'b'12.5"), ("True", "True"),
        ("{% for one in [1, 2] %}{{ one }}{% endfor %}", "12"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("native", [True, False])
def test_a_text_is_a_text_in_a_dag_of_native_objects(
    sandbox: Any, text: str, expected: str, native: bool
) -> None:
    dag = DAG("texts", schedule=None, render_template_as_native_obj=native)
    render_and_run(operator("smspartner", text, ANNA, dag=dag), number=12.5, word="'a' 'b'")
    assert said(sandbox) == [expected]


@pytest.mark.parametrize("argument", ["max_cost", "send_at"])
@pytest.mark.parametrize("native", [True, False])
def test_a_guard_is_not_taken_away_by_a_value_that_is_missing(
    sandbox: Any, argument: str, native: bool
) -> None:
    def send(value: Any) -> None:
        dag = DAG("guards", schedule=None, render_template_as_native_obj=native)
        render_and_run(operator("smspartner", "Bonjour", ANNA, dag=dag, **{argument: value}), missing=None)

    with pytest.raises(ConfigurationError, match=rf"^{argument}: its value is missing"):
        send("{{ missing }}")
    assert requests(sandbox) == 0
    for left_out in (None, "", "{{ missing or '' }}"):
        send(left_out)
        assert said(sandbox) == ["Bonjour"]


def test_a_path_that_renders_to_nothing_is_no_file_of_that_name(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    completion = {"report_path": "{{ missing }}"}
    task = operator("smspartner", "Bonjour", ANNA, rejects_path="{{ missing }}", completion=completion)
    render_and_run(task, missing=None)
    assert CompletionOptions.read(**task.completion).report_path is None
    assert not (tmp_path / "None").exists()


@pytest.mark.parametrize(
    "name",
    ["sender", "rejects_path", "unit_price", "send_again", "options", "header", "encoding"],
)  # fmt: skip
@pytest.mark.parametrize("nothing", ["{{ missing }}", "{{ '' }}"])
def test_an_argument_that_renders_to_nothing_is_left_out(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, nothing: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    to = written("csv", PEOPLE, tmp_path)
    report = render_and_run(operator("smspartner", "Bonjour", to, **{name: nothing}), missing=None)
    assert report["counts"]["accepted"] == 2
    assert "sender" not in last_body(sandbox)
    assert list((tmp_path / "here").iterdir()) == []


def test_so_is_one_of_who_waits_or_cancels(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    names = ("report_path", "min_delivery_rate", "unconfirmed_after", "fail_fast", "not_found_grace")
    completion = {**dict.fromkeys(names, "{{ missing }}"), "fail_fast": "{{ 1 > 2 }}"}
    task = operator("smspartner", "Bonjour", ANNA, wait_for_completion=True, completion=completion)
    task.render_template_fields(context(missing=None))
    options, _ = read_completion(task.completion)
    assert options == CompletionOptions()
    report = operator("smspartner", "Bonjour", ANNA).execute(context(FakeStore()))
    sandbox.advance(3_600)
    sensor = CampaignCompletionSensor(
        task_id="w", campaign=report, conn_id="{{ missing }}", report_path="{{ missing }}", poke_interval=0.1
    )
    cancel = CancelCampaignOperator(
        task_id="c", campaign={**report, "dry_run": "simulated"}, conn_id="{{ missing }}"
    )
    for waits in (sensor, cancel):
        waits.render_template_fields(context(missing=None))
        waits.execute(context())
    assert list((tmp_path / "here").iterdir()) == []


def test_what_a_wrong_encoding_makes_of_a_euro_sign_is_not_sent(sandbox: Any) -> None:
    euro = "12 €".encode("cp1252").decode("latin-1")
    with pytest.raises(ConfigurationError, match=r"^message: holds a control character .* encoding='cp1252'"):
        operator("smspartner", euro, ANNA).execute(context())
    with pytest.raises(ConfigurationError, match=r"^to\[1\]: .*has a field with a control character"):
        operator("smspartner", "Prix {prix}", [{"phone_number": ANNA, "prix": euro}]).execute(context())
    assert requests(sandbox) == 0


def test_a_sender_in_a_wrong_encoding_is_refused_and_not_left_out(sandbox: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^sender: holds a control character"):
        operator("smspartner", "Bonjour", ANNA, sender="MA\x80").execute(context())
    assert requests(sandbox) == 0


def test_a_field_of_the_recipients_in_double_braces_is_told_how_it_is_written(sandbox: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"write \{first_name\}, with single braces"):
        render_and_run(operator("smspartner", "Bonjour {{ first_name }}", ANNA))


@pytest.mark.parametrize("kind", ["smspartner", "octopush call"])
def test_the_path_of_a_file_is_no_text(
    sandbox: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reminder.txt"
    path.write_text("Bonjour")
    monkeypatch.chdir(tmp_path)
    searched = DAG("texts", schedule=None, template_searchpath=str(tmp_path.parent))
    for text, dag in ((str(path), None), ("reminder.txt", None), (f"file://{path}", None), (f" {path}\n", None),
                      (f"{tmp_path.name}/reminder.txt", searched)):  # fmt: skip
        with pytest.raises(
            ConfigurationError, match="is the path of a file, and the path itself would be sent"
        ) as caught:
            operator(kind, text, ANNA, **({"dag": dag} if dag else {})).execute(context())
        assert "reminder" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="is the path of a file"):
        SmsPartnerHook().send_sms(ANNA, str(path))
    assert requests(sandbox) == 0
    for text in ("reminder", "voir reminder.txt", "/nowhere/reminder.txt", "ok."):
        operator(kind, text, ANNA).execute(context())
        assert said(sandbox) == [text]


# No retry for a template that fails in any case

REPORT = {"gateway": "smspartner", "conn_id": "smspartner_default", "kind": "sms", "batches": []}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: operator("smspartner", "{{ nme }}", ANNA), "message: the template uses"),
        (lambda: operator("smspartner", "{{ nme.x }}", ANNA), "message: cannot be rendered: 'nme' is undefined"),
        (lambda: operator("smspartner", "{{ names['+33612345678'] }}{{ x.y }}", ANNA), "message: the template uses"),
        (lambda: operator("smspartner", "{{ names['+33612345678'].x }}", ANNA), "message: cannot be rendered: Und"),
        (lambda: operator("smspartner", "{{ 'planté' oops }}", ANNA), "message: cannot be rendered: Template"),
        (lambda: operator("smspartner", "x", "{{ nme }}"), "to: cannot be rendered: 'nme' is undefined"),
        (lambda: operator("smspartner", "x", ANNA, sender="{{ nme }}"), "a templated argument: cannot be"),
        (lambda: CancelCampaignOperator(task_id="t", campaign=REPORT, conn_id="{{ nme }}"), "a templated argument: "),
        (lambda: CampaignCompletionSensor(task_id="t", campaign=REPORT, conn_id="{{ nme }}"), "a templated argument: "),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_rendered_is_not_retried(make: Any, why: str) -> None:
    with DAG("texts", schedule=None):
        task = make()
    with pytest.raises(ConfigurationError, match=f"^{why}") as caught:
        task.render_template_fields(context(names={}))
    assert isinstance(caught.value, AirflowFailException)
    assert not any(secret in chain(caught.value) for secret in ("+336", "planté"))
