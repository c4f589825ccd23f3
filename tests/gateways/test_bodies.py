"""A callback's body says the same in every character set and shape that a gateway, or a proxy, may send it in."""

from __future__ import annotations

import contextlib
import json
import time
from urllib.parse import urlencode

import pytest

from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError
from airflow_provider_voicepartner.gateways.parsing import read_callback
from airflow_provider_voicepartner.gateways.wire import CallbackRequest

TEXT = "Déjà payé, 12 €, l’été à Nîmes"
FIELDS = {"type": "response", "phone_number": "+33612345678", "text": TEXT}
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def multipart(fields: dict[str, str], charset: str, *, says: str = "", boundary: str = "xY7") -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n{says}\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return f"{''.join(parts)}--{boundary}--\r\n".encode(charset)


def form(charset: str) -> bytes:
    return urlencode(FIELDS, encoding=charset).encode()


def as_json(charset: str) -> bytes:
    return json.dumps(FIELDS, ensure_ascii=False).encode(charset)


BODIES = [
    (as_json("utf-8"), JSON), (as_json("utf-8"), ""), (as_json("utf-8-sig"), JSON), (as_json("utf-16"), JSON),
    (as_json("cp1252"), f"{JSON}; charset=windows-1252"), (as_json("cp1252"), JSON), (as_json("cp1252"), ""),
    (as_json("cp1252"), f"{JSON}; charset=utf-8"), (as_json("utf-8"), f"{JSON}; charset=nonsense"),
    (as_json("utf-8"), f'{JSON}; charset="UTF-8"'), (as_json("utf-8"), f"{JSON}; charset=hex"),
    (as_json("mac_roman"), f"{JSON}; charset=macintosh"),
    (form("utf-8"), FORM), (form("utf-8"), ""), (form("cp1252"), FORM), (form("cp1252"), f"{FORM}; charset=cp1252"),
    (form("cp1252"), f"{FORM}; charset=utf-8"), (urlencode(FIELDS, safe=TEXT).encode("cp1252"), FORM),
    (urlencode(FIELDS, safe=TEXT).encode(), FORM), (form("utf-8"), JSON), (as_json("utf-8"), FORM),
    (multipart(FIELDS, "utf-8"), "multipart/form-data; boundary=xY7"),
    (multipart(FIELDS, "utf-8"), 'multipart/form-data; boundary="xY7"'),
    (multipart(FIELDS, "cp1252"), "multipart/form-data; boundary=xY7"),
    (multipart(FIELDS, "cp1252", says="Content-Type: text/plain; charset=windows-1252\r\n"),
     "multipart/form-data; boundary=xY7"),
    (multipart(FIELDS, "utf-8"), ""), (multipart(FIELDS, "utf-8"), FORM), (b"\r\n" + multipart(FIELDS, "utf-8"), ""),
    (multipart(FIELDS, "utf-8", boundary="----WebKitForm'()+_,-./:=?"),
     "multipart/form-data; boundary=\"----WebKitForm'()+_,-./:=?\""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "content_type"), BODIES)
def test_the_fields_are_the_same(body: bytes, content_type: str) -> None:
    assert read_callback(CallbackRequest(method="POST", body=body, content_type=content_type)) == FIELDS


@pytest.mark.parametrize(
    "query",
    [
        urlencode(FIELDS), urlencode(FIELDS, encoding="cp1252"),
        urlencode(FIELDS, safe=TEXT).encode().decode("latin-1"),
        urlencode(FIELDS, safe=TEXT).encode("cp1252").decode("latin-1"), urlencode(FIELDS, safe=TEXT),
    ],
)  # fmt: skip
def test_a_query_is_read_likewise(query: str) -> None:
    assert read_callback(CallbackRequest(method="GET", query=query)) == FIELDS


def test_the_body_goes_before_the_query() -> None:
    call = CallbackRequest(method="POST", query="text=query&more=1", body=b"text=body", content_type=FORM)
    assert read_callback(call) == {"text": "body", "more": "1"}


@pytest.mark.parametrize("value", ["", "two\r\nlines", "a=b&c=d", "--xY", " blanks ", "\x81\x8d"])
def test_a_part_keeps_its_value(value: str) -> None:
    fields = {"phone_number": "+33612345678", "text": value}
    call = CallbackRequest(
        method="POST", body=multipart(fields, "utf-8"), content_type="multipart/form-data; boundary=xY7"
    )
    assert read_callback(call) == fields


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", JSON), (b"  ", FORM), (b"[1]", JSON), (b"no form", FORM), (b"\xff\xfe\x00", ""), (b"null", ""),
        (b"--xY7\r\nnothing", "multipart/form-data; boundary=xY7"), (b"--xY7--", "multipart/form-data; boundary=xY7"),
        (b"x", "multipart/form-data"), (b"x", "multipart/form-data; boundary="), (b"x", "\r\nX: y; boundary"),
        (b"&".join(b"a%d=1" % place for place in range(201)), FORM), (b'{"a": ' * 5_000, JSON),
        (b"--" + b"x" * 60_000, "multipart/form-data; boundary=" + "x" * 60_000), (b"x", "; charset=\x00"),
    ],
)  # fmt: skip
def test_what_is_none_of_these_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidCallbackError):
        read_callback(CallbackRequest(method="POST", body=body, content_type=content_type))


HEAD = b'Content-Disposition: form-data; name="text"'


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\nContent-Disposition: form-data; name=" + b'"\\"' * 20_000 + b"\r\n\r\nx\r\n--b--",
        b"".join(
            b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (n, n + 1) for n in range(1_200)
        ),
        b"--b\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 2_000,
        b"--b\r\n" + HEAD + b"\r\nContent-Type: text/plain; charset*=\x00'x'a\r\n\r\nx\r\n--b--",
        b"--b\r\n" + HEAD + b"\r\n ;a=b" * 7_000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data" + b";a*0=b" * 9_000 + b"; name*0=x\r\n\r\nx\r\n--b--",
        (b"--b\r\n" + HEAD + b"\r\n\r\nx\r\n") * 201 + b"--b--",
    ],
    ids=["quotes", "parts in parts", "mails in a mail", "charset", "folded", "continued", "parts"],
)
@pytest.mark.parametrize("says", ["multipart/form-data; boundary=b", ""])
def test_a_multipart_form_that_is_made_to_take_long_ends_at_once(body: bytes, says: str) -> None:
    began = time.process_time()
    with contextlib.suppress(InvalidCallbackError):
        read_callback(CallbackRequest(method="POST", body=body[:65_536], content_type=says))
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("says", ["idna", "punycode", "utf-32", "utf-7", "undefined", "rot13", "\x01"])
def test_a_charset_that_it_is_not_in_is_passed_over(says: str) -> None:
    body = multipart({"text": TEXT}, "utf-8", says=f"Content-Type: text/plain; charset={says}\r\n")
    call = CallbackRequest(method="POST", body=body, content_type="multipart/form-data; boundary=xY7")
    assert read_callback(call) == {"text": TEXT}


@pytest.mark.parametrize("says", ["\x00'x'a", "utf-32'x'a%ff", f"x'y'{'z' * 600}"])
def test_a_charset_that_means_nothing_is_refused_as_every_body_is(says: str) -> None:
    body = multipart({"text": TEXT}, "utf-8", says=f"Content-Type: text/plain; charset*={says}\r\n")
    with pytest.raises(InvalidCallbackError):
        read_callback(
            CallbackRequest(method="POST", body=body, content_type="multipart/form-data; boundary=xY7")
        )


def test_a_percent_sign_that_escapes_nothing_is_one() -> None:
    call = CallbackRequest(method="POST", body=b"text=100%25+sur+50%", content_type=FORM)
    assert read_callback(call) == {"text": "100% sur 50%"}
