"""Segments as a gateway bills them, texts cut to fit, and letters that GSM-7 does not have."""

from __future__ import annotations

import time
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.gsm import (
    BASIC,
    EXTENSION,
    clusters,
    count_segments,
    cut_to_segments,
    to_gsm7,
)
from tests.support.examples import examples

FAMILY = "👨‍👩‍👧"
FRANCE = "🇫🇷"
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"

texts = st.text(st.sampled_from("abc é€[^ç’😀\u0301\u200d🇫🇷👍🏽\n,. Àœ-"), max_size=400) | st.text(
    max_size=200
)


def fill_by_hand(text: str) -> tuple[str, int, int, int]:
    """Count a text the slow way: put one character after the other into segments."""
    text = normalize("NFC", text)
    gsm = all(character in BASIC | EXTENSION for character in text)
    single, part = (160, 153) if gsm else (70, 67)
    sizes = [2 if (character in EXTENSION if gsm else character > "\uffff") else 1 for character in text]
    name = "GSM-7" if gsm else "UCS-2"
    if sum(sizes) <= single:
        return name, sum(sizes), 1 if text else 0, single - sum(sizes)
    segments, used = 1, 0
    for size in sizes:
        if used + size > part:
            segments, used = segments + 1, 0
        used += size
    return name, sum(sizes), segments, part - used


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments", "remaining"),
    [
        ("", "GSM-7", 0, 0, 160),
        ("a", "GSM-7", 1, 1, 159),
        ("a" * 160, "GSM-7", 160, 1, 0),
        ("a" * 161, "GSM-7", 161, 2, 145),
        ("a" * 306, "GSM-7", 306, 2, 0),
        ("a" * 307, "GSM-7", 307, 3, 152),
        ("é è ù à É Ç ò ì ñ ü ö ä å ø æ ß", "GSM-7", 31, 1, 129),
        ("Ω Δ £ ¥ ¤ § ¿ ¡", "GSM-7", 15, 1, 145),
        ("€", "GSM-7", 2, 1, 158),
        ("\f^{}\\[~]|€", "GSM-7", 20, 1, 140),
        ("a\r\nb", "GSM-7", 4, 1, 156),
        ("a" * 158 + "€", "GSM-7", 160, 1, 0),
        ("a" * 159 + "€", "GSM-7", 161, 2, 145),
        # The pair would straddle units 153 and 154: it moves on, and one unit is lost.
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2, 0),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3, 152),
        ("€" * 153, "GSM-7", 306, 3, 151),
        ("a" + "€" * 152, "GSM-7", 305, 2, 1),
        ("ç", "UCS-2", 1, 1, 69),
        ("a" * 69 + "ç", "UCS-2", 70, 1, 0),
        ("a" * 70 + "ç", "UCS-2", 71, 2, 63),
        ("a" * 133 + "ç", "UCS-2", 134, 2, 0),
        ("a" * 134 + "ç", "UCS-2", 135, 3, 66),
        ("a" * 159 + "ç", "UCS-2", 160, 3, 41),
        ("😀", "UCS-2", 2, 1, 68),
        ("a" * 68 + "😀", "UCS-2", 70, 1, 0),
        ("a" * 69 + "😀", "UCS-2", 71, 2, 63),
        ("a" * 66 + "😀" + "a" * 65, "UCS-2", 133, 2, 0),
        ("a" * 66 + "😀" + "a" * 66, "UCS-2", 134, 3, 66),
        ("ç" + "€" * 69, "UCS-2", 70, 1, 0),
        (FAMILY, "UCS-2", 8, 1, 62),
        ("e\u0301", "GSM-7", 1, 1, 159),
        ("c\u0327", "UCS-2", 1, 1, 69),
        ("A\u030a", "GSM-7", 1, 1, 159),
        ("\u2126", "GSM-7", 1, 1, 159),  # The ohm sign is composed into an omega.
        ("\x1b", "UCS-2", 1, 1, 69),
    ],
)
def test_counts_by_hand(text: str, encoding: str, units: int, segments: int, remaining: int) -> None:
    count = count_segments(text)
    assert (count.encoding, count.units, count.segments, count.remaining_in_last) == (
        encoding,
        units,
        segments,
        remaining,
    )


@pytest.mark.parametrize(
    "character", ["ç", "ê", "î", "ô", "û", "â", "ë", "ï", "œ", "È", "À", "’", "\t", "`", "\u00a0", "«"]
)
def test_what_people_take_for_plain_but_is_not(character: str) -> None:
    assert count_segments(character).encoding == "UCS-2"
    assert count_segments(to_gsm7(character).text).encoding == "GSM-7"


def test_the_alphabet_is_the_one_of_gsm_03_38() -> None:
    assert (len(BASIC), len(EXTENSION)) == (127, 10)  # 128 places, one of which is the escape.
    assert not BASIC & EXTENSION


@settings(max_examples=examples(400), deadline=None)
@given(texts)
def test_counts_like_filling_segments_by_hand(text: str) -> None:
    count = count_segments(text)
    assert (count.encoding, count.units, count.segments, count.remaining_in_last) == fill_by_hand(text)


@given(texts, texts)
def test_more_text_never_takes_fewer_segments(head: str, tail: str) -> None:
    joined = count_segments(head + tail)
    # Composing may join what meets at the seam into fewer characters, so only whole characters are compared.
    if normalize("NFC", head + tail).startswith(normalize("NFC", head)):
        assert joined.segments >= count_segments(head).segments


def test_a_long_plain_text_is_counted_at_once() -> None:
    text = "Bonjour, votre rendez-vous est à 14 h. " * 6
    started = time.process_time()
    for _ in range(5_000):
        count_segments(text)
    assert time.process_time() - started < 1


# --- cutting -------------------------------------------------------------------------------------------------------


def test_a_text_that_fits_stays() -> None:
    assert cut_to_segments("a" * 160) == "a" * 160
    assert cut_to_segments("") == ""
    assert cut_to_segments("e\u0301") == "é"


def test_cuts_at_the_end_of_a_word() -> None:
    text = "word " * 40
    cut = cut_to_segments(text)
    assert cut == ("word " * 31).rstrip() + "..."
    assert cut_to_segments("word, " * 40) == ("word, " * 26).rstrip(" ,") + "..."
    assert cut_to_segments("abcd" * 39 + "e" + " more words") == "abcd" * 39 + "e..."


def test_cuts_inside_a_word_that_is_too_long() -> None:
    assert cut_to_segments("a" * 161) == "a" * 157 + "..."
    assert cut_to_segments("hello " + "a" * 200) == "hello " + "a" * 151 + "..."
    assert cut_to_segments("a" * 400, 2) == "a" * 303 + "..."


def test_without_an_ellipsis_the_last_place_is_used_too() -> None:
    assert cut_to_segments("a" * 400, ellipsis="") == "a" * 160
    assert cut_to_segments("a" * 400, 2, ellipsis="") == "a" * 306
    assert cut_to_segments("ç" * 400, ellipsis="") == "ç" * 70


@pytest.mark.parametrize("last", [1, 2, 3, 40])
def test_a_cut_between_two_words_keeps_the_last_one(last: int) -> None:
    """The text is cut behind 157 characters, the last of which is the blank, or stands before it."""
    for blank in (156, 157):
        words = f"{'x' * (blank - last - 1)} {'y' * last}"
        assert cut_to_segments(f"{words} {'z' * 100}") == f"{words}..."


def test_one_foreign_letter_makes_room_for_less() -> None:
    assert cut_to_segments("ç" + "a" * 100) == "ç" + "a" * 66 + "..."
    # Behind the cut it costs nothing.
    assert cut_to_segments("a" * 200 + "ç") == "a" * 157 + "..."


@pytest.mark.parametrize("cluster", [FAMILY, FRANCE, ENGLAND, "👍🏽", "❤️", "q\u0323\u0307", "1️⃣"])
def test_what_reads_as_one_character_is_not_taken_apart(cluster: str) -> None:
    for padding in range(40, 72):
        cut = cut_to_segments("a" * padding + cluster * 40, ellipsis="!")
        assert cut.endswith("!")
        kept = cut[:-1].lstrip("a")
        assert kept == cluster * (len(kept) // len(cluster))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("ab", ["a", "b"]),
        ("e\u0301a", ["e\u0301", "a"]),
        (FRANCE * 2 + "🇫", [FRANCE, FRANCE, "🇫"]),
        (FAMILY + "a", [FAMILY, "a"]),
        ("a\r\nb", ["a", "\r\n", "b"]),
    ],
)
def test_visible_characters(text: str, parts: list[str]) -> None:
    assert list(clusters(text)) == parts


@settings(max_examples=examples(400), deadline=None)
@given(texts, st.integers(1, 3), st.sampled_from(["...", "", "…", " [+]"]))
def test_a_cut_text_always_fits_and_begins_as_before(text: str, segments: int, ellipsis: str) -> None:
    cut = cut_to_segments(text, segments, ellipsis)
    assert count_segments(cut).segments <= segments
    composed = normalize("NFC", text)
    if cut != composed:
        assert cut.endswith(ellipsis)
        head = cut[: len(cut) - len(ellipsis)]
        assert composed.startswith(head)
        assert not head or head in {composed[:end] for end in _ends(composed)}


def _ends(text: str) -> list[int]:
    ends, position = [0], 0
    for cluster in clusters(text):
        position += len(cluster)
        ends.append(position)
    return ends


@given(texts)
def test_cutting_twice_changes_nothing(text: str) -> None:
    once = cut_to_segments(text)
    assert cut_to_segments(once) == once


def test_what_cannot_be_cut_to_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^segments: is 0"):
        cut_to_segments("text", 0)
    with pytest.raises(InvalidArgumentError, match=r"^ellipsis: "):
        cut_to_segments("a" * 200, 1, "." * 161)


def test_a_very_long_text_is_cut_at_once() -> None:
    started = time.process_time()
    assert len(cut_to_segments("mot " * 500_000)) <= 160
    assert time.process_time() - started < 1


# --- other letters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Ça va être français, où ça ?", "Ça va etre francais, où ca ?"),
        ("ÀÈÊËÎÏÔÛŒÂ âêëîïôûœç", "AEEEIIOUOEA aeeiiouoec"),
        ("l’été “chaud” « oui »", 'l\'été "chaud" " oui "'),
        ("1\u00a0000\u202f€ – fin… —\t`x`", "1 000 € - fin... - 'x'"),
        ("éèùàÉÇòìñüöäåøæß€[]{}", "éèùàÉÇòìñüöäåøæß€[]{}"),
        ("e\u0301", "é"),
        ("ǆ ﬁn ½ №5 n° m² ™", "dz fin 1/2 No5 no m2 TM"),
        ("Łódź, Đorđe, Þór", "Lodz, Dorde, Thor"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("a ≤ b → c", "a <= b -> c"),
        ("ligne\u2028suite", "ligne\nsuite"),
        ("x\u0302", "x"),
    ],
)
def test_other_letters_by_hand(text: str, written: str) -> None:
    result = to_gsm7(text)
    assert result.text == written
    assert result.lost == ()


def test_what_was_replaced_and_what_was_lost_is_told() -> None:
    result = to_gsm7(f"ça ’ ’ 漢 {FAMILY}{FAMILY} 漢 ж é")
    assert result.text == "ca ' ' ? ?? ? ? é"
    assert dict(result.replaced) == {"ç": "c", "’": "'"}
    assert result.lost == ("漢", FAMILY, "ж")
    assert result.text not in repr(result)


def test_gsm_7_stays_as_it_is() -> None:
    text = "".join(sorted(BASIC | EXTENSION))
    result = to_gsm7(text)
    assert (result.text, dict(result.replaced), result.lost) == (text, {}, ())


@settings(max_examples=examples(400), deadline=None)
@given(texts)
def test_the_result_is_always_gsm_7_and_settled(text: str) -> None:
    result = to_gsm7(text)
    assert count_segments(result.text).encoding == "GSM-7"
    assert to_gsm7(result.text).text == result.text
    if not result.replaced and not result.lost:
        assert result.text == normalize("NFC", text)
