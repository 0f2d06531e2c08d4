"""Ending connections at once: whom a filter chooses, slow readers too, in slices."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.core.access import EVERYTHING, Grants, Scope
from tasktree_rt.core.protocol import Subscribe
from tasktree_rt.hub.delivery.disconnecting import AT_ONCE, ConnectionFilter
from tests.hub.world import World, a_world, update

ROOT = Grants("root", admin=True)


def of(subject: str, *, token_id: str = "", watch: Scope = EVERYTHING) -> Grants:
    return Grants(subject, watch, token_id=token_id)


@pytest.mark.parametrize(
    ("chosen", "ended"),
    [
        (ConnectionFilter(user="ada"), ["ada p", "ada *"]),
        (ConnectionFilter(project="p"), ["ada p", "ada *"]),
        (ConnectionFilter(project="q"), ["ada *", "bob q"]),
        (ConnectionFilter(user="ada", project="q"), ["ada *"]),
        (ConnectionFilter(token_id="t"), ["bob q"]),
        (ConnectionFilter(dialect="plain", user="bob"), ["bob q", "bob *"]),
        (ConnectionFilter(dialect="native"), []),
        (ConnectionFilter(address="10.0.0.1"), []),
        (ConnectionFilter(connection="unknown"), []),
    ],
)
async def test_a_filter_chooses_what_fits_all_of_it(
    autojump_clock: MockClock, chosen: ConnectionFilter, ended: list[str]
) -> None:
    async with a_world() as world:
        all_of_them = {
            "ada p": world.plain(Subscribe("p"), grants=of("ada")),
            "ada *": world.plain(Subscribe("*"), grants=of("ada")),
            "bob q": world.plain(Subscribe("q"), grants=of("bob", token_id="t", watch=Scope(("q",)))),
            "bob *": world.plain(Subscribe("*"), grants=of("bob", watch=Scope(("z",)))),
        }
        await world.settle()
        assert await world.hub.disconnecting.disconnect(chosen) == len(ended)
        closed = [name for name, one in all_of_them.items() if one.session.subscriber.close_code == 4010]
        assert closed == ended


async def test_a_reader_that_takes_nothing_is_cut_off(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        slow = world.plain(Subscribe("p"), room=10, grants=of("ada", token_id="bad"))
        await world.publish("p", update("n", title="x" * 500))
        await world.settle()
        assert slow.transport.fate() == "open"
        await world.hub.administration.revoke_token(ROOT, "bad")
        await trio.sleep(1)
        assert slow.transport.fate() == "aborted"


async def test_very_many_connections_are_looked_at_in_slices(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        number = 20 * AT_ONCE
        for _ in range(number):
            world.plain(Subscribe("p"), grants=of("ada"))
        await world.settle()
        assert await turns_of(world) >= number // AT_ONCE // 2
        assert not [one for one in world.hub.connections.values() if not one.closing]


async def turns_of(world: World) -> int:
    """How many turns others had while the hub ended every connection."""
    turns = 0
    async with trio.open_nursery() as nursery:

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        nursery.start_soon(count)
        await world.hub.disconnecting.disconnect(ConnectionFilter(user="ada"))
        nursery.cancel_scope.cancel()
    return turns
