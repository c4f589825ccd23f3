"""How Octopush counts, as far as its pages say: one table of texts, with each reading of them."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.model import SmsMessage, VoiceMessage
from airflow_provider_voicepartner.gateways.octopush import segments_of
from airflow_provider_voicepartner.gateways.octopush.messages import readings
from tests.support.examples import examples

TWELVE = "{}[]~^|€&$@¨"

# The text, and its SMS: likeliest with parts of 153 and of 137, then with only accented letters replaced.
TABLE: list[tuple[str, tuple[int, int, int, int]]] = [
    ("a", (1, 1, 1, 1)),
    ("a" * 160, (1, 1, 1, 1)),
    ("a" * 161, (2, 2, 2, 2)),
    ("a" * 274, (2, 2, 2, 2)),
    ("a" * 275, (2, 3, 2, 3)),
    ("a" * 306, (2, 3, 2, 3)),
    ("a" * 1224, (8, 9, 8, 9)),
    *[("a" * 158 + double, (1, 1, 1, 1)) for double in TWELVE + "\n\r\t\\"],
    *[("a" * 159 + double, (2, 2, 2, 2)) for double in TWELVE + "\n\r\t\\"],
    ("@" * 80, (1, 1, 1, 1)),
    ("@" * 81, (2, 2, 2, 2)),
    ("a\r\n" * 32, (1, 1, 1, 1)),
    ("é" * 160, (1, 1, 1, 1)),
    ("a" * 147 + "ê", (1, 1, 1, 1)),
    ("çÀÊîôûñÿẞế".replace("ẞ", "") * 17, (1, 1, 1, 1)),
    ("l’été " * 12, (1, 1, 2, 2)),
    ("« œ » –" * 10, (1, 1, 1, 1)),
    ("œ" * 71, (1, 1, 2, 2)),
    ("…" * 60, (2, 2, 1, 1)),
    ("👍" * 35, (1, 1, 1, 1)),
    ("👍" * 36, (2, 2, 2, 2)),
    ("日" * 70, (1, 1, 1, 1)),
    ("日" * 126, (2, 2, 2, 2)),
    ("日" * 127, (3, 3, 3, 3)),
    ("日" + "@" * 69, (1, 1, 1, 1)),
]


@pytest.mark.parametrize(("text", "counts"), TABLE)
def test_readings(text: str, counts: tuple[int, ...]) -> None:
    assert readings(text, optimizes=True, needs_stop=False) == counts
    for setting in ({}, {"auto_optimize_text": True}):
        assert segments_of(SmsMessage(text="x", options=setting), text) == counts


@pytest.mark.parametrize(
    ("text", "counts"),
    [("a" * 161, (2, 2, 2, 2)), ("a" * 147 + "ê", (3, 3, 3, 3)), ("ê" * 70, (1, 1, 1, 1)), ("é@" * 53, (1, 1, 1, 1)),
     ("l’été" * 15, (2, 2, 2, 2))],
)  # fmt: skip
def test_without_the_vendors_replacements(text: str, counts: tuple[int, ...]) -> None:
    assert segments_of(SmsMessage(text="x", options={"auto_optimize_text": False}), text) == counts


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 146, 1),
        ("a" * 147, 2),
        ("a" * 147 + "STOP au XXXXX", 1),
        ("a" * 147 + "STOP au 30101", 1),
        ("é’" * 30, 1),
    ],
)
def test_a_marketing_text_gets_the_mention_that_it_lacks(text: str, count: int) -> None:
    assert segments_of(SmsMessage(text="x", purpose="marketing"), text)[0] == count
    assert segments_of(SmsMessage(text="x"), text)[0] == 1


def test_calls_are_not_counted() -> None:
    assert segments_of(VoiceMessage(text="x"), "x") is None


@settings(deadline=None, max_examples=examples(150))
@given(st.text(max_size=400), st.booleans(), st.booleans())
def test_there_is_a_count_for_every_text_and_more_text_never_costs_less(
    text: str, optimizes: bool, needs_stop: bool
) -> None:
    text = normalize("NFC", text)
    counts = readings(text, optimizes=optimizes, needs_stop=needs_stop)
    assert len(counts) == 4
    assert min(counts) >= 1
    longer = readings(text + "a" * 161, optimizes=optimizes, needs_stop=needs_stop)
    assert all(more > less for more, less in zip(longer, counts, strict=True))
