"""Search over HTTP: what a caller finds, and what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tasktree_rt.brokers.base import Bounds, Found, Place, Where
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.client import open_api_client
from tasktree_rt.core.search import Query
from tests.web.realhub import auth, node_update, real_hub, token

P = "/api/v1/projects"


def line(message: str, *, node: str | None = None, level: str = "info") -> dict[str, Any]:
    return {"type": "log", "data": {"message": message, "level": level, "node_id": node}}


async def found(http: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_hit_says_where_it_is_and_its_excerpt_is_cut_at_what_matches() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish(
            "p", node_update("a", title="Fetch"), line("🙂 fetch failed", node="a", level="error")
        )
        body = await found(http, f"{P}/p/search", q="fetch")
        assert [hit["seq"] for hit in body["hits"]] == [2, 1]
        first = body["hits"][0]
        assert (first["kind"], first["node_id"], first["level"]) == ("log", "a", "error")
        assert first["excerpt"] == ["🙂 ", "fetch", " failed"]
        assert (body["count"], body["exact"], body["next"]) == (2, True, None)
        assert (body["searched_from"], body["indexed_up_to"], body["head"]) == (0, 2, 2)
        only = await found(http, f"{P}/p/search", q="fetch", level="warning, ERROR", kind="log", node="a")
        assert [hit["seq"] for hit in only["hits"]] == [2]


async def test_pages_follow_each_other() -> None:
    async with real_hub() as running, running.http() as http:
        for name in ("p", "q"):
            await running.publish(name, *(line("word") for _ in range(5)))
        for path in (f"{P}/p/search", "/api/v1/search"):
            seen: list[tuple[str, int]] = []
            after: str | None = None
            while True:
                more: dict[str, str] = {} if after is None else {"after": after}
                body = await found(http, path, q="word", limit=2, **more)
                seen += [(hit["project_id"], hit["seq"]) for hit in body["hits"]]
                after = body["next"]
                if after is None:
                    break
            assert len(seen) == len(set(seen)) == (5 if "/p/" in path else 10)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "q"),
        ({"q": " -- "}, "q"),
        ({"q": "x" * 401}, "q"),
        ({"q": " ".join("abcdefghijklmnopqrstu")}, "q"),
        ({"q": "x", "kind": "logs"}, "kind"),
        ({"q": "x", "node": "\x00"}, "node"),
        ({"q": "x", "level": ",".join("abcdefghijk")}, "level"),
        ({"q": "x", "limit": "0"}, "limit"),
        ({"q": "x", "after": "p"}, "after"),
    ],
)
async def test_a_wrong_parameter_is_named(query: dict[str, str], field: str) -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", line("x"))
        for path in (f"{P}/p/search", "/api/v1/search"):
            answer = await http.get(path, params=query)
            assert (answer.status_code, answer.json()["field"]) == (400, field)


async def test_only_what_the_caller_may_watch_is_found() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        for name in ("mine", "theirs"):
            await running.publish(name, line("word"))
        http.headers["Authorization"] = f"Bearer {token(watch=['mine'])}"
        assert (await http.get(f"{P}/theirs/search?q=word")).status_code == 403
        body = await found(http, "/api/v1/search", q="word")
        assert ([hit["project_id"] for hit in body["hits"]], body["count"]) == (["mine"], 1)


async def test_the_hub_fills_the_index_of_its_store_by_itself(tmp_path: Path) -> None:
    broker = SqliteBroker(str(tmp_path / "store.db"), index=True)
    async with real_hub(broker) as running, running.http() as http:
        await running.publish("p", *(line(f"word {n}") for n in range(300)))
        with trio.fail_after(30):
            while True:
                body = await found(http, f"{P}/p/search", q="word")
                if body["index"] and body["indexed_up_to"] == 300:
                    break
                await trio.sleep(0.05)
        assert (body["count"], body["exact"], body["hits"][0]["seq"]) == (300, True, 300)


class Endless(MemoryBroker):
    """A store whose search ends only if it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.cancelled = trio.Event(), trio.Event()

    async def search(self, query: Query, where: Where, bounds: Bounds, after: Place | None = None) -> Found:
        self.begun.set()
        try:
            await trio.sleep_forever()
        finally:
            self.cancelled.set()


@pytest.mark.parametrize("path", [f"{P}/p/search?q=word", "/api/v1/search?q=word"])
async def test_a_search_ends_when_its_reader_leaves(path: str) -> None:
    broker = Endless()
    async with real_hub(broker) as running, running.http() as http:
        await running.publish("p", line("word"))
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(http.get, path)
                await broker.begun.wait()
                nursery.cancel_scope.cancel()
            await broker.cancelled.wait()


async def test_the_client_searches_one_project_or_all_and_follows_pages() -> None:
    async with real_hub() as running, open_api_client(running.url) as api:
        for name in ("p", "q"):
            await running.publish(name, node_update("a", title="word"), line("word", node="a", level="error"))
        first = await api.search("word", limit=3)
        rest = await api.search("word", after=first.next)
        assert [len(first.hits), len(rest.hits), first.exact, rest.next] == [3, 1, True, None]
        only = await api.search("word", project_id="q", kind="log", node_id="a", level="error")
        assert [(one["project_id"], one["seq"], only.count) for one in only.hits] == [("q", 2, 1)]
