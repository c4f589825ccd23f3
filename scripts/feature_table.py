"""
Writes the rows of README's feature table that come from what is known of each gateway.

``python -m scripts.feature_table`` writes them; ``tests/test_docs.py`` compares them.
"""

from __future__ import annotations

import re
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
    }


def _repeats(info: GatewayInfo) -> str:
    if info.refuses_repeats_for is None:
        return "no"
    return f"yes, {info.refuses_repeats_for.total_seconds() / 3600:g} hours"


def main() -> None:
    """Write the rows."""
    text = README.read_text(encoding="utf-8")
    for title, cells in derived_rows().items():
        row = f"| {title} | {' | '.join(cells)} |"
        text = re.sub(rf"^\| {re.escape(title)} \|.*$", row.replace("\\", r"\\"), text, flags=re.MULTILINE)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
