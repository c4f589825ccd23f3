"""A compiled message tells of many recipients what the gateway's functions for one tell of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways import octopush, smspartner, voicepartner
from airflow_provider_voicepartner.gateways.compiled_message import STANDS_ALONE, CharacterSet, once_a_message
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.model import (
    Message,
    PersonalRecipients,
    Recipient,
    SmsMessage,
    VoiceMessage,
    columns_of,
    have_fields,
    phone_numbers_of,
)
from airflow_provider_voicepartner.gateways.placeholders import read_template
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from tests.support.examples import examples

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
NUMBERS = [f"+3361234{at:04}" for at in range(500)]

# Half of them are letters of names; the others count twice or not at all, join their neighbour, or complete a mark.
letters = st.one_of(
    st.sampled_from("aeZé ô'-ç"),
    st.sampled_from(
        [
            ":", "br", "euro", ":br:", ":eu", "r:", "\r", "\n", "€", "œ", "^", "~", "|", "\\", "¨", "§", "\u0301",
            "\u0338", "\u1100", "\u1161", "{{", "}}", "Δ", "’", "😀", "%", "%s", "\u200d", "N", "one", "None", "STOP",
            "STOP au XXXXX", "\u3164", "\u0085", "x" * 49, "first_name", "\t", "ẹ",
        ]
    ),
)  # fmt: skip
values = st.lists(letters, max_size=6).map(lambda parts: normalize("NFC", "".join(parts).replace("{{", "{")))
literals = st.lists(letters, max_size=5).map("".join)
rows = st.lists(st.tuples(values, values), min_size=1, max_size=4)
texts = st.one_of(
    st.tuples(literals, literals, literals).map("{a}".join),
    st.tuples(literals, literals, literals).map(lambda parts: "{a}".join(parts[:2]) + "{b}" + parts[2]),
    st.just("{b}{a}"),
    st.just("x" * 150 + "{a}{b}"),
)
messages = st.one_of(
    st.builds(
        lambda text, unicode, gamme, purpose: (
            smspartner,
            SmsMessage(text=text, purpose=purpose, options={"is_unicode": unicode} | gamme),
        ),
        texts, st.booleans(), st.sampled_from([{}, {"gamme": "low_cost"}]), st.sampled_from(["alert", "marketing"]),
    ),
    st.builds(
        lambda text, optimizes, purpose: (
            octopush,
            SmsMessage(text=text, purpose=purpose, options={"auto_optimize_text": optimizes}),
        ),
        texts, st.booleans(), st.sampled_from(["alert", "marketing"]),
    ),
    st.builds(
        lambda text, language: (octopush, VoiceMessage(text=text, language=language)),
        texts, st.sampled_from(["fr-FR", "el-GR"]),
    ),
)  # fmt: skip


def problem(gateway: Any, message: Message, fields: Mapping[str, str]) -> str | None:
    try:
        gateway.check_recipient(message, Recipient(NUMBERS[0], fields))
    except InvalidArgumentError as error:
        return str(error)
    return None


@settings(max_examples=examples(200), deadline=None)
@given(messages, rows)
@example((smspartner, SmsMessage(text=":e:br:u{a}: {b}")), [("ro", ""), ("r", "o")])
@example((smspartner, SmsMessage(text="{a}: {b}")), [(":br", "x"), ("a\r", "\n")])
@example((smspartner, SmsMessage(text="50% {a} %s {b}")), [("Zoé", "%d")])
@example((smspartner, SmsMessage(text="No{a}{b}")), [("ne", " "), ("ne", "x")])
@example((octopush, SmsMessage(text="{{{a}}} {b}")), [("first_name", "Zoé")])
@example(
    (octopush, SmsMessage(text="{a} STOP au {b}", purpose="marketing")), [("x" * 150, "XXXXX"), ("", "y")]
)
def test_many_at_once_are_as_each_alone(case: tuple[Any, Message], told: list[tuple[str, str]]) -> None:
    gateway, message = case
    try:
        gateway.check_message(message, True)
    except InvalidArgumentError:
        return
    template = read_template(message.text, "message" if isinstance(message, SmsMessage) else "text")
    fields = [dict(zip("ab", row, strict=True)) for row in told]
    columns = {name: [row[name] for row in fields] for name in "ab"}
    compiled = gateway.compile_message(message)
    if not template.names:
        assert compiled is None
        return

    alone = [template.fill_in(row) for row in fields]
    assert compiled.texts(columns) == alone
    refused = {at for at, row in enumerate(fields) if problem(gateway, message, row)}
    doubtful = compiled.doubtful(columns)
    assert refused <= set(doubtful)
    assert doubtful == sorted(set(doubtful))
    if isinstance(message, SmsMessage):
        each = [gateway.segments_of(message, text) for text in alone]
        assert compiled.segments(columns) == tuple(map(sum, zip(*each, strict=True)))


def outcome(build: Callable[[], ApiRequest]) -> object:
    try:
        request = build()
    except InvalidArgumentError as error:
        return str(error)
    return request.endpoint, json.dumps(request.body), request.private


@settings(max_examples=examples(150), deadline=None)
@given(messages, rows)
def test_a_batch_of_columns_is_built_as_one_of_people(
    case: tuple[Any, Message], told: list[tuple[str, str]]
) -> None:
    gateway, message = case
    people = [Recipient(NUMBERS[at], {"a": a, "b": b}) for at, (a, b) in enumerate(told)]
    columns = PersonalRecipients([person.phone_number for person in people], columns_of(people, "ab"))
    call = {"reference": "k3v9x0q2w7ha", "now": NOW}
    built = outcome(lambda: gateway.build_batch(message, columns, **call))
    assert built == outcome(lambda: gateway.build_batch(message, people, **call))
    try:
        gateway.check_message(message, True)
    except InvalidArgumentError:
        return
    if message.options.get("gamme"):
        return  # Only planning looks for the STOP mention that a field may tear apart.
    refused = [found for person in people if (found := problem(gateway, message, person.fields))]
    if isinstance(built, str):
        own = refused[0].partition(": ")[2]
        assert own.removeprefix("gets a text that cannot be sent: ") in built
    else:
        assert not refused


@settings(max_examples=examples(100), deadline=None)
@given(texts, rows)
def test_a_personal_batch_holds_each_text_as_it_goes_out(text: str, told: list[tuple[str, str]]) -> None:
    people = [Recipient(NUMBERS[at], {"a": a, "b": b}) for at, (a, b) in enumerate(told)]
    try:
        template = read_template(text)
        built = smspartner.build_batch(SmsMessage(text=text), people, reference="k3v9x0q2w7ha", now=NOW)
    except InvalidArgumentError:
        return
    if not template.names:
        assert built.endpoint == "send"
        return
    own = [read_template(SmsMessage(text=text).text).fill_in(person.fields) for person in people]
    assert built.body == {
        "SMSList": [
            {"phoneNumber": person.phone_number, "message": smspartner.wire_text(said)}
            for person, said in zip(people, own, strict=True)
        ],
        "tag": "k3v9x0q2w7ha",
    }
    assert built.private == tuple(
        dict.fromkeys(spelling for said in own for spelling in (said, smspartner.wire_text(said)))
    )


def test_who_lacks_a_field_stops_the_batch() -> None:
    people = [Recipient(NUMBERS[0], {"a": "Zoé"}), Recipient(NUMBERS[1], {"b": "x"})]
    for gateway in (smspartner, octopush):
        with pytest.raises(InvalidArgumentError, match=r"the field 'a'|no field 'a'"):
            gateway.build_batch(SmsMessage(text="Bonjour {a}"), people, reference="k3v9x0q2w7ha", now=NOW)


@pytest.mark.parametrize("gateway", [smspartner, octopush])
def test_of_usual_people_nobody_takes_a_closer_look(gateway: Any) -> None:
    message = SmsMessage(
        text="Bonjour {a}, votre commande {b} est prête à l'accueil.\nÀ bientôt, 100% vôtre."
    )
    columns = {
        "a": ["Zoé", "François", "Noël", "Saint-Étienne", "O'Neill"],
        "b": ["12", "13", "14", "15", "16"],
    }
    compiled = gateway.compile_message(message)
    assert compiled.doubtful(columns) == []
    assert compiled.texts(columns)[1].startswith("Bonjour François, votre commande 13 est")
    too_long = {"a": ["Zoé", "x" * 2000], "b": ["1", "2"]}
    assert compiled.doubtful(too_long) == [1]


def test_a_text_that_the_fields_make_alone_must_still_say_something() -> None:
    compiled = smspartner.compile_message(SmsMessage(text="{a}"))
    assert compiled is not None
    said = ["Bonjour", "", " ", "None", "None ", "Nones", "!"]
    assert compiled.doubtful({"a": said}) == [1, 2, 3, 4, 6]


def test_characters_that_stand_alone_never_join_a_neighbour() -> None:
    others = [chr(code) for code in (0x41, 0x65, 0xE9, 0x1100, 0x1161, 0x3C, 0x3B1, 0x9C7, 0x1F00)]
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if STANDS_ALONE.holds_all_of(character):
            assert normalize("NFC", character) == character
            assert all(normalize("NFC", other + character) == other + character for other in others)


def test_without_placeholders_there_is_nothing_to_compile() -> None:
    assert smspartner.compile_message(SmsMessage(text="{{a}}")) is None
    assert octopush.compile_message(VoiceMessage(text="Bonjour")) is None
    assert voicepartner.compile_message(VoiceMessage(text="Bonjour")) is None


def test_calls_are_not_counted_in_sms() -> None:
    compiled = octopush.compile_message(VoiceMessage(text="Bonjour {a}"))
    assert compiled is not None
    with pytest.raises(TypeError):
        compiled.segments({"a": ["Zoé"]})


def test_what_is_made_of_a_message_is_made_once() -> None:
    made: list[Message] = []

    @once_a_message
    def make(message: Message) -> int:
        made.append(message)
        return len(made)

    assert [make(SmsMessage(text="x", options={"a": 1})) for _ in range(2)] == [1, 1]
    # Equal, and another setting all the same.
    assert make(SmsMessage(text="x", options={"a": True})) == 2
    assert make(SmsMessage(text="x", sender="y", options={"a": 1})) == 3
    assert make(VoiceMessage(text="x", options={"a": 1})) == 4
    # May be changed by whoever holds it.
    assert [make(SmsMessage(text="x", options={"a": []})) for _ in range(2)] == [5, 6]


def test_what_is_refused_is_refused_again() -> None:
    message = SmsMessage(text="{a}", options={"nonsense": 1})
    for _ in range(2):
        with pytest.raises(InvalidArgumentError, match="nonsense"):
            smspartner.compile_message(message)


def test_columns_are_recipients() -> None:
    people = [Recipient(number, {"a": f"n{at}", "b": ""}) for at, number in enumerate(NUMBERS[:4])]
    columns = PersonalRecipients(NUMBERS[:4], columns_of(people, "ab"))
    assert columns == people
    assert columns[1:3] == people[1:3]
    assert (columns[3], len(columns), phone_numbers_of(columns)) == (people[3], 4, NUMBERS[:4])
    assert have_fields(columns)
    assert not have_fields(columns[:0])
    assert columns_of(columns, "b") == {"b": [""] * 4}
    assert columns != people[:3]
    assert NUMBERS[0] not in repr(columns)
    with pytest.raises(KeyError):
        columns_of(people, ["c"])


def test_a_set_of_characters_finds_the_others() -> None:
    some = CharacterSet("ab]^é€")
    assert all(map(some.holds_all_of, ("", "a", "b]^é", "€a")))
    assert not any(map(some.holds_all_of, ("c", "aè", "€c", "’", "-")))
    assert some.places_of_others(["a", "c", "€", "€c"]) == {1, 3}
    assert some.places_of_others(["a", "€"]) == set()
    assert not some.without("a").holds_all_of("a")
    assert (some & CharacterSet("a-c")).places_of_others(["a", "b", "-"]) == {1, 2}
