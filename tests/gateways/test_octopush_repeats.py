"""A refusal is a repeat's only where it says so of the request id, and of nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_voicepartner.gateways.octopush.codes import DUPLICATE_CODE
from airflow_provider_voicepartner.gateways.octopush.refusals import names_duplicate

REPEATS: list[Any] = [
    # The number of the vendor's previous API.
    {"code": 120},
    {"code": "120", "message": "x"},
    {"code": 400, "errors": [{"code": 120, "message": "x"}]},
    {"code": 400, "errors": {"request_id": {"code": 120}}},
    {"code": 400, "errors": {"request_id": [{"code": "120", "message": "x"}]}},
    {"code": 400, "errors": [{"field": "request_id", "code": 120}]},
    {"code": 120, "message": "The request_id of this sender was used before"},
    # One text.
    {"message": "The request_id has already been used."},
    {"message": "This request_id was already used."},
    {"message": "request id already in use"},
    {"message": "request-id already exists"},
    {"message": "requestId already taken"},
    {"message": "Duplicate request id"},
    {"message": "Duplicated request_id"},
    {"message": "A request with this request_id was already received"},
    {"message": "request_id used in the last 24 hours"},
    {"message": "request_id used twice"},
    {"message": "The payload is wrong. The request_id has already been used."},
    {"message": "The request_id is not valid: it has already been used"},
    {"message": "request_id already used; choose a new one"},
    {"message": "Ce request_id est déjà utilisé"},
    {"message": "request_id déjà pris"},
    {"message": "Ce request_id existe déjà"},
    {"message": "Doublon de request_id"},
    {"code": "REQUEST_ID_ALREADY_USED"},
    {"error": "duplicate_request_id"},
    {"errors": ["The request_id has already been used"]},
    # A field of its name.
    {"errors": {"request_id": ["This value is already in use."]}},
    {"errors": {"request_id": "already used"}},
    {"errors": {"requestId": "already used"}},
    {"errors": {"REQUEST_ID": "already used"}},
    {"errors": {"data.request_id": "already used"}},
    {"errors": {"children[request_id].data": ["already used"]}},
    {"errors": {"request_id": {"message": "already used", "code": 931}}},
    {"errors": {"request_id": {"messages": ["already used"]}}},
    {"errors": {"request_id": "already used", "sender": "is too long"}},
    {"errors": {"sender": "is too long", "request_id": "already used"}},
    {"violations": [{"field": "request_id", "message": "Was used in the last 24 hours"}]},
    {"violations": [{"propertyPath": "request_id", "title": "already used"}]},
    {"violations": [{"name": "sender", "message": "x"}, {"name": "request_id", "message": "already used"}]},
    {"data": {"violations": [{"param": "body.request_id", "detail": "already used"}]}},
]

OTHERS: list[Any] = [
    {},
    {"code": 400, "message": "x"},
    # Of another field, in whatever shape.
    {"errors": {"request_id": "is not a valid identifier", "sender": "already reserved by another account"}},
    {"errors": {"request_id": ["is not a valid identifier"], "sender": ["already used"]}},
    {"errors": [{"request_id": "is not a valid identifier", "sender": "already used"}]},
    {"errors": [{"message": "request_id is odd"}, {"message": "the sender is already taken"}]},
    {"errors": ["request_id is odd", "sender already taken"]},
    {"errors": [{"field": "sender", "message": "already used", "value": "request_id"}]},
    {"errors": [{"field": "sender", "message": "already used with this request_id"}]},
    {"errors": {"sender": "already used (request_id 5f0c)"}},
    {"errors": {"sender": ["request_id already used"]}},
    {"errors": {"sender": {"request_id": "5f0c", "message": "already used"}}},
    {"errors": {"request_id": {"sender": "already used"}}},
    {"errors": {"request_id": {"value": "already used"}}},
    {"errors": {"request_id": "already used by the sender"}},
    {"errors": {"recipients": "number already used", "request_id": "x"}},
    {"errors": [{"fields": ["request_id", "sender"], "message": "already used"}]},
    {"errors": [{"field": "request_id, sender", "message": "already used"}]},
    {"errors": {"sender_of_request_id": "already used"}},
    {"errors": {"sender": {"code": 120, "message": "x"}}},
    {"errors": [{"field": "recipients", "code": 120}]},
    {"code": 120, "message": "This sender is already in use"},
    # An id that is only quoted.
    {"request_id": "k3v9x0q2w7ha", "message": "sender already used"},
    {"request_id": "k3v9x0q2w7ha", "message": "already used"},
    {"errors": [{"request_id": "k3v9x0q2w7ha", "message": "already used"}]},
    # One text about both.
    {"message": "request_id is malformed. The sender is already used."},
    {"message": "request_id is malformed; sender already used"},
    {"message": "request_id is malformed, the sender was already used"},
    {"message": "request_id is malformed and the sender is already used"},
    {"message": "request_id is malformed but this value already exists"},
    {"message": "request_id is malformed\nsender already used"},
    {"message": "request_id malformed sender already used"},
    {"message": "le request_id est faux et la valeur est déjà utilisée"},
    # Not used, perhaps used, or not by us.
    {"message": "request_id has not been used"},
    {"message": "request_id was never used"},
    {"message": "request_id hasn't already been used"},
    {"message": "Ce request_id n'est pas déjà utilisé"},
    {"message": "request_id must not be already in use"},
    {"message": "request_id must not have been used in the last 24 hours"},
    {"message": "Fails if the request_id was already used"},
    {"message": "request_id may have been used before"},
    {"message": "request_id is invalid or already used"},
    {"errors": {"request_id": "is invalid or already used"}},
    {"errors": {"request_id": "already reserved by another account"}},
    # Something else was used.
    {"message": "request_id can only be used with campaigns"},
    {"message": "request_id is used to recognise repeats"},
    {"message": "The request_id used is not valid"},
    {"message": "request_id is too long"},
    {"message": "Duplicate field request_id"},
    {"message": "request_id already"},
    {"message": "This value is already used"},
    {"message": "120"},
    {"code": 1200},
    {"code": True},
    {"errors": {"request_id": None}},
    {"errors": {"request_id": 120}},
    # Not in words.
    {"errors": [["request_id"], ["already used"]]},
]  # fmt: skip


@pytest.mark.parametrize("data", REPEATS, ids=str)
def test_a_refusal_that_says_it_of_the_request_id(data: Any) -> None:
    assert names_duplicate(data)


@pytest.mark.parametrize("data", OTHERS, ids=str)
def test_a_refusal_that_says_it_of_something_else_or_not_at_all(data: Any) -> None:
    assert not names_duplicate(data)


FIELDS = st.sampled_from(["sender", "recipients", "text", "purpose", "phone_number", "send_at"])
SAID = st.sampled_from(["already used", "is already in use", "was used before", "déjà utilisé", "duplicate"])


@given(field=FIELDS, said=SAID, wrong=st.sampled_from(["is malformed", "is too long", "n'est pas valide"]))
def test_what_is_said_of_another_field_never_counts(field: str, said: str, wrong: str) -> None:
    for shape in (
        {"errors": {"request_id": wrong, field: said}},
        {"errors": [{"request_id": wrong, field: said}]},
        {"errors": [{"field": "request_id", "message": wrong}, {"field": field, "message": said}]},
        {"message": f"request_id {wrong}; {field} {said}"},
        {"message": f"{field} {said}, request_id {wrong}"},
    ):
        assert not names_duplicate(shape), shape


def test_a_very_deep_or_very_long_refusal() -> None:
    deep: Any = {"request_id": "already used"}
    for _ in range(900):
        deep = {"errors": [deep]}
    assert not names_duplicate(deep)
    assert not names_duplicate({"errors": [{"message": "x" * 10_000}] * 10_000})


WORDS = (
    "message",
    "messages",
    "msg",
    "detail",
    "details",
    "description",
    "reason",
    "title",
    "error",
    "errors",
)


@pytest.mark.parametrize("key", WORDS)
def test_a_repeat_is_read_under_every_name_of_what_is_said(key: str) -> None:
    assert names_duplicate({"errors": [{key: "request_id already used"}]})
    assert names_duplicate({"request_id": [{key: "already used"}]})
    assert not names_duplicate({"sender": [{key: "already used"}]})


@pytest.mark.parametrize("key", WORDS)
def test_the_code_of_a_repeat_is_none_where_the_words_are_about_something_else(key: str) -> None:
    assert names_duplicate({"code": DUPLICATE_CODE, key: "The request id is taken."})
    assert not names_duplicate({"code": DUPLICATE_CODE, key: "The sender is taken."})


PLACES = (
    "field",
    "property",
    "propertyPath",
    "property_path",
    "path",
    "name",
    "param",
    "parameter",
    "attribute",
    "pointer",
)


@pytest.mark.parametrize("key", PLACES)
def test_the_field_of_a_repeat_is_read_under_every_name_of_a_field(key: str) -> None:
    assert names_duplicate({"errors": [{key: "request_id", "message": "already used"}]})
    assert not names_duplicate({"errors": [{key: "sender", "message": "already used"}]})
    assert not names_duplicate({"errors": [{key: "sender", "message": "request_id already used"}]})
