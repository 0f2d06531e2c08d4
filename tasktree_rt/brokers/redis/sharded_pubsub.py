"""Subscribes to channels of a Redis Cluster by name, each on the node that owns its slot (sharded pub/sub).

The wanted channels change all the time. When a subscription ends (its node is gone, or its slot moved), the
shards subscribe again at once, and report a gap as soon as the node has confirmed the new subscription.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import trio
from attrs import frozen
from coredis.exceptions import MovedError, RedisError
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.redis.connection import (
    EXPECTED,
    Address,
    Connection,
    Patience,
    Reply,
    dial,
    read_address,
)
from tasktree_rt.brokers.redis.pubsub import Unfit, describe_error
from tasktree_rt.brokers.redis.shard import SUBSCRIBE, UNSUBSCRIBE, Node, Pause, Shard
from tasktree_rt.brokers.redis.topology import Topology, read_topology, slot_of

log: Final[BoundLogger] = get_logger("tasktree_rt.redis")
HOPS: Final = 4
"""The number of moves from node to node in a row before the hub waits."""
CLUSTER: Final = "cluster"


@frozen
class ShardCallbacks:
    """Callbacks of `Shards`. None of them blocks or raises.

    Attributes:
        message: takes the channel and body of each message.
        gap: takes channels subscribed to again, which may have missed messages, before the next message
            of any of them.
        up: called when all wanted channels are subscribed to.
        down: takes the reason why a wanted channel is not subscribed to.
    """

    message: Callable[[bytes, bytes], None]
    gap: Callable[[Sequence[bytes]], None]
    up: Callable[[], None]
    down: Callable[[str], None]


class Shards:
    """Subscriptions to channels of a cluster. `want` and `unwant` may be called at any time."""

    def __init__(
        self, url: str, callbacks: ShardCallbacks, *, password: str = "", patience: Patience | None = None
    ) -> None:
        self._seed = read_address(url, password)
        self._callbacks = callbacks
        self._patience = patience or Patience()
        self._wanted: dict[bytes, int] = {}
        """Wanted channels; how often each moved to another node since its last confirmed subscription."""
        self._at: dict[bytes, Shard] = {}
        self._gaps: set[bytes] = set()
        self._barred: set[bytes] = set()
        """Wanted channels that no reachable node serves now."""
        self._awaited: dict[bytes, trio.Event] = {}
        self._shards: dict[Node, Shard] = {}
        self._pauses: dict[Node | None, Pause] = {}
        self._ask_first: Node | None = None
        self._reason: str | None = None
        self._changed = trio.Event()
        self._begin()

    # --- the wanted channels -----------------------------------------------------------------------

    def want(self, channel: bytes) -> None:
        """Subscribe to a channel; a second call changes nothing."""
        if channel not in self._wanted:
            self._wanted[channel] = 0
            self._changed.set()

    def unwant(self, channel: bytes) -> None:
        """Unsubscribe from a channel."""
        self._wanted.pop(channel, None)
        self._gaps.discard(channel)
        shard = self._at.pop(channel, None)
        if shard is not None:
            del shard.channels[channel]
            shard.order(UNSUBSCRIBE, channel)

    def missed(self, channels: Iterable[bytes]) -> None:
        """Report a gap of these channels, heard in another way before, once they are subscribed to."""
        self._gaps.update(channels)

    def wants(self, channel: bytes) -> bool:
        """Return whether `want` was called for a channel."""
        return channel in self._wanted

    async def wait_subscribed(self, channel: bytes) -> None:
        """Wait until a channel is subscribed to.

        Raises:
            Unfit: no node serves it now. The shards go on trying, and report a gap once it is subscribed to.
        """
        while not self._is_subscribed(channel):
            if channel in self._barred:
                raise Unfit(self._reason or "not connected yet")
            await self._awaited.setdefault(channel, trio.Event()).wait()

    def _is_subscribed(self, channel: bytes) -> bool:
        shard = self._at.get(channel)
        return channel not in self._wanted or (shard is not None and shard.channels[channel])

    # --- finding the nodes ------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled, or until the server reports that it is no cluster; started after the first
        attempt."""
        self._begin()
        async with trio.open_nursery() as nursery:
            started = False
            while True:
                self._changed = trio.Event()
                if not await self._learn_if_due():
                    break
                self._place(nursery)
                self._judge()
                if not started:
                    started = True
                    task_status.started()
                with trio.move_on_after(self._until_due()):
                    await self._changed.wait()
            nursery.cancel_scope.cancel()

    def _begin(self) -> None:
        """Start without any subscription; channels subscribed to before have a gap."""
        self._gaps.update(self._at)
        self._at, self._shards, self._pauses = {}, {}, {}
        self._topology, self._learned = Topology(()), -math.inf
        self._reason = "not connected yet"

    def _until_due(self) -> float:
        now = trio.current_time()
        waits = [one.until - now for one in self._pauses.values() if one.until > now]
        return min([*waits, self._patience.ping_interval])

    async def _learn_if_due(self) -> bool:
        """Ask for the owners of the slots if they are unknown or old; return False if it is no cluster."""
        now = trio.current_time()
        if now < self._pauses.get(None, Pause()).until or now - self._learned < self._patience.ping_interval:
            return True
        try:
            self._topology = await self._learn()
        except Unfit:
            return False
        except EXPECTED as error:
            self._failed(None, f"{self._seed}: {describe_error(error)}")
        except Exception as error:  # after any fault the cluster is asked again
            log.error("fault", redis=str(self._seed), exc_info=error)
            self._failed(None, describe_error(error))
        else:
            self._learned = trio.current_time()
            known = {None, *self._topology.nodes}
            self._pauses = {node: one for node, one in self._pauses.items() if node and node in known}
        return True

    async def _learn(self) -> Topology:
        """Ask one node after the other for the cluster's slots."""
        seed = (self._seed.host, self._seed.port)
        first, self._ask_first = self._ask_first, None
        nodes = dict.fromkeys([*([first] if first else []), seed, *self._topology.nodes])
        trouble: BaseException | None = None
        for node in nodes:
            try:
                async with dial(await self._address(node), self._patience) as connection:
                    if connection.mode != CLUSTER:
                        raise Unfit("it is no cluster")
                    return read_topology(await connection.ask("CLUSTER", "SLOTS"), self._seed.at(*node))
            except Unfit:
                raise
            except EXPECTED as error:
                trouble = trouble or error
        assert trouble is not None
        raise trouble

    async def _address(self, node: Node) -> Address:
        """Return a node's address: its own name, or where that name cannot be reached the configured host and
        the node's port."""
        host, port = node
        if host != self._seed.host:
            try:
                with trio.fail_after(self._patience.connect):
                    await (await trio.open_tcp_stream(host, port)).aclose()
            except (OSError, trio.TooSlowError):
                return self._seed.at(self._seed.host, port)
        return self._seed.at(host, port)

    def _place(self, nursery: trio.Nursery) -> None:
        """Queue a subscription for each wanted channel that has none."""
        now = trio.current_time()
        self._barred = set()
        for channel in [one for one in self._wanted if one not in self._at]:
            node = self._topology.owner(slot_of(channel))
            if node is None or now < self._pauses.get(node, Pause()).until:
                self._barred.add(channel)
                self._gaps.add(channel)
                self._wake(channel)
                continue
            shard = self._shards.get(node)
            if shard is None:
                shard = self._shards[node] = Shard(node)
                nursery.start_soon(self._run, shard)
            shard.channels[channel] = False
            self._at[channel] = shard
            shard.order(SUBSCRIBE, channel)

    # --- one node ---------------------------------------------------------------------------------

    async def _run(self, shard: Shard) -> None:
        """Serve a connection to one node from its beginning to its end."""
        reason = ""
        try:
            async with (
                dial(await self._address(shard.node), self._patience) as connection,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(shard.send, connection)
                await self._hear(shard, connection)
        except* EXPECTED as group:
            reason = describe_error(group)
        except* Exception as group:
            log.error("fault", redis=str(shard.node), exc_info=group)
            reason = describe_error(group)
        del self._shards[shard.node]
        if shard.channels:
            self._failed(shard.node, f"{shard.node[0]}:{shard.node[1]}: {reason}")
        for channel in list(shard.channels):
            self._lose(shard, channel, gap=True)

    async def _hear(self, shard: Shard, connection: Connection) -> None:
        while True:
            with trio.CancelScope() as handling:
                replies = await connection.read()
                handling.shield = True
                for reply in replies:
                    self._take(shard, reply)
                    await trio.lowlevel.checkpoint()
            if not shard.asked:
                self._report_gap(shard)

    def _report_gap(self, shard: Shard) -> None:
        if shard.mended:
            mended, shard.mended = shard.mended, []
            self._callbacks.gap(mended)

    def _take(self, shard: Shard, reply: Reply) -> None:
        match reply.value:
            case [b"smessage", bytes(channel), bytes(body)]:
                if channel in shard.mended:
                    self._report_gap(shard)  # before the first message behind it
                self._callbacks.message(channel, body)
            case [b"ssubscribe", bytes(channel), *_]:
                if shard.answered(SUBSCRIBE, channel) and not shard.expected[channel]:
                    self._note_subscribed(shard, channel)
            case [b"sunsubscribe", bytes(channel), *_] if not shard.answered(UNSUBSCRIBE, channel):
                self._sent_on(shard, channel, "the slot moved", gap=True)
            case RedisError() as error if shard.asked:
                verb, channel = shard.refused()
                if verb == SUBSCRIBE and isinstance(error, MovedError):
                    self._sent_on(shard, channel, describe_error(error), gap=False)
                elif verb == SUBSCRIBE:
                    self._failed(shard.node, f"{shard.node[0]}:{shard.node[1]}: {describe_error(error)}")
                    self._lose(shard, channel, gap=True)
            case RedisError() as error:
                raise error

    def _note_subscribed(self, shard: Shard, channel: bytes) -> None:
        if self._at.get(channel) is not shard:
            return
        shard.channels[channel] = True
        self._wanted[channel] = 0
        self._pauses.pop(shard.node, None)
        if channel in self._gaps:
            self._gaps.discard(channel)
            shard.mended.append(channel)
        self._wake(channel)
        if self._reason is not None:
            self._judge()

    # --- what goes wrong --------------------------------------------------------------------------

    def _sent_on(self, shard: Shard, channel: bytes, reason: str, *, gap: bool) -> None:
        """Subscribe on the node that owns the slot now, which this node names; after too many moves, wait."""
        if channel not in shard.channels:
            return
        self._ask_first, self._learned = shard.node, -math.inf
        if channel in self._wanted:
            self._wanted[channel] += 1
            if self._wanted[channel] > HOPS:
                self._failed(shard.node, reason)
        self._lose(shard, channel, gap=gap)

    def _lose(self, shard: Shard, channel: bytes, *, gap: bool) -> None:
        """Note that a node no longer serves a channel."""
        if shard.channels.pop(channel, None) is not None and self._at.get(channel) is shard:
            del self._at[channel]
            if gap:
                self._gaps.add(channel)
            self._changed.set()

    def _failed(self, node: Node | None, reason: str) -> None:
        self._pauses.setdefault(node, Pause()).failed(self._patience)
        self._learned = -math.inf
        if self._reason is None:
            log.warning("lost", redis=str(self._seed), reason=reason)
        self._reason = reason
        self._callbacks.down(reason)
        self._changed.set()

    def _judge(self) -> None:
        """Report a change: all slots have owners and all wanted channels are subscribed to, or not."""
        if self._learned == -math.inf:
            return
        if self._topology.unserved:
            reason = f"{self._topology.unserved} of 16384 slots are served by no node"
            if reason != self._reason:
                self._reason = reason
                self._callbacks.down(reason)
        elif self._reason is not None and all(map(self._is_subscribed, self._wanted)):
            log.info("listening", redis=str(self._seed), nodes=len(self._topology.nodes))
            self._reason = None
            self._callbacks.up()

    def _wake(self, channel: bytes) -> None:
        event = self._awaited.pop(channel, None)
        if event is not None:
            event.set()
