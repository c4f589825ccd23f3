"""Gateway-specific settings as users write them, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from airflow_provider_voicepartner.gateways.errors import InvalidArgumentError


class GatewayOptions(BaseModel):
    """Base of each gateway's settings: unknown names are refused, so that a typing error cannot go unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


AnyOptions = TypeVar("AnyOptions", bound=GatewayOptions)


def read_options(model: type[AnyOptions], options: Mapping[str, Any]) -> AnyOptions:
    """
    Check gateway-specific settings.

    :param model: the settings that this call knows.
    :param options: as the user gave them.
    :raises InvalidArgumentError: naming the setting, what is wrong and the settings that exist; without the value.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        problem = (
            "is not a setting of this call"
            if first["type"] == "extra_forbidden"
            else first["msg"].removeprefix("Value error, ")
        )
        known = ", ".join(sorted(model.model_fields))
    raise InvalidArgumentError(f"options[{name!r}]", f"{problem}; the settings are: {known}")
