"""What a crash reporter sees: the local variables of every frame of an error and of the errors behind it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from types import FrameType, FunctionType, MethodType
from typing import Any

PACKAGE = "airflow_provider_voicepartner"
_DEEPEST = 4


def errors_behind(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and all that it was raised from or while handling."""
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        found = queue.pop()
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            yield found
            queue += [found.__cause__, found.__context__]


def frames_of(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of an error and of the errors behind it."""
    for found in errors_behind(error):
        entry = found.__traceback__
        while entry is not None:
            yield entry.tb_frame
            entry = entry.tb_next


def objects_of_ours(value: object, depth: int = 0) -> Iterator[object]:
    """Yield the objects of our own classes that a value is, holds, or is bound to."""
    if type(value).__module__.partition(".")[0] == PACKAGE:
        yield value
    if depth == _DEEPEST:
        return
    if isinstance(value, MethodType):
        yield from objects_of_ours(value.__self__, depth + 1)
    elif isinstance(value, functools.partial):
        inner: list[Any] = [value.func, *value.args, *value.keywords.values()]
        for part in inner:
            yield from objects_of_ours(part, depth + 1)
    elif isinstance(value, Mapping):
        for part in [*value.keys(), *value.values()]:
            yield from objects_of_ours(part, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            yield from objects_of_ours(part, depth + 1)
    elif isinstance(value, FunctionType):
        for part in [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]:
            yield from objects_of_ours(part, depth + 1)
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # not filled yet
                yield from objects_of_ours(cell.cell_contents, depth + 1)


def shown_by_frames(error: BaseException) -> dict[str, str]:
    """Return how each local of ours is shown: by function, variable and class, the ``repr``."""
    shown: dict[str, str] = {}
    for frame in frames_of(error):
        for name, value in list(frame.f_locals.items()):
            for held in objects_of_ours(value):
                place = f"{frame.f_code.co_qualname}: {name} ({type(held).__name__})"
                shown[place] = shown.get(place, "") + repr(held) + "\n"
    return shown


def all_variables(error: BaseException) -> Iterator[str]:
    """Yield how each local of every frame but a test's is shown, ours or not: no key may be among them."""
    for frame in frames_of(error):
        if frame.f_globals.get("__name__", "").partition(".")[0] != "tests":
            for name, value in list(frame.f_locals.items()):
                yield f"{frame.f_code.co_qualname}: {name} = {value!r}\n"
