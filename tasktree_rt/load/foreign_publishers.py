"""Publishers beside the hub's own client: HTTP, a WebSocket, a command."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx
import trio
from attrs import frozen
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, open_websocket_url

from tasktree_rt.errors import ClientError
from tasktree_rt.load.http import open_http
from tasktree_rt.load.publishing import Acknowledged, Head
from tasktree_rt.load.target import Target

QUEUE: Final = 1_000
"""Publishes of a topic that wait for their turn: one is on its way at a time, so that they stay in order."""
Request = Callable[[int, int, int], tuple[str, bytes]]
"""Returns address and body of the POST for a topic, a number and a due time."""


class HttpPublisher:
    """Posts each event; those of a topic one after the other."""

    def __init__(
        self, client: httpx.AsyncClient, make: Request, noted: Acknowledged, nursery: trio.Nursery
    ) -> None:
        self._client = client
        self._make = make
        self._noted = noted
        self._lanes: list[trio.MemorySendChannel[tuple[int, int]]] = []
        for topic in range(len(noted.heads)):
            send, receive = trio.open_memory_channel[tuple[int, int]](QUEUE)
            self._lanes.append(send)
            nursery.start_soon(self._post, topic, receive)

    async def send(self, topic: int, number: int, due: int) -> None:
        """Publish."""
        self._noted.begin()
        await self._lanes[topic].send((number, due))

    async def flush(self) -> None:
        """Wait for the answers."""
        await self._noted.flush()

    async def _post(self, topic: int, receive: trio.MemoryReceiveChannel[tuple[int, int]]) -> None:
        async for number, due in receive:
            url, body = self._make(topic, number, due)
            try:
                answer = await self._client.post(
                    url, content=body, headers={"Content-Type": "application/json"}
                )
            except httpx.HTTPError as error:
                self._noted.done(ClientError(f"event {number}: no answer from {url}: {error!r}"))
                continue
            if answer.status_code >= 300:
                said = f"HTTP {answer.status_code} {answer.text[:200]}"
                self._noted.done(ClientError(f"event {number}: {url} answered {said}"))
                continue
            self._noted.acked(topic, number, due, number)


@asynccontextmanager
async def http_publisher(target: Target, make: Request, noted: Acknowledged) -> AsyncIterator[HttpPublisher]:
    """Open an `HttpPublisher`."""
    async with open_http(target) as client, trio.open_nursery() as nursery:
        yield HttpPublisher(client, make, noted, nursery)
        nursery.cancel_scope.cancel()


@frozen
class WrittenPublisher:
    """Writes each message; the server acknowledges nothing. `write` raises `ClientError` if it cannot."""

    write: Callable[[str], Awaitable[None]]
    text: Callable[[int, int], str]
    noted: Acknowledged

    async def send(self, topic: int, number: int, due: int) -> None:
        """Publish."""
        await self.write(self.text(number, due))
        self.noted.heads[topic] = Head(number)

    async def flush(self) -> None:
        """Wait for nothing."""


@asynccontextmanager
async def socket_publisher(
    target: Target, url: str, text: Callable[[int, int], str], noted: Acknowledged
) -> AsyncIterator[WrittenPublisher]:
    """Open a WebSocket at `url` and publish there; what it receives is dropped.

    Raises:
        ClientError: it cannot be opened.
    """
    headers = [(name.encode(), value.encode()) for name, value in target.headers(0)]
    try:
        async with (
            open_websocket_url(
                url, target.context, extra_headers=headers, max_message_size=1 << 26
            ) as socket,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_drop, socket)

            async def write(message: str) -> None:
                try:
                    await socket.send_message(message)
                except ConnectionClosed as error:
                    raise ClientError(f"publish_url: the server closed the connection: {error}") from None

            yield WrittenPublisher(write, text, noted)
            nursery.cancel_scope.cancel()
    except (HandshakeError, OSError) as error:
        raise ClientError(f"publish_url: {url}: no WebSocket: {error}") from None


async def _drop(socket: WebSocketConnection) -> None:
    try:
        while True:
            await socket.get_message()
    except ConnectionClosed:
        return


@asynccontextmanager
async def command_publisher(
    command: str, text: Callable[[int, int], str], noted: Acknowledged
) -> AsyncIterator[WrittenPublisher]:
    """Run a command of the shell that publishes each line of its standard input."""
    process = await trio.lowlevel.open_process(["/bin/sh", "-c", command], stdin=subprocess.PIPE)
    assert process.stdin is not None
    stdin = process.stdin

    async def write(message: str) -> None:
        try:
            await stdin.send_all(message.replace("\n", " ").encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ClientError("publish_command: it ended") from None

    try:
        yield WrittenPublisher(write, text, noted)
    finally:
        with trio.CancelScope(shield=True), trio.move_on_after(2):
            await stdin.aclose()
            await process.wait()
        if process.returncode is None:
            process.kill()
