"""
Runs the escalations of a store: takes answers, pages who is due, tells the others; any number of processes may.

Whoever claims a step in the store sends it, so two runners never both page. Answers are read before each claim.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from airflow_provider_voicepartner.constants import (
    ALERT_QUESTION_TIMEOUT,
    ANSWERS_LOOK_BACK,
    HELD_FOR_CONNECTION,
    LINK_LIFETIME,
    MOST_TURNS_A_RUN,
)
from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.policy import By, Policy
from airflow_provider_voicepartner.contacts.targets import (
    Target,
    last_resort_targets,
    numbers_of,
    targets_of,
)
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.db.transactions import Store
from airflow_provider_voicepartner.delivery.events import SummaryReader
from airflow_provider_voicepartner.delivery.inbound import PRESSED_KEYS, REPLY
from airflow_provider_voicepartner.delivery.store import DeliveryStore, StoredEvent
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.gateways.info import GatewayInfo
from airflow_provider_voicepartner.hooks.callbacks import callback_config
from airflow_provider_voicepartner.hooks.complaints import Complaints
from airflow_provider_voicepartner.hooks.contacts import KnownContacts, contacts_within, policy_of
from airflow_provider_voicepartner.hooks.page_sending import (
    KnownWays,
    MakeHook,
    SentPage,
    hook_of_way,
    send_pages,
)
from airflow_provider_voicepartner.hooks.page_texts import Ways
from airflow_provider_voicepartner.incidents.acting import Answered, Answers, PhoneAnswer, digest_of
from airflow_provider_voicepartner.incidents.answers import (
    NOT_UNDERSTOOD,
    Channel,
    read_keys,
    read_text,
)
from airflow_provider_voicepartner.incidents.cursors import Cursors
from airflow_provider_voicepartner.incidents.escalation import (
    Action,
    Became,
    Purpose,
    advance,
    begin,
    record,
)
from airflow_provider_voicepartner.incidents.links import PageLink, PageLinks
from airflow_provider_voicepartner.incidents.pages import ClaimedPage, PagedIncident, PageStore
from airflow_provider_voicepartner.incidents.retelling import lost_messages, tell_again
from airflow_provider_voicepartner.incidents.titles import Words
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.settings import callback_secrets

log = logging.getLogger(__name__)

Result = TypeVar("Result")

LINK_PATH: Final = "/a"
"""Of the pages at which people answer, below the receiver's own path."""

_CURSOR: Final = "answers"


@dataclass(frozen=True, slots=True)
class Run:
    """
    What one look did.

    :param pages: messages that were sent or may have been.
    :param answers: answers that were applied.
    :param next_due: seconds until the next step, 0 if it is late; None where no escalation is under way.
    """

    pages: int = 0
    answers: int = 0
    next_due: float | None = None


class Pager:
    """
    Runs escalations. May be used by one thread at a time.

    :param store: of ``[voicepartner] store_url``.
    :param contacts: reads the contacts in bounded time.
    :param make_hook: makes the hook of a connection for a way of paging.
    """

    def __init__(
        self,
        store: Store,
        *,
        contacts: Callable[[], KnownContacts] = lambda: contacts_within(ALERT_QUESTION_TIMEOUT),
        make_hook: MakeHook = hook_of_way,
    ) -> None:
        self.pages = PageStore(store, new_reference=new_reference)
        self.answers = Answers(store, self.pages)
        self._store, self._contacts, self._ways = store, contacts, KnownWays(make_hook)
        self._events, self._delivery = SummaryReader(store), DeliveryStore(store)
        self._cursors = Cursors(store)
        self._directory: Directory | None = None
        self._was_read = False
        self._unstored: list[SentPage] = []
        self._complaints = Complaints()

    def run_due(self, *, incident: int | None = None) -> Run:
        """
        Take new answers, then do all that is due.

        :param incident: only this one; None for all.
        :raises StoreUnavailableError: nothing was claimed that was not sent; try again.
        """
        self._was_read = False
        self._ways.forget()
        self._store_results()
        if incident is None:
            self._tell_again()
        for number, at, person in self.pages.expire():
            log.error(
                "incident %d: page %d to %s was claimed, and its sender never said what became of it: it may have "
                "arrived, and is not sent again. The next step goes on",
                number, at, person,
            )  # fmt: skip
        answered = self.take_answers()
        self._start_unstarted()
        sent, turns = 0, 0
        done = set[int]()
        while turns < MOST_TURNS_A_RUN:
            due = [one for one in self.pages.due() if incident in (None, one) and one not in done]
            if not due:
                break
            for one in due:
                turns += 1
                # Sending to others may have taken a while, and somebody may have this one by now.
                answered += self.take_answers()
                found = self._guarded(f"incident {one}", partial(self._turn, one))
                sent += found or 0
                if found is None:
                    done.add(one)
        next_due = self.pages.next_due()
        return Run(sent, answered, None if next_due is None else max(0.0, next_due))

    def _guarded(self, what: str, work: Callable[[], Result]) -> Result | None:
        """Keep one that cannot be read from stopping all others; None where it failed, which is logged."""
        try:
            return work()
        except StoreUnavailableError:
            raise
        except Exception as error:  # not its text: a driver's may hold values
            self._complaints.say(f"{what} cannot be worked on: {type(error).__name__}")
        return None

    def _turn(self, incident: int) -> int | None:
        """Do what is due for an incident; None where nothing can be done about it now."""
        directory = self._known()
        if directory is None:
            return None
        ways, late = self.pages.next_ways(incident)
        missing = (
            self._ways.look_up(ways, within=ALERT_QUESTION_TIMEOUT) if late < HELD_FOR_CONNECTION else ""
        )
        if missing:
            # Claimed, each page would be late, and its step lost to the next one, which is done at once.
            self._complaints.say(
                f"incident {incident}: its next step waits for the connection {missing!r}, which was not given within "
                f"{ALERT_QUESTION_TIMEOUT:g} s"
            )
            return None
        claimed = self.pages.take_turn(incident, self._resolve)
        return self.send(claimed)

    def _tell_again(self) -> None:
        """Tell people again what certainly did not reach them, or what its sender died over."""
        claimed = list[ClaimedPage]()
        for row in self._guarded("what people are told again", partial(lost_messages, self._store)) or ():
            claim = partial(tell_again, self._store, self.pages, row, self.numbers)
            claimed += self._guarded(f"incident {row.incident}", claim) or ()
        self.send(claimed)

    def _start_unstarted(self) -> None:
        """Begin escalations whose notifier died before it could."""
        for incident, name, is_urgent in self.pages.unstarted():
            policy = self.policy(name)
            if policy is not None and self.pages.start(incident, policy, is_urgent=is_urgent):
                log.info("incident %d: its escalation begins", incident)

    def policy(self, name: str) -> Policy | None:
        """Return a policy, or the last resort in its place, which is logged; None where nobody can be paged."""
        directory = self._known()
        if directory is None:
            return None
        found, problem = policy_of(directory, name)
        if problem:
            self._complaints.say(problem)
        return found

    def _known(self) -> Directory | None:
        """Return the contacts, read once in each look."""
        if not self._was_read:
            known = self._contacts()
            for problem in known.problems:
                self._complaints.say(problem)
            self._directory, self._was_read = known.directory, True
        return self._directory

    def _resolve(self, names: Sequence[str], by: By, is_last_resort: bool, now: float) -> Sequence[Target]:
        directory = self._known()
        if directory is None:
            return ()
        if is_last_resort:
            found = last_resort_targets(directory, names, by.kind)
        else:
            found = targets_of(directory, names, by.kind, datetime.fromtimestamp(now, UTC))
        for problem in found.problems:
            log.error("%s", problem)
        if not found.reached:
            log.error(
                "Nobody can be paged by %s: %s", by.value, ", ".join(names) or "there is no last resort"
            )
        return found.reached

    def numbers(self, people: Sequence[str]) -> Sequence[Target]:
        """Return the numbers of people for text messages, as far as the contacts know them."""
        directory = self._known()
        return () if directory is None else numbers_of(directory, people, "sms")

    # Answers

    def take_answers(self) -> int:
        """Apply replies and pressed keys that came since the last look; return how many changed or said something."""
        applied, since = 0, self._cursors.get(_CURSOR)
        if since is None:
            with self._store.read() as connection:
                now = self._store.now(connection)
            since = self._events.last_received(now - ANSWERS_LOOK_BACK)
        while page := self._events.after(since):
            wanted = [one.id for one in page if one.kind in (REPLY, PRESSED_KEYS)]
            for event in self._delivery.events_by_id(wanted):
                applied += self._guarded(f"event {event.id}", partial(self._take, event)) or False
            since = page[-1].id
            # Behind the answers: what a death leaves unread is read again, and its digest is known.
            self._cursors.move(_CURSOR, since)
        return applied

    def _take(self, event: StoredEvent) -> bool:
        if not event.phone_number or event.part > 1:
            return False
        is_call = event.kind == PRESSED_KEYS
        read = read_keys(event.text) if is_call else read_text(event.text)
        campaign = "" if event.key is None else event.key.campaign
        kind, _, name = campaign.partition(":")
        answer = PhoneAnswer(
            digest=digest_of("event", event.id),
            channel=Channel.CALL if is_call else Channel.SMS,
            phone_number=event.phone_number,
            read=read if event.parts <= 1 else NOT_UNDERSTOOD,
            gateway=event.gateway,
            reference=name if kind == "ref" else None,
            gateway_id=name if kind == "id" else None,
        )
        return self._conclude(self.answers.by_phone(answer, self.numbers))

    def act(
        self, incident: int, action: Action, who: str, channel: Channel, *, digest: str
    ) -> Answered | None:
        """
        Apply what somebody asks for who was recognised otherwise, and tell the others.

        :returns: None where there is no such incident with an escalation.
        """
        done = self.answers.by_name(incident, action, who, channel, self.numbers, digest=digest)
        self._conclude(done)
        return done

    def _conclude(self, done: Answered | None) -> bool:
        if done is None:
            return False
        log.info("incident %d: %s answered: %s", done.incident, done.person, done.outcome)
        self.send(done.pages)
        return True

    # Sending

    def send(self, pages: Sequence[ClaimedPage]) -> int:
        """
        Send what this process has claimed, and store what became of it; return how many may have arrived.

        :raises StoreUnavailableError: all were dealt with, and the next look stores what became of the rest.
        """
        sent, problem = 0, ""

        def done(result: SentPage) -> None:
            nonlocal sent, problem
            sent += result.became is not Became.NOT_SENT
            self._note(result)
            try:
                self._record(result)
            except StoreUnavailableError as error:
                # The others that were claimed with it still have to leave.
                self._unstored.append(result)
                problem = str(error)

        if pages:
            send_pages(
                pages,
                still_wanted=self.pages.still_wanted,
                ways=self.ways,
                done=done,
                make_hook=self._ways.hook,
            )
        if problem:
            raise StoreUnavailableError(problem)
        return sent

    def _record(self, result: SentPage) -> None:
        self.pages.record(result.claimed, result.became, gateway=result.gateway, gateway_id=result.gateway_id)

    def _store_results(self) -> None:
        """Store what became of pages while the store was away: one that was not sent brings the next step forward."""
        while self._unstored:
            self._record(self._unstored[0])
            del self._unstored[0]

    @staticmethod
    def _note(result: SentPage) -> None:
        page = result.claimed.page
        what = "page" if page.purpose is Purpose.PAGE else "message"
        head = (
            f"incident {result.claimed.incident.id}: {what} {page.number} to {page.person} by {page.by.value}"
        )
        if result.became is Became.SENT:
            log.info("%s was accepted as %s, through %s", head, result.gateway_id, page.conn_id)
        elif result.became is Became.IN_DOUBT:
            log.error("%s may have arrived, nobody knows: %s. It is not sent again", head, result.why)
        else:
            log.error("%s was not sent: %s", head, result.why)

    def ways(self, claimed: ClaimedPage, info: GatewayInfo) -> Ways:
        """Tell how somebody can answer a page."""
        config = callback_config()
        if config is None or not claimed.incident.id:
            return Ways()
        by_phone = claimed.page.by.kind in info.answer_options and info.reports != "never"
        token = PageLinks(callback_secrets()).make(
            PageLink(claimed.incident.id, claimed.page.number), expires=claimed.claimed_at + LINK_LIFETIME
        )
        return Ways(by_phone=by_phone, link=f"{config.public_url}{PREFIX}{LINK_PATH}/{token}")


def page_once(
    policy: Policy,
    directory: Directory,
    title: str,
    *,
    words: Words | None = None,
    make_hook: MakeHook = hook_of_way,
) -> int:
    """
    Page the first step of a policy without a store; a step that reaches nobody is followed by the next.

    :param title: what broke.
    :param words: the same in French, and as it is spoken.
    :returns: pages that were sent, or may have been.
    """
    state, sent = begin(policy, 0.0), 0
    incident = PagedIncident(id=0, title=title, link="", code=None, alerts=1, words=words or Words())
    now = datetime.now(UTC)

    def resolve(names: Sequence[str], by: By, is_last_resort: bool) -> Sequence[Target]:
        if is_last_resort:
            return last_resort_targets(directory, names, by.kind).reached
        return targets_of(directory, names, by.kind, now).reached

    def done(result: SentPage) -> None:
        nonlocal sent
        sent += result.became is not Became.NOT_SENT
        Pager._note(result)

    for _ in range(len(policy.steps) + 1):
        turn = advance(state, 0.0, resolve)
        state = turn.state
        pages = [
            ClaimedPage(
                incident=incident, page=page, claim="", reference=new_reference(), claimed_at=now.timestamp()
            )
            for page in turn.pages
        ]
        send_pages(
            pages,
            still_wanted=lambda claimed: True,
            ways=lambda claimed, info: Ways(),
            done=done,
            make_hook=make_hook,
        )
        if sent:
            break
        for page in turn.pages:
            state = record(state, page.number, Became.NOT_SENT, 0.0)
    return sent
