"""The times in what an incident says, which are stored in UTC, by the clock of whoever reads or hears them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from airflow_provider_voicepartner.compat import conf
from airflow_provider_voicepartner.contacts.languages import MONTHS, Language, zone_of

_WRITTEN: Final = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d) UTC\b")
_SPOKEN: Final = re.compile(r"\b\d{1,2} [^\W\d_]+ (at|à) \d\d:\d\d UTC\b")
_LANGUAGES: Final[Mapping[str, Language]] = {"at": "en", "à": "fr"}
"""By the word between a day and its time."""


def airflows_clock() -> tzinfo:
    """Return Airflow's default time zone, in which times are told to whoever has none."""
    try:
        name = str(conf.get("core", "default_timezone", fallback="utc") or "utc")
        return UTC if name in ("utc", "system") else ZoneInfo(name)
    except Exception:
        return UTC


def at_their_clock(text: str, time_zone: str | None, *, title: str = "") -> str:
    """
    Return a text with its times by somebody's clock.

    :param text: written, or spoken.
    :param time_zone: theirs; None takes Airflow's default time zone, and says its abbreviation.
    :param title: as it is written, in UTC: spoken dates have no year.
    """
    own = zone_of(time_zone)
    zone = own or airflows_clock()

    def moments(written: str) -> list[datetime]:
        return [_local(found, zone) for found in _WRITTEN.findall(written)]

    def clock(moment: datetime) -> str:
        return f"{moment:%H:%M}" if own is not None else f"{moment:%H:%M %Z}"

    try:
        text = _WRITTEN.sub(
            lambda found: f"{(moment := _local(found[1], zone)):%Y-%m-%d} {clock(moment)}", text
        )
        # The first time of a title is that of the deadline; an error may name others.
        for moment in moments(title)[:1]:
            text = _SPOKEN.sub(
                lambda found, at=moment: (  # type: ignore[misc]
                    f"{at.day} {MONTHS[_LANGUAGES[found[1]]].split()[at.month - 1]} {found[1]} {clock(at)}"
                ),
                text,
            )
    except (ValueError, OverflowError):
        pass  # no such day, or at the end of time
    return text


def _local(written: str, zone: tzinfo) -> datetime:
    return datetime.strptime(written, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).astimezone(zone)
