"""Subscribes to the channels of a Redis Cluster that AutoGPT's clients watch.

A cluster has no subscriptions to patterns: the hub subscribes to each channel by its exact name while a
client watches its events. Implements `ephemeral_sources.ViewSource`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from tasktree_rt.brokers.redis.pubsub import Unfit
from tasktree_rt.brokers.redis.sharded_pubsub import Shards
from tasktree_rt.compat.autogpt.channels import (
    EXECUTION,
    GRAPH,
    GRAPH_BEFORE,
    NOTIFICATIONS,
    Place,
    Through,
)
from tasktree_rt.compat.autogpt.graph_owners import Graphs
from tasktree_rt.core.topics import read_live_topic, user_of
from tasktree_rt.errors import Refused, Unavailable
from tasktree_rt.hub.hub import Hub

PATIENCE: Final = 4.0
"""Seconds that Redis has to confirm a subscription. A client waits 10 s for its heartbeat's answer."""
LOG: Final = "log:"
"""Prefix that tells the topic of a log from the ephemeral topic of the same name."""
Carried = Place | str
"""Content of a channel: executions' events, or the notifications of a user."""


class ClusterViews:
    """Follows what clients watch, between `begin` and `end`."""

    def __init__(self, hub: Hub, shards: Shards, graphs: Graphs) -> None:
        self._hub = hub
        self._shards = shards
        self._graphs = graphs
        self._carried: dict[bytes, Carried] = {}
        self._topics: dict[bytes, set[str]] = {}
        self._channels: dict[str, bytes] = {}
        self._unknown: dict[tuple[str, str], str] = {}
        """Topics of executions whose graph is not known yet."""

    def begin(self) -> None:
        """Subscribe to watched channels from now on; report a gap for those watched already."""
        self._hub.view_source = self
        self._hub.ephemeral_topics.observe(self._watched)
        self._hub.index.observers.append(self._log_watched)
        for topic in self._hub.index.named():
            self._log_watched(topic, True)
        self._shards.missed(self._carried)

    def end(self) -> None:
        """Unsubscribe from all channels."""
        self._hub.ephemeral_topics.unobserve(self._watched)
        self._hub.index.observers.remove(self._log_watched)
        for topic in list(self._channels):
            self._forget(topic)

    # --- watched topics ----------------------------------------------------------------------------

    async def prepare(self, kind: str, user: str, name: str, token: str) -> None:
        """Find the graph of an execution: its channel's name needs it; see `ViewSource`."""
        if kind == EXECUTION and await self._graphs.find(user, name, token) is None:
            message = f"Execution {name!r} is not known: its events cannot be subscribed to"
            raise Refused(message, code="not_found", field="data.graph_exec_id")

    async def stand(self, topic: str) -> None:
        """Wait until the channels of a topic are subscribed to; see `ViewSource`."""
        channel = self._channels.get(topic)
        if channel is None:
            return
        try:
            with trio.fail_after(PATIENCE):
                await self._shards.wait_subscribed(channel)
        except (Unfit, trio.TooSlowError) as error:
            reason = str(error) or "the event bus does not answer"
            raise Unavailable(f"Events cannot be had for now: {reason}", retry_after=1.0) from None

    def _log_watched(self, topic: str, watched: bool) -> None:
        """Follow a user's log too, which the dashboard watches."""
        if user_of(topic) is not None:
            self._watched(f"{LOG}{topic}", watched)

    def _watched(self, topic: str, watched: bool) -> None:
        if watched:
            self._hear(topic)
        else:
            self._forget(topic)

    def _hear(self, topic: str) -> None:
        carried = self._read(topic)
        if carried is None:
            return
        place = carried.redis_channel if isinstance(carried, Place) else f"{NOTIFICATIONS}{carried}"
        channel = place.encode()
        self._channels[topic] = channel
        self._carried[channel] = carried
        self._topics.setdefault(channel, set()).add(topic)
        self._shards.want(channel)

    def _read(self, topic: str) -> Carried | None:
        if (user := user_of(topic.removeprefix(LOG))) is not None:
            return user
        match read_live_topic(topic):
            case (kind, user, graph) if kind in (GRAPH, GRAPH_BEFORE):
                return Place(user, graph, None, Through.GRAPH)
            case (kind, user, execution) if kind == EXECUTION:
                found = self._graphs.known(user, execution)
                if found is not None:
                    return Place(user, found, execution, Through.EXECUTION)
                self._unknown[user, execution] = topic
        return None

    def _forget(self, topic: str) -> None:
        match read_live_topic(topic):
            case (_, user, execution) if self._unknown.get((user, execution)) == topic:
                del self._unknown[user, execution]
        channel = self._channels.pop(topic, None)
        if channel is not None:
            self._topics[channel].discard(topic)
            if not self._topics[channel]:
                del self._topics[channel], self._carried[channel]
                self._shards.unwant(channel)

    # --- events -----------------------------------------------------------------------------------

    def carried(self, channel: bytes) -> Carried | None:
        """Return what a channel carries; None if no client watches it any more."""
        return self._carried.get(channel)

    def topics(self, channels: Sequence[bytes]) -> set[str]:
        """Return the ephemeral topics that those channels feed."""
        return set().union(*(self._topics.get(one, ()) for one in channels))

    def learn(self, user: str, execution: str, graph: str) -> None:
        """Note the graph of an execution, which an event names."""
        if self._graphs.learn(user, execution, graph):
            topic = self._unknown.pop((user, execution), None)
            if topic is not None:
                self._hear(topic)

    def hears_execution(self, user: str, graph: str, execution: str) -> bool:
        """Return True if the hub is subscribed to the execution's own channel."""
        place = Place(user, graph, execution, Through.EXECUTION)
        return self._shards.wants(place.redis_channel.encode())
