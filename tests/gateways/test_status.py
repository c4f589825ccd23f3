"""One vocabulary for what became of a message; an unknown word is pending and is logged once."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_voicepartner.gateways.status import DeliveryStatus, StatusWords


@pytest.fixture
def words(caplog):
    caplog.set_level(logging.WARNING)
    return StatusWords(
        "acme", {"Delivered": DeliveryStatus.DELIVERED, "NOT_DELIVERED": DeliveryStatus.FAILED}
    )


def test_only_pending_is_not_final():
    assert [status for status in DeliveryStatus if not status.is_terminal] == [DeliveryStatus.PENDING]


def test_statuses_are_their_words():
    assert {str(status) for status in DeliveryStatus} == {
        "pending", "delivered", "failed", "undeliverable", "opted_out", "cancelled", "unconfirmed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Delivered", DeliveryStatus.DELIVERED),
        (" DELIVERED\n", DeliveryStatus.DELIVERED),
        ("not delivered", DeliveryStatus.FAILED),
        ("Not__Delivered", DeliveryStatus.FAILED),
        ("not \t delivered", DeliveryStatus.FAILED),
    ],
)
def test_words_are_read_without_regard_to_case_and_blanks(words, word, status, caplog):
    assert words.read(word) is status
    assert not caplog.records


@pytest.mark.parametrize("word", [None, "", "  ", "_"])
def test_no_word_is_pending_and_not_worth_a_line(words, word, caplog):
    assert words.read(word) is DeliveryStatus.PENDING
    assert not caplog.records


def test_an_unknown_word_is_pending_and_logged_once(words, caplog):
    for word in ("Teleported", "teleported", "TELEPORTED "):
        assert words.read(word) is DeliveryStatus.PENDING
    (record,) = caplog.records
    assert "acme" in record.getMessage()
    assert "teleported" in record.getMessage()


def test_it_is_logged_once_from_many_threads(words, caplog):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(words.read, ["odd"] * 200))
    assert len(caplog.records) == 1


def test_free_text_fills_neither_log_nor_memory(words, caplog):
    for number in range(300):
        words.read(f"text {number} " + "x" * 100)
    assert len(caplog.records) == 100
    assert all(len(record.getMessage()) < 120 for record in caplog.records)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("Teleported", "teleported"), ("NOT_TELEPORTED", "not teleported"), ("numéro absent", "numéro absent"),
        ("rappelez Jean demain", None), ("jean@example.org", None), ("<b>x</b>", None), ("a" * 26, None),
        ("0612345678", None), ("+33612345678", None), ("code7", None), ("https://x.example", None), ("x", None),
        ("le 12 mai", None), ("{nom}", None), ("a\nb\nc", None),
    ],
)  # fmt: skip
def test_only_what_looks_like_a_word_is_shown(words, word, shown, caplog):
    words.read(word)
    (record,) = caplog.records
    said = record.getMessage()
    assert (shown or f"{len(StatusWords._fold(word))} characters, not a word") in said
    assert shown or word.casefold() not in said.casefold().replace("not a word", "")


def test_a_number_in_the_place_of_a_status_is_not_logged(words, caplog):
    words.read("sent to +33612345678")
    (record,) = caplog.records
    assert "612345678" not in record.getMessage()


def test_a_word_is_known_or_not_and_asking_logs_nothing(words, caplog):
    assert [words.knows(word) for word in ("delivered", " NOT  delivered", "Numéro introuvable", "")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert not caplog.records
