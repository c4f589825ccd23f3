"""The documentation tells the truth: quoted examples, links, arguments, options, statuses and the feature table."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from scripts.feature_table import derived_rows
from tests.support.docs import (
    CODE,
    CONTACTS,
    EVERY_PAGE,
    PAGES,
    PROJECT,
    PYTHON,
    first_cells,
    gateways,
    read,
    rows,
    section,
)

QUOTED = re.compile(r"^<!-- quoted: (\S+) (\S+) -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


_MARKED = re.compile(r"^ *# \[START (\w+)\]\n(.*?)^ *# \[END \1\]$", re.DOTALL | re.MULTILINE)


_FOLDERS = "|".join(
    [
        "store",
        *(path.parent.name for path in (PROJECT / "airflow_provider_voicepartner").glob("*/__init__.py")),
    ]
)
"""Of the package; with the old name of one, which pages must not use any more."""


_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


_LINK = re.compile(r"\]\(([^)\s]+)\)")


_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


# Files that the docs name and that are made by running something, or that stand for a file of the reader's.
_NOT_HERE = re.compile(r"acme|people\.csv$|^\.|\*|…|tests/sandbox/test_acme")


def marked_blocks() -> dict[tuple[str, str], str]:
    """Return what stands between START and END marks, by file and mark."""
    found = {}
    for path in sorted((PROJECT / "example_dags").glob("*.py")):
        for mark, block in _MARKED.findall(path.read_text(encoding="utf-8")):
            found[str(path.relative_to(PROJECT)), mark] = textwrap.dedent(block).strip()
    return found


def quotes() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        for file, mark, block in QUOTED.findall(page.read_text(encoding="utf-8")):
            yield file, mark, block.strip()


_WITH_SAMPLES = [*PAGES, *sorted((PROJECT / "example_dags").glob("*.py"))]


_NUMBER_IN_TO = re.compile(r"""\bto=\[?["'](?:[^"'\n]*[\s,;])?\+?\d[\d ]{7,}""")


class TestExamples:
    def test_quotes_are_what_the_example_dags_say(self) -> None:
        blocks = marked_blocks()
        for file, mark, block in quotes():
            assert block == blocks[file, mark], f"{file} {mark}"

    def test_every_example_is_quoted_or_linked(self) -> None:
        quoted = {(file, mark) for file, mark, _ in quotes()}
        linked = {file for file, _ in marked_blocks() if file in read("README.md")}
        assert {(file, mark) for file, mark in marked_blocks() if file not in linked} <= quoted
        assert len(quoted) >= 7

    @EVERY_PAGE
    def test_every_python_block_compiles(self, page: Path) -> None:
        for block in PYTHON.findall(page.read_text(encoding="utf-8")):
            compile(block, str(page), "exec")

    @pytest.mark.parametrize("path", _WITH_SAMPLES, ids=lambda path: path.name)
    def test_people_are_named_and_not_numbered(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        samples = [text] if path.suffix == ".py" else PYTHON.findall(text)
        # Rows with personal fields are recipients of a campaign, who are in no contacts.
        assert [found for sample in samples for found in _NUMBER_IN_TO.findall(sample)] == []

    @pytest.mark.airflow3
    def test_the_deadline_alert_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(PROJECT / CONTACTS))
        (block, tiers) = [
            block for block in PYTHON.findall(read("docs/notifiers.md")) if "DeadlineAlert" in block
        ]
        names: dict[str, Any] = {}
        exec(block, names)
        assert "deadline_tiers" in tiers  # which Airflow loads with the other examples

    def test_the_contacts_are_those_of_the_examples_and_have_no_mistake(self) -> None:
        from airflow_provider_voicepartner.contacts.validation import read_directory

        (block,) = re.findall(r"```toml\n(.*?)```", read("docs/contacts.md"), re.DOTALL)
        assert read(CONTACTS).endswith(textwrap.dedent(block))
        assert read_directory(tomllib.loads(read(CONTACTS))).problems == ()


class TestLinks:
    @EVERY_PAGE
    def test_lead_somewhere(self, page: Path) -> None:
        for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            if anchor:
                titles = _HEADING.findall(_FENCED.sub("", target.read_text(encoding="utf-8")))
                slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert anchor in slugs, link

    @EVERY_PAGE
    def test_files_that_are_named_exist(self, page: Path) -> None:
        package = PROJECT / "airflow_provider_voicepartner"
        roots = [
            PROJECT,
            page.parent,
            package,
            package / "gateways",
            package / "gateways/voicepartner",
            package / "sandbox",
        ]
        for name in CODE.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
            if not re.fullmatch(r"[\w./<>-]+(\.(py|md|toml|txt|csv)|/)", name) or _NOT_HERE.search(name):
                continue
            if "<" in name:
                name = re.sub("<[^>]+>", "voicepartner", name)
            assert any((root / name).exists() for root in roots), name

    @EVERY_PAGE
    def test_dotted_names_exist(self, page: Path) -> None:
        for name in set(
            re.findall(r"`(airflow_provider_voicepartner(?:\.\w+)+)`", page.read_text(encoding="utf-8"))
        ):
            module, _, attribute = name.rpartition(".")
            assert hasattr(import_module(module), attribute) or import_module(name), name

    @EVERY_PAGE
    def test_modules_that_are_named_without_the_package_exist(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        for folder, name in set(re.findall(rf"`({_FOLDERS})\.(\w+)(?:\.\w+)*`", text)):
            path = f"airflow_provider_voicepartner.{folder}"
            assert hasattr(import_module(path), name) or find_spec(f"{path}.{name}"), f"{folder}.{name}"

    @EVERY_PAGE
    def test_make_targets_exist(self, page: Path) -> None:
        targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.MULTILINE))
        assert set(re.findall(r"`?\bmake ([a-z0-9-]+)`", page.read_text(encoding="utf-8"))) <= targets

    @EVERY_PAGE
    def test_nothing_of_this_machine_and_no_registry(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        for word in ("/work", "/root", "/home/", "../shared", "reference/", "pypi.", "files.pythonhosted"):
            assert word not in text, word
        hosts = set(re.findall(r"https?://([\w.-]+)", text))
        known = {
            "127.0.0.1", "api.acme.example", "hooks.example.org", "airflow.apache.org", "keepachangelog.com",
            "semver.org", "airflow.example.org",
            *(gateway.INFO.base_url.split("/")[2] for gateway in gateways().values()),
        }  # fmt: skip
        assert hosts <= known


class TestReadme:
    def test_names_the_two_commands(self) -> None:
        assert "make demo" in read("README.md")
        assert "make test" in read("README.md")

    def test_names_every_operator_sensor_and_notifier(self) -> None:
        for name in ("SendSmsOperator", "TtsCallOperator", "VoicemailDropOperator", "CancelCampaignOperator"):
            assert f"{name}(" in read("README.md")
        assert "CampaignCompletionSensor(" in read("README.md")
        assert "send_sms_notification(" in read("README.md")
        assert "send_tts_call_notification(" in read("README.md")

    def feature(self, title: str) -> dict[str, str]:
        table = rows(section(read("README.md"), "What each gateway can do here"))
        head = table[0][1:]
        (found,) = [row[1:] for row in table if row[0] == title]
        labels = {gateway.INFO.label: name for name, gateway in gateways().items()}
        return {labels[label]: cell for label, cell in zip(head, found, strict=True)}

    @pytest.mark.parametrize("title", derived_rows())
    def test_the_feature_table_says_what_is_known_of_the_gateways(self, title: str) -> None:
        assert list(self.feature(title).values()) == derived_rows()[title]

    def test_says_how_many_recipients_a_task_takes(self) -> None:
        from airflow_provider_voicepartner.constants import MAX_RECIPIENTS_PER_BATCH

        assert re.search(rf"batches of up to\s+{MAX_RECIPIENTS_PER_BATCH} recipients", read("README.md"))

    def test_names_every_extra_for_users(self) -> None:
        extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
        assert {f"[{name}]" for name in extras} <= first_cells(read("README.md"))

    def test_names_every_page(self) -> None:
        for page in PAGES:
            if page.name != "README.md":
                assert f"({page.relative_to(PROJECT)})" in read("README.md")


def unquoted_samples() -> list[str]:
    """Return README's samples in Python that no example DAG backs."""
    text = read("README.md")
    quoted = {block.strip() for _, _, block in QUOTED.findall(text)}
    return [block for block in PYTHON.findall(text) if block.strip() not in quoted]


def test_the_samples_of_the_readme_are_taken_by_what_they_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__CONTACTS", str(PROJECT / CONTACTS))
    from airflow_provider_voicepartner.compat import DAG
    from airflow_provider_voicepartner.notifications.all_clear import send_all_clear_notification
    from airflow_provider_voicepartner.notifications.page import PageNotifier
    from airflow_provider_voicepartner.notifications.sms import send_sms_notification
    from airflow_provider_voicepartner.notifications.voice import send_tts_call_notification
    from airflow_provider_voicepartner.operators.campaign import CancelCampaignOperator
    from airflow_provider_voicepartner.operators.sms import SendSmsOperator
    from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
    from airflow_provider_voicepartner.sensors.campaign import CampaignCompletionSensor

    operators = (SendSmsOperator, TtsCallOperator, VoicemailDropOperator, CancelCampaignOperator)
    known: dict[str, Any] = {made.__name__: made for made in (*operators, CampaignCompletionSensor)}
    known["PageNotifier"] = PageNotifier
    known["send_all_clear_notification"] = send_all_clear_notification
    known["send_sms_notification"] = send_sms_notification
    known["send_tts_call_notification"] = send_tts_call_notification
    _, *samples = unquoted_samples()  # the first is a whole DAG, which tests/system runs
    called = " ".join(samples)
    assert all(f"{name}(" in called for name in known)
    for sample in samples:
        with DAG("readme", schedule=None):
            exec(
                sample, known | {"send": SendSmsOperator(task_id="send", to="0612345601", message="Bonjour")}
            )


class TestWheel:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())

    def description(self) -> str:
        text = read("README.md")
        for step in self.project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
            text = re.sub(step["pattern"], step["replacement"], text)
        return text

    def test_every_link_of_the_description_is_absolute_and_its_file_exists(self) -> None:
        source = self.project["project"]["urls"]["Source"]
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", self.description())
        assert len(links) > 10
        for link in links:
            assert link.startswith("https://"), link
            if link.startswith(source):
                assert (PROJECT / link.removeprefix(f"{source}/blob/main/")).exists(), link

    def test_airflow_finds_the_documentation(self) -> None:
        urls = self.project["project"]["urls"]
        assert {"Documentation", "Source", "Changelog", "Issues"} <= urls.keys()
        assert all(url.startswith(urls["Source"]) for url in urls.values())


def test_no_sample_needs_a_run_with_a_date() -> None:
    """``{{ ds }}`` and its like are undefined in a run without a logical date, which Airflow 3 allows."""
    dated = re.compile(
        r"\{\{[^}]*\b(ds|ts|ds_nodash|ts_nodash|logical_date|execution_date|data_interval_\w+)\b"
    )
    for path in [
        PROJECT / "README.md",
        *(PROJECT / "docs").glob("*.md"),
        *(PROJECT / "example_dags").glob("*.py"),
    ]:
        # Airflow 2 has no run_after, and a date for each run.
        told = path.read_text().replace("dag_run.run_after | default(data_interval_end)", "")
        assert not dated.search(told), path.name
