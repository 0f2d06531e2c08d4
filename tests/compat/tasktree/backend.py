"""A backend as TaskTree's: its models, its REST calls that broadcast, its end. Only the import is another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field

from tasktree_rt.compat.tasktree import WebSocketManager


class WebSocketMessage(BaseModel):
    type: str
    project_id: str | None = None
    data: dict[str, Any]
    timestamp: datetime = Field(default_factory=datetime.now)


ws_manager = WebSocketManager()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    for connection in list(ws_manager.active_connections):
        with contextlib.suppress(Exception):
            await connection.close()
    ws_manager.active_connections.clear()


app = FastAPI(lifespan=lifespan)


@app.post("/say")  # type: ignore[untyped-decorator]
async def say(given: dict[str, Any]) -> dict[str, bool]:
    await ws_manager.broadcast(
        WebSocketMessage(type=given["type"], project_id=given.get("project_id"), data=given.get("data", {}))
    )
    return {"success": True}


@app.websocket("/ws/updates")  # type: ignore[untyped-decorator]
async def updates(websocket: WebSocket) -> None:
    await ws_manager.connect(websocket)
    try:
        while True:  # noqa: ASYNC110 - as there
            await asyncio.sleep(1)
    except (WebSocketDisconnect, asyncio.CancelledError, Exception):
        ws_manager.disconnect(websocket)
