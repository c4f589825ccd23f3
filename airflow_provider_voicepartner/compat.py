"""
What Airflow moved between 2.11 and 3.3, under one name each, imported when it is first asked for.

The official ``common-compat`` provider does the same, but the release that Airflow 3.0's own constraints pin does not
have it yet, and whoever installs by those constraints could not install this provider.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_voicepartner.constants import LONGEST_MASKING

if TYPE_CHECKING:
    from airflow.sdk import (
        DAG,
        BaseHook,
        BaseNotifier,
        BaseOperator,
        BaseSensorOperator,
        Connection,
        Context,
        ObjectStoragePath,
        PokeReturnValue,
        Variable,
        get_current_context,
    )
    from airflow.sdk.configuration import conf
    from airflow.sdk.definitions.context import render_template_to_string
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferred,
    )
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # imported there, not exported
    from airflow.sdk.plugins_manager import AirflowPlugin
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime as ProvidersManager
    from airflow.triggers.base import BaseEventTrigger

__all__ = [
    "DAG", "AirflowException", "AirflowFailException", "AirflowNotFoundException", "AirflowPlugin",
    "AirflowSensorTimeout", "AirflowSkipException", "AirflowTaskTimeout", "BaseEventTrigger", "BaseHook",
    "BaseNotifier", "BaseOperator", "BaseSensorOperator", "Connection", "Context", "ObjectStoragePath",
    "Picklable", "PokeReturnValue", "ProvidersManager", "TaskDeferred", "Variable", "conf", "get_async_connection",
    "get_current_context", "mask_secret", "redact",
    "render_template_to_string",
]  # fmt: skip

_EXCEPTIONS: Final = ("airflow.sdk.exceptions", "airflow.exceptions")
_MASKER: Final = (
    "airflow.sdk.log",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow.utils.log.secrets_masker",
)

_PLACES: Final[dict[str, tuple[str, ...]]] = {
    "AirflowException": _EXCEPTIONS,
    "AirflowFailException": _EXCEPTIONS,
    "AirflowNotFoundException": _EXCEPTIONS,
    "AirflowPlugin": ("airflow.sdk.plugins_manager", "airflow.plugins_manager"),
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "AirflowTaskTimeout": _EXCEPTIONS,
    "BaseEventTrigger": ("airflow.triggers.base", "airflow.triggers.base:BaseTrigger"),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseNotifier": ("airflow.sdk", "airflow.notifications.basenotifier"),
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "Connection": ("airflow.sdk", "airflow.models.connection"),
    "Context": ("airflow.sdk", "airflow.utils.context"),
    "DAG": ("airflow.sdk", "airflow.models.dag"),
    "ObjectStoragePath": ("airflow.sdk", "airflow.io.path"),
    "PokeReturnValue": ("airflow.sdk", "airflow.sensors.base"),
    "ProvidersManager": (
        "airflow.sdk.providers_manager_runtime:ProvidersManagerTaskRuntime",
        "airflow.providers_manager",
    ),
    "TaskDeferred": _EXCEPTIONS,
    "Variable": ("airflow.sdk", "airflow.models.variable"),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "get_current_context": ("airflow.sdk", "airflow.operators.python"),
    "_mask_secret": tuple(f"{module}:mask_secret" for module in _MASKER),
    "redact": _MASKER,
    "render_template_to_string": ("airflow.sdk.definitions.context", "airflow.utils.helpers"),
}
"""For each name the modules that may hold it, the newest Airflow's first; ``module:name`` where it has another name."""


def __getattr__(name: str) -> Any:
    for place in _PLACES.get(name, ()):
        module, _, other_name = place.partition(":")
        try:
            found = getattr(importlib.import_module(module), other_name or name)
        except (ImportError, AttributeError):
            continue
        globals()[name] = found
        return found
    if name in _PLACES:
        raise ImportError(f"{name}: not in this Airflow; looked in {', '.join(_PLACES[name])}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Picklable:
    """Mixin of operators: Airflow 3 keeps a logger on them that cannot be pickled once it wrote a line."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave the logger out; it is made again when it is asked for."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]  # an operator's is a dict
        state.pop("_cached_logger", None)
        return state


def mask_secret(secret: str) -> None:
    """
    Register a secret with Airflow's masker, and do not wait for whoever else is to know it.

    Airflow 3 also tells the process that supervises this one, over a channel on which one question after the other is
    answered. An alert must not wait for that: it took 22 s in a DAG processor that was answering its first question.
    """
    mask = __getattr__("_mask_secret")
    if getattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS", None) is None:
        mask(secret)
        return
    # What is logged here is masked as soon as the thread has begun.
    thread = threading.Thread(target=mask, args=(secret,), name="mask_secret", daemon=True)
    thread.start()
    thread.join(LONGEST_MASKING)


async def get_async_connection(conn_id: str) -> Connection:
    """
    Look a connection up in the triggerer, without holding its event loop.

    Below 3.3.2 Airflow's own asynchronous look-up masks the secrets with a blocking call to the supervisor, which
    deadlocks when another call is under way on the loop; there the look-up runs in a thread.

    :raises AirflowNotFoundException: there is none of that name.
    """
    hook, connection = __getattr__("BaseHook"), __getattr__("Connection")
    if hasattr(hook, "aget_connection") and hasattr(connection, "aextra_dejson"):
        found: Connection = await hook.aget_connection(conn_id)
        return found
    from asgiref.sync import sync_to_async

    looked_up: Connection = await sync_to_async(hook.get_connection)(conn_id)
    return looked_up
