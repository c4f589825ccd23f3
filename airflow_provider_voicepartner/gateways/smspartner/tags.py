"""The gateway's tag of a batch: our reference, behind the user's own tag where there is one."""

from __future__ import annotations

import re

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.smspartner.options import REFERENCE_LENGTH

_REFERENCE = re.compile(rf"[a-z0-9]{{{REFERENCE_LENGTH}}}")
_TAG = re.compile(rf"(?:[a-z0-9]{{1,7}}-)?({_REFERENCE.pattern})")


def join_tag(user_tag: str | None, reference: str) -> str:
    """
    Make the tag of a batch; at most 20 characters, the gateway's limit.

    :param user_tag: the option ``tag``, 1 to 7 lower-case letters or digits, or None.
    :param reference: our own id of the batch.
    :raises InvalidArgumentError: for a reference that is not 12 lower-case letters or digits.
    """
    if not _REFERENCE.fullmatch(reference):
        raise InvalidArgumentError(
            "reference", f"must be {REFERENCE_LENGTH} lower-case letters or digits; make a new one"
        )
    return reference if user_tag is None else f"{user_tag}-{reference}"


def reference_of(tag: str | None) -> str | None:
    """Return our reference out of a tag that came back; a tag that is not ours is returned as it is."""
    ours = _TAG.fullmatch(tag) if tag else None
    return ours.group(1) if ours else tag or None
