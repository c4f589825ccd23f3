"""
Writes the rows of README's feature table that come from what is known of each gateway.

``python -m scripts.feature_table`` writes them; ``tests/test_docs.py`` compares them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from airflow_provider_voicepartner.gateways.info import GatewayInfo, Kind, own_gateways

README = Path(__file__).resolve().parent.parent / "README.md"

_KINDS: dict[str, Kind] = {"SMS": "sms", "Spoken call (TTS)": "tts", "Voicemail drop": "voicemail"}
_REPORTS = {"batch": "yes", "account": "no, one for the account", "never": "no"}


def derived_rows() -> dict[str, list[str]]:
    """Return the cells of each derived row, in the order of the gateways, by the row's title."""
    gateways = tuple(own_gateways().values())
    rows = {
        title: ["yes" if kind in info.kinds else "no" for info in gateways] for title, kind in _KINDS.items()
    }
    return rows | {
        "Recipients in one request": [str(info.most_recipients) for info in gateways],
        "Delivery by polling": ["yes" if info.polls else "no" for info in gateways],
        "Delivery by callback: URL per request": [_REPORTS[info.reports] for info in gateways],
        "`dry_run=True` ends with": [
            "`simulated` by the gateway" if info.simulates else "`would_send`" for info in gateways
        ],
        "Cost in the answer to a send": ["yes" if info.currency else "no" for info in gateways],
        "Duplicate protection of its own": [_repeats(info) for info in gateways],
        "A batch in doubt is resolved by": [_evidence(info) for info in gateways],
    }


def _repeats(info: GatewayInfo) -> str:
    if info.refuses_repeats_for is None:
        return "no"
    return f"yes, {_hours(info.refuses_repeats_for)}"


def _hours(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 3600:g} hours"


def _evidence(info: GatewayInfo) -> str:
    """Say what shows whether a batch was sent, in the order in which it is looked for."""
    found = ["a look-up by tag"] if info.listed_by_tag else []
    if info.reports == "batch":
        found.append("a callback")
    if info.repeats_safely_for is not None:
        found.append(f"the same request again, {_hours(info.repeats_safely_for)}")
    return ", or ".join(found) or "nothing: `on_unknown` decides"


def main() -> None:
    """Write the rows."""
    text = README.read_text(encoding="utf-8")
    for title, cells in derived_rows().items():
        row = f"| {title} | {' | '.join(cells)} |"
        text = re.sub(rf"^\| {re.escape(title)} \|.*$", row.replace("\\", r"\\"), text, flags=re.MULTILINE)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
