"""The text that reaches a person: one table of what may stand in it, for every way in and every gateway."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from airflow import DAG

from airflow_provider_voicepartner.compat import AirflowFailException
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.gateways.placeholders import read_template
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.hooks.smspartner import SmsPartnerHook
from airflow_provider_voicepartner.hooks.voicepartner import VoicePartnerHook
from tests.support.gateways import requests
from tests.support.tasks import FakeStore, context
from tests.support.texts import ANNA, BEN, ENTRIES, PEOPLE, operator, render_and_run, said, written

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


@pytest.mark.sampled(5)
@pytest.mark.newest
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


@pytest.mark.newest
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


@pytest.mark.sampled(8)
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
    render_and_run(operator(kind, text, "{{ people }}", dag=whole), **names)
    assert said(sandbox) == [sent_as]
    render_and_run(operator(kind, "{nom}.", [{"phone_number": ANNA, "nom": text}], dag=rows), **names)
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
    report = render_and_run(operator("smspartner", "Bonjour", to, dag=dag), one=ANNA, two=BEN)
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
