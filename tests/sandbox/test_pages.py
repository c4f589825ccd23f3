from __future__ import annotations

import html
import json
import re
import shlex
from itertools import pairwise

from .conftest import Api


def _page(api: Api, path: str) -> str:
    answer = api.session.get(api.sandbox.url + path, timeout=10)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    return answer.text


def test_the_first_page_says_what_this_is_and_every_link_leads_somewhere(api: Api) -> None:
    page = _page(api, "/")
    for said in ("sends nothing", "/smspartner/v1", "/voicepartner/v1", "/octopush/v1/public", "sandbox-key"):
        assert said in page
    links = re.findall(r'href="([^"]+)"', page)
    assert "/docs" in links
    for link in links:
        assert api.session.get(api.sandbox.url + link, timeout=10).status_code == 200, link


def test_the_first_page_says_whether_it_is_strict(api: Api) -> None:
    assert "understood is refused" in _page(api, "/")
    api.settings(strict=False)
    assert "understood is accepted and remarked" in _page(api, "/")


def test_the_pages_need_no_network(api: Api) -> None:
    for path in ("/", "/docs"):
        page = _page(api, path)
        assert not re.search(r'(?:src|href)="(?!/)', page)
        assert "<script" not in page
        assert "url(" not in page


def test_the_docs_show_every_call(api: Api) -> None:
    page = html.unescape(_page(api, "/docs"))
    paths = api.session.get(f"{api.sandbox.url}/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page


def test_the_docs_examples_can_be_pasted(api: Api) -> None:
    page = html.unescape(_page(api, "/docs"))
    [command] = re.findall(
        r"<pre>(curl -X POST '[^']+/octopush/v1/public/sms-campaign/send'.*?)</pre>", page, re.S
    )
    words = shlex.split(command.replace("\\\n", " "))
    headers = dict(word.split(": ", 1) for flag, word in pairwise(words) if flag == "-H")
    answer = api.session.post(words[3], data=words[-1].encode(), headers=headers, timeout=10)
    assert answer.status_code == 201, answer.text
    assert json.loads(words[-1])["recipients"]
