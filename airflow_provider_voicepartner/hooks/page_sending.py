"""
Sends one message of an escalation: it leaves within seconds of a look whether somebody has it, or never.

A page is not repeated: whether another one goes is for the escalation to say, which counts each of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic

from airflow_provider_voicepartner.compat import Connection
from airflow_provider_voicepartner.constants import (
    ALERT_TIMEOUT,
    LEAST_ALERT_WAIT,
    PAGE_LEAVES_WITHIN,
    PAGES_AT_ONCE,
)
from airflow_provider_voicepartner.contacts.languages import VOICE_LANGUAGES, language_of
from airflow_provider_voicepartner.contacts.policy import By
from airflow_provider_voicepartner.exceptions import NotSentError, VoicePartnerProviderError
from airflow_provider_voicepartner.gateways.info import GatewayInfo
from airflow_provider_voicepartner.gateways.model import Message, SmsMessage, VoiceMessage
from airflow_provider_voicepartner.hooks.alert import NOT_SENT_ERRORS, AlertRelease, send_alert
from airflow_provider_voicepartner.hooks.aside import Aside
from airflow_provider_voicepartner.hooks.base import GatewayHook
from airflow_provider_voicepartner.hooks.page_texts import Ways, sms_text, spoken_page
from airflow_provider_voicepartner.hooks.registry import hook_for, hook_of
from airflow_provider_voicepartner.incidents.escalation import Became
from airflow_provider_voicepartner.incidents.pages import ClaimedPage

log = logging.getLogger(__name__)

FindWays = Callable[[ClaimedPage, GatewayInfo], Ways]
"""Tells how somebody can answer a page that a gateway brings."""


MakeHook = Callable[[str, By], GatewayHook]
"""Makes the hook of a connection for a way of paging."""


def hook_of_way(conn_id: str, by: By) -> GatewayHook:
    """Look up a connection and return its hook; errors as of ``hook_for``."""
    return hook_for(conn_id, kind=by.kind, who="an escalation")


class KnownWays:
    """
    Connections that are looked up before a step is claimed: a page that waits for one afterwards is late, and lost.

    :param make_hook: makes the hook of a connection for a way of paging.
    """

    def __init__(self, make_hook: MakeHook) -> None:
        self._make_hook = make_hook
        self._found: dict[tuple[str, By], Connection] = {}
        self._late = set[tuple[str, By]]()

    def forget(self) -> None:
        """Forget what was looked up, which may have changed."""
        self._found, self._late = {}, set()

    def look_up(self, ways: Collection[tuple[str, By]], *, within: float) -> str:
        """
        Look connections up in bounded time.

        :param within: seconds for each.
        :returns: a connection, where none of them was given in time; else empty: one that cannot be used is known too.
        """
        for way in sorted(set(ways) - self._found.keys() - self._late):
            if not Aside(partial(self._look_up, *way), name="look-up").is_over(within):
                # Waited for once: other incidents wait for the same one.
                self._late.add(way)
        late = sorted(self._late & set(ways))
        return late[0][0] if late and len(late) == len(ways) else ""

    def _look_up(self, conn_id: str, by: By) -> None:
        # What is wrong with it is met again by the page, which says why it was not sent.
        with suppress(Exception):
            hook = self._make_hook(conn_id, by)
            self._found[conn_id, by] = hook.connection
            hook.close()

    def hook(self, conn_id: str, by: By) -> GatewayHook:
        """Make a hook; errors as of ``make_hook``."""
        known = self._found.get((conn_id, by))
        if known is None:
            return self._make_hook(conn_id, by)
        return hook_of(known, kind=by.kind, who="an escalation")


@dataclass(frozen=True, slots=True)
class SentPage:
    """
    What became of a message.

    :param gateway: that took it.
    :param gateway_id: its id of the batch.
    :param why: it was not sent, or is in doubt; holds no number.
    """

    claimed: ClaimedPage
    became: Became
    gateway: str | None = None
    gateway_id: str | None = None
    why: str = ""


class _PageRelease(AlertRelease):
    """
    Releases a page only if it is still wanted and not late.

    :param wanted: says whether nobody has the incident.
    :param until: on the clock of ``monotonic``.
    """

    def __init__(self, wanted: Callable[[], bool], until: float) -> None:
        super().__init__()
        self._wanted, self._until = wanted, until

    def leave(self) -> None:
        """Release it; errors as in the base class."""
        if not self._wanted():
            raise NotSentError("somebody has the incident, or it was closed")
        if monotonic() > self._until:
            raise NotSentError("the page is late, and somebody may have answered meanwhile")
        super().leave()


def send_pages(
    pages: Sequence[ClaimedPage],
    *,
    still_wanted: Callable[[ClaimedPage], bool],
    ways: FindWays,
    done: Callable[[SentPage], object],
    make_hook: MakeHook,
) -> None:
    """
    Send messages side by side; each takes 20 s at most.

    :param still_wanted: asked right before one leaves.
    :param ways: how it can be answered.
    :param done: is given each result as soon as it is known, in this thread.
    :param make_hook: makes the hook of a connection.
    """
    for start in range(0, len(pages), PAGES_AT_ONCE):
        _send_together(
            pages[start : start + PAGES_AT_ONCE],
            still_wanted,
            partial(_sent, ways=ways, make_hook=make_hook),
            done,
        )


def _send_together(
    pages: Sequence[ClaimedPage],
    still_wanted: Callable[[ClaimedPage], bool],
    send: Callable[[ClaimedPage, AlertRelease], SentPage],
    done: Callable[[SentPage], object],
) -> None:
    results: SimpleQueue[SentPage] = SimpleQueue()
    begun = monotonic()
    waiting: dict[int, tuple[ClaimedPage, _PageRelease]] = {}
    for place, claimed in enumerate(pages):
        release = _PageRelease(partial(still_wanted, claimed), begun + PAGE_LEAVES_WITHIN)
        waiting[place] = claimed, release
        work = partial(_send_into, results, send, claimed, release)
        Aside(work, name="page")
    left = {id(claimed): place for place, (claimed, _) in waiting.items()}
    while left:
        try:
            result = results.get(timeout=max(LEAST_ALERT_WAIT, begun + ALERT_TIMEOUT - monotonic()))
        except Empty:
            break
        left.pop(id(result.claimed), None)
        done(result)
    for place in left.values():
        claimed, release = waiting[place]
        became = Became.NOT_SENT if release.give_up() else Became.IN_DOUBT
        done(SentPage(claimed, became, why=f"no answer within {ALERT_TIMEOUT:g} s"))


def _send_into(
    results: SimpleQueue[SentPage],
    send: Callable[[ClaimedPage, AlertRelease], SentPage],
    claimed: ClaimedPage,
    release: AlertRelease,
) -> None:
    results.put(send(claimed, release))


def _sent(claimed: ClaimedPage, release: AlertRelease, *, ways: FindWays, make_hook: MakeHook) -> SentPage:
    """Send one message; never raises."""
    page = claimed.page
    try:
        hook = make_hook(page.conn_id, page.by)
        try:
            info = hook.gateway.INFO
            sent = send_alert(
                hook,
                _message(claimed, info, ways(claimed, info)),
                [page.phone_number],
                needs_mobile=page.by is By.SMS,
                release=release,
                attempts=1,
                make_reference=lambda _: claimed.reference,
            )
        finally:
            hook.close()
        if not sent.reached:
            return SentPage(claimed, Became.NOT_SENT, why="the gateway refused the number")
        return SentPage(claimed, Became.SENT, info.name, sent.receipts[0].gateway_id)
    except NOT_SENT_ERRORS as error:
        return SentPage(claimed, Became.NOT_SENT, why=str(error))
    except BaseException as error:  # whatever ends it is no success
        is_ours = isinstance(error, VoicePartnerProviderError)
        became = Became.IN_DOUBT if release.has_left else Became.NOT_SENT
        return SentPage(claimed, became, why=str(error) if is_ours else type(error).__name__)


def _message(claimed: ClaimedPage, info: GatewayInfo, ways: Ways) -> Message:
    options = dict(info.answer_options.get(claimed.page.by.kind, {})) if ways.by_phone else {}
    if claimed.page.by is By.SMS:
        return SmsMessage(text=sms_text(claimed, ways), purpose="alert", options=options)
    return VoiceMessage(
        text=spoken_page(claimed, ways),
        language=VOICE_LANGUAGES[language_of(claimed.page.language)],
        purpose="alert",
        options=options,
    )
