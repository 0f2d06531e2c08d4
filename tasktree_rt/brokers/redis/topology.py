"""The nodes of a Redis Cluster that serve channels: slots and their owners."""

from __future__ import annotations

from binascii import crc_hqx
from bisect import bisect_right
from typing import Any, Final

from attrs import field, frozen

from tasktree_rt.brokers.redis.connection import Address

SLOTS: Final = 16_384
UNKNOWN: Final = (b"", b"?", None)
"""Host names in an answer that mean "the node that you asked"."""


def slot_of(channel: bytes) -> int:
    """Return the slot of a channel; only the text in its first braces counts, if there is any."""
    begin = channel.find(b"{")
    end = channel.find(b"}", begin + 1)
    tag = channel[begin + 1 : end] if 0 <= begin < end - 1 else channel
    return crc_hqx(tag, 0) % SLOTS


@frozen
class Range:
    """Slots from `first` to `last`, and the node that owns them."""

    first: int
    last: int
    node: tuple[str, int]


@frozen
class Topology:
    """The owners of slots; ordered, without overlap."""

    ranges: tuple[Range, ...]
    _firsts: tuple[int, ...] = field(init=False)

    @_firsts.default
    def _first_of_each(self) -> tuple[int, ...]:
        return tuple(one.first for one in self.ranges)

    def owner(self, slot: int) -> tuple[str, int] | None:
        """Return the node that owns a slot; None if no node does."""
        place = bisect_right(self._firsts, slot) - 1
        found = self.ranges[place] if place >= 0 else None
        return found.node if found is not None and slot <= found.last else None

    @property
    def nodes(self) -> tuple[tuple[str, int], ...]:
        """The nodes that own slots."""
        return tuple(dict.fromkeys(one.node for one in self.ranges))

    @property
    def unserved(self) -> int:
        """Number of slots that no node owns."""
        return SLOTS - sum(one.last - one.first + 1 for one in self.ranges)


def read_topology(reply: Any, asked: Address) -> Topology:  # noqa: ANN401 - what Redis answers
    """Read the answer of ``CLUSTER SLOTS`` by the node at address `asked`."""
    found = []
    for first, last, (host, port, *_), *_ in reply:
        name = asked.host if host in UNKNOWN else host.decode()
        found.append(Range(first, last, (name, port)))
    return Topology(tuple(sorted(found, key=lambda one: one.first)))
