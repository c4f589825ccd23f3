"""Gateway-specific settings: a typing error cannot go unnoticed, and no value is shown."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError
from airflow_provider_voicepartner.gateways.options import GatewayOptions, read_options


def refuse(value: str) -> str:
    raise ValueError("must be better")


class Settings(GatewayOptions):
    speed: int = 1
    mode: Literal["slow", "fast"] = "slow"
    secret: Annotated[str, AfterValidator(refuse)] = ""


def problem(options) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        read_options(Settings, options)
    return caught.value


def test_settings_are_read_and_texts_of_templates_too():
    assert read_options(Settings, {}) == Settings()
    assert read_options(Settings, {"speed": "3", "mode": "fast"}).speed == 3


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed():
    error = problem({"sped": 3})
    assert error.argument == "options['sped']"
    assert error.problem == "is not a setting of this call; the settings are: mode, secret, speed"


def test_a_bad_value_is_named_and_not_shown():
    error = problem({"speed": "s3cret"})
    assert error.argument == "options['speed']"
    assert "integer" in error.problem
    assert "s3cret" not in str(error)


def test_a_settings_own_words_come_without_decoration():
    error = problem({"secret": "s3cret"})
    assert error.problem.startswith("must be better; ")
    assert "s3cret" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None, "a traceback would show the value"


@pytest.mark.parametrize("options", [{1: 2}, {None: 1}])
def test_a_name_that_is_no_text(options):
    assert problem(options).argument.startswith("options[")


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        read_options(Settings, {}).speed = 2
