"""What a gateway in another distribution relies on stays, unless ``API_VERSION`` is raised."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner import gateway_api

RECORDED = Path(__file__).with_name("gateway_api.json")


def parameters_of(thing: Any) -> dict[str, str]:
    """Return the parameters of a call: ``needed`` or ``optional``, by name."""
    try:
        found = inspect.signature(thing).parameters
    except (TypeError, ValueError):
        return {}
    return {
        name: "optional"
        if one.default is not one.empty or one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        else "needed"
        for name, one in found.items()
        if name not in ("self", "_")
    }


def described(thing: Any) -> dict[str, Any]:
    """Return what callers and implementers of a name rely on."""
    if not inspect.isclass(thing):
        return {"call": parameters_of(thing)} if callable(thing) else {}
    members = {
        name: parameters_of(member)
        for name, member in inspect.getmembers_static(thing)
        if not name.startswith("_") and _is_ours(getattr(thing, name, None))
    }
    values = sorted(one.name for one in thing) if hasattr(thing, "__members__") else []
    return {"call": parameters_of(thing), "members": members, "values": values}


def _is_ours(member: Any) -> bool:
    """Say whether a member is a call of this package; those of Airflow's classes differ with its version."""
    return callable(member) and str(getattr(member, "__module__", "")).startswith(
        "airflow_provider_voicepartner"
    )


def present() -> dict[str, Any]:
    return {name: described(getattr(gateway_api, name)) for name in sorted(gateway_api.__all__)}


def broken(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Say what a gateway would have to change that was written for what was there before."""
    found = [f"{name} is gone" for name in before.keys() - now.keys()]
    for name in sorted(before.keys() & now.keys()):
        old, new = before[name], now[name]
        found += _calls(name, old.get("call", {}), new.get("call", {}))
        found += [
            f"{name}.{value} is gone" for value in set(old.get("values", ())) - set(new.get("values", ()))
        ]
        members, kept = old.get("members", {}), new.get("members", {})
        found += [f"{name}.{member} is gone" for member in members.keys() - kept.keys()]
        if name == "Gateway":
            found += [f"{name}.{member} is new" for member in kept.keys() - members.keys()]
        for member in members.keys() & kept.keys():
            found += _calls(f"{name}.{member}", members[member], kept[member])
    return sorted(found)


def _calls(name: str, before: dict[str, str], now: dict[str, str]) -> list[str]:
    gone = [f"{name}: {argument} is gone" for argument in before.keys() - now.keys()]
    return gone + [
        f"{name}: {argument} is needed"
        for argument, how in now.items()
        if how == "needed" and before.get(argument) != "needed"
    ]


def test_what_a_gateway_relies_on_is_still_there() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert recorded["version"] == gateway_api.API_VERSION, f"record what is there now in {RECORDED.name}"
    problems = broken(recorded["names"], present())
    assert problems == [], "a gateway has to change: raise API_VERSION, and announce it in the changelog"


def test_every_name_is_recorded() -> None:
    """Run this file as a script to record a new name; one that is not recorded could go in silence."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["names"]
    assert present().keys() - recorded.keys() == set()


BEFORE = {
    "f": {"call": {"a": "needed", "b": "optional"}},
    "Gateway": {"call": {}, "members": {"send": {"x": "needed"}}, "values": []},
    "Kind": {"call": {}, "members": {}, "values": ["A", "B"]},
}


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({}, []),
        ({"new": {"call": {"x": "needed"}}}, []),
        ({"f": {"call": {"a": "needed", "b": "optional", "c": "optional"}}}, []),
        ({"f": {"call": {"a": "optional", "b": "optional"}}}, []),
        ({"f": {"call": {"a": "needed"}}}, ["f: b is gone"]),
        ({"f": {"call": {"a": "needed", "b": "needed"}}}, ["f: b is needed"]),
        ({"f": {"call": {"a": "needed", "b": "optional", "c": "needed"}}}, ["f: c is needed"]),
        ({"f": None}, ["f is gone"]),
        ({"Gateway": {"members": {"send": {"x": "needed"}, "more": {}}}}, ["Gateway.more is new"]),
        ({"Gateway": {"members": {}}}, ["Gateway.send is gone"]),
        ({"Kind": {"values": ["A", "C"]}}, ["Kind.B is gone"]),
    ],
)
def test_a_change_that_breaks_a_gateway_is_found(change: dict[str, Any], problems: list[str]) -> None:
    now = {name: one for name, one in {**BEFORE, **change}.items() if one is not None}
    assert broken(BEFORE, now) == problems


if __name__ == "__main__":
    names = {"version": gateway_api.API_VERSION, "names": present()}
    RECORDED.write_text(f"{json.dumps(names, indent=1, sort_keys=True)}\n", encoding="utf-8")
