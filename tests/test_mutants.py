"""``make mutants`` makes the faults that it says, finds who notices, and lists who does not."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scripts.mutant_runs import Chosen, Run, TestMap, in_a_fork
from scripts.mutants import EQUIVALENT, PROJECT, equivalents, report, sample
from scripts.mutations import mutants_of


def changes(code: str) -> list[str]:
    return [mutant.change for mutant in mutants_of("m.py", textwrap.dedent(code))]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = a < b", {"a < b -> a <= b", "a < b -> a >= b"}),
        ("x = a == b", {"a == b -> a != b"}),
        ("x = a is not None", {"a is not None -> a is None"}),
        ("x = a in b", {"a in b -> a not in b"}),
        ("x = a < b <= c", {
            "a < b <= c -> a <= b <= c", "a < b <= c -> a >= b <= c", "a < b <= c -> a < b < c",
            "a < b <= c -> a < b > c",
        }),
        ("x = a and b", {"a and b -> a or b"}),
        ("x = not a", {"not a -> a"}),
        ("x = a + b * c", {"a + b * c -> a - b * c", "b * c -> b / c"}),
        ("x = 'a ' + b", set()),
        ("x = True", {"True -> False"}),
        ("x = 3", {"3 -> 4"}),
        ("x = 'word'", {"'word' -> 'XXword'"}),
        ("x = 'a sentence for people'", set()),
        ("x = f'{a + 1}'", set()),
        ("if a: b()", {"a -> not a", "b() -> pass"}),
        ("x = b if a() else c", {"a() -> not a()"}),
        ("f(a, b=c, **d)", {"f(a, b=c, **d) -> pass", "f(b=) -> f()"}),
        ("raise E(a)", {"raise E(a) -> pass"}),
        ("raise", {"raise -> pass"}),
        ("a.b = c", {"a.b = c -> pass"}),
        ("a += b", {"a += b -> pass"}),
        ("for a in b: continue", {"continue -> break"}),
        ("for a in b: break", {"break -> continue"}),
        ("def f() -> 'word': return a", {"return a -> return None"}),
        ("def f(): return None", set()),
        ("def f(): return False", {"False -> True"}),
        ("def f(): 'doc'", set()),
        ("@d(a=1)\ndef f(x: int = 1): pass", {"1 -> 2"}),
        ("class A(Protocol):\n    x = 1", set()),
        ("if TYPE_CHECKING: f()", set()),
        ("x = Literal['a']", set()),
        ("__all__ = ['a', 'b']", set()),
    ],
)  # fmt: skip
def test_each_fault_is_made_and_nothing_that_no_test_can_notice(code: str, expected: set[str]) -> None:
    assert set(changes(code)) == expected


def test_every_mutant_of_the_project_is_other_code_that_can_be_read() -> None:
    for module in PROJECT.modules(["recipients/text_blocks.py"]):
        source = (PROJECT.root / module).read_text(encoding="utf-8")
        mutants = mutants_of(module, source)
        assert len(mutants) > 20
        for mutant in mutants:
            changed = ast.dump(ast.parse(mutant.apply(source)))
            assert changed != ast.dump(ast.parse(source)), mutant


def test_a_mutant_is_named_by_what_it_is_and_not_by_where() -> None:
    source = "def f():\n    é =  a  <  b\n"
    below, above = mutants_of("m.py", source)[0], mutants_of("m.py", f"x = y\n\n{source}")[0]
    assert (
        below.key(source) == above.key(f"x = y\n\n{source}") == ("m.py", "f", "é = a < b", "a < b -> a <= b")
    )
    assert (below.line, above.line) == (2, 4)
    assert below.apply(source) == "def f():\n    é =  (a <= b)\n"
    assert below.diff(source) == "    -    é =  a  <  b\n    +    é =  (a <= b)"


def test_a_sample_is_drawn_from_every_module_and_always_the_same() -> None:
    mutants = {
        "big.py": mutants_of("big.py", "x = 1\n" * 300),
        "small.py": mutants_of("small.py", "x = 1\n" * 20),
        "tiny.py": mutants_of("tiny.py", "x = 1\n" * 3),
    }
    drawn = sample(mutants, 64, seed=1)
    assert {module: len(found) for module, found in drawn.items()} == {
        "big.py": 59,
        "small.py": 8,
        "tiny.py": 3,
    }
    assert drawn == sample(mutants, 64, seed=1)
    assert drawn != sample(mutants, 64, seed=2)
    assert {module: len(found) for module, found in sample(mutants, None, seed=1).items()} == {
        "big.py": 300, "small.py": 20, "tiny.py": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fates", "code", "missed"),
    [
        ({"a": Counter(killed=95, survived=5)}, 0, []),
        ({"a": Counter(killed=94, survived=6)}, 1, ["all: 94%"]),
        ({"a": Counter(killed=85, timeout=5, survived=10), "b": Counter(killed=100)}, 0, []),
        ({"a": Counter(killed=89, survived=11), "b": Counter(killed=900)}, 1, ["a: 89%"]),
        ({"a": Counter()}, 0, []),
    ],
)
def test_a_run_fails_below_its_goals(
    fates: dict[str, Counter[str]], code: int, missed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(fates) == code
    said = capsys.readouterr().out
    assert [
        line.split(", ")[0].removeprefix("Missed: ") for line in said.splitlines() if "Missed" in line
    ] == missed


def test_the_listed_equivalents_exist_and_have_a_reason() -> None:
    every = set()
    for module in PROJECT.modules(["**/*.py"]):
        if any(module == listed[0] for listed in equivalents(EQUIVALENT)):
            source = (PROJECT.root / module).read_text(encoding="utf-8")
            every |= {mutant.key(source) for mutant in mutants_of(module, source)}
    assert [listed for listed in equivalents(EQUIVALENT) if listed not in every] == []


@pytest.mark.slow
def test_a_fork_that_takes_too_long_is_ended_with_what_it_started(tmp_path: Path) -> None:
    def work() -> int:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (tmp_path / "pid").write_text(str(child.pid))
        child.wait()
        return 0

    assert in_a_fork(work, seconds=6.0) is None
    grandchild = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{grandchild}/stat")
    assert not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    assert in_a_fork(lambda: 7, seconds=60.0) == 7


def test_what_was_learnt_of_lines_that_only_moved_is_kept(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").touch()
    before = TestMap(
        lines={"m.py": {"": [0, 1], "1": [0], "2": [0, 1], "3": [1]}, "gone.py": {"1": [0]}},
        tests=["test_a.py::test_one", "test_gone.py::test_two"],
        sources={"m.py": "a = 1\nb = 2\nc = 3\n", "gone.py": "d = 4\n"},
    )
    now = before.moved_to(tmp_path, {"m.py": "# new\na = 1\nb = 20\n\nc = 3\n"})
    assert now.lines["m.py"] == {"": [0], "2": [0], "5": []}
    assert now.lines["gone.py"] == {}
    same = before.moved_to(tmp_path, before.sources)
    assert same.lines["m.py"] == {"": [0], "1": [0], "2": [0], "3": []}


@pytest.mark.parametrize(
    ("ends", "fate"),
    [
        ([1], "killed"),
        ([0], "survived"),
        ([None, 0], "timeout"),
        ([None, None, 0], "survived"),
        ([None, None, 1], "killed"),
        ([None, None, None, None, 1], "killed"),
        ([None, None, None, 0], "timeout"),
        ([None] * 7, "timeout"),
    ],
)
def test_only_a_mutant_that_takes_longer_than_the_code_without_it_counts_as_one_that_does_not_end(
    ends: list[int | None], fate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ends are those of tests on the mutant and, where it is not in time, without it, in turns."""
    given, allowed = iter(ends), list[float]()

    def run_on(*arguments: Any) -> int | None:
        allowed.append(arguments[-1])
        return next(given)

    one = Run(PROJECT, tmp_path, patience=10.0)
    one.map.seconds["test_a"] = 5.0
    monkeypatch.setattr(one, "_run_on", run_on)
    (mutant,) = mutants_of("m.py", "x = 1")
    assert one._fate(mutant, "x = 1", [], Chosen([], is_rest=False), ["test_a"]) == fate
    assert next(given, "all were asked for") == "all were asked for"
    # The mutant is given the time in which the code without it was done.
    assert allowed == [30.0, 30.0, 60.0, 60.0, 120.0, 120.0, 240.0][: len(ends)]


MODULE = """
LIMIT = 10

def is_enough(count):
    return count >= LIMIT

def label(count):
    if is_enough(count):
        return "enough"
    return "more"

def forever(count):
    while count > 0:
        count -= 1
    return count

def unused():
    return 1
"""
TESTS = """
import pytest
from tiny.part.counting import forever, is_enough, label

@pytest.mark.parametrize("count", [9, 11])
def test_label(count):
    assert label(count) == ("enough" if count > 10 else "more")

def test_is_enough():
    assert is_enough(10)

def test_forever():
    assert forever(3) == 0
"""
RUN = """
import sys
from pathlib import Path
from scripts import mutants
from scripts.mutant_runs import Project

root = Path(sys.argv[1])
sys.path.insert(0, str(root))
project = Project(root=root, package="tiny", tests=("tests/part",), conftest=None, equivalent=root / "equivalent.txt")
sys.exit(mutants.main(sys.argv[2:], project))
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Make a project whose tests notice everything but what nobody calls."""
    for name, text in {
        "tiny/__init__.py": "", "tiny/part/__init__.py": "", "tiny/part/counting.py": MODULE,
        "tests/part/test_counting.py": TESTS, "pytest.ini": "[pytest]\nmarkers = slow: kept apart\n",
    }.items():  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def run(tiny: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT.root), *sys.path])}
    where["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take seconds to begin, and nothing here needs them
    return subprocess.run(
        [sys.executable, "-c", RUN, str(tiny), "--modules", "part/*.py", "--patience", "5", *arguments],
        cwd=tiny, env=where, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_finds_what_no_test_notices_and_touches_no_file(tiny: Path) -> None:
    ran = run(tiny, "--sample", "all")
    assert ran.returncode == 1, ran.stderr
    survivors = [line for line in ran.stdout.splitlines() if line.startswith("survived")]
    assert survivors == [
        "survived: tiny/part/counting.py:18 unused: return 1 -> return None",
        "survived: tiny/part/counting.py:18 unused: 1 -> 2",
    ]
    assert "    -    return 1\n    +    return 2\n" in ran.stdout
    # A loop that does not end is noticed, too.
    (table,) = [line.split() for line in ran.stdout.splitlines() if line.startswith("all ")]
    assert table == ["all", "17", "14", "1", "2", "88%"]
    assert "Missed: tiny/part/counting.py: 88%, and at least 90% are wanted" in ran.stdout
    assert (tiny / "tiny/part/counting.py").read_text() == MODULE


@pytest.mark.slow
def test_what_an_earlier_run_learnt_can_be_used_although_files_changed(tiny: Path) -> None:
    assert run(tiny, "--quick", "--sample", "1").returncode in (0, 1)
    learnt = tiny / ".mutants" / "map.json"
    first = learnt.stat().st_mtime_ns
    (tiny / "tiny/part/counting.py").write_text(f"# A line more.\n{MODULE}")
    ran = run(tiny, "--old-map", "--sample", "all")
    assert learnt.stat().st_mtime_ns == first
    (table,) = [line.split() for line in ran.stdout.splitlines() if line.startswith("all ")]
    assert table == ["all", "17", "14", "1", "2", "88%"]
    run(tiny, "--sample", "1", "--quick")
    assert learnt.stat().st_mtime_ns > first


@pytest.mark.slow
def test_a_part_of_the_sample_is_judged_alone(tiny: Path) -> None:
    (tiny / "tiny/part/other.py").write_text("def unused():\n    return 7\n")

    def rows(*arguments: str) -> dict[str, list[str]]:
        said = run(tiny, "--sample", "10", *arguments).stdout.splitlines()
        lines = [line.split() for line in said if line.startswith("tiny/part/")]
        return {name: counts for name, *counts in lines if not name.endswith(":")}

    every = rows()
    assert list(every) == ["tiny/part/counting.py", "tiny/part/other.py"]
    assert rows("--only", "part/other.py") == {"tiny/part/other.py": every["tiny/part/other.py"]}


@pytest.mark.slow
def test_a_test_that_fails_beside_others_and_holds_alone_does_not_end_the_run(tiny: Path) -> None:
    busy = "\n\ndef test_busy(tmp_path):\n    path = __import__('pathlib').Path(__file__).with_name('seen')\n"
    busy += "    seen = path.exists()\n    path.touch()\n    assert seen\n"
    (tiny / "tests/part/test_counting.py").write_text(TESTS + busy)
    ran = run(tiny, "--sample", "all", "--quick")
    (table,) = [line.split() for line in ran.stdout.splitlines() if line.startswith("all ")]
    assert table == ["all", "17", "14", "1", "2", "88%"]


@pytest.mark.slow
def test_what_is_listed_as_equivalent_is_not_counted(tiny: Path) -> None:
    for change in ("return 1 -> return None", "1 -> 2"):
        with (tiny / "equivalent.txt").open("a") as listed:
            listed.write(f"tiny/part/counting.py\tunused\treturn 1\t{change}\tnobody calls it\n")
    ran = run(tiny, "--sample", "all", "--quick")
    assert ran.returncode == 0, ran.stdout
    assert "survived:" not in ran.stdout


def test_tests_that_fail_without_a_mutant_end_the_run(tiny: Path) -> None:
    (tiny / "tests/part/test_counting.py").write_text(TESTS + "\n\ndef test_wrong():\n    assert False\n")
    ran = run(tiny)
    assert ran.returncode == 1
    assert "The tests fail without any mutant" in ran.stderr
    assert "test_wrong" in ran.stderr
