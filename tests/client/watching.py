"""What a hub says of a project, and what a watcher is told up to a point."""

import trio

from tasktree_rt.client import Watcher, open_watcher
from tasktree_rt.client.watcher.messages import WatchMessage
from tests.cli.processes import PATIENCE
from tests.client.fakehub import Json, Peer


async def say_event(peer: Peer, seq: int) -> None:
    data = {"node_id": f"n{seq}", "changes": {"progress": seq}}
    await peer.say("node_update", project_id="p", data=data, timestamp="T", seq=seq, epoch="e")


async def say_state(peer: Peer, seq: int, project: str = "p") -> None:
    data: Json = {"state": "running", "project": {"title": "P"}, "orchestrator": None, "coordination": None}
    data |= {"prompts": [], "nodes": [{"node_id": "root", "title": "R"}]}
    place = {"project_id": project, "seq": seq, "epoch": "e"}
    await peer.say("project_state", **place, reason="initial", part=1, parts=1, data=data)


async def until(watcher: Watcher, kind: type, times: int = 1) -> list[WatchMessage]:
    """What is told up to the nth message of a kind."""
    told = []
    async for message in watcher:
        told.append(message)
        times -= isinstance(message, kind)
        if not times:
            return told
    raise AssertionError("ended early")


async def prompted(url: str, project: str = "p", token: str | None = None) -> Json:
    """The first open prompt of a project, once there is one."""
    with trio.fail_after(PATIENCE):
        async with open_watcher(url, project, token=token) as watcher:
            async for _ in watcher:
                if watcher.view(project).prompts:
                    return watcher.view(project).prompts[0]
    raise AssertionError("ended early")
