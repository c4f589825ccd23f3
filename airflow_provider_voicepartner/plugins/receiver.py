"""The receiver as a part of Airflow's API server, if ``[voicepartner] receiver_enabled`` is set (Airflow 3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, overload

from airflow_provider_voicepartner.compat import AirflowPlugin

log = logging.getLogger(__name__)


class _MountedApps(Sequence[dict[str, Any]]):
    """
    The list of applications, made when it is first read: only the API server reads it.

    Every Airflow process imports this module, and most of them need neither FastAPI nor the store.
    """

    def __init__(self) -> None:
        self._made: list[dict[str, Any]] | None = None

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._apps()[place]

    def __len__(self) -> int:
        return len(self._apps())

    def _apps(self) -> list[dict[str, Any]]:
        if self._made is None:
            self._made = _make_apps()
        return self._made


class VoicePartnerReceiverPlugin(AirflowPlugin):
    """Mounts the receiver at ``/voicepartner``. Tokens protect its routes; those of incidents need a login."""

    name = "voicepartner_receiver"
    fastapi_apps: Any = _MountedApps()


def _make_apps() -> list[dict[str, Any]]:
    """Return the application, or nothing if it is disabled or fails: Airflow has to start all the same."""
    try:
        from airflow_provider_voicepartner import settings
        from airflow_provider_voicepartner.hooks import callbacks

        if not settings.receiver_is_enabled():
            return []
        from airflow_provider_voicepartner.delivery.receiver import create_app
        from airflow_provider_voicepartner.delivery.tokens import PREFIX
        from airflow_provider_voicepartner.hooks.answer_pages import answer_routes
        from airflow_provider_voicepartner.hooks.question_pages import question_routes
        from airflow_provider_voicepartner.hooks.registry import every_gateway
        from airflow_provider_voicepartner.plugins.incident_routes import logged_in_routes

        app = create_app(
            settings.open_receiver_store,
            callbacks.receiver_tokens(),
            gateways=every_gateway(),
            routes=[
                *answer_routes(settings.open_receiver_store, ""),
                *question_routes(settings.open_receiver_store, ""),
                *logged_in_routes(settings.open_receiver_store),
            ],
        )
        return [{"app": app, "url_prefix": PREFIX, "name": "Voice Partner receiver"}]
    except Exception as error:
        is_ours = type(error).__module__.startswith("airflow_provider_voicepartner.")
        log.error(
            "The receiver of gateways' reports could not be mounted: %s",
            " ".join(str(error).split()) if is_ours else type(error).__name__,
        )
        return []
