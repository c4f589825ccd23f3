"""Personal texts: no half names, no field read twice, and no brace that nobody wanted to send."""

from __future__ import annotations

from unicodedata import is_normalized, normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.placeholders import TextTemplate, read_template
from tests.support.examples import examples

FIELDS = {
    "first_name": "Anna", "first name": "Bob", "First Name": "Cleo", "e-mail": "d@example.org", "0": "zero",
    "contact.firstname": "Emil", "nom": "Ferrand", "montant:.2f": "12.50", "nom!s": "Gil", "prénom": "Zoé",
}  # fmt: skip


def refusal(text: str, fields: dict[str, str] | None = None) -> str:
    with pytest.raises(InvalidArgumentError, match=r"^message: ") as caught:
        read_template(text).fill_in({} if fields is None else fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{first_name}", "Anna"), ("{first name}", "Bob"), ("{First Name}", "Cleo"), ("{e-mail}", "d@example.org"),
        ("{contact.firstname}", "Emil"), ("{ nom }", "Ferrand"), ("{montant:.2f}", "12.50"), ("{nom!s}", "Gil"),
        ("{0}", "zero"), ("{prénom}", "Zoé"), (normalize("NFD", "{prénom}"), "Zoé"), ("{\u00a0nom\t}", "Ferrand"),
        ("{nom}, {nom} et {prénom}!", "Ferrand, Ferrand et Zoé!"), ("", ""), ("sans champ", "sans champ"),
        ("{{nom}}", "{nom}"), ("{{{nom}}}", "{Ferrand}"), ("{{ }}", "{ }"), ("}}{{", "}{"), ("{{}}{nom}", "{}Ferrand"),
        ('{{"a": "{nom}"}}', '{"a": "Ferrand"}'),
    ],
)  # fmt: skip
def test_a_brace_is_a_field_or_written_double(text: str, said: str) -> None:
    assert read_template(text).fill_in(FIELDS) == said


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{}", 1), ("a { } b", 3), ("{first_name", 1), ("first_name}", 11), ("{{nom}", 6), ("{nom}}", 6),
        ("{a{nom}", 1), ("x {\u00a0}", 3), ("{{{nom}}", 8), ("{nom}}}}", 8), ("{nom {nom}", 1),
    ],
)  # fmt: skip
def test_any_other_brace_is_refused_at_its_place(text: str, place: int) -> None:
    told = refusal(text, FIELDS)
    assert f"has a brace at character {place} that is no part" in told
    assert "write {{ and }}" in told
    assert "{% raw %}" in told


@pytest.mark.parametrize(
    "name",
    [
        "first_nam",
        "First_Name",
        "FIRST_NAME",
        "prenom",
        "montant:.3f",
        "nom!r",
        "1",
        "contact.first_name",
        "e mail",
    ],
)
def test_a_name_that_is_no_field_is_refused_with_the_fields_that_exist(name: str) -> None:
    for told in (refusal(f"secret {{{name}}}", FIELDS), _unknown(f"secret {{{name}}}", FIELDS)):
        assert f"{name!r}" in told or "(hidden" in told
        assert "there are" in told
        assert "'contact.firstname', 'e-mail', 'first name', 'first_name'" in told
        assert "secret" not in told


def _unknown(text: str, fields: dict[str, str]) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        read_template(text).check_known(fields, whose="the list")
    return str(caught.value)


def test_what_does_not_look_like_a_name_is_not_shown() -> None:
    for text in ('{"status": "down"}', "{+33612345678}", "{Anna 0612345678}", "{" + "a" * 41 + "}"):
        told = refusal(text, {"0612345678": "x", "a@example.org": "y"})
        assert "needs the field (hidden: it looks like no name)" in told
        assert not any(secret in told for secret in ("down", "0612345678", "+336", "aaaa", "example"))


def test_many_fields_are_named_in_part() -> None:
    told = refusal("{x}", {f"field_{letter}": "" for letter in "abcdefghijklmnopqrstuvwxyz"})
    assert "'field_t' and 6 more" in told
    assert "there are none" in refusal("{x}")


def test_fields_are_not_read_again_nor_as_a_pattern() -> None:
    assert read_template("{a}{b}").fill_in({"a": "{b}", "b": r"\g<0>\1{"}) == r"{b}\g<0>\1{"


def test_a_missing_field_is_refused_and_an_empty_one_is_not() -> None:
    assert "needs the field 'name', which a recipient does not have" in refusal(
        "secret {name}", {"hour": "9h"}
    )
    assert read_template("Hi {name}").fill_in({"name": ""}) == "Hi "


def test_what_is_filled_in_is_composed_where_parts_meet() -> None:
    assert read_template("caf{end}").fill_in({"end": "e\u0301"}) == "café"
    assert read_template("cafe{accent}").fill_in({"accent": "\u0301"}) == "café"


def test_other_names() -> None:
    assert read_template("{a} {b} {{c}}").renamed({"a": "b", "b": "a"}) == "{b} {a} {c}"


def test_an_argument_is_named_as_the_user_calls_it() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^text: "):
        TextTemplate("{", argument="text")


@settings(deadline=None, max_examples=examples(80))
@given(st.text(), st.dictionaries(st.sampled_from(["a", "b_1", "é", "c d"]), st.text()))
def test_doubled_braces_come_out_as_they_were(text: str, fields: dict[str, str]) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert read_template(doubled).fill_in({}) == text
    assert read_template(doubled).names == ()
    placed = doubled + "".join("{" + name + "}" for name in fields)
    whole = read_template(placed).fill_in(fields)
    assert whole == (normalize("NFC", text + "".join(fields.values())) if fields else text)
    assert is_normalized("NFC", whole) or not fields
