"""
Change the code in small ways and see whether a test notices: a mutation run, sampled with a seed.

First all tests run once under coverage, to learn which test executes which line. Then, for each mutant, a fork of one
process that has imported Airflow already runs the tests that execute the changed line, and, if none of them fails, the
folder of tests of that part. A mutant exists only in the memory of its fork; no file is changed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scripts.mutant_runs import Project, Run
from scripts.mutations import Mutant, mutants_of

MODULES = ("sending/*.py", "hooks/http.py", "hooks/rate_limiter.py", "hooks/completion.py", "hooks/polling.py",
           "gateways/*/refusals.py", "delivery/receiver.py", "delivery/store_rows.py", "delivery/group_commit.py",
           "operators/base.py", "operators/waiting.py", "recipients/*.py", "gateways/gsm.py")  # fmt: skip
TESTS = ("tests/sending", "tests/operators", "tests/hooks", "tests/gateways", "tests/delivery", "tests/sensors",
         "tests/triggers", "tests/recipients")  # fmt: skip
GOAL, GOAL_EACH = 0.95, 0.90
LEAST_EACH = 8
"""Mutants of each module, however small it is."""
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.txt")
PROJECT = Project(
    root=Path(__file__).resolve().parent.parent,
    package="airflow_provider_voicepartner",
    tests=TESTS,
    conftest="tests.conftest",
    equivalent=EQUIVALENT,
)


def say(line: str) -> None:
    """Print a line at once: a run takes long."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def sample(mutants: dict[str, list[Mutant]], size: int | None, seed: int) -> dict[str, list[Mutant]]:
    """Draw from each module in proportion to its mutants, and always the same with the same seed."""
    every = sum(map(len, mutants.values()))
    drawn = {}
    for module, found in sorted(mutants.items()):
        share = len(found) if size is None else max(LEAST_EACH, round(size * len(found) / max(every, 1)))
        drawn[module] = random.Random(f"{seed} {module}").sample(found, min(share, len(found)))
    return drawn


def equivalents(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield the mutants that are known to change nothing: module, function, line, change, and a reason, by tabs."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                module, function, code, change, reason = line.split("\t")
                assert reason.strip(), line
                yield module, function, code, change


def report(fates: dict[str, Counter[str]]) -> int:
    """Print the table; return 1 when a goal is missed."""
    width = max(map(len, fates), default=6)
    say(f"\n{'module':{width}}  sampled  killed  timeout  survived")
    total: Counter[str] = sum(fates.values(), Counter())
    missed = []
    for name, fate in [*sorted(fates.items()), ("all", total)]:
        count = fate.total()
        score = (count - fate["survived"]) / count if count else 1.0
        goal = GOAL if name == "all" else GOAL_EACH
        if score < goal:
            missed.append(f"{name}: {score:.0%}, and at least {goal:.0%} are wanted")
        counts = f"{count:7}  {fate['killed']:6}  {fate['timeout']:7}  {fate['survived']:8}"
        say(f"{name:{width}}  {counts}  {score:5.0%}")
    for line in missed:
        say(f"Missed: {line}")
    return 1 if missed else 0


def main(arguments: Sequence[str] | None = None, project: Project = PROJECT) -> int:
    """Make a mutation run, print the survivors and a table; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", default="400", help="how many mutants, or 'all'")
    parser.add_argument(
        "--modules", nargs="*", help="of the package, such as sending/*.py; draws from them alone"
    )
    parser.add_argument(
        "--only", nargs="*", help="modules: judge what the sample holds of them, and nothing else"
    )
    parser.add_argument("--tests", nargs="*", help="folders of tests")
    parser.add_argument(
        "--patience", type=float, default=20.0, help="seconds beyond four times those of its tests"
    )
    parser.add_argument(
        "--old-map", action="store_true", help="take what an earlier run learnt, although files have changed"
    )
    parser.add_argument("--quick", action="store_true", help="only the tests that execute a line")
    given = parser.parse_args(arguments)
    project = replace(project, tests=given.tests or project.tests)
    known = set(equivalents(project.equivalent))
    sources = {
        module: (project.root / module).read_text(encoding="utf-8")
        for module in project.modules(given.modules or MODULES)
    }
    mutants = {
        module: [mutant for mutant in mutants_of(module, source) if mutant.key(source) not in known]
        for module, source in sources.items()
    }
    fates: dict[str, Counter[str]] = {}
    scratch = Path(tempfile.mkdtemp(prefix="mutants-"))
    try:
        run = Run(project, scratch, patience=given.patience, is_quick=given.quick)
        run.learn(project.root / ".mutants" / "map.json", is_old_good=given.old_map)
        size = None if given.sample == "all" else int(given.sample)
        only = set(project.modules(given.only)) if given.only else set(mutants)
        for module, drawn in sample(mutants, size, given.seed).items():
            if module not in only:
                continue
            fates[module] = Counter()
            for mutant in drawn[:1]:
                run.check(mutant, sources[module])
            for mutant in drawn:
                fate = run.judge(mutant, sources[module])
                fates[module][fate] += 1
                if fate != "killed":
                    say(f"{fate}: {module}:{mutant.line} {mutant.function}: {mutant.change}")
                    say(mutant.diff(sources[module]))
            say(f"{module}: {dict(fates[module])}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return report(fates)


if __name__ == "__main__":
    sys.exit(main())
