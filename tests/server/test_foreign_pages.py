"""What a page of another origin can do to a hub without tokens: nothing, in a browser and by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.settings import Auth
from tests.browser import Page, open_page
from tests.web.realhub import RealHub, auth, node_update, real_hub, token
from tests.wsclient import WsClient, request_head

FOREIGN = "https://evil.example"
STATE = "/api/v1/projects/p/state"
SECRET = "the secret of the run"

TRIES = """
async (hub) => {
  const found = {};
  const attempt = async (name, make) => {
    const late = new Promise((resolve) => setTimeout(resolve, 3000, "nothing"));
    try { found[name] = await Promise.race([make(), late]); } catch (error) { found[name] = "refused"; }
  };
  const events = `${hub}/api/v1/projects/p/events`;
  const css = `${hub}/static/base.css`;
  const state = `${hub}/api/v1/projects/p/state`;
  const event = JSON.stringify({type: "node_update", data: {node_id: "evil", changes: {}}});
  const element = (tag, values) => new Promise((resolve) => {
    const one = document.createElement(tag);
    one.onload = () => resolve("loaded");
    one.onerror = () => resolve("refused");
    Object.assign(one, values);
    document.body.append(one);
  });
  const text = async (answer) => answer.type === "opaque" ? "opaque" : await answer.text();
  await attempt("fetch", async () => text(await fetch(state)));
  await attempt("fetch no-cors", async () => text(await fetch(state, {mode: "no-cors"})));
  await attempt("head", async () => text(await fetch(state, {method: "HEAD"})));
  await attempt("post", async () => text(await fetch(events, {method: "POST", body: event})));
  const plain = {method: "POST", body: event, mode: "no-cors", headers: {"Content-Type": "text/plain"}};
  await attempt("post no-cors", async () => text(await fetch(events, plain)));
  const typed = {method: "POST", body: event, headers: {"Content-Type": "application/json"}};
  await attempt("post json", async () => text(await fetch(events, typed)));
  await attempt("delete", async () => text(await fetch(`${hub}/api/v1/projects/p`, {method: "DELETE"})));
  await attempt("beacon", async () => navigator.sendBeacon(events, event) && "sent");
  for (const path of ["/ws/updates", "/ws/orchestrator", "/ws", "/ws/aiecs", "/api/v1/ws/executions/e"])
    await attempt(`socket ${path}`, () => new Promise((resolve) => {
      const socket = new WebSocket(hub.replace("http", "ws") + path);
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    }));
  await attempt("events", () => new Promise((resolve) => {
    const source = new EventSource(`${hub}/api/v1/projects/p/stream`);
    source.onopen = () => { source.close(); resolve("open"); };
    source.onerror = () => { source.close(); resolve("refused"); };
  }));
  await attempt("img", () => element("img", {src: state}));
  await attempt("img of the hub", () => element("img", {src: `${hub}/static/icon.svg`}));
  await attempt("script", () => element("script", {src: state}));
  await attempt("script of the hub", () => element("script", {src: `${hub}/static/dom.js`}));
  await attempt("style of the hub", () => element("link", {rel: "stylesheet", href: css}));
  await attempt("prefetch", () => element("link", {rel: "prefetch", href: state}));
  const looked = (frame) => {
    try { return frame.contentDocument ? frame.contentDocument.body.innerText : "closed"; }
    catch (error) { return "closed"; }
  };
  for (const path of ["/api/v1/projects/p/state", "/"])
    await attempt(`iframe ${path}`, async () => {
      const frame = document.createElement("iframe");
      frame.src = hub + path;
      const loaded = new Promise((resolve) => { frame.onload = resolve; });
      document.body.append(frame);
      await loaded;
      return looked(frame);
    });
  await attempt("form", async () => {
    const frame = document.createElement("iframe");
    frame.name = "into";
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {method: "POST", action: events, target: "into", enctype: "text/plain"});
    const field = document.createElement("input");
    field.name = event.slice(0, -2) + ',"x":"';
    field.value = '"}}';
    form.append(field);
    document.body.append(form);
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    form.submit();
    await loaded;
    return looked(frame);
  });
  return found;
}
"""
"""Every way in which a page can send a request; what came of each."""


@asynccontextmanager
async def evil_site() -> AsyncIterator[int]:
    """A web server with one empty page; its port."""
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<body>"
    )

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def tries(page: Page, hub: RealHub, site: str) -> dict[str, Any]:
    """What a page of `site` gets of a hub."""
    await page.go(f"{site}/")
    found: dict[str, Any] = await page.evaluate(f"({TRIES})({json.dumps(hub.url)})")
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_foreign_page_reads_nothing_and_writes_nothing(tmp_path: Path, host: str) -> None:
    """From another port (same-site) and from another host (cross-site)."""
    async with real_hub() as running, evil_site() as port, open_page(tmp_path) as page:
        await running.publish("p", node_update("n", note=SECRET))
        found = await tries(page, running, f"http://{host}:{port}")
        assert found.pop("fetch no-cors") in ("opaque", "refused")
        assert found.pop("post no-cors") in ("opaque", "refused")
        assert found.pop("beacon") in ("sent", "refused")  # the page does not learn what came of it
        prefetched = found.pop("prefetch")
        assert prefetched in ("loaded", "refused", "nothing")  # a prefetch tells nothing of its status
        assert {name for name, value in found.items() if value not in ("refused", "closed")} == set(), found
        assert len(found) >= 18
        state = (await http_get(running, STATE))["data"]
        assert [one["node_id"] for one in state["nodes"]] == ["n"]
        listed = (await http_get(running, "/api/v1/projects"))["projects"]
        assert [one["project_id"] for one in listed] == ["p"]
        assert not running.hub.connections


async def test_a_listed_page_reads_and_writes(tmp_path: Path) -> None:
    async with evil_site() as port, open_page(tmp_path) as page:
        site = f"http://localhost:{port}"
        async with real_hub(cors_origins=(site,)) as running:
            await running.publish("p", node_update("n", note=SECRET))
            found = await tries(page, running, site)
            assert SECRET in found["fetch"]
            assert "positions" in found["post json"]
            assert found["events"] == "open"
            assert found["socket /ws/updates"] == "open"
            assert (found["img"], found["iframe /"], found["script of the hub"]) == (
                "refused",
                "closed",
                "refused",
            )


async def test_a_page_opens_by_a_link_from_a_foreign_page_and_data_does_not(tmp_path: Path) -> None:
    async with real_hub() as running, evil_site() as port, open_page(tmp_path) as page:
        await running.publish("p", node_update("n", note=SECRET))
        for path, opens in (("/docs", True), ("/p/p", True), (STATE, False)):
            await page.go(f"http://localhost:{port}/")
            await follow_link(page, running.url + path)
            text = await page.text("body")
            assert ("forbidden" not in text) is opens, (path, text)
            assert opens or SECRET not in text


async def follow_link(page: Page, url: str) -> None:
    """Go where a link of the page leads."""
    await page.evaluate(f"void setTimeout(() => (location.href = {json.dumps(url)}))")
    arrived = f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
    while True:
        try:
            await page.until(arrived)
        except AssertionError as error:
            if "navigated" not in str(error):  # the navigation took the question away
                raise
        else:
            return


async def http_get(running: RealHub, path: str) -> Any:
    async with running.http() as http:
        return (await http.get(path)).json()


# --- the same by hand: what no browser has to be trusted with -----------------------------------------


SITES = [
    ({}, False),
    ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, False),
    ({"Sec-Fetch-Site": "same-origin"}, False),
    ({"Sec-Fetch-Site": "same-site"}, True),
    ({"Sec-Fetch-Site": "cross-site"}, True),
    ({"Sec-Fetch-Site": "Cross-Site"}, True),
    ({"Sec-Fetch-Site": "something new"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
    ({"Origin": FOREIGN}, True),
    ({"Origin": "null"}, True),
    ({"Origin": FOREIGN, "Sec-Fetch-Site": "same-origin"}, True),
]
DATA = (STATE, "/api/v1/projects", "/api/v1/connections", "/metrics", "/api/v1/projects/p/stream", "/nowhere")
PAGES = ("/", "/docs", "/p/p", "/static/docs.js", "/healthz", "/api/v1/openapi.json")


@pytest.mark.parametrize(("headers", "foreign"), SITES)
async def test_every_method_of_a_data_route_refuses_a_foreign_page(
    headers: dict[str, str], foreign: bool
) -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("n"))
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for path in DATA[:4] if not foreign else DATA:
                answer = await http.request(method, path, headers=headers)
                assert (answer.status_code == 403) is foreign, (method, path, answer.status_code)
        for path in PAGES:
            answer = await http.get(path, headers=headers)
            assert answer.status_code != 403, path
            posted = await http.post(path, headers=headers)
            assert (posted.status_code == 403) is foreign, path
        client = await WsClient.dial(int(running.url.rpartition(":")[2]))
        host = running.url.removeprefix("http://")
        await client.raw(request_head("/ws/updates", headers.items(), host=host))
        assert (await client.answer()).status == (403 if foreign else 101)
        await client.stream.aclose()


async def test_a_token_opens_a_read_only_where_tokens_are_asked_for() -> None:
    shown = token(watch=["*"])
    headers = {"Sec-Fetch-Site": "cross-site"}
    for asked, status in ((Auth(), 403), (auth(), 200)):
        async with real_hub(auth=asked) as running, running.http() as http:
            await running.publish("p", node_update("n"))
            assert (await http.get(f"{STATE}?token={shown}", headers=headers)).status_code == status
            assert (await http.get(STATE, headers=headers)).status_code == 403
            posted = await http.post(f"/api/v1/projects/p/events?token={shown}", json=[], headers=headers)
            assert posted.status_code == 403


async def test_every_response_carries_the_protective_headers() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("n"))
        refused = http.build_request("GET", STATE, headers={"Host": "evil.example"})
        answers = [await http.send(refused), await http.get("/ws/updates"), await http.post("/ws/updates")]
        answers += [
            await http.get(path) for path in (*PAGES, STATE, "/nowhere", "/metrics", "/api/v1/nothing")
        ]
        answers += [await http.get("/healthz", headers={"Host": "a b"})]
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "12"}
        answers += [await http.get("/ws/updates", headers=upgrade)]
        for answer in answers:
            headers, path = answer.headers, (answer.request.url.path, answer.status_code)
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
            assert headers["Referrer-Policy"] == "no-referrer", path
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path
            assert "default-src 'none'" in headers["Content-Security-Policy"], path
            assert "Set-Cookie" not in headers, path
