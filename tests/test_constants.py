"""Every cap, grace and timeout stands in one table, which is documented, and the page shows all of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

from airflow_provider_voicepartner import constants
from airflow_provider_voicepartner.gateways import GATEWAYS
from scripts.settings_page import PAGE, Constant, make_page, read_constants
from tests.support.source import PACKAGE, called, trees

UNITS = {
    "attempts", "batches", "bytes", "callbacks", "calls", "campaigns", "characters", "columns", "connections", "digits",
    "distances", "entries", "events", "kinds", "levels", "lines", "checks", "numbers", "pages", "read timeouts",
    "recipients", "records", "reports", "requests", "rows", "runs", "seconds", "segments", "signers", "slots", "texts",
    "threads", "time", "times", "tokens", "writes", "share of a window", "share of the margin", "share of an interval",
    "tenths of a second", "objects, rounds, rounds",
}  # fmt: skip

TESTS = "testing/"
"""The cases that every gateway must pass: what they give are examples, and no caps of the package."""
VENDORS = tuple(place for name in GATEWAYS for place in (f"gateways/{name}/", f"hooks/{name}.py"))
"""Where facts about one vendor stand."""
VENDORS_OWN = {
    "LONGEST_TEXT": "documented",
    "LONGEST_FIELD": "documented",
    "STOP_MENTION_LENGTH": "documented",
    "_SINGLE": "documented: characters of one SMS",
    "_PARTS": "documented, and inferred: characters of a part",
    "_LINKED": "documented: characters of a part",
    "_UNICODE_SINGLE": "documented: characters of one SMS",
    "_UNICODE_PART": "documented: characters of a part",
    "_UNICODE_LINKED": "inferred: characters of a part",
    "MAX_SEGMENTS": "documented",
    "_LINE_BREAK_LENGTH": "documented",
    "_EURO_LENGTH": "inferred",
    "_MAX_PARTS": "the standard's: of one long SMS",
    "TAG_LENGTH": "documented",
    "REFERENCE_LENGTH": "the form of a reference, which the tag has room for",
    "MINUTE_STEP": "documented",
    "LISTED_WITHIN": "inferred: until a send is listed",
    "LONGEST_LISTED_WITHIN": "inferred: until a send is listed at the latest",
    "_KEY": "documented: codes",
}
"""What vendors' folders may say in numbers, and whose they are; a cap of ours belongs into constants.py."""

NO_CAPS = {
    "_SECONDS": "the units of an age",
    "GATEWAY_LENGTH": "a column's width",
    "CAMPAIGN_LENGTH": "a column's width",
    "_NUMBER_LENGTH": "a column's width",
    "_WORD_LENGTH": "a column's width",
    "_BITS": "of chance, which a reference uses up",
    "_PERSON_LENGTH": "a column's width",
    "_KEY_LENGTH": "a column's width",
    "_DIGEST_LENGTH": "the size of a hash",
    "_AUDIENCE_SIZE": "the size of a hash",
    "_ROUTE_SIZE": "the size of a hash",
    "_BIGGEST": "the integers that a float holds exactly",
    "_COMPARED": "digits that tell people apart",
    "_FOREVER": "no end",
    "SHORT_MARK": "the size of a hash",
    "LONG_MARK": "the size of a hash",
    "_MARK": "the size of a hash",
    "HASH_BYTES": "the size of a hash",
    "COST": "of a hash",
    "FROM_NOW": "a cursor behind every change",
    "REFERENCE_LENGTH": "the form of a reference",
    "_DIGITS": "how Excel writes numbers",
    "_STEPS": "how two counters share one integer",
    "_RANGES": "how two counters share one integer",
    "_MICROSECONDS": "in a second",
    "_LOCK": "the name of a lock",
    "_LIMITS": "the standard's: units of an SMS and of a part of several",
    "_SHORT": "digits of the numbers of Saint-Pierre-et-Miquelon",
    "_PM": "the code of Saint-Pierre-et-Miquelon",
}
"""Numbers that bound nothing, and what they are."""

WAITING = {
    "sleep",
    "wait",
    "wait_for",
    "join",
    "timeout",
    "timedelta",
    "call_later",
    "acquire",
    "min",
    "max",
    "lru_cache",
}
BOUNDING = (
    "timeout",
    "seconds",
    "minutes",
    "hours",
    "days",
    "wait",
    "limit",
    "grace",
    "interval",
    "maxsize",
    "max_",
    "pool_",
)
OTHER_NUMBERS = {
    "min(event.part, 32767)": "what a column of PostgreSQL holds",
    "min(event.parts, 32767)": "what a column of PostgreSQL holds",
    "pool_connections": "of a session for one gateway: its address and another's",
    "max(self._store.local_clock() - moment.before, self._commit_seconds / 2)": "a half",
    "max(2 * longest, LONGEST_PENALTY)": "twice",
    "min(2 * pause, LONGEST_STORE_PAUSE)": "twice",
    "min(self._width * 2, POLLS_AT_ONCE)": "twice",
    "min(jitter * 2.0 ** (attempt - 1), self.longest_wait)": "twice as long each time",
    "min(len(number), 8)": "stars in a mask",
}
"""Numbers in calls that bound nothing, and what they are."""


def test_each_value_has_a_unit_a_meaning_and_a_reason() -> None:
    table = list(read_constants())
    assert {constant.unit for constant in table} <= UNITS
    assert [
        constant.name for constant in table if not (sentence(constant.meaning) and sentence(constant.why))
    ] == []
    assert len({constant.name for constant in table}) == len(table) > 100
    public = {name for name in vars(constants) if name.isupper()}
    assert public == {constant.name for constant in table}


def sentence(text: str) -> bool:
    return text.endswith(".") and (text[0].isupper() or text[0] in "`1" or text[0].isdigit())


def test_the_page_shows_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == make_page(), "run: python -m scripts.settings_page"


def test_each_value_is_used_by_the_package() -> None:
    used = {
        node.id if isinstance(node, ast.Name) else node.attr
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
        and (path != "constants.py" or isinstance(node.ctx, ast.Load))
    }
    assert [constant.name for constant in read_constants() if constant.name not in used] == []


def test_the_table_can_be_read_without_airflow_and_imports_nothing_of_ours() -> None:
    seen = f"[name for name in sys.modules if name.startswith(('airflow.', '{PACKAGE}.'))]"
    code = f"import sys, {PACKAGE}.constants; print({seen})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['{PACKAGE}.constants']"


def ours() -> Iterator[tuple[str, ast.Module]]:
    for path, tree in trees().items():
        if path != "constants.py" and not path.startswith((*VENDORS, TESTS)):
            yield path, tree


def is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value not in (0, 1)


def has_number(node: ast.AST | None) -> bool:
    return node is not None and any(is_number(part) for part in ast.walk(node))


def is_plain(node: ast.AST) -> bool:
    """Say whether a value is made of numbers alone, with at most a duration around them."""
    allowed = (
        ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Tuple, ast.expr_context, ast.Dict,
        ast.keyword, ast.Name,
    )  # fmt: skip
    if isinstance(node, ast.Call) and called(node) == "timedelta":
        return True
    return all(
        isinstance(part, allowed) and not (isinstance(part, ast.Constant) and isinstance(part.value, bytes))
        for part in ast.walk(node)
    )


def numbers_of(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module gives to numbers."""
    for node in tree.body:
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and has_number(node.value)
            and is_plain(node.value or node)
        ):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                    yield ast.unparse(part)


def test_no_folder_of_a_vendor_has_a_cap_of_ours() -> None:
    found = {name for path, tree in trees().items() if path.startswith(VENDORS) for name in numbers_of(tree)}
    assert found - set(VENDORS_OWN) == set(), "belongs into constants.py, or is the vendor's"
    assert set(VENDORS_OWN) - found == set(), "is gone"


def test_no_module_has_a_number_of_its_own() -> None:
    found = {name for _, tree in ours() for name in numbers_of(tree)}
    known = set(NO_CAPS)
    assert found - known == set(), "belongs into constants.py, or is no cap"
    assert known - found == set(), "is gone"


def test_no_call_waits_for_or_is_bounded_by_a_number_of_its_own() -> None:
    found = set[str]()
    for _, tree in ours():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            plain = [part for part in node.args if not isinstance(part, ast.Call | ast.GeneratorExp)]
            if called(node) in WAITING and any(has_number(part) for part in plain):
                found.add(ast.unparse(node))
            found |= {
                word.arg
                for word in node.keywords
                if word.arg and any(part in word.arg for part in BOUNDING) and has_number(word.value)
            }
    assert found - set(OTHER_NUMBERS) == set()
    assert set(OTHER_NUMBERS) - found == set(), "is gone"


def test_no_default_bounds_anything_by_a_number_of_its_own() -> None:
    found = []
    for path, tree in ours():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                defaults = [*node.args.defaults, *node.args.kw_defaults]
                found += [
                    (path, ast.unparse(value))
                    for value in defaults
                    if value is not None and has_number(value)
                ]
            if isinstance(node, ast.ClassDef):
                found += [
                    (path, ast.unparse(field))
                    for field in node.body
                    if isinstance(field, ast.Assign | ast.AnnAssign) and has_number(field.value)
                ]
    assert found == []


def test_a_duration_is_shown_as_people_read_it() -> None:
    shown = {constant.name: constant.shown for constant in read_constants()}
    assert shown["READ_TIMEOUT"] == "30 seconds"
    assert shown["LEDGER_KEPT"] == "90 days, 0:00:00"
    assert shown["LONGEST_SLEEP"] == "just below 30 seconds"
    assert isinstance(next(read_constants()), Constant)
