from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.client import (
    Connected,
    Subscribed,
    Watcher,
    open_watcher,
)
from tasktree_rt.errors import ConnectionLost, InvalidInput
from tests.client.fakehub import Peer, Refusal, fake_hub
from tests.client.watching import until


@pytest.mark.parametrize("code", [4001, 4003, 1007, 4029])
async def test_a_close_that_says_stop_ends_the_iteration_with_a_clear_word(code: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.subscribed(await peer.hear("subscribe"), "e", 5, None)
        await peer.close(code, "because")

    async with fake_hub(script) as hub, open_watcher(hub.url, "p") as watcher:
        await until(watcher, Subscribed)  # what was said before is told first
        with pytest.raises(ConnectionLost, match=f"{code} because"):
            await until(watcher, Subscribed)
    assert hub.knocks == 1


async def test_an_address_that_is_not_a_hubs_is_noticed() -> None:
    async def echo(peer: Peer) -> None:
        await peer.say("hello")
        await peer.silent()

    async with fake_hub(echo) as hub, open_watcher(hub.url) as watcher:
        with pytest.raises(ConnectionLost, match=r"does not speak tasktree\.v1"):
            await until(watcher, Connected)


async def test_leaving_ends_the_iteration_elsewhere_and_says_goodbye() -> None:
    said_goodbye = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        try:
            await peer.silent()
        finally:
            said_goodbye.set()

    async def iterate(watcher: Watcher) -> None:
        async for _ in watcher:
            pass

    async with fake_hub(script) as hub, trio.open_nursery() as nursery:
        async with open_watcher(hub.url, "p") as watcher:
            await until(watcher, Connected)
            nursery.start_soon(iterate, watcher)
            await wait_all_tasks_blocked()
        await said_goodbye.wait()


async def test_the_bodys_exception_goes_on_as_it_is() -> None:
    async def visit(url: str) -> None:
        async with open_watcher(url, "p"):
            raise ZeroDivisionError

    async with fake_hub(Peer.silent) as hub:
        with pytest.raises(ZeroDivisionError):
            await visit(hub.url)


async def test_patience_ends(autojump_clock: MockClock) -> None:
    async with (
        fake_hub(Peer.silent, refuse=lambda knock: Refusal(503)) as hub,
        open_watcher(hub.url, "p", patience=60) as watcher,
    ):
        with pytest.raises(ConnectionLost, match="gave up after 60 s"):
            await until(watcher, Connected)


async def test_without_views_there_are_none() -> None:
    async with fake_hub(Peer.silent) as hub, open_watcher(hub.url, "p", views=False) as watcher:
        with pytest.raises(RuntimeError):
            watcher.view("p")


@pytest.mark.parametrize(
    ("url", "projects", "since", "fault"),
    [
        ("nowhere", "p", None, ValueError),
        ("http://h", ["p", "q"], "e:1", ValueError),
        ("http://h", "*", "e:1", ValueError),
        ("http://h", "p", "nonsense", InvalidInput),
    ],
)
async def test_what_makes_no_sense_is_refused_at_once(
    url: str, projects: Any, since: str, fault: type[Exception]
) -> None:
    with pytest.raises(fault):
        await open_watcher(url, projects, since).__aenter__()
