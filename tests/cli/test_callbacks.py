"""``receiver`` and ``callbacks``: starting a receiver, registering its URLs, and finding what is wrong with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.cli.callbacks import masked
from airflow_provider_voicepartner.hooks.callbacks import callback_config
from airflow_provider_voicepartner.hooks.octopush import OctopushHook
from tests.support.receiver import SECRET, Calls, RunningReceiver, running_receiver
from tests.support.servers import Behaviour, answer, counting_server

PROJECT = Path(__file__).resolve().parents[2]


def configure(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in {"callback_secret": SECRET, **options}.items():
        monkeypatch.setenv(f"AIRFLOW__VOICEPARTNER__{name.upper()}", value)


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningReceiver]:
    """Return a receiver that is configured, with the store of this process."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with running_receiver(url) as running:
        configure(monkeypatch, public_url=running.url, store_url=url)
        yield running


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that fails; return the one line that says why."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said
    assert SECRET not in said
    return said


class TestCheck:
    def test_follows_a_probe_into_the_store_and_leaves_nothing(
        self, receiver: RunningReceiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["callbacks", "check"])
        said = capsys.readouterr().out
        assert said.count("ok: ") == 5
        assert said.endswith("Callbacks to this URL arrive.\n")
        assert receiver.stored() == 0
        assert receiver.receiver.counts.of("dead_letters") == 0

    def test_finds_a_wrong_secret(
        self, receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch, callback_secret="the secret of another machine".replace(" ", "-"))
        assert "callback_secret differs from the one here" in fails(capsys, "callbacks", "check")

    def test_finds_another_store(
        self, receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        configure(monkeypatch, store_url=f"sqlite:///{tmp_path / 'another.db'}")
        assert "the receiver writes to another one" in fails(capsys, "callbacks", "check")

    def test_names_what_is_not_configured(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch, callback_secret="")
        assert "public_url and callback_secret are not set" in fails(capsys, "callbacks", "check")

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("https://there-is-no-such-host.invalid", "unknown host name (DNS)"),
            ("http://127.0.0.1:9", "the connection was refused or closed"),
        ],
    )
    def test_names_what_is_wrong_on_the_way(
        self, url: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch, public_url=url)
        assert said in fails(capsys, "callbacks", "check")

    @pytest.mark.slow
    def test_finds_an_invalid_certificate(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with counting_server(answer(200)) as server:
            configure(monkeypatch, public_url=server.url.replace("http:", "https:"))
            told = fails(capsys, "callbacks", "check")
        assert "certificate" in told or "cannot be reached" in told

    @pytest.mark.parametrize(
        ("behaviours", "said"),
        [
            ([answer(404, "<html>nginx</html>")], "Does the proxy pass /voicepartner on"),
            ([answer(302, "", Location="https://elsewhere.example.org")], "a redirect, which gateways do not follow"),
            ([answer(200, "<html>a shop</html>")], "another program answers there"),
            ([answer(503, '{"status": "unavailable"}')], "cannot write to its store"),
            ([answer(200, '{"status": "ok"}'), answer(200, "")], "is answered with 200, not with 404"),
            ([answer(200, '{"status": "ok"}'), answer(404, ""), answer(404, "<html>")], "answers GET with 404"),
            ([answer(200, '{"status": "ok"}'), answer(404, ""), answer(200, "<html>")], "changes its answers"),
            ([answer(200, '{"status": "ok"}'), answer(404, ""), answer(503, "")], "cannot store a report"),
        ],
    )  # fmt: skip
    def test_finds_another_program_in_its_place(
        self,
        behaviours: list[Behaviour],
        said: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        with counting_server(*behaviours) as server:
            configure(monkeypatch, public_url=server.url)
            assert said in fails(capsys, "callbacks", "check")

    @pytest.mark.parametrize(
        ("base_url", "path", "is_named"),
        [
            ("http://localhost:8080/air/flow", "", True), ("http://localhost:8080/air/flow/", "/flow", True),
            ("http://localhost:8080/air/flow", "/air/flow", False), ("http://localhost:8080", "", False),
            ("", "", False), ("http://localhost:8080/", "/hooks", False), ("http://[", "", False),
        ],
    )  # fmt: skip
    def test_names_the_path_of_airflow_itself(
        self, base_url: str, path: str, is_named: bool, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
        with counting_server(answer(404, "<html>Airflow</html>")) as server:
            configure(monkeypatch, public_url=server.url + path)
            told = fails(capsys, "callbacks", "check")
        assert "Does the proxy pass /voicepartner on" in told
        assert ("is at /air/flow/voicepartner: end public_url with /air/flow" in told) is is_named


class TestRegister:
    def test_shows_before_and_after_and_no_token(
        self, sandbox: Any, receiver: RunningReceiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        OctopushHook().edit_campaign_parameters(
            callback_url_for_inbounds="https://crm.example.org/in?key=planted"
        )
        main(["callbacks", "register"])
        said = capsys.readouterr().out
        assert "replies    https://crm.example.org/in?***" in said
        assert said.count(f"{receiver.url}/voicepartner/callbacks/octopush/***") == 3
        config = callback_config()
        assert config is not None
        url = config.for_connection("octopush", "octopush_default")
        after = OctopushHook().get_campaign_parameters()
        assert {
            after.callback_url_for_deliveries, after.callback_url_for_inbounds,
            after.callback_url_for_blacklisted_numbers,
        } == {url}  # fmt: skip
        assert url.rpartition("/")[2] not in said
        assert "planted" not in said

    def test_a_dry_run_changes_nothing(
        self, sandbox: Any, receiver: RunningReceiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["callbacks", "register", "--conn-id", "octopush_default", "--dry-run"])
        assert "Would set all of them to" in capsys.readouterr().out
        assert OctopushHook().get_campaign_parameters().callback_url_for_deliveries is None

    def test_other_gateways_need_none(
        self, sandbox: Any, receiver: RunningReceiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = fails(capsys, "callbacks", "register", "--conn-id", "smspartner_default")
        assert "SMS Partner gets its URL with each batch" in told

    def test_without_an_address_it_says_what_is_missing(
        self, sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch)
        assert "public_url is not set" in fails(capsys, "callbacks", "register")

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            (None, "(none)"), ("", "(none)"), ("https://h.example.org:8443/in", "https://h.example.org:8443/in"),
            ("https://u:planted@h.example.org/in", "https://h.example.org/in"),
            ("https://h.example.org/hook/planted-and-long-enough/x?a=planted", "https://h.example.org/hook/***/x?***"),
            ("https://[planted", "***"),
        ],
    )  # fmt: skip
    def test_possible_secrets_are_not_shown(self, url: str | None, shown: str) -> None:
        assert masked(url) == shown


class TestReceiver:
    def test_runs_until_it_is_told_to_end(self, tmp_path: Path, set_connection: Callable[..., str]) -> None:
        options = {
            "AIRFLOW__VOICEPARTNER__CALLBACK_SECRET": SECRET,
            "AIRFLOW__VOICEPARTNER__STORE_URL": f"sqlite:///{tmp_path / 'store.db'}",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_voicepartner", "receiver", "--port", "0"],
            cwd=PROJECT, env={**os.environ, **options}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Listening on "):
                break
        port = int(lines[-1].split("/voicepartner")[0].rpartition(":")[2])
        calls = Calls(port)
        path = calls.batch_path("voicepartner")
        report = {"status": "delivered", "campaignId": "1", "phoneNumber": "+33699999942"}
        assert calls.post(path, report).status == 200
        assert calls.post(path[:-1], report).status == 404
        process.send_signal(signal.SIGTERM)
        lines.append(process.communicate(timeout=30)[0])
        said = "".join(lines)
        assert "public_url is not set, so gateways get no URL to report to" in said
        assert "Receiver: calls to URLs that are invalid or expired" in said
        for planted in (path.rpartition("/")[2][:20], "+33699999942", SECRET):
            assert planted not in said

    def test_freezes_the_loaded_objects_before_it_runs(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Only the order: what that does would stay so for all tests of this process."""
        done: list[str] = []

        class Server:
            def run(self, sockets: list[socket.socket]) -> None:
                done.append("run")
                for listening in sockets:
                    listening.close()

        delivery = "airflow_provider_voicepartner.delivery"
        monkeypatch.setattr(f"{delivery}.receiver.create_app", lambda *_, **__: done.append("made"))
        monkeypatch.setattr(
            f"{delivery}.receiver_server.freeze_loaded_objects", lambda: done.append("frozen")
        )
        monkeypatch.setattr(f"{delivery}.receiver_server.make_server", lambda *_: Server())
        configure(monkeypatch, store_url=f"sqlite:///{tmp_path / 'store.db'}")
        main(["receiver", "--port", "0"])
        assert done == ["made", "frozen", "run"]

    def test_says_what_is_missing(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch)
        monkeypatch.setattr("airflow_provider_voicepartner.cli.receiver.find_spec", lambda name: None)
        assert "pip install 'airflow-provider-voicepartner[receiver]'" in fails(capsys, "receiver")

    def test_needs_a_secret(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch, callback_secret="")
        assert "callback_secret is not set" in fails(capsys, "receiver")

    @pytest.mark.parametrize("port", ["65536", "-1"])
    def test_says_what_a_port_is(
        self, port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch)
        assert f"port {port}: a port is a number from 0 to 65535" in fails(capsys, "receiver", "--port", port)

    def test_says_that_its_place_is_taken(
        self, receiver: RunningReceiver, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = fails(capsys, "receiver", "--port", str(receiver.port))
        assert f"cannot listen on 127.0.0.1, port {receiver.port}" in told

    def test_says_that_its_store_cannot_be_used(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure(monkeypatch, store_url="mysql://user:planted@host/x")
        told = fails(capsys, "receiver")
        assert "SQLite and PostgreSQL can be used" in told
        assert "planted" not in told.replace(SECRET, "")
