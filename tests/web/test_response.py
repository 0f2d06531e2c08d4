"""Large answers: made as the socket takes them, and bounded over all who read or do not read."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
import trio
from quart import g
from quart_trio import QuartTrio

from tasktree_rt.core.access import OPEN
from tasktree_rt.settings import Limits
from tasktree_rt.web import history
from tasktree_rt.web import interactions as people
from tasktree_rt.web.response import PIECE, LargeAnswers
from tests.web.realhub import RealHub, auth, node_update, real_hub, token

P = "/api/v1/projects"
NODES = 2_000
TEXT = 1_000
KERNEL = 64 * 1024
"""Bytes that the kernel keeps of one answer that nobody reads, about."""
PATIENCE = 30


class Reader:
    """A connection that asks, and reads only when told to."""

    def __init__(self, port: int, path: str, headers: str = "", method: str = "GET") -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        self._socket.setblocking(False)

    async def status(self) -> int:
        """The answer's status; no more than its first bytes are read."""
        line = await self._some(12)
        return int(line[9:12])

    async def _some(self, most: int) -> bytes:
        with trio.fail_after(PATIENCE):
            while True:
                try:
                    return self._socket.recv(most)
                except BlockingIOError:
                    await trio.lowlevel.wait_readable(self._socket)

    async def rest(self) -> bytes:
        """All that comes until the answer's last chunk."""
        found = b""
        while not found.endswith(b"0\r\n\r\n"):
            data = await self._some(65_536)
            assert data, "the answer was cut off"
            found += data
        return found

    async def is_cut_off(self) -> bool:
        """Whether the connection ends before the answer."""
        try:
            while data := await self._some(65_536):
                if data.endswith(b"0\r\n\r\n"):
                    return False
        except ConnectionResetError:
            pass
        return True

    def close(self) -> None:
        self._socket.close()


def chunks(body: bytes) -> bytes:
    """A chunked body without its chunks' sizes; what is left of the head comes first."""
    _, _, body = body.partition(b"\r\n\r\n")
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        count = int(size, 16)
        found, body = found + body[:count], body[count + 2 :]
    return found


@contextmanager
def readers(running: RealHub, count: int, path: str, headers: str = "") -> Iterator[list[Reader]]:
    port = int(running.url.rpartition(":")[2])
    found = [Reader(port, path, headers) for _ in range(count)]
    yield found
    for one in found:
        one.close()


@asynccontextmanager
async def large_project(**settings: Any) -> AsyncIterator[tuple[RealHub, LargeAnswers]]:
    """A hub with a project ``p`` of two megabytes."""
    # Kernel buffers that grow by themselves would take such a state as it is.
    async with real_hub(**settings) as running:
        for start in range(0, NODES, 500):
            nodes = (
                node_update(f"n{number}", title="x" * TEXT, parent_id="r")
                for number in range(start, start + 500)
            )
            await running.publish("p", *nodes)
        yield running, running.app.extensions["large_answers"]


async def until_nothing_is_held(answers: LargeAnswers) -> None:
    with trio.fail_after(PATIENCE):
        while answers.held or len(answers):
            gc.collect()
            await trio.lowlevel.checkpoint()


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's sockets have small buffers, so that the kernel does not take whole answers."""
    accepted = socket.socket.accept

    def accept(self: socket.socket) -> tuple[socket.socket, Any]:
        found, address = accepted(self)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        return found, address

    monkeypatch.setattr(socket.socket, "accept", accept)


@pytest.mark.usefixtures("small_buffers")
@pytest.mark.parametrize("kept", [False, True])
async def test_of_a_state_that_nobody_reads_one_piece_is_made_for_each_reader(kept: bool) -> None:
    async with large_project() as (running, answers), running.http() as http:
        path = f"{P}/p/state"
        if kept:
            path = f"{P}/p/snapshots/{(await http.post(f'{P}/p/snapshots', json={})).json()['snapshot_id']}"
        whole = len((await http.get(path)).content)
        assert whole > NODES * TEXT
        await until_nothing_is_held(answers)
        before, count = answers.made, 40
        with readers(running, count, path) as crowd:
            for one in crowd:
                assert await one.status() == 200
            assert answers.made - before < count * (2 * PIECE + KERNEL) < count * whole / 5
            assert answers.held < 2 * whole + count * PIECE, "one state, and a piece for each"
            await running.publish("p", node_update("n0", title="another"))
            said = json.loads(chunks(await crowd[-1].rest()))
            assert [len(node["title"]) for node in said["data"]["nodes"]] == [TEXT] * NODES
        await until_nothing_is_held(answers)


@pytest.mark.usefixtures("small_buffers")
async def test_who_has_many_large_answers_under_way_gets_no_more_and_others_do() -> None:
    limits = {"max_large_answers": 3}
    async with large_project(limits=limits, auth=auth()) as (running, answers), running.http() as http:
        ada, ben = ({"Authorization": f"Bearer {token(subject=who, watch=['p'])}"} for who in ("ada", "ben"))
        line = f"Authorization: {ada['Authorization']}\r\n"
        with readers(running, 3, f"{P}/p/state", line) as crowd:
            for one in crowd:
                assert await one.status() == 200
            refused = await http.get(f"{P}/p/state", headers=ada)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert refused.headers["Retry-After"] == "1"
            assert (await http.get(f"{P}/p/state", headers=ben)).status_code == 200
            small = await http.get(f"{P}/p/events?limit=1", headers=ada)
            assert small.status_code == 200, "what fits in one piece is not counted"
        await until_nothing_is_held(answers)
        assert (await http.get(f"{P}/p/state", headers=ada)).status_code == 200


@pytest.mark.usefixtures("small_buffers")
async def test_what_all_large_answers_are_made_from_is_bounded() -> None:
    limits = {"max_answer_bytes": 5 * 1024 * 1024}
    async with large_project(limits=limits) as (running, answers), running.http() as http:
        with readers(running, 5, f"{P}/p/state") as crowd:
            for one in crowd:
                assert await one.status() == 200
            await running.publish("p", node_update("n0", title="another"))
            with readers(running, 1, f"{P}/p/state") as (second,):
                assert await second.status() == 200, "a second state beside the first"
                await running.publish("p", node_update("n0", title="a third"))
                refused = await http.get(f"{P}/p/state")
                assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
                assert answers.held <= 5 * 1024 * 1024
        await until_nothing_is_held(answers)
        assert (await http.get(f"{P}/p/state")).status_code == 200


async def test_a_single_answer_is_served_however_large_it_is() -> None:
    async with (
        large_project(limits={"max_answer_bytes": 1024 * 1024}) as (running, _),
        running.http() as http,
    ):
        assert len((await http.get(f"{P}/p/state")).json()["data"]["nodes"]) == NODES


@pytest.mark.usefixtures("small_buffers")
async def test_a_reader_that_takes_nothing_is_cut_off_and_gives_back_what_it_held() -> None:
    async with large_project(delivery={"stall_timeout": 0.2}) as (running, answers):
        with readers(running, 3, f"{P}/p/state") as crowd:
            for one in crowd:
                assert await one.status() == 200
            await until_nothing_is_held(answers)
            assert [await one.is_cut_off() for one in crowd] == [True] * 3


@pytest.mark.usefixtures("small_buffers")
async def test_past_states_and_pages_of_events_and_lists_are_large_answers_too() -> None:
    async with large_project() as (running, answers), running.http() as http:
        for path in ("state?at=1500", "events?since=:0&limit=1000", "events?before=end&limit=1000"):
            with readers(running, 2, f"{P}/p/{path}") as crowd:
                for one in crowd:
                    assert await one.status() == 200
                assert len(answers) == 2, path
            await until_nothing_is_held(answers)
        for number in range(100):
            await running.publish(
                f"l{number}", {"type": "project_update", "data": {"changes": {"url": "u" * 2_000}}}
            )
        with readers(running, 1, f"{P}?limit=1000") as (one,):
            assert await one.status() == 200
            assert len(answers) == 1
        await until_nothing_is_held(answers)
        head = await http.head(f"{P}/p/state")
        assert (head.status_code, head.content, answers.held) == (200, b"", 0)


async def test_an_answer_that_is_never_sent_gives_back_what_it_held() -> None:
    answers = LargeAnswers(Limits())
    async with QuartTrio("tests").test_request_context("/"):
        g.grants = OPEN
        response = answers.response(object(), 2 * PIECE, [b"x"])
        assert answers.held == 3 * PIECE
        del response
        await until_nothing_is_held(answers)


async def test_a_page_ends_early_in_bytes_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE_BYTES", 3_000)
    async with real_hub() as running, running.http() as http:
        await running.publish("p", *(node_update(f"n{number}", text="x" * 900) for number in range(20)))
        for first, key in ((":0", "since"), ("end", "before")):
            seqs: list[list[int]] = []
            place: str | None = first
            while place is not None:
                page = (await http.get(f"{P}/p/events", params={key: place, "limit": "1000"})).json()
                seqs.append([event["seq"] for event in page["events"]])
                place = page["next"]
            assert max(map(len, seqs)) < 4
            ordered = seqs if key == "since" else seqs[::-1]
            assert [seq for page in ordered for seq in page] == list(range(1, 21))


async def test_a_page_of_prompts_ends_early_in_bytes_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(people, "PAGE_BYTES", 3_000)
    monkeypatch.setattr(people, "AT_ONCE", 2)
    async with real_hub() as running, running.http() as http:
        for number in range(12):
            asked = {"prompt_id": f"q{number}", "project_id": "p", "message": "x" * 900}
            assert (await http.post("/api/v1/prompts", json=asked)).status_code == 201
        found: list[str] = []
        after: str | None = "0"
        while after is not None:
            page = (await http.get("/api/v1/prompts", params={"after": after})).json()
            assert len(page["prompts"]) < 5
            found += [one["prompt_id"] for one in page["prompts"]]
            after = page["next"]
        assert found == [f"q{number}" for number in range(12)]


async def test_a_large_file_goes_out_in_pieces_with_its_length() -> None:
    async with real_hub() as running, running.http() as http:
        response = await http.get("/api/v1/openapi.json", headers={"Accept-Encoding": "identity"})
        assert int(response.headers["Content-Length"]) == len(response.content) > PIECE
        assert response.json()["openapi"]


async def test_the_clients_read_an_answer_made_in_pieces() -> None:
    async with large_project() as (running, _):
        async with (
            httpx.AsyncClient(base_url=running.url) as http,
            http.stream("GET", f"{P}/p/state") as said,
        ):
            sizes = [len(piece) async for piece in said.aiter_raw()]
        assert len(sizes) > 5
