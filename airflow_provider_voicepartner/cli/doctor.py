"""``doctor``: of which DAGs nobody would hear if they failed, and what else would keep people from being told."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from airflow_provider_voicepartner import settings
from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.constants import MOST_CHOICES, WATCH_PEER_SILENCE
from airflow_provider_voicepartner.contacts.directory import Directory
from airflow_provider_voicepartner.contacts.policy import By, Policy
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.info import Kind
from airflow_provider_voicepartner.hooks.callbacks import callback_config, missing_settings
from airflow_provider_voicepartner.hooks.connection import look_up
from airflow_provider_voicepartner.hooks.contacts import (
    check_contact_names,
    load_directory,
    policy_of,
    read_source,
)
from airflow_provider_voicepartner.hooks.registry import hook_of
from airflow_provider_voicepartner.incidents.choices import are_for_phones
from airflow_provider_voicepartner.incidents.pages import PageStore
from airflow_provider_voicepartner.notifications.all_dags import default_notifier
from airflow_provider_voicepartner.operators.page import PageOperator
from airflow_provider_voicepartner.sending.fingerprint import new_reference
from airflow_provider_voicepartner.settings import WATCHING, open_store
from airflow_provider_voicepartner.watchdog.config import Dags, WatchdogConfig, load_config
from airflow_provider_voicepartner.watchdog.hearing import (
    Heard,
    ParsedDags,
    hearing_of,
    look,
    parse_dags,
)
from airflow_provider_voicepartner.watchdog.memory import Beat, WatchMemory
from airflow_provider_voicepartner.watchdog.notifying import Asking, Notifiers, notifiers_of
from airflow_provider_voicepartner.watchdog.telling import told_twice

Result = TypeVar("Result")


def run(arguments: Namespace) -> None:
    """Print what is wrong; the exit code is 1 where something is."""
    config = load_config(arguments.config)[0] if arguments.config else None
    beats, problems = _beats()
    problems += _of_watchdogs(beats)
    parsed = parse_dags()
    problems += [f"{file} cannot be imported; its DAGs are not looked at" for file in parsed.broken]
    problems += _of_dags(parsed, [*_covered(beats), *([config.dags] if config else [])])
    directory, mistakes = _contacts()
    problems += mistakes
    notifiers = {dag_id: notifiers_of(dag) for dag_id, dag in sorted(parsed.dags.items())}
    problems += [f"DAG {dag_id}: {problem}" for dag_id, one in notifiers.items() for problem in one.problems]
    policies, unknown = _policies(notifiers, config, directory)
    problems += unknown
    problems += _of_alert_to()
    problems += _of_connections(notifiers, config, policies)
    is_run = config is not None or any(map(_is_alive, beats.values()))
    problems += _of_pages(parsed, notifiers, is_run=is_run)
    problems += _of_open_incidents(directory)
    problems += _of_questions(notifiers, is_run=is_run)
    for problem in problems:
        say(problem)
    for note in [*_of_settings(), *_told_twice(config, directory)]:
        say(f"Note: {note}")
    if problems:
        raise CommandError(f"{len(problems)} problems")
    say(f"{len(parsed.dags)} DAGs; somebody would hear of the failure of each.")


def _beats() -> tuple[dict[str, Beat], list[str]]:
    try:
        store = open_store(WATCHING)
        try:
            return WatchMemory(store).beats(), []
        finally:
            store.close()
    except StoreUnavailableError as error:
        problem = str(error)
    return {}, [problem]


def _is_alive(beat: Beat) -> bool:
    interval = beat.told.get("interval")
    usual = float(interval) if isinstance(interval, int | float) else 0.0
    return beat.age <= WATCH_PEER_SILENCE + usual


def _of_watchdogs(beats: dict[str, Beat]) -> list[str]:
    if not beats:
        return [
            "No watchdog has ever given a sign of life: of killed tasks and of the death of Airflow itself nobody "
            "would hear. Start one: airflow voicepartner watchdog"
        ]
    dead = [name for name, beat in beats.items() if not _is_alive(beat)]
    return [
        f"The watchdog {name} gave its last sign of life {beats[name].age / 60:.0f} min ago; start it"
        for name in dead
    ]


def _covered(beats: dict[str, Beat]) -> Iterator[Dags]:
    for beat in beats.values():
        include, exclude = beat.told.get("include"), beat.told.get("exclude")
        if _is_alive(beat) and isinstance(include, list) and isinstance(exclude, list) and include:
            yield Dags(include=[str(one) for one in include], exclude=[str(one) for one in exclude])


def _of_dags(parsed: ParsedDags, covered: Collection[Dags]) -> list[str]:
    problems = []
    for dag_id, dag in sorted(parsed.dags.items()):
        hearing = hearing_of(dag, is_watched=any(one.covers(dag_id) for one in covered))
        if hearing.heard is Heard.NOT:
            tasks = f" in {', '.join(hearing.unheard)}" if len(hearing.unheard) < len(dag.tasks) else ""
            problems.append(
                f"DAG {dag_id}: nobody would hear of a failure{tasks}; set on_failure_callback of the DAG"
            )
        elif hearing.heard is Heard.WEAKLY:
            problems.append(
                f"DAG {dag_id}: only callbacks or mails of its tasks tell, and none of them where a task is killed; "
                "set on_failure_callback of the DAG too"
            )
    return problems


def _contacts() -> tuple[Directory | None, list[str]]:
    """Read the contacts, and what is wrong with them."""
    try:
        source = read_source()
        directory = None if source is None else load_directory(source)
    except VoicePartnerProviderError as error:
        return None, [str(error)]
    return directory, [] if directory is None else [str(one) for one in directory.problems]


def _policies(
    notifiers: Mapping[str, Notifiers], config: WatchdogConfig | None, directory: Directory | None
) -> tuple[list[tuple[str, Policy]], list[str]]:
    """Return the policies, each with who uses it, and those that there are not."""
    used = [(f"DAG {dag_id}", page.policy) for dag_id, one in notifiers.items() for page in one.paging]
    if config is not None and config.tell.policy:
        used.append(("the watchdog", config.tell.policy))
    found, problems = list[tuple[str, Policy]](), list[str]()
    if directory is not None:
        for who, name in dict.fromkeys(used):
            try:
                found.append((who, directory.policy(name)))
            except InvalidArgumentError as error:
                problems.append(f"{who}: {error}")
    return found, problems


def _of_alert_to() -> list[str]:
    """Say what is wrong with the setting that alerts for all DAGs; its connections are looked up with all others."""
    checks: list[Callable[[], object]] = [
        settings.alert_fallback, lambda: check_contact_names(settings.alert_to())
    ]  # fmt: skip
    found = [problem for check in checks for problem in _problems_of(check)[1]] if settings.alert_to() else []
    return [f"[{settings.SECTION}] alert_to: {problem}" for problem in found]


def _of_connections(
    notifiers: Mapping[str, Notifiers], config: WatchdogConfig | None, policies: Sequence[tuple[str, Policy]]
) -> list[str]:
    needed: dict[tuple[str, Kind], str] = {}
    for dag_id, one in notifiers.items():
        for notifier in one.sending:
            # A template is rendered where the callback runs.
            if "{" not in notifier.conn_id:
                needed.setdefault((notifier.conn_id, notifier.kind), f"DAG {dag_id}")
    alert = default_notifier() if settings.alert_to() else None
    for way in () if alert is None else (alert, *alert.fallback):
        needed.setdefault((way.conn_id, way.kind), f"[{settings.SECTION}] alert_to")
    for who, policy in policies:
        for by in By:
            conn_id = policy.conn_id(by)
            if conn_id is not None:
                needed.setdefault((conn_id, by.kind), f"{who}, policy {policy.name}")
    if config is not None:
        for channel in config.tell.channels:
            needed.setdefault((channel.conn_id, channel.kind), "the watchdog")
    problems = []
    for (conn_id, kind), who in needed.items():
        problems += [f"{who}: {problem}" for problem in _problems_of(partial(_answers, conn_id, kind))[1]]
    return problems


def _of_pages(parsed: ParsedDags, notifiers: Mapping[str, Notifiers], *, is_run: bool) -> list[str]:
    """Name the DAGs that page people while nothing does the later steps, nor takes answers."""
    has_operator = any(isinstance(task, PageOperator) for dag in parsed.dags.values() for task in dag.tasks)
    if is_run or has_operator:
        return []
    return [
        f"DAG {dag_id}: only the first step of policy {one.paging[0].policy} is paged, and no answer is heard: no "
        "watchdog runs, and no DAG has a PageOperator"
        for dag_id, one in notifiers.items()
        if one.paging
    ]


def _of_open_incidents(directory: Directory | None) -> list[str]:
    """Name the incidents whose escalation cannot begin: their policy is gone, and there is no last resort."""
    if directory is None:
        return []
    found: dict[str, list[int]] = {}
    try:
        with closing(open_store(WATCHING)) as store:
            for one in PageStore(store, new_reference=new_reference).unstarted():
                policy, problem = policy_of(directory, one.policy)
                if policy is None:
                    found.setdefault(problem, []).append(one.incident)
    except StoreUnavailableError:
        return []  # named already
    return [
        f"Open incidents {', '.join(map(str, ids))}: {problem}. Add the policy or a last_resort to the contacts"
        for problem, ids in found.items()
    ]


def _of_questions(notifiers: Mapping[str, Notifiers], *, is_run: bool) -> list[str]:
    """Name the questions that people can only answer in Airflow, and why."""
    return [
        f"DAG {dag_id}, task {asking.task.task_id}: people can only answer in Airflow: {why}"
        for dag_id, one in notifiers.items()
        for asking in one.asking
        if (why := _why_only_in_airflow(asking, is_run=is_run))
    ]


def _why_only_in_airflow(asking: Asking, *, is_run: bool) -> str:
    """Say why a question cannot be answered by phone; empty where it can, or where that is not known yet."""
    options, conn_id, kind = look(asking.task, "options"), asking.notifier.conn_id, asking.notifier.kind
    if not is_run:
        return "no watchdog runs, which gives answers to Airflow"
    if _problems_of(callback_config)[0] is None:
        return f"{missing_settings()}: gateways report no answers"
    if isinstance(options, list | tuple) and not are_for_phones([str(one) for one in options]):
        return f"it has more than {MOST_CHOICES} options, or options that look like the number of another"
    can_be = True if "{" in conn_id else _problems_of(partial(_answers, conn_id, kind))[0]
    return (
        f"the gateway of {conn_id} does not report answers to it; take another conn_id"
        if can_be is False
        else ""
    )


def _answers(conn_id: str, kind: Kind) -> bool:
    """Look a connection up, and say whether its gateway reports answers to this kind of message."""
    hook = hook_of(look_up(conn_id), kind=kind, who="a notifier")
    hook.close()
    return kind in hook.gateway.INFO.answer_options and hook.gateway.INFO.reports != "never"


def _of_settings() -> list[str]:
    found, problems = _problems_of(callback_config)
    if found is not None or problems:
        return problems
    return [f"{missing_settings()}: nobody learns whether calls arrive, and nobody can answer by phone"]


def _told_twice(config: WatchdogConfig | None, directory: Directory | None) -> list[str]:
    if config is None or directory is None:
        return []
    return [one for one in [told_twice(config.tell, directory, datetime.now(UTC))] if one]


def _problems_of(look_up: Callable[[], Result]) -> tuple[Result | None, list[str]]:
    """Return what a look finds, and what is wrong with it."""
    try:
        return look_up(), []
    except VoicePartnerProviderError as error:
        return None, [str(error)]
