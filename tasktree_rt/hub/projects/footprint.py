"""Estimate the memory of each loaded project.

The estimate uses numbers that the project keeps anyway: an exact one would look at every node. The
constants are measured with `tracemalloc` on CPython 3.11; tests/hub/projects/test_footprint.py compares.
It leaves out pending publishes (`limits.max_waiting_bytes` bounds them) and the snapshots of readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from tasktree_rt.core.events import Record
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.projects.project import Project

BASE: Final = 5_000
"""Bytes of a project without events."""
RECORD: Final = 230
"""Bytes of an event in memory beside its body."""
NODE: Final = 750
"""Bytes of a node beside the text of its fields: its object, its fields' dict, its places in both trees."""
REMOVED: Final = 150
"""Bytes of the memory of a removed node."""
LINE: Final = 8
"""Bytes of the place of a log line."""
OBJECT: Final = 190
ARRAY: Final = 90
VALUE: Final = 40
"""Bytes of a JSON object, of an array, and of a value in them, beside their text."""
FLAT: Final = 6
"""Objects and arrays in an event whose fields are not nested, at most: their bytes are in `NODE`."""
SLICE: Final = 128
"""Events between two yields to the loop."""


class Footprint:
    """The estimate of one project. `weigh` costs no more than to look through the new events once; for a
    project that is read from the store, `counting` and `learn` look through all of it before, in slices."""

    __slots__ = ("_epoch", "_extra", "_nested", "_seq", "_since_top", "_top", "_top_size", "bytes", "project")

    def __init__(self, project: Project) -> None:
        self.project = project
        self._forget()
        self._epoch = project.epoch
        self.bytes = 0
        """What `weigh` found last."""

    def _forget(self) -> None:
        self._seq = 0
        self._nested = 0
        """Bytes of text with nested values."""
        self._extra = 0
        """Bytes of memory that those take beside their text."""
        self._top: dict[str, Any] | None = None
        self._top_size = 0
        self._since_top = 0

    def counting(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """Pass on the parts of the checkpoint from which the project's tree is being filled, and count their
        nested values; the tree is full when the caller asks for a part beyond the last."""
        self._seq = self.project.tree.head
        objects, arrays, values, size, number = 0, 1, 0, 0, 0
        for number, part in enumerate(parts, 1):
            if number > 1:
                objects += part.count(b"{")
                arrays += part.count(b"[")
                values += part.count(b",")
                size += len(part)
            yield part
        nodes = len(self.project.tree)
        objects, arrays = objects - nodes, arrays - nodes - number
        if objects + arrays > 0:
            self._nested = size
            self._extra = OBJECT * objects + ARRAY * arrays + VALUE * values

    async def learn(self) -> None:
        """Look through the newest events of a project that was just read from the store, in slices."""
        head = self.project.tree.head
        for index, record in enumerate(_newest(self.project, head - self._seq), 1):
            self._take(record)
            if index % SLICE == 0:
                await yield_if_due()
        self._seq = head

    def weigh(self) -> int:
        """Return the bytes that the project holds now."""
        project = self.project
        if project.epoch != self._epoch:
            self._forget()
            self._epoch = project.epoch
        self._take_new()
        tree, log, shown = project.tree, project.log, project.shown
        size = BASE + log.size * 3 // 2 + RECORD * len(log)  # the encoder leaves half of a body's room unused
        size += shown.size_below(log.floor) + LINE * shown.lines
        size += tree.bound + NODE * len(tree) + REMOVED * tree.removed + self._weigh_top()
        for view in project.branches.values():
            size += view.log.size + NODE // 2 * len(view.tree) + REMOVED * view.tree.removed
        if self._nested:
            size += self._extra * min(tree.bound, self._nested) // self._nested
        self.bytes = size
        return size

    def _take_new(self) -> None:
        project = self.project
        head = project.tree.head
        for record in _newest(project, head - self._seq):
            self._take(record)
        self._seq = head

    def _take(self, record: Record) -> None:
        self._since_top += len(record.body)
        if record.type != "log":
            self._note(record.body, FLAT)

    def _note(self, text: bytes, flat: int) -> None:
        """Count the nested values of a text with at most `flat` objects and arrays that are not."""
        objects, arrays = text.count(b"{"), text.count(b"[")
        if objects + arrays > flat:
            self._nested += len(text)
            self._extra += OBJECT * objects + ARRAY * arrays + VALUE * text.count(b",")

    def _weigh_top(self) -> int:
        """Return the bytes of the project's own fields, measured once so many bytes of events are new as they
        hold: an event costs no more than its own bytes."""
        top = self.project.tree.top
        if top is not self._top and self._since_top >= self._top_size // 2:
            text = encode_json(top)
            self._top, self._since_top = top, 0
            self._top_size = len(text) + OBJECT * text.count(b"{") + ARRAY * text.count(b"[")
            self._top_size += VALUE * text.count(b",")
        return self._top_size


def _newest(project: Project, count: int) -> Iterable[Record]:
    """The newest `count` events, as far as they are in memory."""
    return islice(reversed(project.log), max(0, count))


class Footprints:
    """The estimates of all loaded projects, and their sum."""

    def __init__(self) -> None:
        self._by_name: dict[str, Footprint] = {}
        self._sum = 0
        self.used: Final[dict[str, None]] = {}
        """Projects with new events since the last look at `bytes`. The fan-out adds them, in each tick."""

    @property
    def bytes(self) -> int:
        """The sum. It costs one `weigh` for each project used since the last call."""
        for name in self.used:
            if name in self._by_name:
                self._weigh(self._by_name[name])
        self.used.clear()
        return self._sum

    def add(self, footprint: Footprint) -> None:
        """Add a project that was loaded; it replaces another one of that name."""
        name = str(footprint.project.project_id)
        self.remove(name)
        self._by_name[name] = footprint
        self._weigh(footprint)

    def remove(self, name: str) -> None:
        """Forget a project that is put away."""
        footprint = self._by_name.pop(name, None)
        if footprint is not None:
            self._sum -= footprint.bytes

    def _weigh(self, footprint: Footprint) -> None:
        self._sum -= footprint.bytes
        self._sum += footprint.weigh()
