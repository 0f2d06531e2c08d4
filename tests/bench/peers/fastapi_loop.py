"""The loop this hub replaces: FastAPI on uvicorn, ``await websocket.send_text`` to each watcher in turn."""

from __future__ import annotations

import json
import os
import socket
import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
watchers: list[WebSocket] = []


@app.websocket("/ws/updates")
async def updates(websocket: WebSocket) -> None:
    """A watcher."""
    await websocket.accept()
    watchers.append(websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        watchers.remove(websocket)


@app.websocket("/ws/orchestrator")
async def orchestrator(websocket: WebSocket) -> None:
    """A producer."""
    await websocket.accept()
    try:
        while True:
            request = json.loads(await websocket.receive_text())
            for event in request["events"]:
                text = json.dumps(event)
                for watcher in watchers:
                    await watcher.send_text(text)
            await websocket.send_text(json.dumps({"type": "ack", "id": request["id"]}))
    except WebSocketDisconnect:
        return


def main() -> None:
    """Serve on a free port and say which."""
    with socket.create_server(
        ("127.0.0.1", int(os.environ.get("BENCH_PORT", "0"))), backlog=1024
    ) as listener:
        print("ready", listener.getsockname()[1], flush=True)
        config = uvicorn.Config(app, loop=sys.argv[1], ws_per_message_deflate=False, ws_ping_interval=None)
        uvicorn.Server(config).run(sockets=[listener])


main()
