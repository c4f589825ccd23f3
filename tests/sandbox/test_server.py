from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import requests

from airflow_provider_voicepartner.sandbox import Sandbox, running_sandbox
from airflow_provider_voicepartner.sandbox.deliverer import is_loopback

from .conftest import KEY, Api, Receiver

MODULE = [sys.executable, "-m", "airflow_provider_voicepartner.sandbox"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [*MODULE, "--port", "0", "--speed", "1000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield started
    started.kill()
    started.wait()
    for pipe in (started.stdout, started.stderr):
        if pipe is not None:
            pipe.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(process: subprocess.Popen[str], number: int) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.split()[3]
    body = {"apiKey": KEY, "phoneNumbers": "+33600000001", "message": "Hello"}
    requests.post(f"{url}/_sandbox/faults", json={"kind": "timeout"}, timeout=5)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(f"{url}/smspartner/v1/send", json=body, timeout=0.1)
    requests.post(f"{url}/_sandbox/faults", json={"kind": "drop_after"}, timeout=5)
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(f"{url}/smspartner/v1/send", json=body, timeout=5)
    requests.get(f"{url}/voicepartner/v1/me/a-real-key", timeout=5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "a-real-key" not in errors
    assert "POST /smspartner/v1/send -> no answer (drop_after)" in errors


def test_it_only_listens_on_this_machine() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.org"):
        with pytest.raises(ValueError, match="loopback"):
            Sandbox(host=host)
    failed = subprocess.run(
        [*MODULE, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=30, check=False
    )
    assert failed.returncode == 2
    assert "loopback" in failed.stderr


def test_a_port_that_is_taken(api: Api) -> None:
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=api.sandbox.port)


def test_importing_it_loads_neither_the_server_nor_the_rest_of_the_package() -> None:
    code = (
        "import sys, airflow_provider_voicepartner.sandbox as s;"
        "assert not {'fastapi', 'uvicorn', 'pydantic'} & sys.modules.keys();"
        "s.Sandbox; names = {n for n in sys.modules if n.startswith('airflow')};"
        "ours = {n for n in names if not n.startswith('airflow_provider_voicepartner.sandbox')};"
        "assert ours == {'airflow_provider_voicepartner'}, ours"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_without_fastapi_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "import airflow_provider_voicepartner.sandbox as s\n"
        "try: s.Sandbox\n"
        "except ImportError as e: assert '[sandbox]' in str(e), e\n"
        "else: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_several_clients_at_once_lose_nothing(api: Api) -> None:
    def work(start: int) -> None:
        mine = Api(api.sandbox)
        for number in range(start, start + 20):
            mine.send(phoneNumbers=f"+336{number:08d},+33700000000")
        mine.session.close()

    threads = [threading.Thread(target=work, args=(start * 100,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = api.control("GET", "/counts")["smspartner"]
    assert (counts["campaigns"], counts["numbers"]["+33700000000"]) == (80, 80)


def test_messages_live_by_themselves_at_speed(receiver: Receiver) -> None:
    with running_sandbox(speed=1000, callback_workers=3) as sandbox:
        api = Api(sandbox)
        numbers = ",".join(f"+336{n:08d}" for n in range(50))
        api.send(phoneNumbers=numbers, urlDlr=receiver.url)
        with sandbox.world.lock:
            assert sandbox.world.settled.wait_for(lambda: sandbox.world.delivered == 50, timeout=10)
        api.session.close()
    assert len(receiver.got) == 50


ODD = ['"\\ud800"', "NaN", "1e400", "[[]]", "{}", "true", "-1"]
SENDS = {
    "/smspartner/v1/send": {"phoneNumbers": "+33600000001", "message": "x"},
    "/smspartner/v1/multi-status": {"SMSStatut_List": [{"phoneNumber": "+33600000001", "messageId": 1}]},
    "/voicepartner/v1/tts/send": {"phoneNumbers": "+33600000001", "text": "x", "lang": "fr", "speechRate": 1},
    "/voicepartner/v1/campaign/send": {"phoneNumbers": "+33600000001", "tokenAudio": "a1b2c3d4", "sender": None},
    "/octopush/v1/public/sms-campaign/send": {"text": "x", "recipients": [{"phone_number": "+33600000001"}]},
    "/octopush/v1/public/voice-campaign/send": {
        "text": "x", "recipients": [{"phone_number": "+33600000001"}], "voice_gender": "male",
        "voice_language": "fr-FR",
    },
}  # fmt: skip
OPTIONS = [
    "sender", "tag", "gamme", "isUnicode", "urlDlr", "notifyUrl", "scheduledDate", "scheduledDeliveryDate", "time",
    "minute", "send_at", "request_id", "purpose", "type", "list_name", "emailForNotification",
]  # fmt: skip


@pytest.mark.parametrize("path", SENDS)
@pytest.mark.parametrize("odd", ODD)
def test_odd_values_are_refused_or_taken_but_never_break_it(api: Api, path: str, odd: str) -> None:
    headers = {"api-login": "sandbox@example.org", "api-key": KEY, "Content-Type": "application/json"}
    api.settings(strict=False, voicepartner={"rate_limits": False})
    good = json.dumps({"apiKey": KEY, **SENDS[path]})[:-1]
    for body in [f'{good}, "{name}": {odd}}}' for name in [*SENDS[path], *OPTIONS]] + [odd]:
        answer = api.session.post(api.sandbox.url + path, data=body.encode(), headers=headers, timeout=5)
        assert answer.status_code < 500, (body, answer.text)
    assert api.control("GET", "/messages")["messages"] is not None


def test_stop_can_be_called_twice() -> None:
    with running_sandbox() as sandbox:
        sandbox.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(sandbox.url, timeout=1)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer
