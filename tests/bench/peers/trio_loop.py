"""A trio-websocket server: ``await connection.send_message`` to each watcher in turn."""

from __future__ import annotations

import json
from functools import partial

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

watchers: set[WebSocketConnection] = set()


async def handle(request: WebSocketRequest) -> None:
    """A watcher or a producer, by path."""
    connection = await request.accept()
    try:
        if request.path.startswith("/ws/orchestrator"):
            await produce(connection)
            return
        watchers.add(connection)
        while True:
            await connection.get_message()
    except ConnectionClosed:
        watchers.discard(connection)


async def produce(connection: WebSocketConnection) -> None:
    """Send every event on, then answer."""
    while True:
        request = json.loads(await connection.get_message())
        for event in request["events"]:
            text = json.dumps(event)
            for watcher in watchers:
                await watcher.send_message(text)
        await connection.send_message(json.dumps({"type": "ack", "id": request["id"]}))


async def main() -> None:
    """Serve on a free port and say which."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, handle, "127.0.0.1", 0, ssl_context=None))
        print("ready", server.port, flush=True)


trio.run(main)
