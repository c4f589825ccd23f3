"""
What became of a campaign, for whoever waits: ask the gateway where it can be asked, and look into the store.

The sensor, the operators that wait and the trigger all wait through this, so that all mean the same by "complete".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_voicepartner.delivery.completion import AwaitedBatch, Progress
from airflow_provider_voicepartner.exceptions import (
    ConfigurationError,
    DeliveryFailedError,
    DeliveryUnconfirmedError,
    RejectedError,
    RetryableNotSentError,
    SendOutcomeUnknownError,
    VoicePartnerProviderError,
)
from airflow_provider_voicepartner.gateways.errors import ErrorKind
from airflow_provider_voicepartner.hooks.callbacks import can_report, reports_by_batch, why_not
from airflow_provider_voicepartner.hooks.registry import hook_class, hook_for
from airflow_provider_voicepartner.hooks.stores import open_delivery_store
from airflow_provider_voicepartner.sending.arguments import literals, read_choice
from airflow_provider_voicepartner.sending.report import CampaignReport, SentBatch

if TYPE_CHECKING:
    from airflow_provider_voicepartner.delivery.arrivals import CampaignKey
    from airflow_provider_voicepartner.delivery.store import DeliveryStore, KnownCampaign
    from airflow_provider_voicepartner.gateways.model import DeliveryReport
    from airflow_provider_voicepartner.hooks.base import GatewayHook

log = logging.getLogger(__name__)

OnUnconfirmed = Literal["fail", "succeed"]

NOT_FOUND_GRACE: Final = 300.0
UNLISTED_GRACE: Final = 3600.0
UNCONFIRMED_AFTER: Final[Mapping[str, float]] = {
    "sms": 72 * 3600.0,
    "tts": 24 * 3600.0,
    "voicemail": 24 * 3600.0,
}
"""Seconds: an SMS waits for its handset for two days, a call is over when it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionOptions:
    """
    What one who waits may choose.

    :param conn_id: another connection than the report's.
    :param min_delivery_rate: fail when a smaller share than this (0 to 1) of the accepted recipients got it.
    :param fail_fast: fail as soon as ``min_delivery_rate`` can no longer be reached.
    :param report_path: path or URI of a CSV file to write one line a recipient to, once complete.
    :param on_unconfirmed: ``fail`` when anybody is unconfirmed in the end, or ``succeed``.
    :param unconfirmed_after: seconds after sending from which those of whom nothing was told are unconfirmed; None is
        72 hours for SMS, 24 for calls and voicemail.
    :param not_found_grace: seconds after sending during which the gateway may not know the campaign yet.
    :param unlisted_grace: seconds after sending from which recipients whom a gateway does not list, while all that it
        lists are final, are unconfirmed.
    """

    conn_id: str | None = None
    min_delivery_rate: float | None = None
    fail_fast: bool = False
    report_path: str | None = None
    on_unconfirmed: OnUnconfirmed = "fail"
    unconfirmed_after: float | None = None
    not_found_grace: float = NOT_FOUND_GRACE
    unlisted_grace: float = UNLISTED_GRACE

    @classmethod
    def read(
        cls, *, min_delivery_rate: Any = None, on_unconfirmed: Any = "fail", **others: Any
    ) -> CompletionOptions:
        """
        Read what a user gave, texts from templates included.

        :raises ConfigurationError: naming the argument and the fix.
        """
        read: dict[str, Any] = {
            name: _read_seconds(name, value) if name in _SECONDS and value is not None else value
            for name, value in others.items()
        }
        read["min_delivery_rate"] = _read_rate(min_delivery_rate)
        read["on_unconfirmed"] = read_choice("on_unconfirmed", on_unconfirmed, literals(OnUnconfirmed))
        return cls(**read)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, for a trigger."""
        return asdict(self)


_SECONDS: Final = frozenset({"unconfirmed_after", "not_found_grace", "unlisted_grace"})


def _read_rate(value: Any) -> float | None:
    if value in (None, "", "None"):
        return None
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ConfigurationError(f"min_delivery_rate: {value!r} is not a share from 0 to 1, such as 0.95")
    return rate


def _read_seconds(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"{name}: {value!r} is not a number of seconds, such as 3600")
    return seconds


def _read_kind(value: Any) -> ErrorKind:
    return next((kind for kind in ErrorKind if kind.value == value), ErrorKind.REJECTED)


def check_that_anybody_tells(hook: type[GatewayHook]) -> None:
    """
    Make sure that a gateway can be asked, or can call us.

    :raises DeliveryUnconfirmedError: it only calls a URL, and there is none.
    """
    if not hook.polls_delivery and not can_report(hook.conn_type):
        raise DeliveryUnconfirmedError(
            f"{hook.gateway.LABEL} tells delivery results only by calling a URL, and {why_not()}; without one, nobody "
            "can know more than that it accepted a campaign"
        )


class CampaignWatch:
    """
    Waits for one campaign. Used by one thread at a time.

    :param report: of the campaign.
    :param options: of whoever waits.
    :param hook: where the connection was looked up already (triggers).
    :param store: where somebody has opened it already.
    :param now: Unix seconds, injected by tests; None is the hook's clock.
    """

    def __init__(
        self,
        report: CampaignReport,
        options: CompletionOptions,
        *,
        hook: GatewayHook | None = None,
        store: DeliveryStore | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.report = report
        self.options = options
        self._now = now
        if hook is not None:
            self.hook = hook
        if store is not None:
            self.store = store
        self._owns_hook, self._owns_store = hook is None, store is None
        self.settled: set[str] = set()

    @cached_property
    def hook(self) -> GatewayHook:
        """The gateway's hook."""
        conn_id = self.options.conn_id or self.report.conn_id
        return hook_for(conn_id, kind=self.report.kind, who="CampaignCompletionSensor")

    @cached_property
    def store(self) -> DeliveryStore:
        """Where reports are kept."""
        return open_delivery_store()

    @cached_property
    def batches(self) -> tuple[AwaitedBatch, ...]:
        """What is waited for."""
        return tuple(
            AwaitedBatch(
                gateway=self.report.gateway,
                reference=batch.reference,
                gateway_id=batch.gateway_id,
                accepted=batch.accepted,
            )
            for batch in self.report.batches
        )

    @property
    def keys(self) -> tuple[CampaignKey, ...]:
        """Under which names reports about the campaign are kept."""
        return tuple(key for batch in self.batches for key in batch.keys)

    @cached_property
    def since(self) -> float:
        """When reports may begin to come, in Unix seconds: when it was sent, or is to be sent."""
        moments = [
            datetime.fromisoformat(text) for text in (self.report.sent_at, self.report.scheduled_for) if text
        ]
        return max((moment.timestamp() for moment in moments), default=0.0)

    @property
    def unconfirmed_at(self) -> float:
        """From when on whoever is left is unconfirmed, in Unix seconds."""
        after = self.options.unconfirmed_after
        return self.since + (UNCONFIRMED_AFTER[self.report.kind] if after is None else after)

    @property
    def asks(self) -> bool:
        """True where the gateway can be asked."""
        return hook_class(self.report.gateway).polls_delivery

    def now(self) -> float:
        """Return the present in Unix seconds."""
        return self._now() if self._now is not None else self.hook.sender.now().timestamp()

    def check(self) -> None:
        """
        Make sure that anybody can ever tell what became of the campaign.

        :raises ConfigurationError: the connection is of another gateway.
        :raises DeliveryUnconfirmedError: the gateway only calls a URL, and there is none.
        """
        self.report.check_gateway(self.hook.conn_type)
        check_that_anybody_tells(type(self.hook))

    def look(self) -> Progress:
        """
        Ask the gateway once, where it can be asked, and say how far the campaign is.

        A scheduled campaign is not asked about before its time. A gateway that cannot be reached, or does not know the
        campaign yet, leaves its recipients pending.

        :raises RejectedError: the gateway refuses to tell.
        :raises StoreUnavailableError: the store cannot be used.
        """
        self.ask()
        return self.progress(self.known())

    def known(self) -> Mapping[CampaignKey, KnownCampaign]:
        """Return what the store knows of it."""
        from airflow_provider_voicepartner.delivery.store import FROM_NOW

        return self.store.changes(since=FROM_NOW, also=self.keys).campaigns

    def progress(self, known: Mapping[CampaignKey, KnownCampaign]) -> Progress:
        """Decide from what is known how far it is."""
        return Progress.of_batches(
            self.batches,
            known,
            settled=self.settled | self._nameless,
            is_over=self.now() >= self.unconfirmed_at,
        )

    def ask(self, known: Mapping[CampaignKey, KnownCampaign] | None = None) -> None:
        """
        Ask the gateway about every batch that is not complete, and keep what it tells in the store.

        :param known: what is known already; None looks into the store.
        :raises RejectedError: the gateway refuses to tell.
        :raises StoreUnavailableError: the store cannot be used.
        """
        age = self.now() - self.since
        if age < 0 or not self.asks:
            return
        known = self.known() if known is None else known
        for sent, batch in zip(self.report.batches, self.batches, strict=True):
            if batch.reference in self.settled or batch.is_complete(known):
                continue
            told = self._ask(sent, tolerate_not_found=age < self.options.not_found_grace)
            if told is None:
                if sent.tag is not None or not can_report(self.report.gateway):
                    self.settled.add(batch.reference)
                continue
            self._keep(batch, told)
            if age >= self.options.unlisted_grace and told and all(one.status.is_terminal for one in told):
                # SMS Partner leaves out people on its STOP list without a word, and never lists them.
                self.settled.add(batch.reference)

    @cached_property
    def _nameless(self) -> frozenset[str]:
        """Batches that neither a question nor a call can name: Octopush's, when the answer with the id was lost."""
        if self.asks or reports_by_batch(self.report.gateway):
            return frozenset()
        return frozenset(batch.reference for batch in self.batches if batch.gateway_id is None)

    def _keep(self, batch: AwaitedBatch, told: Sequence[DeliveryReport]) -> None:
        from airflow_provider_voicepartner.delivery.arrivals import Arrival

        if told and batch.keys:
            now = time.time()
            self.store.write([Arrival(key=batch.keys[0], event=report, received_at=now) for report in told])

    def _ask(self, batch: SentBatch, *, tolerate_not_found: bool) -> Sequence[DeliveryReport] | None:
        """Ask about one batch; None when the gateway will never tell about it."""
        name = batch.gateway_id or batch.tag
        try:
            if batch.gateway_id is not None:
                return self.hook.poll_delivery(batch.gateway_id)
            return self.hook.poll_by_tag(batch.tag) if batch.tag is not None else None
        except RetryableNotSentError as error:
            log.warning("Could not ask now, will ask again: %s", error)
            return ()
        except SendOutcomeUnknownError:
            # The hook's word for an answer that cannot be read. This was a question, so it may be asked again.
            log.warning("The answer about %s cannot be read, will ask again", name)
            return ()
        except RejectedError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            if tolerate_not_found:
                log.info("The gateway does not know %s yet", name)
                return ()
            if batch.state == "assumed_sent":
                log.warning("The gateway does not know %s, which was only assumed sent", name)
                return None
            raise

    def is_hopeless(self, progress: Progress) -> bool:
        """Say whether waiting on makes no sense, because the demanded rate can no longer be reached."""
        rate = self.options.min_delivery_rate
        return self.options.fail_fast and rate is not None and progress.best_possible_rate < rate

    def judge(self, progress: Progress) -> dict[str, Any] | None:
        """
        Say what it all comes to.

        :returns: the counts by status with ``expected`` and ``delivery_rate``; None while it is not complete.
        :raises DeliveryFailedError: fewer got it than ``min_delivery_rate`` demands.
        :raises DeliveryUnconfirmedError: somebody is unconfirmed, and ``on_unconfirmed`` is ``fail``.
        """
        rate = self.options.min_delivery_rate
        if not progress.is_complete:
            if rate is not None and self.is_hopeless(progress):
                self._fail(progress, rate)
            return None
        self._write_file()
        self._tell_everybody(progress)
        if rate is not None and progress.delivery_rate < rate:
            self._fail(progress, rate)
        if progress.unconfirmed and self.options.on_unconfirmed == "fail":
            raise DeliveryUnconfirmedError(
                f"on_unconfirmed: nobody told what became of {progress.unconfirmed} recipients: {progress}; use "
                "on_unconfirmed='succeed' where that is good enough"
            )
        return progress.to_json()

    def judge_event(self, event: Any) -> dict[str, Any]:
        """
        Say what an event of :class:`~airflow_provider_voicepartner.triggers.campaign.CampaignCompletionTrigger` means.

        :returns: as :meth:`judge` does.
        :raises ValueError: for any other event.
        :raises RejectedError: the gateway refused to tell.
        :raises VoicePartnerProviderError: the wait had to be given up.
        """
        status = event.get("status") if isinstance(event, Mapping) else None
        if status in ("complete", "hopeless"):
            progress = Progress.from_json(event.get("progress"))
            if self.asks and self.options.report_path and progress.is_complete:
                self.ask()  # The triggerer's store may be another machine's file.
            result = self.judge(progress)
            if result is not None:
                return result
        elif status == "rejected":
            raise RejectedError(
                str(event.get("message")), code=event.get("code"), kind=_read_kind(event.get("kind"))
            )
        elif status == "error":
            raise VoicePartnerProviderError(f"the wait was given up: {event.get('message')}")
        raise ValueError(f"unexpected trigger event with status {status!r}")

    @staticmethod
    def _fail(progress: Progress, rate: float) -> None:
        raise DeliveryFailedError(
            f"min_delivery_rate: {rate:.2%} demanded, {progress.delivery_rate:.2%} reached: {progress}"
        )

    def _write_file(self) -> None:
        if self.options.report_path:
            from airflow_provider_voicepartner.hooks.storage import write_delivery_reports

            # One without a number says that a whole batch was cancelled.
            people = [report for report in self.store.reports(self.keys) if report.phone_number]
            write_delivery_reports(self.options.report_path, people)

    def _tell_everybody(self, progress: Progress) -> None:
        """Leave an event for whoever waits for the end of campaigns. What it is about has been decided without it."""
        from airflow_provider_voicepartner.delivery.arrivals import Completion
        from airflow_provider_voicepartner.store.engine import StoreUnavailableError

        counts = {status.value: count for status, count in progress.counts.items()}
        try:
            self.store.write(
                [Completion(key=self.keys[0], at=time.time(), counts=counts)] if self.keys else []
            )
        except StoreUnavailableError as error:
            log.warning("That the campaign is complete could not be noted: %s", error)

    def close(self) -> None:
        """Close what was opened here."""
        if self._owns_hook and "hook" in self.__dict__:
            self.hook.close()
        if self._owns_store and "store" in self.__dict__:
            self.store.close()
