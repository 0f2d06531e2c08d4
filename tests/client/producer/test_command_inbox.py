"""Commands: each is given to the program once, and what it says of it arrives, whatever is lost."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tasktree_rt.client import (
    Backoff,
    Command,
    Commands,
    ConnectionLost,
    Orchestrator,
    RequestRefused,
    open_api_client,
    open_orchestrator,
)
from tests.client.fakehub import Json, Peer, fake_hub
from tests.web.realhub import real_hub

AT_ONCE = Backoff(base=0.0, cap=0.0)


async def instruct(peer: Peer, command_id: str = "c1", **more: Any) -> None:
    await peer.say("command", project_id="p", command_id=command_id, name="cancel", by="ada", via={}, **more)


async def first(orchestrator: Orchestrator) -> Command:
    with trio.fail_after(30):
        return await anext(orchestrator.commands())


# --- with a real hub ------------------------------------------------------------------------------


async def test_a_command_arrives_whole_and_its_end_is_told() -> None:
    async with (
        real_hub() as running,
        open_orchestrator(running.url, "o", commands="p") as orchestrator,
        open_api_client(running.url) as desk,
    ):
        await (await orchestrator.node_update("p", "n")).acked()
        outcomes = []

        async def command(name: str) -> None:
            outcomes.append(await desk.command("p", name, node_id="n", args={"hard": True}, wait=30))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(command, "cancel")
            given = await first(orchestrator)
            assert (given.name, given.project_id, given.node_id, given.args) == (
                "cancel",
                "p",
                "n",
                {"hard": True},
            )
            assert (given.by, given.via["dialect"]) == (None, "http")
            await given.accept()
            await given.done("stopped")
            with pytest.raises(RuntimeError, match="settled already"):
                await given.refuse("no")
            nursery.start_soon(command, "retry")
            await (await first(orchestrator)).refuse("never")
    assert [(one.status, one.message) for one in outcomes] == [("done", "stopped"), ("refused", "never")]


async def test_what_was_published_before_an_end_stands_before_it() -> None:
    async with (
        real_hub() as running,
        open_orchestrator(running.url, "o", commands=["p"], max_in_flight=2) as orchestrator,
        open_api_client(running.url) as desk,
        trio.open_nursery() as nursery,
    ):
        await (await orchestrator.node_update("p", "n")).acked()

        async def publish(number: int) -> None:
            await orchestrator.node_update("p", f"n{number}")

        nursery.start_soon(desk.command, "p", "go")
        given = await first(orchestrator)
        for number in range(10):
            await publish(number)
        await given.done()
        kinds = [one["type"] for one in (await desk.events("p")).events]
    assert kinds == ["node_update", "command", *["node_update"] * 10, "command_result"]


async def test_a_command_whose_time_was_up_is_gone() -> None:
    async with (
        real_hub() as running,
        open_orchestrator(running.url, "o", commands="p") as orchestrator,
        open_api_client(running.url) as desk,
    ):
        await (await orchestrator.node_update("p", "n")).acked()
        sent = await desk.command("p", "cancel")
        assert sent.status == "pending"
        given = await first(orchestrator)
        await desk._http.call(_deletion())
        with pytest.raises(RequestRefused) as gone:
            await given.done()
    assert gone.value.code == "gone"
    assert gone.value.outcome is not None
    assert gone.value.outcome["status"] == "cancelled"


def _deletion() -> Any:
    from tasktree_rt.client.transport.http_retry import Request

    return Request("DELETE", "/projects/p")


async def test_nobody_takes_commands_who_did_not_say_so() -> None:
    async with real_hub() as running, open_orchestrator(running.url, "o") as orchestrator:
        with pytest.raises(RuntimeError, match="was not told"):
            await first(orchestrator)
        async with open_api_client(running.url) as desk:
            with pytest.raises(RequestRefused) as refused:
                await desk.command("p", "cancel")
    assert refused.value.code == "no_orchestrator"


# --- what is lost ---------------------------------------------------------------------------------


async def test_the_projects_are_named_in_the_address() -> None:
    hub_asked = trio.Event()

    async def script(peer: Peer) -> None:
        hub_asked.set()
        await peer.silent()

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "o", commands=["p", "q"]):
        await hub_asked.wait()
    assert hub.peers[0].query["commands"] == ["p", "q"]


async def test_a_command_given_again_is_not_yielded_again_and_its_acceptance_is_said_again() -> None:
    heard: list[Json] = []

    async def begins(peer: Peer) -> None:
        await instruct(peer)
        said = await peer.hear("command_result")
        await peer.say("reply", id=said["id"])
        await peer.drop()

    async def goes_on(peer: Peer) -> None:
        await instruct(peer)
        await instruct(peer, "c2")
        while True:
            said = await peer.hear("command_result")
            heard.append(said)
            await peer.say("reply", id=said["id"])

    async with (
        fake_hub(begins, goes_on) as hub,
        open_orchestrator(hub.url, "o", commands="p", backoff=AT_ONCE) as orchestrator,
    ):
        one = await first(orchestrator)
        await one.accept()
        two = await first(orchestrator)
        assert (one.id, two.id) == ("c1", "c2")
        await one.done()
        await two.done()
    assert [(said["command_id"], said["status"]) for said in heard] == [
        ("c1", "accepted"),
        ("c1", "done"),
        ("c2", "done"),
    ]


async def test_a_result_whose_reply_was_lost_is_said_again_under_the_same_id() -> None:
    heard: list[Json] = []

    async def loses(peer: Peer) -> None:
        await instruct(peer)
        heard.append(await peer.hear("command_result"))
        await peer.drop()

    async def answers(peer: Peer) -> None:
        heard.append(await peer.hear("command_result"))
        await peer.say("reply", id=heard[-1]["id"])
        await peer.silent()

    async with (
        fake_hub(loses, loses_again(heard), answers) as hub,
        open_orchestrator(hub.url, "o", commands="p", backoff=AT_ONCE) as orchestrator,
    ):
        await (await first(orchestrator)).done("x" * 5000)
    assert len(heard) == 3
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]["message"]) == 4096


def loses_again(heard: list[Json]) -> Any:
    async def script(peer: Peer) -> None:
        heard.append(await peer.hear("command_result"))
        await peer.drop()

    return script


async def test_a_command_that_the_hub_holds_to_be_an_old_connections_is_answered_when_given_again() -> None:
    async def begins(peer: Peer) -> None:
        await instruct(peer)
        await peer.hear("command_result")
        await peer.drop()

    async def goes_on(peer: Peer) -> None:
        said = await peer.hear("command_result")
        await peer.say("error", id=said["id"], code="forbidden", message="another's", field="command_id")
        await instruct(peer)
        again = await peer.hear("command_result")
        assert again == said
        await peer.say("reply", id=said["id"])
        await peer.silent()

    async with (
        fake_hub(begins, goes_on) as hub,
        open_orchestrator(hub.url, "o", commands="p", backoff=AT_ONCE) as orchestrator,
    ):
        with trio.fail_after(30):
            await (await first(orchestrator)).done()


async def test_it_is_tried_again_until_the_other_orchestrators_end_of_it_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    times: list[float] = []

    async def script(peer: Peer) -> None:
        await instruct(peer)
        for code in ("forbidden", "forbidden", "gone"):
            said = await peer.hear("command_result")
            times.append(trio.current_time())
            await peer.say("error", id=said["id"], code=code, message="no", outcome={"status": "done"})
        await peer.silent()

    async with (
        fake_hub(script) as hub,
        open_orchestrator(hub.url, "o", commands="p") as orchestrator,
    ):
        given = await anext(orchestrator.commands())
        with pytest.raises(RequestRefused) as gone:
            await given.done()
    assert gone.value.outcome == {"status": "done"}
    assert times[2] - times[1] == pytest.approx(2.0)


async def test_a_result_that_was_wrong_may_be_said_again_better() -> None:
    async def script(peer: Peer) -> None:
        await instruct(peer)
        said = await peer.hear("command_result")
        await peer.say("error", id=said["id"], code="invalid_message", message="no", field="message")
        said = await peer.hear("command_result")
        await peer.say("reply", id=said["id"])
        await peer.silent()

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "o", commands="p") as orchestrator:
        given = await first(orchestrator)
        with pytest.raises(RequestRefused, match="invalid_message"):
            await given.refuse("bad")
        await given.refuse("better")


async def test_a_hub_that_is_busy_gets_the_result_on_the_next_connection() -> None:
    async def busy(peer: Peer) -> None:
        await instruct(peer)
        said = await peer.hear("command_result")
        await peer.say("error", id=said["id"], code="overloaded", message="later", retry_after_ms=0)
        await peer.close(1013)

    async def well(peer: Peer) -> None:
        said = await peer.hear("command_result")
        await peer.say("reply", id=said["id"])
        await peer.silent()

    async with (
        fake_hub(busy, well) as hub,
        open_orchestrator(hub.url, "o", commands="p", backoff=AT_ONCE) as orchestrator,
    ):
        await (await first(orchestrator)).done()


async def test_leaving_sends_what_was_said_and_ends_the_commands() -> None:
    heard: list[Json] = []

    async def script(peer: Peer) -> None:
        await instruct(peer)
        heard.append(await peer.hear("command_result"))
        await peer.say("reply", id=heard[-1]["id"])
        await peer.silent()

    async with fake_hub(script) as hub, trio.open_nursery() as nursery:
        async with open_orchestrator(hub.url, "o", commands="p") as orchestrator:
            given = await first(orchestrator)
            nursery.start_soon(given.done)
            await trio.testing.wait_all_tasks_blocked()
        assert [said["status"] for said in heard] == ["done"]
        assert [one async for one in orchestrator.commands()] == []


async def test_a_hub_that_is_lost_ends_commands_and_results() -> None:
    async def script(peer: Peer) -> None:
        await instruct(peer)
        await peer.hear("command_result")
        await peer.close(4003)

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "o", commands="p") as orchestrator:
        given = await first(orchestrator)
        with pytest.raises(ConnectionLost):
            await given.done()
        with pytest.raises(ConnectionLost):
            await first(orchestrator)


async def test_two_tasks_share_the_commands() -> None:
    async def script(peer: Peer) -> None:
        await instruct(peer, "c1")
        await instruct(peer, "c2")
        await peer.silent()

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "o", commands="p") as orchestrator:
        found: list[str] = []

        async def take(commands: Commands) -> None:
            found.append((await anext(commands)).id)

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(take, orchestrator.commands())
                nursery.start_soon(take, orchestrator.commands())
    assert sorted(found) == ["c1", "c2"]


async def test_a_command_without_a_name_is_of_no_hub() -> None:
    async def script(peer: Peer) -> None:
        await peer.say("command", project_id="p", command_id="c")
        await peer.silent()

    async with fake_hub(script) as hub, open_orchestrator(hub.url, "o", commands="p") as orchestrator:
        with pytest.raises(ConnectionLost, match="not a hub"):
            await first(orchestrator)
