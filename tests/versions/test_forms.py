"""What a person sees who adds a connection, on each Airflow that is promised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow import __version__

from airflow_provider_voicepartner.compat import Connection
from airflow_provider_voicepartner.hooks.connection import ConnectionExtra, read_extra
from airflow_provider_voicepartner.hooks.connection_form import form_of as made_for
from airflow_provider_voicepartner.hooks.registry import gateway_names, info_of

IS_2 = __version__.startswith("2.")


def form_of(conn_type: str) -> tuple[dict[str, Any], dict[str, str], set[str]]:
    """Return what the UI shows: labels and placeholders of standard fields, labels of the others, what is hidden."""
    if IS_2:
        return _form_of_2(conn_type)
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    [meta] = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == conn_type]
    standard = meta.standard_fields.model_dump(exclude_none=True, by_alias=True)
    hidden = {name.removeprefix("url_") for name, field in standard.items() if field.get("hidden")}
    shown = {name: (field.get("title"), field.get("placeholder")) for name, field in standard.items()}
    extra = {name: field["schema"]["title"] for name, field in (meta.extra_fields or {}).items()}
    return shown, extra, hidden


def _form_of_2(conn_type: str) -> tuple[dict[str, Any], dict[str, str], set[str]]:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    behaviour = manager.field_behaviours[conn_type]
    shown = {
        name: (label, behaviour["placeholders"].get(name)) for name, label in behaviour["relabeling"].items()
    }
    prefix = f"extra__{conn_type}__"
    extra = {
        name.removeprefix(prefix): widget.field.args[0]
        for name, widget in manager.connection_form_widgets.items()
        if name.startswith(prefix)
    }
    return shown, extra, set(behaviour["hidden_fields"])


@pytest.mark.parametrize("conn_type", gateway_names())
def test_fields_have_their_labels_and_what_is_not_used_is_hidden(conn_type: str) -> None:
    shown, extra, hidden = form_of(conn_type)
    assert shown["password"] == ("API key", "the key of the gateway's dashboard")
    assert shown["host"][0] == "Base URL"
    assert extra == {
        name: field["label"] for name, field in made_for(info_of(conn_type))["conn-fields"].items()
    }
    assert hidden == set(made_for(info_of(conn_type))["ui-field-behaviour"]["hidden-fields"])


def test_a_form_that_knows_texts_only_is_read_all_the_same() -> None:
    fields = {"read_timeout": "45", "connect_timeout": "", "rate_limits": '{"me": "1/2"}'}
    connection = Connection(conn_id="c", conn_type="smspartner", extra=json.dumps(fields))
    read = read_extra(connection, ConnectionExtra)
    assert (read.read_timeout, read.connect_timeout, read.rate_limits) == (45.0, 5.0, {"me": "1/2"})
