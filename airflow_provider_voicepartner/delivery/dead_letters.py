"""Dead letters: list them, show one, and replay them through the parsers of the installed version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.delivery.admission import QUARANTINED
from airflow_provider_voicepartner.delivery.group_commit import is_about_values
from airflow_provider_voicepartner.delivery.inbound import CampaignKey, InboundRecord, key_in, read_events
from airflow_provider_voicepartner.delivery.statements import Statements
from airflow_provider_voicepartner.delivery.store import DeliveryStore
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.gateway import Gateway
from airflow_provider_voicepartner.gateways.model import CallbackEvent
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

if TYPE_CHECKING:
    from airflow_provider_voicepartner.db.transactions import Store

UNREADABLE: Final = "cannot be read"
UNMATCHED: Final = "names no campaign"
NOT_NAMED: Final = "was not admitted; only a replay by its id acts on it"
NO_CALL: Final = "is not stored as the whole call"
REFUSED: Final = "can be read, but the store refuses its values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """
    One dead letter.

    :param call: as it came.
    :param why: it is one.
    :param received_at: Unix seconds.
    """

    id: int
    gateway: str
    campaign: str | None
    call: CallbackRequest = field(repr=False)
    why: str
    received_at: float

    @property
    def is_quarantined(self) -> bool:
        """True where it could be read, but its URL may not report it."""
        return self.why in QUARANTINED


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """
    The result of replaying a dead letter.

    :param problem: why it is still one; empty where it is stored as the events that it holds.
    """

    letter: Letter
    problem: str = ""


class DeadLetters:
    """
    The dead letters of an open store.

    :param store: of :func:`~airflow_provider_voicepartner.db.engine.open_store`.
    :param gateways: by name: who reads what.
    """

    def __init__(self, store: Store, gateways: Mapping[str, Gateway]) -> None:
        self._store = store
        self._gateways = gateways
        self._sql = Statements(is_postgres=store.is_postgres)

    def all(self) -> list[Letter]:
        """Return them, the oldest first."""
        with self._store.read() as connection:
            return [_letter(dict(row)) for row in connection.execute(self._sql.letters).mappings()]

    def find(self, number: int) -> Letter | None:
        """Return one by its id."""
        return next((letter for letter in self.all() if letter.id == number), None)

    def replay(
        self, letters: Sequence[Letter], *, only_read: bool = False, named: bool = False
    ) -> list[Replay]:
        """
        Read dead letters again; each that can be read is stored as if it had come now, and is then deleted.

        Each is stored before it is deleted: repeating a replay does no harm.

        :param only_read: True stores and deletes nothing.
        :param named: a person named each of them by its id, so that quarantined ones are acted on too.
        """
        return [self._replay(letter, only_read=only_read, named=named) for letter in letters]

    def _replay(self, letter: Letter, *, only_read: bool, named: bool) -> Replay:
        if letter.is_quarantined and not named:
            return Replay(letter=letter, problem=NOT_NAMED)
        records, problem = self._read(letter)
        if problem or only_read:
            return Replay(letter=letter, problem=problem)
        try:
            DeliveryStore(self._store).write(records)
        except Exception as error:
            if not is_about_values(error):
                raise
            return Replay(letter=letter, problem=REFUSED)  # the others are stored all the same
        with self._store.write() as connection:
            connection.execute(self._sql.delete_letter, {"id": letter.id})
        return Replay(letter=letter)

    def _read(self, letter: Letter) -> tuple[list[InboundRecord], str]:
        gateway = self._gateways.get(letter.gateway)
        if gateway is None or not letter.call.method:
            return [], NO_CALL
        try:
            events = read_events(gateway, letter.call)
        except InvalidCallbackError as error:
            return [], f"{UNREADABLE}: {error}"
        except Exception as error:  # as in the receiver: a bug in one parser must not stop the others
            return [], f"{UNREADABLE}: {type(error).__name__}"
        records = [
            InboundRecord(key=_key(letter, event), event=event, received_at=letter.received_at)
            for event in events
        ]
        return records, UNMATCHED if any(record.is_unmatched for record in records) else ""


def _key(letter: Letter, event: CallbackEvent) -> CampaignKey | None:
    if letter.campaign is not None:
        return CampaignKey(letter.gateway, letter.campaign)
    return key_in(event)


def _letter(row: Mapping[str, Any]) -> Letter:
    return Letter(
        id=row["id"],
        gateway=row["gateway"],
        campaign=row["campaign"],
        call=CallbackRequest(
            method=row["method"],
            query=row["query"],
            body=bytes(row["body"]),
            content_type=row["content_type"],
        ),
        why=row["why"],
        received_at=row["received_at"],
    )
