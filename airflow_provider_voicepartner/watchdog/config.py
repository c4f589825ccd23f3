"""
The watchdog's configuration: a TOML file, read strictly; every mistake is named with its key, none with its value.

Passwords and tokens stand in environment variables, which the file names.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from airflow_provider_voicepartner.constants import (
    LARGEST_WATCH_FILE,
    LONGEST_WATCH,
    MOST_WATCH_GRACE,
    SHORTEST_WATCH,
    WATCH_GRACE,
    WATCH_INTERVAL,
    WATCH_PEER_SILENCE,
    WATCH_SILENCE,
)
from airflow_provider_voicepartner.exceptions import ConfigurationError

_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BY: Final = re.compile(r"(?:by\s+)?([01]?\d|2[0-3]):([0-5]\d)")
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"
_MISSING: Final = "is missing; add it"
_IS_NO: Final = {
    "string": "text",
    "list": "list",
    "dict": "table",
    "float": "number",
    "bool": "true or false",
}

Pattern = str


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class AirflowAccess(_Table):
    """
    Where Airflow's REST API is, and as whom to ask.

    :param url: of Airflow, without ``/api``; links in messages begin with it, unless ``link_url`` is set.
    :param api: ``v1`` (Airflow 2) or ``v2`` (Airflow 3); None finds out.
    :param user: a user who may read all DAGs.
    :param password_env: the environment variable with the password.
    :param token_env: the environment variable with a token, in place of a user.
    :param link_url: as people's browsers reach Airflow; empty for no links.
    """

    url: str = Field(min_length=1)
    api: Literal["v1", "v2"] | None = None
    user: str | None = Field(default=None, min_length=1)
    password_env: str | None = Field(default=None, min_length=1)
    token_env: str | None = Field(default=None, min_length=1)
    link_url: str | None = None

    @field_validator("url", "link_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return _base_url(url) if url else url

    @model_validator(mode="after")
    def _is_one_way_in(self) -> Self:
        if self.token_env and (self.user or self.password_env):
            raise ValueError("has both a token and a user; give one of them")
        if bool(self.user) != bool(self.password_env):
            raise ValueError("needs user and password_env together")
        return self

    @property
    def links_begin_with(self) -> str:
        """The address in messages."""
        return self.url if self.link_url is None else self.link_url


class Channel(_Table):
    """
    One way to tell people.

    :param conn_id: the Airflow connection.
    :param to: a number, an ``@name`` of the contacts, a comma-separated text or a list of these.
    :param kind: ``sms``, or ``tts`` for a call.
    :param sender: sender ID or caller ID.
    :param options: gateway-specific settings.
    """

    conn_id: str = Field(min_length=1)
    to: str | list[str] = Field(repr=False)
    kind: Literal["sms", "tts"] = "sms"
    sender: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("to")
    @classmethod
    def _names_somebody(cls, to: str | list[str]) -> str | list[str]:
        if not to or (isinstance(to, str) and not to.strip()):
            raise ValueError("names nobody; give a number, or a name such as @data")
        return to


class Tell(Channel):
    """
    Whom to tell.

    :param fallback: other ways, tried in this order when nobody was reached.
    :param language: ``fr`` or ``en``; None is that of the contacts, else English.
    :param policy: an escalation policy of the contacts, for what the watchdog finds.
    """

    fallback: list[Channel] = Field(default_factory=list)
    language: Literal["fr", "en"] | None = None
    policy: str | None = Field(default=None, min_length=1)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All ways, in order."""
        return (self, *self.fallback)


class Dags(_Table):
    """
    Which DAGs are watched, by patterns such as ``etl_*``.

    :param include: the DAGs; all unless given.
    :param exclude: but for these.
    """

    include: list[Pattern] = Field(default_factory=lambda: ["*"], min_length=1)
    exclude: list[Pattern] = Field(default_factory=list)

    def covers(self, dag_id: str) -> bool:
        """Say whether a DAG is watched."""
        return any(fnmatchcase(dag_id, one) for one in self.include) and not any(
            fnmatchcase(dag_id, one) for one in self.exclude
        )


class Expectation(_Table):
    """
    A run that there must be each day by a time.

    :param by: the time of day, ``10:00``.
    :param time_zone: of the IANA database.
    :param days: of the week, ``mon`` to ``sun``; all unless given.
    :param since: the time of day from which runs count, on the day before where it is later than ``by``; midnight
        unless given.
    :param needs: ``run``: one has started since then; ``success``: one of these has succeeded.
    """

    dag_id: str = Field(min_length=1)
    by: str
    since: str = "00:00"
    time_zone: str = "UTC"
    days: list[str] = Field(default_factory=lambda: list(_WEEKDAYS), min_length=1)
    needs: Literal["run", "success"] = "run"

    @field_validator("by", "since")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        found = _BY.fullmatch(text.strip())
        if found is None:
            raise ValueError('is no time of day; write for instance "10:00"')
        return f"{int(found[1]):02}:{found[2]}"

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
            return name
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        raise ValueError('is no time zone; write for instance "Europe/Paris"')

    @field_validator("days")
    @classmethod
    def _are_days(cls, days: list[str]) -> list[str]:
        for day in days:
            if day not in _WEEKDAYS:
                raise ValueError(f"holds something else than {', '.join(_WEEKDAYS)}")
        return days

    @property
    def key(self) -> str:
        """What it is known by."""
        return f"{self.dag_id} by {self.by} {self.time_zone} {self.needs} {self.since}"

    def due_between(self, after: datetime, until: datetime) -> tuple[datetime, datetime] | None:
        """
        Return the last time when a run was due, and from when runs count; None where there is none.

        :param after: aware; a run that was due then or before does not count.
        :param until: aware.
        """
        zone, by, since = (
            ZoneInfo(self.time_zone),
            time.fromisoformat(self.by),
            time.fromisoformat(self.since),
        )
        last = until.astimezone(zone).date()
        for day in (last - timedelta(days=back) for back in range(len(_WEEKDAYS) + 1)):
            due = _moment(day, by, zone)
            if due <= after:
                return None
            if due <= until and _WEEKDAYS[day.weekday()] in self.days:
                first = day if since <= by else day - timedelta(days=1)
                # Where daylight saving leaves a time out, or has it twice, the earlier one: else no run may count.
                return due, min(_moment(first, since.replace(fold=fold), zone) for fold in (0, 1))
        return None


class Times(_Table):
    """
    How often to look, and when to tell, in seconds.

    :param interval: from one look to the next.
    :param grace: left to a failure's own callback.
    :param silent_after: without a sign of life.
    """

    interval: float = Field(default=WATCH_INTERVAL, ge=SHORTEST_WATCH, le=LONGEST_WATCH)
    grace: float = Field(default=WATCH_GRACE, ge=0, le=MOST_WATCH_GRACE)
    silent_after: float = Field(default=WATCH_SILENCE, ge=SHORTEST_WATCH, le=LONGEST_WATCH)


class Heartbeat(_Table):
    """
    How the watchdog's own death is noticed.

    :param peers: names of other watchdogs with the same store, which this one watches.
    :param peer_silent_after: seconds without a heartbeat.
    :param url: a dead man's switch: it is got each minute, and tells people when that stops.
    :param url_env: the environment variable with that URL.
    """

    peers: list[str] = Field(default_factory=list)
    peer_silent_after: float = Field(default=WATCH_PEER_SILENCE, ge=SHORTEST_WATCH, le=LONGEST_WATCH)
    url: str | None = Field(default=None, repr=False)
    url_env: str | None = Field(default=None, min_length=1)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return _read_url(url) if url else None

    @model_validator(mode="after")
    def _is_one_url(self) -> Self:
        if self.url and self.url_env:
            raise ValueError("has both url and url_env; give one of them")
        return self


class WatchdogConfig(_Table):
    """
    All of it.

    :param name: of this watchdog, for its heartbeat and its cursor; others with the same store need other names.
    """

    name: str = Field(default="watchdog", pattern=_NAME)
    airflow: AirflowAccess
    tell: Tell
    dags: Dags = Field(default_factory=Dags)
    expect: list[Expectation] = Field(default_factory=list)
    times: Times = Field(default_factory=Times)
    heartbeat: Heartbeat = Field(default_factory=Heartbeat)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.name in self.heartbeat.peers:
            raise ValueError("heartbeat.peers: names this watchdog itself; name the others")
        keys = [one.key for one in self.expect]
        if len(set(keys)) < len(keys):
            raise ValueError("expect: has the same entry twice; take one out")
        return self


class Secrets(BaseModel):
    """
    What the environment holds.

    :param password: of the user.
    :param token: in place of it.
    :param dead_man_url: of the dead man's switch.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    password: str | None = Field(default=None, repr=False)
    token: str | None = Field(default=None, repr=False)
    dead_man_url: str | None = Field(default=None, repr=False)


def load_config(path: str, environ: Mapping[str, str] | None = None) -> tuple[WatchdogConfig, Secrets]:
    """
    Read the file, and what it names in the environment.

    :param environ: the process's own unless given.
    :raises ConfigurationError: naming every mistake.
    """
    config = read_config(_read_file(path), label=path)
    return config, read_secrets(config, os.environ if environ is None else environ, label=path)


def read_config(text: str, *, label: str) -> WatchdogConfig:
    """
    Read the file's text.

    :param label: its name, for errors.
    :raises ConfigurationError: naming every mistake.
    """
    problem = ""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # Its text tells line and column, and quotes at most one character.
        problem = f"{label}: is no TOML: {error}"
    if problem:
        raise ConfigurationError(problem)
    try:
        return WatchdogConfig.model_validate(data)
    except ValidationError as error:
        problems = [
            _said(one) for one in error.errors(include_input=False, include_url=False, include_context=False)
        ]
    raise ConfigurationError(f"{label}: {'; '.join(dict.fromkeys(problems))}")


def read_secrets(config: WatchdogConfig, environ: Mapping[str, str], *, label: str) -> Secrets:
    """
    Read what the file names in the environment.

    :raises ConfigurationError: naming each variable that is not set, or holds no address.
    """
    problems: list[str] = []

    def value_of(key: str, variable: str | None) -> str | None:
        if variable is None:
            return None
        value = environ.get(variable, "").strip()
        if not value:
            problems.append(f"{key}: the environment variable {variable} is not set; set it")
        return value

    password = value_of("airflow.password_env", config.airflow.password_env)
    token = value_of("airflow.token_env", config.airflow.token_env)
    url = value_of("heartbeat.url_env", config.heartbeat.url_env) or config.heartbeat.url
    if url and config.heartbeat.url_env:
        try:
            url = _read_url(url)
        except ValueError as error:
            problems.append(f"heartbeat.url_env: {error}")
    if problems:
        raise ConfigurationError(f"{label}: {'; '.join(problems)}")
    return Secrets(password=password, token=token, dead_man_url=url)


def _read_file(path: str) -> str:
    problem = ""
    try:
        with open(path, "rb") as handle:
            data = handle.read(LARGEST_WATCH_FILE + 1)
        if len(data) <= LARGEST_WATCH_FILE:
            return data.decode("utf-8-sig")
        problem = f"is larger than {LARGEST_WATCH_FILE:,} bytes; is it the right file?"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or type(error).__name__}"
    except UnicodeDecodeError:
        problem = "is no UTF-8; save it as UTF-8"
    raise ConfigurationError(f"config: {path} {problem}")


def _said(error: Any) -> str:
    """Return a mistake with its key, without the value."""
    where = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in _key(error["loc"]))
    kind: str = error["type"]
    if kind == "missing":
        what = _MISSING
    elif kind == "extra_forbidden":
        what = "is unknown; take it out, or mend its name"
    elif kind == "value_error":
        what = error["msg"].removeprefix("Value error, ")
    elif kind == "string_pattern_mismatch":
        what = "must be letters, digits, dots, dashes and underscores, at most 60"
    elif kind.endswith("_type") and kind.partition("_")[0] in _IS_NO:
        what = f"is no {_IS_NO[kind.partition('_')[0]]}"
    else:
        what = error["msg"][:1].lower() + error["msg"][1:]
    return f"{where.removeprefix('.')}: {what}" if where else what


def _key(loc: Sequence[Any]) -> list[Any]:
    """Return the keys of a place, without the names that pydantic gives to alternatives of one type."""
    return [part for part in loc if part not in ("str", "list[str]")]


def _base_url(url: str) -> str:
    """Return an address without the slash at its end, which paths are added to."""
    if "?" in url or "#" in url:
        raise ValueError("may hold no query and no fragment")
    return _read_url(url).rstrip("/")


def _read_url(url: str) -> str:
    """Return an address as it is, if it is one."""
    problem = 'is no address; write for instance "https://airflow.example.org"'
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(problem) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or url.split() != [url] or port == 0:
        raise ValueError(problem)
    if parts.username is not None or parts.password is not None:
        raise ValueError("may hold no user and password")
    return url


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return a local time; one that is left out when the clocks go forward is as much later."""
    return datetime.combine(day, at, zone).astimezone(ZoneInfo("UTC"))
