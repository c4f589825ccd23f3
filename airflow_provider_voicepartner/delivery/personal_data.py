"""
Everything that the store knows about one person, and its erasure (GDPR, articles 15 and 17).

What stays after an erasure is that the person said STOP, as a keyed hash: else the next campaign would message them.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.delivery.events import iso_time
from airflow_provider_voicepartner.delivery.opt_outs import KnownOptOut, OptOutList
from airflow_provider_voicepartner.delivery.statements import Statements
from airflow_provider_voicepartner.delivery.store_rows import Row
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.parsing import read_callback
from airflow_provider_voicepartner.gateways.wire import CallbackRequest, unescaped

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_provider_voicepartner.db.transactions import Store

_COMPARED: Final = 9
_BETWEEN: Final = r"[\W_]{0,6}"
_OTHER_DIGIT: Final = re.compile(r"(?![0-9])\d")
_FOREVER: Final = 2.0**62


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPerson:
    """
    What is known about a person.

    :param delivery_reports: of messages to them.
    :param events: their replies, pressed keys and opt-outs.
    :param dead_letters: calls that name their number and were not acted on.
    :param told: incidents that they were told of, by their number or a name that the store knows it by.
    :param all_clears: that they are owed, or got.
    :param pages: of escalations, to their number.
    :param answers: to pages and questions.
    :param questions: that their number was asked.
    :param opted_out: their entry in the list of opt-outs, if there is one.
    """

    delivery_reports: list[Row] = field(default_factory=list, repr=False)
    events: list[Row] = field(default_factory=list, repr=False)
    dead_letters: list[Row] = field(default_factory=list, repr=False)
    told: list[Row] = field(default_factory=list, repr=False)
    all_clears: list[Row] = field(default_factory=list, repr=False)
    pages: list[Row] = field(default_factory=list, repr=False)
    answers: list[Row] = field(default_factory=list, repr=False)
    questions: list[Row] = field(default_factory=list, repr=False)
    opted_out: KnownOptOut | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, with numbers and texts; times are ISO 8601, in UTC."""
        out = self.opted_out
        stops = [
            KnownOptOut(said_at=row["at"] or row["received_at"], gateway=row["gateway"])
            for row in self.events
            if row["kind"] == "opt_out"
        ]
        # Only a purge adds them to the list of opt-outs; until then the events say so.
        out = min([*([out] if out else []), *stops], key=lambda one: one.said_at, default=None)
        return {
            "delivery_reports": [_plain(row) for row in self.delivery_reports],
            "events": [_plain(row) for row in self.events],
            "dead_letters": [_plain(row) for row in self.dead_letters],
            "told_of_incidents": [_plain(row) for row in self.told],
            "all_clears": [_plain(row) for row in self.all_clears],
            "pages": [_plain(row) for row in self.pages],
            "answers": [_plain(row) for row in self.answers],
            "questions": [_plain(row) for row in self.questions],
            "opted_out": None if out is None else {"said_at": iso_time(out.said_at), "gateway": out.gateway},
        }


class PersonalData:
    """
    The data of single persons in an open store.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`.
    :param opt_out_keys: see :class:`~airflow_provider_voicepartner.delivery.opt_outs.OptOutList`.
    """

    def __init__(self, store: Store, *, opt_out_keys: tuple[str, ...] = ()) -> None:
        self._store = store
        self._sql = Statements(is_postgres=store.is_postgres)
        self._list = OptOutList(self._sql, opt_out_keys)

    def find(self, phone_number: str) -> KnownPerson:
        """
        Return what is known about a person.

        :param phone_number: in E.164.
        :raises InvalidArgumentError: a part of the list of opt-outs was made with a key that is not given.
        """
        with self._store.read() as connection:
            return KnownPerson(
                delivery_reports=self._rows(connection, self._sql.reports_of_person, phone_number),
                events=self._rows(connection, self._sql.events_of_person, phone_number),
                dead_letters=self._letters(connection, phone_number),
                told=self._rows(connection, self._sql.told_of_person, phone_number),
                all_clears=self._rows(connection, self._sql.all_clears_of_person, phone_number),
                pages=self._rows(connection, self._sql.pages_of_person, phone_number),
                answers=self._rows(connection, self._sql.answers_of_person, phone_number),
                questions=self._rows(connection, self._sql.questions_of_person, phone_number),
                opted_out=self._list.find(connection, [phone_number]).get(phone_number),
            )

    def erase(
        self, phone_number: str, *, without_marks: Callable[[bytes, str], bytes] | None = None
    ) -> dict[str, int]:
        """
        Delete everything about a person, except that they said STOP, in one transaction.

        :param phone_number: in E.164.
        :param without_marks: removes a number from the marks of a batch; None leaves those until they are purged.
        :returns: rows deleted or changed, by table.
        """
        with self._store.write() as connection:
            if self._store.is_postgres:
                connection.execute(self._sql.lock)  # as every writer does first
                # Before what hangs on them, as whoever pages does: else two of them would wait for each other.
                connection.execute(self._sql.lock_incidents_of_person, {"number": phone_number})
            self._list.add_expiring(connection, before=_FOREVER, phone_number=phone_number)
            letters = [row["id"] for row in self._letters(connection, phone_number)]
            for letter in letters:
                connection.execute(self._sql.delete_letter, {"id": letter})
            number = {"number": phone_number}
            done = {
                "delivery reports": connection.execute(self._sql.erase_reports, number).rowcount,
                "events": connection.execute(self._sql.erase_events, number).rowcount,
                "dead letters": len(letters),
            }
            if without_marks is not None:
                done["batches"] = self._erase_marks(connection, phone_number, without_marks)
            # Names are found by pages and questions, so these are the last to go.
            done["told incidents"] = connection.execute(self._sql.erase_told, number).rowcount
            done["all clears"] = connection.execute(self._sql.erase_all_clears, number).rowcount
            answers = connection.execute(self._sql.erase_answers, number).rowcount
            answers += connection.execute(self._sql.erase_question_answers, number).rowcount
            connection.execute(self._sql.erase_escalations, number)
            connection.execute(self._sql.erase_said, number)
            done["pages"] = connection.execute(self._sql.erase_pages, number).rowcount
            done["answers"] = answers
            done["questions"] = connection.execute(self._sql.erase_questions, number).rowcount
        self._store.erase_log()
        return done

    def _erase_marks(
        self, connection: Connection, phone_number: str, without: Callable[[bytes, str], bytes]
    ) -> int:
        changed = []
        for row in connection.execute(self._sql.all_marks).mappings():
            marks = without(bytes(row["marks"]), phone_number)
            if marks != bytes(row["marks"]):
                changed.append({**row, "marks": marks})
        self._sql.put_recipients(connection, changed)
        return len(changed)

    def _letters(self, connection: Connection, phone_number: str) -> list[Row]:
        """Find the dead letters that name a number, however they write it."""
        digits = re.sub(r"\D", "", phone_number)[-_COMPARED:]
        pattern = re.compile(_BETWEEN.join(digits))
        letters = map(dict, connection.execute(self._sql.letters).mappings())
        return [letter for letter in letters if any(map(pattern.search, _texts(letter)))]

    @staticmethod
    def _rows(connection: Connection, statement: Any, phone_number: str) -> list[Row]:
        return [dict(row) for row in connection.execute(statement, {"number": phone_number}).mappings()]


def _texts(letter: Row) -> Iterator[str]:
    """Yield the texts of a dead letter: raw, without the zero bytes of UTF-16, and as it is parsed."""
    body = bytes(letter["body"])
    yield _digits_of(body.decode("latin-1"))
    yield _digits_of(body.replace(b"\0", b"").decode("utf-8", "replace"))
    yield _digits_of(letter["query"])
    call = CallbackRequest(
        method=letter["method"], query=letter["query"], body=body, content_type=letter["content_type"]
    )
    with contextlib.suppress(InvalidCallbackError):
        yield _digits_of(str(read_callback(call)))


def _digits_of(text: str) -> str:
    """Return a text without escapes, all its digits as ASCII."""
    return _OTHER_DIGIT.sub(lambda found: str(unicodedata.digit(found[0])), unescaped(text))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("at", "received_at", "since") and value is not None:
            plain[name] = iso_time(value)
        elif isinstance(value, (bytes, memoryview)):
            plain[name] = bytes(value).decode("utf-8", "backslashreplace")
        elif name not in ("seq", "digest"):
            plain[name] = value
    return plain
