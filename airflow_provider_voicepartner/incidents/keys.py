"""Which alerts belong together, and how often people are told of them: keys of incidents, and ``at_most``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_voicepartner.constants import MOST_AT_MOST, MOST_AT_MOST_SECONDS
from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.validation import WORD_FOR_NOTHING
from airflow_provider_voicepartner.incidents.model import AtMost, Happened, Occurrence

GROUP_FIELDS: Final = ("dag_id", "run_id", "task_id", "map_index", "try_number")
"""What ``group_by`` may name."""
DEFAULT_GROUP_BY: Final = ("dag_id", "task_id")

_AT_MOST: Final = re.compile(r"([0-9]{1,6})\s*/\s*([0-9]{0,9})\s*([smhd])", re.IGNORECASE)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_KEY_LENGTH: Final = 250
_DIGEST_LENGTH: Final = 16
_GRAVE: Final = (Happened.FAILURE, Happened.DEADLINE)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def parse_at_most(value: Any) -> AtMost | None:
    """
    Read how often people are told of one incident.

    :param value: messages and a time, such as ``1/15m``, ``3/1h``, ``2/d``; the units are s, m, h and d. None tells of
        every alert.
    :returns: None for None.
    :raises InvalidArgumentError: for anything else.
    """
    if value is None or isinstance(value, AtMost):
        return value
    found = _AT_MOST.fullmatch(value.strip()) if isinstance(value, str) else None
    messages = int(found[1]) if found else 0
    seconds = int(found[2] or 1) * _SECONDS[found[3].lower()] if found else 0
    if not (0 < messages <= MOST_AT_MOST and 0 < seconds <= MOST_AT_MOST_SECONDS):
        raise InvalidArgumentError(
            "at_most",
            f"is {value!r}; write messages and a time, such as '1/15m' or '3/1h' (from 1 to {MOST_AT_MOST} messages, "
            f"in up to {MOST_AT_MOST_SECONDS // 86_400} days), or None to be told of every alert",
        )
    return AtMost(messages=messages, seconds=float(seconds))


def at_most_text(at_most: AtMost | None) -> str:
    """Return it as :func:`parse_at_most` reads it; empty for None."""
    if at_most is None:
        return ""
    seconds = round(at_most.seconds)
    unit = next(unit for unit in "dhms" if seconds % _SECONDS[unit] == 0)
    return f"{at_most.messages}/{seconds // _SECONDS[unit]}{unit}"


def read_group_by(value: Any) -> tuple[str, ...]:
    """
    Read which fields tell incidents apart.

    :param value: a name or a list of :data:`GROUP_FIELDS`; an empty list makes one incident of all alerts of a kind.
        None means DAG and task.
    :raises InvalidArgumentError: for anything else.
    """
    if value is None:
        return DEFAULT_GROUP_BY
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, Sequence | Collection) or isinstance(given, bytes):
        raise InvalidArgumentError("group_by", f"is {type(value).__name__}; give a list of field names")
    for name in given:
        if name not in GROUP_FIELDS:
            raise InvalidArgumentError("group_by", f"has {name!r}; the fields are: {', '.join(GROUP_FIELDS)}")
    # In one order, so that two lists of the same fields mean the same.
    return tuple(name for name in GROUP_FIELDS if name in given)


def read_dedup_key(value: Any) -> str | None:
    """
    Return a key of the user's own, once it is rendered; None for one that says nothing.

    :param value: rendered, so of any type; a template with a missing value often gives the word ``None``, and all
        alerts with that word would be one incident.
    """
    text = "" if value is None else str(value).strip()
    return None if text in ("", WORD_FOR_NOTHING) else text


def incident_key(
    occurrence: Occurrence, *, dedup_key: str | None = None, group_by: Sequence[str] = DEFAULT_GROUP_BY
) -> str:
    """
    Return the key of the incident that an alert belongs to, of at most 250 bytes.

    The alert of a retry never has the key of a final failure's: it would keep people from being told of it.

    :param dedup_key: chosen by the user; failures and missed deadlines with the same one are one incident. None or
        empty takes the fields of ``group_by``, and what happened.
    """
    what = occurrence.what or Happened.OTHER.value
    if dedup_key:
        return fit(dedup_key if what in _GRAVE else f"{dedup_key} ({what})")
    fields = [f"{name}={getattr(occurrence, name)}" for name in group_by if _is_known(occurrence, name)]
    return fit(" ".join([what, *fields]))


def _is_known(occurrence: Occurrence, name: str) -> bool:
    return getattr(occurrence, name) not in ("", -1)


def fit(text: str, most: int = _KEY_LENGTH) -> str:
    """Return a text in at most so many bytes of UTF-8, without control characters; a longer one ends in its hash."""
    clean = _UNPRINTABLE.sub("�", text)
    if len(clean.encode()) <= most and clean == text:
        return clean
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_LENGTH // 2)
    room = most - _DIGEST_LENGTH - 1
    return f"{clean.encode()[:room].decode(errors='ignore')}~{digest.hexdigest()}"


def moment_of(value: Any) -> str:
    """
    Return a time as :class:`~airflow_provider_voicepartner.incidents.model.Occurrence` holds it: UTC, whole seconds.

    :param value: an aware datetime, or ISO 8601 as Airflow's API writes it; anything else gives an empty text.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            return ""
    if not isinstance(value, datetime) or value.tzinfo is None:
        return ""
    try:
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError):
        return ""
