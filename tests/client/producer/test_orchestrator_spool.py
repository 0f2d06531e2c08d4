from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.client import open_orchestrator
from tasktree_rt.errors import ClientError, ConnectionLost
from tests.client.fakehub import Peer, Refusal, Store, fake_hub, keeping, node_event


async def test_a_spool_carries_unanswered_publishes_into_the_next_life(tmp_path: Path) -> None:
    store, spool = Store(), tmp_path / "spool"

    died = trio.Event()

    async def keep_two_acknowledge_one(peer: Peer) -> None:
        await peer.say("ack", **store.commit(await peer.hear("publish")))
        store.commit(await peer.hear("publish"))  # and dies before it can say so
        died.set()
        await peer.silent()

    async with fake_hub(keep_two_acknowledge_one) as hub:
        with trio.CancelScope() as life:
            async with open_orchestrator(hub.url, "prod", spool=spool) as hubward:
                receipts = [await hubward.publish(node_event(number)) for number in range(4)]
                await receipts[0].acked()
                await died.wait()
                life.cancel()
                await trio.sleep_forever()
    ids = [receipt.id for receipt in receipts]
    async with (
        fake_hub(keeping(store)) as hub,
        open_orchestrator(hub.url, "prod", spool=spool) as hubward,
    ):
        ids.append((await hubward.publish(node_event(4))).id)
        await hubward.flush()
        assert hubward.statistics().spooled == 0
    assert store.ids == ids
    assert len(set(ids)) == 5


async def test_with_a_spool_publishing_goes_on_beyond_the_window(tmp_path: Path) -> None:
    store, go_on = Store(), trio.Event()

    async def script(peer: Peer) -> None:
        await go_on.wait()
        await keeping(store)(peer)

    async with (
        fake_hub(script) as hub,
        open_orchestrator(hub.url, "prod", spool=tmp_path / "s", max_in_flight=2) as hubward,
    ):
        receipts = [await hubward.publish(node_event(number)) for number in range(50)]
        await wait_all_tasks_blocked()
        assert hubward.statistics().in_flight == 2
        go_on.set()
    assert store.ids == [receipt.id for receipt in receipts]


async def test_a_full_spool_makes_publishing_wait(tmp_path: Path, autojump_clock: MockClock) -> None:
    store, go_on = Store(), trio.Event()

    async def script(peer: Peer) -> None:
        await go_on.wait()
        await keeping(store)(peer)

    spool = tmp_path / "s"
    async with (
        fake_hub(script) as hub,
        open_orchestrator(hub.url, "prod", spool=spool, spool_max_bytes=1000) as hubward,
        trio.open_nursery() as nursery,
    ):
        with trio.move_on_after(0.1) as full:
            for number in range(100):
                await hubward.publish(node_event(number))
        assert full.cancelled_caught
        assert hubward.statistics().spooled <= 1000
        nursery.start_soon(hubward.publish, node_event(100))
        go_on.set()
    assert 3 <= len(store.events) < 10


async def test_the_spool_is_rewritten_while_publishing_goes_on(tmp_path: Path) -> None:
    store, spool = Store(), tmp_path / "s"
    large = {"type": "x", "project_id": "p", "data": {"x": "y" * 5000}}
    async with (
        fake_hub(keeping(store)) as hub,
        open_orchestrator(hub.url, "prod", spool=spool, max_in_flight=4, spool_max_bytes=100_000) as hubward,
    ):
        receipts = []
        largest = 0
        for _ in range(150):
            receipts.append(await hubward.publish(large))
            largest = max(largest, spool.stat().st_size)
    assert store.ids == [receipt.id for receipt in receipts]
    assert largest < 300_000 < 150 * 5000


async def test_with_fsync_a_publish_is_on_the_disk_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasktree_rt.client.producer.spool import Spool

    synced: list[int] = []
    monkeypatch.setattr(Spool, "sync", lambda self: synced.append(len(self.waiting)))
    async with (
        fake_hub(keeping(Store())) as hub,
        open_orchestrator(hub.url, "prod", spool=tmp_path / "s", spool_fsync=True) as hubward,
    ):
        await hubward.publish(node_event(1))
        assert synced == [1]


async def test_a_publish_that_cannot_reach_the_disk_was_never_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasktree_rt.client.producer.spool import Spool

    def fail(self: Spool) -> None:
        raise ClientError("disk gone")

    store = Store()
    async with (
        fake_hub(keeping(store)) as hub,
        open_orchestrator(hub.url, "prod", spool=tmp_path / "s", spool_fsync=True) as hubward,
    ):
        with monkeypatch.context() as patched:
            patched.setattr(Spool, "sync", fail)
            with pytest.raises(ClientError, match="disk gone"):
                await hubward.publish(node_event(1))
        assert hubward.statistics().spooled == 0
        receipt = await hubward.publish(node_event(2))
    assert store.ids == [receipt.id]


async def test_leaving_with_a_spool_while_the_hub_is_away_is_no_error(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with fake_hub(Peer.silent, refuse=lambda knock: Refusal(503)) as hub:
        async with open_orchestrator(hub.url, "prod", spool=tmp_path / "s", flush_timeout=1) as hubward:
            receipt = await hubward.publish(node_event(1))
        with pytest.raises(ConnectionLost, match="for the next start"):
            await receipt.acked()
