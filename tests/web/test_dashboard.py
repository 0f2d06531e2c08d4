"""The dashboard's files: one page for all its addresses, files for a year, and nothing beside them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import h11
import pytest
import trio

from tests.web.realhub import RealHub, auth, real_hub

APP = Path(__file__).parent / "app"
SCRIPT = "/assets/index-0a1b2c3d.js"
PLAIN = {"Accept-Encoding": "identity"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
PAGES = ["/", "/projects", "/inbox", "/hub", "/tv", "/p/build-7", "/p/build-7/tree", "/p/a/b%2F%2Fc//d"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_address_of_the_dashboard_is_the_one_page_and_may_do_nothing_else(path: str) -> None:
    async with real_hub(built=APP, auth=auth()) as running, running.http() as http:
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.text == (APP / "index.html").read_text()
        headers = answer.headers
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["Cache-Control"] == "no-cache"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


async def test_the_root_tells_a_program_that_the_hub_is_healthy_built_or_not() -> None:
    for built in (APP, APP / "none"):
        async with real_hub(built=built) as running, running.http() as http:
            answer = await http.get("/", headers={"Accept": "application/json"})
            assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
            assert "Accept" in answer.headers["Vary"]
            assert "Accept" in (await http.get("/")).headers["Vary"]


async def test_a_hashed_file_is_kept_for_a_year_and_a_script_may_do_what_the_page_may() -> None:
    async with real_hub(built=APP, auth=auth()) as running, running.http() as http:
        script = await http.get(SCRIPT)
        assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert script.headers["X-Content-Type-Options"] == "nosniff"
        # A worker goes by the policy of its own script.
        assert script.headers["Content-Security-Policy"] == POLICY
        style = await http.get("/assets/index-4e5f6a7b.css")
        assert style.headers["Content-Type"] == "text/css; charset=utf-8"
        assert style.headers["Content-Security-Policy"].startswith("default-src 'none'; frame")
        beside = await http.get("/robots.txt")
        assert (beside.status_code, beside.headers["Cache-Control"]) == (200, "no-cache")


async def test_comes_compressed_to_whoever_can_read_it() -> None:
    whole = (APP / SCRIPT[1:]).read_bytes()
    async with real_hub(built=APP) as running, running.http() as http:
        for wanted, coding in (
            ("gzip, deflate, br", "gzip"),
            ("gzip;q=0.5", "gzip"),
            ("*", "gzip"),
            ("gzip;q=0", None),
            ("identity", None),
            ("", None),
        ):
            answer = await http.get(SCRIPT, headers={"Accept-Encoding": wanted})
            assert answer.headers.get("Content-Encoding") == coding, wanted
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.content == whole
        small = await http.get("/assets/index-4e5f6a7b.css", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in small.headers


async def test_what_the_build_compressed_is_sent_as_it_is_but_only_of_files_with_a_hash(
    tmp_path: Path,
) -> None:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "assets/a-1.js"):
        (tmp_path / name).write_text("x" * 1_000)
        (tmp_path / f"{name}.br").write_bytes(b"brotli")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"of the build"))
    async with real_hub(built=tmp_path) as running:
        both = {"Accept-Encoding": "gzip, br"}
        assert (await fetch(running, "/assets/a-1.js", both))[1:] == ("br", b"brotli")
        assert (await fetch(running, "/assets/a-1.js", {"Accept-Encoding": "gzip"}))[1] == "gzip"
        status, coding, body = await fetch(running, "/", both)
        assert (status, coding, gzip.decompress(body)) == (200, "gzip", b"x" * 1_000)
        for name in ("/assets/a-1.js.br", "/assets/a-1.js.gz"):
            assert (await fetch(running, name, both))[0] == 404


async def fetch(running: RealHub, path: str, headers: dict[str, str]) -> tuple[int, str | None, bytes]:
    """Status, coding and body as they come, of a path as it stands."""
    client = h11.Connection(h11.CLIENT)
    async with await trio.open_tcp_stream("127.0.0.1", int(running.url.rpartition(":")[2])) as stream:
        request = h11.Request(method="GET", target=path, headers=[("Host", "localhost"), *headers.items()])
        await stream.send_all((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
        events: list[Any] = []
        with trio.fail_after(30):
            while not events or type(events[-1]) is not h11.EndOfMessage:
                events.append(client.next_event())
                if events[-1] is h11.NEED_DATA:
                    events.pop()
                    client.receive_data(await stream.receive_some())
    coding = dict(events[0].headers).get(b"content-encoding")
    body = b"".join(bytes(one.data) for one in events if type(one) is h11.Data)
    return events[0].status_code, coding and coding.decode(), body


async def test_a_browser_that_has_it_is_told_so_by_coding() -> None:
    async with real_hub(built=APP) as running, running.http() as http:
        for path in ("/", SCRIPT, "/inbox"):
            plain = await http.get(path, headers=PLAIN)
            packed = await http.get(path)
            for first, asked in ((plain, PLAIN), (packed, {})):
                again = await http.get(path, headers={**asked, "If-None-Match": first.headers["ETag"]})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["ETag"] == first.headers["ETag"]
                assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
            stale = await http.get(path, headers={"If-None-Match": '"other"'})
            assert stale.status_code == 200
        script = await http.get(SCRIPT, headers=PLAIN)
        assert script.headers["ETag"] != (await http.get(SCRIPT)).headers["ETag"]


async def test_head_says_what_get_would() -> None:
    async with real_hub(built=APP) as running, running.http() as http:
        for path in ("/", "/inbox", "/p/x", SCRIPT):
            head, get = await http.head(path), await http.get(path)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("Content-Type", "ETag", "Content-Security-Policy", "Content-Length"):
                assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/base.css",
        "/assets/..%2findex.html",
        "/..%2f..%2fapp.py",
        "/assets/",
        "/assets",
        "/index.html",
        "/manifest.json",
        "/static/app/index.html",
        f"/static/app{SCRIPT}",
        "/nowhere",
        "/inbox/",
        "/p/",
        "/%00",
    ],
)
async def test_there_is_nothing_beside_it(path: str) -> None:
    async with real_hub(built=APP) as running:
        status, _, body = await fetch(running, path, {})
        assert status == 404
        assert json.loads(body)["code"] == "not_found"


async def test_where_it_is_not_built_a_page_says_how(tmp_path: Path) -> None:
    for docs in (True, False):
        async with real_hub(built=tmp_path / "none", docs=docs) as running, running.http() as http:
            for path in ("/inbox", "/p/x"):
                answer = await http.get(path)
                assert answer.status_code == 503
                assert "just ui" in answer.text
                assert ('href="/docs"' in answer.text) is docs
                assert answer.headers["Content-Security-Policy"] == POLICY
                assert answer.headers["Cache-Control"] == "no-store"
            assert (await http.get(SCRIPT)).status_code == 404
