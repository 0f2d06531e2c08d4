"""What the tests about people share: watchers with grants, a clock on the wall that goes with Trio's."""

from __future__ import annotations

from typing import Any

import trio
from attrs import evolve
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.tasktree import Native
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.publish.committer import GATHER
from tasktree_rt.hub.sessions.watcher import NativeSession
from tests.hub.transport import Carried
from tests.hub.world import World

START = 1_700_000_000_000_000
VIA: Json = {"dialect": "test"}


def with_walls_clock(hub: Hub) -> None:
    """Let the hub's clock on the wall go with Trio's."""
    hub.context.wall = lambda: START + round(trio.current_time() * 1_000_000)


def native(world: World, *topics: str, grants: Grants = OPEN, room: int | None = None) -> Carried:
    """A native watcher, of these topics."""
    wishes = tuple(Subscribe(one, state=True) for one in topics)

    async def same_subject(_: str) -> Grants:
        return evolve(OPEN, subject=grants.subject)

    session = NativeSession(
        world.hub, Native(), wishes, grants=grants, policy=Policy.CONFLATE, authenticate=same_subject
    )
    return Carried(session, world.nursery, room)


async def quiet() -> None:
    """Until everything under way is done; costs no time that counts."""
    await trio.sleep(2 * GATHER)
    await wait_all_tasks_blocked()


async def answers(carried: Carried, *messages: Any) -> list[Json]:
    """What somebody is told who says this."""
    for message in messages:
        carried.send(message)
    await quiet()
    return carried.received()


async def told(carried: Carried, kind: str, *messages: Any) -> Json:
    """The one message of a type among what somebody is told who says this."""
    (found,) = [one for one in await answers(carried, *messages) if one["type"] == kind]
    return found


async def asked(world: World, **question: Any) -> str:
    """A prompt's id."""
    pending, _ = await world.hub.prompts.ask({"message": "Deploy?", **question}, grants=OPEN)
    return pending.id
