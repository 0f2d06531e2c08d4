"""The documentation as a site: what a hub serves of a folder, and to whom."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from tests.web.realhub import auth, real_hub

SCRIPT = "var a = 1"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(
        f"<!doctype html><title>t</title><script>{SCRIPT}</script><p>first page"
    )
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search_index.json").write_text("{}")
    (tmp_path / "secret.sh").write_text("no kind that is served")
    return tmp_path


async def test_the_site_needs_no_token_and_allows_only_the_scripts_of_its_pages(site: Path) -> None:
    async with real_hub(manual=site, auth=auth()) as running, running.http() as http:
        page = await http.get("/docs/manual/")
        assert "first page" in page.text
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
        assert f"script-src 'self' 'sha256-{digest}';" in page.headers["Content-Security-Policy"]
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        found = await http.get("/docs/manual/search/search_index.json")
        assert (found.status_code, found.json()) == (200, {})


async def test_a_page_that_the_browser_has_is_not_sent_again(site: Path) -> None:
    async with real_hub(manual=site) as running, running.http() as http:
        page = await http.get("/docs/manual/index.html")
        again = await http.get("/docs/manual/index.html", headers={"If-None-Match": page.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name", ["none.html", "secret.sh", "../index.html", "%2e%2e/%2e%2e/app.py", "search"]
)
async def test_nothing_else_is_served(site: Path, name: str) -> None:
    async with real_hub(manual=site) as running, running.http() as http:
        assert (await http.get(f"/docs/manual/{name}")).status_code == 404


async def test_a_checkout_without_the_site_says_how_to_build_it(tmp_path: Path) -> None:
    async with real_hub(manual=tmp_path / "none") as running, running.http() as http:
        page = await http.get("/docs/manual/")
        assert page.status_code == 200
        assert "just docs" in page.text


async def test_without_the_setting_there_is_no_site(site: Path) -> None:
    async with real_hub(manual=site, docs=False) as running, running.http() as http:
        assert (await http.get("/docs/manual/")).status_code == 404
