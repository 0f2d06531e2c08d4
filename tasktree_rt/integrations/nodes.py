"""The nodes of a tool's run, by the tool's own names."""

from __future__ import annotations

from typing import Any

from tasktree_rt.client.joining import Joined, Open


class Nodes:
    """Nodes by the tool's own keys. The keys are their ids; below `parent`, with its id in front.

    An ended node is forgotten, but for its key: it does not begin again.
    """

    def __init__(self, joined: Joined, parent: str | None) -> None:
        self._joined = joined
        self._parent = parent
        self._open: dict[str, Open] = {}
        self._ended: set[str] = set()

    def begin(self, key: str, *, above: str | None = None, **fields: Any) -> Open:
        """Return the node of a key, begun if it is new. `above`: the key of the one above, or None."""
        found = self._open.get(key)
        if found is None:
            self._ended.discard(key)
            parent = self._parent if above is None else self.id(above)
            found = self._joined.node(self.id(key), parent=parent, **fields)
            self._open[key] = found
        return found

    def plan(self, key: str, *, above: str | None = None, **fields: Any) -> None:
        """Show a node that is to come."""
        parent = self._parent if above is None else self.id(above)
        self._joined.plan(self.id(key), parent=parent, **fields)

    def id(self, key: str) -> str:
        """Return the node's id: two feeds of one tool below two parents do not meet."""
        return key if self._parent is None else f"{self._parent}/{key}"

    def known(self, key: str) -> bool:
        """Whether a key has begun, and ended perhaps."""
        return key in self._open or key in self._ended

    def is_open(self, key: str) -> bool:
        """Whether a node has begun and not ended."""
        return key in self._open

    def take(self, key: str) -> Open | None:
        """Return an open node in order to end it, else None."""
        self._ended.add(key)
        return self._open.pop(key, None)

    def get(self, key: str) -> Open | None:
        """Return an open node, else None."""
        return self._open.get(key)

    def cancel_rest(self, why: str) -> bool:
        """Cancel what is still open, the newest first; return whether anything was."""
        rest = [*reversed(self._open)]
        for key in rest:
            node = self.take(key)
            if node is not None:
                node.cancel(why)
        return bool(rest)
