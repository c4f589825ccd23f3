"""Gateway packages that load their modules with the first name that is asked for: metadata and forms stay cheap."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any


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
