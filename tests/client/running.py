"""What a hub has of a run."""

from __future__ import annotations

from tasktree_rt.client import (
    open_api_client,
)
from tasktree_rt.core.events import Json
from tests.web.realhub import RealHub


async def nodes(running: RealHub, project: str = "p") -> dict[str, Json]:
    state = await running.hub.state(project)
    return {node_id: one.fields for node_id, one in state.nodes}


async def events(running: RealHub, kind: str, project: str = "p") -> list[Json]:
    async with open_api_client(running.url) as desk:
        return [one["data"] for one in (await desk.events(project, type=kind, limit=1000)).events]


async def statuses(running: RealHub, node_id: str) -> list[str]:
    """Through what a node went."""
    changes = [one["changes"] for one in await events(running, "node_update") if one["node_id"] == node_id]
    return [one["status"] for one in changes if one.get("status")]
