"""
Writes docs/settings.md: the options of ``[voicepartner]``, and every value of ``constants.py``.

``python -m scripts.settings_page`` writes the page; ``tests/test_constants.py`` compares it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_provider_voicepartner import constants
from airflow_provider_voicepartner.get_provider_info import get_provider_info

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

_SECTION = re.compile(r"# --- (.+) ---")
_DOCSTRING = re.compile(r"\[([^\]]+)\] (.+?)\n\n(.+)", re.DOTALL)
_ABOUT = """\
# Settings

This page is made from the code: run `python -m scripts.settings_page` after a change.

## Options

They stand in the section `[voicepartner]` of Airflow's configuration; in the environment their names are
`AIRFLOW__VOICEPARTNER__` and the option in capitals. `airflow_provider_voicepartner/settings.py` reads them.

| option | default | meaning |
| --- | --- | --- |
"""
_FIXED = """
## Caps, graces and timeouts

They stand in `airflow_provider_voicepartner/constants.py` and cannot be configured, but where an operator, a sensor or
a connection has an argument for them. What a vendor documents stands beside its gateway, in `gateways/`.
"""


@dataclass(frozen=True)
class Constant:
    """
    One value of the table.

    :param section: the heading that it stands under.
    :param unit: such as ``seconds``.
    :param meaning: a sentence about what it bounds.
    :param why: the reason for the value.
    """

    section: str
    name: str
    unit: str
    meaning: str
    why: str

    @property
    def value(self) -> Any:
        """What the code uses."""
        return getattr(constants, self.name)

    @property
    def shown(self) -> str:
        """Return the value and its unit, as people read them."""
        return str(self.value) if isinstance(self.value, timedelta) else f"{_number(self.value)} {self.unit}"


def read_constants() -> Iterator[Constant]:
    """
    Read the table.

    :raises ValueError: a value has no docstring of the table's form.
    """
    source = Path(constants.__file__).read_text(encoding="utf-8")
    lines = enumerate(source.splitlines(), 1)
    sections = [(number, found[1]) for number, line in lines if (found := _SECTION.fullmatch(line))]
    body = ast.parse(source).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign | ast.Assign):
            continue
        name = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
        text = (
            after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        )
        found = _DOCSTRING.fullmatch(str(text).strip())
        if found is None:
            raise ValueError(
                f"{name}: its docstring must be [unit] meaning, and the reason in a paragraph of its own"
            )
        section = [title for number, title in sections if number < node.lineno][-1]
        yield Constant(section, name, *(" ".join(part.split()) for part in found.groups()))


def make_page() -> str:
    """Return the page."""
    options = get_provider_info()["config"]["voicepartner"]["options"]
    lines = [_ABOUT.rstrip("\n")]
    for name, option in options.items():
        lines.append(
            f"| `{name}` | {option['default'] or 'empty'} | {' '.join(option['description'].split())} |"
        )
    lines.append(_FIXED.rstrip("\n"))
    section = ""
    for constant in read_constants():
        if constant.section != section:
            section = constant.section
            lines += [
                "",
                f"### {section}",
                "",
                "| name | value | meaning | why |",
                "| --- | --- | --- | --- |",
            ]
        lines.append(f"| `{constant.name}` | {constant.shown} | {constant.meaning} | {constant.why} |")
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_number(part) for part in value)
    if isinstance(value, float) and 0 < _DEFER_FROM - value < 1e-9:
        return f"just below {_DEFER_FROM:g}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


_DEFER_FROM = constants.DEFER_FROM

if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
