"""A program of its own: a plain FastAPI broadcast server, as people write it; not a hub."""

from __future__ import annotations

import contextlib
import socket

import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

app = FastAPI()
watchers: set[WebSocket] = set()


async def tell_all(text: str) -> None:
    for watcher in list(watchers):
        with contextlib.suppress(Exception):
            await watcher.send_text(text)


@app.websocket("/feed")
async def feed(websocket: WebSocket) -> None:
    await websocket.accept()
    watchers.add(websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        watchers.discard(websocket)


@app.websocket("/push")
async def push(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await tell_all(await websocket.receive_text())


@app.post("/publish")
async def publish(request: Request) -> dict[str, int]:
    await tell_all((await request.body()).decode())
    return {"watchers": len(watchers)}


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(f"ready {listener.getsockname()[1]}", flush=True)  # noqa: T201
        config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False)
        uvicorn.Server(config).run(sockets=[listener])
