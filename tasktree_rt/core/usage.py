"""Tokens and cost of nodes, and their sums over branches.

`frontend/src/core/usage.ts` reads the same fields for the browser. docs/protocol.md, "LLM and tool nodes",
has the rules in words. All sums are of integers, so that they stay exact however often they change: cost
counts in billionths of a US dollar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, Protocol

Fields = dict[str, Any]

TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_output_tokens",
    "total_tokens",
)
"""Keys of ``usage`` that are summed, in the order of a `Spent`."""
MAX_TOKENS: Final = 10**10
"""The largest number of tokens in one key of one node; a larger one does not count."""
MAX_COST: Final = 1_000_000
"""The largest cost of one node in US dollars; a larger one does not count."""
ENDED_USAGE: Final = "ended_usage"
"""The field with what a node's ended attempts have used. No event sets it."""
SPENDING: Final = frozenset({"usage", "cost_usd", ENDED_USAGE})
"""Fields that `spent` reads."""
DEEPEST: Final = 256
"""Ancestors up to which branches are kept summed. A project with a deeper node is summed when asked."""
_NANO: Final = 1_000_000_000

Spent = tuple[int, ...]
"""The tokens of each of `TOKENS`, then the cost in billionths of a dollar."""
NOTHING: Final[Spent] = (0,) * (len(TOKENS) + 1)
MOST: Final[Spent] = (*(MAX_TOKENS,) * len(TOKENS), MAX_COST * _NANO)
"""What one node has used at most; the rest of its ended attempts does not count."""


def spent(fields: Fields) -> Spent:
    """What a node has used in all of its attempts, itself only. Values of another shape count as 0."""
    present = _used(fields.get("usage"), fields.get("cost_usd"))
    ended = fields.get(ENDED_USAGE)
    if type(ended) is not dict:
        return present
    return plus(present, _used(ended, ended.get("cost_usd")))


def plus(one: Spent, other: Spent) -> Spent:
    """Add two."""
    return tuple(map(int.__add__, one, other))


def minus(one: Spent, other: Spent) -> Spent:
    """Subtract `other` from `one`."""
    return tuple(map(int.__sub__, one, other))


def as_json(found: Spent) -> Fields:
    """The tokens by their keys, without those that are 0, and ``cost_usd``, unless that is 0."""
    said: Fields = {name: count for name, count in zip(TOKENS, found, strict=False) if count}
    return {**said, "cost_usd": found[-1] / _NANO} if found[-1] else said


def end_usage(before: Fields, fields: Fields, changes: Fields) -> None:
    """An attempt has ended: add what it used to `ENDED_USAGE`, and take it out of the present attempt.

    `fields` are `before` with `changes`. What the event itself sets is of the attempt that begins.
    """
    found = spent(before)
    if found == NOTHING:
        return
    fields[ENDED_USAGE] = as_json(tuple(map(min, found, MOST)))
    for name in ("usage", "cost_usd"):
        if name not in changes:
            fields.pop(name, None)


def cleaned(fields: Fields) -> Fields:
    """The usage and the cost of the present attempt as an entry of ``ended_attempts`` keeps them."""
    found = _used(fields.get("usage"), fields.get("cost_usd"))
    usage = as_json((*found[:-1], 0))
    entry: Fields = {"usage": usage} if usage else {}
    return {**entry, "cost_usd": found[-1] / _NANO} if found[-1] else entry


def _used(usage: object, cost: object) -> Spent:
    counts = [_tokens(usage.get(name)) for name in TOKENS] if type(usage) is dict else [0] * len(TOKENS)
    counts[-1] = counts[-1] or min(counts[0] + counts[1], MAX_TOKENS)
    return (*counts, _nano(cost))


def _tokens(value: object) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else 0


def _nano(value: object) -> int:
    if (type(value) is int or type(value) is float) and 0 <= value <= MAX_COST:
        return math.floor(value * _NANO + 0.5)
    return 0


class Links(Protocol):
    """What the sums ask of a tree."""

    def parent(self, node_id: str) -> str | None:
        """The parent that a node names; None for a node without one."""

    def children(self, node_id: str) -> Iterable[str]:
        """The nodes that name a parent."""

    def subtrees(self, roots: Iterable[str]) -> Iterable[str]:
        """The nodes whose chain of parents reaches a root, the roots among them."""


class UsageSums:
    """What the nodes of a tree have used: of each, in each branch, and altogether.

    A branch is a node with every node whose chain of parents reaches it, as in `Nodes.subtrees`; so all nodes
    of a cycle have the same sum. A change costs one step for each ancestor, at most `DEEPEST`.
    """

    __slots__ = ("_branches", "own", "total")

    def __init__(self) -> None:
        self.own: dict[str, Spent] = {}
        """Of each node that has used anything."""
        self.total: Spent = NOTHING
        self._branches: dict[str, Spent] | None = {}
        """None: a chain of parents was longer than `DEEPEST`."""

    def copy(self) -> UsageSums:
        """Return a copy, for a copy of the tree."""
        other = UsageSums()
        other.own, other.total = dict(self.own), self.total
        other._branches = None if self._branches is None else dict(self._branches)
        return other

    def branch(self, tree: Links, node_id: str) -> Spent:
        """The sum of a node and everything below it."""
        if self._branches is not None:
            return self._branches.get(node_id, NOTHING)
        found = NOTHING
        for one in tree.subtrees((node_id,)):
            found = plus(found, self.own.get(one, NOTHING))
        return found

    def changed(self, tree: Links, node_id: str, was: str | None, now: str | None, used: Spent) -> None:
        """Note that a node, whose parent was `was` and is `now`, has used `used`. The tree has changed."""
        if was != now:
            self._detach(tree, node_id, was)
            self._attach(tree, node_id, now)
        before = self.own.get(node_id, NOTHING)
        if used == before:
            return
        if used == NOTHING:
            del self.own[node_id]
        else:
            self.own[node_id] = used
        more = minus(used, before)
        self.total = plus(self.total, more)
        self._add((node_id, *self._chain(tree, now, node_id)[0]), more)

    def _detach(self, tree: Links, node_id: str, parent: str | None) -> None:
        """The node no longer names `parent`: take its branch out of the branches above it."""
        if self._branches is None or parent is None or (whole := self._branches.get(node_id)) is None:
            return
        above, cycle = self._chain(tree, parent, node_id)
        if not cycle:
            self._add(above, minus(NOTHING, whole))
            return
        for one in (*above, node_id):  # each has been the sum of the whole cycle
            self._store(one, self._own_and_below(tree, one, node_id))

    def _attach(self, tree: Links, node_id: str, parent: str | None) -> None:
        """The node names `parent` now: add its branch to the branches above it."""
        if self._branches is None or parent is None or (whole := self._branches.get(node_id)) is None:
            return
        above, cycle = self._chain(tree, parent, node_id)
        if not cycle:
            self._add(above, whole)
            return
        for one in above:  # all of them are below the node already
            self._store(one, whole)

    def _chain(self, tree: Links, start: str | None, end: str) -> tuple[list[str], bool]:
        """The distinct nodes from `start` up to a root, or before `end`, and whether `end` was reached."""
        found: dict[str, None] = {}
        at = start
        while at is not None and at != end and at not in found and self._branches is not None:
            found[at] = None
            at = tree.parent(at)
            if len(found) > DEEPEST:
                self._branches = None
        return list(found), at == end

    def _own_and_below(self, tree: Links, node_id: str, moving: str) -> Spent:
        """The sum of a branch from its children's, without `moving`, which is attached later."""
        found = self.own.get(node_id, NOTHING)
        for child in tree.children(node_id):
            if child != moving:
                found = plus(found, (self._branches or {}).get(child, NOTHING))
        return found

    def _add(self, nodes: Iterable[str], more: Spent) -> None:
        if self._branches is not None:
            for one in nodes:
                self._store(one, plus(self._branches.get(one, NOTHING), more))

    def _store(self, node_id: str, found: Spent) -> None:
        if self._branches is None:
            return
        if found == NOTHING:
            self._branches.pop(node_id, None)
        else:
            self._branches[node_id] = found
