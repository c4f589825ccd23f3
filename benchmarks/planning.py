"""
The planning pass over a CSV of a million mixed French numbers, against a loop over ``phonenumbers``.

Run ``python -m benchmarks.planning``. Each pass runs in a process of its own, so that its memory is its own, and
between two halves of the loop, so that both meet the same machine; the loop takes a sample of the rows and is scaled.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.environment import PERSONAL_TEXT, PROJECT
from benchmarks.memory import peak_megabytes, resident_megabytes

GOAL_RATIO, GOAL_MEGABYTES = 15, 150
GOAL_TEXTS_RATIO, GOAL_TEXTS_TO_NUMBERS = 20, 3
SMSUTIL = "BENCHMARK_SMSUTIL"
"""Where a segment counter of the package index lies; without it the naive loop counts nothing."""

NAMES = {
    "numbers": "planning pass",
    "personal": "planning pass, with a personal field",
    "texts": "planning pass, texts with two fields, segments and checks (beside the naive loop)",
    "sending": "sending pass (batches of 500)",
}

# (share in %, what a national number may begin with)
PLAN = [
    (40, ("060", "061", "062", "064", "066", "067", "068")),
    (20, ("073", "074", "075", "076", "077", "078")),
    (26, ("0130", "0145", "0240", "0320", "0388", "0442", "0476", "0556", "0561")),
    (8, ("0972", "0970", "0950", "0981")),
    (6, ("0690", "0692", "0696", "0694", "0262")),
]
OVERSEAS = {"0690": "590", "0692": "262", "0262": "262", "0696": "596", "0694": "594"}


def write_people(path: Path, rows: int) -> None:
    """Write a CSV: six spellings, 1% of the numbers come twice, 0.1% are none."""
    draw = random.Random(3)
    shares, heads = [share for share, _ in PLAN], [head for _, head in PLAN]
    earlier = ["0612345678"]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("phone_number;first_name;city\n")
        for row in range(rows):
            if row % 100 == 7:
                written = draw.choice(earlier)
            elif row % 1000 == 11:
                written = draw.choice(("06123", "O612345678", "", "+33 6 12 34 56 7", "0612345678 ext 2"))
            else:
                head = draw.choice(draw.choices(heads, shares)[0])
                digits = head + f"{draw.randrange(10 ** (10 - len(head))):0{10 - len(head)}d}"
                written = _spell(digits, OVERSEAS.get(head, "33"), draw.random())
                if row % 100 == 3:
                    earlier.append(written)
            file.write(f"{written};Zoé{row % 97};Saint-Étienne\n")


def _spell(digits: str, code: str, chance: float) -> str:
    if chance < 0.45:
        return digits
    if chance < 0.65:
        return f"+{code}{digits[1:]}"
    pairs = " ".join(digits[at : at + 2] for at in range(0, 10, 2))
    if chance < 0.85:
        return pairs
    if chance < 0.92:
        return pairs.replace(" ", ".")
    return f"00{code}{digits[1:]}" if chance < 0.96 else f"+{code} (0){pairs[1:]}"


def read_texts(path: Path, sample: int) -> list[str]:
    """Return the first numbers, as they are written."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter=";")
        return [row["phone_number"] for row, _ in zip(reader, range(sample), strict=False)]


def loop_over_phonenumbers(texts: list[str]) -> float:
    """Return CPU seconds a number of parsing, checking and formatting with the library alone."""
    import phonenumbers

    started = time.process_time()
    for text in texts:
        try:
            number = phonenumbers.parse(text, "FR")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return (time.process_time() - started) / len(texts)


def naive_loop(rows: list[dict[str, str]]) -> float:
    """Return CPU seconds a row of what most would write: the library, ``str.format_map``, a counter of segments."""
    import phonenumbers

    split = _segment_counter()
    started = time.process_time()
    for row in rows:
        try:
            number = phonenumbers.parse(row["phone_number"], "FR")
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            split(PERSONAL_TEXT.format_map(row))
    return (time.process_time() - started) / len(rows)


def _segment_counter() -> Callable[[str], Any]:
    folder = os.environ.get(SMSUTIL)
    if not folder:
        return len
    sys.path.insert(0, folder)
    split: Callable[[str], Any] = import_module("smsutil").split
    return split


def read_rows(path: Path, sample: int) -> tuple[list[dict[str, str]], float]:
    """Return the first rows, and the CPU seconds that ``csv.DictReader`` takes for one."""
    started = time.process_time()
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(itertools.islice(csv.DictReader(file, delimiter=";"), sample))
    return rows, (time.process_time() - started) / len(rows)


def plan_texts(path: Path) -> Callable[[], Any]:
    """Return the planning pass of personal texts as the operator runs it, ready to run."""
    from airflow_provider_voicepartner.gateways import smspartner
    from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
    from airflow_provider_voicepartner.gateways.model import Recipient, SmsMessage
    from airflow_provider_voicepartner.gateways.wire import Credentials
    from airflow_provider_voicepartner.recipients.source import FileSource
    from airflow_provider_voicepartner.sending.fingerprint import CampaignFingerprint
    from airflow_provider_voicepartner.sending.planning import plan_campaign

    source = FileSource(open=lambda: path.open("rb"), name=path.name)
    message = SmsMessage(text=PERSONAL_TEXT)
    mark = CampaignFingerprint("smspartner", Credentials(api_key="key"), message, None)
    compiled = smspartner.compile_message(message)
    assert compiled is not None

    def check(recipient: Recipient) -> str | None:
        try:
            smspartner.check_recipient(message, recipient)
        except InvalidArgumentError as error:
            return error.problem
        return None

    return lambda: plan_campaign(
        source, line="any", on_invalid="skip", fields=frozenset({"first_name", "city"}), fingerprint=mark,
        check=check, places_to_check=compiled.doubtful, count_segments=compiled.segments,
    )  # fmt: skip


def measure_texts(path: Path, sample: int) -> dict[str, Any]:
    """Run the pass of personal texts, then that of numbers alone, between two halves of the naive loop."""
    rows, reading = read_rows(path, sample)
    naive_loop(rows[:100])
    first_loop = naive_loop(rows[: sample // 2])
    run, numbers = plan_texts(path), plan(path, frozenset())
    before = resident_megabytes()
    started = time.process_time()
    made = run()
    cpu, megabytes = time.process_time() - started, peak_megabytes() - before
    segments, recipients, count = made.segments, made.recipients, made.rows
    del made
    started = time.process_time()
    numbers()
    alone = time.process_time() - started
    loop = (first_loop + naive_loop(rows[sample // 2 :])) / 2 + reading
    return {
        "cpu": cpu, "numbers": alone, "megabytes": megabytes, "loop": loop * count, "rows": count,
        "recipients": recipients, "segments": segments,
    }  # fmt: skip


def plan(path: Path, fields: frozenset[str]) -> Callable[[], Any]:
    """Return the planning pass, ready to run."""
    from airflow_provider_voicepartner.gateways.model import VoiceMessage
    from airflow_provider_voicepartner.gateways.wire import Credentials
    from airflow_provider_voicepartner.recipients.source import FileSource
    from airflow_provider_voicepartner.sending.fingerprint import CampaignFingerprint
    from airflow_provider_voicepartner.sending.planning import plan_campaign

    source = FileSource(open=lambda: path.open("rb"), name=path.name)
    message = VoiceMessage(text="Bonjour {first_name}")
    mark = CampaignFingerprint("octopush", Credentials(api_key="key"), message, None)
    return lambda: plan_campaign(source, line="any", on_invalid="skip", fields=fields, fingerprint=mark)


def measure(path: Path, what: str, sample: int) -> dict[str, Any]:
    """Run one pass between two halves of the loop; return CPU seconds, and the growth of memory at the pass's peak."""
    if what == "texts":
        return measure_texts(path, sample)
    run = plan(path, frozenset({"first_name"} if what == "personal" else ()))
    texts = read_texts(path, sample)
    loop_over_phonenumbers(texts[:100])
    first_loop = loop_over_phonenumbers(texts[: sample // 2])
    before = resident_megabytes()
    started = time.process_time()
    made = run()
    result = {"cpu": time.process_time() - started, "megabytes": peak_megabytes() - before}
    result |= {"rows": made.rows, "duplicates": made.duplicates, "invalid": made.invalid}
    result |= {"recipients": made.recipients}
    if what == "sending":
        started = time.process_time()
        for batch in made.batches():
            len(batch.recipients)
        result["cpu"] = time.process_time() - started
    last_loop = loop_over_phonenumbers(texts[sample // 2 :])
    return result | {"loop": (first_loop + last_loop) / 2 * made.rows}


def run_pass(path: Path, what: str, sample: int) -> dict[str, Any]:
    """Return what :func:`measure` finds in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.planning",
        "--measure",
        what,
        "--sample",
        str(sample),
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(path: Path, *, sample: int, runs: int) -> Iterator[str]:
    """Measure, and return the lines of the table; of each pass the run in the middle."""
    found = {}
    for what in NAMES:
        all_runs = [run_pass(path, what, sample) for _ in range(runs)]
        found[what] = sorted(all_runs, key=lambda run: float(run["loop"] / run["cpu"]))[runs // 2]
    run = found["numbers"]
    rows, loop = run["rows"], run["loop"]
    yield f"| {rows:,} rows | CPU s | rows/s | times as fast | MB at the peak |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    yield f"| loop over phonenumbers ({sample:,} rows, scaled) | {loop:.1f} | {rows / loop:,.0f} | 1 | |"
    for what, name in NAMES.items():
        cpu, ratio, peak = (
            found[what]["cpu"],
            found[what]["loop"] / found[what]["cpu"],
            found[what]["megabytes"],
        )
        yield f"| {name} | {cpu:.2f} | {rows / cpu:,.0f} | {ratio:.1f} | {peak:.0f} |"
    yield ""
    yield f"{run['recipients']:,} recipients, {run['duplicates']:,} duplicates, {run['invalid']:,} invalid rows."
    reached = loop / run["cpu"] >= GOAL_RATIO and run["megabytes"] < GOAL_MEGABYTES
    yield (
        f"Goal (at least {GOAL_RATIO} times as fast, under {GOAL_MEGABYTES} MB): {'' if reached else 'not '}reached."
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--measure", choices=tuple(NAMES), help=argparse.SUPPRESS)
    parser.add_argument("file", nargs="?", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        sys.stdout.write(json.dumps(measure(given.file, given.measure, given.sample)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "people.csv")
        write_people(path, given.rows)
        for line in table(path, sample=given.sample, runs=given.runs):
            sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
