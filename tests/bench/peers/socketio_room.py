"""A python-socketio room on uvicorn: ``emit`` to everybody in it."""

from __future__ import annotations

import socket

import socketio
import uvicorn

ROOM = "bench"
server = socketio.AsyncServer(
    async_mode="asgi", ping_interval=3600, ping_timeout=3600, cors_allowed_origins="*", http_compression=False
)


@server.event
async def connect(sid: str, environ: object, auth: object = None) -> None:
    """Everybody watches until they publish."""
    await server.enter_room(sid, ROOM)


@server.event
async def publish(sid: str, event: dict[str, object]) -> bool:
    """Send an event on; what is returned acknowledges it."""
    if ROOM in server.rooms(sid):
        await server.leave_room(sid, ROOM)
    await server.emit("event", event, room=ROOM)
    return True


def main() -> None:
    """Serve on a free port and say which."""
    app = socketio.ASGIApp(server)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print("ready", listener.getsockname()[1], flush=True)
        config = uvicorn.Config(app, loop="uvloop", ws_per_message_deflate=False, ws_ping_interval=None)
        uvicorn.Server(config).run(sockets=[listener])


main()
