"""
One STOP that is told twice: as what the person wrote, and by the delivery report on the message.

Both name the person and the campaign, and so the first event of either kind has that name for its digest. A person
who writes STOP once more, at another time, is another event, under the digest that every message has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_voicepartner.delivery.arrivals import Row, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """
    What becomes of a group's events.

    :param events: to be added where nothing has their digest.
    :param words: what persons wrote of whom only a report had told; goes into the event that is there.
    """

    events: Sequence[Row]
    words: Sequence[Row]


def digests_to_ask_for(events: Iterable[Row]) -> list[str]:
    """Return under which digests a report, or the person, may have told of the STOPs that persons wrote."""
    return sorted({row["digest"] for row in events if "digest_of_words" in row})


def settle(events: Iterable[Row], known: Mapping[str, Row]) -> Settled:
    """
    Give each STOP that a person wrote the digest under which it is one event.

    :param events: of one group, in their order.
    :param known: the events that have one of :func:`digests_to_ask_for`, with ``text``, ``at`` and ``received_at``.
    """
    seen: dict[str, Row] = dict(known)
    settled, words = [], []
    for row in events:
        first = seen.setdefault(row["digest"], row)
        if first is not row and "digest_of_words" in row and not _is_repeat(first, row):
            if row["text"] and not first["text"]:
                words.append(row)
                seen[row["digest"]] = row
            else:
                row = {**row, "digest": row["digest_of_words"]}
        settled.append(row)
    return Settled(events=settled, words=words)


def _is_repeat(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one["text"] == other["text"] and (
        moment(one["at"], one["received_at"]) == moment(other["at"], other["received_at"])
    )
