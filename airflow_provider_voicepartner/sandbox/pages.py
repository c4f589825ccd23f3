"""The sandbox's own pages for people: what this is (``/``) and what it serves (``/docs``), whole without a network."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } th, td { text-align: left; padding: .25rem .8rem; border-bottom: 1px solid #ddd }
code, pre { font: 13px/1.45 ui-monospace, monospace; background: #f4f4f4 } code { padding: .1rem .25rem }
pre { padding: .6rem; overflow-x: auto } summary { cursor: pointer; padding: .2rem 0 }
h2 { margin-top: 2rem } details { border-bottom: 1px solid #eee }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd } code, pre { background: #262626 } a { color: #8ab4f8 }
}
"""

_LINKS = (
    ("/docs", "Everything it serves, with examples to copy"),
    ("/_sandbox", "State: clock, credit, what was received and sent"),
    ("/_sandbox/requests", "The requests that came in, with what was odd in them"),
    ("/_sandbox/campaigns", "The sends that were taken"),
    ("/_sandbox/messages", "The messages, with their status"),
    ("/_sandbox/counts", "How often each number was sent to"),
    ("/_sandbox/callbacks", "The callbacks that were made"),
    ("/_sandbox/settings", "The settings"),
    ("/openapi.json", "The OpenAPI description"),
)


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def home(description: dict[str, Any], *, strict: bool) -> str:
    """Return the page that says what this is and links on.

    :param description: the OpenAPI description of the application.
    :param strict: whether the setting ``strict`` is on.
    """
    links = "".join(f'<li><a href="{path}">{path}</a>: {escape(text)}.</li>' for path, text in _LINKS)
    oddities = "refused" if strict else "accepted and remarked under <code>warnings</code>"
    return _page(
        description["info"]["title"],
        f"{_prose(description['info']['description'])}<p>What is odd but understood is {oddities} "
        f"(setting <code>strict</code>).</p><h2>Where to look</h2><ul>{links}</ul>",
    )


def described(description: dict[str, Any], base_url: str) -> str:
    """Return the page that shows each call of an OpenAPI description, with a ``curl`` line where it has an example."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            shown = _operation(method.upper(), path, operation, base_url)
            by_tag.setdefault(operation["tags"][0], []).append(shown)
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(shown)}" for tag, shown in by_tag.items())
    return _page(
        f"{description['info']['title']}: what it serves",
        f'<p><a href="/">What this is</a> · <a href="/openapi.json">OpenAPI description</a></p>{sections}',
    )


def _operation(method: str, path: str, operation: dict[str, Any], base_url: str) -> str:
    parts = [_prose(operation.get("description", ""))]
    if parameters := operation.get("parameters"):
        parts.append(f"<table>{''.join(map(_parameter, parameters))}</table>")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "example" in body:
        parts.append(f"<pre>{escape(_curl(method, base_url + path, operation, body['example']))}</pre>")
    for status, answer in operation.get("responses", {}).items():
        example = answer.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            parts.append(f"<p>Answer {escape(status)}:</p><pre>{escape(_json(example))}</pre>")
    summary = f"<code>{method} {escape(path)}</code> {escape(operation.get('summary', ''))}"
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>"


def _parameter(parameter: dict[str, Any]) -> str:
    need = "required" if parameter.get("required") else "optional"
    cells = (parameter["name"], f"{parameter['in']}, {need}", parameter.get("description", ""))
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _curl(method: str, url: str, operation: dict[str, Any], example: Any) -> str:
    headers = [
        f"-H '{parameter['name']}: {parameter['schema']['default']}'"
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "header" and "default" in parameter["schema"]
    ]
    body = _json(example).replace("'", "'\\''")
    return " \\\n  ".join(
        [f"curl -X {method} '{url}'", *headers, "-H 'Content-Type: application/json'", f"-d '{body}'"]
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _prose(text: str) -> str:
    """Return the little Markdown of our own descriptions as HTML: paragraphs, tables and code."""
    blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if block]
    return "".join(_table(block) if block.startswith("|") else f"<p>{_inline(block)}</p>" for block in blocks)


def _table(block: str) -> str:
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in block.splitlines()]
    return "<table>" + "".join(
        "<tr>" + "".join(f"<{tag}>{_inline(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in [("th", rows[0]), *(("td", row) for row in rows[2:])]
    ) + "</table>"  # fmt: skip


def _inline(text: str) -> str:
    return re.sub(r"`+([^`]+)`+", r"<code>\1</code>", escape(text))
