"""Runs tests on mutants: each in a fork of one process that has imported Airflow, with the fault in memory only."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType
from typing import Any

from scripts.mutations import Mutant


@dataclass(frozen=True, kw_only=True)
class Project:
    """
    What is mutated and tested.

    :param root: of the checkout.
    :param package: its folder.
    :param tests: folders of tests, relative to the root.
    :param conftest: the module that sets the environment up, before anything slow is imported; None if none does.
    :param equivalent: the list of mutants that change nothing.
    """

    root: Path
    package: str
    tests: Sequence[str]
    conftest: str | None
    equivalent: Path

    def modules(self, patterns: Iterable[str]) -> list[str]:
        """Return the modules that patterns name, relative to the root."""
        found = {path for pattern in patterns for path in (self.root / self.package).glob(pattern)}
        return sorted(str(path.relative_to(self.root)) for path in found if path.name != "__init__.py")

    def folder_of(self, module: str) -> str | None:
        """Return the folder of tests that mirrors a module's own."""
        part = module.split("/")[1]
        return next((tests for tests in self.tests if tests.endswith(f"/{part}")), None)

    def sources(self) -> dict[str, str]:
        """Return the text of every module of the package, by its path relative to the root."""
        return {
            str(path.relative_to(self.root)): path.read_text(encoding="utf-8")
            for path in sorted((self.root / self.package).rglob("*.py"))
        }

    def digest(self) -> str:
        """Return what changes with any file that the map hangs on."""
        read = hashlib.sha256(repr(tuple(self.tests)).encode())
        for path in sorted([*(self.root / self.package).rglob("*.py"), *(self.root / "tests").rglob("*.py")]):
            read.update(path.read_bytes())
        return read.hexdigest()


@dataclass
class TestMap:
    """
    What one run of all tests showed.

    :param lines: for each module and line, the tests that execute it, by number; "" holds those of any line.
    :param tests: the tests by number.
    :param seconds: how long each took.
    :param imported: modules of others that were imported.
    :param sources: the modules as they were then.
    """

    lines: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    imported: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def moved_to(self, root: Path, sources: Mapping[str, str]) -> TestMap:
        """
        Return this map for modules that changed meanwhile: lines that only moved keep their tests.

        :param root: of the checkout; tests whose files are gone are left out.
        :param sources: the modules as they are now.
        """
        there = {name: (root / name.split("::")[0]).exists() for name in self.tests}
        gone = {number for number, name in enumerate(self.tests) if not there[name]}
        lines: dict[str, dict[str, list[int]]] = {}
        for module, known in self.lines.items():
            before, now = self.sources[module].splitlines(), sources.get(module, "").splitlines()
            matcher = difflib.SequenceMatcher(None, before, now, autojunk=False)
            moved = {
                str(block.a + at + 1): str(block.b + at + 1)
                for block in matcher.get_matching_blocks()
                for at in range(block.size)
            }
            lines[module] = {
                moved.get(line, line): [number for number in numbers if number not in gone]
                for line, numbers in known.items()
                if line == "" or line in moved
            }
        return replace(self, lines=lines, sources=dict(sources))

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Return the tests that execute a mutant: those of its own module's name first, and the quick ones first."""
        known = self.lines.get(mutant.module, {})
        first, last = mutant.lines
        numbers = {number for line in range(first, last + 1) for number in known.get(str(line), ())}
        # What runs when a module is imported belongs to no test, and to each.
        numbers = numbers or set(known.get("", ()))
        names = [self.tests[number] for number in numbers]
        return sorted(
            names, key=lambda name: (mutant.own_tests not in name, self.seconds.get(name, 0.0), name)
        )


class Chosen:
    """Pytest plugin: runs only the tests that were chosen, in their order, or all but those."""

    def __init__(self, tests: Sequence[str], *, is_rest: bool) -> None:
        self._rank = {name: rank for rank, name in enumerate(tests)}
        self._is_rest = is_rest

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep and order."""
        if self._is_rest:
            items[:] = [item for item in items if item.nodeid not in self._rank]
        else:
            items[:] = [item for item in items if item.nodeid in self._rank]
            items.sort(key=lambda item: self._rank[item.nodeid])


class Mapper:
    """Pytest plugin: measures which test executes which line."""

    def __init__(self, coverage: Any) -> None:
        self._coverage = coverage
        self.seconds: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note what is executed from now on for this test."""
        self._coverage.switch_context(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """What runs between tests belongs to none."""
        self._coverage.switch_context("")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add the time of a test's three parts."""
        self.seconds[report.nodeid] += report.duration
        if report.failed and report.nodeid not in self.failed:
            self.failed.append(report.nodeid)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with a fault in it, from memory."""

    source = ""

    def get_code(self, fullname: str) -> CodeType:
        """Compile what is not in any file."""
        code: CodeType = compile(self.source, self.path, "exec", dont_inherit=True)
        return code


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module with a fault in it, instead of the one in its file."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """Find it, and leave all others to whoever comes next."""
        if fullname != self._name:
            return None
        loader = _Loader(fullname, str(self._path))
        loader.source = self._source
        return importlib.util.spec_from_file_location(fullname, self._path, loader=loader)


BROKEN = 70
"""The exit code of a fork that did not get as far as to run tests."""
_DOUBLED = 3
"""How often a time-out is doubled on a machine that is too slow for it."""


def in_a_fork(work: Callable[[], int], seconds: float) -> int | None:
    """
    Run something in a fork, which is killed with all that it started.

    :returns: its exit code; None when it took too long.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            os.setsid()
            code = work()
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    ended = 0
    while not ended and time.monotonic() < end:
        time.sleep(0.01)
        ended, status = os.waitpid(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)
        return None
    return os.waitstatus_to_exitcode(status)


@dataclass
class Run:
    """
    One mutation run.

    :param project: what is mutated.
    :param scratch: a folder for what forks write; thrown away.
    :param patience: seconds that a mutant may take beyond four times what its tests took without it.
    :param is_quick: leave the folder of tests out, of which few notice what those that execute the line do not.
    :param map: which test executes what.
    """

    project: Project
    scratch: Path
    patience: float = 20.0
    is_quick: bool = False
    map: TestMap = field(default_factory=TestMap)

    def learn(self, cache: Path, *, is_old_good: bool = False) -> None:
        """
        Import what tests import of others, and learn which test executes what, by running all of them once.

        :param cache: what an earlier run learnt; written when a file has changed since.
        :param is_old_good: take what an earlier run learnt although files have changed.
        :raises SystemExit: the tests fail without any mutant.
        """
        digest, sources = self.project.digest(), self.project.sources()
        known = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
        if known and (is_old_good or known["digest"] == digest):
            self.map = TestMap(**known["map"]).moved_to(self.project.root, sources)
            self._warm_up()
            return
        self.map.imported = self._asked(self._list_imports)
        self._warm_up()
        learnt = self._asked(self._measure)
        if failed := learnt.pop("failed"):
            # What failed beside all others, on a machine that does other things too, may hold when it runs alone.
            self._asked(lambda answer: self._run_again(answer, failed))
        self.map = TestMap(**learnt, imported=self.map.imported, sources=sources)
        cache.parent.mkdir(exist_ok=True)
        cache.write_text(json.dumps({"digest": digest, "map": vars(self.map)}), encoding="utf-8")

    def _warm_up(self) -> None:
        """Import what takes long; nothing of the project itself."""
        if self.project.conftest:
            importlib.import_module(self.project.conftest)
        for name in self.map.imported:
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    def _asked(self, work: Callable[[Path], int]) -> Any:
        """Return what a fork wrote."""
        answer = self.scratch / "answer.json"
        code = in_a_fork(lambda: work(answer), seconds=4 * 3600)
        if code != 0:
            raise SystemExit(f"The tests fail without any mutant ({code}):\n{self._tail()}")
        return json.loads(answer.read_text(encoding="utf-8"))

    def _list_imports(self, answer: Path) -> int:
        before, own = set(sys.modules), (self.project.package, "tests", "scripts")
        code = self._pytest(["--collect-only", *self.project.tests])
        names = [name for name in sys.modules if name not in before and name.split(".")[0] not in own]
        answer.write_text(json.dumps(names), encoding="utf-8")
        return code

    def _measure(self, answer: Path) -> int:
        from coverage import Coverage

        root, package = self.project.root, self.project.package
        coverage = Coverage(data_file=None, include=[f"{root / package}/*"], config_file=False)
        mapper = Mapper(coverage)
        coverage.start()
        code = self._pytest(["--maxfail=20", *self.project.tests], mapper)
        coverage.stop()
        data = coverage.get_data()
        found = TestMap(tests=list(mapper.seconds), seconds=dict(mapper.seconds))
        numbers = {name: number for number, name in enumerate(found.tests)}
        for file in data.measured_files():
            lines = {
                str(line): sorted(numbers[context] for context in contexts if context in numbers)
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            lines[""] = sorted({number for tests in lines.values() for number in tests})
            found.lines[str(Path(file).relative_to(root))] = lines
        learnt = {"lines": found.lines, "tests": found.tests, "seconds": found.seconds}
        answer.write_text(json.dumps({**learnt, "failed": mapper.failed}), encoding="utf-8")
        return 0 if code == 1 and 0 < len(mapper.failed) < 20 else code

    def _run_again(self, answer: Path, tests: Sequence[str]) -> int:
        answer.write_text("null", encoding="utf-8")
        return self._pytest(tests)

    def _pytest(self, arguments: Iterable[str], *plugins: Any) -> int:
        """Run tests in this process, quietly, as if it were a new one."""
        import pytest

        log = os.open(self.scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.chdir(self.project.root)
        home = getattr(sys.modules.get(self.project.conftest or ""), "_home", None)
        if home is not None:
            # As a new process finds it: what one fork leaves in Airflow's home must not meet the next.
            shutil.rmtree(home, ignore_errors=True)
            (home / "dags").mkdir(parents=True, exist_ok=True)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(self.scratch / "hypothesis")
        options = [
            "-q",
            "-x",
            "--tb=short",
            "-p",
            "no:cacheprovider",
            "-m",
            "not slow",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
        ]
        return int(pytest.main([*options, *arguments], plugins=list(plugins)))

    def judge(self, mutant: Mutant, source: str) -> str:
        """Return what became of a mutant: ``killed``, ``timeout`` or ``survived``."""
        chosen = self.map.tests_of(mutant)
        # Most are noticed by the tests of the module's own name, and one file is read quickly.
        own = [name for name in chosen if mutant.own_tests in name]
        for tests in (own, chosen[len(own) :]):
            files = list(dict.fromkeys(name.split("::")[0] for name in tests))
            fate = (
                self._fate(mutant, source, files, Chosen(tests, is_rest=False), tests)
                if tests
                else "survived"
            )
            if fate != "survived":
                return fate
        folder = self.project.folder_of(mutant.module)
        if folder is None or self.is_quick:
            return "survived"
        rest = [name for name in self.map.tests if name.startswith(f"{folder}/")]
        return self._fate(mutant, source, [folder], Chosen(chosen, is_rest=True), rest)

    def _fate(
        self, mutant: Mutant, source: str, arguments: list[str], plugin: Chosen, tests: list[str]
    ) -> str:
        seconds = self.patience + 4 * sum(self.map.seconds.get(name, 0.0) for name in tests)
        code = self._run_on(mutant, source, arguments, plugin, seconds)
        harmless = replace(mutant, span=(0, 0), new="")
        for _ in range(_DOUBLED):
            if code is not None or self._run_on(harmless, source, arguments, plugin, seconds) is not None:
                break
            # It is not the mutant that takes so long: the machine is slower than when it learnt.
            seconds *= 2
            code = self._run_on(mutant, source, arguments, plugin, seconds)
        if code is None:
            return "timeout"
        if code in (BROKEN, 4):
            raise SystemExit(
                f"Tests could not be run on {mutant.module}:{mutant.line} ({code}):\n{self._tail()}"
            )
        # 5: no test was left to run.
        return "survived" if code in (0, 5) else "killed"

    def _run_on(
        self, mutant: Mutant, source: str, arguments: list[str], plugin: Chosen, seconds: float
    ) -> int | None:
        """Return how tests end on a mutant; None when they take longer."""
        name = mutant.module.removesuffix(".py").replace("/", ".")
        finder = Finder(name, self.project.root / mutant.module, mutant.apply(source))

        def work() -> int:
            sys.meta_path.insert(0, finder)
            return self._pytest(arguments, plugin)

        return in_a_fork(work, seconds)

    def check(self, mutant: Mutant, source: str) -> None:
        """
        Run some tests of a mutant without its fault, in the same way: what fails then would count as killed.

        :raises SystemExit: they fail.
        """
        chosen = self.map.tests_of(mutant)[:20]
        files = list(dict.fromkeys(name.split("::")[0] for name in chosen))
        harmless = replace(mutant, span=(0, 0), new="")
        if (
            chosen
            and self._fate(harmless, source, files, Chosen(chosen, is_rest=False), chosen) != "survived"
        ):
            raise SystemExit(f"Tests of {mutant.module} fail without any mutant:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join((self.scratch / "log").read_text(encoding="utf-8").splitlines()[-30:])
