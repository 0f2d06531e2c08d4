"""``websockets.broadcast`` on asyncio: the fastest common way to do it in Python."""

from __future__ import annotations

import asyncio
import json
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

COMPRESSION = "deflate" if "deflate" in sys.argv else None
watchers: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    """A watcher or a producer, by path."""
    assert connection.request is not None
    if connection.request.path.startswith("/ws/orchestrator"):
        async for message in connection:
            request = json.loads(message)
            for event in request["events"]:
                broadcast(watchers, json.dumps(event))
            await connection.send(json.dumps({"type": "ack", "id": request["id"]}))
        return
    watchers.add(connection)
    try:
        await connection.wait_closed()
    finally:
        watchers.discard(connection)


async def main() -> None:
    """Serve on a free port and say which."""
    async with serve(
        handle, "127.0.0.1", 0, compression=COMPRESSION, backlog=1024, ping_interval=None
    ) as server:
        print("ready", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
