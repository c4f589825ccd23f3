"""Requests as the vendors' own clients, samples and pages shape them, and what is odd about each.

Written from the descriptions of the three APIs. Numbers, keys and texts are invented.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

KEY = "sandbox-key"
JSON = "application/json"


@dataclass(frozen=True)
class VendorRequest:
    """
    One request.

    :param source: whose client or page shapes it so.
    :param body: the JSON body; a text is sent as it is.
    :param oddity: a part of the remark that it earns; ``None``: it is as documented, and strict takes it too.
    :param strict: what strict refuses it with.
    """

    source: str
    gateway: str
    path: str
    body: dict[str, Any]
    oddity: str | None = None
    strict: object = None
    content_type: str | None = JSON
    numbers: tuple[str, ...] = ("+33600000001",)
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Name the test."""
        return f"{self.gateway}: {self.source}"

    def data(self) -> bytes:
        """Return the body as it travels."""
        return json.dumps(self.body, ensure_ascii=False).encode()

    def all_headers(self) -> dict[str, str]:
        """Return the headers as they travel."""
        login = {"api-login": "sandbox@example.org", "api-key": KEY} if self.gateway == "octopush" else {}
        declared = {} if self.content_type is None else {"Content-Type": self.content_type}
        return {**login, **declared, "cache-control": "no-cache", **self.headers}


def _sms(source: str, path: str = "/send", /, **more: Any) -> VendorRequest:
    options = {
        name: more.pop(name) for name in ("oddity", "strict", "content_type", "headers") if name in more
    }
    body = {"apiKey": KEY, "phoneNumbers": "+33600000001", "message": "Ceci est votre message", **more}
    return VendorRequest(source, "smspartner", path, body, **options)


def _list(source: str, path: str, /, **more: Any) -> VendorRequest:
    options = {name: more.pop(name) for name in ("oddity", "strict", "content_type") if name in more}
    listed = [
        {"phoneNumber": "0600000001", "message": "msg 0 en temps réel"},
        {"phoneNumber": "0600000002", "message": "msg 1 en temps réel"},
    ]
    body = {"apiKey": KEY, "sender": "mycompany", "SMSList": listed, **more}
    return VendorRequest(
        source, "smspartner", path, body, numbers=("+33600000001", "+33600000002"), **options
    )


def _long(source: str, body: dict[str, Any], **options: Any) -> VendorRequest:
    return VendorRequest(
        source,
        "smspartner",
        "/vn/send",
        {"apiKey": KEY, "message": "This is your message", **body},
        **options,
    )


def _tts(source: str, /, **more: Any) -> VendorRequest:
    options = {name: more.pop(name) for name in ("oddity", "strict", "content_type") if name in more}
    body = {"apiKey": KEY, "phoneNumbers": "0600000001", "text": "Mon premier test", **more}
    return VendorRequest(source, "voicepartner", "/tts/send", body, **options)


def _drop(source: str, /, **more: Any) -> VendorRequest:
    options = {name: more.pop(name) for name in ("oddity", "strict", "content_type") if name in more}
    body = {"apiKey": KEY, "tokenAudio": "a1b2c3d4", "phoneNumbers": "0600000001", **more}
    return VendorRequest(source, "voicepartner", "/campaign/send", body, **options)


def _octopush(source: str, path: str, /, **more: Any) -> VendorRequest:
    options = {name: more.pop(name) for name in ("oddity", "strict", "content_type") if name in more}
    voice = {"voice_gender": "male", "voice_language": "en-US"} if path.startswith("/voice") else {}
    body = {
        "recipients": [{"phone_number": "+33600000001"}], "text": "This is dummy text", "purpose": "alert",
        "sender": "company", **voice, **more,
    }  # fmt: skip
    return VendorRequest(source, "octopush", path, body, **options)


_NOBODYS_FIELDS = dict.fromkeys(["first_name", "last_name", *(f"param{n}" for n in range(1, 6))])

REQUESTS = (
    # SMS Partner
    _sms("send page, Go sample", sender="monentreprise"[:11], scheduledDeliveryDate="21/10/2031", time=9, minute=0),
    _sms("send page, text hour and minute", scheduledDeliveryDate="21/10/2031", time="9", minute="05"),
    _sms("Go client, no Content-Type", gamme=1, sender="mycompany", oddity="Content-Type", strict=90,
         content_type=None),
    _sms("PHP sample, curl's own Content-Type", sender="mycompany", oddity="Content-Type", strict=90,
         content_type="application/x-www-form-urlencoded"),
    _sms("a client that says text/plain", oddity="Content-Type", strict=90, content_type="text/plain;charset=UTF-8"),
    _sms("send page, Swift sample: webhookUrl as a header", headers={"webhookUrl": "https://example.org/TOKEN"}),
    _sms("send page, webhookUrl as a field", webhookUrl="https://example.org/TOKEN", oddity="webhookUrl is ignored"),
    _sms("English send page, range", range=1, oddity="range is ignored"),
    _sms("_format in capitals", _format="JSON", oddity="_format", strict=9),
    _sms("virtualNumber beside a sender", virtualNumber="33644630000", oddity="virtualNumber is ignored", strict=9),
    _sms("a sender with a blank, as in the vendor's own sample", sender="MA BOUTIQUE"),
    _sms("numbers without a plus", phoneNumbers="33600000001", oddity="without a plus", strict=55),
    _sms("optional fields empty", sender="", tag="", urlDlr="", scheduledDeliveryDate=None, time=None, minute=None,
         oddity="urlDlr", strict=9),
    _sms("flags as true and false", isStopSms=False, isUnicode=True, oddity="isUnicode", strict=9),
    _sms("flags as text", isStopSms="0", sandbox="0", gamme="1"),
    _list("bulk page", "/bulk-send"),
    _list("bulk page, posted to send", "/send", scheduledDeliveryDate="12/05/2031", time=9, minute=0),
    _list("Go client, no Content-Type", "/bulk-send", oddity="Content-Type", strict=90, content_type=None),
    _long("C# sample", {"to": "336" + "00000001", "from": "33644630000"}, oddity="without a plus", strict=55),
    _long("documented", {"to": "+33600000001", "from": "33644630000"}),
    _long("virtualNumber", {"to": "+33600000001", "virtualNumber": "33644630000"}, oddity="virtualNumber", strict=9),
    _long("from with a plus", {"to": "+33600000001", "from": "+33644630000"}, oddity="no plus", strict=9),
    # Voice Partner
    _tts("Python client"),
    _tts("curl sample and PHP client: speed", speed="1", notifyUrl="http://127.0.0.1:9/vp", oddity="speed is ignored"),
    _tts("numeric text", speechRate="1", lang="fr", oddity="speechRate", strict=907),
    _tts("numeric text with a comma", speechRate="1,5", oddity="speechRate", strict=907),
    _tts("Go and Java clients", speechRate=1, scheduledDate="2031-05-06 14:15:00"),
    _tts("C# client, seconds", scheduledDate="2031-05-06 14:15:30", oddity="scheduledDate", strict=901),
    _tts("curl sample, ISO date", scheduledDate="2031-05-06T14:15:00", oddity="scheduledDate", strict=901),
    _tts("optional fields empty", notifyUrl="", scheduledDate="", lang=None, oddity="notifyUrl",
         strict="NOTIFY_URL_INVALID"),
    _tts("no Content-Type", oddity="Content-Type", strict=400, content_type=None),
    _tts("numbers without a plus", phoneNumbers="33600000001", oddity="without a plus", strict="DESTINATION_INVALID"),
    _tts("a field of the sister API", sender="MyApp", oddity="sender", strict=906),
    _drop("Python client", emailForNotification="email@example.com"),
    _drop("page's curl sample, without an address"),
    _drop("a sender with blanks", sender="06 00 00 00 00", oddity="blanks", strict="SENDER_INVALID"),
    # Octopush
    _octopush("PHP client, SMS", "/sms-campaign/send", type="sms_premium", with_replies=False,
              recipients=[{"phone_number": "+33600000001", "param1": "Alex"}]),
    _octopush("Java sample, SMS: nulls and empty texts", "/sms-campaign/send", type="sms_premium", send_at="",
              request_id="", simulation_mode=False, auto_optimize_text=True, with_replies=None, list_name=None,
              recipients=[{**_NOBODYS_FIELDS, "phone_number": "+33600000001", "param1": "Alex"}],
              oddity="Empty", strict=909),
    _octopush("Java sample, voice", "/voice-campaign/send", type="sms_premium", purpose="WholeSale", send_at=None,
              request_id=None, list_name=None, simulation_mode=False,
              recipients=[{**_NOBODYS_FIELDS, "phone_number": "+33600000001"}], oddity="small letters", strict=906),
    _octopush("PHP client, voice type", "/voice-campaign/send", type="vocal_sms", oddity="type", strict=910),
    _octopush("PHP client, send_at without an offset", "/sms-campaign/send", send_at="2031-05-06 14:15:00",
              oddity="Paris", strict=908),
    _octopush("send_at without an offset", "/voice-campaign/send", send_at="2031-05-06T14:15:00", oddity="Paris",
              strict=908),
    _octopush("send_at with an offset", "/voice-campaign/send", send_at="2031-05-06T14:15:00+02:00"),
    _octopush("older pages: a sender with a blank", "/sms-campaign/send", sender="My Company", oddity="blanks",
              strict=907),
    _octopush("numbers without a plus", "/sms-campaign/send", recipients=[{"phone_number": "33600000001"}],
              oddity="without a plus", strict=904),
    _octopush("flags as text", "/sms-campaign/send", simulation_mode="false", with_replies=0, oddity="true or false",
              strict=909),
    _octopush("no Content-Type", "/sms-campaign/send", oddity="Content-Type", strict=901, content_type=None),
    _octopush("older PHP name", "/sms-campaign/send", with_answers=False, oddity="with_answers", strict=910),
)  # fmt: skip
