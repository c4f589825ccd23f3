"""Paths and URIs as a log may show them: they may carry passwords, signatures and, by mistake, phone numbers."""

from __future__ import annotations

import re

from airflow_provider_voicepartner.gateways.wire import mask_number

_USER = re.compile(r"(?<=://)(?:[^/\s:@]*:(?!\d+(?:[/?#]|$))\S*@|[^/\s?#@]*@)")
_QUERY = re.compile(r"[?#]\S*")
_NUMBER = re.compile(r"\+?\d(?:[\s.\-]?\d){7,}")
# A day, perhaps with a time: files are named so, and it is no phone number.
_DATE = re.compile(
    r"(?:19|20)\d\d[-. ]?(?:0[1-9]|1[0-2])[-. ]?(?:0[1-9]|[12]\d|3[01])(?:[-. ]?[0-2]\d(?:[-. ]?[0-5]\d){1,2})?"
)


def without_query(path: str) -> str:
    """Return a URI without its query and fragment; a local path as it is."""
    return _QUERY.sub("", path) if "://" in path else path


def shown_path(path: str) -> str:
    """
    Return a path or URI as a log may show it: no user, password, query or fragment, and numbers masked.

    :param path: as the user wrote it; it may as well be a list of numbers that was taken for a URI.
    """
    if "://" in path:
        path = _QUERY.sub("?…", _USER.sub("", path))
    return _NUMBER.sub(_masked, path)


def _masked(found: re.Match[str]) -> str:
    text = found.group()
    return text if _DATE.fullmatch(text) else mask_number(text)
