"""The gateways of the crash tests: the ways of sending, and the sandbox that counts who was reached."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import requests

from tests.support.crash_points import BATCH_SIZE, RECIPIENTS

EXTRA: dict[str, Any] = {
    "voicepartner": {"rate_limits": {"tts/send": "none", "campaign/send": "none", "me": "none"}},
    # What is not listed at once never will be: the sandbox answers at once or not at all.
    "smspartner": {"listed_within": 0.001},
}


@dataclass(frozen=True)
class Way:
    """
    One way of sending.

    :param name: of its DAG, behind ``crash_``.
    :param path: part of the path of its sends.
    """

    name: str
    path: str

    @property
    def gateway(self) -> str:
        """The gateway's name."""
        return self.name.partition("_")[0]

    def __str__(self) -> str:
        """Name the test."""
        return self.name


WAYS = (
    Way("smspartner_sms", "smspartner/v1/send"),
    Way("octopush_sms", "sms-campaign/send"),
    Way("octopush_call", "voice-campaign/send"),
    Way("voicepartner_call", "tts/send"),
    Way("voicepartner_voicemail", "v1/campaign/send"),
)


def batch(number: int) -> tuple[str, ...]:
    """Return the recipients of a batch; ``number`` counts from 0."""
    return RECIPIENTS[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]


class Sandbox:
    """The sandbox in a process of its own, by its control API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self.patch("settings", {"strict": True, "voicepartner": {"rate_limits": False}})

    def _ask(self, method: str, path: str, data: Any = None) -> Any:
        answer = self._session.request(method, f"{self.url}/_sandbox/{path}", json=data, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        """Look."""
        return self._ask("GET", path)

    def post(self, path: str, data: Any = None) -> Any:
        """Order."""
        return self._ask("POST", path, data)

    def patch(self, path: str, data: Any) -> Any:
        """Change."""
        return self._ask("PATCH", path, data)

    def reset(self) -> None:
        """Forget everything but the settings."""
        self.post("reset", {"keep_settings": True})

    def reached(self, gateway: str) -> Counter[str]:
        """Return how often each number was really sent a message."""
        return Counter(self.get(f"counts?gateway={gateway}")[gateway]["numbers"])

    def connections(self) -> dict[str, str]:
        """Return the variables of the environment that define a connection to each gateway."""
        paths = {"smspartner": "v1", "voicepartner": "v1", "octopush": "v1/public"}
        return {
            f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(
                {
                    "conn_type": name,
                    "host": f"{self.url}/{name}/{path}",
                    "password": "sandbox-key",
                    "login": "sandbox@example.org",
                    "extra": EXTRA.get(name, {}),
                }
            )
            for name, path in paths.items()
        }
