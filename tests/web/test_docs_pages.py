"""The pages: what they are allowed, and what a real browser shows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from tasktree_rt.settings import Auth
from tests.browser import open_page
from tests.reducer_cases import reducer_cases
from tests.web.realhub import STATIC, node_update, real_hub

ROOT: Final = Path(__file__).resolve().parents[2]

# --- the files ---------------------------------------------------------------------------------------------


async def test_pages_allow_no_script_or_style_but_their_own_files() -> None:
    async with real_hub() as running, running.http() as http:
        policy = (await http.get("/docs")).headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';" in policy
        assert "unsafe" not in policy
        script = await http.get("/static/docs.js")
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert script.headers["X-Content-Type-Options"] == "nosniff"
        assert script.headers["Content-Security-Policy"].startswith("default-src 'none'")


class Inline(HTMLParser):
    """Collects what a strict policy would block, and the files a page needs."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.faults += [name for name in given if name == "style" or name.startswith("on")]
        if tag in ("style", "base") or (tag == "script" and "src" not in given):
            self.faults.append(tag)
        if tag in ("script", "link", "img"):
            self.files.append(str(given.get("src") or given.get("href")))


async def test_a_page_has_nothing_inline_and_every_file_it_needs() -> None:
    parser = Inline()
    parser.feed((STATIC / "docs.html").read_text(encoding="utf-8"))
    assert parser.faults == []
    async with real_hub() as running, running.http() as http:
        for path in parser.files:
            assert path.startswith("/static/")
            assert (await http.get(path)).status_code == 200, path


def test_no_script_makes_html_of_text_or_code_of_strings_or_looks_elsewhere() -> None:
    for path in STATIC.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
            assert word not in source, (path.name, word)
        for module in re.findall(r'from "([^"]+)"', source):
            assert (STATIC / module).is_file(), (path.name, module)
        assert not re.search(r"https?://", source), path.name
        assert len(source.splitlines()) <= 400, path.name


@pytest.mark.parametrize(("docs", "status"), [(True, 200), (False, 404)])
async def test_documents_are_only_where_they_are_wanted(docs: bool, status: int) -> None:
    async with real_hub(docs=docs) as running, running.http() as http:
        for path in ("/docs", "/docs/reducer.json", "/api/v1/openapi.json", "/api/v1/asyncapi.json"):
            assert (await http.get(path)).status_code == status


async def test_the_cases_of_the_reducer_are_served_without_a_token() -> None:
    async with real_hub(auth=Auth(secret="s" * 32)) as running, running.http() as http:
        found = await http.get("/docs/reducer.json")
        assert found.headers["Content-Type"] == "application/json"
        assert found.json() == reducer_cases()


@pytest.mark.parametrize("builder", [SdistBuilder, WheelBuilder])
def test_the_cases_of_the_reducer_are_packed(builder: type[SdistBuilder | WheelBuilder]) -> None:
    packed = {one.distribution_path for one in builder(str(ROOT)).recurse_included_files()}
    assert "tasktree_rt/web/static/reducer.json" in packed


async def test_the_documents_can_be_read_and_tried(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        await running.publish("p", node_update("a"))
        await page.go(f"{running.url}/docs")
        await page.until("document.querySelectorAll('.card').length > 15")
        everything = (await page.text("#main")).lower()
        for words in (
            "/api/v1/projects/{project_id}/state",
            "/ws/orchestrator",
            "slow consumer",
            "the hub says",
        ):
            assert words in everything
        await page.evaluate("document.querySelector('[id=\"ws/updates/conflated\"] summary').click()")
        await page.until(
            "document.querySelector('[id=\"ws/updates/conflated\"]').innerText.includes('logs_skipped')"
        )
        await page.evaluate("document.querySelector('[id=\"http/state\"] [name=project_id]').value = 'p'")
        await page.evaluate("document.querySelector('[id=\"http/state\"] form').requestSubmit()")
        await page.until("document.querySelector('[id=\"http/state\"] .answer .s2')")
        assert '"node_id": "a"' in await page.text('[id="http/state"] .answer')
        assert page.faults == []
