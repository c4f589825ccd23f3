"""SMS Partner: the fields of a send as the gateway's form checks them, and its refusals.

A field that is wrong alone is refused with its own code (43 to 49, 51, 992), or with 9 if it has none. Several that are
wrong together are one code 9 with an entry for each, ``children[<field>].data``, as the vendor's page shows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_voicepartner.sandbox.clock import PARIS, paris
from airflow_provider_voicepartner.sandbox.settings import SmsPartner
from airflow_provider_voicepartner.sandbox.wire import Answer, Call, NotJsonError, is_url, parsed, whole


class RefusedError(Exception):
    """The gateway says no, with one of its codes."""

    def __init__(self, code: int, message: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.errors = code, message, errors


def refusal(settings: SmsPartner, refused: RefusedError) -> Answer:
    """Return a refusal: HTTP 200 with ``success`` false, unless the settings say 400 (401 for the key)."""
    value: dict[str, Any] = {"success": False, "code": refused.code}
    if refused.errors is None or refused.code == 55:
        value["message"] = refused.message
    if refused.errors is not None:
        value["errors" if refused.code == 55 else settings.errors_key] = refused.errors
    if refused.code == 90:  # documented: malformed JSON is a 400
        return Answer(value, 400)
    if settings.error_status == "200":
        return Answer(value)
    return Answer(value, 401 if refused.code in (1, 10) else 400)


def check_key(settings: SmsPartner, key: object) -> None:
    """Refuse a missing (1) or wrong (10) key."""
    if key is None or key == "":
        raise RefusedError(1, "The apiKey is missing.")
    if key != settings.api_key:
        raise RefusedError(10, "The apiKey is wrong.")


def read_body(call: Call) -> dict[str, Any]:
    """Return a POST's body with its key checked."""
    try:
        body = call.json()
    except NotJsonError as error:
        raise RefusedError(90, str(error)) from error
    check_key(call.world.settings.smspartner, body.get("apiKey"))
    return body


@dataclass(frozen=True, slots=True)
class _Wrong:
    field: str
    message: str
    code: int

    def entry(self) -> dict[str, Any]:
        return {"elementId": f"children[{self.field}].data", "message": self.message}


@dataclass(slots=True)
class Form:
    """The fields of one send, read one by one; what is wrong is collected and refused by :meth:`finish`."""

    call: Call
    body: dict[str, Any]
    found: list[_Wrong] = field(default_factory=list)

    def wrong(self, name: str, message: str, code: int = 9) -> None:
        """Note that a field is wrong; ``code`` is what it is refused with when nothing else is wrong."""
        self.found.append(_Wrong(name, message, code))

    def finish(self) -> None:
        """Refuse the send if anything was wrong."""
        if not self.found:
            return
        [first, *others] = self.found
        if not others and first.code != 9:
            raise RefusedError(first.code, first.message)
        raise RefusedError(9, "A constraint failed.", [wrong.entry() for wrong in self.found])

    def known_fields(self, known: frozenset[str]) -> None:
        """Remark fields that the gateway ignores; one that is not known at all is odd."""
        for name, instead in (("range", "gamme"), ("webhookUrl", "urlDlr")):
            if name in self.body and name in known:
                self.call.record.warn(f"{name} is ignored; the field is {instead}.")
        for name in sorted(self.body.keys() - known):
            if not self.call.tolerates(f"{name} is ignored; no field has this name."):
                self.wrong(name, "This field is not known.")
        self._format()

    def _format(self) -> None:
        form = self.body.get("_format", "json")
        if form == "json":
            return
        if not isinstance(form, str) or form.lower() != "json":
            self.wrong("_format", "The sandbox speaks JSON only.")
        elif not self.call.tolerates("_format should be json, in small letters."):
            self.wrong("_format", "_format must be json.")

    def text(self) -> str:
        """Return the message."""
        value = self.body.get("message")
        if value is None or value == "":
            self.wrong("message", "The message is required", 43)
        elif not isinstance(value, str):
            self.wrong("message", "The message must be a text.")
        return value if isinstance(value, str) else ""

    def flag(self, name: str) -> bool:
        """Return a field that is 0 or 1."""
        value = self.body.get(name, 0)
        if isinstance(value, bool) and self.call.tolerates(f"{name} should be 0 or 1, not true or false."):
            return value
        number = whole(value)
        if number not in (0, 1):
            self.wrong(name, f"{name} must be 0 or 1.")
        return number == 1

    def url(self, name: str) -> str | None:
        """Return a callback URL."""
        value = self.body.get(name)
        if value is None:
            return None
        if not is_url(value):
            self.wrong(name, f"{name} is not a URL.")
        return str(value)

    def tag(self) -> str | None:
        """Return the tag: 1 to 20 characters without a blank."""
        tag = self.body.get("tag")
        if tag is None:
            return None
        if not isinstance(tag, str) or not tag or len(tag) > 20 or re.search(r"\s", tag):
            self.wrong("tag", "The tag must have 1 to 20 characters and no blank.")
        elif tag != tag.lower():
            self.call.record.warn("The tag should be lower case.")
        return str(tag)

    def sender(self) -> str | None:
        """Return the sender: 3 to 11 letters, digits and blanks, and one that the account may use."""
        sender = self.body.get("sender")
        if sender is None or sender == "":
            return None
        if not isinstance(sender, str) or len(sender) < 3:
            self.wrong("sender", "The sender must have 3 to 11 characters.")
        elif len(sender) > 11:
            self.wrong("sender", "The sender cannot be longer than 11 characters")
        elif not re.fullmatch(r"[A-Za-z0-9 ]+", sender):
            self.wrong("sender", "The sender has a character that is not allowed.", 44)
        else:
            allowed = self.call.world.settings.smspartner.senders
            if allowed is not None and sender not in allowed:
                self.wrong("sender", "This sender is not authorised.", 992)
        return str(sender)

    def low_cost(self) -> bool:
        """Tell whether the send is Low Cost."""
        gamme = whole(self.body.get("gamme", 1))
        if gamme not in (1, 2):
            self.wrong("gamme", "gamme must be 1 (Premium) or 2 (Low Cost).")
        if gamme == 2 and not self.call.world.settings.smspartner.low_cost_enabled:
            self.wrong("gamme", "Low Cost is not available.", 51)
        return gamme == 2

    def unicode(self) -> bool:
        """Tell whether the text is sent as Unicode."""
        wanted = self.flag("isUnicode")
        if wanted and not self.call.world.settings.smspartner.unicode_enabled:
            self.wrong("isUnicode", "Unicode is not enabled on this account.")
        return wanted

    def date(self) -> float | None:
        """Return when to send, in Unix seconds; the three fields go together."""
        day, hour, minute = (
            None if value == "" else value
            for value in map(self.body.get, ("scheduledDeliveryDate", "time", "minute"))
        )
        if day is None and hour is None and minute is None:
            return None
        given = parsed(day, "%d/%m/%Y") if isinstance(day, str) and len(day) == 10 else None
        if day is None:
            self.wrong("scheduledDeliveryDate", "The date is required", 45)
        elif given is None:
            self.wrong("scheduledDeliveryDate", "The date must be dd/MM/yyyy.", 49)
        minutes, hours = self._minute(minute), self._hour(hour)
        if given is None:
            return None
        return self._not_past(str(day), given, hours, minutes)

    def _minute(self, value: object) -> int | None:
        minutes = whole(value)
        if minutes is None:
            self.wrong("minute", "The minute is required", 47)
        elif not 0 <= minutes <= 55 or minutes % 5:
            self.wrong("minute", "The minute must be 0 to 55, by 5.", 48)
            return None
        return minutes

    def _hour(self, value: object) -> int | None:
        hours = whole(value)
        if value is None:
            self.wrong("time", "The time is required", 46)
        elif hours is None or not 0 <= hours <= 23:
            self.wrong("time", "time must be an hour from 0 to 23.")
            return None
        return hours

    def _not_past(self, day: str, given: datetime, hours: int | None, minutes: int | None) -> float | None:
        """Return the date; without an hour only a day that is over counts as past."""
        now = self.call.world.clock.calendar()
        date = given.replace(hour=hours or 0, minute=minutes or 0, tzinfo=PARIS)
        whole_date = hours is not None and minutes is not None
        if date.timestamp() < now if whole_date else date.date() < paris(now).date():
            shown = f"{'' if hours is None else hours}:{'' if minutes is None else minutes}"
            message = f"The date ({day} at {shown}) is earlier than the current date."
            self.found.insert(self._place_of_the_date(), _Wrong("scheduledDeliveryDate", message, 9))
        return date.timestamp()

    def _place_of_the_date(self) -> int:
        """Return where the vendor's page lists the date: before the minute and the time."""
        return sum(wrong.field not in ("minute", "time") for wrong in self.found)
