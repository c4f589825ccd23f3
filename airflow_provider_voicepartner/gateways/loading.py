"""Gateway packages load their modules with the first name that is asked for, so that metadata and forms stay cheap."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_provider_voicepartner.gateways import GATEWAYS

if TYPE_CHECKING:
    from airflow_provider_voicepartner.gateways.gateway import Gateway


def attribute(package: str, modules: Sequence[str], names: Collection[str], name: str) -> Any:
    """
    Return a public name of a gateway package from whichever of its modules defines it.

    :param package: the package's dotted name.
    :param modules: that define its public names.
    :param names: its public names.
    :param name: which.
    :raises AttributeError: it is no public name.
    """
    if name in names:
        for module in modules:
            found = import_module(f"{package}.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


@cache
def own_modules() -> Mapping[str, Gateway]:
    """Return the gateways of this package, each a package, by name."""
    package = __name__.rpartition(".")[0]
    return MappingProxyType({name: import_module(f"{package}.{name}") for name in GATEWAYS})
