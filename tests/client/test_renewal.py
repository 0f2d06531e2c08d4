"""Every part of the client renews its token, before it expires and after the hub refused it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import httpx
import pytest
import trio

from tasktree_rt.client import (
    Backoff,
    ConnectionLost,
    Orchestrator,
    ProjectEvent,
    Publisher,
    RequestRefused,
    Run,
    Watcher,
    open_api_client,
    open_orchestrator,
    open_run,
    open_watcher,
)
from tasktree_rt.client.interactions.administration import open_administration
from tasktree_rt.client.transport import renewal
from tasktree_rt.hub.sessions.base import ConnectionSession
from tests.cli.processes import PATIENCE
from tests.client.fakehub import Peer, Refusal, fake_hub, node_event
from tests.client.lifetimes import LASTS, WARNING, Lifetimes, hub_of, renewed
from tests.web.realhub import RealHub, token

FAST = Backoff(base=0.001, cap=0.002)
SOON = LASTS - WARNING / 2
"""Seconds after which a token is about to expire."""


async def see(watcher: Watcher, node_id: str) -> None:
    """Watch until a node is there."""
    with trio.fail_after(PATIENCE):
        while node_id not in watcher.view("p").nodes:
            await anext(watcher)


async def push(hub: Orchestrator, node_id: str) -> None:
    """Publish a node and wait for the hub."""
    with trio.fail_after(PATIENCE):
        await (await hub.node_update("p", node_id, status="running")).acked()


@pytest.mark.parametrize("sync", [True, False])
async def test_a_watcher_and_an_orchestrator_renew_their_token_on_the_same_connection(sync: bool) -> None:
    tokens = Lifetimes()
    source = tokens.token if sync else tokens.asked
    async with (
        hub_of(tokens) as running,
        open_orchestrator(running.url, "prod", token=source, commands="p") as hub,
        open_watcher(running.url, "p", token=source) as watcher,
    ):
        await push(hub, "first")
        await see(watcher, "first")
        before = set(running.hub.connections)
        for number in (1, 2):
            tokens.pass_time(SOON)
            await renewed(running, 2 * number, subjects=2)
            await push(hub, f"n{number}")
            await see(watcher, f"n{number}")
        assert set(running.hub.connections) == before
        assert hub.statistics().connections == 1
    assert len(tokens.given) == 6  # two parts, each with a token of its own three times


async def test_one_that_got_no_warning_reconnects_with_a_new_token() -> None:
    tokens = Lifetimes()
    async with (
        hub_of(tokens, warning=0.0) as running,
        open_orchestrator(running.url, "prod", token=tokens.token, backoff=FAST) as hub,
        open_watcher(running.url, "p", token=tokens.token, backoff=FAST) as watcher,
    ):
        for number in range(4):
            await push(hub, f"n{number}")
            await see(watcher, f"n{number}")
            tokens.pass_time(LASTS + 1)
        await push(hub, "last")
        await see(watcher, "last")
        assert hub.statistics().connections == 5


async def test_a_token_given_late_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "BETWEEN", FAST)
    tokens, late = Lifetimes(), ["old", "nothing", "failure"]

    def ask() -> str:
        if not tokens.given or not late:
            return tokens.token()
        kind = late.pop()
        if kind == "failure":
            raise OSError("the service is away")
        return "" if kind == "nothing" else tokens.given[-1]

    async with (
        hub_of(tokens) as running,
        open_orchestrator(running.url, "prod", token=ask) as hub,
    ):
        await push(hub, "first")
        tokens.pass_time(SOON)
        await renewed(running, 1)
        assert hub.statistics().connections == 1


async def test_a_token_of_another_subject_is_for_the_next_connection() -> None:
    tokens = Lifetimes()
    async with (
        hub_of(tokens) as running,
        open_orchestrator(running.url, "prod", token=tokens.token, backoff=FAST) as hub,
    ):
        await push(hub, "first")
        tokens.subject = "bob"
        tokens.pass_time(SOON)
        with trio.fail_after(PATIENCE):
            while len(tokens.given) < 2:
                await trio.testing.wait_all_tasks_blocked(0.001)
        tokens.pass_time(WARNING)
        await push(hub, "second")
        [connection] = running.hub.connections.values()
        assert connection.grants.subject == "bob"


async def on_trio(url: str, source: Callable[[], str]) -> None:
    """Use the HTTP API, and ask for all keys as an administrator."""
    async with open_api_client(url, token=source) as desk:
        await desk.notify("ada", "hello")
        await desk.open_prompts()
    async with open_administration(url, token=source) as administration:
        await administration.keys()


async def in_threads(url: str, source: Callable[[], str]) -> None:
    """Publish and ask from threads."""

    def work() -> None:
        with Publisher(url, "prod", token=source, backoff=FAST) as publisher:
            publisher.publish(node_event(1))
            assert publisher.flush(PATIENCE)
            assert not publisher.ask("?", project_id="p", timeout=0.01)
            assert publisher.statistics().refused == 0

    await trio.to_thread.run_sync(work)


async def as_runs(url: str, source: Callable[[], str]) -> None:
    """Run with Trio and with threads."""
    async with open_run(url, "p", token=source) as run:
        with run.node("a"):
            assert not await run.ask("?", timeout=0.01)

    def work() -> None:
        with Run(url, "q", token=source) as run, run.node("b"):
            assert not run.ask("?", timeout=0.01)

    await trio.to_thread.run_sync(work)


@pytest.mark.parametrize("use", [on_trio, in_threads, as_runs])
async def test_every_part_asks_again_where_the_hub_refuses_its_token(
    use: Callable[[str, Callable[[], str]], Awaitable[None]],
) -> None:
    tokens = Lifetimes()
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return token(subject="ada", expires=1) if len(asked) % 2 else tokens.token()

    async with hub_of(tokens) as running:
        with trio.fail_after(PATIENCE):
            await use(running.url, ask)
    assert tokens.given


async def wrong(running: RealHub, source: str | Callable[[], str]) -> list[str]:
    """The errors of all parts."""
    told: list[str] = []
    async with open_watcher(running.url, "p", token=source, backoff=FAST) as watcher:
        with pytest.raises(ConnectionLost) as lost:
            async for _ in watcher:
                pass
        told.append(str(lost.value))
    async with open_api_client(running.url, token=source) as desk:
        with pytest.raises(RequestRefused) as refused:
            await desk.open_prompts()
        assert refused.value.code == "unauthorized"
        told.append(str(refused.value))
    return told


async def test_wrong_tokens_end_it_and_show_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    given: list[str] = []

    def ask() -> str:
        given.append(token(subject=f"eve{len(given)}", expires=1))
        return given[-1]

    async with hub_of(Lifetimes()) as running:
        with trio.fail_after(PATIENCE):
            told = await wrong(running, ask)
            assert len(given) == 4
            told += await wrong(running, given[0])
            with pytest.raises(ConnectionLost) as lost:
                async with open_orchestrator(running.url, "prod", token=given[0]) as hub:
                    await push(hub, "n")
            told.append(str(lost.value))
    assert all("token" in one for one in told), told
    for one in given:
        assert all(one not in text for text in [*told, caplog.text])


async def test_a_token_that_stays_wrong_ends_it_at_once() -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return "nonsense"

    async with hub_of(Lifetimes()) as running:
        with trio.fail_after(PATIENCE):
            await wrong(running, ask)
    assert len(asked) == 4


async def test_a_token_in_the_address_is_sent_in_a_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.silent()

    async with fake_hub(script, refuse=lambda knock: Refusal(503) if knock == 1 else None) as hub:
        async with open_watcher(f"{hub.url}?token=hunter2&x=1", "p", backoff=FAST) as watcher:
            while not watcher.connected:
                await anext(watcher)
        [peer] = hub.peers
    assert (peer.token, peer.query) == ("hunter2", {"x": ["1"], "policy": ["conflate"], "project_id": ["p"]})
    assert "hunter2" not in caplog.text


def test_a_publisher_shows_no_token_in_what_it_says_of_errors() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        raise httpx.ConnectError("no route", request=request)

    told: list[str] = []
    with Publisher(
        "http://hub?token=hunter2",
        "prod",
        transport=httpx.MockTransport(answer),
        exit_timeout=0.0,
        on_error=lambda project, events, error: told.append(f"{error!r}"),
    ) as publisher:
        publisher.publish(node_event(1))
    assert told
    assert "hunter2" not in f"{told} {publisher.statistics()}"
    assert all(one.headers["Authorization"] == "Bearer hunter2" and not one.url.query for one in seen)


async def test_a_storm_of_reconnects_with_tokens_that_expire_loses_no_event() -> None:
    tokens, many, rounds = Lifetimes(), 12, 6
    seen: dict[int, list[str]] = {number: [] for number in range(many)}

    async def watch(url: str, number: int) -> None:
        async with open_watcher(url, "p", token=tokens.asked, backoff=FAST, views=False) as watcher:
            async for message in watcher:
                if isinstance(message, ProjectEvent):
                    seen[number].append(message.data["node_id"])
                    if message.data["node_id"] == "last":
                        return

    async with hub_of(tokens) as running:
        await running.publish("p", {"type": "node_update", "data": {"node_id": "zero", "changes": {}}})
        async with (
            open_orchestrator(running.url, "prod", token=tokens.token, backoff=FAST) as hub,
            trio.open_nursery() as nursery,
        ):
            for number in range(many):
                nursery.start_soon(watch, running.url, number)
            with trio.fail_after(PATIENCE):
                while len(running.hub.connections) < many + 1:
                    await trio.testing.wait_all_tasks_blocked(0.001)
                await trio.testing.wait_all_tasks_blocked(0.01)
                for turn in range(rounds):
                    receipts = [await hub.node_update("p", f"n{turn}.{n}", title="t") for n in range(10)]
                    # Some are warned, some expire, and of those that renew half break off in the middle.
                    tokens.pass_time(SOON if turn % 2 else LASTS + 1)
                    for session in list(running.hub.sessions)[turn % 2 :: 2]:
                        assert isinstance(session, ConnectionSession)
                        session.subscriber.abort("storm")
                    for receipt in receipts:
                        await receipt.acked()
                await (await hub.node_update("p", "last", title="t")).acked()
        assert hub.statistics().connections > 1
    expected = [f"n{turn}.{n}" for turn in range(rounds) for n in range(10)] + ["last"]
    assert all(one == expected for one in seen.values())
