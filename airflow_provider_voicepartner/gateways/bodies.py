"""
The body of a callback: JSON, a form or a multipart form, in the character set that it is in.

What gateways send is not always what its content type says, or it says nothing. So JSON is tried first, whatever is
said, and where a character set is not named, or is not the one that was named, strict UTF-8 and then Windows' Latin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from email import policy
from email.message import Message
from email.parser import BytesParser
from typing import Any, Final
from urllib.parse import parse_qsl

from airflow_provider_voicepartner.constants import LONGEST_CALLBACK_HEAD, MOST_CALLBACK_FIELDS
from airflow_provider_voicepartner.gateways.errors import InvalidCallbackError

_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_BOUNDARY: Final = re.compile(rb"\s*--([^\r\n]{1,70})\r?\n")
_HEAD_END: Final = re.compile(rb"\A\r?\n|\r?\n\r?\n")
_PARTS: Final = BytesParser(policy=policy.HTTP)
_LAST_RESORT: Final = "latin-1"
"""Knows every byte, also the five that Windows' Latin leaves out."""


def loads(text: str | bytes) -> Any:
    """
    Decode JSON with exact decimals.

    :raises ValueError: for anything that is not JSON, including nesting too deep to follow.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    if text.startswith("\ufeff"):
        raise ValueError("JSON that begins with a byte order mark")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None
    except InvalidOperation:
        raise ValueError("a number's exponent is out of range") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
"""Made once: ``json.loads`` with these would make one for each text."""


def read_body(body: bytes, content_type: str) -> dict[str, Any]:
    """
    Read the fields of a body.

    :param content_type: as it came; may be empty or wrong.
    :raises InvalidCallbackError: it is none of the three shapes, or JSON but no object.
    """
    header = _header(content_type)
    charset = header.get_content_charset()
    try:
        data = _loads_bytes(body.strip(), charset)
    except ValueError:
        pass
    else:
        if isinstance(data, dict):
            return data
        raise InvalidCallbackError("the callback's body is JSON but not an object")
    boundary = _boundary(header, body)
    form = _read_multipart(body, boundary, charset) if boundary else {}
    if not form and b"=" in body:  # Otherwise any text would be a form of one blank field.
        form = read_form(body.strip(), charset)
    if not form:
        raise InvalidCallbackError("the callback's body is neither JSON nor a form")
    return form


def read_form(form: bytes, charset: str | None) -> dict[str, Any]:
    """
    Read a form as it stands in a body or in a query; what is no form gives no fields.

    :param charset: of what its percent signs and its other bytes mean, where it is known.
    """
    # Unescaped characters go through the same decoding as escaped ones.
    escaped = _NOT_ASCII.sub(lambda found: b"%%%02X" % found[0][0], form).decode("ascii")
    for encoding in _encodings(charset):
        try:
            return dict(
                parse_qsl(
                    escaped,
                    keep_blank_values=True,
                    max_num_fields=MOST_CALLBACK_FIELDS,
                    encoding=encoding,
                    errors="strict",
                )
            )
        except UnicodeError:
            continue
        except ValueError:  # too many fields
            break
    return {}


def decode(text: bytes, charset: str | None) -> str:
    """
    Decode a text of a gateway.

    :param charset: that it says to be in; an unknown or a wrong one is passed over.
    """
    for encoding in _encodings(charset):
        try:
            return text.decode(encoding)
        except UnicodeError:  # which some raise that are no UnicodeDecodeError
            continue
    return text.decode(_LAST_RESORT)


def _encodings(charset: str | None) -> Iterator[str]:
    if charset:
        try:
            "".encode(charset)
            yield charset
        except (LookupError, ValueError):
            pass  # unknown, or no character set at all
    yield from ("utf-8", "cp1252", _LAST_RESORT)


def _loads_bytes(body: bytes, charset: str | None) -> Any:
    # JSON shows by its first bytes whether it is UTF-16 or UTF-32, or has a byte order mark.
    seen = json.detect_encoding(body)
    return loads(decode(body, charset if seen == "utf-8" else seen))


def _header(content_type: str) -> Message:
    header = Message()
    if len(content_type) > LONGEST_CALLBACK_HEAD:
        return header
    try:
        header["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
        header.get_content_charset()
    except (ValueError, LookupError):
        return Message()
    return header


def _boundary(header: Message, body: bytes) -> str | None:
    said = header.get_boundary()
    if said and header.get_content_maintype() == "multipart":
        return said
    found = _BOUNDARY.match(body)
    return found[1].decode("latin-1").rstrip() if found and b"form-data" in body else None


def _read_multipart(body: bytes, boundary: str, charset: str | None) -> dict[str, Any]:
    line = re.escape(boundary.encode("latin-1", "replace"))
    # Cut by hand: a parser of mail follows parts into parts, and takes 15 s for 64 kB that are made for it.
    _, *parts = re.split(rb"(?:\A|\r?\n)--%s(?:--)?[ \t]*(?=\r?\n|\Z)" % line, body)
    if len(parts) > MOST_CALLBACK_FIELDS:
        return {}
    fields: dict[str, Any] = {}
    for part in parts:
        name, value = _read_part(part.partition(b"\n")[2], charset)
        if name is not None:
            fields[name] = value
    return fields


def _read_part(part: bytes, charset: str | None) -> tuple[str | None, str]:
    """
    Read one field of a multipart form.

    :returns: its name, None where it has none, and its value.
    :raises InvalidCallbackError: its headers are longer than any that name a field, or cannot be read.
    """
    end = _HEAD_END.search(part)
    if (end.start() if end else len(part)) > LONGEST_CALLBACK_HEAD:
        raise InvalidCallbackError("a part of the callback's form has too long headers")
    try:
        message = _PARTS.parsebytes(part, headersonly=True)
        name = message.get_param("name", header="content-disposition")
        value = message.get_payload(decode=True)
        said = message.get_content_charset()
    except (ValueError, LookupError):
        raise InvalidCallbackError("a part of the callback's form has headers that mean nothing") from None
    if not isinstance(name, str) or not isinstance(value, bytes):
        return None, ""
    return name, decode(value, said or charset)
