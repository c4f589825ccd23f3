"""Arguments from templates, and what Airflow may show of them."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_voicepartner.operators.base import SendingOperator
from airflow_provider_voicepartner.operators.sms import SendSmsOperator
from airflow_provider_voicepartner.operators.voice import TtsCallOperator, VoicemailDropOperator
from tests.support.gateways import last_body, sent
from tests.support.tasks import FakeStore, Logs, chain, context

ANNA, BEN = "+33612345678", "+33612345679"
TEXT = "Le texte planté de Zoé"


def sms(**arguments: Any) -> SendSmsOperator:
    return SendSmsOperator(**{"task_id": "send", "to": [ANNA, BEN], "message": TEXT, **arguments})


@pytest.mark.parametrize("operator", [SendSmsOperator, TtsCallOperator, VoicemailDropOperator])
def test_every_argument_can_be_a_template_but_the_choice_to_defer(operator: type[SendingOperator]) -> None:
    arguments = {
        name
        for kind in (operator, SendingOperator)
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    # Airflow's operators have a method dry_run, so the field has another name.
    fields = {"dry_run" if name == "is_dry_run" else name for name in operator.template_fields}
    assert arguments - {"deferrable"} == fields


def test_templates_are_rendered_in_lists_and_dicts_and_in_every_argument(sandbox: Any) -> None:
    operator = sms(
        conn_id="{{ params.gateway }}_default",
        to=[{"phone_number": "{{ params.number }}", "name": "{{ params.name }}"}],
        message="Bonjour {% raw %}{name}{% endraw %} de {{ params.firm }}",
        sender="{{ params.firm }}",
        options={"tag": "{{ params.tag }}"},
        purpose="{{ params.purpose }}",
        max_cost="{{ params.limit }}",
        send_at="{{ params.when }}",
    )
    given = {
        "gateway": "smspartner", "number": ANNA, "name": "Anna", "firm": "ACME", "tag": "rappel", "purpose": "alert",
        "limit": 3.5, "when": datetime.now(UTC) + timedelta(hours=1),
    }  # fmt: skip
    operator.render_template_fields(context(params=given))
    report = operator.execute(context(FakeStore()))
    assert report["scheduled_for"] == given["when"].isoformat()
    body = last_body(sandbox)
    assert body["SMSList"] == [{"phoneNumber": ANNA, "message": "Bonjour Anna de ACME"}]
    assert body["sender"] == "ACME"
    assert body["tag"].startswith("rappel")


def test_a_template_that_renders_a_list_or_settings_as_text_is_understood(sandbox: Any) -> None:
    operator = sms(
        to="{{ params.people }}", options="{{ params.options }}", rejects_path="{{ params.nothing }}"
    )
    operator.render_template_fields(
        context(params={"people": [ANNA, BEN], "options": {"gamme": 2}, "nothing": ""})
    )
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1, BEN: 1}
    assert last_body(sandbox)["gamme"] == 2


def test_a_field_may_be_a_function_as_elsewhere_in_airflow(sandbox: Any) -> None:
    operator = sms(to=lambda context, jinja_env: [context["params"]["number"]])
    operator.render_template_fields(context(params={"number": ANNA}))
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def rendered(operator: SendingOperator) -> str:
    """Return what Airflow would store and show of the rendered fields."""
    from airflow.serialization.helpers import serialize_template_field

    shown = {
        name: serialize_template_field(getattr(operator, name), name) for name in operator.template_fields
    }
    return json.dumps(shown, ensure_ascii=False)


def test_numbers_and_texts_do_not_show_in_the_rendered_fields(sandbox: Any) -> None:
    operator = sms(to=[{"phone_number": ANNA, "name": "Zoé"}], options={"tag": "geheim"}, sender="ACME")
    operator.render_template_fields(context(params={}))
    shown = rendered(operator)
    for secret in (ANNA, ANNA[1:], "Zoé", "planté", "geheim"):
        assert secret not in shown
    assert "1 items (hidden)" in shown
    assert "ACME" in shown  # what is no secret still helps
    assert repr(operator.to) == "1 items (hidden)"
    operator.execute(context(FakeStore()))
    assert sent(sandbox, "smspartner") == {ANNA: 1}


def test_a_mapped_task_hides_them_too() -> None:
    from airflow_provider_voicepartner.compat import DAG

    with DAG("mapped", schedule=None, start_date=datetime(2031, 1, 1, tzinfo=UTC)):
        mapped = SendSmsOperator.partial(task_id="send", message="Bonjour {{ params.name }}").expand(
            to=[ANNA, BEN]
        )
    assert {"to", "message"} <= set(mapped.template_fields)
    one = mapped.unmap({"to": ANNA, "message": "Bonjour {{ params.name }}", "task_id": "send"})
    one.render_template_fields(context(params={"name": "Zoé"}))
    assert one.given("to") == ANNA
    assert one.given("message") == "Bonjour Zoé"
    assert "Zoé" not in rendered(one)
    assert ANNA not in rendered(one)


def test_a_template_that_cannot_be_rendered_does_not_put_numbers_into_the_log(logs: Logs) -> None:
    operator = sms(to=[ANNA, "{{ params.nobody.number }}"], message=TEXT + "{{ params.nobody.name }}")
    with pytest.raises(Exception, match="nobody") as caught:
        operator.render_template_fields(context(params={}))
    for secret in (ANNA, TEXT):
        assert secret not in logs.text
        assert secret not in chain(caught.value)
