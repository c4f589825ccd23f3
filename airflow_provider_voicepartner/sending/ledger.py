"""The ledger: what is known of every batch of a task, written before it leaves and after the answer."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from airflow_provider_voicepartner.constants import MOST_SEND_AGAIN_MARKS
from airflow_provider_voicepartner.exceptions import ConfigurationError
from airflow_provider_voicepartner.sending.records import (
    Attempt,
    BatchRecord,
    Memory,
    Phase,
    Plan,
    Recollection,
    unreadable,
)

log = logging.getLogger(__name__)

OnUnknown = Literal["fail", "assume_sent", "resend_unlisted", "resend"]


SHARE_A_STORE = (
    "To avoid this in future, let all workers share a store: set [voicepartner] store_url, with several machines to "
    "PostgreSQL"
)


@dataclass(frozen=True, slots=True)
class Try:
    """
    Which try of a task instance this is, as Airflow tells it.

    :param number: Airflow's ``try_number``; never believed alone, since it may be 0 and may repeat.
    :param is_resumed: the task goes on after a wait in the triggerer, and was at work in this very try before.
    """

    number: int
    is_resumed: bool = False

    def since(self, first: int) -> frozenset[int]:
        """Return the tries before this, from a first one on."""
        return frozenset(range(first, self.number + self.is_resumed))


def _mark_of(send_again: str | None) -> str | None:
    """Shorten the user's text, which may be as long as they like."""
    return None if send_again is None else hashlib.sha256(send_again.encode()).hexdigest()[:16]


def _marks(mark: str | None, before: Plan | None) -> str | None:
    """Put the mark of a text before those of a plan; each appears once."""
    known = before.send_again.split(",") if before and before.send_again else []
    marks = list(dict.fromkeys([*([mark] if mark else []), *known]))
    return ",".join(marks[:MOST_SEND_AGAIN_MARKS]) or None


class Ledger:
    """
    The records of one task instance's batches, in every memory that this attempt has. Used by one thread.

    Of two records of a batch the one of the higher rank counts, and one memory is enough to know of it. A claim counts
    when every memory has accepted it.

    :param memories: what outlives the attempt, in the order of writing: first the one that refuses the claims of an
        attempt that was replaced. None where there is nothing, and then nothing is durable.
    :param this: which try this is.
    :param is_complete: one of the memories certainly knows every claim that was ever made (Airflow 3.3's task state,
        which neither a retry nor a clearing empties); else the tries that left no trace may have sent anything.
    :param store: the identity of the store among the memories; None where there is none.
    :param ask_others: called before anything is written, for an instance of a mapped task: raises where another
        instance may have sent to somebody on its list. None for any other task.
    """

    def __init__(
        self,
        memories: Sequence[Memory],
        this: Try,
        *,
        is_complete: bool = False,
        store: str | None = None,
        ask_others: Callable[[], None] | None = None,
    ) -> None:
        self._memories = tuple(memories)
        self._this = this
        self._is_complete = is_complete
        self._store = store
        self.ask_others = ask_others
        self.attempt = 1
        self.is_open = False
        """True once :meth:`open` has found nothing against it."""
        self.is_of_this_account = False
        """True where the campaign was begun with the same key of the same account, once it is open."""
        self._step = 0
        self._recalled: tuple[Recollection, ...] = ()
        self._plan: Plan | None = None
        self._records: dict[int, BatchRecord] = {}
        self._missing: frozenset[int] = frozenset()
        self._tries: frozenset[int] = frozenset()

    @property
    def is_durable(self) -> bool:
        """True when a later attempt will find what this one wrote."""
        return bool(self._memories)

    @property
    def has_store(self) -> bool:
        """True when our store is among the memories."""
        return self._store is not None

    @property
    def is_blind(self) -> bool:
        """True when tries before this one may have sent what no memory knows of."""
        return bool(self._missing)

    @property
    def is_overtaken(self) -> bool:
        """
        True when a try without a trace came after one that is known.

        It may have sent again, under references of its own, what that one had claimed: so a gateway that does not know
        the old reference proves nothing.
        """
        return bool(self._missing and self._tries) and max(self._missing) > min(self._tries)

    @property
    def other_stores(self) -> frozenset[str]:
        """The stores that earlier attempts wrote to and this one does not: on other machines."""
        return frozenset().union(*(known.stores for known in self._recalled)) - {self._store}

    def register(self) -> None:
        """
        Write down that this attempt begins, in every memory; called before anything is planned.

        One that dies while it plans has then sent nothing, and that is known.
        """
        number, recalled = 1, list[Recollection]()
        # The last one first: whoever fails after it is known at least there. Each reads when it has registered.
        for memory in reversed(self._memories):
            number = max(number, memory.register(Attempt(number, self._this.number, self._store)))
            recalled.insert(0, memory.recall())
        self._recalled = tuple(recalled)
        tries = self._tries = frozenset().union(*(known.tries for known in recalled))
        self._plan = self._newest_plan()
        self._records = self._joined()
        # Memories may count differently; what is written now must be further than all that was written before.
        self.attempt = max([number, *(record.attempt + 1 for record in self._records.values())])
        first = self._plan.since if self._plan else min(1, self._this.number)
        self._missing = frozenset() if self._is_complete else self._this.since(first) - tries
        self._log_memories()

    def _newest_plan(self) -> Plan | None:
        plans = [known.plan for known in self._recalled if known.plan is not None]
        return max(plans, key=lambda plan: plan.generation, default=None)

    def _joined(self) -> dict[int, BatchRecord]:
        """Join what the memories know of the newest generation."""
        records: dict[int, BatchRecord] = {}
        for known in self._recalled:
            if self._plan is None or known.plan is None or known.plan.generation != self._plan.generation:
                continue
            for position, record in known.records.items():
                other = records.get(position)
                if other is None or record.rank > other.rank:
                    records[position] = record
        return records

    def _log_memories(self) -> None:
        """Log which memories there are, and whether they agree."""
        names = " and ".join(memory.name for memory in self._memories) or "nothing that outlives this attempt"
        behind = [
            f"{memory.name} was behind in {count} batches"
            for memory, known in zip(self._memories, self._recalled, strict=True)
            if (count := len(self._unknown_to(known)))
        ]
        agree = "" if len(self._memories) < 2 else f"; {'; '.join(behind) or 'they agree'}"
        log.info(
            "Attempt %d at this campaign (Airflow's try %d); the ledger is in %s%s",
            self.attempt, self._this.number, names, agree,
        )  # fmt: skip
        if self._missing:
            log.warning("%s", self.why_blind())

    def why_blind(self) -> str:
        """Say of which tries nothing is known, and how to avoid that."""
        tries = ", ".join(map(str, sorted(self._missing)))
        return (
            f"try {tries} of this task left no trace where this one looks (it ran on a machine that does not share the "
            f"store, died before it began, or its state was discarded), so what it sent is unknown. {SHARE_A_STORE}"
        )

    def people_by_name(self, send_again: str | None) -> Mapping[str, Sequence[str]]:
        """
        Return whom the names of groups and rotas meant when this campaign was begun.

        Nothing, so that they mean whoever it is now, where provably nobody was sent anything, or everything is to be
        sent again.

        :param send_again: as :meth:`open` gets it.
        :raises ConfigurationError: somebody changed the record by hand into something unreadable.
        """
        mark = _mark_of(send_again)
        if (
            self._plan is None
            or not self.may_have_sent
            or (mark is not None and not self._plan.has_used(mark))
        ):
            return {}
        return self._plan.people_by_name()

    def open(
        self,
        fingerprint: str,
        batches: int,
        *,
        send_again: str | None = None,
        account: bytes | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """
        Begin, or continue where an earlier attempt stopped.

        :param fingerprint: of what this attempt would send.
        :param batches: how many batches that are.
        :param send_again: begin anew, once, if this campaign never had that text.
        :param account: the account's own key, for hashes; tells whether a look-up asks where earlier attempts sent.
        :param names: whom the names of groups and rotas mean in what this attempt would send.
        :raises ConfigurationError: when an earlier attempt sent, or may have sent, something else: a shifted list would
            otherwise send to some recipients twice and to others never.
        """
        mark = _mark_of(send_again)
        begins = self._begins_anew(fingerprint, batches, mark)
        if self.ask_others is not None:
            self.ask_others()
        # Only now, when nobody refuses any more: it cannot be taken back.
        if begins:
            before = self._plan
            self._plan = Plan.of(
                fingerprint,
                batches=batches,
                generation=before.generation + 1 if before else 1,
                send_again=_marks(mark, before),
                # The first try that may know of the generation that begins now.
                since=min(self._missing, default=self._this.number),
                account=account,
                names=names,
            )
            self._records = {}  # The plan travels with the first claim.
        else:
            self._catch_up()
        self.is_of_this_account = account is not None and self._plan is not None and self._plan.is_of(account)
        self.is_open = True

    def _begins_anew(self, fingerprint: str, batches: int, mark: str | None) -> bool:
        """Compare what is to be sent with what is recorded."""
        if self._plan is None:
            return True
        if mark is not None and not self._plan.has_used(mark):
            self._announce()
            return True
        if mark is not None and not str(self._plan.send_again).startswith(mark):
            log.warning(
                "send_again: this text has already sent everything again once, so this attempt only sends what is "
                "left. To send everything again, give a text that this task never had in this run"
            )
        plans = (known.plan for known in self._recalled)
        same = [plan for plan in plans if plan and plan.generation == self._plan.generation]
        if all(plan.is_about(fingerprint, batches) for plan in same):
            return False
        self._refuse_changed_input()
        return True

    def _sent(self) -> list[BatchRecord]:
        """Return the records of batches that were sent, or may have been."""
        return [record for record in self._records.values() if not record.reached_nobody]

    def _refuse_changed_input(self) -> None:
        sent = len(self._sent())
        if sent and self._plan:
            raise ConfigurationError(
                f"what this task would send has changed since an earlier attempt sent {sent} of {self._plan.batches} "
                "batches (recipients, text or time differ; a template of the present time does that, and a number "
                "that was changed in the contacts). Nothing was "
                f"sent now. Restore the earlier input to continue, or {self._way_to_the_new_input}"
            )

    @property
    def _way_to_the_new_input(self) -> str:
        give = "give send_again a text that it did not have before, to send everything of the new input"
        if self.ask_others is None:
            return give
        # With send_again, too, a list is refused if another instance had one of its recipients.
        return (
            "start a new run to send everything. If only the text or the time differs, and the same recipients are to "
            f"be messaged again, {give}"
        )

    def _announce(self) -> None:
        """Log what a changed ``send_again`` sends again; refuse a text that changes by itself."""
        if self._this.is_resumed:
            raise ConfigurationError(
                "send_again: has changed while the task waited for the rate limit, as a template of the present time "
                "does; everything would be sent again after each wait. Nothing was sent now. Give it a fixed text, and "
                "clear the task"
            )
        sent = self._sent()
        if sent and self._plan:
            log.warning(
                "send_again is new: %d of %d batches that earlier attempts sent are sent again; %d of them were in "
                "doubt",
                len(sent), self._plan.batches, sum(record.phase.is_in_doubt for record in sent),
            )  # fmt: skip
        # Whatever was sent by tries that left no trace: the user wants it sent again. But one that came after all that
        # are known may have had this very text, and have sent everything again itself.
        last = max(self._tries, default=0)
        self._missing = frozenset(number for number in self._missing if number > last)

    def _unknown_to(self, known: Recollection) -> dict[int, BatchRecord]:
        """Return the records that a memory does not have, or not as far."""
        is_old = self._plan is None or known.plan is None or known.plan.generation < self._plan.generation
        theirs: Mapping[int, BatchRecord] = {} if is_old else known.records
        return {
            position: record
            for position, record in self._records.items()
            if position not in theirs or theirs[position].rank < record.rank
        }

    def _catch_up(self) -> None:
        """Let each memory know what the others know, and the plan."""
        assert self._plan is not None
        for memory, known in zip(self._memories, self._recalled, strict=True):
            missing = self._unknown_to(known)
            if missing or known.plan != self._plan:
                memory.write(missing, self._plan)

    def find(self, position: int, size: int) -> BatchRecord | None:
        """
        Return what is known of a batch; None when it was never claimed.

        :param position: from 0.
        :param size: recipients in it.
        """
        record = self._records.get(position)
        # A refusal that is known here may be older than what a try without a trace sent.
        if self._missing and (record is None or record.phase is Phase.REFUSED):
            return BatchRecord(phase=Phase.CLAIMED, reference="", size=size)
        return record

    def known(self) -> Iterator[tuple[int, BatchRecord]]:
        """Return what this attempt and earlier ones wrote, by position; nothing where there is no record."""
        return iter(sorted(self._records.items()))

    @property
    def may_have_sent(self) -> bool:
        """True unless provably nobody was sent anything."""
        return bool(self._missing or self._sent())

    def write(self, records: Mapping[int, BatchRecord]) -> None:
        """
        Write records durably, in one go for each memory.

        What one memory refuses is written to the others all the same: what has left must be recorded somewhere.

        :raises Exception: whatever a memory raises when it did not take them, or this attempt may no longer write; it
            must then stop.
        """
        if self._plan is None:
            raise unreadable("records before their plan")
        self._step += 1
        stamped = {
            position: replace(record, attempt=self.attempt, step=self._step)
            for position, record in records.items()
        }
        failure: Exception | None = None
        for memory in self._memories:
            try:
                if stamped:
                    memory.write(stamped, self._plan)
            except Exception as error:
                failure = failure or error
                # A claim that did not count is recorded nowhere; its batch did not leave.
                stamped = {at: record for at, record in stamped.items() if record.phase is not Phase.CLAIMED}
        self._records |= stamped
        if failure is not None:
            raise failure
