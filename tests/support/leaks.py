"""A net under everything that a process can say, to find planted secrets in."""

from __future__ import annotations

import contextlib
import html
import io
import json
import logging
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

import pytest

from tests.support.frames import all_variables, shown_by_frames


class Net:
    """Keeps what was logged at any level, warned, printed, raised and returned."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self._variables = io.StringIO()

    def add(self, *shown: object) -> None:
        """Keep values as a user might come to see them."""
        for value in shown:
            self.stream.write(f"\n{value!s}\n{value!r}\n")

    def add_error(self, error: BaseException) -> None:
        """Keep all of an exception: texts, arguments, attributes, tracebacks and variables of the whole chain."""
        queue: list[BaseException | None] = [error]
        seen: set[int] = set()
        while queue:
            found = queue.pop()
            if found is None or id(found) in seen:
                continue
            seen.add(id(found))
            self.add(found, found.args, vars(found), *getattr(found, "__notes__", ()))
            queue += [found.__cause__, found.__context__]
        self.stream.write("".join(traceback.format_exception(error)))
        self.stream.writelines(f"{place} = {shown}" for place, shown in shown_by_frames(error).items())
        self._variables.writelines(all_variables(error))
        # As an alert's callback would log it.
        logging.getLogger("somebody.elses").error("could not be sent: %s %r", error, error, exc_info=error)

    def text(self) -> str:
        """Return everything that was caught."""
        return self.stream.getvalue()

    def variables(self) -> str:
        """Return every variable of our own functions, and of what called them, in the frames of all errors."""
        return self._variables.getvalue()


def spellings(secret: str) -> set[str]:
    """Return how a secret may be written in URLs, JSON and HTML."""
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {
        secret,
        json.dumps(secret)[1:-1],
        secret.replace("/", "\\/"),
        html.escape(secret),
        repr(secret)[1:-1],
        *quoted,
    }


def leaks(text: str, secrets: Iterable[str]) -> set[str]:
    """Return the secrets, by the spelling found, that stand in a text."""
    return {spelling for secret in secrets for spelling in spellings(secret) if spelling in text}


@contextlib.contextmanager
def listening(capture: pytest.CaptureFixture[str]) -> Iterator[Net]:
    """Catch, for a block, every log record of every logger at every level, warnings, stdout and stderr."""
    net = Net()
    handler = logging.StreamHandler(net.stream)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    known = [
        entry for entry in logging.Logger.manager.loggerDict.values() if isinstance(entry, logging.Logger)
    ]
    loud = [logging.getLogger(), *(entry for entry in known if not entry.propagate)]
    undo: list[Callable[[], None]] = []
    for logger in [logging.getLogger(), *known]:
        undo.append(_restore(logger, logger.level, logger.disabled))
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    for logger in loud:
        logger.addHandler(handler)
    capture.readouterr()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield net
        net.add(*(warning.message for warning in warned))
        net.add(*capture.readouterr())
    finally:
        for logger in loud:
            logger.removeHandler(handler)
        for action in undo:
            action()


def _restore(logger: logging.Logger, level: int, disabled: bool) -> Callable[[], None]:
    def action() -> None:
        logger.setLevel(level)
        logger.disabled = disabled

    return action
