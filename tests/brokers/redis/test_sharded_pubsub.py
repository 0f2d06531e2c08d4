"""Exact channels of a real Redis Cluster: each on its shard, while slots move and nodes come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve

from tasktree_rt.brokers.redis.connection import Address, Patience
from tasktree_rt.brokers.redis.pubsub import Listener, Unfit
from tasktree_rt.brokers.redis.sharded_pubsub import ShardCallbacks, Shards
from tasktree_rt.brokers.redis.topology import read_topology, slot_of
from tests.brokers.redis.rediscluster import RedisCluster, redis_cluster
from tests.brokers.redis.redisserver import NEEDED, Waiter, encoded, redis_server
from tests.brokers.redis.test_pubsub import CALM
from tests.cli.processes import PATIENCE

CHANNELS = [f"a/{number}" for number in range(12)]
"""Some on each of three masters."""


class Heard:
    """Shards, and what they told."""

    def __init__(self, url: str, patience: Patience = CALM) -> None:
        self.changes = Waiter()
        self.messages: list[tuple[str, str]] = []
        self.gaps: list[str] = []
        self.before: dict[str, int] = {}
        """By channel, how many messages came before its first gap."""
        self.states: list[str] = []
        callbacks = ShardCallbacks(
            message=self._message, gap=self._gap, up=lambda: self._state("up"), down=self._state
        )
        self.shards = Shards(url, callbacks, patience=patience)

    def _message(self, channel: bytes, body: bytes) -> None:
        self.messages.append((channel.decode(), body.decode()))
        self.changes.change()

    def _gap(self, channels: Sequence[bytes]) -> None:
        self.gaps += [one.decode() for one in channels]
        for one in channels:
            self.before.setdefault(one.decode(), len(self.messages))
        self.changes.change()

    def _state(self, said: str) -> None:
        self.states.append(said)
        self.changes.change()

    async def stand(self, *channels: str) -> None:
        for one in channels:
            self.shards.want(one.encode())
        with trio.fail_after(PATIENCE):
            for one in channels:
                await self.shards.wait_subscribed(one.encode())

    async def until_up(self) -> None:
        await self.changes.until(lambda: self.states[-1:] == ["up"])

    async def until_gaps(self, *channels: str) -> None:
        await self.changes.until(lambda: set(channels) <= set(self.gaps))


@asynccontextmanager
async def listening(cluster: RedisCluster, patience: Patience = CALM) -> AsyncIterator[Heard]:
    heard = Heard(cluster.url, patience)
    async with trio.open_nursery() as nursery:
        await nursery.start(heard.shards.run)
        await heard.until_up()
        yield heard
        nursery.cancel_scope.cancel()


@NEEDED
async def test_each_channel_is_heard_on_its_shard_and_nothing_else(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        assert {cluster.home(one) for one in CHANNELS} == {0, 1, 2}
        await heard.stand(*CHANNELS)
        for number, one in enumerate(CHANNELS):
            assert await cluster.publish(one, f"{number}") == 1
            assert await cluster.publish(f"other/{number}", "no") == 0
        await heard.changes.until(lambda: len(heard.messages) == len(CHANNELS))
        assert sorted(heard.messages) == sorted((one, f"{n}") for n, one in enumerate(CHANNELS))
        assert (heard.states, heard.gaps) == (["up"], [])


@NEEDED
async def test_what_is_wanted_no_more_is_taken_back_and_may_be_wanted_again(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        for number in range(20):
            await heard.stand("a/1", "a/2")
            assert await cluster.publish("a/1", f"{number}") == 1
            heard.shards.unwant(b"a/1")
            heard.shards.want(b"a/1")
            await heard.stand("a/1")
            assert await cluster.publish("a/1", f"{number}+") == 1
            heard.shards.unwant(b"a/1")
            with trio.fail_after(PATIENCE):
                while await cluster.publish("a/1", "no"):
                    await trio.lowlevel.checkpoint()
        said = [body for channel, body in heard.messages if body != "no"]
        assert said == [one for number in range(20) for one in (f"{number}", f"{number}+")]


@NEEDED
async def test_a_slot_that_moves_is_followed_and_the_gap_is_told(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        await heard.stand(*CHANNELS)
        moved, home = CHANNELS[0], cluster.home(CHANNELS[0])
        for turn in range(1, 4):
            await cluster.move(moved, (home + turn) % 3)
            await heard.changes.until(lambda turn=turn: heard.gaps == [moved] * turn)
            assert await cluster.publish(moved, f"{turn}") == 1
        await heard.changes.until(lambda: len(heard.messages) == 3)
        assert heard.messages == [(moved, "1"), (moved, "2"), (moved, "3")]
        assert heard.states == ["up"], "no trouble"


@NEEDED
async def test_a_slot_that_moved_unnoticed_is_found_by_the_word_of_its_old_owner(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        await cluster.move("a/1", (cluster.home("a/1") + 1) % 3)
        await heard.stand("a/1")
        assert await cluster.publish("a/1", "x") == 1
        assert (heard.gaps, heard.states) == ([], ["up"])


@NEEDED
async def test_a_node_that_dies_and_comes_back_is_a_gap_of_its_own_channels_only(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        await heard.stand(*CHANNELS)
        for dead in (2, 0):  # the last is the one that was configured
            heard.gaps.clear()
            heard.states.clear()
            hit = {one for one in CHANNELS if cluster.home(one) == dead}
            await cluster.kill(dead)
            await heard.changes.until(lambda: heard.states)
            assert str(cluster.masters[dead].port) in heard.states[0]
            with pytest.raises(Unfit):
                await heard.shards.wait_subscribed(min(hit).encode())
            for one in CHANNELS:
                if one not in hit:
                    assert await cluster.publish(one, "meanwhile") == 1
            healthy = next(f"b/{n}" for n in range(99) if cluster.home(f"b/{n}") != dead)
            await heard.stand(healthy)
            heard.shards.unwant(healthy.encode())
            await cluster.revive(dead)
            await heard.until_gaps(*hit)
            await heard.until_up()
            assert set(heard.gaps) == hit
            for one in CHANNELS:
                assert await cluster.publish(one, "after") == 1


@NEEDED
async def test_what_is_first_wanted_while_its_node_is_gone_stands_later_and_is_told_as_a_gap(
    tmp_path: Path,
) -> None:
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        dead = cluster.home("a/1")
        await cluster.kill(dead)
        heard.shards.want(b"a/1")
        with pytest.raises(Unfit), trio.fail_after(PATIENCE):
            await heard.shards.wait_subscribed(b"a/1")
        await cluster.revive(dead)
        await heard.until_gaps("a/1")
        assert await cluster.publish("a/1", "x") == 1


@NEEDED
async def test_a_node_that_is_gone_is_no_trouble_once_nothing_is_wanted_of_it(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        await heard.stand(*CHANNELS)
        dead = cluster.home("a/1")
        await cluster.kill(dead)
        await heard.changes.until(lambda: heard.states[-1] != "up")
        for one in CHANNELS:
            if cluster.home(one) == dead:
                heard.shards.unwant(one.encode())
        await heard.until_up()


@NEEDED
async def test_it_may_be_ended_and_run_again_and_what_was_heard_before_has_a_gap(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster:
        async with listening(cluster) as heard:
            await heard.stand(*CHANNELS)
        for turn in range(2):
            async with trio.open_nursery() as nursery:
                await nursery.start(heard.shards.run)
                await heard.until_gaps(*CHANNELS)
                assert await cluster.publish("a/1", f"{turn}") >= 1
                nursery.cancel_scope.cancel()
            heard.gaps.clear()


@NEEDED
async def test_slots_without_an_owner_are_told(tmp_path: Path) -> None:
    hasty = evolve(CALM, ping_interval=0.05)
    async with redis_cluster(tmp_path) as cluster, listening(cluster, hasty) as heard:
        for one in cluster.masters:
            assert await one.ask("CLUSTER", "DELSLOTS", "5") == b"+OK"
        await heard.changes.until(lambda: heard.states[-1] == "1 of 16384 slots are served by no node")
        for one in cluster.masters:
            assert await one.ask("CLUSTER", "DELSLOTSRANGE", "0", "1") == b"+OK"
        await heard.changes.until(lambda: heard.states[-1] == "3 of 16384 slots are served by no node")
        assert await cluster.masters[0].ask("CLUSTER", "ADDSLOTS", "0", "1", "5") == b"+OK"
        await heard.until_up()


@NEEDED
async def test_what_came_before_a_node_hung_up_is_all_handed_over(tmp_path: Path) -> None:
    """It is dropped for reading too slowly: what was read is a beginning without holes, the rest a gap."""
    limit = ("--client-output-buffer-limit", "pubsub 1mb 1mb 1")
    async with redis_cluster(tmp_path, *limit) as cluster, listening(cluster) as heard:
        await heard.stand("a/1")
        master = cluster.masters[cluster.home("a/1")]
        said = [encoded("SPUBLISH", "a/1", b"%d " % number + b"x" * 100_000) for number in range(400)]
        await master.ask_all(said)
        await heard.until_gaps("a/1")
        numbers = [int(body.split()[0]) for _, body in heard.messages[: heard.before["a/1"]]]
        assert numbers == list(range(len(numbers)))


@NEEDED
async def test_a_gap_is_told_before_the_messages_behind_it(tmp_path: Path) -> None:
    """Confirmations of other channels are still awaited when the first message comes."""
    async with redis_cluster(tmp_path) as cluster, listening(cluster) as heard:
        others = [one for one in CHANNELS if cluster.home(one) == cluster.home("a/1")]
        await heard.stand(*others)
        master = cluster.masters[cluster.home("a/1")]
        kill = encoded("CLIENT", "KILL", "TYPE", "pubsub")
        for turn in range(20):
            heard.messages.clear()
            heard.before.clear()
            said = [encoded("SPUBLISH", "a/1", f"{number}") for number in range(2_000)]
            await master.ask_all([kill, *said])
            with trio.fail_after(PATIENCE):
                while await cluster.publish("a/1", f"last {turn}") == 0:
                    await trio.lowlevel.checkpoint()
            await heard.changes.until(lambda last=f"last {turn}": ("a/1", last) in heard.messages)
            assert heard.before["a/1"] == 0


@NEEDED
async def test_a_password_is_shown_to_every_node(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster:
        for one in cluster.masters:
            assert await one.ask("CONFIG", "SET", "requirepass", "pass word") == b"+OK"
        heard = Heard(cluster.url.replace("redis://", "redis://:pass%20word@"))
        async with trio.open_nursery() as nursery:
            await nursery.start(heard.shards.run)
            await heard.until_up()
            await heard.stand(*CHANNELS)
            nursery.cancel_scope.cancel()


@NEEDED
async def test_each_way_knows_a_server_of_the_other_kind(tmp_path: Path) -> None:
    async with redis_cluster(tmp_path) as cluster:
        with pytest.raises(Unfit), trio.fail_after(PATIENCE):
            await Listener(cluster.url, ("a/*",), lambda channel, body: None, patience=CALM).run()
    async with redis_server(tmp_path) as server:
        with trio.fail_after(PATIENCE):
            await Heard(server.url).shards.run()


@pytest.mark.parametrize(
    ("channel", "slot"),
    [
        (b"foo", 12_182),
        (b"{user1000}.following", slot_of(b"user1000")),
        (b"foo{}{bar}", slot_of(b"foo{}{bar}")),
        (b"foo{{bar}}zap", slot_of(b"{bar")),
        (b"execution_event/{u/g}/exec/e", slot_of(b"u/g")),
        (b"execution_event/{u/g}/all", slot_of(b"u/g")),
    ],
)
def test_a_channels_slot_is_that_of_its_tag(channel: bytes, slot: int) -> None:
    assert slot_of(channel) == slot
    assert slot_of(b"123456789") == 0x31C3


def test_a_node_without_a_name_is_the_one_that_was_asked() -> None:
    asked = Address("seed", 7000)
    said = [
        [10, 20, [b"", 7001, b"id", []]],
        [0, 5, [b"other", 7002, b"id", []], [b"replica", 7003, b"id", []]],
    ]
    found = read_topology(said, asked)
    assert [found.owner(slot) for slot in (0, 5, 6, 9, 10, 20, 21)] == [
        *[("other", 7002)] * 2,
        *[None] * 2,
        *[("seed", 7001)] * 2,
        None,
    ]
    assert (found.unserved, set(found.nodes)) == (16_384 - 17, {("seed", 7001), ("other", 7002)})
