"""What docs/try-on-call.md shows: its contacts, its DAGs' callbacks and its answers, against the sandbox."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_voicepartner.__main__ import main
from airflow_provider_voicepartner.delivery.tokens import PREFIX
from airflow_provider_voicepartner.hooks.answer_pages import answer_routes
from airflow_provider_voicepartner.hooks.paging import Pager
from airflow_provider_voicepartner.settings import open_receiver_store, open_store
from tests.support.docs import read
from tests.support.gateways import sent
from tests.support.receiver import SECRET, running_receiver

ANNE = "+33612345601"
PAGE = read("docs/try-on-call.md")

pytestmark = pytest.mark.airflow3


def block(language: str) -> str:
    """Return the first block of the page in a language."""
    found = re.search(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return textwrap.dedent(found.group(1))


@pytest.fixture
def dags(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store_url: str
) -> Iterator[dict[str, Any]]:
    """Return the page's DAGs by name, with its contacts, while a receiver listens."""
    (tmp_path / "contacts.toml").write_text(block("toml"), encoding="utf-8")
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(tmp_path / "contacts.toml"))
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CALLBACK_SECRET", SECRET)
    with running_receiver(store_url, routes=answer_routes(open_receiver_store, PREFIX)) as receiver:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__PUBLIC_URL", receiver.url)
        (tmp_path / "try_on_call.py").write_text(block("python"), encoding="utf-8")
        from airflow.sdk import DAG

        made: dict[str, Any] = {}
        code = compile(block("python"), str(tmp_path / "try_on_call.py"), "exec")
        names: dict[str, Any] = {"__name__": "try_on_call", "__file__": str(tmp_path / "try_on_call.py")}
        ended = DAG.__exit__

        def remember(dag: Any, *error: Any) -> Any:
            made[dag.dag_id] = dag
            return ended(dag, *error)

        monkeypatch.setattr(DAG, "__exit__", remember)
        exec(code, names)
        yield made


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


def fail(dag: Any, task: str, *, run: str = "r1", index: int = -1) -> None:
    """Call the failure callbacks of a task."""
    ti = SimpleNamespace(
        dag_id=dag.dag_id, task_id=task, run_id=run, try_number=1, map_index=index, state="failed"
    )
    operator = dag.get_task(task)
    callbacks = (
        getattr(operator, "on_failure_callback", None) or operator.partial_kwargs["on_failure_callback"]
    )
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        callback({"ti": ti, "run_id": run, "dag": dag, "exception": ValueError("no rows")})


def succeed(dag: Any, run: str) -> None:
    """Call the success callbacks of a DAG."""
    callbacks = dag.on_success_callback
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        callback({"dag": dag, "run_id": run, "reason": "success"})


def texts(sandbox: Any) -> list[str]:
    """Return what was sent to Anne, newest first."""
    url = f"{sandbox.url}/_sandbox/messages?number=%2B33612345601"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return [message["text"] for message in reversed(json.load(answer)["messages"])]


def run_once() -> None:
    """Look once, as ``on_call`` does every two seconds."""
    store = open_store("a test")
    try:
        Pager(store).run_due()
    finally:
        store.close()


def incident(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    main(["incident", *words])
    return capsys.readouterr().out


def test_a_page_is_answered_by_sms_link_and_shell(
    dags: dict[str, Any], sandbox: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    nightly = dags["nightly"]
    fail(nightly, "load")
    [text] = texts(sandbox)
    assert text.startswith(
        "nightly.load failed: ValueError: no rows. Reply 1 to take it, 2 to pass it on. http"
    )
    body = json.dumps({"gateway": "smspartner", "number": ANNE, "text": "1"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{sandbox.url}/_sandbox/inbound", body, headers)
    urllib.request.urlopen(request, timeout=10).close()
    sandbox.wait_for_callbacks()
    run_once()
    assert "1  acknowledged" in incident(capsys, "show", "1")
    assert "owner: anne" in incident(capsys, "show", "1")
    assert "You have it" in texts(sandbox)[0]
    succeed(nightly, "r2")
    assert incident(capsys, "list") == "There is no open incident.\n"

    fail(nightly, "load", run="r3")
    link = next(text for text in texts(sandbox) if "Reply 1" in text).split()[-1]
    with urllib.request.urlopen(link, timeout=10) as page:
        assert b'value="ack' in page.read()
    assert "2  open" in incident(capsys, "show", "2")
    press(link)
    run_once()
    assert "owner: anne" in incident(capsys, "show", "2")
    incident(capsys, "close", "2")

    fail(nightly, "load", run="r4")
    assert incident(capsys, "ack", "3", "--as", "bruno").endswith("incident 3: bruno has it\n")
    assert incident(capsys, "close", "3").endswith("incident 3: closed\n")


def press(link: str) -> None:
    """Press the first button of a page."""
    with urllib.request.urlopen(link, timeout=10) as page:
        found = re.search(rb'name="(action)" value="([^"]+)"', page.read())
    assert found
    host, path = link.removeprefix("http://").split("/", 1)
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request(
        "POST", f"/{path}", b"=".join(found.groups()), {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert connection.getresponse().status in (200, 303)
    connection.close()


def test_a_storm_is_one_message_then_clear_then_silent(
    dags: dict[str, Any], sandbox: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    storm = dags["storm"]
    for index in range(50):
        fail(storm, "part", index=index)
    assert sent(sandbox, "smspartner") == {ANNE: 1}
    assert "50 alerts" in incident(capsys, "list")
    succeed(storm, "r2")
    assert "all clear" in texts(sandbox)[0]
    main(["silence", "add", "--match", "dag_id=storm", "--for", "1h", "--comment", "I know"])
    for index in range(3):
        fail(storm, "part", run="r3", index=index)
    assert sent(sandbox, "smspartner") == {ANNE: 2}
    main(["silence", "end", "1"])


def test_every_command_of_the_page_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.__main__.runner", lambda _: lambda _: None)
    blocks = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))
    commands = re.findall(r"airflow voicepartner ([^#\n]+)", blocks)
    assert len(commands) > 8
    for command in commands:
        main(shlex.split(command))
