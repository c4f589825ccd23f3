"""The text that reaches a person: one table of what may stand in it, for every way in and every gateway."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from airflow import DAG

from airflow_provider_voicepartner.compat import AirflowFailException
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.placeholders import read_template
from airflow_provider_voicepartner.hooks.completion_options import CompletionOptions
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from airflow_provider_voicepartner.operators.waiting import read_completion
from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor
from tests.support.gateways import last_body, requests
from tests.support.tasks import FakeStore, chain, context

ANNA, BEN = "+33612345678", "+33612345679"
PEOPLE = [
    {"phone_number": ANNA, "first_name": "Anna", "nom": "Petit", "prénom": "Zoé", "ville du jour": "Lyon"},
    {"phone_number": BEN, "first_name": "Ben", "nom": "", "prénom": "Noé", "ville du jour": "Metz"},
]
ENTRIES = ("list", "csv", "tsv", "jsonl", "parquet")


def written(entry: str, people: list[dict[str, Any]], folder: Path) -> Any:
    """Return rows in one of the ways in which they come."""
    path = folder / f"people.{entry}"
    if entry == "list":
        return people
    if entry in ("csv", "tsv"):
        text = io.StringIO()
        rows = csv.DictWriter(text, list(people[0]), delimiter="," if entry == "csv" else "\t")
        rows.writeheader()
        rows.writerows(people)
        path.write_text(text.getvalue(), encoding="utf-8")
    elif entry == "jsonl":
        path.write_text("\n".join(map(json.dumps, people)), encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(people), path)
    return str(path)


def said(sandbox: Any) -> list[str]:
    """Return what each recipient of the last request gets, as the gateway puts it together."""
    body = last_body(sandbox)
    if "SMSList" in body:
        return [sms["message"] for sms in body["SMSList"]]
    if "message" in body:
        return [body["message"]] * len(body["phoneNumbers"].split(","))
    if "recipients" not in body:
        return [body["text"]]
    texts = []
    for recipient in body["recipients"]:
        text = body["text"]
        for name, value in recipient.items():
            text = text.replace(f"{{{name}}}", value)
        texts.append(text)
    return texts


def operator(kind: str, text: str, to: Any, **more: Any) -> SendingOperator:
    if kind == "smspartner":
        return SendSmsOperator(task_id="t", to=to, message=text, **more)
    if kind == "octopush":
        return SendSmsOperator(task_id="t", to=to, message=text, conn_id="octopush_default", **more)
    return TtsCallOperator(
        task_id="t", to=to, text=text, conn_id=f"{kind.split(maxsplit=1)[0]}_default", **more
    )


FILLED = {
    "{first_name}": ["Anna", "Ben"],
    "{ nom }!": ["Petit!", "!"],
    "{prénom}": ["Zoé", "Noé"],
    normalize("NFD", "{prénom}"): ["Zoé", "Noé"],
    "{ville du jour}": ["Lyon", "Metz"],
    "{{{first_name}}} {{}}": ["{Anna} {}", "{Ben} {}"],
    '{{"a": 1}}': ['{"a": 1}', '{"a": 1}'],
}
REFUSED = [
    "Bonjour {first name}", "Bonjour {First_Name}", "Bonjour {e-mail}", "{contact.firstname}", "{first_name:.2f}",
    "{nom!s}", "{0}", "{}", "{first_name", "first_name}", "{{first_name}", "{prenom}", '{"a": 1}', "{first_name}}",
]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", ["smspartner", "octopush call"])
def test_a_field_is_filled_in_and_every_other_brace_is_refused(
    sandbox: Any, tmp_path: Path, entry: str, kind: str
) -> None:
    to = written(entry, PEOPLE, tmp_path)
    for text, texts in FILLED.items():
        operator(kind, "Salut " + text, to).execute(context())
        assert said(sandbox) == ["Salut " + own for own in texts], text
    before = requests(sandbox)
    for text in REFUSED:
        with pytest.raises(ConfigurationError, match=r"write {{ and }}|no field") as caught:
            operator(kind, text, to).execute(context())
        assert isinstance(caught.value, AirflowFailException)
    assert requests(sandbox) == before


@pytest.mark.parametrize("kind", ["smspartner", "octopush", "octopush call", "voicepartner call"])
@pytest.mark.parametrize("to", [f"{ANNA}, {BEN}", [ANNA, {"phone_number": BEN}]])
def test_braces_are_refused_where_nobody_has_a_field(sandbox: Any, kind: str, to: Any) -> None:
    for text in ["Bonjour {first_name}", *REFUSED]:
        with pytest.raises(ConfigurationError, match=r"^(message|text|to): "):
            operator(kind, text, to).execute(context())
    assert requests(sandbox) == 0
    operator(kind, "Bonjour {{prenom}}", to).execute(context())
    assert set(said(sandbox)) == {"Bonjour {prenom}"}


def test_the_fields_that_exist_are_named(sandbox: Any, tmp_path: Path) -> None:
    for entry in ENTRIES:
        with pytest.raises(
            ConfigurationError, match="there are 'first_name', 'nom', 'prénom', 'ville du jour'"
        ):
            operator("smspartner", "{prenom}", written(entry, PEOPLE, tmp_path)).execute(context())


def test_hooks_refuse_braces_too(sandbox: Any) -> None:
    calls: list[Any] = [
        lambda text, to: SmsPartnerHook().send_sms(to, text),
        lambda text, to: OctopushHook().send_sms(to, text),
        lambda text, to: OctopushHook().send_tts_call(to, text),
        lambda text, to: VoicePartnerHook().send_tts_call(to, text=text),
    ]
    for send in calls:
        for to in ([ANNA], PEOPLE):
            for text in REFUSED:
                with pytest.raises(ConfigurationError, match=r"write {{ and }}|no field"):
                    send(text, to)
    assert requests(sandbox) == 0
    SmsPartnerHook().send_sms(PEOPLE, "{ prénom }{{}}")
    assert said(sandbox) == ["Zoé{}", "Noé{}"]
    VoicePartnerHook().send_tts_call(ANNA, text="{{}}")
    assert said(sandbox) == ["{}"]


@pytest.mark.parametrize("kind", ["smspartner", "octopush", "octopush call"])
def test_a_text_is_taken_apart_once_for_everybody(sandbox: Any, kind: str) -> None:
    rows = [{"phone_number": f"+336123{index:05}", "nom": f"N{index}"} for index in range(400)]
    before = read_template.cache_info()
    operator(kind, f"Salut {{nom}} de {kind}", rows).execute(context())
    after = read_template.cache_info()
    assert after.misses - before.misses <= 2  # once under each name of the argument
    assert said(sandbox)[-1] == f"Salut N399 de {kind}"


# One spelling

NFD_PEOPLE = [{"phone_number": ANNA, normalize("NFD", "prénom"): normalize("NFD", "Zoé Noël")}]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", ["smspartner", "octopush", "octopush call"])
def test_texts_fields_and_names_are_composed(sandbox: Any, tmp_path: Path, entry: str, kind: str) -> None:
    to = written(entry, NFD_PEOPLE, tmp_path)
    for text in ("Été à {prénom}", normalize("NFD", "Été à {prénom}")):
        operator(kind, text, to).execute(context())
        assert said(sandbox) == ["Été à Zoé Noël"]


def test_a_decomposed_text_is_neither_longer_nor_dearer(sandbox: Any) -> None:
    french = normalize("NFD", "é" * 152)
    for kind, price in (("smspartner", None), ("octopush", "0.0495")):
        report = operator(kind, french, ANNA, max_cost="0.06", unit_price=price).execute(context())
        assert report["segments"] == 1
    long = normalize("NFD", "é" * 800)
    report = operator("octopush", long, ANNA).execute(context())
    assert said(sandbox) == ["é" * 800]
    assert report["segments"] == 6


def test_both_spellings_are_one_campaign(sandbox: Any) -> None:
    store = FakeStore()
    for try_number, form in enumerate(("NFC", "NFD"), start=1):
        operator("smspartner", normalize(form, "à l'été"), ANNA).execute(context(store, try_number))
    assert requests(sandbox) == 1


# Nothing

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
        _run(task, missing=None, nan=float("nan"))
    assert requests(sandbox) == 0


def _run(task: SendingOperator, **names: Any) -> Any:
    given = context(**names)
    task.render_template_fields(given)
    return task.execute(given)


def test_what_a_data_frame_has_in_an_empty_cell_is_never_a_word(sandbox: Any) -> None:
    pandas = pytest.importorskip("pandas")
    for nothing in (pandas.NaT, pandas.NA, Decimal("NaN"), float("nan")):
        with pytest.raises(ConfigurationError, match=r"^message: the template uses"):
            _run(operator("smspartner", "Bonjour {{ nothing }}", ANNA), nothing=nothing)
        _run(operator("smspartner", "Bonjour {nom}!", [{"phone_number": ANNA, "nom": nothing}]))
        assert said(sandbox) == ["Bonjour !"]
        with pytest.raises(ConfigurationError, match="is empty"):
            _run(operator("smspartner", "Bonjour", [{"phone_number": nothing}]))
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
    _run(operator("smspartner", text, ANNA), missing=None, word="None", zero=0, empty="")
    assert said(sandbox) == [expected]


def test_a_missing_value_in_a_row_or_a_token_is_refused(sandbox: Any) -> None:
    rows = [{"phone_number": ANNA, "nom": "{{ missing }}"}]
    with pytest.raises(ConfigurationError, match=r"^to: the template uses a missing value"):
        _run(operator("smspartner", "Bonjour {nom}", rows), missing=None)
    drop = VoicemailDropOperator(task_id="t", to=ANNA, audio_token="{{ missing }}")
    with pytest.raises(ConfigurationError, match=r"^audio_token: the template uses"):
        _run(drop, missing=None)
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
    _run(operator("smspartner", text, ANNA, dag=dag), number=12.5, word="'a' 'b'")
    assert said(sandbox) == [expected]


@pytest.mark.parametrize("argument", ["max_cost", "send_at"])
@pytest.mark.parametrize("native", [True, False])
def test_a_guard_is_not_taken_away_by_a_value_that_is_missing(
    sandbox: Any, argument: str, native: bool
) -> None:
    def send(value: Any) -> None:
        dag = DAG("guards", schedule=None, render_template_as_native_obj=native)
        _run(operator("smspartner", "Bonjour", ANNA, dag=dag, **{argument: value}), missing=None)

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
    _run(task, missing=None)
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
    report = _run(operator("smspartner", "Bonjour", to, **{name: nothing}), missing=None)
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
        _run(operator("smspartner", "Bonjour {{ first_name }}", ANNA))


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


# Numbers in rows


@pytest.mark.parametrize(
    ("value", "sent_as"),
    [
        (Decimal("12.50"), "12.50"), (Decimal("1200.00"), "1200.00"), (Decimal("0E-10"), "0.0000000000"),
        (Decimal("1.2E+3"), "1200"), (5.0, "5"), (-0.0, "0"), (12.5, "12.5"), (1e-7, "0.0000001"),
        (1e22, "1" + "0" * 22),
        (5, "5"), (0, "0"), (10**20, "1" + "0" * 20),
    ],
)  # fmt: skip
def test_numbers_of_a_list_are_sent_as_people_read_them(sandbox: Any, value: Any, sent_as: str) -> None:
    operator("smspartner", "{n}.", [{"phone_number": ANNA, "n": value}]).execute(context())
    assert said(sandbox) == [sent_as + "."]
    SmsPartnerHook().send_sms([{"phone_number": ANNA, "n": value}], "{n}.")
    assert said(sandbox) == [sent_as + "."]


@pytest.mark.parametrize(
    "number", ["12.50", "1200.00", "5.0", "0", "-1", "1e3", "0.10", "123456789012345678901.10"]
)
@pytest.mark.parametrize("kind", ["smspartner", "octopush", "octopush call"])
def test_numbers_of_json_are_sent_as_written(sandbox: Any, tmp_path: Path, number: str, kind: str) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text(f'{{"phone_number": "{ANNA}", "n": {number}}}\n')
    operator(kind, "{n}.", str(path)).execute(context())
    assert said(sandbox) == [number + "."]


NATIVE = {
    # a text, or a value that a template puts there
    "12.50": "12.50", "1200.00": "1200.00", "1_000": "1_000", "007": "007", "[1, 2]": "[1, 2]", "{{ code }}": "0x10",
    "n {{ code }}": "n 0x10", "{{ price }}": "1200.00", "True": "True",
}  # fmt: skip


@pytest.mark.parametrize(("text", "sent_as"), NATIVE.items())
@pytest.mark.parametrize("kind", ["smspartner", "octopush call"])
def test_a_dag_that_renders_objects_sends_texts_as_written(
    sandbox: Any, kind: str, text: str, sent_as: str
) -> None:
    names = {"code": "0x10", "price": Decimal("1200.00"), "people": [ANNA]}
    whole, rows = (DAG(name, schedule=None, render_template_as_native_obj=True) for name in ("a", "b"))
    _run(operator(kind, text, "{{ people }}", dag=whole), **names)
    assert said(sandbox) == [sent_as]
    _run(operator(kind, "{nom}.", [{"phone_number": ANNA, "nom": text}], dag=rows), **names)
    assert said(sandbox) == [sent_as + "."]


@pytest.mark.parametrize(
    ("to", "people"),
    [
        (ANNA, 1), (f"{ANNA}, {BEN}", 2), ([ANNA, BEN], 2), ("{{ one }}", 1), ("{{ one }},{{ two }}", 2),
        (["{{ one }}"], 1), ("{{ [one, two] }}", 2),
    ],
)  # fmt: skip
def test_a_dag_that_renders_objects_reads_numbers_as_written(sandbox: Any, to: Any, people: int) -> None:
    dag = DAG("texts", schedule=None, render_template_as_native_obj=True)
    report = _run(operator("smspartner", "Bonjour", to, dag=dag), one=ANNA, two=BEN)
    assert report["counts"]["accepted"] == people


def test_numbers_of_parquet_are_sent_as_written(sandbox: Any, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "phone_number": [ANNA, BEN],
        "price": pyarrow.array([Decimal("12.50"), Decimal("1200.00")], pyarrow.decimal128(10, 2)),
        "tiny": pyarrow.array([Decimal("0"), Decimal("0.0000000010")], pyarrow.decimal128(20, 10)),
        "count": pyarrow.array([5.0, None], pyarrow.float64()),
        "short": pyarrow.array([0.1, 3.0], pyarrow.float32()),
        "days": pyarrow.array([7, None], pyarrow.int32()),
    }
    path = tmp_path / "people.parquet"
    parquet.write_table(pyarrow.table(columns), path)
    operator("smspartner", "{price}|{tiny}|{count}|{short}|{days}", str(path)).execute(context())
    assert said(sandbox) == ["12.50|0.0000000000|5|0.1|7", "1200.00|0.0000000010||3|"]


def test_a_number_without_an_end_is_no_text(sandbox: Any) -> None:
    with pytest.raises(ConfigurationError, match="'n' of type float; give it as the text"):
        operator("smspartner", "{n}", [{"phone_number": ANNA, "n": float("inf")}]).execute(context())


# What Octopush cannot speak

SPOKEN = [
    "L’œuvre « à l'été » – 12 € …",
    "ça coûte 5 €",
    "Grüße aus Köln",
    "Ærø Łódź Dvořák",
    "a\n\tb",
    "[x] {{y}} ~ ^ |",
]
NOT_SPOKEN = ["Alerte 🚨", "日本", "Привет", "Καλημέρα", "a\u2603"]


def test_a_call_of_octopush_has_no_unicode(sandbox: Any) -> None:
    for text in SPOKEN:
        operator("octopush call", text, ANNA).execute(context())
    before = requests(sandbox)
    for text in NOT_SPOKEN:
        with pytest.raises(ConfigurationError, match=r"^text: has a character that Octopush does not speak"):
            operator("octopush call", text, ANNA).execute(context())
        rows = [{"phone_number": ANNA, "nom": text}]
        with pytest.raises(ConfigurationError, match=r"^to\[1\]: .*does not speak"):
            operator("octopush call", "Bonjour {nom}", rows).execute(context())
        with pytest.raises(ConfigurationError, match="does not speak"):
            OctopushHook().send_tts_call(rows, "Bonjour {nom}")
        with pytest.raises(ConfigurationError, match=r"^text: .*does not speak"):
            operator("octopush call", text + "{nom}", [{"phone_number": ANNA, "nom": "x"}]).execute(context())
    assert requests(sandbox) == before
    operator("octopush", NOT_SPOKEN[0], ANNA).execute(context())
    operator("voicepartner call", NOT_SPOKEN[0], ANNA).execute(context())


@pytest.mark.parametrize(
    ("language", "text"),
    [("ru-RU", "Привет, мир!"), ("el-GR", "Καλημέρα"), ("ja-JP", "東京、こんにちは。"), ("zh_HK", "你好")],
)
def test_a_voice_of_another_script_speaks_its_letters(sandbox: Any, language: str, text: str) -> None:
    operator("octopush call", text, ANNA, language=language).execute(context())
    assert said(sandbox) == [text]
    with pytest.raises(ConfigurationError, match="does not speak"):
        operator("octopush call", text + " 🚨", ANNA, language=language).execute(context())
