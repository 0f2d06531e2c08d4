import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.client import open_orchestrator
from tasktree_rt.client.producer.session import PING_INTERVAL, PING_TIMEOUT
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ConnectionLost
from tests.client.fakehub import Peer, Refusal, Store, fake_hub, keeping, node_event


@pytest.mark.parametrize("code", [4001, 4003, 1002, 4029])
async def test_a_close_that_says_stop_ends_it_with_a_clear_word(code: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.hear()
        await peer.close(code, "because")

    async def visit(url: str) -> None:
        async with open_orchestrator(url, "prod") as hubward:
            receipt = await hubward.publish(node_event(1))
            with pytest.raises(ConnectionLost, match=f"{code} because"):
                await receipt.acked()
            with pytest.raises(ConnectionLost, match=f"{code} because"):
                await hubward.publish(node_event(2))
            await hubward.flush()

    async with fake_hub(script) as hub:
        with pytest.raises(ConnectionLost, match=f"{code} because"):
            await visit(hub.url)
    assert hub.knocks == 1


async def test_without_a_token_it_does_not_knock_for_ever() -> None:
    async with fake_hub(Peer.silent, refuse=lambda knock: Refusal(401)) as hub:
        with pytest.raises(ConnectionLost, match="HTTP 401"):
            async with open_orchestrator(hub.url, "prod") as hubward:
                await (await hubward.publish(node_event(1))).acked()


async def test_patience_is_a_bound_on_the_hubs_absence(autojump_clock: MockClock) -> None:
    async with fake_hub(Peer.silent, refuse=lambda knock: Refusal(503)) as hub:
        with pytest.raises(ConnectionLost, match="gave up after 50 s"):
            async with open_orchestrator(hub.url, "prod", patience=50) as hubward:
                await (await hubward.publish(node_event(1))).acked()
    assert trio.current_time() < 150


async def test_leaving_waits_for_the_answers() -> None:
    store = Store()

    async def slow(peer: Peer) -> None:
        publish = await peer.hear("publish")
        await wait_all_tasks_blocked()
        await peer.say("ack", **store.commit(publish))
        await peer.silent()

    async with fake_hub(slow) as hub:
        async with open_orchestrator(hub.url, "prod") as hubward:
            receipt = await hubward.publish(node_event(1))
        assert (await receipt.acked()).positions == (Position("e1", 1),)
        with pytest.raises(trio.ClosedResourceError):
            await hubward.publish(node_event(2))


async def test_leaving_gives_up_after_the_flush_timeout_and_says_what_is_left(
    autojump_clock: MockClock,
) -> None:
    async with fake_hub(Peer.silent) as hub:
        with pytest.raises(ConnectionLost, match="1 publishes were not acknowledged"):
            async with open_orchestrator(hub.url, "prod", flush_timeout=7) as hubward:
                receipt = await hubward.publish(node_event(1))
        assert trio.current_time() == pytest.approx(7, abs=2.5)
        with pytest.raises(ConnectionLost):
            await receipt.acked()


async def test_a_body_that_fails_is_flushed_and_its_exception_goes_on() -> None:
    store = Store()

    async def visit(url: str) -> None:
        async with open_orchestrator(url, "prod") as hubward:
            await hubward.publish(node_event(1))
            raise ZeroDivisionError

    async with fake_hub(keeping(store)) as hub:
        with pytest.raises(ZeroDivisionError):
            await visit(hub.url)
    assert len(store.events) == 1


async def test_cancelled_it_leaves_at_once(autojump_clock: MockClock) -> None:
    async with fake_hub(Peer.silent) as hub:
        with trio.move_on_after(3):
            async with open_orchestrator(hub.url, "prod", flush_timeout=1000) as hubward:
                await hubward.publish(node_event(1))
                await trio.sleep_forever()
    assert trio.current_time() == pytest.approx(3)


async def test_a_hub_that_vanished_without_a_word_is_noticed(autojump_clock: MockClock) -> None:
    store = Store()

    async def vanish(peer: Peer) -> None:
        # A reader that is not fed answers no pings: as good as a host that is gone.
        peer._socket._reader_running = False
        await trio.sleep_forever()

    async with (
        fake_hub(vanish, keeping(store)) as hub,
        open_orchestrator(hub.url, "prod", flush_timeout=1000) as hubward,
    ):
        await hubward.publish(node_event(1))
        await trio.sleep(1)
        await hubward.publish(node_event(2))
        await hubward.flush()
        assert trio.current_time() <= PING_INTERVAL + PING_TIMEOUT + 1
    assert len(store.events) == 2
