"""Server-sent events: the wrapping, where ``id:`` stands, and resuming by it."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import h11
import pytest
import trio
from attrs import frozen

from tasktree_rt.brokers.base import Life
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.events import Json
from tasktree_rt.errors import StoreUnavailable
from tests.web.realhub import RealHub, auth, node_update, real_hub, token

PATH = "/api/v1/projects/p/stream"


@frozen
class Said:
    """One event of the stream, as a browser's EventSource takes it; a comment has no data."""

    id: str | None
    data: Json | None


class Stream:
    """The events of an open response. (httpx cannot leave one half-read without a warning.)"""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._text = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def _decoded(self, data: bytes) -> bytes:
        return self._inflater.decompress(data) if "content-encoding" in self.headers else data

    async def ask(self, target: str, headers: dict[str, str]) -> None:
        sent = [("Host", "localhost"), *headers.items()]
        request = self._http.send(h11.Request(method="GET", target=target, headers=sent))
        await self._stream.send_all((request or b"") + (self._http.send(h11.EndOfMessage()) or b""))
        response = await self._event()
        assert isinstance(response, h11.Response)
        self.status = response.status_code
        self.headers = {name.decode(): value.decode() for name, value in response.headers}

    async def _event(self) -> Any:
        with trio.fail_after(30):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._stream.receive_some())
        return event

    async def block(self) -> dict[str, str]:
        """The fields of the next event; a comment's name is empty."""
        while "\n\n" not in self._text:
            event = await self._event()
            assert isinstance(event, h11.Data), event
            self._text += self._decoded(bytes(event.data)).decode()
        block, _, self._text = self._text.partition("\n\n")
        return dict(line.split(": ", 1) for line in block.split("\n"))

    async def end(self) -> None:
        """There is nothing more."""
        assert self._text == ""
        assert isinstance(await self._event(), h11.EndOfMessage)

    async def next(self) -> Said:
        found = await self.block()
        return Said(found.get("id"), json.loads(found["data"]) if "data" in found else None)

    async def data(self) -> tuple[str | None, Json]:
        """The next that is no comment."""
        while True:
            said = await self.next()
            if said.data is not None:
                return said.id, said.data


@asynccontextmanager
async def stream(
    running: RealHub,
    path: str = PATH,
    *,
    params: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Stream]:
    async with await trio.open_tcp_stream("127.0.0.1", int(running.url.rpartition(":")[2])) as socket:
        said = Stream(socket)
        await said.ask(f"{path}?{urlencode(params or {})}", headers or {})
        assert said.status == 200
        yield said


async def test_begins_with_the_state_and_goes_on_with_events_and_ids_stand_where_the_position_moves() -> None:
    async with real_hub() as running:
        await running.publish("p", node_update("a", title="A"))
        async with stream(running) as said:
            assert said.headers["cache-control"] == "no-store"
            assert said.headers["x-accel-buffering"] == "no"
            assert said.headers["heartbeat-interval"] == "8"
            place, subscribed = await said.data()
            assert (place, subscribed["type"]) == (None, "subscribed")
            place, state = await said.data()
            assert (place, state["type"]) == (f"{state['epoch']}:1", "project_state")
            await running.publish("p", node_update("a", status="running"))
            place, event = await said.data()
            assert (place, event["seq"]) == (f"{event['epoch']}:2", 2)


async def test_only_the_last_part_of_a_state_has_an_id() -> None:
    async with real_hub() as running:
        await running.publish("p", *(node_update(f"n{i}", text="x" * 4096) for i in range(200)))
        async with stream(running) as said:
            await said.data()
            parts = [await said.data()]
            while parts[-1][1]["part"] < parts[-1][1]["parts"]:
                parts.append(await said.data())
            assert len(parts) > 2
            assert [place for place, _ in parts[:-1]] == [None] * (len(parts) - 1)
            assert parts[-1][0] == f"{parts[-1][1]['epoch']}:200"


@pytest.mark.parametrize("how", ["Last-Event-ID", "since", "both"])
async def test_resumes_exactly_after_a_position(how: str) -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", *(node_update("a", progress=i) for i in range(5)))
        epoch = (await http.get("/api/v1/projects/p/state")).json()["epoch"]
        header, query = {"Last-Event-ID": f"{epoch}:3"}, {"since": f"{epoch}:3"}
        options: dict[str, Any] = {
            "Last-Event-ID": {"headers": header},
            "since": {"params": query},
            "both": {"headers": header, "params": {"since": f"{epoch}:1"}},
        }[how]
        async with stream(running, **options) as said:
            assert (await said.data())[1]["recovered"] is True
            assert [(await said.data())[1]["seq"] for _ in range(2)] == [4, 5]


async def test_a_gap_is_told_and_the_state_follows() -> None:
    async with real_hub() as running:
        await running.publish("p", node_update("a"))
        async with stream(running, headers={"Last-Event-ID": "anotherlife:7"}) as said:
            assert (await said.data())[1]["recovered"] is False
            _, state = await said.data()
            assert (state["type"], state["reason"]) == ("project_state", "gap")


async def test_silence_is_broken_by_comments() -> None:
    async with real_hub(delivery={"heartbeat_interval": 0.02}) as running, stream(running) as said:
        await said.data()
        await said.data()
        assert (await said.next()) == Said(None, None)


async def test_a_reader_that_goes_leaves_nothing_behind() -> None:
    async with real_hub() as running:
        async with stream(running) as said:
            await said.data()
            assert running.hub.statistics().connections == 1
        with trio.fail_after(30):
            while running.hub.statistics().connections:
                await trio.lowlevel.checkpoint()


class UnreadableBroker(MemoryBroker):
    """Cannot say what a project's log is."""

    async def load(self, project_id: str) -> Life:
        raise StoreUnavailable("the disk is gone")


async def test_a_stream_that_cannot_begin_leaves_nothing_behind() -> None:
    async with real_hub(UnreadableBroker()) as running, running.http() as http:
        answer = await http.get(PATH)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert running.hub.statistics().connections == 0


async def test_says_project_deleted_and_goes_on_with_the_next_life() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a"))
        async with stream(running) as said:
            await said.data()
            await said.data()
            await http.delete("/api/v1/projects/p")
            place, gone = await said.data()
            assert (gone["type"], place) == ("project_deleted", f"{gone['epoch']}:2")
            await running.publish("p", node_update("b"))
            place, subscribed = await said.data()
            assert (place, subscribed["type"], subscribed["seq"]) == (None, "subscribed", 0)
            assert (await said.data())[1]["seq"] == 1


async def test_a_token_is_asked_for_and_must_allow_it() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        assert (await http.get(PATH)).status_code == 401
        assert (await http.get(PATH, params={"token": token(watch=["q"])})).status_code == 403
        async with stream(running, params={"token": token(watch=["p"])}) as said:
            assert (await said.data())[1]["type"] == "subscribed"
        assert (await http.get(PATH, params={"token": token(watch=["p"]), "since": "?"})).status_code == 400
