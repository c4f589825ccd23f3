"""What broke, in one line: as it is written and as it is spoken, in English and in French."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_voicepartner.constants import LONGEST_INCIDENT_TITLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """
    What broke in other words than the title, which is in English; each may be empty.

    :param french: the title in French.
    :param spoken: sentences to be heard.
    :param spoken_french: the same in French.
    """

    french: str = ""
    spoken: str = ""
    spoken_french: str = ""

    def to_text(self) -> str | None:
        """Return them as the store holds them; None for none."""
        found = {name: _fit(text) for name, text in asdict(self).items() if text}
        return json.dumps(found, ensure_ascii=False) if found else None

    @classmethod
    def from_text(cls, text: Any) -> Words:
        """Read what :meth:`to_text` wrote; none for anything else, as of incidents that are older."""
        try:
            found = json.loads(text)
        except (TypeError, ValueError):
            return cls()
        if not isinstance(found, Mapping):
            return cls()
        return cls(**{name: str(found[name]) for name in cls.__slots__ if name in found})


def _fit(text: str) -> str:
    """Return as much of a text as the store takes, without what is no character."""
    return text[:LONGEST_INCIDENT_TITLE].encode("utf-8", "replace").decode()


def title_in(language: str | None, title: str, words: Words) -> str:
    """
    Return what broke as it is written.

    :param language: ``fr`` for French; English for all others.
    """
    return (words.french if language == "fr" else "") or title


def spoken_title(language: str | None, title: str, words: Words) -> str:
    """Return what broke as sentences that are made to be heard, from the title where nothing better is known."""
    said = words.spoken_french if language == "fr" else words.spoken
    return " ".join(said.split()) or f"Airflow. {readable(title_in(language, title, words))}"


def readable(identifier: str) -> str:
    """Return an identifier as it is spoken: ``daily_load`` is "daily load", ``ValueError`` "Value Error"."""
    words = re.sub(
        r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[_/\\]+|(?<=\w)[.\-]+(?=[A-Za-z_])", " ", identifier)
    )
    return " ".join(words.split())
