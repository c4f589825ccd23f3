from __future__ import annotations

from typing import Any

import pytest

from .conftest import KEY, Api

ONE, TWO = "+33600000001", "+33600000002"


def test_counts_show_who_got_a_message_twice(api: Api) -> None:
    api.send(phoneNumbers=f"{ONE},{TWO}", tag="a")
    api.send(phoneNumbers=ONE, tag="b")
    api.tts(phoneNumbers=ONE, notifyUrl="http://127.0.0.1:9/ref-1")
    counts = api.control("GET", "/counts")
    assert counts["smspartner"] == {
        "campaigns": 2, "messages": 3, "parts": 3, "numbers": {ONE: 2, TWO: 1},
        "references": {"a": {"campaigns": 1, "messages": 2}, "b": {"campaigns": 1, "messages": 1}},
    }  # fmt: skip
    assert counts["voicepartner"]["references"] == {
        "http://127.0.0.1:9/ref-1": {"campaigns": 1, "messages": 1}
    }
    assert api.control("GET", "/counts?gateway=smspartner&at_least=2")["smspartner"]["numbers"] == {ONE: 2}
    assert api.control("GET", "/counts?reference=b")["smspartner"]["references"].keys() == {"b"}


def test_requests_are_kept_without_keys(api: Api) -> None:
    api.send(apiKey="a-real-key")
    api.sms_get("/me", apiKey="a-real-key")
    for method, path in (
        ("GET", "/me/a-real-key"),
        ("DELETE", "/campaign/cancel/a-real-key/x"),
        ("GET", "/audios/a-real-key"),
    ):
        api.call("voicepartner", method, path)
    api.call("octopush", "GET", "/wallet/check-balance", headers={"api-key": "a-real-key", "api-login": "me"})
    seen = api.session.get(f"{api.sandbox.url}/_sandbox/requests").text
    assert "a-real-key" not in seen
    assert seen.count("***") == 6
    [posted] = api.control("GET", "/requests", params={"gateway": "smspartner", "method": "POST"})["requests"]
    assert posted["body"] == {"apiKey": "***", "phoneNumbers": ONE, "message": "Hello"}


@pytest.mark.parametrize(
    "body",
    [b'{"message": "\\ud800"}', b'{"phoneNumbers": [1e999, NaN]}', b"[" * 300 + b"]" * 300, b"\xff\xfe"],
)
def test_requests_that_no_json_can_show_are_shown_as_text(api: Api, body: bytes) -> None:
    api.session.post(f"{api.sandbox.url}/smspartner/v1/send", data=body)
    [posted] = api.control("GET", "/requests")["requests"]
    assert posted["body"] is not None


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b'{"at": 1e999}', b'{"seconds": NaN}', b'["\\ud800"]', b'"\\ud800"']
)
@pytest.mark.parametrize("path", ["/clock", "/faults", "/settings"])
def test_what_the_control_api_cannot_read_is_said_to_be_wrong(api: Api, path: str, body: bytes) -> None:
    for method in ("POST", "PUT", "PATCH"):
        answer = api.session.request(
            method,
            f"{api.sandbox.url}/_sandbox{path}",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code in (400, 405, 422)


def test_requests_can_be_filtered(api: Api) -> None:
    api.send()
    api.send(message="")
    api.sms_get("/me")
    taken = api.control("GET", "/requests", params={"taken": True})["requests"]
    assert [record["path"] for record in taken] == ["/smspartner/v1/send"]
    assert len(api.control("GET", "/requests", params={"path": "/send"})["requests"]) == 2
    assert len(api.control("GET", "/requests", params={"limit": 1, "offset": 2})["requests"]) == 1


def test_messages_can_be_filtered(api: Api) -> None:
    first = api.send(phoneNumbers=f"{ONE},{TWO}", tag="a").json()["message_id"]
    api.octopush_sms(ONE)

    def ask(**query: Any) -> Any:
        return api.control("GET", "/messages", params=query)["messages"]

    assert len(ask()) == 3
    assert [message["gateway"] for message in ask(number=ONE)] == ["smspartner", "octopush"]
    assert len(ask(campaign=first)) == len(ask(reference="a")) == 2
    assert ask(gateway="octopush")[0]["status"] == "ACK"
    api.later(60)
    assert ask(gateway="octopush")[0] | {"campaign": ""} == {
        "gateway": "octopush", "campaign": "", "kind": "sms", "reference": None, "number": ONE, "text": "Hello",
        "parts": 1, "cost": "0.0495", "simulated": False, "cancelled": False, "status": "DELIVERED", "final": True,
    }  # fmt: skip


def test_outcomes_are_listed_and_removed(api: Api) -> None:
    api.control("POST", "/outcomes", json=[{"number": ONE, "outcome": "busy"}, {"outcome": "silent"}])
    assert len(api.control("GET", "/outcomes")["outcomes"]) == 2
    api.octopush_call(ONE, TWO)
    api.later(60)
    assert [m["status"] for m in api.control("GET", "/messages")["messages"]] == ["BUSY", "ACK"]
    assert api.control("DELETE", "/outcomes", params={"number": ONE})["removed"] == 1
    assert api.control("DELETE", "/outcomes")["removed"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/outcomes", {"outcome": "lucky"}),
        ("POST", "/faults", {"kind": "fire"}),
        ("POST", "/faults", {"kind": "500", "surprise": 1}),
        ("POST", "/clock/advance", {"seconds": -1}),
        ("PATCH", "/settings", {"surprise": 1}),
        ("PATCH", "/settings", {"callbacks": {"loss": 2}}),
        ("POST", "/credit", {"gateway": "other", "amount": 1}),
        ("POST", "/inbound", {"gateway": "octopush", "number": "0600000001"}),
    ],
)
def test_orders_are_checked(api: Api, method: str, path: str, body: dict[str, Any]) -> None:
    assert api.session.request(method, f"{api.sandbox.url}/_sandbox{path}", json=body).status_code == 422


def test_reset_forgets_everything(api: Api) -> None:
    api.settings(failure_rate=0.5)
    first = api.send(tag="a").json()
    api.control("POST", "/faults", json={"kind": "500"})
    api.control("POST", "/clock/advance", json={"seconds": 1000})
    api.control("POST", "/reset", json={})
    status = api.control("GET", "")
    assert (status["requests"], status["faults"], status["credit"]["smspartner"]) == (0, 0, "1000")
    assert api.control("GET", "/settings")["failure_rate"] == 0
    assert api.send(tag="a").json() == first
    api.settings(failure_rate=0.5)
    api.control("POST", "/reset", json={"keep_settings": True, "seed": 9})
    assert api.control("GET", "/settings")["failure_rate"] == 0.5
    assert api.control("GET", "")["seed"] == 9


def test_the_clock(api: Api) -> None:
    before = api.control("GET", "/clock")
    after = api.control("POST", "/clock/advance", json={"seconds": 90})
    assert after["now"] - before["now"] == pytest.approx(90)
    assert api.control("POST", "/clock/speed", json={"speed": 0})["speed"] == 0
    assert api.control("POST", "/callbacks/wait") == {"quiet": True}


def test_a_failure_rate(api: Api) -> None:
    api.settings(failure_rate=0.3)
    message_id = api.send(phoneNumbers=",".join(f"+336{n:08d}" for n in range(200))).json()["message_id"]
    api.later(60)
    entries = api.sms_get("/bulk-status", messageId=message_id).json()["StatutResponse_List"]
    assert 30 < sum(entry["status"] == "Not delivered" for entry in entries) < 90


def test_the_openapi_page_describes_everything(api: Api) -> None:
    described = api.session.get(f"{api.sandbox.url}/openapi.json").json()
    operations = [
        (path, operation) for path, methods in described["paths"].items() for operation in methods.values()
    ]
    assert len(operations) > 40
    for path, operation in operations:
        assert operation["summary"], path
        assert operation["description"], path
        assert operation["tags"], path
    body = described["paths"]["/smspartner/v1/send"]["post"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    assert body["required"] == ["apiKey", "phoneNumbers", "message"]


def test_the_described_examples_are_accepted(api: Api) -> None:
    described = api.session.get(f"{api.sandbox.url}/openapi.json").json()["paths"]
    headers = {"api-login": "sandbox@example.org", "api-key": KEY}
    sends = [path for path in described if path.endswith("send") and not path.startswith("/_sandbox")]
    assert len(sends) == 7
    for path in sends:
        example = described[path]["post"]["requestBody"]["content"]["application/json"]["schema"]["example"]
        if "request_id" in example:
            example["request_id"] = path
        answer = api.session.post(api.sandbox.url + path, json=example, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        assert answer.json().get("success", True), answer.text
