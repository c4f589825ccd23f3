"""``doctor``: of which DAGs nobody would hear if they failed, and what else would keep people from being told."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Collection, Iterator

from airflow_provider_voicepartner.cli.commands import CommandError, say
from airflow_provider_voicepartner.constants import WATCH_PEER_SILENCE
from airflow_provider_voicepartner.db.errors import StoreUnavailableError
from airflow_provider_voicepartner.exceptions import VoicePartnerProviderError
from airflow_provider_voicepartner.hooks.callbacks import callback_config, missing_settings
from airflow_provider_voicepartner.hooks.connection import look_up
from airflow_provider_voicepartner.hooks.contacts import load_directory, read_source
from airflow_provider_voicepartner.hooks.registry import hook_of
from airflow_provider_voicepartner.notifications.base import GatewayNotifier
from airflow_provider_voicepartner.settings import WATCHING, open_store
from airflow_provider_voicepartner.watchdog.config import Dags, WatchdogConfig, load_config
from airflow_provider_voicepartner.watchdog.hearing import (
    Heard,
    ParsedDags,
    hearing_of,
    notifiers_of,
    parse_dags,
)
from airflow_provider_voicepartner.watchdog.memory import Beat, WatchMemory


def run(arguments: Namespace) -> None:
    """Print what is wrong; the exit code is 1 where something is."""
    config = load_config(arguments.config)[0] if arguments.config else None
    beats, problems = _beats()
    problems += _of_watchdogs(beats)
    parsed = parse_dags()
    problems += [f"{file} cannot be imported; its DAGs are not looked at" for file in parsed.broken]
    problems += _of_dags(parsed, [*_covered(beats), *([config.dags] if config else [])])
    problems += _of_contacts()
    problems += _of_connections(parsed, config)
    for problem in problems:
        say(problem)
    for note in _of_settings():
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


def _of_contacts() -> list[str]:
    def mistakes() -> list[str]:
        source = read_source()
        return [] if source is None else [str(one) for one in load_directory(source).problems]

    return _problems_of(mistakes)


def _of_connections(parsed: ParsedDags, config: WatchdogConfig | None) -> list[str]:
    needed: dict[tuple[str, str], str] = {}
    for dag_id, dag in sorted(parsed.dags.items()):
        for notifier in notifiers_of(dag, GatewayNotifier):
            # A template is rendered where the callback runs.
            if "{" not in notifier.conn_id:
                needed.setdefault((notifier.conn_id, notifier.kind), f"DAG {dag_id}")
    if config is not None:
        for channel in config.tell.channels:
            needed.setdefault((channel.conn_id, channel.kind), "the watchdog")
    problems = []
    for (conn_id, kind), who in needed.items():

        def look(conn_id: str = conn_id, kind: str = kind) -> list[str]:
            hook_of(look_up(conn_id), kind=kind, who="a notifier").close()  # type: ignore[arg-type]
            return []

        problems += [f"{who}: {problem}" for problem in _problems_of(look)]
    return problems


def _of_settings() -> list[str]:
    def missing() -> list[str]:
        if callback_config() is not None:
            return []
        return [f"{missing_settings()}: nobody learns whether calls arrive, and nobody can answer by phone"]

    return _problems_of(missing)


def _problems_of(look: Callable[[], list[str]]) -> list[str]:
    try:
        return look()
    except VoicePartnerProviderError as error:
        return [str(error)]
