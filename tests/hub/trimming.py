"""Trims the logs of a world at any position: with a checkpoint there, which no keeper would have written."""

from __future__ import annotations

from tasktree_rt.brokers.base import Checkpoint, Retention
from tasktree_rt.dialects.base import encode_json
from tests.hub.world import World


async def trim(world: World, most: int) -> None:
    """Drop all but the newest `most` events of each project, and let memory follow."""
    for project in world.hub.cache:
        floor = max(project.floor, project.tree.head - most)
        if project.epoch and floor:
            top = dict(world.oracle.tree(project.project_id, (project.epoch, floor)))
            nodes = list(top.pop("nodes").items())
            checkpoint = Checkpoint(project.epoch, floor, (encode_json(top), encode_json(nodes)))
            await world.store.save_checkpoint(project.project_id, checkpoint)
    for name, reached in (await world.store.trim(Retention(most, 1e9), world.hub.wall())).items():
        trimmed = world.hub.cache.get(name)
        if trimmed is not None and trimmed.epoch == reached.epoch:
            trimmed.trimmed(reached.seq)
