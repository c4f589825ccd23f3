"""``dead-letters`` and ``person``: their output, and what they leave in the store."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.db.engine import open_store
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.inbound import DeadLetter, InboundRecord, of_reference
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.delivery.tokens import CallbackTokens
from airflow_provider_voicepartner.gateways.model import OptOut, Reply
from tests.support.receiver import SECRET, rows

ANNA = "+33612345678"
BATCH = of_reference("smspartner", "k3v9")
REPLY = b"type=response&phone_number=%2B33612345678&text=caf%E9"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return the store that is configured, by the fixture of all tests, with two dead letters."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    for body in (REPLY, b"\xff\xfe planted"):
        letter = DeadLetter(
            gateway="smspartner", campaign=BATCH.campaign, method="POST", content_type="text/x", query="q=%E9",
            body=body, why="it was odd", received_at=1_900_000_000.0,
        )  # fmt: skip
        DeliveryStore(store).write([letter])
    return store


def fails(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


class TestDeadLetters:
    def test_are_listed_without_what_is_in_them(
        self, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["dead-letters", "list"])
        said = capsys.readouterr().out
        assert "1  2030-03-17T17:46:40+00:00  smspartner  ref:k3v9  53 bytes  it was odd\n" in said
        assert "2 dead letters are in the store" in said
        assert "612345678" not in said
        assert "planted" not in said

    def test_are_shown_as_they_came(self, store: Store, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        main(["dead-letters", "show", "1"])
        said = capsysbinary.readouterr().out.decode()
        for line in ("method: POST", "query: q=%E9", "content type: text/x", f"body: {REPLY.decode()}"):
            assert f"{line}\n" in said
        main(["dead-letters", "show", "2", "--raw"])
        assert capsysbinary.readouterr().out == b"\xff\xfe planted"

    def test_one_that_is_not_there_is_said_so(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        assert "there is no dead letter 9" in fails("dead-letters", "show", "9", capsys=capsys)

    @pytest.mark.parametrize("words", [["--all"], ["1", "2"]])
    def test_are_read_again(self, words: list[str], store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        with contextlib.suppress(SystemExit):
            main(["dead-letters", "replay", *words, "--dry-run"])
        assert "1 of 2 dead letters could be read" in capsys.readouterr().out
        assert rows(store, "event") == []
        if words == ["--all"]:
            main(["dead-letters", "replay", *words])
        else:
            with pytest.raises(SystemExit) as ended:  # one that was named is still there
                main(["dead-letters", "replay", *words])
            assert ended.value.code == 1
        said = capsys.readouterr().out
        assert "1: is stored, and no longer a dead letter\n" in said
        assert "2: cannot be read: " in said
        assert "1 of 2 dead letters were read" in said
        assert [row["text"] for row in rows(store, "event")] == ["café"]
        assert [row["id"] for row in rows(store, "dead_letter")] == [2]

    @pytest.mark.parametrize("words", [[], ["1", "--all"]])
    def test_nothing_is_read_again_by_mistake(
        self, words: list[str], store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert "give the ids" in fails("dead-letters", "replay", *words, capsys=capsys)
        assert len(rows(store, "dead_letter")) == 2


class TestPerson:
    @pytest.fixture
    def known(self, store: Store) -> Store:
        for event in (
            Reply(gateway="smspartner", campaign_id="1", phone_number=ANNA, text="planted words"),
            OptOut(gateway="smspartner", campaign_id="1", phone_number=ANNA, text="STOP"),
        ):
            DeliveryStore(store).write([InboundRecord(key=BATCH, event=event, received_at=time.time())])
        return store

    @pytest.mark.parametrize("written", [ANNA, "06 12 34 56 78", "0033612345678"])
    def test_is_shown(self, written: str, known: Store, capsys: pytest.CaptureFixture[str]) -> None:
        main(["person", "show", written])
        told = json.loads(capsys.readouterr().out)
        assert [event["text"] for event in told["events"]] == ["planted words", "STOP"]
        assert len(told["dead_letters"]) == 1
        assert told["opted_out"]["gateway"] == "smspartner"

    def test_is_erased_except_for_the_stop(self, known: Store, capsys: pytest.CaptureFixture[str]) -> None:
        main(["person", "forget", ANNA, "--dry-run"])
        assert (
            "Would delete of +336••••••78: 0 delivery reports, 2 events, 1 dead letters"
            in capsys.readouterr().out
        )
        assert len(rows(known, "event")) == 2
        main(["person", "forget", ANNA])
        said = capsys.readouterr().out
        assert "Deleted of +336••••••78: 0 delivery reports, 2 events, 1 dead letters" in said
        assert "stays in the list of opt-outs, as a keyed hash" in said
        assert "Not deleted: your own lists" in said
        assert ANNA not in said
        main(["person", "show", ANNA])
        told = json.loads(capsys.readouterr().out)
        assert told["events"] == told["dead_letters"] == []
        assert told["opted_out"]["gateway"] == "smspartner"

    def test_is_erased_from_the_marks_of_batches_too(
        self, known: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
        tokens = CallbackTokens([SECRET])
        DeliveryStore(known).note_recipients(
            "smspartner", "k3v9", tokens.stored_marks([ANNA, "+33612345679"]), ends=2_000_000_000.0
        )
        main(["person", "forget", ANNA])
        assert "1 dead letters, 1 batches" in capsys.readouterr().out
        [left] = rows(known, "batch_recipients")
        assert bytes(left["marks"]) == tokens.stored_marks(["+33612345679"])

    def test_a_key_is_read_and_never_shown(
        self, known: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__OPT_OUT_KEY", "planted key of opt-outs".replace(" ", "-"))
        main(["person", "forget", ANNA])
        assert rows(known, "own_key") == []
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__OPT_OUT_KEY", "another key of opt-outs".replace(" ", "-"))
        capsys.readouterr()
        told = fails("person", "show", ANNA, capsys=capsys)
        assert "opt_out_key" in told
        assert "planted" not in told

    def test_what_is_no_number_is_refused_and_not_shown(
        self, store: Store, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = fails("person", "forget", "06123", capsys=capsys)
        assert "write it as in +33612345678" in told
