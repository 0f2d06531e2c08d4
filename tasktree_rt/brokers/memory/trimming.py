"""Deleting from memory what retention no longer wants, in small steps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import trio

from tasktree_rt.brokers.base import KEPT_DEATHS_AGE, Death, Retention, Trimmed
from tasktree_rt.brokers.memory.contents import Interactions, Log, PublishIds
from tasktree_rt.core.log import Position

_AT_ONCE: Final = 500
"""Projects, producers or interactions to look at before other tasks run."""


async def trim_logs(
    lives: dict[str, Log],
    retention: Retention,
    now: int,
    spared: Collection[str],
    trimmed: Callable[[Trimmed], None],
) -> dict[str, Position]:
    """Delete old events and checkpoints; returns the new floors of the projects that lost events."""
    floors: dict[str, Position] = {}
    for done, (project_id, life) in enumerate(list(lives.items()), 1):
        wanted = project_id not in spared and lives.get(project_id) is life
        size = life.trim(retention, now) if wanted else None
        if size is not None:
            trimmed(Trimmed(project_id, life.epoch, life.owner, size))
            floors[project_id] = Position(life.epoch, life.floor)
        await _let_others_run(done)
    return floors


async def trim_producers(producers: PublishIds, now: int) -> None:
    """Forget ids of publishes that need not be known any more."""
    for done, producer in enumerate(producers.all(), 1):
        producers.forget_old(producer, now)
        await _let_others_run(done)


async def trim_interactions(interactions: Interactions, retention: Retention, now: int) -> None:
    """Forget settled prompts and commands: old ones, and those of an owner beyond `retention.max_events`."""
    interactions.forget_old(_cutoff(retention, now))
    for done, _ in enumerate(interactions.forget_beyond(retention.max_events), 1):
        await _let_others_run(done)


def trim_deaths(deaths: dict[str, Death], retention: Retention, now: int) -> None:
    """Forget how lives ended long ago."""
    cutoff = min(_cutoff(retention, now), now - KEPT_DEATHS_AGE)
    for name in [one for one, death in deaths.items() if death.record.received < cutoff]:
        del deaths[name]


def _cutoff(retention: Retention, now: int) -> int:
    return now - round(retention.max_age * 1_000_000)


async def _let_others_run(done: int) -> None:
    """Let other tasks run after every `_AT_ONCE` steps."""
    if done % _AT_ONCE == 0:
        await trio.lowlevel.checkpoint()
