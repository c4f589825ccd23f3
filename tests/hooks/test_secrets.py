"""Whatever goes wrong, the key, the login, the number and the text show up nowhere."""

from __future__ import annotations

import html
import json
import logging
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
from airflow_provider_voicepartner.gateways.model import Recipient
from airflow_provider_voicepartner.gateways.wire import ApiRequest
from airflow_provider_voicepartner.hooks.registry import gateway_names, hook_class
from tests.support.frames import PACKAGE
from tests.support.leaks import Net, leaks, listening, spellings
from tests.support.sends import NUMBER, SENDS, TEXT
from tests.support.servers import (
    Behaviour,
    CountingServer,
    FakeTime,
    answer,
    close_after_reading,
    close_before_reading,
    close_in_the_answer,
    counting_server,
    never_answer,
)

KEYS = ["planted-key-4711", "pl+nt/ed=key&x%41", "pl\"nt'ed<key>\\~!*()"]
LOGINS = ["planted-login@example.org", "pl+nt/ed&login%41@example.org"]
NUMBER_IN_ANY_FORM = ("99887766", "9 98 87 76", "99.88.77.66")

SHAPES: dict[str, Callable[[str], str]] = {
    "json": lambda said: json.dumps({"success": False, "code": 12, "message": said}),
    "fields": lambda said: json.dumps(
        {
            "success": False,
            "errors": [{"elementId": said, "message": said, "code": said, "phoneNumber": NUMBER}],
        }
    ),
    "nested": lambda said: json.dumps(
        {"code": said, "error": {"a": {"code": said, "message": [said]}}, said: said}
    ),
    "success": lambda said: json.dumps({"success": True, "message": said}),
    "list": lambda said: json.dumps([said]),
    "truncated": lambda said: json.dumps({"success": False, "message": said})[:-3],
    "html": lambda said: f"<html><body>{html.escape(said)}</body></html>",
    "text": lambda said: said,
}


# What a body says matters most where the status leaves it open.
ECHOED = {
    status: SHAPES if status in (200, 400, 500) else ("nested", "html")
    for status in (200, 400, 401, 402, 403, 404, 429, 500)
}


def echo(status: int, shape: str, key: str, login: str) -> Behaviour:
    """Answer with the text that was sent, the secrets in all spellings, and the whole request, head and body."""

    def behave(server: CountingServer, connection: socket.socket) -> None:
        request = server.read(connection).decode("utf-8", "replace")
        secrets = [key, login, NUMBER, *sorted(spellings(key)), *sorted(spellings(login)), request]
        # Only the beginning is quoted in an error, so each request gets another one.
        said = " ".join([TEXT] * (TEXT in request) + secrets[len(server.received) % 3 :])
        body = SHAPES[shape](said).encode()
        head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + body)

    return behave


def echo_in_headers(key: str, login: str) -> Behaviour:
    def behave(server: CountingServer, connection: socket.socket) -> None:
        line = server.read(connection).split(b"\r\n")[0]
        secrets = f"{key} {login} {NUMBER}".encode()
        connection.sendall(
            b"HTTP/1.1 500 " + secrets + b"\r\nX-Echo: " + line + b" " + secrets + b"\r\nbroken " + secrets
            + b"\r\nSet-Cookie: k=" + secrets + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        )  # fmt: skip

    return behave


def no_http(key: str, login: str) -> Behaviour:
    def behave(server: CountingServer, connection: socket.socket) -> None:
        connection.sendall(server.read(connection) + f"{key} {login}\r\n\r\n".encode())

    return behave


def redirect(status: int, key: str, login: str) -> Behaviour:
    def behave(server: CountingServer, connection: socket.socket) -> None:
        path = server.read(connection).split(b" ")[1].decode()
        said = f"{path}?{key}&{login}"
        answer_to(connection, status, f"Location: http://127.0.0.1:9{said}\r\n", said)

    return behave


def answer_to(connection: socket.socket, status: int, headers: str, body: str) -> None:
    raw = body.encode()
    head = f"HTTP/1.1 {status} Moved\r\n{headers}Content-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + raw)


SCENARIOS: dict[str, Callable[[str, str], Behaviour]] = {
    "closed before reading": lambda key, login: close_before_reading,
    "closed after reading": lambda key, login: close_after_reading,
    "closed in the answer": lambda key, login: close_in_the_answer,
    "no answer": lambda key, login: never_answer,
    "no http": no_http,
    "broken headers": echo_in_headers,
    "broken length": lambda key, login: answer(200, key + login, Content_Encoding="gzip"),
    **{
        f"redirect {status}": (lambda key, login, s=status: redirect(s, key, login))
        for status in (301, 302, 307)
    },
    **{
        f"{status} {shape}": (lambda key, login, s=status, h=shape: echo(s, h, key, login))
        for status, shapes in ECHOED.items()
        for shape in shapes
    },
}

Operation = Callable[[Any], object]


def operations(conn_type: str) -> dict[str, Operation]:
    found: dict[str, Operation] = {
        "balance": lambda hook: hook.get_balance(),
        "cancel": lambda hook: hook.cancel_campaign("8123456", kind="sms" if conn_type != "voicepartner" else "tts"),
        "run": lambda hook: hook.run(
            ApiRequest(
                endpoint="mine", method="POST", path="mine/{api_key}", safe_to_repeat=False, body={"text": TEXT},
                private=(TEXT,),
            )
        ),
        "connection test": lambda hook: hook.test_connection(),
    }  # fmt: skip
    for send in SENDS:
        if send.conn_type == conn_type:
            found[send.name] = lambda hook, send=send: send.by_method(hook, NUMBER)
            found[f"{send.name} batch"] = lambda hook, send=send: hook.send_batch(
                send.message, [Recipient(NUMBER)], reference="k3v9x0q2w7ha"
            )
    if conn_type == "smspartner":
        found["statuses"] = lambda hook: hook.get_message_status("8123456", NUMBER)
        found["stop"] = lambda hook: hook.add_stop(NUMBER)
    return found


def attempt(net: Net, operation: Operation, conn_type: str, conn_id: str) -> BaseException | None:
    hook = hook_class(conn_type)(conn_id)
    try:
        hook.sender.sleep = FakeTime().sleep
        net.add(operation(hook))
    except Exception as error:
        net.add_error(error)
        return error
    finally:
        hook.close()
        net.add(hook)
    return None


def assert_nothing_shows(net: Net, key: str, login: str) -> None:
    text = net.text()
    assert leaks(text, (key, login, TEXT)) == set()
    assert [form for form in NUMBER_IN_ANY_FORM if form in text] == []
    assert leaks(net.variables(), (key, login)) == set()  # numbers and texts are the caller's arguments


@pytest.mark.sampled(44)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("conn_type", gateway_names())
def test_no_answer_makes_a_secret_show(
    conn_type: str, scenario: str, set_connection: Callable[..., str], capfd: pytest.CaptureFixture[str]
) -> None:
    every = list(zip(KEYS, LOGINS + LOGINS[:1], strict=True))
    plantings = (
        every if scenario in ("broken headers", "redirect 302", "400 json", "500 html") else every[1:2]
    )
    for key, login in plantings:
        with counting_server(SCENARIOS[scenario](key, login)) as server, listening(capfd) as net:
            set_connection(
                conn_type,
                "mine",
                host=server.url,
                password=key,
                login=login,
                extra={"read_timeout": 0.1 if scenario == "no answer" else 5},
            )
            errors = {
                name: attempt(net, operation, conn_type, "mine")
                for name, operation in operations(conn_type).items()
            }
        failed = [error for error in errors.values() if error is not None]
        assert len(failed) >= len(errors) / 2  # run() gives answers back, and the connection test tells
        assert {type(error) for error in failed if not isinstance(error, VoicePartnerProviderError)} == set()
        assert [error for error in failed if error.__cause__ or error.__context__] == []
        assert server.received or scenario == "closed before reading"
        assert_nothing_shows(net, key, login)


NOWHERE: dict[str, dict[str, Any]] = {
    "connection refused": {"host": "http://127.0.0.1:1"},
    "unknown host": {"host": "https://no-such-host.invalid"},
    "no tls": {"host": "https://127.0.0.1:1"},
    "bad port": {"host": "http://127.0.0.1:99999"},
    "plain http": {"host": "http://api.example.org"},
    "key in the host": {"host": "https://{key}@api.example.org/?{login}"},
    "key as the host": {"host": "{key}"},
    "key as the port's host": {"host": "http://127.0.0.1:{key}"},
    "key in the schema": {"schema": "{key}"},
    "key in extra": {"extra": "{key} {login}"},
    "key as a timeout": {"extra": {"read_timeout": "{key} {login}"}},
    "key with a line break": {"password": "{key}\n{key}"},
    "login with a line break": {"login": "{login}\n{login}"},
    "another type": {"conn_type": "http"},
}


@pytest.mark.sampled(14)
@pytest.mark.parametrize("scenario", NOWHERE)
@pytest.mark.parametrize("conn_type", gateway_names())
def test_no_bad_connection_makes_a_secret_show(
    conn_type: str, scenario: str, set_connection: Callable[..., str], capfd: pytest.CaptureFixture[str]
) -> None:
    for key, login in zip(KEYS, LOGINS + LOGINS[:1], strict=True):

        def planted(value: Any, key: str = key, login: str = login) -> Any:
            if isinstance(value, dict):
                return {name: planted(inner) for name, inner in value.items()}
            return value.replace("{key}", key).replace("{login}", login)

        fields = {"host": "http://127.0.0.1:1", "conn_type": conn_type, "password": key, "login": login}
        fields |= planted(NOWHERE[scenario])
        chosen = list(operations(conn_type).values())
        if scenario in ("unknown host", "key as the host"):
            chosen = chosen[:1]  # looking up takes its time
        with listening(capfd) as net:
            set_connection(fields.pop("conn_type"), "mine", **fields)
            errors = [attempt(net, operation, conn_type, "mine") for operation in chosen]
        failed = [error for error in errors if error is not None]
        assert len(failed) >= len(errors) - 1
        assert {type(error) for error in failed if not isinstance(error, VoicePartnerProviderError)} == set()
        assert_nothing_shows(net, key, login)


@pytest.mark.parametrize("conn_type", gateway_names())
def test_bad_arguments_do_not_show(conn_type: str, sandbox: Any, capfd: pytest.CaptureFixture[str]) -> None:
    bad: list[Operation] = []
    for send in SENDS:
        if send.conn_type == conn_type:
            bad += [
                lambda hook, send=send: send.by_method(hook, f"{NUMBER}, {NUMBER}x"),
                lambda hook, send=send: send.by_method(hook, [{"phone": NUMBER, "text": TEXT}]),
                lambda hook, send=send: hook.send_batch(send.message, [], reference=TEXT),
                lambda hook, send=send: hook.send_batch(
                    send.message, [Recipient(f"{NUMBER}x")], reference="k3v9x0q2w7ha"
                ),
            ]
    with listening(capfd) as net:
        errors = [attempt(net, operation, conn_type, f"{conn_type}_default") for operation in bad]
    assert None not in errors
    assert_nothing_shows(net, "planted-key", "planted-login")
    assert sandbox.world.requests.total == 0


def test_the_net_holds(capfd: pytest.CaptureFixture[str]) -> None:
    """Would the tests above notice? A leak of each sort, each in another spelling."""
    key = KEYS[1]
    urllib3, ours = (
        logging.getLogger("urllib3.util.retry.child"),
        logging.getLogger("airflow_provider_voicepartner.x"),
    )
    for number, spelling in enumerate(sorted(spellings(key))):
        for way in (
            lambda said: urllib3.debug("GET %s", said),
            lambda said: ours.debug(said),
            lambda said: print(said),
            lambda said: print(said, file=sys.stderr),
        ):
            with listening(capfd) as net:
                way(f"{number} {spelling}")
            assert leaks(net.text(), [key])
    with listening(capfd) as net:
        try:
            try:
                raise ValueError(key)
            except ValueError:
                raise VoicePartnerProviderError("clean")  # noqa: B904 - the chain is what is tested
        except VoicePartnerProviderError as error:
            net.add_error(error)
    assert leaks(net.text(), [key])


def _closing_over(value: object) -> Callable[[], object]:
    return lambda: value


def test_the_net_looks_into_frames(capfd: pytest.CaptureFixture[str]) -> None:
    """Would it notice an object of ours that shows a key, in a frame of an error behind the one that is raised?"""
    key = KEYS[0]

    class Careless:
        def __repr__(self) -> str:
            return f"Careless({key})"

    Careless.__module__ = f"{PACKAGE}.hooks"

    def fail(held: object) -> None:
        raise ValueError("clean")

    for held in (
        Careless(),
        [Careless()],
        {"a": (Careless(),)},
        partial(print, Careless()),
        _closing_over(Careless()),
    ):
        with listening(capfd) as net:
            try:
                try:
                    fail(held)
                except ValueError:
                    raise VoicePartnerProviderError("clean")  # noqa: B904 - the chain is what is tested
            except VoicePartnerProviderError as error:
                net.add_error(error)
        assert leaks(net.text(), [key]), held
