"""The repeat that settles a doubt comes minutes later: it never leaves through a connection forgotten since."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
from airflow_provider_voicepartner.hooks import connected
from airflow_provider_voicepartner.hooks.http_session import new_session
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from airflow_provider_voicepartner.sending.reconcile import OutcomeReconciler, UnknownOutcome, Verdict
from airflow_provider_voicepartner.sending.records import BatchRecord, Evidence, Phase
from tests.support.sends import NUMBER
from tests.support.servers import FakeTime

REFERENCE = "k3v9x0q2w7ha"
MESSAGE = SmsMessage(text="Bonjour")
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"


@dataclass
class Firewall:
    """
    Passes connections on to a gateway; what comes over one that it forgot is answered with a reset.

    :param gateway: host and port.
    """

    gateway: tuple[str, int]
    connections: int = 0
    resets: int = 0
    open: set[int] = field(default_factory=set)
    forgotten: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """Forget every connection there is."""
        self.forgotten |= self.open

    def stop(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = self._socket.accept()
                self.connections += 1
                outside = socket.create_connection(self.gateway)
                self.open.add(self.connections)
                threading.Thread(target=self._pass_on, args=(outside, inside), daemon=True).start()
                threading.Thread(
                    target=self._pass_on, args=(inside, outside, self.connections), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, number: int = 0) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if number in self.forgotten:
                    # As a firewall far away would: its reset comes when the whole request has left.
                    while not data.endswith(b"}"):
                        data += source.recv(65_536)
                    self.resets += 1
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
                target.sendall(data)
            source.close()
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def firewall(sandbox: Any) -> Iterator[Firewall]:
    gateway = urlsplit(sandbox.gateway_url("octopush"))
    firewall = Firewall((str(gateway.hostname), int(gateway.port or 80)))
    yield firewall
    firewall.stop()


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def hook(
    sandbox: Any,
    firewall: Firewall,
    clock: FakeTime,
    set_connection: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> OctopushHook:
    """Return a hook that reaches the sandbox through the firewall."""
    path = urlsplit(sandbox.gateway_url("octopush")).path
    set_connection("octopush", host=f"http://127.0.0.1:{firewall.port}{path}")
    monkeypatch.setattr(connected, "new_session", lambda: new_session(clock=lambda: clock.moment))
    return OctopushHook()


def reconcile(hook: OctopushHook, clock: FakeTime) -> Verdict:
    claim = BatchRecord(phase=Phase.CLAIMED, reference=REFERENCE, size=1, at=clock.now().isoformat())
    [verdict] = OutcomeReconciler(
        transport=hook, message=MESSAGE, send_at=lambda: None, on_unknown="fail", now=clock.now,
        sleep=clock.sleep,
    ).reconcile([UnknownOutcome(index=0, claim=claim, recipients=(Recipient(NUMBER),), why="no answer")])  # fmt: skip
    return verdict


@pytest.mark.parametrize("silence", [30, 240])
@pytest.mark.parametrize(
    ("was_sent", "evidence"), [(False, Evidence.REPEAT_ACCEPTED), (True, Evidence.REPEAT_REFUSED)]
)
def test_it_settles_after_a_silence(
    silence: int,
    was_sent: bool,
    evidence: Evidence,
    hook: OctopushHook,
    firewall: Firewall,
    clock: FakeTime,
    sandbox: Any,
) -> None:
    hook.get_balance()
    if was_sent:
        hook.send_sms(NUMBER, MESSAGE.text, reference=REFERENCE)
    clock.moment += silence
    firewall.forget()
    verdict = reconcile(hook, clock)
    assert verdict.record is not None
    assert verdict.record.evidence is evidence
    assert (firewall.connections, firewall.resets) == (2, 0)
    assert sandbox.world.tallies["octopush"].numbers[NUMBER] == 1


def test_this_firewall_does_reset_what_it_forgot(
    hook: OctopushHook, firewall: Firewall, clock: FakeTime, sandbox: Any
) -> None:
    """So the tests above would fail if the old connection were used: the repeat would settle nothing."""
    hook.get_balance()
    clock.moment += 20
    firewall.forget()
    assert reconcile(hook, clock).record is None
    assert (firewall.connections, firewall.resets) == (1, 1)
    assert sandbox.world.tallies["octopush"].numbers[NUMBER] == 0
