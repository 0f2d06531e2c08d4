"""``ninja``: each finished step a node, by its status line ``[n/m] …``.

Where its output is no terminal, ninja prints a step's line when the step ends, then what the step printed.
"""

from __future__ import annotations

import re
from typing import Final

from tasktree_rt.client.joining import Joined, Open
from tasktree_rt.integrations.nodes import Nodes

_STATUS: Final = re.compile(r"\[(\d+)/(\d+)\] (.*)")
_FAILED: Final = re.compile(r"FAILED: (?:\[code=-?\d+\] )?(.*)")
_NINJAS: Final = re.compile(r"ninja: (?:error|fatal|build stopped)")


class NinjaFeed:
    """See the module. Prints all lines as they are: they are for people."""

    def __init__(self, joined: Joined, parent: str | None) -> None:
        self._nodes = Nodes(joined, parent)
        self._key: str | None = None
        self._why: str | None = None
        self._well = True

    def line(self, line: str) -> str:
        """See `Feed.line`."""
        shown = line.rstrip("\n").rpartition("\r")[2]
        status, failed = _STATUS.match(shown), _FAILED.match(shown)
        if status:
            self._settle()
            self._begin(int(status[1]), int(status[2]), status[3])
        elif failed:
            self._well = False
            self._why = failed[1].strip() or "failed"
        elif _NINJAS.match(shown):
            self._settle()
            self._well = False
        elif shown.strip() and self._node is not None:
            self._node.log(shown, level="info" if self._why is None else "error")
        return line

    def end(self) -> bool:
        """See `Feed.end`."""
        self._settle()
        return self._well

    @property
    def _node(self) -> Open | None:
        return None if self._key is None else self._nodes.get(self._key)

    def _begin(self, number: int, of: int, title: str) -> None:
        self._key = title if not self._nodes.known(title) else f"{title} ({number})"
        self._nodes.begin(self._key, title=title, kind="step", order=number, step=number, steps=of)

    def _settle(self) -> None:
        """End the step whose lines are over: it failed if ninja said so behind its status."""
        node = None if self._key is None else self._nodes.take(self._key)
        if node is not None and self._why is not None:
            node.fail(self._why)
        elif node is not None:
            node.complete()
        self._key = self._why = None
