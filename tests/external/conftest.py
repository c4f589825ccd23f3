"""A gateway that is installed beside the package: its distribution on the path, and its vendor on a socket."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_voicepartner.hooks import registry
from tests.external.metadata import DISTRIBUTION, write_metadata
from tests.external.server import ACCOUNT, KEY, Acme

# Its modules can be imported; that Airflow takes it for installed needs the metadata too.
sys.path.append(str(DISTRIBUTION))


MANAGERS = (
    "airflow.sdk.providers_manager_runtime.ProvidersManagerTaskRuntime",
    "airflow.providers_manager.ProvidersManager",
)
ENTRY_POINTS = (
    "airflow.sdk._shared.module_loading",
    "airflow._shared.module_loading",
    "airflow.utils.entry_points",
)


def forget_providers() -> None:
    """Have Airflow, and us, look anew which distributions there are."""
    importlib.invalidate_caches()
    registry._outside.cache_clear()
    registry._hook_at.cache_clear()
    for place in MANAGERS:
        module, _, name = place.rpartition(".")
        with contextlib.suppress(ImportError):
            manager = getattr(importlib.import_module(module), name)
            manager._instance, manager._initialized = None, False
            # Airflow 2 keeps the one instance in the metaclass.
            getattr(type(manager), "_instances", {}).pop(manager, None)
    for module in ENTRY_POINTS:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)._get_grouped_entry_points.cache_clear()


@pytest.fixture(scope="package")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the distribution."""
    folder = tmp_path_factory.mktemp("site-packages")
    write_metadata(folder)
    sys.path.insert(0, str(folder))
    forget_providers()
    yield folder
    sys.path.remove(str(folder))
    forget_providers()


@pytest.fixture
def acme(installed: Path, set_connection: Callable[..., str]) -> Iterator[Any]:
    """Run the vendor, with a connection to it."""
    vendor = Acme()
    set_connection("acme", host=vendor.url, login=ACCOUNT, password=KEY)
    yield vendor
    vendor.close()
