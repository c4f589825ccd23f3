"""What becomes of a message: the rules set for a number, and each gateway's words for an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_voicepartner.sandbox.settings import Delays, Gateway

Outcome = Literal["delivered", "not_delivered", "ko", "busy", "refused", "opted_out", "silent", "late"]

_WORDS: dict[str, dict[str, str]] = {
    "smspartner": {
        "delivered": "Delivered", "late": "Delivered", "not_delivered": "Not delivered", "ko": "ko",
        "busy": "Not delivered", "refused": "Not delivered", "opted_out": "Not delivered",
    },
    "voicepartner": {
        "delivered": "delivered", "late": "delivered", "not_delivered": "undelivered", "ko": "undelivered",
        "busy": "undelivered", "refused": "undelivered", "opted_out": "undelivered",
    },
    "octopush": {
        "delivered": "DELIVERED", "late": "DELIVERED", "not_delivered": "NOT_DELIVERED",
        "ko": "NOT_DELIVERABLE", "busy": "BUSY", "refused": "REFUSED", "opted_out": "BLACKLISTED_NUMBER",
    },
}  # fmt: skip

PENDING = {"smspartner": "Waiting", "voicepartner": "pending", "octopush": "ACK"}
"""Each gateway's word for a message that is still on its way."""

LATE_SECONDS = 3600.0


class Rule(BaseModel):
    """What is to become of the messages to a number."""

    model_config = ConfigDict(extra="forbid")

    number: str = Field("*", description="A number as +…, or * for every number that has no rule.")
    gateway: Gateway | None = Field(None, description="Only messages of this gateway; null: of all three.")
    outcome: Outcome = "delivered"
    status: str | None = Field(None, description="The vendor's own status word, in place of the outcome's.")
    after: float | None = Field(None, ge=0, description="Sandbox seconds until the outcome, not drawn.")
    pressed_keys: str | None = Field(
        None, pattern=r"^[0-9*#]*$", description="Keys pressed in an Octopush call."
    )
    reply: str | None = Field(None, description="The recipient answers the SMS with this text.")
    reply_times: int = Field(1, ge=1, le=10, description="How often the reply is sent, one second apart.")
    link: Literal["open", "press"] | None = Field(
        None,
        description="The recipient opens the last link of the SMS, as programs that preview messages do, or also "
        "presses the first button of the page.",
    )
    stop: bool = Field(
        False, description="The recipient answers the SMS with STOP and is opted out from then on."
    )


@dataclass(frozen=True, slots=True)
class Fate:
    """What was decided for one message when it was taken."""

    word: str | None
    """The gateway's word for the final status; ``None``: no report ever comes."""
    delay: float
    picked_up: bool
    pressed_keys: str | None
    reply: str | None
    stop: bool
    reply_times: int = 1
    link: str | None = None


class RuleBook:
    """The rules in force: exact number and gateway first, then the number, then ``*``."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str | None, str], Rule] = {}

    def set(self, rule: Rule) -> None:
        """Put a rule in force, in place of the one for the same number and gateway."""
        self._rules[rule.gateway, rule.number] = rule

    def find(self, gateway: str, number: str) -> Rule | None:
        """Return the most precise rule for a message, if any."""
        if not self._rules:
            return None
        for key in ((gateway, number), (None, number), (gateway, "*"), (None, "*")):
            if rule := self._rules.get(key):
                return rule
        return None

    def is_opted_out(self, gateway: str, number: str) -> bool:
        """Tell whether a rule says that this number has opted out."""
        rule = self.find(gateway, number)
        return rule is not None and rule.outcome == "opted_out" and rule.status is None

    def remove(self, number: str | None) -> int:
        """Take rules out of force: those of one number, or all; return how many."""
        gone = [key for key in self._rules if number is None or key[1] == number]
        for key in gone:
            del self._rules[key]
        return len(gone)

    def all(self) -> list[Rule]:
        """Return every rule in force."""
        return list(self._rules.values())


def decide(
    rule: Rule | None, gateway: str, kind: str, random: Random, delays: Delays, failure_rate: float
) -> Fate:
    """Decide what becomes of one message. The same random source always decides the same."""
    low, high = (
        delays.sms if kind in ("sms", "vn") else delays.voicemail if kind == "voicemail" else delays.voice
    )
    delay = low + (high - low) * random.random()
    failed = failure_rate > 0 and random.random() < failure_rate
    if rule is None:
        outcome: Outcome = "not_delivered" if failed else "delivered"
        return Fate(_WORDS[gateway][outcome], delay, not failed, None, None, False)
    if rule.outcome == "late":
        delay = LATE_SECONDS
    if rule.after is not None:
        delay = rule.after
    word = None if rule.outcome == "silent" else rule.status or _WORDS[gateway][rule.outcome]
    picked_up = rule.outcome in ("delivered", "late")
    return Fate(word, delay, picked_up, rule.pressed_keys, rule.reply, rule.stop, rule.reply_times, rule.link)
