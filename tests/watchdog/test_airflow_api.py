"""What Airflow's own API servers tell: v2 on Airflow 3, v1 on Airflow 2; and what others answer in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.watchdog.airflow_api import RestApi
from airflow_provider_voicepartner.watchdog.config import AirflowAccess, Secrets
from airflow_provider_voicepartner.watchdog.rest import ApiRefusedError, ApiSilentError, RestClient
from tests.support.airflow_api import PASSWORD, USER, RunningApi

LONG_AGO = datetime.now(UTC) - timedelta(days=1)


def api_at(url: str, password: str = PASSWORD, **access: Any) -> RestApi:
    given = AirflowAccess(url=url, user=USER, password_env="X", **access)
    return RestApi(RestClient(given, Secrets(password=password)), given.api)


@pytest.fixture
def api(airflow_api: RunningApi) -> RestApi:
    return api_at(airflow_api.url)


def test_the_version_is_found_out(api: RestApi) -> None:
    from airflow import __version__

    assert api.version == ("v1" if __version__.startswith("2.") else "v2")


def test_health_tells_of_each_part(api: RestApi) -> None:
    signs = api.health()
    assert signs["metadatabase"].is_healthy is True
    assert signs["scheduler"].is_healthy is False  # there is none
    assert signs["triggerer"].is_healthy is None


def test_a_failed_run_and_its_tasks(api: RestApi, airflow_api: RunningApi) -> None:
    (run,) = api.failed_runs(LONG_AGO)
    assert (run.dag_id, run.run_id) == ("etl", airflow_api.run_id)
    assert LONG_AGO.timestamp() < run.ended_at <= datetime.now(UTC).timestamp()
    tasks = api.failed_tasks(LONG_AGO)
    assert sorted(api.failed_tasks_of("etl", airflow_api.run_id), key=str) == sorted(tasks, key=str)
    assert {(one.task_id, one.map_index) for one in tasks} == {("breaks", 0), ("breaks", 1)}
    assert {one.try_number for one in tasks} <= {0, 1}
    assert {one.run_id for one in tasks} == {airflow_api.run_id}


def test_nothing_failed_since_the_end(api: RestApi) -> None:
    assert not api.failed_runs(datetime.now(UTC))
    assert not api.failed_tasks(datetime.now(UTC))


def test_pages_are_put_together(
    api: RestApi, airflow_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.watchdog.airflow_api.WATCH_PAGE", 1)
    assert {one.map_index for one in api.failed_tasks(LONG_AGO)} == {0, 1}
    assert len(api.import_errors()) == 2
    assert set(api.dags_in([airflow_api.file])[airflow_api.file]) == {"etl", "fine"}


def test_import_errors_and_the_dags_of_their_files(api: RestApi, airflow_api: RunningApi) -> None:
    errors = api.import_errors()
    assert {one.error for one in errors} == {"ImportError: no pandas"}
    known = api.dags_in([one.file for one in errors])
    assert {file: set(dags) for file, dags in known.items()} == {airflow_api.file: {"etl", "fine"}}


@pytest.mark.parametrize(
    ("dag_id", "has_succeeded", "expected"),
    [
        ("etl", False, True),
        ("etl", True, False),
        ("fine", True, True),
        ("missing", False, False),
        ("../../x", False, False),
        ("..", False, False),
    ],
)
def test_whether_there_was_a_run(api: RestApi, dag_id: str, has_succeeded: bool, expected: bool) -> None:
    assert api.has_run(dag_id, LONG_AGO, has_succeeded=has_succeeded) is expected
    assert api.has_run(dag_id, datetime.now(UTC), has_succeeded=has_succeeded) is False


def test_a_wrong_password_is_a_refusal_and_is_not_shown(airflow_api: RunningApi) -> None:
    api = api_at(airflow_api.url, "another-planted-password")
    with pytest.raises(ApiRefusedError, match="check user and password") as caught:
        api.failed_runs(LONG_AGO)
    assert caught.value.status in (401, 403)
    assert "planted" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


def test_a_token_that_has_expired_is_replaced(api: RestApi) -> None:
    api.failed_runs(LONG_AGO)
    api._client._token = "stale"
    assert api.failed_runs(LONG_AGO)


@pytest.mark.airflow3
def test_a_given_token_is_used(airflow_api: RunningApi, api: RestApi) -> None:
    api.failed_runs(LONG_AGO)
    access = AirflowAccess(url=airflow_api.url, token_env="X")
    with_token = RestApi(RestClient(access, Secrets(token=api._client._token)))
    assert with_token.failed_runs(LONG_AGO)
    wrong = RestApi(RestClient(access, Secrets(token="planted-token")))
    with pytest.raises(ApiRefusedError, match=r"40[13]"):
        wrong.failed_runs(LONG_AGO)


Serve = Callable[[dict[str, tuple[int, str]]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve answers by path; any other path gets 404."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    running: list[ThreadingHTTPServer] = []

    def start(answers: dict[str, tuple[int, str]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, text = answers.get(self.path.partition("?")[0], (404, "no"))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


V1_HEALTH = "/api/v1/health"
RUNS = "/api/v1/dags/~/dagRuns/list"


def test_nobody_listens() -> None:
    with pytest.raises(ApiSilentError, match="does not answer"):
        api_at("http://127.0.0.1:9").health()


@pytest.mark.parametrize(
    ("status", "text", "error", "said"),
    [
        (500, "{}", ApiSilentError, "answers 500"),
        (503, "{}", ApiSilentError, "answers 503"),
        (302, "", ApiRefusedError, "a redirect"),
        (403, "", ApiRefusedError, "may read DAGs"),
        (400, "", ApiRefusedError, "check url"),
        (200, "<html>planted</html>", ApiRefusedError, "no JSON"),
        (200, "[" * 100_000, ApiRefusedError, "no JSON"),
        (200, "[]", ApiRefusedError, "documents"),
        (200, "{}", ApiRefusedError, "without dag_runs"),
        (200, '{"dag_runs": {}}', ApiRefusedError, "without dag_runs"),
        (200, '{"dag_runs": [1]}', ApiRefusedError, "documents"),
    ],
)
def test_odd_answers(serve: Serve, status: int, text: str, error: type[Exception], said: str) -> None:
    api = api_at(serve({V1_HEALTH: (200, "{}"), RUNS: (status, text)}))
    with pytest.raises(error, match=said) as caught:
        api.failed_runs(LONG_AGO)
    assert "planted" not in str(caught.value)


def test_fields_of_other_types_are_left_empty(serve: Serve) -> None:
    rows = '{"dag_id": 1, "end_date": 3}, {"end_date": "x"}, {"end_date": "9999-99"}'
    text = f'{{"dag_runs": [{rows}], "total_entries": "9"}}'
    api = api_at(serve({V1_HEALTH: (200, '{"scheduler": []}'), RUNS: (200, text)}))
    assert [(run.dag_id, run.ended_at) for run in api.failed_runs(LONG_AGO)] == [("", 0.0)] * 3
    assert api.health()["scheduler"].is_healthy is None


def test_half_a_character_is_replaced(serve: Serve) -> None:
    text = '{"dag_runs": [{"dag_id": "a\\ud800"}], "total_entries": 1}'
    api = api_at(serve({V1_HEALTH: (200, "{}"), RUNS: (200, text)}))
    assert [run.dag_id for run in api.failed_runs(LONG_AGO)] == ["a?"]


def test_an_answer_that_never_ends_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_voicepartner.watchdog.rest.LARGEST_WATCH_ANSWER", 1000)
    api = api_at(serve({V1_HEALTH: (200, "{}"), RUNS: (200, " " * 100_000)}))
    with pytest.raises(ApiSilentError):
        api.failed_runs(LONG_AGO)


def test_a_list_without_end_is_left(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    text = '{"dag_runs": [{"dag_id": "a"}], "total_entries": 100000000}'
    api = api_at(serve({V1_HEALTH: (200, "{}"), RUNS: (200, text)}))
    assert len(api.failed_runs(LONG_AGO)) == 50
    assert "the rest is not looked at" in caplog.text
